"""The plane around a θ: the loss, the quadratic models over it, the trust region, the damping path and the arrows."""

from __future__ import annotations

from typing import Any

import contourpy
import numpy as np
from PySide6.QtCore import QObject, QPointF, Qt, Signal
from PySide6.QtGui import QColor

from ngexplorer.analysis.local_model import Quadratic
from ngexplorer.analysis.neighbourhood import Neighbourhood
from ngexplorer.analysis.relief import contour_levels, finite
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.arrows import Arrow, ArrowItem
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.chips import Chips
from ngexplorer.gui.plots.contours import Contours
from ngexplorer.gui.plots.handle import Handle
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen
from ngexplorer.gui.plots.spectrum import COLOURS

_GRID = 129
"""Points of a model along each axis, for its contours."""
_PATH, _PLACES = 160, 1000
"""Points of the path's line, and places on it that a drag can stop at."""

MODELS = {
    "hessian": ("H", "the model with the Hessian"),
    "gauss-newton": ("G", "the model with the Gauss-Newton matrix"),
    "fisher": ("F", "the model with the Fisher matrix"),
    "empirical-fisher": ("F̄", "the model with the empirical Fisher matrix"),
    "kfac": ("K-FAC", "the model with the K-FAC matrix, labels in exact expectation"),
}
"""What each matrix is called, and its model."""
STEPS = {
    "gradient-descent": ("−∇h", "minus the gradient"),
    "newton": ("Newton", "the step with the Hessian and the run's λ"),
    "gauss-newton": ("GGN", "the step with the Gauss-Newton matrix and the run's λ"),
    "natural-gradient": ("Natural", "the natural gradient's step, with the run's λ"),
    "natural-gradient-empirical": ("Empirical", "the step with the empirical Fisher matrix and the run's λ"),
    "kfac": ("K-FAC", "the step with the K-FAC matrix and its factored damping, the run's λ"),
    "momentum": ("Momentum", "what momentum adds to the run's step"),
    "taken": ("Its step", "the step that the run took from here"),
}
"""What each arrow is called, and what it is."""
_STEP_COLOURS = {
    "gradient-descent": themes.GREY,
    "newton": COLOURS["hessian"],
    "gauss-newton": COLOURS["gauss-newton"],
    "natural-gradient": COLOURS["fisher"],
    "natural-gradient-empirical": COLOURS["empirical-fisher"],
    "kfac": COLOURS["kfac"],
    "momentum": themes.BLUE,
}


class LocalPlane(QObject):
    """The picture of a neighbourhood in a frame. Its point is dragged along the damping path."""

    moved = Signal(float)
    """The λ of the place on the path nearest to where the point was dragged."""

    def __init__(self, frame: Frame, theme: themes.Theme) -> None:
        super().__init__(frame)
        self.frame = frame
        self.contours, self.models, self.path = Contours(), Lines(), Lines()
        self.arrows, self.point = ArrowItem(theme), Handle()
        for item in (self.contours, self.models, self.path, self.arrows, self.point):
            frame.addItem(item, ignoreBounds=True)
        self.point.dragged.connect(self._dragged)
        frame.setAccessibleName("Plane around the current parameters")
        self._here: Neighbourhood | None = None
        self._still: Any = None
        """What of the picture does not move with λ, as it was drawn."""

    def clear(self) -> None:
        """Show nothing."""
        self._here = self._still = None
        self.models.show_lines([])
        self.path.show_lines([])
        self.contours.clear()
        self.arrows.show_arrows((0.0, 0.0), [], themes.DARK)
        self.point.hide()

    def draw(self, here: Neighbourhood, damping: float, chips: Chips, theme: themes.Theme) -> None:
        """Show what is known, with the point at δ(λ)."""
        self._here = here
        self.frame.fill(*here.window, square=True)
        models = [name for name in MODELS if chips.is_on(f"model {name}") and name in here.models]
        if (here, theme.name, models) != self._still:
            self._still = (here, theme.name, models)
            self._show_surfaces(here, models, theme)
        self._show_path(here, damping, theme)
        self.arrows.show_arrows(tuple(here.centre), _arrows(here, chips, theme), theme)

    def _show_surfaces(self, here: Neighbourhood, models: list[str], theme: themes.Theme) -> None:
        """The loss, and the models at the same heights."""
        surface = here.surface
        if surface is None:
            self.contours.clear()
            self.models.show_lines([])
            return
        self.contours.show_surface(surface, theme)
        levels = _levels(surface.values, here.path.loss)
        xs, ys = np.linspace(*surface.window[:2], _GRID), np.linspace(*surface.window[2:], _GRID)
        lines = []
        for name in models:
            points = _contours(here.models[name], xs, ys, levels)
            lines.append(Line(points[:, 0], points[:, 1], pen(themes.line_colour(COLOURS[name], theme), 1.2)))
        self.models.show_lines(lines)

    def _show_path(self, here: Neighbourhood, damping: float, theme: themes.Theme) -> None:
        marker, floor = themes.line_colour(theme.marker, theme), here.path.solution.floor
        lines = []
        region = here.region(damping) if damping > floor else None
        if region is not None:
            lines.append(Line(region[:, 0], region[:, 1], pen(marker, 1.2, Qt.PenStyle.DashLine)))
        path = np.concatenate((here.places(_dampings(here, _PATH)), here.centre[None]))
        own = here.places(np.array([here.own])) if here.own > floor else None
        lines.append(Line(path[:, 0], path[:, 1], pen(marker, 2.2), dots=here.centre[None], rings=own))
        self.path.show_lines(lines)
        at = here.places(np.array([damping if damping > floor else here.path.dampings[0]]))[0]
        self.point.setPos(float(at[0]), float(at[1]))
        self.point.dress(QColor(theme.accent), QColor(theme.panel))
        self.point.show()

    def _dragged(self, to: QPointF) -> None:
        if self._here is not None:
            dampings = _dampings(self._here, _PLACES)
            away = np.square(self._here.places(dampings) - (to.x(), to.y())).sum(1)
            self.moved.emit(float(dampings[int(np.argmin(away))]))


def colours(theme: themes.Theme) -> dict[str, QColor]:
    """Of the models and steps, by the names of their chips."""
    found = {f"model {name}": themes.line_colour(COLOURS[name], theme) for name in MODELS}
    found |= {f"step {name}": themes.line_colour(colour, theme) for name, colour in _STEP_COLOURS.items()}
    return found | {"step taken": QColor(theme.text)}


def _dampings(here: Neighbourhood, count: int) -> Array:
    """λ along the path, evenly spaced."""
    return np.array([here.damping_at(share) for share in np.linspace(0, 1, count)])


def _arrows(here: Neighbourhood, chips: Chips, theme: themes.Theme) -> list[Arrow]:
    found: dict[str, Array] = {} if here.arrows is None else here.arrows.project(here.plane)
    if here.stand.taken is not None:
        found["taken"] = here.plane.axes @ here.stand.taken
    shades = colours(theme)
    return [
        Arrow(float(found[name][0]), float(found[name][1]), text, shades[f"step {name}"])
        for name, (text, _) in STEPS.items()
        if name in found and chips.is_on(f"step {name}")
    ]


def _levels(values: Array, loss: float) -> Array:
    """Heights at which the models are drawn: every third contour of the loss, the height of θ itself, and some below
    the lowest, where only a model goes."""
    shared = contour_levels(finite(values))
    low = float(shared[0])
    gap = max(loss - low, 1e-12 * max(abs(loss), 1e-300))
    return np.unique(np.concatenate((shared[1::3], [loss], low - gap * np.array([0.25, 1.0, 4.0]))))


def _contours(model: Quadratic, xs: Array, ys: Array, levels: Array) -> Array:
    """A model's contours at those heights, (K, 2), with NaN between them."""
    kind = contourpy.LineType.ChunkCombinedNan
    generator = contourpy.contour_generator(xs, ys, model.on_grid(xs, ys), line_type=kind)
    pieces = [np.empty((0, 2))]
    for level in levels:
        found: Any = generator.lines(float(level))[0][0]
        if found is not None:
            pieces += [found, np.full((1, 2), np.nan)]
    return np.concatenate(pieces)

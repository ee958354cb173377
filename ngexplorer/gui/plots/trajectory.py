"""Trajectories: every run's path over the contours of the loss, on a landscape's own plane or on a fitted one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from time import monotonic
from typing import Any

import contourpy
import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPolygonF

from ngexplorer.analysis import planes
from ngexplorer.analysis.planes import Array, Plane, Surface, Window
from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import holds
from ngexplorer.gui.plots.lines import Line, Lines, bounds, pen
from ngexplorer.gui.plots.view import View, more_button
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives import Objective
from ngexplorer.objectives.landscapes import LandscapeNetwork
from ngexplorer.runs.history import History

_LEVELS = 14
_POINTS = 400
"""At most so many points of a path are drawn, and about so many of all paths together fit a plane."""
_PAUSE = 1.5
"""Seconds between two fits of the plane while runs go on."""
_MARGIN, _BEYOND = 0.2, 0.45
"""Room around the paths of which a plane was fitted, as a share of their extent: what is shown, what is computed."""
_REACH = 20
"""How far beyond its window a test function's paths are followed; a fitted plane's follow at the next fit anyway."""
_QUESTION = "trajectory"


class TrajectoryView(View):
    """Paths up to the current time, a dot where each run is now, and how much of them the plane shows."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Trajectory")
        button, menu = more_button(session, "Pictures of the trajectory")
        self.add_pictures(menu)
        self.head.addWidget(button)
        self.contours = Contours()
        self.lines = Lines()
        for item in (self.contours, self.lines):
            self.frame.addItem(item, ignoreBounds=True)
        self.surface: Surface | None = None
        self._window: Window | None = None
        """What is shown: the surface's window, or a wider one where a path has left that since."""
        self._plane: Plane | None = None
        self._places: dict[History, dict[int, Array]] = {}
        self._asked: Any = None
        self._asked_at = -math.inf
        self._generation = 0
        self._contoured: tuple[Surface | None, str] = (None, "")
        session.analyst.answered.connect(self._answered)
        session.race_changed.connect(self._new_race)
        session.shown_changed.connect(self.invalidate)

    @property
    def landscape(self) -> LandscapeNetwork | None:
        """The test function that is raced on, if it is one."""
        race = self.session.race
        if race is None or not race.runs:
            return None
        model = race.runs[0].objective.model
        return model if isinstance(model, LandscapeNetwork) else None

    def fingerprint(self) -> Any:
        self._ask()
        return (tuple(len(shown.history) for shown in self.session.runs), self.session.time, id(self.surface))

    @property
    def settled(self) -> bool:
        """Whether the picture is of all there is: nothing new to ask, nothing unanswered."""
        asked = self._asked == self._question() or not self.session.measures
        return asked and self.session.analyst.idle

    def _question(self) -> Any:
        """What the plane and surface depend on."""
        if self.landscape is not None:
            return (self.session.generation, self._window or self.landscape.window)
        paths = tuple((shown.contender, len(shown.history)) for shown in self.session.measures)
        return (self.session.generation, paths, round(self._aspect(), 1), self.session.state == "running")

    def _aspect(self) -> float:
        """Width over height of the picture."""
        box = self.frame.view.boundingRect()
        return min(max(box.width() / max(box.height(), 1.0), 0.25), 8.0)

    def _ask(self) -> None:
        """Have the plane fitted and the loss computed on it, if that is due."""
        question = self._question()
        race = self.session.race
        measures = self.session.measures
        if race is None or question == self._asked or not measures:
            return
        hurried = self._asked is None or self._asked[0] != question[0]
        if not hurried and (monotonic() - self._asked_at < _PAUSE or not self.session.analyst.idle):
            return
        self._asked, self._asked_at = question, monotonic()
        objective, landscape = race.runs[0].objective, self.landscape
        # Put together over there: it is a lot of memory to move between two frames.
        paths = [shown.history.snapshots.until(shown.run.step, _POINTS) for shown in measures]
        aspect, window = self._aspect(), None if landscape is None else self._window or landscape.window
        # While runs go on the processor is theirs: the finest grid comes when they rest.
        sizes = (17, 33) if self.session.state == "running" else (17, 33, 65)
        self._generation = self.session.analyst.ask(
            _QUESTION, lambda cancel: _surfaces(objective, window, paths, aspect, sizes, cancel)
        )

    def _answered(self, key: str, generation: int, surface: Any) -> None:
        if key == _QUESTION and generation == self._generation:
            if self.landscape is None and (self.surface is None or surface.plane is not self.surface.plane):
                self._window = None
            self.surface = surface
            self.invalidate()

    def _new_race(self) -> None:
        if self._asked is None or self._asked[0] != self.session.generation:
            self.surface = self._window = None
            self._generation = 0  # an answer on its way is about the race before
            self.frame.release()

    def draw(self) -> None:
        surface = self.surface
        if surface is None:
            self.lines.show_lines([])
            self.contours.clear()
            loading = "Loading the data…" if self.session.state == "loading" else "No run yet"
            self.say("Computing the landscape…" if self.session.runs else loading)
            self.subtitle.setText("")
            return
        self.say("")
        if self._contoured[0] is not surface or self._contoured[1] != self.session.theme.name:
            self._contoured = (surface, self.session.theme.name)
            self.contours.show_surface(surface, self.session.theme)
        measures = self.session.measures
        lines, boxes, off_plane = [], [], 0.0
        for shown in self.session.in_order:
            if not len(shown.history):
                continue
            places = self._projected(shown, self.session.step_of(shown), surface.plane)
            xy = places[:, :2]
            distance, length = places[-1, 2:]
            off_plane = max(off_plane, distance / length if length > 0 else 0.0)
            colour = self.session.line_colour(shown)
            lines.append(Line(xy[:, 0], xy[:, 1], pen(colour, 1.8, shown.style), xy[[0, -1]] if len(xy) > 1 else xy))
            if shown in measures:
                boxes.append(self._reached(shown, lines[-1], surface.plane))
        self.lines.show_lines(lines)
        if self.landscape is None:
            self._window = holding(self._window, _inner(surface.window), boxes, 1e9)
        else:
            self._window = holding(self._window, self.landscape.window, boxes, _REACH)
        self.frame.fill(*self._window, square=self.landscape is None)
        self._subtitle(surface.plane, off_plane)

    def _reached(self, shown: Shown, line: Line, plane: Plane) -> QRectF:
        """Where a run's path goes, past the current time too: the window does not follow the timeline."""
        if self.session.time is None:
            return bounds([line])
        places = self._projected(shown, shown.run.step, plane)
        return bounds([Line(places[:, 0], places[:, 1], line.pen)])

    def _projected(self, shown: Shown, step: int, plane: Plane) -> Array:
        """A run's path on the plane up to a step: x, y, distance from the plane and from its centre, (T, 4). Only what
        was not asked before is computed."""
        if self._plane is not plane:
            self._plane, self._places = plane, {}
        known = self._places.setdefault(shown.history, {})
        path = shown.history.snapshots.until(step, _POINTS)
        new = [(at, theta) for at, theta in path if at not in known]
        if new:
            thetas = stacked(new)
            xy, distance = plane.project(thetas)
            length = np.linalg.norm(thetas - plane.origin, axis=1)
            rows = np.column_stack((xy, distance, length))
            known.update(zip((at for at, _ in new), rows, strict=True))
        return np.stack([known[at] for at, _ in path])

    def _subtitle(self, plane: Plane, off_plane: float) -> None:
        if self.landscape is not None:
            text = f"{self.landscape.title} · its two parameters · log-spaced contours of the loss"
        elif not self.session.latest:
            text = "no steps yet"
        else:
            first, second = (f"{100 * share:.0f} %" for share in plane.explained)
            text = (
                f"principal plane of the paths: {first} + {second} of their variance · "
                f"off-plane residual ≤ {100 * off_plane:.0f} %"
            )
        at = f"step {self.session.time} · " if self.session.time is not None else ""
        self.subtitle.setText(at + text)
        residual = "\nThe residual is a run's distance from the plane over that from its centre."
        self.subtitle.setToolTip(self.subtitle.text() + (residual if self.landscape is None else ""))


def _inner(window: Window) -> Window:
    """The part of a fitted window that is shown at first: what is around it is for paths that leave it."""
    left, right, low, high = window
    across, up = (
        (end - start) * (1 - (1 + _MARGIN) / (1 + _BEYOND)) / 2 for start, end in ((left, right), (low, high))
    )
    return (left + across, right - across, low + up, high - up)


def holding(shown: Window | None, usual: Window, boxes: list[QRectF], reach: float) -> Window:
    """A window that holds the usual one and the paths in `boxes`: the one that is shown as long as it does and they are
    not lost in it, else one with room to grow where they leave the usual one. Paths that go further from that than
    `reach` times its size are let go."""
    left, right, low, high = wanted = usual
    far_x, far_y = reach * (right - left), reach * (high - low)
    near = QRectF(left - far_x, low - far_y, 2 * far_x + right - left, 2 * far_y + high - low)
    for box in boxes:
        if near.contains(box):
            x, y = (wanted[0], wanted[1], box.left(), box.right()), (wanted[2], wanted[3], box.top(), box.bottom())
            wanted = (min(x), max(x), min(y), max(y))
    if wanted == usual:
        return usual
    if shown is not None and holds(shown, wanted):
        return shown
    across, up = 0.25 * (wanted[1] - wanted[0]), 0.25 * (wanted[3] - wanted[2])
    return (
        wanted[0] - (across if wanted[0] < left else 0.0),
        wanted[1] + (across if wanted[1] > right else 0.0),
        wanted[2] - (up if wanted[2] < low else 0.0),
        wanted[3] + (up if wanted[3] > high else 0.0),
    )


def stacked(path: list[tuple[int, Any]]) -> Array:
    """The θ of snapshots, (T, P) float64."""
    return np.stack([theta for _, theta in path]).astype(np.float64)


def _surfaces(
    objective: Objective,
    window: Window | None,
    snapshots: list[list[tuple[int, Any]]],
    aspect: float,
    sizes: tuple[int, ...],
    cancel: Cancel,
) -> Iterator[Surface]:
    """The loss, coarse first: of two parameters in that window, else on the plane of the paths in a window that fills a
    picture of that aspect."""
    if window is not None:
        yield from planes.surface(objective, planes.coordinate_plane(), window, cancel, (33, 65, 129))
        return
    paths = [stacked(path) for path in snapshots]
    # The plane takes a share of the points, the window all that are drawn: a short way out is seen too.
    stride = max(1, math.ceil(sum(map(len, paths)) / _POINTS))
    plane = planes.principal_plane([path[::-stride] for path in paths])
    coordinates = np.concatenate([plane.project(path)[0] for path in paths])
    # While all stand where they started there is no length to go by but that of θ itself.
    least = 1e-6 if np.ptp(coordinates, axis=0).any() else 0.1 * max(float(np.linalg.norm(plane.origin)), 1.0)
    yield from planes.surface(
        objective, plane, planes.window_around(coordinates, aspect, _BEYOND, least), cancel, sizes
    )


class Contours(pg.GraphicsObject):
    """Bands of the loss between log-spaced levels, each a shade lighter or darker, with a hairline between them."""

    def __init__(self) -> None:
        super().__init__()
        self._bands: list[tuple[QPainterPath, QColor]] = []
        self._edges: list[QPolygonF] = []
        self._edge = pen("#000000", 1)
        self._bounds = QRectF()
        # Paths move over them at every frame; they themselves seldom change.
        self.setCacheMode(self.CacheMode.DeviceCoordinateCache)

    def clear(self) -> None:
        self.prepareGeometryChange()
        self._bands, self._edges, self._bounds = [], [], QRectF()
        self.update()

    def show_surface(self, surface: Surface, theme: themes.Theme) -> None:
        """Contour a surface; the lowest band is the most strongly coloured."""
        self.prepareGeometryChange()
        finite = np.isfinite(surface.values)
        values = np.where(finite, surface.values, surface.values.max(initial=1.0, where=finite))
        levels = contour_levels(values)
        generator = contourpy.contour_generator(
            surface.xs,
            surface.ys,
            values,
            fill_type=contourpy.FillType.OuterOffset,
            line_type=contourpy.LineType.Separate,
        )
        low, high = (
            QColor(c) for c in (("#31506b", theme.panel) if theme.name == "dark" else ("#a9c4dc", theme.panel))
        )
        self._bands, self._edges = [], []
        for i, (lower, upper) in enumerate(pairwise(levels)):
            share = i / max(len(levels) - 2, 1)
            filled: Any = generator.filled(lower, upper)
            self._bands.append((_band(filled), themes.mixed(low, high, share)))
            if i:
                edges: Any = generator.lines(lower)
                self._edges += [pg.functions.arrayToQPolygonF(line[:, 0], line[:, 1]) for line in edges]
        self._edge = pen(theme.muted, 0.7, alpha=0.45)
        left, right, bottom, top = surface.window
        self._bounds = QRectF(left, bottom, right - left, top - bottom)
        self.update()

    def boundingRect(self) -> QRectF:
        return self._bounds

    def paint(self, painter: QPainter, *_: Any) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(pg.mkPen(None))
        for path, colour in self._bands:
            painter.setBrush(colour)
            painter.drawPath(path)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(pg.mkBrush(None))
        painter.setPen(self._edge)
        for polygon in self._edges:
            painter.drawPolyline(polygon)


def contour_levels(values: Array) -> Array:
    """Levels from the lowest to the highest value, evenly spaced in log(h − h₀) with h₀ just below the lowest."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.array([low, low + max(abs(low), 1.0)])
    ground = min(low, 0.0)
    lifted = max(low - ground, 1e-4 * (high - ground))
    inner = ground + np.geomspace(lifted, high - ground, _LEVELS + 1)
    inner[0], inner[-1] = min(low, inner[0]), high
    return np.unique(inner)


def _band(filled: Any) -> QPainterPath:
    """contourpy's polygons with holes as one path."""
    path = QPainterPath()
    for points, offsets in zip(*filled, strict=True):
        for start, end in pairwise(offsets):
            path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points[start:end]]))
    return path

"""Along the damping path: the loss that comes and the one the model promises for every λ, and ρ, their ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ngexplorer.analysis.neighbourhood import Neighbourhood
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen

_LOWEST, _HIGHEST = -0.6, 1.6
"""Of the axis of ρ."""
_LEVELS = (0.25, 0.75)
"""ρ below the first asks for more damping, above the second for less (Martens 2020, §10)."""
_BELOW = 1.5
"""A promise is followed so many times as far down as the loss goes."""
_SHORT = 150
"""Pixels of height below which there is no room for ρ too."""
_RATIO = 90
"""Pixels: the most that the axis of ρ takes."""


class AlongPath(QWidget):
    """Two strips over one axis of log λ, with the run's λ, those it rejected before that, and the chosen one, which
    a click or a drag moves."""

    moved = Signal(float)
    """The λ that was chosen."""

    def __init__(self, theme: themes.Theme) -> None:
        super().__init__()
        self.upper, self.lower = Frame(theme), Frame(theme)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.upper, 3)
        column.addWidget(self.lower, 2)
        self.curves, self.ratios = Lines(), Lines()
        self.marks: list[pg.InfiniteLine] = []
        """The chosen λ."""
        self._floor = 0.0
        for frame, lines in ((self.upper, self.curves), (self.lower, self.ratios)):
            frame.setMinimumSize(120, 40)
            frame.addItem(lines, ignoreBounds=True)
            frame.view.setMouseEnabled(x=False, y=False)
            mark = pg.InfiniteLine(angle=90, movable=True)
            mark.sigDragged.connect(self._dragged)
            frame.addItem(mark, ignoreBounds=True)
            self.marks.append(mark)
            frame.item.getAxis("bottom").setLogMode(x=True)
            frame.scene().sigMouseClicked.connect(lambda event, frame=frame: self._clicked(frame, event))
        self.lower.setMaximumHeight(_RATIO)
        self.upper.setAccessibleName("Loss and the model's promise along the damping path")
        self.lower.setAccessibleName("Reduction ratio along the damping path")

    @property
    def frames(self) -> list[Frame]:
        return [frame for frame in (self.upper, self.lower) if frame.isVisibleTo(self)]

    def minimumSizeHint(self) -> QSize:
        """That of the upper strip: the lower one goes where there is no room for both."""
        return self.upper.minimumSize()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.lower.setVisible(self.height() >= _SHORT)
        self.upper.item.getAxis("bottom").setVisible(self.height() < _SHORT)

    def dress(self, theme: themes.Theme) -> None:
        for frame in (self.upper, self.lower):
            frame.dress(theme)

    def show_axes(self, shown: bool) -> None:
        """Show or hide the axes and the marks: where nothing is drawn, they mean nothing."""
        for frame in (self.upper, self.lower):
            frame.show_axes(shown)
        for mark in self.marks:
            mark.setVisible(shown)
        if shown:
            self.upper.item.getAxis("bottom").setVisible(not self.lower.isVisibleTo(self))

    def clear(self) -> None:
        self.curves.show_lines([])
        self.ratios.show_lines([])

    def draw(self, here: Neighbourhood, colour: Any, theme: themes.Theme) -> None:
        """Draw the path's numbers, and the run's λ in its colour."""
        path = here.path
        floor = self._floor = path.solution.floor
        x = np.log10(path.dampings - floor)
        promised = path.loss + here.promised
        real = themes.line_colour(theme.text, theme)
        low, high = _reach(path.losses, promised, path.loss)
        lines = [
            Line(x[[0, -1]], np.full(2, path.loss), pen(theme.muted, 0.8, alpha=0.6)),
            Line(x, promised, pen(theme.marker, 1.6, Qt.PenStyle.DashLine)),
            Line(x, path.losses, pen(real, 1.8)),
        ]
        grades = [Line(x[[0, -1]], np.full(2, level), pen(theme.muted, 0.8, alpha=0.5)) for level in (0.0, 1.0)]
        grades += [
            Line(x[[0, -1]], np.full(2, level), pen(theme.muted, 0.8, Qt.PenStyle.DotLine, 0.8)) for level in _LEVELS
        ]
        grades.append(Line(x, here.ratios, pen(real, 1.8)))
        for rejected in here.stand.rejected:
            at = np.log10(max(rejected - floor, path.dampings[0] - floor))
            for target, bottom, top in ((lines, low, high), (grades, _LOWEST, _HIGHEST)):
                style = pen(theme.warning, 1.4, Qt.PenStyle.DotLine)
                target.append(Line(np.full(2, at), np.array([bottom, top]), style))
        if here.own >= floor:
            own = np.log10(max(here.own - floor, path.dampings[0] - floor))
            for target, bottom, top in ((lines, low, high), (grades, _LOWEST, _HIGHEST)):
                target.append(Line(np.full(2, own), np.array([bottom, top]), pen(colour, 1.6, Qt.PenStyle.DashLine)))
        self.curves.show_lines(lines)
        self.ratios.show_lines(grades)
        self.upper.fill(float(x[0]), float(x[-1]), low, high, square=False)
        self.lower.fill(float(x[0]), float(x[-1]), _LOWEST, _HIGHEST, square=False)

    def mark(self, here: Neighbourhood, damping: float, theme: themes.Theme) -> None:
        """Move the line of the chosen λ."""
        at = float(np.log10(here.damping_at(here.share_of(damping)) - here.path.solution.floor))
        for mark in self.marks:
            mark.setPen(pen(theme.accent, 1.6))
            mark.setHoverPen(pen(theme.accent, 3.0))
            mark.setValue(at)

    def _dragged(self, mark: pg.InfiniteLine) -> None:
        self._choose(float(mark.value()))

    def _clicked(self, frame: Frame, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and frame.view.sceneBoundingRect().contains(event.scenePos()):
            self._choose(float(frame.view.mapSceneToView(event.scenePos()).x()))

    def _choose(self, exponent: float) -> None:
        self.moved.emit(self._floor + 10.0**exponent)


def _reach(losses: Array, promised: Array, loss: float) -> tuple[float, float]:
    """From below the lowest loss, and as much of the promise as is not far below it, to above where the path starts."""
    finite = losses[np.isfinite(losses)]
    lowest = min(float(finite.min(initial=loss)), loss)
    fall = max(loss - lowest, 1e-12 * max(abs(loss), 1e-300))
    bottom = max(min(float(promised.min()), lowest), loss - _BELOW * fall)
    top = min(float(finite.max(initial=loss)), loss + fall)
    room = 0.08 * (max(top, loss) - bottom)
    return bottom - room, max(top, loss) + 2 * room

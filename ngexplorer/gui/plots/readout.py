"""The numbers at a cross-hair or between two cursors, one line a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact


class Named(Protocol):
    """What has a row of numbers."""

    @property
    def label(self) -> str: ...
    @property
    def colour(self) -> str: ...


class Readout(QFrame):
    """The numbers at the cross-hair, one line a run."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("readout")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(8, 5, 8, 5)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(1)
        self._labels: dict[tuple[int, int], QLabel] = {}
        self.hide()

    def show_rows(
        self,
        head: str,
        columns: list[str],
        rows: Sequence[tuple[Named, list[float]]],
        theme: themes.Theme,
        room: float = math.inf,
        near: float | None = None,
    ) -> None:
        """Fill in the table: a run and its numbers, without the columns where no run has any. Where all rows are higher
        than `room`, in pixels, those whose first number is nearest to `near`, or the first ones, and how many more."""
        line = QFontMetrics(themes.font(11)).height() + self._grid.verticalSpacing()
        margins = self._grid.contentsMargins()
        most = max(1, int((room - margins.top() - margins.bottom()) / line) - 1) if room < math.inf else len(rows)
        left_out = max(0, len(rows) - max(most - 1, 1)) if len(rows) > most else 0
        if left_out:
            kept_rows: Sequence[int] = range(len(rows))[: len(rows) - left_out]
            if near is not None:
                by_distance = sorted(range(len(rows)), key=lambda i: _apart(rows[i][1][0], near))
                kept_rows = sorted(by_distance[: len(rows) - left_out])
            rows = [rows[i] for i in kept_rows]
        cells: dict[tuple[int, int], tuple[str, str]] = {(0, 0): (head, theme.muted)}
        kept = [j for j in range(len(columns)) if not rows or any(not np.isnan(numbers[j]) for _, numbers in rows)]
        for column, j in enumerate(kept, 1):
            cells[0, column] = (columns[j], theme.muted)
            for i, (_, numbers) in enumerate(rows, 1):
                cells[i, column] = (compact(numbers[j]), theme.text)
        for i, (shown, _) in enumerate(rows, 1):
            cells[i, 0] = (shown.label, themes.readable(shown.colour, theme).name())
        if left_out:
            cells[len(rows) + 1, 0] = (f"and {left_out} more", theme.muted)
        for place in self._labels.keys() - cells.keys():
            self._labels[place].hide()
        for place, (text, colour) in cells.items():
            label = self._labels.get(place) or self._made(place)
            label.setText(text)
            label.setStyleSheet(f"color: {colour};")
            label.show()
        self.adjustSize()

    def texts(self) -> list[str]:
        """What is written, row by row: for a reader that cannot see."""
        return [label.text() for _, label in sorted(self._labels.items()) if not label.isHidden()]

    def place(self, position: QPointF, area: QRectF) -> None:
        """Beside the cursor, on the side where there is more room, and never over the axes."""
        rightward = position.x() < area.center().x()
        left = position.x() + 14 if rightward else position.x() - 14 - self.width()
        left = max(min(left, area.right() - self.width()), area.left())
        top = max(min(position.y() - self.height() / 2, area.bottom() - self.height()), area.top())
        self.move(int(left), int(top))

    def _made(self, place: tuple[int, int]) -> QLabel:
        label = QLabel()
        label.setFont(themes.font(11))
        if place[1]:
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(label, *place)
        self._labels[place] = label
        return label


def _apart(value: float, other: float) -> float:
    """How far apart two numbers are, a number that is none the furthest; of positive ones by their ratio, as they stand
    on a logarithmic axis."""
    if not math.isfinite(value):
        return math.inf
    return abs(math.log(value / other)) if value > 0 and other > 0 else abs(value - other)

"""The numbers at a cross-hair or between two cursors, one line a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
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
        self, head: str, columns: list[str], rows: Sequence[tuple[Named, list[float]]], theme: themes.Theme
    ) -> None:
        """Fill in the table: a run and its numbers, without the columns where no run has any."""
        cells: dict[tuple[int, int], tuple[str, str]] = {(0, 0): (head, theme.muted)}
        kept = [j for j in range(len(columns)) if not rows or any(not np.isnan(numbers[j]) for _, numbers in rows)]
        for column, j in enumerate(kept, 1):
            cells[0, column] = (columns[j], theme.muted)
            for i, (_, numbers) in enumerate(rows, 1):
                cells[i, column] = (compact(numbers[j]), theme.text)
        for i, (shown, _) in enumerate(rows, 1):
            cells[i, 0] = (shown.label, themes.readable(shown.colour, theme).name())
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

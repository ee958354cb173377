"""A small table in a corner of a plot: coloured dots, words, and numbers right-aligned in columns."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QWidget

from ngexplorer.gui import theme as themes

_AWAY = 8
"""Pixels from the corner."""

Row = tuple[QColor | None, tuple[str, ...]]
"""The colour of its dot, if it has one, its words, and its numbers."""


class CornerTable(QFrame):
    """Rows below a muted head, over the plot but out of the pointer's way."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("readout")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(8, 4, 8, 4)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        self._labels: dict[tuple[int, int], QLabel] = {}

    def show_rows(self, head: tuple[str, ...], rows: list[Row], theme: themes.Theme) -> None:
        """Fill it in."""
        cells: dict[tuple[int, int], tuple[Any, str]] = {}
        for column, words in enumerate(head, 1):
            cells[0, column] = (words, theme.muted)
        for i, (colour, texts) in enumerate(rows, 1):
            if colour is not None:
                cells[i, 0] = (themes.dot(colour, 10).pixmap(10, 10), theme.text)
            for column, words in enumerate(texts, 1):
                cells[i, column] = (words, theme.text)
        for place in self._labels.keys() - cells.keys():
            self._labels[place].hide()
        for place, (content, shade) in cells.items():
            label = self._labels.get(place) or self._made(place)
            (label.setText if isinstance(content, str) else label.setPixmap)(content)
            label.setStyleSheet(f"color: {shade};")
            label.show()
        self.adjustSize()

    def stand_in(self, area: QRectF) -> None:
        """Stand in the upper right corner of a rectangle of the plot, and be seen."""
        self.move(round(area.right()) - self.width() - _AWAY, round(area.top()) + _AWAY)
        self.show()

    def texts(self) -> list[str]:
        """What is written, row by row: for a reader that cannot see."""
        return [label.text() for _, label in sorted(self._labels.items()) if not label.isHidden() and label.text()]

    def _made(self, place: tuple[int, int]) -> QLabel:
        label = QLabel()
        label.setFont(themes.font(11))
        if place[1] > 1:
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(label, *place)
        self._labels[place] = label
        return label

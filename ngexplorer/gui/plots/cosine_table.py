"""The cosines between every two of several steps, as a small table of coloured cells that one item draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.colour_scale import shades
from ngexplorer.gui.plots.lines import Array

_ROW, _WIDEST = 30.0, 72.0
"""Pixels: the most that a cell is high and wide."""
_GAP = 1.0
_SIDE = 8.0


class CosineTable(pg.GraphicsObject):
    """Names at the left, symbols above, and a cell for each pair: −1 in one colour, 1 in the other."""

    def __init__(self, theme: themes.Theme) -> None:
        super().__init__()
        self.values: Array = np.empty((0, 0))
        self._names: list[str] = []
        self._symbols: list[str] = []
        self._theme = theme
        self._font = themes.font(11)

    def show_cosines(self, values: Array, names: list[str], symbols: list[str], theme: themes.Theme) -> None:
        """Replace what is drawn; cosines (K, K), NaN where there is none."""
        self.values, self._names, self._symbols, self._theme = values, names, symbols, theme
        self.prepareGeometryChange()
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(self.viewRect())

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()

    def cell_at(self, position: QPointF) -> tuple[int, int] | None:
        """Row and column of the cell at a place of the scene."""
        for row in range(len(self.values)):
            for column in range(len(self.values)):
                if self.cell(row, column).contains(position):
                    return row, column
        return None

    def cell(self, row: int, column: int) -> QRectF:
        """Where a cell stands in the scene."""
        area = self.sceneTransform().mapRect(self.boundingRect())
        count = max(len(self.values), 1)
        metrics = QFontMetricsF(self._font)
        names = max((metrics.horizontalAdvance(name) for name in self._names), default=0.0) + 2 * _SIDE
        width = min((area.width() - names - _SIDE) / count, _WIDEST)
        height = min((area.height() - _SIDE) / (count + 1), _ROW)
        left = area.left() + max((area.width() - names - _SIDE - count * width) / 2, 0.0) + names
        top = area.top() + max((area.height() - (count + 1) * height) / 2, 0.0) + height
        return QRectF(left + column * width, top + row * height, width - _GAP, height - _GAP)

    def paint(self, painter: QPainter, *_: Any) -> None:
        if not len(self.values):
            return
        before, to_scene = painter.worldTransform(), self.sceneTransform()
        painter.setWorldTransform(to_scene.inverted()[0] * before)
        painter.setFont(self._font)
        table = shades(self._theme)
        middle = Qt.AlignmentFlag.AlignCenter
        for row, name in enumerate(self._names):
            first, there = self.cell(row, 0), not np.isnan(self.values[row]).all()
            painter.setPen(QColor(self._theme.text if there else self._theme.muted))
            beside = QRectF(first.left() - 200, first.top(), 200 - _SIDE, first.height())
            painter.drawText(beside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, name)
            head = self.cell(0, row).translated(0, -first.height())
            painter.drawText(head, middle, self._symbols[row])
            for column, value in enumerate(self.values[row].tolist()):
                self._paint_cell(painter, self.cell(row, column), value, table)
        painter.setWorldTransform(before)

    def _paint_cell(self, painter: QPainter, cell: QRectF, value: float, table: Any) -> None:
        if np.isnan(value):
            painter.setPen(QColor(self._theme.muted))
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, "–")
            return
        ground = QColor(*map(int, table[round(127.5 + 127.5 * max(min(value, 1.0), -1.0))]))
        painter.fillRect(cell, ground)
        ink = max((QColor("#ffffff"), QColor("#000000")), key=lambda shade: themes.contrast(shade, ground))
        painter.setPen(ink)
        digits = 2 if cell.width() >= 30 else 1
        text = f"{value:.{digits}f}".replace("-", "−")
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, "0" if float(f"{value:.{digits}f}") == 0 else text)

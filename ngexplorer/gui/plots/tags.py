"""Labels of horizontal lines, at the right edge of a plot, which make room for each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.guarded import guarded

_HEIGHT = 16.0
_EDGE = 5.0
_DOT = 3.0
"""Pixels: how high a label is, the room inside its ends, the radius of a dot."""


@dataclass(frozen=True)
class Tag:
    """A label of the line at height y of the plot; a dot in the colour of each run it speaks of."""

    y: float
    text: str
    colours: tuple[QColor, ...]


class Tags(pg.GraphicsObject):
    """Each label stands on its line, or as near to it as the others and the edges of the plot allow."""

    def __init__(self, theme: themes.Theme) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self._theme = theme
        self._font = themes.font(11)

    def show_tags(self, tags: list[Tag], theme: themes.Theme) -> None:
        """Replace what is drawn."""
        self.prepareGeometryChange()
        self.tags, self._theme = tags, theme
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(self.viewRect())

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()

    def placed(self, area: QRectF, lines: Sequence[float]) -> list[QRectF]:
        """Where in `area`, in pixels, the labels of lines at those heights go."""
        widths = [self._width(tag) for tag in self.tags]
        order = sorted(range(len(lines)), key=lines.__getitem__)
        columns = max(1, math.ceil(len(lines) * _HEIGHT / max(area.height(), _HEIGHT)))
        found = [QRectF()] * len(lines)
        right = area.right() - 2
        for column in range(columns):
            members = order[column::columns]
            middles = spread([lines[i] - _HEIGHT / 2 for i in members], _HEIGHT, area.top(), area.bottom())
            for i, middle in zip(members, middles, strict=True):
                found[i] = QRectF(right - widths[i], middle - _HEIGHT / 2, widths[i], _HEIGHT)
            right -= max((widths[i] for i in members), default=0.0) + 4
        return found

    def _width(self, tag: Tag) -> float:
        return QFontMetricsF(self._font).horizontalAdvance(tag.text) + len(tag.colours) * 3 * _DOT + 2 * _EDGE

    @guarded
    def paint(self, painter: QPainter, *_: Any) -> None:
        before, to_scene = painter.worldTransform(), self.sceneTransform()
        area = to_scene.mapRect(self.boundingRect())
        # Labels keep their shape whatever the scales of the axes.
        painter.setWorldTransform(to_scene.inverted()[0] * before)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font)
        ground = QColor(self._theme.panel)
        ground.setAlphaF(0.85)
        lines = [to_scene.map(QPointF(0.0, tag.y)).y() for tag in self.tags]
        for tag, box in zip(self.tags, self.placed(area, lines), strict=True):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ground)
            painter.drawRoundedRect(box, 3, 3)
            x = box.left() + _EDGE + _DOT
            for colour in tag.colours:
                painter.setBrush(colour)
                painter.drawEllipse(QPointF(x, box.center().y()), _DOT, _DOT)
                x += 3 * _DOT
            painter.setPen(QColor(self._theme.text))
            words = box.adjusted(0, 0, -_EDGE, 0)
            painter.drawText(words, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, tag.text)
        painter.setWorldTransform(before)


def spread(wanted: Sequence[float], height: float, low: float, high: float) -> list[float]:
    """Middles of boxes of that height, in the rising order of the wanted ones and near them, none over another; all
    between low and high as long as there is room for them."""
    placed: list[float] = []
    for middle in wanted:
        placed.append(max(middle, placed[-1] + height if placed else low + height / 2))
    ceiling = high - height / 2
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - height
    return placed

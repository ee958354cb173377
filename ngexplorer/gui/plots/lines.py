"""One graphics item for all the lines of a plot: drawing costs pixels, not runs and not steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

Array = NDArray[np.float64]

_DOT = 3.5
"""The radius of a dot, pixels."""


@dataclass(frozen=True)
class Line:
    """A polyline in plot coordinates (logarithms already taken); NaN breaks it."""

    x: Array
    y: Array
    pen: QPen
    dots: Array | None = None
    """Places on it to mark, (K, 2)."""


def pen(colour: Any, width: float = 1.5, style: Qt.PenStyle = Qt.PenStyle.SolidLine, alpha: float = 1.0) -> QPen:
    """A pen of constant width on the screen."""
    shade = pg.mkColor(colour)
    shade.setAlphaF(alpha)
    made = QPen(shade, width, style, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    made.setCosmetic(True)
    return made


def thinned(x: Array, y: Array, pixels: int) -> tuple[Array, Array]:
    """The lowest and the highest point of each of `pixels` stretches of a long line: what can be seen of it."""
    if len(x) <= 4 * pixels:
        return x, y
    stretch = len(x) // pixels
    whole = stretch * pixels
    body = y[:whole].reshape(pixels, stretch)
    low, high = (np.nan_to_num(body, nan=fill) for fill in (np.inf, -np.inf))
    offsets = np.arange(pixels) * stretch
    ends = np.arange(whole, len(x))
    chosen = np.unique(np.concatenate((offsets + low.argmin(1), offsets + high.argmax(1), ends)))
    return x[chosen], y[chosen]


class Lines(pg.GraphicsObject):
    """All lines of a plot, drawn in order, later ones above."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._polygons: list[list[QPolygonF]] = []
        self._bounds = QRectF()

    def show_lines(self, lines: list[Line]) -> None:
        """Replace what is drawn."""
        self.prepareGeometryChange()
        self._lines = lines
        self._polygons = [_polygons(line) for line in lines]
        self._bounds = bounds(lines)
        self.update()

    def boundingRect(self) -> QRectF:
        return self._bounds

    def paint(self, painter: QPainter, *_: Any) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for line, polygons in zip(self._lines, self._polygons, strict=True):
            painter.setPen(line.pen)
            for polygon in polygons:
                painter.drawPolyline(polygon)
        # Dots are round whatever the scales of the axes.
        to_screen = painter.worldTransform()
        painter.resetTransform()
        painter.setPen(Qt.PenStyle.NoPen)
        for line in self._lines:
            painter.setBrush(line.pen.color())
            for point in _points(line.dots):
                painter.drawEllipse(to_screen.map(point), _DOT, _DOT)
        painter.setWorldTransform(to_screen)


def _polygons(line: Line) -> list[QPolygonF]:
    """The stretches of a line between its NaNs."""
    finite = np.isfinite(line.x) & np.isfinite(line.y)
    if not finite.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([0], finite.view(np.int8), [0]))))
    stretches = zip(edges[::2], edges[1::2], strict=True)
    return [pg.functions.arrayToQPolygonF(line.x[a:b], line.y[a:b]) for a, b in stretches]


def _points(dots: Array | None) -> list[QPointF]:
    return [QPointF(x, y) for x, y in dots if np.isfinite(x + y)] if dots is not None else []


def bounds(lines: list[Line]) -> QRectF:
    """The rectangle that holds all finite points of the lines; null where there are none."""
    xs = [line.x[np.isfinite(line.x)] for line in lines]
    ys = [line.y[np.isfinite(line.y)] for line in lines]
    if not any(map(len, xs)) or not any(map(len, ys)):
        return QRectF()
    left, right = min(x.min() for x in xs if len(x)), max(x.max() for x in xs if len(x))
    low, high = min(y.min() for y in ys if len(y)), max(y.max() for y in ys if len(y))
    return QRectF(left, low, max(right - left, 1e-300), max(high - low, 1e-300))

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
_AROUND = 4
"""Of a line only what lies within so many times the window is drawn."""
_FAR = 1e6
"""Clipping boxes from the window's middle: whatever lies further off is no longer told apart."""


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
        self._drawn_for: QRectF | None = None
        """The window that the polygons were clipped for; None before there are any."""

    def show_lines(self, lines: list[Line]) -> None:
        """Replace what is drawn."""
        self.prepareGeometryChange()
        self._lines = lines
        self._drawn_for = None
        self.update()

    def boundingRect(self) -> QRectF:
        """The window, however far the lines go: Qt repaints nothing for a rectangle that overflows its pixels."""
        return QRectF(self.viewRect() or QRectF())

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, *_: Any) -> None:
        window = self.boundingRect()
        if window != self._drawn_for:
            self._drawn_for = window
            self._polygons = [_polygons(line, window) for line in self._lines]
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
                if window.contains(point):
                    painter.drawEllipse(to_screen.map(point), _DOT, _DOT)
        painter.setWorldTransform(to_screen)


def _polygons(line: Line, window: QRectF) -> list[QPolygonF]:
    """The stretches of a line between its NaNs, clipped to a few times the window."""
    finite = np.isfinite(line.x) & np.isfinite(line.y)
    if not finite.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([0], finite.view(np.int8), [0]))))
    stretches = zip(edges[::2], edges[1::2], strict=True)
    pieces = [piece for a, b in stretches for piece in clipped(line.x[a:b], line.y[a:b], window)]
    return [pg.functions.arrayToQPolygonF(x, y) for x, y in pieces]


def clipped(x: Array, y: Array, window: QRectF) -> list[tuple[Array, Array]]:
    """The pieces of a polyline of finite points within `_AROUND` times the window (Liang and Barsky, 1984)."""
    if window.isEmpty():
        return [(x, y)]
    middle = np.array([window.center().x(), window.center().y()])
    # In units of the clipping box. What is very far is pulled nearer on its ray, to where differences are exact enough;
    # a loss of 1e226 over a window of 1e-90 is beyond all numbers before it is.
    with np.errstate(over="ignore"):
        half = 0.5 * _AROUND * np.array([window.width(), window.height()])
        points = np.clip(np.stack((x, y), 1) / half - middle / half, -1e150, 1e150)
    distance = np.abs(points).max(1, keepdims=True)
    if (distance <= 1).all():
        return [(x, y)]
    points *= _FAR / np.maximum(distance, _FAR)
    begin, along = points[:-1], np.diff(points, axis=0)
    still = along == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        walls = np.stack(((-1 - begin) / along, (1 - begin) / along))
    first = np.where(still, 0.0, walls.min(0)).max(1).clip(min=0)
    last = np.where(still, 1.0, walls.max(0)).min(1).clip(max=1)
    outside = (still & (np.abs(begin) > 1)).any(1)
    pieces: list[list[Array]] = []
    reached = -1
    for i in np.flatnonzero(~outside & (first <= last)).tolist():
        if reached != i or first[i] > 0:
            pieces.append([begin[i] + first[i] * along[i]])
        pieces[-1].append(begin[i] + last[i] * along[i])
        reached = i + 1 if last[i] == 1 else -1
    ends = [np.stack(piece) * half + middle for piece in pieces]
    return [(end[:, 0], end[:, 1]) for end in ends]


def _points(dots: Array | None) -> list[QPointF]:
    return [QPointF(x, y) for x, y in dots if np.isfinite(x) and np.isfinite(y)] if dots is not None else []


def bounds(lines: list[Line]) -> QRectF:
    """The rectangle that holds all finite points of the lines; null where there are none."""
    xs = [line.x[np.isfinite(line.x)] for line in lines]
    ys = [line.y[np.isfinite(line.y)] for line in lines]
    if not any(map(len, xs)) or not any(map(len, ys)):
        return QRectF()
    left, right = min(x.min() for x in xs if len(x)), max(x.max() for x in xs if len(x))
    low, high = min(y.min() for y in ys if len(y)), max(y.max() for y in ys if len(y))
    return QRectF(left, low, max(right - left, 1e-300), max(high - low, 1e-300))

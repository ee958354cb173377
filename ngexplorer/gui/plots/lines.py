"""One graphics item for all the lines of a plot: drawing costs pixels, not runs and not steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPaintEngine, QPainter, QPainterPath, QPen, QPolygonF, QTransform

Array = NDArray[np.float64]

_DOT = 3.5
"""The radius of a dot, pixels."""
_RING, _TRIANGLE = 5.5, 3.0
"""The radius of a ring; half the width of a triangle, pixels."""
_SHADE = 0.22
"""How strongly a band is shaded."""
_ROUND = ((0.0, -0.42), (0.36, 0.21), (-0.36, 0.21))
"""A line of 1 pixel at these three places looks as one of 1.8, and is drawn faster (1,200 points in 0.27 ms, not 5.2):
Qt has a quick way for lines of up to one pixel only, whose dashes are uneven, so that these are cut here too."""
_TANGLE = 5000
"""Pixels of length from which a line goes up and down so often that neither its dashes nor its width can be told."""
_DASHES: dict[Qt.PenStyle, tuple[float, ...]] = {
    Qt.PenStyle.DashLine: (5.0, 2.6),
    Qt.PenStyle.DotLine: (1.4, 2.0),
    Qt.PenStyle.DashDotLine: (5.0, 2.2, 1.4, 2.2),
}
"""Drawn and left out in turns, in widths of the line."""
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
    dot: float = _DOT
    """The radius of such a mark, pixels."""
    triangles: Array | None = None
    """Places to mark by hollow triangles, (K, 2)."""
    rings: Array | None = None
    """Places to mark by a ring, (K, 2)."""
    below: Array | None = None
    """Where along x there are points that this axis cannot show: a triangle at its lower end, (K,)."""
    band: tuple[Array, Array] | None = None
    """The lower and upper edge of what is shaded around it."""


def pen(colour: Any, width: float = 1.5, style: Qt.PenStyle = Qt.PenStyle.SolidLine, alpha: float = 1.0) -> QPen:
    """A pen of constant width on the screen."""
    shade = QColor(colour)
    return _pen(shade.rgb(), width, style, alpha * shade.alphaF(), True)


@lru_cache(1024)
def _pen(rgb: int, width: float, style: Qt.PenStyle, alpha: float, cosmetic: bool) -> QPen:
    # Each call into Qt may wait for the runs to let go of the interpreter: none is made twice.
    shade = QColor(rgb)
    shade.setAlphaF(alpha)
    made = QPen(shade, width, style, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    made.setCosmetic(cosmetic)
    return made


def _plain(cosmetic: QPen, scale: float) -> QPen:
    """The same pen, its width in the painter's own units, so many times as thick."""
    colour = cosmetic.color()
    return _pen(colour.rgb(), scale * cosmetic.widthF(), cosmetic.style(), colour.alphaF(), False)


class Lines(pg.GraphicsObject):
    """All lines of a plot, drawn in order, later ones above."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._strokes: list[tuple[QPen, QPainterPath]] = []
        self._marks: list[tuple[QPen, QPolygonF | QPainterPath]] = []
        self.scale_of_pens = 1.0
        """How many times as thick lines and marks are drawn: for a projector."""
        self._drawn_for: Any = None
        """The window that the polygons were clipped for, and its place; None before there are any."""

    def show_lines(self, lines: list[Line]) -> None:
        """Replace what is drawn."""
        self.prepareGeometryChange()
        self._lines = lines
        self._drawn_for = None
        self.update()

    @property
    def shown(self) -> list[Line]:
        """What is drawn."""
        return self._lines

    def boundingRect(self) -> QRectF:
        """The window, however far the lines go: Qt repaints nothing for a rectangle that overflows its pixels."""
        return QRectF(self.viewRect() or QRectF())

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()

    def paint(self, painter: QPainter, *_: Any) -> None:
        window, to_scene = self.boundingRect(), self.sceneTransform()
        if (window, to_scene) != self._drawn_for:
            self._drawn_for = (window, to_scene)
            pieces = [_pieces(line, window, to_scene) for line in self._lines]
            self._strokes = [
                stroke
                for line, found in zip(self._lines, pieces, strict=True)
                if found
                for stroke in [_quick(line, found)]
            ]
            self._marks = [mark for line in self._lines for mark in _marks(line, window, to_scene)]
        # In pixels of the scene, whatever the scales of the axes: marks are round, and lines grow with a picture.
        before = painter.worldTransform()
        painter.setWorldTransform(to_scene.inverted()[0] * before)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_bands(painter, to_scene)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        thin = self.scale_of_pens == 1
        if thin and before.m11() == to_scene.m11() and painter.paintEngine().type() == QPaintEngine.Type.Raster:
            for made, path in self._strokes:
                painter.setPen(made)
                painter.drawPath(path)
        else:
            self._paint_exactly(painter, window, to_scene)
        for made, mark in self._marks:
            painter.setPen(made if thin else _plain(made, self.scale_of_pens))
            if isinstance(mark, QPolygonF):
                painter.drawPoints(mark)
            else:
                painter.drawPath(mark)
        painter.setWorldTransform(before)

    def _paint_exactly(self, painter: QPainter, window: QRectF, to_scene: QTransform) -> None:
        """For paper, and screens of more than one dot a pixel."""
        for line in self._lines:
            painter.setPen(_plain(line.pen, self.scale_of_pens))
            for x, y in _pieces(line, window, to_scene):
                painter.drawPolyline(pg.functions.arrayToQPolygonF(x, y))

    def _paint_bands(self, painter: QPainter, to_scene: QTransform) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        for line in self._lines:
            if line.band is None:
                continue
            low, high = line.band
            finite = np.isfinite(line.x) & np.isfinite(low) & np.isfinite(high)
            x = line.x[finite]
            around = np.concatenate((x, x[::-1])), np.concatenate((low[finite], high[finite][::-1]))
            shade = line.pen.color()
            shade.setAlphaF(_SHADE * shade.alphaF())
            painter.setBrush(shade)
            painter.drawPolygon(pg.functions.arrayToQPolygonF(*_mapped(*around, to_scene)))


def _triangles(xs: Array, window: QRectF, to_scene: QTransform) -> QPainterPath:
    """Small triangles that point down at the lower edge, no two in the same place."""
    path, last = QPainterPath(), -1e9
    for x in np.sort(xs[(xs >= window.left()) & (xs <= window.right())]).tolist():
        at = to_scene.map(QPointF(x, window.top()))
        if at.x() - last < 2 * _TRIANGLE:
            continue
        last = at.x()
        left, right = at + QPointF(-_TRIANGLE, -1.8 * _TRIANGLE), at + QPointF(_TRIANGLE, -1.8 * _TRIANGLE)
        path.addPolygon(QPolygonF([at - QPointF(0, 1), left, right, at - QPointF(0, 1)]))
    return path


def _mapped(x: Array, y: Array, to_scene: QTransform) -> tuple[Array, Array]:
    """A polyline of the plot in pixels of the scene, which is scaled and moved, not turned."""
    return to_scene.m11() * x + to_scene.dx(), to_scene.m22() * y + to_scene.dy()


def _pieces(line: Line, window: QRectF, to_scene: QTransform) -> list[tuple[Array, Array]]:
    """The stretches of a line between its NaNs, clipped to a few times the window, in pixels of the scene."""
    finite = np.isfinite(line.x) & np.isfinite(line.y)
    if not finite.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate(([0], finite.view(np.int8), [0]))))
    stretches = zip(edges[::2], edges[1::2], strict=True)
    pieces = [piece for a, b in stretches for piece in clipped(line.x[a:b], line.y[a:b], window)]
    return [_mapped(x, y, to_scene) for x, y in pieces]


def _quick(line: Line, pieces: list[tuple[Array, Array]]) -> tuple[QPen, QPainterPath]:
    """A line as one path and a pen of one pixel, its width made of several strokes and its dashes cut."""
    width, colour = line.pen.widthF(), line.pen.color()
    length = sum(float(np.abs(np.diff(x)).sum() + np.abs(np.diff(y)).sum()) for x, y in pieces)
    tangled = length > _TANGLE
    places = _ROUND if width > 1.3 and colour.alphaF() == 1 and not tangled else ((0.0, 0.0),)
    pattern = None if tangled else _DASHES.get(line.pen.style())
    parts = []
    for x, y in pieces:
        connected = np.ones(len(x), dtype=np.int32)
        if pattern is not None:
            x, y, connected = dashed(x, y, np.array(pattern) * max(width, 1.0))
        connected[-1] = 0
        parts += [(x + right, y + down, connected) for right, down in places]
    x, y, connected = (np.concatenate(found) for found in zip(*parts, strict=True))
    pen = _pen(colour.rgb(), 1.0, Qt.PenStyle.SolidLine, colour.alphaF(), True)
    return pen, pg.functions.arrayToQPath(x, y, connected)


def dashed(x: Array, y: Array, pattern: Array) -> tuple[Array, Array, NDArray[np.int32]]:
    """A polyline with points added where its dashes begin and end, and whether each point is joined to the next."""
    along = np.concatenate(([0.0], np.hypot(np.diff(x), np.diff(y)).cumsum()))
    period = float(pattern.sum())
    ends = (np.arange(int(along[-1] / period) + 1)[:, None] * period + pattern.cumsum()).reshape(-1)
    places = np.union1d(along, ends[ends < along[-1]])
    # What follows a place is drawn in every second stretch of the pattern, the first among them.
    stretch = np.searchsorted(ends, places, side="right") % len(pattern)
    drawn = (stretch % 2 == 0).astype(np.int32)
    return np.interp(places, along, x), np.interp(places, along, y), drawn


def _marks(line: Line, window: QRectF, to_scene: QTransform) -> list[tuple[QPen, QPolygonF | QPainterPath]]:
    """All marks of a line, those of a kind together."""
    colour = line.pen.color()
    rgb, alpha, found = colour.rgb(), colour.alphaF(), list[tuple[QPen, QPolygonF | QPainterPath]]()
    dots, triangles, rings = (
        _in_window(places, window, to_scene) for places in (line.dots, line.triangles, line.rings)
    )
    if dots is not None:
        found.append((_pen(rgb, 2 * line.dot, Qt.PenStyle.SolidLine, alpha, False), dots))
    for points, made in ((triangles, _hollow), (rings, _circles)):
        if points is not None:
            found.append((_pen(rgb, 1.3, Qt.PenStyle.SolidLine, alpha, False), made(points)))
    if line.below is not None and len(line.below):
        found.append((_pen(rgb, 1.2, Qt.PenStyle.SolidLine, alpha, False), _triangles(line.below, window, to_scene)))
    return found


def clipped(x: Array, y: Array, window: QRectF) -> list[tuple[Array, Array]]:
    """The pieces of a polyline of finite points within `_AROUND` times the window (Liang and Barsky, 1984)."""
    if window.isEmpty():
        return [(x, y)]
    middle = np.array([window.center().x(), window.center().y()])
    with np.errstate(over="ignore"):
        half = 0.5 * _AROUND * np.array([window.width(), window.height()])
        lowest, highest = middle - half, middle + half
    if x.min() >= lowest[0] and x.max() <= highest[0] and y.min() >= lowest[1] and y.max() <= highest[1]:
        return [(x, y)]
    # In units of the clipping box. What is very far is pulled nearer on its ray, to where differences are exact enough;
    # a loss of 1e226 over a window of 1e-90 is beyond all numbers before it is.
    with np.errstate(over="ignore"):
        points = np.clip(np.stack((x, y), 1) / half - middle / half, -1e150, 1e150)
    distance = np.abs(points).max(1, keepdims=True)
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


def _in_window(places: Array | None, window: QRectF, to_scene: QTransform) -> QPolygonF | None:
    """Those of the places (K, 2) that are in the window, in pixels; None where none is."""
    if places is None:
        return None
    x, y = places.T
    inside = (x >= window.left()) & (x <= window.right()) & (y >= window.top()) & (y <= window.bottom())
    if not inside.any():
        return None
    return pg.functions.arrayToQPolygonF(*_mapped(x[inside], y[inside], to_scene))


def _hollow(points: QPolygonF) -> QPainterPath:
    """Triangles that point down, around the points."""
    path, size = QPainterPath(), _TRIANGLE
    for point in points:
        corners = ((0.0, size), (-size, -size), (size, -size), (0.0, size))
        path.addPolygon(QPolygonF([point + QPointF(*corner) for corner in corners]))
    return path


def _circles(points: QPolygonF) -> QPainterPath:
    path = QPainterPath()
    for point in points:
        path.addEllipse(point, _RING, _RING)
    return path


def bounds(lines: list[Line]) -> QRectF:
    """The rectangle that holds all finite points of the lines; null where there are none."""
    xs = [line.x[np.isfinite(line.x)] for line in lines]
    ys = [line.y[np.isfinite(line.y)] for line in lines]
    if not any(map(len, xs)) or not any(map(len, ys)):
        return QRectF()
    left, right = min(x.min() for x in xs if len(x)), max(x.max() for x in xs if len(x))
    low, high = min(y.min() for y in ys if len(y)), max(y.max() for y in ys if len(y))
    return QRectF(left, low, max(right - left, 1e-300), max(high - low, 1e-300))

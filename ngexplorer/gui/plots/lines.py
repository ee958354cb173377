"""One graphics item for all the lines of a plot: drawing costs pixels, not runs and not steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPaintEngine, QPainter, QPainterPath, QPen, QPixmap, QPolygonF, QTransform

from ngexplorer.gui.plots.guarded import guarded
from ngexplorer.gui.plots.strokes import Array, Flags, Strokes, dashed, mapped, strokes

Places = tuple[tuple[float, float], ...]

_DOT = 3.5
"""The radius of a dot, pixels."""
_RING, _TRIANGLE = 5.5, 3.0
"""The radius of a ring; half the width of a triangle, pixels."""
_CORNERS = _TRIANGLE * np.array([[0.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [0.0, 1.0]])
_SHADE = 0.22
"""How strongly a band is shaded."""
_ROUND = ((0.0, -0.42), (0.36, 0.21), (-0.36, 0.21))
"""A line of 1 pixel at these three places looks as one of 1.8, and is drawn faster (1,200 points in 0.27 ms, not 5.2):
Qt has a quick way for lines of up to one pixel only, whose dashes are uneven, so that these are cut here too."""
_ONCE = ((0.0, 0.0),)
_BROAD = ((-0.15, -0.1), (0.15, 0.1))
"""A little wider than once."""
_TANGLE = 5000
"""Pixels of length from which a line goes up and down so often that neither its dashes nor its width can be told."""
_DASHES: dict[Qt.PenStyle, tuple[float, float, float, float]] = {
    Qt.PenStyle.DashLine: (5.0, 2.6, 5.0, 2.6),
    Qt.PenStyle.DotLine: (1.4, 2.0, 1.4, 2.0),
    Qt.PenStyle.DashDotLine: (5.0, 2.2, 1.4, 2.2),
}
"""Drawn and left out in turns, in widths of the line."""
_KINDS = ("dots", "triangles", "rings")


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
    until: float | None = None
    """Of a line whose x never falls: from where on it is drawn with the pen `after`; None: nowhere."""
    after: QPen | None = None

    def same_path(self, other: Line) -> bool:
        """Whether the other is drawn along the same points with the same pen."""
        return self.x is other.x and self.y is other.y and self.pen is other.pen

    @property
    def parts(self) -> list[tuple[QPen, Array, Array]]:
        """What is drawn with each of the two pens."""
        if self.until is None or self.after is None:
            return [(self.pen, self.x, self.y)]
        reached = int(np.searchsorted(self.x, self.until, side="right"))
        later = slice(max(reached - 1, 0), None)
        return [(self.after, self.x[later], self.y[later]), (self.pen, self.x[:reached], self.y[:reached])]


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


@dataclass(frozen=True)
class Stroke:
    """A line as it is drawn on the screen."""

    pen: QPen
    shape: QPolygonF | QPainterPath
    places: Places
    """Together they make its width."""


def _stroke(painter: QPainter, shape: QPolygonF | QPainterPath, pen: QPen, places: Places) -> None:
    """Draw a shape once at each of the places from where it is."""
    painter.setPen(pen)
    draw: Any = painter.drawPolyline if isinstance(shape, QPolygonF) else painter.drawPath
    for right, down in places:
        painter.translate(right, down)
        draw(shape)
        painter.translate(-right, -down)


class Lines(pg.GraphicsObject):
    """All lines of a plot, drawn in order, later ones above."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._strokes: dict[int, Stroke] | None = None
        """By the places of their lines; None until they are made, and so of the marks."""
        self._marks: list[tuple[QPen, QPolygonF | QPainterPath]] | None = None
        self._sheets: dict[bool, QPixmap] | None = None
        """The strokes as pictures, by their own pens and by those of what comes later: of lines that stay, while the
        place where the second pen begins moves."""
        self._stays = False
        self.scale_of_pens = 1.0
        """How many times as thick lines and marks are drawn: for a projector."""
        self._drawn_for: Any = None
        """The window that they were made for, and its place."""
        self._window: QRectF | None = None

    def show_lines(self, lines: list[Line]) -> None:
        """Replace what is drawn. Lines along the same arrays with the same pens are not made ready again."""
        same = len(lines) == len(self._lines) and all(map(Line.same_path, lines, self._lines))
        self._lines, self._marks, self._stays = lines, None, same
        if not same:
            self._strokes = self._sheets = None
        self.update()

    @property
    def shown(self) -> list[Line]:
        """What is drawn."""
        return self._lines

    def boundingRect(self) -> QRectF:
        """The window, however far the lines go: Qt repaints nothing for a rectangle that overflows its pixels."""
        if self._window is None:  # Qt asks for it several times a picture
            self._window = QRectF(self.viewRect() or QRectF())
        return self._window

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()
        self._window = None

    @guarded
    def paint(self, painter: QPainter, *_: Any) -> None:
        window, to_scene = self.boundingRect(), self.sceneTransform()
        if (window, to_scene) != self._drawn_for:
            self._drawn_for = (window, to_scene)
            self._strokes = self._marks = self._sheets = None
        if self._strokes is None:
            self._strokes = _quick(self._lines, window, to_scene)
        if self._marks is None:
            self._marks = _marks(self._lines, window, to_scene)
        # In pixels of the scene, whatever the scales of the axes: marks are round, and lines grow with a picture.
        before = painter.worldTransform()
        painter.setWorldTransform(to_scene.inverted()[0] * before)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_bands(painter, to_scene)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        thin = self.scale_of_pens == 1
        raster = painter.paintEngine().type() == QPaintEngine.Type.Raster
        quick = thin and raster and before.m11() == to_scene.m11()
        if quick:
            self._paint_quickly(painter, self._strokes, to_scene)
        else:
            self._paint_exactly(painter, window, to_scene)
        for made, mark in self._marks:
            painter.setPen(made if thin else _plain(made, self.scale_of_pens))
            if isinstance(mark, QPolygonF):
                painter.drawPoints(mark)
            elif quick:
                _stroke(painter, mark, _thin(made), _BROAD)
            else:
                painter.drawPath(mark)
        painter.setWorldTransform(before)

    def _paint_quickly(self, painter: QPainter, strokes: dict[int, Stroke], to_scene: QTransform) -> None:
        """For a screen: each line whole, or by its two pens on both sides of where the second begins."""
        sides: dict[float, list[int]] = {}
        for i, stroke in strokes.items():
            line = self._lines[i]
            if line.until is None:
                _stroke(painter, stroke.shape, stroke.pen, stroke.places)
            else:
                sides.setdefault(line.until, []).append(i)
        area = QRectF(to_scene.mapRect(self.boundingRect()).toAlignedRect())
        as_sheets = self._stays and len(sides) == 1
        for until, found in sides.items():
            if as_sheets and self._sheets is None:
                self._sheets = {later: self._sheet(strokes, found, area, later=later) for later in (True, False)}
            border = to_scene.m11() * until + to_scene.dx()
            for later in (True, False):
                painter.save()
                part = QRectF(area)
                (part.setLeft if later else part.setRight)(border)
                painter.setClipRect(part, Qt.ClipOperation.IntersectClip)
                if as_sheets and self._sheets is not None:
                    painter.drawPixmap(area.topLeft(), self._sheets[later])
                else:
                    self._paint_side(painter, strokes, found, later=later)
                painter.restore()

    def _sheet(self, strokes: dict[int, Stroke], found: list[int], area: QRectF, *, later: bool) -> QPixmap:
        sheet = QPixmap(area.size().toSize())
        sheet.fill(Qt.GlobalColor.transparent)
        painter = QPainter(sheet)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(-area.topLeft())
        self._paint_side(painter, strokes, found, later=later)
        painter.end()
        return sheet

    def _paint_side(self, painter: QPainter, strokes: dict[int, Stroke], found: list[int], *, later: bool) -> None:
        for i in found:
            stroke, after = strokes[i], self._lines[i].after
            if not later:
                _stroke(painter, stroke.shape, stroke.pen, stroke.places)
            elif after is not None:
                _stroke(painter, stroke.shape, _thin(after), _ONCE)

    def _paint_exactly(self, painter: QPainter, window: QRectF, to_scene: QTransform) -> None:
        """For paper, and screens of more than one dot a pixel."""
        parts = [part for line in self._lines for part in line.parts]
        found = strokes([(x, y) for _, x, y in parts], window, to_scene)
        for (pen, _, _), (a, b) in zip(parts, pairwise(found.of_each(len(parts)).tolist()), strict=True):
            if b > a:
                painter.setPen(_plain(pen, self.scale_of_pens))
                painter.drawPath(_path(found.x[a:b], found.y[a:b], found.joined[a:b]))

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
            painter.drawPolygon(pg.functions.arrayToQPolygonF(*mapped(*around, to_scene)))


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


def _quick(lines: list[Line], window: QRectF, to_scene: QTransform) -> dict[int, Stroke]:
    """Each line that can be seen, by its place: for a pen of one pixel, its width made of several strokes and its
    dashes cut."""
    count = len(lines)
    found = strokes([(line.x, line.y) for line in lines], window, to_scene).thinned()
    tangled = found.lengths(count) > _TANGLE
    widths = [line.pen.widthF() for line in lines]
    patterns = np.zeros((count, 4))
    for i, line in enumerate(lines):
        if not tangled[i]:
            patterns[i] = _DASHES.get(line.pen.style(), 0.0)
            patterns[i] *= max(widths[i], 1.0)
    cut = patterns.any(1)
    dashes = dashed(found.only(cut), patterns)
    made = {}
    begins, cut_begins = found.of_each(count).tolist(), dashes.of_each(count).tolist()
    for i, line in enumerate(lines):
        source, (a, b) = (dashes, cut_begins[i : i + 2]) if cut[i] else (found, begins[i : i + 2])
        if a < b:
            wide = widths[i] > 1.3 and line.pen.color().alphaF() == 1 and not tangled[i]
            made[i] = Stroke(_thin(line.pen), _shape(source, a, b), _ROUND if wide else _ONCE)
    return made


def _thin(wide: QPen) -> QPen:
    colour = wide.color()
    return _pen(colour.rgb(), 1.0, Qt.PenStyle.SolidLine, colour.alphaF(), True)


def _shape(found: Strokes, a: int, b: int) -> QPolygonF | QPainterPath:
    """The points from a to before b; in one piece it is made in a tenth of the time."""
    x, y, joined = found.x[a:b], found.y[a:b], found.joined[a:b]
    if joined[:-1].all():
        return pg.functions.arrayToQPolygonF(x, y)
    return _path(x, y, joined)


def _path(x: Array, y: Array, joined: Flags) -> QPainterPath:
    return pg.functions.arrayToQPath(x, y, joined.astype(np.int32), finiteCheck=False)


def _marks(lines: list[Line], window: QRectF, to_scene: QTransform) -> list[tuple[QPen, QPolygonF | QPainterPath]]:
    """All marks, of each line those of a kind together."""
    kinds = [_in_window([getattr(line, kind) for line in lines], window, to_scene) for kind in _KINDS]
    found = list[tuple[QPen, QPolygonF | QPainterPath]]()
    for line, dots, triangles, rings in zip(lines, *kinds, strict=True):
        below = line.below is not None and len(line.below) > 0
        if not (len(dots) or len(triangles) or len(rings) or below):
            continue
        colour = line.pen.color()
        rgb, alpha = colour.rgb(), colour.alphaF()
        if len(dots):
            places = pg.functions.arrayToQPolygonF(*dots.T)
            found.append((_pen(rgb, 2 * line.dot, Qt.PenStyle.SolidLine, alpha, False), places))
        for points, made in ((triangles, _hollow), (rings, _circles)):
            if len(points):
                found.append((_pen(rgb, 1.3, Qt.PenStyle.SolidLine, alpha, False), made(points)))
        if below:
            assert line.below is not None
            path = _triangles(line.below, window, to_scene)
            found.append((_pen(rgb, 1.2, Qt.PenStyle.SolidLine, alpha, False), path))
    return found


def _in_window(places: list[Array | None], window: QRectF, to_scene: QTransform) -> list[Array]:
    """Those of each line's places (K, 2) that are in the window, in pixels."""
    none = np.empty((0, 2))
    if all(some is None for some in places):
        return [none] * len(places)
    given = [none if some is None else some for some in places]
    x, y = np.concatenate(given).T
    inside = (x >= window.left()) & (x <= window.right()) & (y >= window.top()) & (y <= window.bottom())
    kept = np.stack(mapped(x, y, to_scene), 1)[inside]
    ends = np.cumsum([0, *map(len, given)])
    places_of = np.concatenate(([0], inside.cumsum()))[ends].tolist()
    return [kept[a:b] for a, b in pairwise(places_of)]


def _hollow(points: Array) -> QPainterPath:
    """Triangles that point down, around the points."""
    corners = (points[:, None] + _CORNERS).reshape(-1, 2)
    joined = np.tile([True, True, True, False], len(points))
    return _path(corners[:, 0], corners[:, 1], joined)


def _circles(points: Array) -> QPainterPath:
    path = QPainterPath()
    for x, y in points.tolist():
        path.addEllipse(QPointF(x, y), _RING, _RING)
    return path


def bounds(lines: list[Line]) -> QRectF:
    """The rectangle that holds all finite points of the lines; null where there are none."""
    x, y = (np.concatenate([np.empty(0), *(getattr(line, side) for line in lines)]) for side in "xy")
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if not len(x) or not len(y):
        return QRectF()
    left, right, low, high = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    return QRectF(left, low, max(right - left, 1e-300), max(high - low, 1e-300))

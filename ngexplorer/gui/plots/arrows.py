"""Arrows from one point, each with its name beside its tip; the names make room for each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.guarded import guarded

_HEAD, _WIDE = 9.0, 3.6
"""Pixels: the length of a head, and half its width."""
_HEIGHT, _EDGE = 15.0, 4.0
"""Pixels: how high a name is, and the room inside its ends."""
_ROOM = 26.0
"""Pixels that a shortened arrow keeps from the edge of the plot, for its name."""
_SAME = 3.0
"""Pixels within which two tips are one, and share a name."""
_EQUAL = 1e-6
"""Of their length, within which two arrows are equal and not just near each other."""
_LEAST = 2.0
"""Pixels below which an arrow is a dot."""


@dataclass(frozen=True)
class Arrow:
    """From the common point by (x, y) of the plot."""

    x: float
    y: float
    name: str
    colour: QColor
    style: Qt.PenStyle = Qt.PenStyle.SolidLine


@dataclass(frozen=True)
class Label:
    """A name where it is written."""

    box: QRectF
    text: str
    colour: QColor


class ArrowItem(pg.GraphicsObject):
    """All arrows of a plot. One that would leave it is shortened, and its name says to which part of its length."""

    def __init__(self, theme: themes.Theme) -> None:
        super().__init__()
        self.origin = QPointF()
        self.arrows: list[Arrow] = []
        self.labels: list[Label] = []
        """Where the names were last written, in pixels."""
        self._theme = theme
        self._font = themes.font(11)

    def show_arrows(self, origin: tuple[float, float], arrows: list[Arrow], theme: themes.Theme) -> None:
        """Replace what is drawn."""
        self.prepareGeometryChange()
        self.origin, self.arrows, self._theme = QPointF(*origin), arrows, theme
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(self.viewRect() or QRectF())

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()

    def tips(self, area: QRectF, start: QPointF, ends: Sequence[QPointF]) -> list[tuple[QPointF, float]]:
        """Where arrows in pixels end, and which part of their length that is."""
        inside = area.adjusted(_ROOM, _ROOM, -_ROOM, -_ROOM)
        return [_shortened(start, end, inside) for end in ends]

    @guarded
    def paint(self, painter: QPainter, *_: Any) -> None:
        before, to_scene = painter.worldTransform(), self.sceneTransform()
        area = to_scene.mapRect(self.boundingRect())
        painter.setWorldTransform(to_scene.inverted()[0] * before)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        start = to_scene.map(self.origin)
        ends = [to_scene.map(self.origin + QPointF(arrow.x, arrow.y)) for arrow in self.arrows]
        found = self.tips(area, start, ends)
        for arrow, (tip, _share) in zip(self.arrows, found, strict=True):
            _draw(painter, start, tip, arrow)
        self.labels = self._placed(area, start, found)
        ground = QColor(self._theme.panel)
        ground.setAlphaF(0.8)
        painter.setFont(self._font)
        for label in self.labels:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ground)
            painter.drawRoundedRect(label.box, 3, 3)
            painter.setPen(label.colour)
            painter.drawText(label.box, Qt.AlignmentFlag.AlignCenter, label.text)
        painter.setWorldTransform(before)

    def _placed(self, area: QRectF, start: QPointF, found: list[tuple[QPointF, float]]) -> list[Label]:
        """Names beside their tips, one for all that end in one place, none over another as far as there is room."""
        groups: list[list[int]] = []
        for i, (tip, _) in enumerate(found):
            for group in groups:
                if _distance(found[group[0]][0], tip) < _SAME:
                    group.append(i)
                    break
            else:
                groups.append([i])
        taken: list[QRectF] = [QRectF(tip.x() - 3, tip.y() - 3, 6, 6) for tip, _ in found]
        taken.append(QRectF(start.x() - 5, start.y() - 5, 10, 10))
        labels = []
        for group in groups:
            same = all(_equal(self.arrows[group[0]], self.arrows[i]) for i in group)
            text = (" = " if same else " ≈ ").join(_named(self.arrows[i].name, found[i][1]) for i in group)
            width = QFontMetricsF(self._font).horizontalAdvance(text) + 2 * _EDGE
            box = _free(area, start, found[group[0]][0], width, taken)
            taken.append(box)
            # Text needs more contrast than a line.
            colour = themes.readable(self.arrows[group[0]].colour.name(), self._theme)
            labels.append(Label(box, text, colour))
        return labels


def _named(name: str, share: float) -> str:
    return name if share >= 1 else f"{name} × {share:.2g}"


def _equal(one: Arrow, other: Arrow) -> bool:
    return math.hypot(one.x - other.x, one.y - other.y) <= _EQUAL * math.hypot(one.x, one.y)


def _distance(one: QPointF, other: QPointF) -> float:
    return math.hypot(one.x() - other.x(), one.y() - other.y())


def _shortened(start: QPointF, end: QPointF, inside: QRectF) -> tuple[QPointF, float]:
    """The tip of an arrow that stays inside, and its share of the whole length."""
    along = end - start
    share = 1.0
    for low, high, at, by in (
        (inside.left(), inside.right(), start.x(), along.x()),
        (inside.top(), inside.bottom(), start.y(), along.y()),
    ):
        room = (high - at) if by > 0 else (at - low)
        if abs(by) > room > 0:
            share = min(share, room / abs(by))
    return start + share * along, share


def _draw(painter: QPainter, start: QPointF, tip: QPointF, arrow: Arrow) -> None:
    length = _distance(start, tip)
    painter.setBrush(arrow.colour)
    if length < _LEAST:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(tip, _LEAST, _LEAST)
        return
    ahead = (tip - start) / length
    aside = QPointF(-ahead.y(), ahead.x())
    head = min(_HEAD, length)
    neck = tip - head * ahead
    painter.setPen(QPen(arrow.colour, 1.8, arrow.style, Qt.PenCapStyle.FlatCap))
    painter.drawLine(start, neck)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawPolygon(QPolygonF([tip, neck + _WIDE * aside, neck - _WIDE * aside]))


def _free(area: QRectF, start: QPointF, tip: QPointF, width: float, taken: list[QRectF]) -> QRectF:
    """The place for a name near a tip that covers least of what is taken; beyond the tip rather than over the shaft."""
    length = _distance(start, tip)
    ahead = (tip - start) / length if length > 0 else QPointF(1, 0)
    best, least = QRectF(), math.inf
    for away in (6.0, 20.0, 36.0, 54.0):
        for turn in (0, 45, -45, 90, -90, 135, -135):
            cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            x = ahead.x() * cosine - ahead.y() * sine
            y = ahead.x() * sine + ahead.y() * cosine
            middle = tip + QPointF(x * (away + width / 2), y * (away + _HEIGHT / 2))
            box = QRectF(middle.x() - width / 2, middle.y() - _HEIGHT / 2, width, _HEIGHT)
            box.moveLeft(min(max(box.left(), area.left() + 2), max(area.left() + 2, area.right() - width - 2)))
            box.moveTop(min(max(box.top(), area.top() + 2), area.bottom() - _HEIGHT - 2))
            covered = sum(_common(box, other) for other in taken)
            cost = 10 * covered + away + 0.02 * abs(turn)
            if cost < least:
                best, least = box, cost
    return best


def _common(one: QRectF, other: QRectF) -> float:
    both = one.adjusted(-1, -1, 1, 1).intersected(other)
    return both.width() * both.height() if both.isValid() else 0.0

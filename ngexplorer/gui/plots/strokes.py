"""Polylines made ready to be drawn, all of a plot at once: broken at their gaps, clipped, dashed, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QTransform

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

_AROUND = 4
"""Of a line only what lies within so many times the window is drawn."""
_FAR = 1e6
"""Clipping boxes from the window's middle: whatever lies further off is no longer told apart."""

_PASSES = 3
"""In each of them up to half of the points go."""
_DETOUR, _NEAR = 0.01, 8.0
"""Pixels: how much longer the way over a point that goes is at most, and how far its neighbours are from each other."""


@dataclass(frozen=True)
class Strokes:
    """Points of several polylines one after the other, (N,), of which each may be joined to the next."""

    x: Array
    y: Array
    joined: Flags
    line: Places
    """Whose point it is, ascending."""

    def only(self, lines: Flags) -> Strokes:
        """Those of some of the lines."""
        kept = lines[self.line]
        return Strokes(self.x[kept], self.y[kept], self.joined[kept], self.line[kept])

    def thinned(self) -> Strokes:
        """Without points that can hardly be told from the way past them: a segment takes as long to draw as pixels."""
        found = self
        for _ in range(_PASSES):
            across, down = np.diff(found.x), np.diff(found.y)
            steps = np.hypot(across, down)
            past = np.hypot(across[:-1] + across[1:], down[:-1] + down[1:])
            kept = np.ones(len(found.x), bool)
            idle = (steps[:-1] + steps[1:] - past < _DETOUR) & (past < _NEAR) & found.joined[:-2] & found.joined[1:-1]
            kept[1:-1:2] = ~idle[::2]
            if kept.all():
                break
            found = Strokes(found.x[kept], found.y[kept], found.joined[kept], found.line[kept])
        return found

    def lengths(self, lines: int) -> Array:
        """Across and down together, of each of so many lines."""
        steps = np.abs(np.diff(self.x)) + np.abs(np.diff(self.y))
        return np.bincount(self.line[:-1], steps * self.joined[:-1], lines)

    def of_each(self, lines: int) -> Places:
        """Where the points of each line begin, and an end, (lines + 1,)."""
        return np.searchsorted(self.line, np.arange(lines + 1))


def strokes(lines: list[tuple[Array, Array]], window: QRectF, to_scene: QTransform) -> Strokes:
    """The polylines (x, y) without what is NaN, clipped to a few times the window, in pixels of the scene; the scene is
    scaled and moved, not turned."""
    found = _joined(lines)
    away = _away(found, window)
    if len(away):
        pieces = [(i, piece) for i in away for piece in _clipped_line(found, i, window)]
        found = _put_in(found, away, pieces)
    x, y = mapped(found.x, found.y, to_scene)
    return Strokes(x, y, found.joined, found.line)


def mapped(x: Array, y: Array, to_scene: QTransform) -> tuple[Array, Array]:
    """Places of the plot in pixels of the scene."""
    return to_scene.m11() * x + to_scene.dx(), to_scene.m22() * y + to_scene.dy()


def _joined(lines: list[tuple[Array, Array]]) -> Strokes:
    nothing = np.empty(0)
    x = np.concatenate([nothing, *(x for x, _ in lines)])
    y = np.concatenate([nothing, *(y for _, y in lines)])
    line = np.repeat(np.arange(len(lines)), [len(x) for x, _ in lines])
    finite = np.isfinite(x) & np.isfinite(y)
    joined = np.zeros(len(x), bool)
    joined[:-1] = finite[1:] & (line[1:] == line[:-1])
    if finite.all():
        return Strokes(x, y, joined, line)
    return Strokes(x[finite], y[finite], joined[finite], line[finite])


def _away(found: Strokes, window: QRectF) -> list[int]:
    """The lines that leave the clipping box."""
    if window.isEmpty() or not len(found.x):
        return []
    (left, low), (right, high) = _box(window)
    out = (found.x < left) | (found.x > right) | (found.y < low) | (found.y > high)
    return np.unique(found.line[out]).tolist() if out.any() else []


def _clipped_line(found: Strokes, line: int, window: QRectF) -> list[tuple[Array, Array]]:
    """The pieces of one of the lines."""
    a, b = np.searchsorted(found.line, (line, line + 1))
    ends = a + np.flatnonzero(~found.joined[a:b]) + 1
    begins = [a, *ends[:-1]]
    return [piece for i, j in zip(begins, ends, strict=True) for piece in clipped(found.x[i:j], found.y[i:j], window)]


def _put_in(found: Strokes, away: list[int], pieces: list[tuple[int, tuple[Array, Array]]]) -> Strokes:
    """The strokes with the pieces of those lines in their place."""
    stay = ~np.isin(found.line, away)
    xs, ys, joins, whose = [found.x[stay]], [found.y[stay]], [found.joined[stay]], [found.line[stay]]
    for line, (x, y) in pieces:
        joined = np.ones(len(x), bool)
        joined[-1] = False
        for parts, part in zip((xs, ys, joins, whose), (x, y, joined, np.full(len(x), line)), strict=True):
            parts.append(part)
    x, y, joined, line = (np.concatenate(parts) for parts in (xs, ys, joins, whose))
    order = np.argsort(line, kind="stable")
    return Strokes(x[order], y[order], joined[order], line[order])


def _box(window: QRectF) -> tuple[Array, Array]:
    middle = np.array([window.center().x(), window.center().y()])
    with np.errstate(over="ignore"):
        half = 0.5 * _AROUND * np.array([window.width(), window.height()])
        return middle - half, middle + half


def clipped(x: Array, y: Array, window: QRectF) -> list[tuple[Array, Array]]:
    """The pieces of a polyline of finite points within `_AROUND` times the window (Liang and Barsky, 1984)."""
    if window.isEmpty():
        return [(x, y)]
    lowest, highest = _box(window)
    if x.min() >= lowest[0] and x.max() <= highest[0] and y.min() >= lowest[1] and y.max() <= highest[1]:
        return [(x, y)]
    # In units of the clipping box. What is very far is pulled nearer on its ray, to where differences are exact enough;
    # a loss of 1e226 over a window of 1e-90 is beyond all numbers before it is.
    middle = np.array([window.center().x(), window.center().y()])
    with np.errstate(over="ignore"):
        half = 0.5 * _AROUND * np.array([window.width(), window.height()])
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


def dashed(whole: Strokes, patterns: Array) -> Strokes:
    """The strokes with points added where their dashes begin and end, of which only the drawn ones are joined. A line's
    pattern, (lines, 4), is what is drawn and left out in turns, in pixels; it begins anew after each gap."""
    if not len(whole.x):
        return whole
    last = np.flatnonzero(~whole.joined)
    first = np.concatenate(([0], last[:-1] + 1))
    counts = last - first + 1
    # Along each stretch in periods of its pattern, every stretch beginning at a whole number.
    steps = np.hypot(np.diff(whole.x), np.diff(whole.y)) * whole.joined[:-1]
    along = np.concatenate(([0.0], steps.cumsum()))
    along -= np.repeat(along[first], counts)
    periods = patterns.sum(1)[whole.line]
    along /= periods
    room = np.floor(along[last]).astype(np.int64) + 1
    begin = room.cumsum() - room
    along += np.repeat(begin, counts)
    shares = patterns[whole.line[first]].cumsum(1) / periods[first, None]
    shares[:, -1] = 1.0
    ends = np.arange(room.sum())[:, None] + np.repeat(shares, room, axis=0)
    inside = ends < np.repeat(along[last], room)[:, None]
    places = np.sort(np.concatenate((along, ends[inside])), kind="stable")
    # What follows a place is drawn in every second part of the pattern, the first among them.
    drawn = np.searchsorted(ends.reshape(-1), places, side="right") % 2 == 0
    drawn[np.searchsorted(places, along[last], side="right") - 1] = False
    starts = np.searchsorted(places, along[first])
    line = np.repeat(whole.line[first], np.diff(np.concatenate((starts, [len(places)]))))
    return Strokes(np.interp(places, along, whole.x), np.interp(places, along, whole.y), drawn, line)

"""Where a column of a history is lowest and highest, stretch by stretch and at every scale, kept up as it grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ngexplorer.runs.history import History

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_BASE = 32
"""Rows of the smallest stretch that is remembered; each scale above has stretches twice as long."""
_AT_ONCE = 200_000
"""So many rows are read in one go at most: about two milliseconds."""
_FAN = 64
"""Into so many parts a search divides the rows at once."""


class Extremes:
    """A pyramid of lowest and highest rows: what can be seen of a million rows is found without reading them again.

    `read` rows are known so far; `grow` reads those that came since. NaN is neither low nor high.
    """

    def __init__(self, history: History, column: str) -> None:
        self.history = history
        self.column = column
        self.read = 0
        self._levels: list[_Level] = []

    def grow(self, most: int = _AT_ONCE) -> bool:
        """Read new rows, so many at most; whether all that are published are now read."""
        length = len(self.history)
        if self.read == length:
            return True
        until = min(length, self.read + most)
        start = self.read // _BASE * _BASE
        whole = until // _BASE * _BASE
        if whole > start:
            values = self.history.column(self.column, start, whole).reshape(-1, _BASE)
            self._add(_extremes(values) + np.array([[start], [start], [0], [0]]))
        self.read = until
        return until == length

    def _add(self, found: Array) -> None:
        for number in range(64):
            if number == len(self._levels):
                self._levels.append(_Level())
            level = self._levels[number]
            before = level.count // 2
            level.extend(found)
            after = level.count // 2
            if after == before:
                return
            found = _merged(level.entries[:, 2 * before : 2 * after])

    def chosen(self, first: int, last: int, wanted: int) -> Rows:
        """Rows from `first` to before `last`, all of them read: about so many stretches, of each the lowest and the
        highest row, and both ends; all rows where there are few. Ascending, (K,)."""
        last = min(last, self.read)
        if last - first <= 4 * wanted:
            return np.arange(first, max(last, first))
        size = (last - first) // wanted
        if size < _BASE:
            return _with_ends(self._directly(first, last, size), first, last)
        number = int(size // _BASE).bit_length() - 1
        length = _BASE << number
        level = self._levels[number]
        begin, end = -(-first // length), min(last // length, level.count)
        rows = level.entries[:2, begin:end].T.reshape(-1).astype(np.int64)
        parts = (self._directly(first, begin * length, length), rows, self._directly(end * length, last, length))
        return _with_ends(np.concatenate(parts), first, last)

    def _directly(self, first: int, last: int, size: int) -> Rows:
        """The lowest and highest rows of stretches of that size, from the rows themselves."""
        values = self.history.column(self.column, first, last)
        whole = len(values) // size * size
        found = [_extremes(values[:whole].reshape(-1, size))[:2] + first] if whole else []
        if whole < len(values):
            found.append(_extremes(values[None, whole:])[:2] + first + whole)
        return np.concatenate(found, axis=1).T.reshape(-1).astype(np.int64) if found else np.empty(0, np.int64)

    def lowest(self, until: int) -> int | None:
        """The first row before `until` where the column is lowest; None where all are NaN."""
        return self._extreme(until, 0)

    def highest(self, until: int) -> int | None:
        """The first row before `until` where the column is highest; None where all are NaN."""
        return self._extreme(until, 1)

    def _extreme(self, until: int, which: int) -> int | None:
        until = min(until, self.read)
        sign = 1.0 if which == 0 else -1.0
        best, found, at = np.inf, None, 0
        for number in reversed(range(len(self._levels))):
            length = _BASE << number
            if until - at >= length:
                row, value = self._levels[number].entries[[which, 2 + which], at // length]
                if sign * value < best:
                    best, found = sign * value, int(row)
                at += length
        rest = sign * self.history.column(self.column, at, until)
        if len(rest):
            place = int(rest.argmin())  # a NaN, where there is one
            if rest[place] != rest[place]:
                place = int(np.where(np.isnan(rest), np.inf, rest).argmin())
            if rest[place] < best:
                found = at + place
        return found

    def first_at_or_below(self, target: float) -> int | None:
        """The first row where the column is no more than that; None where it never is."""
        at = 0
        for number in reversed(range(len(self._levels))):
            length = _BASE << number
            # At most one stretch of each scale is passed before the next smaller one decides, but for the largest.
            while at // length < self._levels[number].count and self._levels[number].entries[2, at // length] > target:
                at += length
        values = self.history.column(self.column, at, self.read)
        below = np.flatnonzero(values <= target)
        return at + int(below[0]) if len(below) else None


class _Level:
    """Of every stretch of one scale the lowest and highest rows and their values, (4, count), room to grow behind."""

    def __init__(self) -> None:
        self.count = 0
        self._room = np.empty((4, 64))

    @property
    def entries(self) -> Array:
        return self._room[:, : self.count]

    def extend(self, found: Array) -> None:
        after = self.count + found.shape[1]
        if after > self._room.shape[1]:
            grown = np.empty((4, max(after, 2 * self._room.shape[1])))
            grown[:, : self.count] = self.entries
            self._room = grown
        self._room[:, self.count : after] = found
        self.count = after


def _extremes(values: Array) -> Array:
    """Of each row of values (K, size) the places of its lowest and highest, counted on through all rows, and both
    values, (4, K); of a row that is NaN throughout its first place, ∞ and −∞."""
    nothing = np.isnan(values)
    low = np.where(nothing, np.inf, values)
    high = np.where(nothing, -np.inf, values)
    across = np.arange(len(values))
    lowest, highest = low.argmin(1), high.argmax(1)
    start = across * values.shape[1]
    return np.stack((start + lowest, start + highest, low[across, lowest], high[across, highest]))


def _merged(entries: Array) -> Array:
    """Pairs of neighbouring stretches as one each, (4, 2K) → (4, K)."""
    first, second = entries[:, ::2], entries[:, 1::2]
    lower, higher = second[2] < first[2], second[3] > first[3]
    return np.stack(
        (
            np.where(lower, second[0], first[0]),
            np.where(higher, second[1], first[1]),
            np.where(lower, second[2], first[2]),
            np.where(higher, second[3], first[3]),
        )
    )


def _with_ends(rows: Rows, first: int, last: int) -> Rows:
    found = np.concatenate(([first], rows, [last - 1]))
    found.sort(kind="stable")  # nearly so already
    return found[np.concatenate(([True], found[1:] > found[:-1]))]


def row_at(history: History, column: str, value: float) -> int:
    """The last row whose entry of a column that never falls is at most that value; −1 where none is."""
    low, high = -1, len(history)  # the answer is in [low, high)
    while high - low > 1:
        probes = np.unique(np.linspace(low, high, min(_FAN, high - low) + 1).astype(np.int64)[1:-1])
        reached = int(np.searchsorted(history.values(column, probes), value, side="right"))
        low, high = (
            int(probes[reached - 1]) if reached else low,
            int(probes[reached]) if reached < len(probes) else high,
        )
    return low

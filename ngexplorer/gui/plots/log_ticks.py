"""The numbers along a logarithmic axis: whole decades, and round numbers between them where few of those are seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

_FEW = 4
"""So many numbers at least stand along an axis where there is room."""
_EDGE, _APART = 7.0, 20.0
"""Pixels: a number nearer to an end of the axis is not written, nor one nearer to another."""
_NARROW = 0.3
"""In less of a decade numbers have more than one digit."""
_DIGITS = 6
"""So many at most are looked for to tell the two ends of an axis apart."""


def log_ticks(low: float, high: float, size: float) -> tuple[list[float], list[float]]:
    """Logarithms of the decades, and of what else stands along an axis from `low` to `high` (both log₁₀) of `size`
    pixels. At least two of them all can be written, however narrow it is, down to 1 part in 10⁶."""
    pixel = (high - low) / max(size, 1.0)
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    coarsest = max(1, math.ceil((last - first + 1) / max(size / 40, 1)))
    for step in range(coarsest, 0, -1):
        decades = [float(v) for v in range(first, last + 1) if v % step == 0]
        written = [v for v in decades if low + _EDGE * pixel <= v <= high - _EDGE * pixel]
        if len(written) >= 2:
            break
    if high - low >= 2 and len(written) >= 2:
        return decades, []
    return decades, between_decades(low, high, written, size)


def between_decades(low: float, high: float, decades: list[float], size: float = math.inf) -> list[float]:
    """Logarithms of a few round numbers within two decades or little more, where those decades are marked already."""
    pixel = (high - low) / size
    # Where numbers are long a power of ten that they are multiples of stands above them.
    bottom, top = low + _EDGE * pixel, high - (_APART if high - low < _NARROW else _EDGE) * pixel
    for chosen, least in _choices(low, high):
        found = [v for v in chosen if all(abs(v - decade) > 1e-9 for decade in decades)]
        seen = sorted(v for v in (*decades, *found) if bottom <= v <= top)
        apart = min((b - a for a, b in pairwise(seen)), default=0.0)
        if len(seen) >= 2 and len(decades) + len(found) >= least and apart >= _APART * pixel:
            return found
    return _ends(bottom, top)


def _choices(low: float, high: float) -> Iterator[tuple[list[float], int]]:
    """What may be marked, the best first, and how many that should make at least: 2 and 5; 3 and 7 too where these are
    few; even steps where they all are; fewer where there is no room."""
    exponents = range(math.floor(low), math.ceil(high))

    def multiples(*of: int) -> list[float]:
        return [v for k in exponents for m in of if low <= (v := k + math.log10(m)) <= high]

    yield multiples(2, 5), _FEW
    yield multiples(2, 3, 5, 7), _FEW
    for few in range(_FEW, 1, -1):
        yield _even(low, high, few), 0
    for of in ((2, 5), (3,), (5,), (2,)):
        yield multiples(*of), 0


def _even(low: float, high: float, few: int) -> list[float]:
    """Logarithms of round numbers in even steps, so many of them at least."""
    least, span = 10.0**low, 10.0**high - 10.0**low
    power = 10.0 ** math.floor(math.log10(span / few))
    step = max((m * power for m in (1, 2, 5) if m * power <= span / few), default=power)
    first = math.ceil(least / step)
    return [math.log10(k * step) for k in range(first, first + 4 * _FEW) if low <= math.log10(k * step) <= high]


def _ends(low: float, high: float) -> list[float]:
    """Logarithms of the roundest two numbers near the ends."""
    for digits in range(_DIGITS):
        unit = 10.0 ** (math.floor(low) - digits)
        least, most = math.ceil(10.0**low / unit), math.floor(10.0**high / unit)
        if most > least:
            return [math.log10(least * unit), math.log10(most * unit)]
    return []

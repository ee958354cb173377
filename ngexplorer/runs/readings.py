"""What instruments have read along a run: a few numbers, or a few of each layer, at the steps they looked at."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_step_of = attrgetter("step")


@dataclass(frozen=True)
class Reading:
    """What one instrument read at the θ of one step.

    values: one number a name, (K,), or one of each layer in θ's order, (K, layers); float64, NaN where there is none,
    which `reason` tells in a line. `names` are the instrument's own; see `ngexplorer.runs.instruments`.
    """

    step: int
    instrument: str
    names: tuple[str, ...]
    values: Array
    reason: str = ""

    def __getitem__(self, name: str) -> Any:
        """The number of that name, or those of all layers, (layers,). Raises KeyError, naming those there are."""
        if name not in self.names:
            raise KeyError(f"{self.instrument} reads no {name!r}; it reads {', '.join(self.names)}")
        return self.values[self.names.index(name)]


class Readings:
    """The readings of a run by their instrument, in the order of their steps. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._by_instrument: dict[str, list[Reading]] = {}

    def __len__(self) -> int:
        """How many there are, of all instruments."""
        return sum(map(len, list(self._by_instrument.values())))

    def __iter__(self) -> Iterator[Reading]:
        for found in list(self._by_instrument.values()):
            yield from list(found)

    def append(self, reading: Reading) -> None:
        """Add one, of a later step than those of its instrument before."""
        self._by_instrument.setdefault(reading.instrument, []).append(reading)

    def of(self, instrument: str) -> list[Reading]:
        """All of one instrument; none where it never looked."""
        return list(self._by_instrument.get(instrument, ()))

    def at(self, instrument: str, step: int) -> Reading | None:
        """The latest of an instrument at or before a step."""
        return latest(self._by_instrument.get(instrument, []), step)

    def series(self, instrument: str, name: str) -> tuple[Array, Array]:
        """The steps looked at, (n,), and a number at each, (n,) or (n, layers), NaN where there was none. Raises
        KeyError for a number that the instrument does not read."""
        return series(self.of(instrument), name)

    def before(self, step: int) -> Readings:
        """A copy of those before a step."""
        made = Readings()
        for reading in self:
            if reading.step < step:
                made.append(reading)
        return made


def latest(readings: list[Reading], step: int) -> Reading | None:
    """The last of readings in the order of their steps that is at or before a step."""
    place = bisect_right(readings, step, key=_step_of)
    return readings[place - 1] if place else None


def series(readings: list[Reading], name: str) -> tuple[Array, Array]:
    """The steps of readings of one instrument, (n,), and a number at each, (n,) or (n, layers)."""
    if not readings:
        return np.empty(0), np.empty(0)
    return np.array([float(one.step) for one in readings]), np.array([one[name] for one in readings])

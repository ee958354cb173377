"""How long work still goes on, by how long its done share took."""

from __future__ import annotations

import math
from time import monotonic

_SOON = 1.0
"""Seconds below which nothing is said: it is done before one has read it."""


class Remaining:
    """Is told by the thread that works, and asked by the window."""

    def __init__(self, before: float = 0.0) -> None:
        """before: the share that was done already."""
        self._began, self._before = monotonic(), before
        self._told: tuple[float, float] = (before, self._began)

    def tell(self, share: float) -> None:
        """That share of the work is done, from 0 to 1."""
        self._told = (share, monotonic())

    @property
    def seconds(self) -> float | None:
        """How long it will still take; None where nothing is known yet, and once all is done."""
        share, at = self._told
        if not self._before < share < 1:
            return None
        return max(0.0, (at - self._began) * (1 - share) / (share - self._before) - (monotonic() - at))

    @property
    def words(self) -> str:
        """ "finer in 3 s", in steps that a person can read; nothing where it is nearly done."""
        seconds = self.seconds
        if seconds is None or seconds < _SOON:
            return ""
        if seconds >= 90:
            return f"finer in {math.ceil(seconds / 60)} min"
        return f"finer in {math.ceil(seconds)} s"

"""A column as a line to be looked at: smoothed, or put together over runs that differ in the seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngexplorer.runs.history import History

Array = NDArray[np.float64]


def smoothed(history: History, column: str, rows: NDArray[np.int64], window: int) -> Array:
    """At some rows the mean of the last `window` entries up to each (of fewer at the start), (K,); NaN are left out,
    and what is NaN stays so."""
    behind = rows[:, None] - np.arange(window)
    values = history.values(column, behind.clip(min=0).reshape(-1)).reshape(behind.shape)
    counted = (behind >= 0) & ~np.isnan(values)
    total = np.where(counted, values, 0.0).sum(1)
    mean = np.divide(total, counted.sum(1), out=np.full(len(rows), np.nan), where=counted.any(1))
    return np.where(np.isnan(values[:, 0]), np.nan, mean)


@dataclass(frozen=True)
class Quartiles:
    """The median of several runs and the quartiles around it at the same places x, each (K,)."""

    x: Array
    low: Array
    median: Array
    high: Array


def quartiles(histories: Sequence[History], axis: str, column: str, most: int, window: int = 1) -> Quartiles:
    """The median and quartiles (linearly interpolated, Hyndman and Fan 1996, type 7) of a column over the runs, at
    `most` places along an axis that never falls, as far as all of them came. A run's value between two of its rows is
    the earlier one."""
    end = min((history.row(len(history) - 1)[axis] for history in histories if len(history)), default=0.0)
    if axis == "step":
        stride = max(1, -(-int(end) // most))
        places = np.arange(0.0, end + 1, stride)
        rows = [places.astype(np.int64)] * len(histories)  # row k is step k: nothing has to be looked for
    else:
        places = np.linspace(0.0, end, most)
        found_at = (np.searchsorted(history.column(axis), places, side="right") - 1 for history in histories)
        rows = [found.clip(min=0) for found in found_at]
    values = np.stack([smoothed(history, column, at, window) for history, at in zip(histories, rows, strict=True)])
    whole = ~np.isnan(values).any(0)
    found = np.full((3, len(places)), np.nan)
    found[:, whole] = np.quantile(values[:, whole], (0.25, 0.5, 0.75), axis=0)
    return Quartiles(places, *found)

"""Runs as a tidy table: one row per run and step, every number at full precision."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ngexplorer.runs.files import replacing
from ngexplorer.runs.history import COLUMNS, INTEGERS, History
from ngexplorer.runs.readings import Reading

HEADER = ("run", "optimizer", "seed", *COLUMNS)

_AT_ONCE = 10_000
"""Rows that are read at once."""

TIME_COLUMNS = ("seconds", "step_seconds")
"""The columns that differ between two runs of the same seed."""


def write_csv(
    histories: Iterable[History],
    path: str | Path,
    columns: Sequence[str] = COLUMNS,
    steps: tuple[int, int] | None = None,
) -> None:
    """Write the histories to `path`, UTF-8, header first; `pandas.read_csv` reads it back exactly.

    `columns` are written after run, optimizer and seed; `steps` are the first and the last one, both included (None:
    all). A thing that does not exist (NaN) is an empty field. Raises KeyError for a column that there is not, and
    OSError, leaving an older file whole.
    """
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*HEADER[:3], *columns))
        for history in histories:
            writer.writerows(_rows(history, columns, steps))


def rows_of(history: History, steps: tuple[int, int] | None = None) -> int:
    """How many rows are written of a history."""
    first, last = _ends(history, steps)
    return max(last - first + 1, 0)


def _ends(history: History, steps: tuple[int, int] | None) -> tuple[int, int]:
    """The first and last row."""
    last = len(history) - 1
    return (0, last) if steps is None else (max(steps[0], 0), min(steps[1], last))


def _rows(history: History, columns: Sequence[str], steps: tuple[int, int] | None) -> Iterator[list[Any]]:
    first, last = _ends(history, steps)
    for start in range(first, last + 1, _AT_ONCE):  # a part at a time: a long run is not in memory twice
        until = min(start + _AT_ONCE, last + 1)
        parts = [history.column(name, start, until) for name in columns]
        for row in zip(*parts, strict=True):
            cells = [_cell(name, value) for name, value in zip(columns, row, strict=True)]
            yield [history.label, history.optimizer, history.seed, *cells]


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    return int(value) if name in INTEGERS and value == value else _written(float(value))


def _written(value: float) -> str:
    """A number at full precision; nothing where there is none."""
    return "" if value != value else repr(value)


READINGS_HEADER = ("run", "optimizer", "seed", "step", "instrument", "name", "layer", "value", "reason")


def write_readings(runs: Iterable[tuple[History, Iterable[Reading]]], path: str | Path) -> None:
    """Write what instruments read along runs, `history.readings` or others of them, UTF-8, header first.

    A row for each number; of each layer, by its place in θ, where an instrument reads layers, else that field is empty.
    What is not there (NaN) is an empty value, and `reason` says why. Raises OSError, leaving an older file whole.
    """
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(READINGS_HEADER)
        for history, readings in runs:
            for reading in readings:
                begin = (history.label, history.optimizer, history.seed, reading.step, reading.instrument)
                writer.writerows((*begin, *cells) for cells in _numbers(reading))


def _numbers(reading: Reading) -> Iterator[tuple[Any, ...]]:
    """Name, layer, value and reason of every number of a reading."""
    for name, value in zip(reading.names, reading.values, strict=True):
        if reading.values.ndim == 1:
            yield name, "", _written(float(value)), reading.reason
        elif not len(value):  # of no layer
            yield name, "", "", reading.reason
        for layer, one in enumerate(value.tolist() if reading.values.ndim > 1 else ()):
            yield name, layer, _written(one), reading.reason

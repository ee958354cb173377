"""Runs as a tidy table: one row per run and step, every number at full precision."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ngexplorer.runs.files import replacing
from ngexplorer.runs.history import COLUMNS, INTEGERS, History

HEADER = ("run", "optimizer", "seed", *COLUMNS)

TIME_COLUMNS = ("seconds", "step_seconds")
"""The columns that differ between two runs of the same seed."""


def write_csv(histories: Iterable[History], path: str | Path) -> None:
    """Write the histories to `path`, UTF-8, header first; `pandas.read_csv` reads it back exactly.

    A thing that does not exist (NaN) is an empty field. Raises OSError, leaving an older file whole.
    """
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for history in histories:
            writer.writerows(_rows(history))


def _rows(history: History) -> Iterator[list[Any]]:
    columns = [history.column(name) for name in COLUMNS]
    length = min(map(len, columns))
    for i in range(length):
        cells = [_cell(name, column[i]) for name, column in zip(COLUMNS, columns, strict=True)]
        yield [history.label, history.optimizer, history.seed, *cells]


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    if value != value:
        return ""
    return int(value) if name in INTEGERS else repr(float(value))

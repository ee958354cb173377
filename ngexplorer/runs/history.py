"""What happened in one run: a row a step, snapshots of θ, spectra and events. Written by one thread, read by any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngexplorer.optimizers import Step
from ngexplorer.runs.spectrum import Spectrum

_CHUNK = 1024
SNAPSHOT_BYTES = 256 * 2**20

LEADING = ("step", "seconds", "gradient_equivalents", "loss", "validation_loss", "metric")
STEP_FIELDS = tuple(msgspec.structs.fields(Step))
TEXTS = tuple(f.name for f in STEP_FIELDS if f.default == "")
NUMBERS = LEADING + tuple(f.name for f in STEP_FIELDS if f.name not in TEXTS)
COLUMNS = LEADING + tuple(f.name for f in STEP_FIELDS)
INTEGERS = ("step", "rejected_trials")


@dataclass(frozen=True)
class Event:
    """Something that happened beside the steps: kind 'edit', 'diverged', 'failed', …; `detail` holds a traceback."""

    step: int
    kind: str
    message: str
    detail: str = ""


class History:
    """The record of one run.

    `history["loss"]` is a column: float64 (length,), or a list of str for text. Row k belongs to step k; row 0 is the
    start, whose step columns are NaN. `seconds` and `gradient_equivalents` are cumulative. One writer appends whole
    rows to chunks and then publishes the length, so a reader in another thread sees whole rows only.
    """

    def __init__(self, label: str, optimizer: str, seed: int) -> None:
        self.label = label
        self.optimizer = optimizer
        self.seed = seed
        self.spectra: list[Spectrum] = []
        self.events: list[Event] = []
        self.snapshots = Snapshots()
        self._chunks: list[NDArray[np.float64]] = []
        self._texts: dict[str, list[str]] = {name: [] for name in TEXTS}
        self._length = 0

    def __len__(self) -> int:
        """How many rows are published."""
        return self._length

    def append(self, numbers: dict[str, float], step: Step | None, theta: NDArray[Any]) -> None:
        """Write one row: the leading columns by name, the step's record (None: the start), and θ."""
        place = self._length % _CHUNK
        if place == 0:
            self._chunks.append(np.full((_CHUNK, len(NUMBERS)), np.nan))
        row = self._chunks[-1][place]
        for i, name in enumerate(NUMBERS):
            row[i] = numbers[name] if name in LEADING else getattr(step, name, np.nan)
        for name, texts in self._texts.items():
            texts.append(getattr(step, name, ""))
        self.snapshots.append(self._length, theta)
        self._length += 1

    def __getitem__(self, name: str) -> Any:
        return self.column(name)

    def column(self, name: str, since: int = 0) -> Any:
        """Rows `since` and later of a column. Raises KeyError, naming the columns there are, for any other name."""
        length = self._length
        if name in self._texts:
            return self._texts[name][since:length]
        if name not in NUMBERS:
            raise KeyError(f"no column '{name}' (there are: {', '.join(COLUMNS)})")
        i = NUMBERS.index(name)
        first, last = since // _CHUNK, (length + _CHUNK - 1) // _CHUNK
        parts = [chunk[:, i] for chunk in self._chunks[first:last]]
        joined = np.concatenate(parts) if parts else np.empty(0)
        return joined[since - first * _CHUNK : length - first * _CHUNK]

    def row(self, step: int) -> dict[str, Any]:
        """All columns at a step (the last row at or before it)."""
        at = max(0, min(step, self._length - 1))
        values = self._chunks[at // _CHUNK][at % _CHUNK]
        numbers = dict(zip(NUMBERS, values.tolist(), strict=True))
        return numbers | {name: texts[at] for name, texts in self._texts.items()}

    def parameters(self, step: int) -> tuple[NDArray[Any], int]:
        """The snapshot of θ nearest to a step, (P,), and which step it is. Raises IndexError if there is none yet."""
        return self.snapshots.nearest(step)

    def spectra_at(self, step: int) -> list[Spectrum]:
        """The latest spectrum of each matrix at or before a step."""
        latest = {s.matrix: s for s in list(self.spectra) if s.step <= step}
        return list(latest.values())

    def to_csv(self, path: str) -> None:
        """Write all rows to a CSV file, whole or not at all; see `ngexplorer.runs.export`."""
        from ngexplorer.runs.export import write_csv

        write_csv([self], path)


class Snapshots:
    """θ at every `stride`-th step. Over the memory budget, every second one is dropped and the stride doubles."""

    def __init__(self, budget: int = SNAPSHOT_BYTES) -> None:
        self.budget = budget
        self.stride = 1
        self._kept: list[tuple[int, NDArray[Any]]] = []

    def append(self, step: int, theta: NDArray[Any]) -> None:
        if step % self.stride:
            return
        kept = [*self._kept, (step, theta)] if self._full(theta) else None
        if kept is None:
            self._kept.append((step, theta))
            return
        self.stride *= 2
        # A new list, so that a reader of the old one is not disturbed.
        self._kept = [entry for entry in kept if entry[0] % self.stride == 0]

    def _full(self, theta: NDArray[Any]) -> bool:
        return (len(self._kept) + 1) * theta.nbytes > self.budget

    def nearest(self, step: int) -> tuple[NDArray[Any], int]:
        kept = self._kept
        if not kept:
            raise IndexError("no snapshot yet")
        at, theta = min(kept, key=lambda entry: abs(entry[0] - step))
        return theta, at

    def __len__(self) -> int:
        return len(self._kept)

    def since(self, index: int) -> list[tuple[int, NDArray[Any]]]:
        """Snapshots from that place on."""
        return self._kept[index:]

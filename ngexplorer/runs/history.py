"""What happened in one run: a row a step, snapshots of θ, spectra and events. Written by one thread, read by any."""

from __future__ import annotations

import tempfile
import weakref
from bisect import bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ngexplorer.optimizers import Rejection, Step
from ngexplorer.runs.readings import Reading, Readings
from ngexplorer.runs.spectrum import Spectrum

_CHUNK = 1024
_BLOCK = 64
"""So many full chunks are put together and moved to a file, where the memory they take is the system's to reclaim."""
SNAPSHOT_BYTES = 256 * 2**20
_ENTRY = 200
"""Bytes that a snapshot takes beside its numbers: an array, a tuple, a step and a place in a list."""

LEADING = ("step", "seconds", "gradient_equivalents", "loss", "validation_loss", "metric")
STEP_FIELDS = tuple(msgspec.structs.fields(Step))
TEXTS = tuple(f.name for f in STEP_FIELDS if f.default == "")
NUMBERS = LEADING + tuple(f.name for f in STEP_FIELDS if f.name not in TEXTS)
COLUMNS = LEADING + tuple(f.name for f in STEP_FIELDS)
INTEGERS = ("step", "rejected_trials")
_PLACES = {name: i for i, name in enumerate(NUMBERS + TEXTS)}
_numbers_of = attrgetter(*NUMBERS[len(LEADING) :])
_texts_of = attrgetter(*TEXTS)


@dataclass(frozen=True)
class Event:
    """Something that happened beside the steps: kind 'edit', 'diverged', 'failed', …; `detail` holds a traceback."""

    step: int
    kind: str
    message: str
    detail: str = ""


@dataclass(frozen=True)
class Branch:
    """Where a fork parts from a run: what it needs of that run's past."""

    label: str
    """The run's"""
    step: int
    theta: NDArray[Any]
    """(P,)"""
    seconds: float
    gradient_equivalents: float


@dataclass
class Pages:
    """What was written into a history since they were taken the last time, for one that is kept elsewhere."""

    rows: NDArray[np.float64]
    """(n, columns), a text as its place among `words`"""
    words: list[str]
    thetas: list[NDArray[Any]]
    """θ of each row, (P,)"""
    events: list[Event]
    spectra: list[Spectrum]
    readings: list[Reading]
    rejections: dict[int, tuple[Rejection, ...]]


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
        self._by_matrix: tuple[int, dict[str, list[Spectrum]]] = (0, {})
        """So many of the spectra by their matrix."""
        self.readings = Readings()
        """What the instruments read that a schedule has look at the run; see `ngexplorer.runs.instruments`."""
        self.events: list[Event] = []
        self.rejections: dict[int, tuple[Rejection, ...]] = {}
        """The trials that a step rejected, by its number; written before its row."""
        self.snapshots = Snapshots()
        self._rows = _Rows()
        self._words: list[str] = []
        self._codes: dict[str, float] = {}
        self._length = 0

    def __len__(self) -> int:
        """How many rows are published."""
        return self._length

    def append(self, numbers: dict[str, float], step: Step | None, theta: NDArray[Any]) -> None:
        """Write one row: the leading columns by name, the step's record (None: the start), and θ."""
        self._rows.append(self._length, self._row(numbers, step))
        self.snapshots.append(self._length, theta)
        self._length += 1

    def _row(self, numbers: dict[str, float], step: Step | None) -> list[float]:
        leading = [numbers[name] for name in LEADING]
        if step is None:
            rest, texts = (np.nan,) * (len(NUMBERS) - len(LEADING)), ("",) * len(TEXTS)
        else:
            rest, texts = _numbers_of(step), _texts_of(step)
        return [*leading, *rest, *map(self._code, texts)]

    def extend(self, pages: Pages) -> None:
        """Go on with what was written elsewhere."""
        rows = pages.rows.copy()
        words = np.array([self._code(word) for word in pages.words])
        rows[:, len(NUMBERS) :] = words[rows[:, len(NUMBERS) :].astype(np.int64)]
        self.events += pages.events
        self.spectra += pages.spectra
        for reading in pages.readings:
            self.readings.append(reading)
        self.rejections |= pages.rejections
        self._rows.extend(self._length, rows)
        for i, theta in enumerate(pages.thetas):
            self.snapshots.append(self._length + i, theta)
        self._length += len(rows)

    @property
    def loss_at_start(self) -> float:
        """That of row 0, once it is there."""
        return self.value("loss", 0)

    def branch(self, step: int) -> Branch:
        """Where a fork would part at a step. Raises ValueError where its θ is not kept."""
        theta, at = self.parameters(step)
        if at != step:
            raise ValueError(f"step {step}: its parameters are not kept any more; those of step {at} are")
        row = self.row(step)
        return Branch(self.label, step, theta, row["seconds"], row["gradient_equivalents"])

    def until(self, step: int, label: str) -> History:
        """A new history that has the rows of this one up to a step behind it, and goes its own way from there. What
        happened until then is told by this one alone."""
        made = History(label, self.optimizer, self.seed)
        length = min(step + 1, self._length)
        made._rows = self._rows.until(length)
        made._words, made._codes = list(self._words), dict(self._codes)
        made.snapshots = self.snapshots.copy_until(step)
        made.spectra = [spectrum for spectrum in list(self.spectra) if spectrum.step <= step]
        made.readings = self.readings.before(step)  # those at the step itself are of the step that was taken there
        made.rejections = {at: trials for at, trials in list(self.rejections.items()) if at <= step}
        made._length = length
        return made

    def _code(self, text: str) -> float:
        """The number of a text: most steps repeat what others said."""
        code = self._codes.get(text)
        if code is None:
            self._words.append(text)
            code = self._codes[text] = float(len(self._words) - 1)
        return code

    def __getitem__(self, name: str) -> Any:
        return self.column(name)

    def column(self, name: str, since: int = 0, until: int | None = None) -> Any:
        """Rows `since` and later (before `until`) of a column. Raises KeyError, naming the columns there are, for any
        other name."""
        length = self._length if until is None else min(until, self._length)
        values = self._rows.column(self._place(name), since, length)
        return self._said(values) if name in TEXTS else values

    def values(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """A column of numbers at some rows only, all of them published. Raises KeyError as `column` does."""
        return self._rows.values(self._place(name), rows)

    def value(self, name: str, row: int) -> float:
        """A number of one published row. Raises KeyError as `column` does."""
        return self._rows.value(self._place(name), row)

    def _place(self, name: str) -> int:
        if name not in _PLACES:
            raise KeyError(f"no column '{name}' (there are: {', '.join(COLUMNS)})")
        return _PLACES[name]

    def _said(self, codes: NDArray[np.float64]) -> list[str]:
        return [self._words[code] for code in codes.astype(np.int64).tolist()]

    def row(self, step: int) -> dict[str, Any]:
        """All columns at a step (the last row at or before it)."""
        at = max(0, min(step, self._length - 1))
        values = self._rows.row(at)
        numbers = dict(zip(NUMBERS, values[: len(NUMBERS)].tolist(), strict=True))
        return numbers | dict(zip(TEXTS, self._said(values[len(NUMBERS) :]), strict=True))

    def parameters(self, step: int) -> tuple[NDArray[Any], int]:
        """The snapshot of θ nearest to a step, (P,), and which step it is. Raises IndexError if there is none yet."""
        return self.snapshots.nearest(step)

    def spectra_at(self, step: int) -> list[Spectrum]:
        """The latest spectrum of each matrix at or before a step, in the order in which they were first taken."""
        count, found = self._by_matrix
        if count != len(self.spectra):
            spectra, found = list(self.spectra), {}
            for one in spectra:
                found.setdefault(one.matrix, []).append(one)
            self._by_matrix = (len(spectra), found)  # as a whole, for there may be other readers
        places = ((taken, bisect_right(taken, step, key=_taken_at)) for taken in found.values())
        return [taken[place - 1] for taken, place in places if place]

    def to_csv(self, path: str) -> None:
        """Write all rows to a CSV file, whole or not at all; see `ngexplorer.runs.export`."""
        from ngexplorer.runs.export import write_csv

        write_csv([self], path)


class _Rows:
    """Rows of numbers, column by column: chunks in memory, and before them blocks of chunks in a temporary file.

    A reader takes a length first and then `_store`, which holds at least so many rows and is replaced, never changed,
    where rows move.
    """

    def __init__(self) -> None:
        empty = np.empty((0, len(_PLACES), _BLOCK * _CHUNK))
        self._store: tuple[NDArray[np.float64], list[NDArray[np.float64]]] = (empty, [])
        self._file: IO[bytes] | None = None
        self._movable = True

    def append(self, place: int, values: list[float]) -> None:
        chunk = self._new_chunk() if place % _CHUNK == 0 else self._store[1][-1]
        chunk[:, place % _CHUNK] = values

    def extend(self, place: int, rows: NDArray[np.float64]) -> None:
        """Write rows (n, columns) from that place on."""
        done = 0
        while done < len(rows):
            start = (place + done) % _CHUNK
            piece = rows[done : done + _CHUNK - start]
            chunk = self._store[1][-1] if start else self._new_chunk()
            chunk[:, start : start + len(piece)] = piece.T
            done += len(piece)

    def until(self, length: int) -> _Rows:
        """A copy of the first so many rows."""
        made = _Rows()
        for start in range(0, length, _CHUNK):
            end = min(start + _CHUNK, length)
            made._new_chunk()[:, : end - start] = [self.column(i, start, end) for i in range(len(_PLACES))]
        return made

    def _new_chunk(self) -> NDArray[np.float64]:
        chunks = self._store[1]
        if len(chunks) >= _BLOCK and self._movable:
            chunks = self._moved()
        chunks.append(np.full((len(_PLACES), _CHUNK), np.nan))
        return chunks[-1]

    def _moved(self) -> list[NDArray[np.float64]]:
        """Move the chunks, all full, to the file; where that cannot be written, memory has to do."""
        blocks, chunks = self._store
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="ngexplorer-")  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            self._file.write(np.concatenate(chunks, axis=1).data)
            self._file.flush()
            shape = (len(blocks) + 1, *blocks.shape[1:])
            self._store = (np.memmap(self._file, np.float64, "r", shape=shape), [])
        except OSError:
            self._movable = False
        return self._store[1]

    def column(self, place: int, since: int, until: int) -> NDArray[np.float64]:
        blocks, chunks = self._store
        size = blocks.shape[2]
        moved = len(blocks) * size
        parts: list[NDArray[np.float64]] = []
        for block in range(since // size, min(len(blocks), -(-until // size))):
            start = block * size
            parts.append(blocks[block, place, max(since - start, 0) : until - start])
        for number in range(max(since - moved, 0) // _CHUNK, -(-(until - moved) // _CHUNK)):
            start = moved + number * _CHUNK
            parts.append(chunks[number][place, max(since - start, 0) : until - start])
        return np.concatenate(parts) if parts else np.empty(0)

    def values(self, place: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        blocks, chunks = self._store
        size = blocks.shape[2]
        moved = len(blocks) * size
        if not moved:
            return _of_chunks(chunks, place, rows)
        found = np.empty(len(rows))
        old = rows < moved
        found[old] = blocks[rows[old] // size, place, rows[old] % size]
        if not old.all():
            found[~old] = _of_chunks(chunks, place, rows[~old] - moved)
        return found

    def value(self, place: int, at: int) -> float:
        blocks, chunks = self._store
        size = blocks.shape[2]
        if at < len(blocks) * size:
            return float(blocks[at // size, place, at % size])
        at -= len(blocks) * size
        return float(chunks[at // _CHUNK][place, at % _CHUNK])

    def row(self, at: int) -> NDArray[np.float64]:
        blocks, chunks = self._store
        size = blocks.shape[2]
        if at < len(blocks) * size:
            return np.array(blocks[at // size, :, at % size])
        at -= len(blocks) * size
        return chunks[at // _CHUNK][:, at % _CHUNK]


def _of_chunks(chunks: list[NDArray[np.float64]], place: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """A column at some rows, counted from the first chunk."""
    if not len(rows):
        return np.empty(0)
    first, last = int(rows.min()) // _CHUNK, int(rows.max()) // _CHUNK
    joined = np.concatenate([chunk[place] for chunk in chunks[first : last + 1]])
    return joined[rows - first * _CHUNK]


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
        return (len(self._kept) + 1) * (theta.nbytes + _ENTRY) > self.budget

    def nearest(self, step: int) -> tuple[NDArray[Any], int]:
        kept = self._kept
        if not kept:
            raise IndexError("no snapshot yet")
        after = bisect_right(kept, step, key=_step_of)
        at, theta = min(kept[max(after - 1, 0) : after + 1], key=lambda entry: abs(entry[0] - step))
        return theta, at

    def __len__(self) -> int:
        return len(self._kept)

    def since(self, index: int) -> list[tuple[int, NDArray[Any]]]:
        """Snapshots from that place on."""
        return self._kept[index:]

    def copy_until(self, step: int) -> Snapshots:
        """The same ones up to a step, to be gone on with."""
        made, kept = Snapshots(self.budget), self._kept
        made.stride = self.stride
        made._kept = kept[: bisect_right(kept, step, key=_step_of)]
        return made

    def until(self, step: int, most: int) -> list[tuple[int, NDArray[Any]]]:
        """Snapshots up to a step, the latest among them, and of the others at most so many, evenly spaced."""
        kept = self._kept
        count = bisect_right(kept, step, key=_step_of)
        stride = max(1, -(-count // most))
        return kept[:count:stride] + (kept[count - 1 : count] if (count - 1) % stride else [])


def _taken_at(spectrum: Spectrum) -> int:
    return spectrum.step


def _step_of(entry: tuple[int, NDArray[Any]]) -> int:
    return entry[0]

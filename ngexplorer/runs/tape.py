"""The writing end of a history that is kept elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ngexplorer.optimizers import Step
from ngexplorer.runs.history import COLUMNS, History, Pages
from ngexplorer.runs.readings import Readings


class Tape(History):
    """A history that is written here and read elsewhere: it holds only what has not been taken yet."""

    def __init__(self, label: str, optimizer: str, seed: int) -> None:
        super().__init__(label, optimizer, seed)
        self._lines: list[list[float]] = []
        self._thetas: list[NDArray[Any]] = []
        self._loss_at_start = np.nan

    @property
    def loss_at_start(self) -> float:
        return self._loss_at_start

    def append(self, numbers: dict[str, float], step: Step | None, theta: NDArray[Any]) -> None:
        if not self._length:
            self._loss_at_start = numbers["loss"]
        self._lines.append(self._row(numbers, step))
        self._thetas.append(theta)
        self._length += 1

    def until(self, step: int, label: str) -> Tape:
        made = Tape(label, self.optimizer, self.seed)
        made._loss_at_start = self._loss_at_start
        made._length = step + 1
        return made

    def take(self) -> Pages:
        """What was written since this was asked the last time."""
        rows = np.array(self._lines).reshape(-1, len(COLUMNS))
        pages = Pages(rows, self._words, self._thetas, self.events, self.spectra, list(self.readings), self.rejections)
        self._lines, self._thetas, self._words, self._codes = [], [], [], {}
        self.events, self.spectra, self.readings, self.rejections = [], [], Readings(), {}
        return pages

    @property
    def taken(self) -> bool:
        """Whether there is nothing new."""
        return not (self._lines or self.events or self.spectra or len(self.readings))

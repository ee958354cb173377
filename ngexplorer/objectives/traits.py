"""What is known of a data set before it is loaded: enough to say which models and losses go with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Traits:
    """Inputs are (N, `features`) numbers; targets are what `targets` says.

    targets: "classes" (class indices 0 to classes − 1, (N,) int64), "counts" (whole numbers ≥ 0), "unit" (numbers from
    0 to 1) or "real"; the last three (N, columns), float64.
    image: (height, width) where the features are the pixels of an image, row by row, else None.
    unit_inputs: whether every input lies between 0 and 1.
    """

    features: int
    targets: Literal["classes", "counts", "unit", "real"]
    classes: int | None = None
    columns: int = 1
    image: tuple[int, int] | None = None
    unit_inputs: bool = False

    @property
    def described(self) -> str:
        """The targets in words, for a message."""
        if self.targets == "classes":
            return f"{self.classes} classes"
        return {"counts": "counts", "unit": "numbers from 0 to 1", "real": "real numbers"}[self.targets]

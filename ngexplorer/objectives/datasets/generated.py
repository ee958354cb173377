"""What data sets that are made have in common."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import SplitDataSet

Size = Annotated[int, Meta(ge=10, le=100_000, description="Cases, those kept for validation included")]
Noise = Annotated[float, Meta(ge=0, le=10, description="Standard deviation of the noise")]


class Generated(SplitDataSet, frozen=True, kw_only=True):
    """Cases drawn from a stated distribution."""

    standardize: Annotated[bool, Meta(description="Each input to mean 0 and variance 1 over the training cases")] = (
        False
    )


def balanced(size: int, classes: int) -> np.ndarray:
    """Class indices (size,), as many of one class as of another, or one more."""
    return np.arange(size) % classes

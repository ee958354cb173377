"""Single numbers that sum up a spectrum of eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SpectrumMeasures:
    """Of eigenvalues λ_i with damping λ.

    largest, smallest: with their signs.
    negatives: how many are below zero, beyond rounding (P ε |λ|max).
    effective_rank: exp(−Σ p log p), p = |λ_i|/Σ|λ| (Roy and Vetterli 2007). stable_rank: Σλ²/λmax².
    effective_dimension: Σ λ_i/(λ_i + λ) over those above zero, the directions that damping leaves alone (MacKay 1992).
    condition: largest over smallest |λ|. damped_condition: the same of λ_i + λ, NaN unless all those are positive.
    largest_rate: 2/λmax, above which gradient descent is unstable; infinite where no eigenvalue is positive.
    """

    largest: float
    smallest: float
    negatives: int
    effective_rank: float
    stable_rank: float
    effective_dimension: float
    condition: float
    damped_condition: float
    largest_rate: float

    def rate_share(self, rate: float) -> float:
        """A learning rate as a share of the largest stable one: unstable above 1 on the quadratic model."""
        return rate / self.largest_rate


def spectrum_measures(
    eigenvalues: NDArray[np.floating], damping: float = 0.0, epsilon: float = float(np.finfo(np.float64).eps)
) -> SpectrumMeasures:
    """The measures of all eigenvalues (P,), in any order; `epsilon` is the rounding of the arithmetic that they were
    computed in. Raises ValueError for none."""
    if not len(eigenvalues):
        raise ValueError("eigenvalues: none; a matrix has at least one")
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64))
    sizes = np.abs(values)
    most = float(sizes.max())
    rounding = len(values) * epsilon * most
    shares = sizes[sizes > 0] / max(float(sizes.sum()), 1e-300)
    positive = values[values > 0]
    damped = values + damping
    with np.errstate(divide="ignore", invalid="ignore"):
        return SpectrumMeasures(
            largest=float(values[-1]),
            smallest=float(values[0]),
            negatives=int((values < -rounding).sum()),
            effective_rank=float(np.exp(-(shares * np.log(shares)).sum())) if most > 0 else 0.0,
            stable_rank=float(np.square(sizes / most).sum()) if most > 0 else 0.0,
            effective_dimension=float((positive / (positive + damping)).sum()),
            condition=float(np.divide(most, sizes.min())),
            damped_condition=float(damped[-1] / damped[0]) if damped[0] > 0 else float("nan"),
            largest_rate=float(2 / values[-1]) if values[-1] > 0 else float("inf"),
        )

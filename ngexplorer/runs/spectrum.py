"""The eigenvalues of one matrix at one step, and the numbers that people read off them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of one matrix at one step, ascending, (K,) float64; λ is the damping used there (NaN: none).

    They are all P of them, or the nodes of their density, each of which then stands for `weights` of the P.
    """

    step: int
    matrix: str
    eigenvalues: Array
    damping: float
    gradient_energy: Array | None = None
    """(uᵢᵀ∇h)² / ‖∇h‖² along each eigenvector uᵢ, (K,), summing to 1; None where there are no eigenvectors or the
    gradient is zero."""
    weights: Array | None = None
    """Of a density: how many eigenvalues each node stands for, (K,), summing to P; None: one each."""
    layers: tuple[Array, ...] = ()
    """The eigenvalues of each layer's diagonal block, in θ's order; empty where they were not asked for."""

    @property
    def rounding(self) -> float:
        """What is smaller is zero to rounding: K·ε·|λ|max."""
        largest = float(np.abs(self.eigenvalues).max(initial=0.0))
        return len(self.eigenvalues) * float(np.finfo(np.float64).eps) * largest

    @property
    def multiplicity(self) -> Array:
        """How many eigenvalues each entry stands for, (K,)."""
        return np.ones(len(self.eigenvalues)) if self.weights is None else self.weights

    @property
    def trace(self) -> float:
        """tr B = Σ λᵢ."""
        return float(self.multiplicity @ self.eigenvalues)

    @property
    def negatives(self) -> int:
        """How many eigenvalues are below zero by more than rounding."""
        return round(float(self.multiplicity[self.eigenvalues < -self.rounding].sum()))

    def condition_number(self, damping: float = 0.0) -> float:
        """κ₂(B + damping·I) = max |λᵢ + damping| / min |λᵢ + damping|; ∞ where the least is zero to rounding."""
        sizes = np.abs(self.eigenvalues + damping)
        least = float(sizes.min(initial=np.inf))
        return float(sizes.max(initial=0.0)) / least if least > self.rounding else np.inf

    def filter(self, damping: float) -> Array:
        """λᵢ / (λᵢ + damping), (K,): the share of an undamped step that is left along each eigenvector (Tikhonov);
        NaN where B + damping·I is not positive definite along it."""
        shifted = self.eigenvalues + damping
        return np.divide(self.eigenvalues, shifted, out=np.full(len(shifted), np.nan), where=shifted > 0)

    def effective_dimension(self, damping: float) -> float:
        """Σ λᵢ / (λᵢ + damping) over the positive eigenvalues: how many directions the damping leaves to the matrix
        (MacKay 1992, "Bayesian interpolation")."""
        above = self.eigenvalues > self.rounding
        return float(self.multiplicity[above] @ self.filter(damping)[above])

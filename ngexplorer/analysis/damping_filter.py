"""What damping does to the gradient, eigenvector by eigenvector: a filter λ_i/(λ_i + λ) on Newton's step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ngexplorer.analysis.planes import Array
from ngexplorer.analysis.shifted_solutions import Shifted


@dataclass(frozen=True)
class Filtering:
    """The gradient in the eigenbasis of B under damping λ; arrays (m,), by ascending eigenvalue.

    eigenvalues: λ_i. energy: (u_iᵀg)²/‖g‖², which sum to 1. filter: λ_i/(λ_i + λ), what is left of Newton's step along
    u_i: near 1 it is Newton's, near 0 it is gradient descent with rate 1/λ; NaN where λ_i + λ ≤ 0. promise: what the
    model promises along u_i with this damping, −½(u_iᵀg)²(λ_i + 2λ)/(λ_i + λ)².
    """

    eigenvalues: Array
    energy: Array
    filter: Array
    promise: Array

    @property
    def kept(self) -> float:
        """The share of the gradient's energy along eigenvectors with λ_i > λ, which the damping leaves to Newton."""
        return float(self.energy[self.filter > 0.5].sum())

    @property
    def cut_directions(self) -> int:
        """How many positive eigenvalues are below the damping."""
        return int(((self.eigenvalues > 0) & (self.filter <= 0.5)).sum())


def filtering(solution: Shifted, damping: float) -> Filtering:
    """The filter of a damping on the gradient that `shifted` has decomposed: exactly, or in its Krylov space, whose
    eigenvectors are those that the gradient has a part in."""
    values, square = solution.values, np.square(solution.inside)
    bottom = np.where(values + damping > 0, values + damping, np.nan)
    return Filtering(
        values,
        square / square.sum(),
        values / bottom,
        -0.5 * square * (values + 2 * damping) / np.square(bottom),
    )

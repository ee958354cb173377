"""How much two subspaces share: principal angles and overlap, and of the top eigenspaces of matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.curvature.base import Curvature

_SMALL = 300
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Overlap:
    """Two subspaces of k dimensions: their principal angles in degrees, ascending, (k,), and ‖UᵀV‖_F²/k, the mean of
    the cosines squared: 1 for the same, k/P for a random one (Gur-Ari, Roberts and Dyer 2018, §3)."""

    angles: NDArray[np.float64]
    overlap: float


def overlap(one: Tensor, other: Tensor) -> Overlap:
    """Of the spans of orthonormal columns (P, k) and (P, k) (Björck and Golub 1973)."""
    one, other = one.double().cpu(), other.double().cpu()
    inner = one.T @ other
    cosines = torch.linalg.svdvals(inner).clamp(max=1.0)
    # Small angles from their sines: the cosine of one has none of its digits.
    sines = torch.linalg.svdvals(other - one @ inner).flip(0).clamp(max=1.0)
    angles = torch.where(cosines.square() < 0.5, cosines.arccos(), sines.arcsin())
    return Overlap(torch.rad2deg(angles).numpy(), float(cosines.square().mean()))


def top_eigenspace(matrix: Curvature, k: int = 10) -> Tensor:
    """Orthonormal eigenvectors of the k largest eigenvalues, (P, k): of the dense matrix up to 300 parameters, else by
    Lanczos, to residuals of 1e-4 of them. Watched by the matrix's point."""
    if matrix.objective.parameters <= _SMALL:
        return matrix.eigenpairs()[1][:, -k:].flip(1)
    return matrix.top_eigenpairs(k, which="largest", tolerance=_TOLERANCE).vectors

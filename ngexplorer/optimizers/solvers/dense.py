"""Solving with the dense matrix: by Cholesky, or by its eigenpairs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ngexplorer.curvature import Curvature
from ngexplorer.curvature.base import lost_in_rounding
from ngexplorer.optimizers.solvers.solution import Solution

_RANK = 1e-10
"""Eigenvalues below this share of the largest are zero to a pseudo-inverse, or below P units of their last place."""


def by_cholesky(matrix: Curvature, gradient: Tensor, damping: float) -> Solution:
    """(B + λI) d = −g. Whether B + λI is positive definite is not read here: `failed` tells with the trial."""
    factor, failed = matrix.cholesky(damping)
    if factor.dtype == torch.float32:
        failed = failed.bool() | lost_in_rounding(factor)
    direction = torch.cholesky_solve(-gradient[:, None], factor)[:, 0]
    return Solution(direction, damping, "cholesky", failed=failed)


def by_eigenpairs(
    matrix: Curvature, gradient: Tensor, damping: float, how: Literal["signed", "absolute", "pseudo"]
) -> Solution:
    """d = −Q f(Λ) Qᵀg with f = 1/(Λ + λ), 1/(|Λ| + λ), or 1/(Λ + λ) but 0 where Λ is zero to rounding.

    Signed, `failed` tells where an eigenvalue + λ is not positive.
    """
    values, vectors = matrix.eigenpairs()
    inside = vectors.T @ gradient
    failed = None
    if how == "absolute":
        curved = values.abs()
        scale = 1 / (curved + damping)
    elif how == "pseudo":
        curved = values
        least = max(_RANK, len(values) * torch.finfo(values.dtype).eps)
        kept = values.abs() > least * values.abs().max()
        scale = torch.where(kept, 1 / torch.where(kept, values + damping, 1.0), 0.0)
    else:
        curved = values
        scale = 1 / (values + damping)
        failed = (values[0] + damping <= 0).to(gradient.dtype)
    direction = -(vectors @ (scale * inside))
    product = -(vectors @ (curved * scale * inside))
    return Solution(direction, damping, f"eigendecomposition, {how}", product=product, failed=failed)

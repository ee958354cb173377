"""Solving in the space of cases times outputs."""

from __future__ import annotations

import torch

from ngexplorer.curvature import Curvature, GaussNewton, IndefiniteError
from ngexplorer.optimizers.solvers.solution import Solution


def serves(matrix: Curvature, damping: float) -> bool:
    """Whether a matrix can be solved with there: for the gradient, with λ > 0."""
    return isinstance(matrix, GaussNewton) and matrix.gradient_in_sample_space and damping > 0


def by_sample_space(matrix: Curvature, damping: float) -> Solution:
    """(B + λI) d = −∇h for a Gauss-Newton or Fisher matrix. Raises IndefiniteError where λ is lost in rounding."""
    assert isinstance(matrix, GaussNewton)
    try:
        return Solution(-matrix.solve_in_sample_space(damping), damping, "sample space")
    except torch.linalg.LinAlgError as error:
        # B is positive semi-definite: its lowest eigenvalue is zero to rounding.
        raise IndefiniteError(matrix.title, damping, -damping, exact=False) from error

"""Solving in the space of cases times outputs."""

from __future__ import annotations

from ngexplorer.curvature import Curvature, GaussNewton
from ngexplorer.optimizers.solvers.solution import Solution


def serves(matrix: Curvature, damping: float) -> bool:
    """Whether a matrix can be solved with there: for the gradient, with λ > 0."""
    return isinstance(matrix, GaussNewton) and matrix.gradient_in_sample_space and damping > 0


def by_sample_space(matrix: Curvature, damping: float) -> Solution:
    """(B + λI) d = −∇h for a Gauss-Newton or Fisher matrix."""
    assert isinstance(matrix, GaussNewton)
    return Solution(-matrix.solve_in_sample_space(damping), damping, "sample space")

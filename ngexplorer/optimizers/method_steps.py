"""The damped steps of different methods from one point."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.curvature import KFAC, Curvature
from ngexplorer.curvature.kinds import curvatures
from ngexplorer.objectives import Point
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.solvers.conjugate_gradient import by_conjugate_gradient

METHODS = {
    "newton": "hessian",
    "gauss-newton": "gauss-newton",
    "natural-gradient": "fisher",
    "natural-gradient-empirical": "empirical-fisher",
    "kfac": "kfac",
}
"""The methods by name, and the matrix of each"""

_ITERATIVE = parts.ConjugateGradient(tolerance=1e-6, iterations=500)


def damped_steps(point: Point, damping: float) -> tuple[dict[str, Tensor], dict[str, str]]:
    """−(B + damping·I)⁻¹∇h, (P,), by the name of the method, with B = H (Newton), G, F (natural gradient), F̄ and K-FAC
    with labels in exact expectation and its factored damping; and of the others why they have none.

    A matrix that is not positive definite with that damping gives no step, for its system's solution is no minimum of
    the model. Nothing is drawn. Watched by the point.
    """
    matrices = curvatures(point)
    steps: dict[str, Tensor] = {}
    refused = {name: matrices.refused[kind] for name, kind in METHODS.items() if kind in matrices.refused}
    for name, kind in METHODS.items():
        if kind not in matrices.found:
            continue
        if kind == "fisher" and point.objective.loss.natural and "gauss-newton" in steps:  # F = G
            steps[name] = steps["gauss-newton"]
            continue
        point.watch.check()
        try:
            steps[name] = damped_step(matrices.found[kind], damping)
        except (ArithmeticError, torch.linalg.LinAlgError) as error:  # indefinite, or no convergence
            refused[name] = str(error)
    return steps, refused


def damped_step(matrix: Curvature, damping: float) -> Tensor:
    """−(B + λI)⁻¹∇h: as the matrix itself solves it, but by conjugate gradient where its dense form takes a product for
    each of many parameters. Raises ArithmeticError."""
    point, objective = matrix.point, matrix.objective
    if objective.structured or objective.parameters <= parts.Auto.largest_by_products or isinstance(matrix, KFAC):
        return -matrix.solve_gradient(damping)
    watch = point.watch
    found = by_conjugate_gradient(matrix, point.gradient, damping, _ITERATIVE, None, lambda _: 0.0, watch.cancel)
    assert found.residual is not None
    left = float(torch.linalg.vector_norm(found.residual) / torch.linalg.vector_norm(point.gradient))
    if left > 10 * max(_ITERATIVE.tolerance, torch.finfo(point.gradient.dtype).eps ** 0.5):
        raise ArithmeticError(f"{matrix.title}: conjugate gradient left {left:.1g} of ‖∇h‖; more damping converges")
    return found.direction

"""The steps that different methods would take from one point, as arrows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ngexplorer.analysis.kinds import curvatures
from ngexplorer.analysis.planes import Array, Plane
from ngexplorer.curvature import KFAC, Curvature
from ngexplorer.objectives import Point
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.solvers.conjugate_gradient import by_conjugate_gradient
from ngexplorer.runs.probes import LARGEST_BY_PRODUCTS

_STEPS = {
    "newton": "hessian",
    "gauss-newton": "gauss-newton",
    "natural-gradient": "fisher",
    "natural-gradient-empirical": "empirical-fisher",
    "kfac": "kfac",
}

_ITERATIVE = parts.ConjugateGradient(tolerance=1e-6, iterations=500)


@dataclass(frozen=True)
class Arrows:
    """Steps (P,) from one θ by the name of their method, and of the others why they have none."""

    steps: dict[str, Tensor]
    refused: dict[str, str]

    def project(self, plane: Plane) -> dict[str, Array]:
        """What of each step lies in the plane, (2,)."""
        axes = torch.as_tensor(plane.axes)
        return {name: (axes @ step.double().cpu()).numpy() for name, step in self.steps.items()}

    def cosines(self) -> Array:
        """The cosine between every two steps, in their order, (K, K); NaN where one is zero."""
        rows = torch.stack([step.double().cpu() for step in self.steps.values()])
        lengths = torch.linalg.vector_norm(rows, dim=1)
        return ((rows @ rows.T) / (lengths[:, None] * lengths)).numpy()


def arrows(point: Point, damping: float, carried: Tensor | None = None) -> Arrows:
    """−∇h, and −(B + damping·I)⁻¹∇h with B = H (Newton), G, F (natural gradient), F̄ and K-FAC, with labels in exact
    expectation and its factored damping.

    carried: what momentum adds, μδ₀ with δ₀ the last step, (P,), if anything. A matrix that is not positive definite
    with that damping gives no arrow, for its system's solution is no minimum of the model; `refused` says so.
    Watched by the point.
    """
    matrices = curvatures(point)
    steps = {"gradient-descent": -point.gradient}
    refused = {name: matrices.refused[kind] for name, kind in _STEPS.items() if kind in matrices.refused}
    for name, kind in _STEPS.items():
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
    if carried is not None:
        steps["momentum"] = carried
    return Arrows(steps, refused)


def damped_step(matrix: Curvature, damping: float) -> Tensor:
    """−(B + λI)⁻¹∇h: as the matrix itself solves it, but by conjugate gradient where its dense form takes a product for
    each of many parameters. Raises ArithmeticError."""
    point, objective = matrix.point, matrix.objective
    if objective.structured or objective.parameters <= LARGEST_BY_PRODUCTS or isinstance(matrix, KFAC):
        return -matrix.solve_gradient(damping)
    watch = point.watch
    found = by_conjugate_gradient(matrix, point.gradient, damping, _ITERATIVE, None, lambda _: 0.0, watch.cancel)
    assert found.residual is not None
    left = float(torch.linalg.vector_norm(found.residual) / torch.linalg.vector_norm(point.gradient))
    if left > 10 * max(_ITERATIVE.tolerance, torch.finfo(point.gradient.dtype).eps ** 0.5):
        raise ArithmeticError(f"{matrix.title}: conjugate gradient left {left:.1g} of ‖∇h‖; more damping converges")
    return found.direction

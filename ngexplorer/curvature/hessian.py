"""The Hessian H = ∇²h = G + E[Σ_j ∂L/∂z_j ∇²f_j]."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature.gauss_newton import GaussNewton
from ngexplorer.objectives import Objective, Point


class Hessian(GaussNewton):
    """H = (1/N) Σ (Jᵀ H_L J + Σ_j ∂L/∂z_j ∇²f_j) + ηI (Martens 2020, §8: what G leaves out is the curvature of f).

    Raises ValueError for a model whose second derivatives were found to be wrong (`objective.hessian_refusal`).
    """

    name: ClassVar[str] = "hessian"
    title: ClassVar[str] = "Hessian"
    second_order: ClassVar[bool] = True

    @property
    def _gradient_in_range(self) -> bool:
        return False

    def __init__(self, objective: Objective, theta: Tensor | Point) -> None:
        if objective.hessian_refusal:
            raise ValueError(f"Hessian: {objective.hessian_refusal}")
        super().__init__(objective, theta)

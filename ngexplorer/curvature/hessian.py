"""The Hessian H = ∇²h = G + E[Σ_j ∂L/∂z_j ∇²f_j]."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature.gauss_newton import GaussNewton


class Hessian(GaussNewton):
    """H = (1/N) Σ (Jᵀ H_L J + Σ_j ∂L/∂z_j ∇²f_j) + ηI (Martens 2020, §8: what G leaves out is the curvature of f)."""

    name: ClassVar[str] = "hessian"
    title: ClassVar[str] = "Hessian"

    def _matvec(self, v: Tensor) -> Tensor:
        return super()._matvec(v) + self.point.output_curvature_product(v)

    def _dense(self) -> Tensor:
        return self.point.dense(self._middle, second_order=True)

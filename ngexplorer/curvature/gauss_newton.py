"""The generalized Gauss-Newton matrix G = E[Jᵀ H_L J] (Schraudolph 2002; Martens 2020, §8)."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.curvature.base import Curvature


class GaussNewton(Curvature):
    """G = (1/N) Σ Jᵀ H_L J + ηI with H_L = ∂²L/∂z². Positive semi-definite where the loss is convex in z."""

    name: ClassVar[str] = "gauss-newton"
    title: ClassVar[str] = "Gauss-Newton matrix"

    @cached_property
    def _middle(self) -> Tensor:
        return self.objective.loss.hessian(self.point.outputs, self.objective.targets)

    def _matvec(self, v: Tensor) -> Tensor:
        point = self.point
        product = torch.einsum("ncd,nd->nc", self._middle, point.jvp(v))
        return point.vjp(product) / len(point.outputs)

    def _dense(self) -> Tensor:
        return self.point.dense(self._middle, second_order=False)

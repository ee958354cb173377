"""The exact Fisher information matrix F = E[Jᵀ F_R J], labels from the model (Martens 2020, §5 and §9)."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature.gauss_newton import GaussNewton


class Fisher(GaussNewton):
    """F = (1/N) Σ Jᵀ F_R J + ηI with F_R = E_{y ~ r(· | z)}[∇_z log r ∇_z log rᵀ]: the Gauss-Newton form with F_R
    in the middle. Always positive semi-definite; equals G where z are natural parameters."""

    name: ClassVar[str] = "fisher"
    title: ClassVar[str] = "Fisher matrix"

    @cached_property
    def _middle(self) -> Tensor:
        return self.objective.loss.fisher(self.point.outputs)

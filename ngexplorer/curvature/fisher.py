"""The exact Fisher information matrix F = E[Jᵀ F_R J], labels from the model (Martens 2020, §5 and §9)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature.gauss_newton import GaussNewton
from ngexplorer.curvature.scores import require_density
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.losses.base import CaseMap


class Fisher(GaussNewton):
    """F = (1/N) Σ Jᵀ F_R J + ηI with F_R = E_{y ~ r(· | z)}[∇_z log r ∇_z log rᵀ]: the Gauss-Newton form with F_R
    in the middle. Always positive semi-definite; equals G where z are natural parameters.

    Raises ValueError for a loss that is not the negative log of a density.
    """

    name: ClassVar[str] = "fisher"
    title: ClassVar[str] = "Fisher matrix"

    def __init__(self, objective: Objective, theta: Tensor | Point) -> None:
        require_density(objective, self.title)
        super().__init__(objective, theta)

    def _middle(self) -> Tensor:
        return self.objective.loss.fisher(self.point.outputs)

    def _map(self, rows: slice) -> CaseMap:
        return self.objective.loss.fisher_map(self.point.outputs[rows])

    def _root(self) -> Tensor:
        return self.objective.loss.fisher_root(self.point.outputs)

    @property
    def _gradient_in_range(self) -> bool:
        return True  # F_R is the sum over labels of score scoreᵀ, and the training label's is one of them

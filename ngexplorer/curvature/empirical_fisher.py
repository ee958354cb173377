"""The empirical Fisher F̄ = E[∇L ∇Lᵀ] with the training labels: not the Fisher (Martens 2020, §11)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature.base import Curvature
from ngexplorer.curvature.layers import diagonal_by_layers


class EmpiricalFisher(Curvature):
    """F̄ = (1/N) Σ g_n g_nᵀ + ηI with g_n = Jᵀ ∂L/∂z of case n: the labels are the training data's, not the model's.

    At a perfect fit it vanishes where the Fisher does not, and it grows with the residuals.
    """

    name: ClassVar[str] = "empirical-fisher"
    title: ClassVar[str] = "Empirical Fisher matrix"

    def _scores(self) -> Tensor:
        """∂L/∂z of every case, for S labels, (N, S, C)."""
        return self.point.output_gradient[:, None]

    def _score(self) -> Tensor | None:
        """The scores where there is one label a case, (N, C): the same tensor each time, so that its backward sweep,
        once made, serves every product."""
        return self.point.output_gradient

    def _product(self, vectors: Tensor) -> Tensor:
        score = self._score()
        if score is not None:
            return self.point.outer_product(score, vectors)
        scores = self._scores()

        def push(moved: Tensor, rows: slice) -> Tensor:
            some = scores[rows]
            return moved @ some.transpose(1, 2) @ some / scores.shape[1]

        return self.point.product(vectors, push, second_order=False)

    def _dense(self) -> Tensor:
        scores = self._scores()
        return self.point.dense(scores.transpose(1, 2) @ scores / scores.shape[1], second_order=False)

    def _diagonal(self) -> Tensor:
        if not self.objective.gradients_by_layers:
            return super()._diagonal()
        scores = self._scores().transpose(1, 2)
        return diagonal_by_layers(self.point, scores / scores.shape[2] ** 0.5) + self.objective.weight_decay

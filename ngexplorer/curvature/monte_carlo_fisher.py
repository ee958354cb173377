"""The Fisher with labels sampled from the model: an unbiased estimate whose error falls as S^(−1/2)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature.empirical_fisher import EmpiricalFisher
from ngexplorer.curvature.scores import require_density, sampled_scores
from ngexplorer.objectives import Objective, Point


class MonteCarloFisher(EmpiricalFisher):
    """F̂ = (1/NS) Σ_n Σ_s g_ns g_nsᵀ + ηI with g_ns = Jᵀ ∂L(y_ns, z_n)/∂z, y_ns ~ r(· | z_n) (Martens 2020, §5).

    samples: S ≥ 1 labels a case. seed: of the generator that draws them, on the objective's device.

    Raises ValueError for a loss that is not the negative log of a density.
    """

    name: ClassVar[str] = "monte-carlo-fisher"
    title: ClassVar[str] = "Monte Carlo Fisher matrix"

    def __init__(self, objective: Objective, theta: Tensor | Point, samples: int = 1, seed: int = 0) -> None:
        if samples < 1:
            raise ValueError(f"samples: {samples}; a whole number ≥ 1 of labels a case is accepted")
        require_density(objective, self.title)
        super().__init__(objective, theta)
        self.samples, self.seed = samples, seed

    @property
    def _key(self) -> Hashable:
        return (type(self), self.samples, self.seed)

    def _scores(self) -> Tensor:
        return sampled_scores(self.point, self.samples, self.seed)

    def _score(self) -> Tensor | None:
        if self.samples > 1:
            return None
        found: Tensor = self._kept("score", lambda: self._scores()[:, 0].contiguous())
        return found

"""K-FAC's and EKFAC's metrics: running averages of factors, and what is made of them, which serves for some steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
from torch import Tensor

from ngexplorer.cancellation import Cancel
from ngexplorer.curvature import EKFAC, KFAC, Curvature, Fisher, IndefiniteError
from ngexplorer.curvature.kfac import Factors, Inverse
from ngexplorer.objectives import Point
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.memory import Memory
from ngexplorer.optimizers.metrics import Metric
from ngexplorer.optimizers.solvers.solution import Solution

Promise = Callable[[Metric, Solution], float]
"""M(δ) − M(0), damping included, of the step that a solution leads to."""


def kronecker_metric(part: parts.Kronecker, point: Point, memory: Memory, seed: int, promise: Promise) -> Kronecker:
    if isinstance(part, parts.KFAC):
        return Factored(part, point, memory, seed, promise)
    assert isinstance(part, parts.EKFAC)
    return Eigenbasis(part, point, memory, seed)


class Kronecker(Metric):
    """A Kronecker form of the Fisher of running averages of its factors. `memory` is with them."""

    def __init__(self, part: parts.Kronecker, point: Point, memory: Memory, seed: int) -> None:
        fresh = part.kind(point.objective, point, part.labels, seed, sharing=part.sharing)
        share = min(1 - 1 / memory.count, part.decay)
        averages = memory.factors or tuple(fresh.factors)
        factors = tuple(
            Factors(new.layer, share * old.a + (1 - share) * new.a, share * old.g + (1 - share) * new.g)
            for old, new in zip(averages, fresh.factors, strict=True)
        )
        self.kronecker: KFAC = fresh.with_factors(list(factors))
        self.matrix: Curvature = Fisher(point.objective, point)
        """For the model: the exact Fisher, as the Kronecker form gives directions (Martens and Grosse 2015, §6.4)"""
        self.memory = msgspec.structs.replace(memory, factors=factors)


class Factored(Kronecker):
    """K-FAC: (G + γ/π I)⁻¹ ⊗ (A + πγI)⁻¹."""

    def __init__(self, part: parts.KFAC, point: Point, memory: Memory, seed: int, promise: Promise) -> None:
        super().__init__(part, point, memory, seed)
        self.part, self.promise = part, promise
        self.solved_with: float | None = None

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        memory, before = self.memory, self.solved_with
        gamma = self._gamma(damping)
        if before is None and self.part.adapt and memory.count % self.part.adapt == 0:
            return self._best(gradient, damping, gamma)
        stale = not memory.inverses or memory.count - memory.inverted_at >= self.part.refresh
        if stale or before not in (None, damping):  # old inverses would give the rejected direction again
            return self._taken(gradient, damping, gamma, self.kronecker.inverses(damping, gamma), memory.count)
        return self._taken(gradient, damping, gamma, memory.inverses, memory.inverted_at)

    def _gamma(self, damping: float) -> float:
        """γ = √(λ + η), or the one chosen before; a rejected trial's rises as √λ does."""
        if not self.part.adapt or not self.memory.gamma:
            return self.kronecker.gamma(damping)
        tried = self.solved_with
        return self.memory.gamma * (math.sqrt(damping / tried) if tried else 1.0)

    def _best(self, gradient: Tensor, damping: float, gamma: float) -> Solution:
        """Of γω, γ and γ/ω, ω = √(19/20)^T₂, the one whose step has the lowest M(δ) (Martens and Grosse 2015, §6.6)."""
        omega = (19 / 20) ** (self.part.adapt / 2)
        found: list[tuple[float, float, list[Inverse]]] = []
        failed: IndefiniteError | None = None
        for candidate in (gamma, gamma * omega, gamma / omega):
            try:
                inverses = self.kronecker.inverses(damping, candidate)
                found.append((self.promise(self, self._solution(gradient, damping, inverses)), candidate, inverses))
            except IndefiniteError as error:
                failed = error
        if not found:
            assert failed is not None
            raise failed
        _, best, inverses = min(found, key=lambda one: one[0])
        return self._taken(gradient, damping, best, inverses, self.memory.count)

    def _taken(
        self, gradient: Tensor, damping: float, gamma: float, inverses: Sequence[Inverse], inverted_at: int
    ) -> Solution:
        self.solved_with = damping
        self.memory = msgspec.structs.replace(
            self.memory, inverses=tuple(inverses), inverted_at=inverted_at, gamma=gamma
        )
        return self._solution(gradient, damping, inverses)

    def _solution(self, gradient: Tensor, damping: float, inverses: Sequence[Inverse]) -> Solution:
        return Solution(-self.kronecker.solve_with(inverses, gradient), damping, "Kronecker factors")


class Eigenbasis(Kronecker):
    """EKFAC: U(s + λ + η)⁻¹Uᵀ, with U of an earlier step's averages while that serves, and s likewise."""

    def __init__(self, part: parts.EKFAC, point: Point, memory: Memory, seed: int) -> None:
        super().__init__(part, point, memory, seed)
        matrix, memory = self.kronecker, self.memory
        assert isinstance(matrix, EKFAC)
        based_at = scaled_at = memory.count
        if memory.basis and memory.count - memory.inverted_at < part.refresh:
            kept = memory.count - memory.scaled_at < part.scalings
            matrix = matrix.with_basis(memory.basis, memory.scalings if kept else ())
            based_at, scaled_at = memory.inverted_at, memory.scaled_at if kept else memory.count
        self.kronecker = matrix
        self.memory = msgspec.structs.replace(
            memory,
            basis=tuple(matrix.basis),
            scalings=tuple(matrix.scalings),
            inverted_at=based_at,
            scaled_at=scaled_at,
        )

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        return Solution(-self.kronecker.solve(gradient, damping), damping, "Kronecker eigenbasis")

"""Conjugate gradient on (B + λI) d = −g: products with B alone (Hestenes and Stiefel 1952; Martens 2010)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.curvature import Curvature, EmpiricalFisher, IndefiniteError
from ngexplorer.optimizers.parts import ConjugateGradient
from ngexplorer.optimizers.solvers.solution import Solution

_SPACING = 1.3
"""Snapshots of the way are this factor of iterations apart (Martens 2010)."""

Loss = Callable[[Tensor], float]


def by_conjugate_gradient(
    matrix: Curvature,
    gradient: Tensor,
    damping: float,
    settings: ConjugateGradient,
    start: Tensor | None,
    loss: Loss,
    cancel: Cancel,
) -> Solution:
    """d from `start` (None: 0). Raises IndefiniteError where a direction of negative curvature of B + λI turns up.

    loss: h at θ + d, asked for snapshots where the settings say `backtrack`.
    """
    run = _Run(matrix, gradient, damping, settings, start)
    if run.goal == 0:
        zero = torch.zeros_like(gradient)
        return Solution(zero, damping, "conjugate gradient: the gradient is zero", residual=gradient, iterations=0)
    between = between_looks(gradient.device)
    for iteration in range(1, settings.iterations + 1):
        if cancel():
            raise Cancelled
        run.advance()
        if iteration % between == 0 or iteration == settings.iterations:
            reason = run.look(iteration)
            if reason:
                return run.solution(iteration, f"conjugate gradient: {reason}", loss)
    return run.solution(settings.iterations, "conjugate gradient: iterations used up", loss)


def between_looks(device: torch.device) -> int:
    """How many iterations run between two looks at how far it is: each waits for a device that is not the host."""
    return 1 if device.type == "cpu" else 5


def enough(settings: ConjugateGradient, length: float) -> float:
    """The ‖(B + λI)d + g‖/‖g‖ at which it is close enough, for ‖g‖ = length."""
    return min(settings.tolerance, math.sqrt(length)) if settings.stop == "forcing" else settings.tolerance


class _Run:
    """The state of the iteration. The residual r = (B + λI)d + g is kept by its recursion."""

    def __init__(
        self, matrix: Curvature, gradient: Tensor, damping: float, settings: ConjugateGradient, start: Tensor | None
    ) -> None:
        self.matrix, self.gradient, self.damping, self.settings = matrix, gradient, damping, settings
        self.inverse = _preconditioner(matrix, damping) if settings.preconditioned else None
        warm = start is not None and settings.warm_start > 0
        self.direction = settings.warm_start * start if warm and start is not None else torch.zeros_like(gradient)
        self.residual = gradient + self._times(self.direction) if warm else gradient.clone()
        self.preconditioned = self._inverted(self.residual)
        self.search = -self.preconditioned
        self.square = self.residual.dot(self.preconditioned)
        self.lowest = torch.full_like(self.square, torch.inf)
        steepness = float(gradient.dot(gradient))
        self.goal = enough(settings, math.sqrt(steepness)) ** 2 * steepness
        self.models: list[Tensor] = []
        self.snapshots: list[tuple[int, Tensor]] = []
        self._next = 1.0

    def _times(self, v: Tensor) -> Tensor:
        return self.matrix @ v + self.damping * v

    def _inverted(self, r: Tensor) -> Tensor:
        return r if self.inverse is None else self.inverse * r

    def advance(self) -> None:
        """One iteration, without a look at any number."""
        product = self._times(self.search)
        bend = self.search.dot(product)
        # Below the goal it stands still until it is looked at: past it, rounding is all that is left to divide by.
        going = self.residual.dot(self.residual) > self.goal if self.settings.stop != "progress" else self.square > 0
        lowest = torch.minimum(self.lowest, bend / self.search.dot(self.search))
        self.lowest = torch.where(going, lowest, self.lowest)
        rate = torch.where(going, self.square / bend, 0.0)
        self.direction = self.direction + rate * self.search
        self.residual = self.residual + rate * product
        self.preconditioned = self._inverted(self.residual)
        before, self.square = self.square, self.residual.dot(self.preconditioned)
        self.search = torch.where(going, self.square / before * self.search - self.preconditioned, self.search)
        if self.settings.stop == "progress" or self.settings.backtrack:
            # M(d) − M(0) = ½ dᵀ(r + g), for r = (B + λI)d + g.
            self.models.append(0.5 * self.direction.dot(self.residual + self.gradient))
            if self.settings.backtrack and len(self.models) >= self._next:
                self.snapshots.append((len(self.models), self.direction))
                self._next = max(self._next * _SPACING, len(self.models) + 1)

    def look(self, iteration: int) -> str:
        """Why to stop here, or an empty text."""
        left, lowest = torch.stack((self.residual.dot(self.residual), self.lowest)).tolist()
        if not lowest > 0:
            raise IndefiniteError(self.matrix.title, self.damping, lowest - self.damping, exact=False)
        if self.settings.stop != "progress":
            return "residual below the tolerance" if left <= self.goal else ""
        if left == 0:
            return "residual below the tolerance"
        k = max(10, math.ceil(iteration / 10))
        if iteration <= k:
            return ""
        now, then = torch.stack((self.models[-1], self.models[-1 - k])).tolist()
        return "relative progress" if now < 0 and (now - then) / now < k * self.settings.tolerance else ""

    def solution(self, iterations: int, reason: str, loss: Loss | None = None) -> Solution:
        direction = self.direction
        if self.settings.backtrack and loss is not None and self.snapshots:
            direction = self._backtracked(loss)
        moved = direction is not self.direction
        residual = self.gradient + self._times(direction) if moved else self.residual
        return Solution(direction, self.damping, reason, residual=residual, iterations=iterations)

    def _backtracked(self, loss: Loss) -> Tensor:
        """Back from the end while the snapshot before has the lower loss."""
        best, value = self.direction, loss(self.direction)
        for _, snapshot in reversed(self.snapshots):
            if torch.equal(snapshot, self.direction):  # it stood still there until it was looked at
                continue
            earlier = loss(snapshot)
            if not earlier < value:
                break
            best, value = snapshot, earlier
        return best


def _preconditioner(matrix: Curvature, damping: float) -> Tensor:
    """(diag F̄ + λ)^(−¾), (P,)."""
    diagonal = EmpiricalFisher(matrix.objective, matrix.point).diagonal()
    return (diagonal + damping) ** -0.75

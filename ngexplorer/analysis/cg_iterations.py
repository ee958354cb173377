"""The iterations of conjugate gradient at a point, one by one: what the solver of a step went through."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ngexplorer.analysis.planes import Array
from ngexplorer.curvature import Curvature, EmpiricalFisher
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.solvers.conjugate_gradient import between_looks, enough

_BETWEEN_ANSWERS = 10


@dataclass(frozen=True)
class Iterations:
    """CG on (B + λI)d = −g after K iterations; arrays are (K + 1,), of iteration 0 to K.

    models: M(d) − M(0) with the damping, what CG minimizes. undamped: the same without ½λ‖d‖². residuals:
    ‖(B + λI)d + g‖/‖g‖. norms: ‖d‖. curvatures: pᵀ(B + λI)p/‖p‖² of each search direction, NaN at 0; where one is not
    positive the iteration ends. stop: the iteration at which the rule says to stop, if reached; `reason`: why it ended.
    """

    models: Array
    undamped: Array
    residuals: Array
    norms: Array
    curvatures: Array
    stop: int | None
    reason: str

    @property
    def done(self) -> bool:
        return bool(self.reason)


def conjugate_gradient(
    matrix: Curvature,
    damping: float,
    settings: parts.ConjugateGradient,
    start: Tensor | None = None,
    beyond: int = 0,
) -> Iterator[Iterations]:
    """CG from `settings.warm_start` · `start` at the matrix's point, by the settings of a step's solver; every ten
    iterations the curve so far. (Hestenes and Stiefel 1952; Martens 2010, §4)

    `stop` is where the step's solver stops, and `beyond` iterations more are made to show what that left. A solver that
    backtracks may then have gone back to an earlier iterate. Watched by the point.
    """
    run = _Iteration(matrix, damping, settings, start)
    between = between_looks(matrix.point.theta.device)
    stop: int | None = None
    reason = ""
    if run.residuals[0] == 0:
        reason = "the gradient is zero" if run.length == 0 else "residual below the tolerance"
    ended = bool(reason)
    while not ended:
        matrix.point.watch.check()
        run.advance()
        k = run.count
        if not run.curvatures[-1] > 0:
            reason = reason or "negative curvature"
            break
        last = k == settings.iterations
        if stop is None and (k % between == 0 or last or run.residuals[-1] == 0):
            reason = run.stops() or ("iterations used up" if last else "")
            stop = k if reason else None
        ended = run.residuals[-1] == 0 or (stop is not None and k >= stop + beyond)
        if not ended and k % _BETWEEN_ANSWERS == 0:
            yield run.curve(stop, "")
    yield run.curve(stop, reason)


class _Iteration:
    """The state of the iteration, with its history."""

    def __init__(
        self, matrix: Curvature, damping: float, settings: parts.ConjugateGradient, start: Tensor | None
    ) -> None:
        self.matrix, self.damping, self.settings = matrix, damping, settings
        self.gradient = matrix.point.gradient
        self.length = float(torch.linalg.vector_norm(self.gradient))
        self.inverse: Tensor | float = 1.0
        if settings.preconditioned:
            diagonal = EmpiricalFisher(matrix.objective, matrix.point).diagonal()
            self.inverse = (diagonal + damping) ** -0.75
        self.direction = torch.zeros_like(self.gradient)
        self.residual = self.gradient.clone()
        if start is not None and settings.warm_start > 0:
            self.direction = settings.warm_start * start
            self.residual = self.gradient + self._times(self.direction)
        preconditioned = self.inverse * self.residual
        self.search = -preconditioned
        self.square = float(self.residual.dot(preconditioned))
        self.models: list[float] = []
        self.undamped: list[float] = []
        self.residuals: list[float] = []
        self.norms: list[float] = []
        self.curvatures = [math.nan]
        self._note()

    @property
    def count(self) -> int:
        return len(self.models) - 1

    def _times(self, v: Tensor) -> Tensor:
        return self.matrix @ v + self.damping * v

    def advance(self) -> None:
        product = self._times(self.search)
        bend, long = torch.stack((self.search.dot(product), self.search.dot(self.search))).tolist()
        self.curvatures.append(bend / long if long > 0 else math.nan)
        if bend > 0:
            rate = self.square / bend
            self.direction = self.direction + rate * self.search
            self.residual = self.residual + rate * product
            preconditioned = self.inverse * self.residual
            before, self.square = self.square, float(self.residual.dot(preconditioned))
            self.search = self.square / before * self.search - preconditioned
        self._note()

    def _note(self) -> None:
        # M(d) − M(0) = ½dᵀ(r + g), for r = (B + λI)d + g.
        d, r = self.direction, self.residual
        model, square, left = torch.stack((0.5 * d.dot(r + self.gradient), d.dot(d), r.dot(r))).tolist()
        self.models.append(model)
        self.undamped.append(model - 0.5 * self.damping * square)
        self.norms.append(math.sqrt(square))
        self.residuals.append(math.sqrt(left) / self.length if self.length > 0 else 0.0)

    def stops(self) -> str:
        """Why the step's rule stops here, or an empty text."""
        if self.settings.stop != "progress" or self.residuals[-1] == 0:
            near = self.residuals[-1] <= enough(self.settings, self.length)
            return "residual below the tolerance" if near else ""
        i = self.count
        k = max(10, math.ceil(i / 10))
        if i <= k:
            return ""
        now, then = self.models[i], self.models[i - k]
        return "relative progress" if now < 0 and (now - then) / now < k * self.settings.tolerance else ""

    def curve(self, stop: int | None, reason: str) -> Iterations:
        columns = (self.models, self.undamped, self.residuals, self.norms, self.curvatures)
        models, undamped, residuals, norms, curvatures = (np.array(column) for column in columns)
        return Iterations(models, undamped, residuals, norms, curvatures, stop, reason)

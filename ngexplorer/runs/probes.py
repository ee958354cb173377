"""Probes: what is measured beside the steps, on a schedule of its own and out of their time."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.curvature import Curvature, GaussNewton, Hessian, matrix_at
from ngexplorer.curvature import Fisher as FisherMatrix
from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import Optimizer
from ngexplorer.runs.history import Spectrum

LARGEST_EXACT = 2500
"""Up to so many parameters all eigenvalues are computed."""


def evaluate(objective: Objective, point: Point) -> tuple[float, float]:
    """Validation loss (NaN without validation data) and the metric, on the validation cases where there are some."""
    if objective.validation is None:
        return float("nan"), float(point.metric)
    held = objective.validation.at(point.theta)
    loss, metric = torch.stack((held.value, held.metric)).tolist()
    return loss, metric


class SpectrumProbe:
    """Eigenvalues of the matrix each second-order run uses, and of the Hessian beside it, for at most `share` of the
    race's compute.

    Every run gets its first spectrum with its first step. Afterwards the run with the fewest is served whenever the
    budget allows. The matrix at a point is the one its step was solved with, so only what is missing is built.
    """

    def __init__(self, share: float = 0.2) -> None:
        self.share = share
        self.seconds = 0.0
        self.compute = 0.0
        self._counts: dict[int, int] = {}
        self._cost = 0.0
        self._start: dict[type[Curvature], tuple[Tensor, NDArray[Any]]] = {}

    def step_taken(self, seconds: float) -> None:
        """Tell of a step's compute, from which the budget grows."""
        self.compute += seconds

    def due(self, run: int, optimizer: Optimizer, parameters: int) -> bool:
        """Whether that run's spectrum should be taken at the point it just stepped from."""
        if not optimizer.second_order or parameters > LARGEST_EXACT:
            self.retire(run)
            return False
        count = self._counts.setdefault(run, 0)
        if count == 0:
            return True
        affordable = self.seconds + self._cost <= self.share * self.compute
        return affordable and count == min(self._counts.values())

    def retire(self, run: int) -> None:
        """Forget a run that has ended or has no matrix any more, so that the others do not wait for it."""
        self._counts.pop(run, None)

    def take(self, run: int, optimizer: Optimizer, point: Point, step: int, damping: float) -> list[Spectrum]:
        """The spectra at that point."""
        began = perf_counter()
        part: Any = optimizer.curvature
        kinds: list[type[Curvature]] = [Hessian] if part.matrix is Hessian else [part.matrix, Hessian]
        spectra = [Spectrum(step, kind.name, self._eigenvalues(point, kind), damping) for kind in kinds]
        self._counts[run] += 1
        self._cost = perf_counter() - began
        self.seconds += self._cost
        return spectra

    def _eigenvalues(self, point: Point, kind: type[Curvature]) -> NDArray[Any]:
        """All runs start at one θ, so its spectra are taken once; and F is G where z are natural parameters."""
        same = GaussNewton if kind is FisherMatrix and point.objective.loss.natural else kind
        found = self._start.get(same)
        if found is not None and found[0] is point.theta:
            return found[1]
        # `kind` and not `same`: the matrix the step was solved with is already built.
        eigenvalues = matrix_at(point, kind).eigenvalues().double().cpu().numpy()
        self._start.setdefault(same, (point.theta, eigenvalues))
        return eigenvalues

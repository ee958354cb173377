"""Probes: what is measured beside the steps, on a schedule of its own and out of their time."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.curvature import Curvature, GaussNewton, Hessian
from ngexplorer.curvature import Fisher as FisherMatrix
from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import Optimizer
from ngexplorer.runs.history import Spectrum

LARGEST_EXACT = 2500
"""Up to so many parameters all eigenvalues are computed."""
LARGEST_BY_PRODUCTS = 300
"""The same where the dense matrix takes a product for every parameter."""


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

    They are taken in rounds, one spectrum a run and all at the same step where turns are fair by steps, so that they
    can be compared. The first round comes with the first step, each later one once the budget allows for it. The
    matrix at a point is the one its step was solved with, so only what is missing is built.
    """

    def __init__(self, share: float = 0.2) -> None:
        self.share = share
        self.seconds = 0.0
        self.compute = 0.0
        self._racing: set[int] = set()
        self._served: set[int] = set()
        self._from = 0
        self._furthest = -1
        self._cost = 0.0
        self._known: list[tuple[type[Curvature], Tensor, NDArray[Any]]] = []

    def enter(self, run: int, optimizer: Optimizer, objective: Objective) -> None:
        """Tell of a run as it now is: one without a matrix has no spectrum, a large one no exact one."""
        largest = LARGEST_EXACT if objective.structured else LARGEST_BY_PRODUCTS
        if optimizer.second_order and objective.parameters <= largest:
            self._racing.add(run)
        else:
            self.retire(run)

    def retire(self, run: int) -> None:
        """Forget a run that has ended or has no matrix any more, so that the others do not wait for it."""
        self._racing.discard(run)

    def due(self, run: int, step: int, seconds: float) -> bool:
        """Whether that run's spectrum is to be taken at the step it just left, which took so many seconds."""
        self.compute += seconds
        if self._racing <= self._served and self.seconds + self._cost <= self.share * self.compute:
            # From the first step that no run has left yet, so that all can be looked at there.
            self._from = step if step > self._furthest else self._furthest + 1
            self._served, self._cost, self._known = set(), 0.0, []
        if run not in self._racing:
            return False
        self._furthest = max(self._furthest, step)
        return run not in self._served and step >= self._from

    def take(self, run: int, optimizer: Optimizer, point: Point, step: int, damping: float) -> list[Spectrum]:
        """The spectra at that point."""
        began = perf_counter()
        part: Any = optimizer.curvature
        kinds: list[type[Curvature]] = [Hessian] if part.kind is Hessian else [part.kind, Hessian]
        try:
            return [Spectrum(step, kind.name, self._eigenvalues(point, kind), damping) for kind in kinds]
        finally:  # what fails is paid for too, and has had its turn
            self._served.add(run)
            cost = perf_counter() - began
            self._cost += cost
            self.seconds += cost

    def _eigenvalues(self, point: Point, kind: type[Curvature]) -> NDArray[Any]:
        """Runs that stand at one θ share its spectra (all start at one), and F is G where z are natural parameters."""
        same = GaussNewton if kind is FisherMatrix and point.objective.loss.natural else kind
        for known, theta, eigenvalues in self._known:
            if known is same and torch.equal(theta, point.theta):
                return eigenvalues
        # `kind` and not `same`: the matrix the step was solved with is already built.
        found = kind(point.objective, point).eigenvalues().double().cpu().numpy()
        self._known.append((same, point.theta, found))
        return found

"""A path in the space of distributions: how far each step moves the predictions, beside how far it moves θ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ngexplorer.analysis.kullback_leibler import divergence
from ngexplorer.analysis.planes import Array
from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.curvature import Fisher
from ngexplorer.objectives import Objective

_STRIDES = (16, 4, 1)


@dataclass(frozen=True)
class Distances:
    """Of the T − 1 steps of a path, (T − 1,) each; NaN where not known yet.

    divergences: KL(p_θ ‖ p_θ′) a case, in nats, errors: its standard error where it is a Monte Carlo estimate, else 0.
    quadratic: ½δᵀF(θ)δ, what the Fisher metric takes it for (Martens 2020, §6). euclidean: ‖θ′ − θ‖. `done`: the share
    that is known.
    """

    divergences: Array
    errors: Array
    quadratic: Array
    euclidean: Array
    done: float


def distances(objective: Objective, thetas: NDArray[np.floating], cancel: Cancel) -> Iterator[Distances]:
    """The lengths of the steps between consecutive points (T, P), some of them first. Raises ValueError for a loss
    without a density or fewer than two points, and Cancelled."""
    if len(thetas) < 2:
        raise ValueError(f"thetas: {len(thetas)}; a step has two ends")
    count = len(thetas) - 1
    euclidean = np.linalg.norm(np.diff(np.asarray(thetas, dtype=np.float64), axis=0), axis=1)
    found, errors, quadratic = (np.full(count, np.nan) for _ in range(3))
    known = np.zeros(count, dtype=bool)
    for stride in _STRIDES:
        for i in np.flatnonzero(~known & (np.arange(count) % stride == 0)):
            if cancel():
                raise Cancelled
            point, after = (
                objective.at(torch.as_tensor(theta).to(objective.initial_parameters)) for theta in thetas[i : i + 2]
            )
            apart = divergence(objective.loss, point.outputs, after.outputs)
            found[i], errors[i], known[i] = apart.value, apart.error, True
            delta = after.theta - point.theta
            # Without the weight decay that is in the matrix: it moves no distribution.
            decay = objective.penalty_product(point.theta, delta, False)
            quadratic[i] = 0.5 * float(delta.dot(Fisher(objective, point) @ delta - decay))
        yield Distances(found.copy(), errors.copy(), quadratic.copy(), euclidean, float(known.mean()))
        if known.all():
            return

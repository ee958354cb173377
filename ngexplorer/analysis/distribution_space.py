"""A path in the space of distributions: how far each step moves the predictions, beside how far it moves θ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """Of the T − 1 steps of a path, (T − 1,) each; NaN where not asked for or not known yet.

    divergences: KL(p_θ ‖ p_θ′) a case, in nats, errors: its standard error where it is a Monte Carlo estimate, else 0.
    quadratic: ½δᵀF(θ)δ, what the Fisher metric takes it for (Martens 2020, §6). euclidean: ‖θ′ − θ‖. `done`: the share
    that is known.
    """

    divergences: Array
    errors: Array
    quadratic: Array
    euclidean: Array
    done: float


def distances(
    objective: Objective,
    thetas: Sequence[NDArray[np.floating]] | NDArray[np.floating],
    cancel: Cancel,
    chosen: NDArray[np.int64] | None = None,
) -> Iterator[Distances]:
    """The lengths of the steps between consecutive points (T, P), some of them first; of the steps `chosen`, by their
    places from 0 to T − 2, alone, or of all. Raises ValueError for a loss without a density or fewer than two points,
    and Cancelled."""
    if len(thetas) < 2:
        raise ValueError(f"thetas: {len(thetas)}; a step has two ends")
    wanted = np.arange(len(thetas) - 1) if chosen is None else chosen
    found, errors, quadratic, euclidean = (np.full(len(thetas) - 1, np.nan) for _ in range(4))
    for i in wanted:
        ends = (np.asarray(theta, dtype=np.float64) for theta in thetas[i : i + 2])
        euclidean[i] = np.linalg.norm(np.subtract(*ends))
    known = np.zeros(len(wanted), dtype=bool)
    for stride in _STRIDES:
        for place in np.flatnonzero(~known & (np.arange(len(wanted)) % stride == 0)):
            if cancel():
                raise Cancelled
            i = wanted[place]
            point, after = (
                objective.at(torch.as_tensor(theta).to(objective.initial_parameters)) for theta in thetas[i : i + 2]
            )
            apart = divergence(objective.loss, point.outputs, after.outputs)
            found[i], errors[i], known[place] = apart.value, apart.error, True
            delta = after.theta - point.theta
            # Without the weight decay that is in the matrix: it moves no distribution.
            decay = objective.penalty_product(point.theta, delta, False)
            quadratic[i] = 0.5 * float(delta.dot(Fisher(objective, point) @ delta - decay))
        yield Distances(found.copy(), errors.copy(), quadratic.copy(), euclidean, float(known.mean()))
        if known.all():
            return

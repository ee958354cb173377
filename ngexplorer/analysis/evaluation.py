"""The loss at many points: several at a time where one is so cheap that the calls are what takes the time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled, Progress, unseen
from ngexplorer.objectives import Objective

_CHEAP = 1e6
"""Above so many floating-point operations a point, one after the other is faster: each stays in the caches."""
_AT_ONCE = 64

Points = Callable[[slice], Tensor]
"""Some of the points, (b, P), of the objective's dtype and device: made when they are needed, for all may not fit."""


def losses(
    objective: Objective, points: Points, count: int, cancel: Cancel, progress: Progress = unseen
) -> NDArray[np.float64]:
    """h(θ_i) of `count` points, (count,) float64; agrees with `objective.value` to rounding. Raises Cancelled.

    `cancel` is asked before each group of points, `progress` told after it.
    """
    at_once = points_at_once(objective)
    batched = _batched(objective) if at_once > 1 else None
    found = np.empty(count)
    for start in range(0, count, at_once):
        if cancel():
            raise Cancelled
        some = slice(start, min(start + at_once, count))
        thetas = points(some)
        values: Tensor | None = None
        if batched is not None:
            values = batched(thetas)
            if values is None or (start == 0 and not _agrees(values[0], objective.value(thetas[0]))):
                batched = values = None
        if values is None:
            values = torch.stack([objective.value(theta) for theta in thetas])
        found[some] = values.double().cpu().numpy()
        progress(some.stop / count)
    return found


def operations(objective: Objective) -> float:
    """Floating-point operations of h at one point: a third of a gradient, or half of a single layer's."""
    return objective.gradient_flops / (2 if objective.network.single else 3)


def points_at_once(objective: Objective) -> int:
    """How many points go through the model together: as many as take no longer than a cheap one's calls."""
    return max(1, min(_AT_ONCE, int(_CHEAP / operations(objective))))


def _batched(objective: Objective) -> Callable[[Tensor], Tensor | None]:
    """h of several θ in one sweep, (b, P) → (b,), or None where an operation of the model has no batched form."""

    def value(theta: Tensor) -> Tensor:
        outputs = objective.network.evaluate(theta, objective.inputs)
        return objective.loss.per_case(outputs, objective.targets).mean() + objective.penalty(theta)

    mapped = torch.func.vmap(value)

    def values(thetas: Tensor) -> Tensor | None:
        try:
            found: Tensor = mapped(thetas)
            return found
        except (RuntimeError, ValueError):
            return None

    return values


def _agrees(one: Tensor, other: Tensor) -> bool:
    tolerance = 1e3 * torch.finfo(one.dtype).eps
    return bool(torch.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True))

"""The profile of a path: the true loss along it beside the loss of its shadow on a plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.analysis.evaluation import losses
from ngexplorer.analysis.planes import Array, Plane
from ngexplorer.cancellation import Cancel
from ngexplorer.objectives import Objective

_STRIDES = (8, 2, 1)


@dataclass(frozen=True)
class Profile:
    """A path of T points seen from a plane.

    coordinates: in the plane, (T, 2). residuals: distances from it, (T,). explained: the share of the path's variance
    along each axis. loss: h at each point, (T,). plane_loss: h at its projection, what the picture shows under it.
    Losses are NaN where they are not known yet; `done` is the share that is.
    """

    coordinates: Array
    residuals: Array
    explained: tuple[float, float]
    loss: Array
    plane_loss: Array
    done: float


def profile(objective: Objective, plane: Plane, thetas: NDArray[np.floating], cancel: Cancel) -> Iterator[Profile]:
    """The profile of a path (T, P), every eighth point first. Raises Cancelled."""
    path = np.asarray(thetas, dtype=np.float64)
    coordinates, residuals = plane.project(path)
    unknown = np.full(len(path), np.nan)
    found = Profile(coordinates, residuals, plane.explains(path), unknown, unknown.copy(), 0.0)
    like = objective.initial_parameters

    def evaluated(points: Array) -> Array:
        def some(at: slice) -> Tensor:
            return torch.as_tensor(points[at]).to(like)

        return losses(objective, some, len(points), cancel)

    for stride in _STRIDES:
        known = ~np.isnan(found.loss)
        new = np.flatnonzero(~known & (np.arange(len(path)) % stride == 0))
        loss, beside = found.loss.copy(), found.plane_loss.copy()
        loss[new] = evaluated(path[new])
        beside[new] = evaluated(plane.points(coordinates[new]))
        done = len(path[::stride]) / len(path)
        found = replace(found, loss=loss, plane_loss=beside, done=done)
        yield found

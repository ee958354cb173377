"""The same method in other parameters: the paths that it takes to a Gaussian in each parametrization, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from ngexplorer.analysis.kullback_leibler import closed_form
from ngexplorer.analysis.planes import Array
from ngexplorer.cancellation import Cancel
from ngexplorer.curvature import IndefiniteError
from ngexplorer.objectives import Objective
from ngexplorer.objectives.landscapes.gaussian import NAMES, GaussianLikelihood
from ngexplorer.objectives.losses import GaussianNLL
from ngexplorer.objectives.losses.gaussian import Parametrization
from ngexplorer.objectives.reparametrizations import reparametrized
from ngexplorer.objectives.reparametrizations.gaussian import gaussian_map
from ngexplorer.optimizers import Optimizer

_PARAMETRIZATIONS: tuple[Parametrization, ...] = get_args(Parametrization)


@dataclass(frozen=True)
class Elsewhere:
    """What a method does in one parametrization, told in the parameters of the run that it is compared with.

    names: what its two parameters are. own: whether it is the run's own parametrization. path: (T, 2), θ of the
    run's objective from the common start, one row a step, as far as the method comes. moments: (μ, v) there, (T, 2).
    apart: KL(run ‖ this), in nats, of the two distributions after as many steps, (T,), 0 where they are one.
    """

    names: str
    own: bool
    path: Array
    moments: Array
    apart: Array


def refusal(objective: Objective) -> str:
    """Why there are no other parameters to take the steps in; empty where there are."""
    landscape = getattr(objective.model, "landscape", None)
    if isinstance(landscape, GaussianLikelihood) and isinstance(objective.loss, GaussianNLL):
        return ""
    return f"Only of the {GaussianLikelihood.title.lower()}, which has five parametrizations"


def elsewhere(
    objective: Objective, optimizer: Optimizer, path: Array, cancel: Cancel, seed: int = 0
) -> Iterator[tuple[Elsewhere, ...]]:
    """The run with that path, (T, 2) float64, and the same optimizer from its start, as many steps, in each of the
    other four parametrizations of a Gaussian; an answer after each.

    A step is straight in the coordinates that it is taken in, so that a method whose matrix transforms as a metric has
    one direction in all of them but not one step (Martens 2020, §12). A path ends where its method has no way on or
    leaves v > 0. Raises ValueError of another objective, and Cancelled.
    """
    if why := refusal(objective):
        raise ValueError(why)
    assert isinstance(objective.loss, GaussianNLL)
    here = objective.loss.parametrization
    run = torch.as_tensor(path, dtype=torch.float64)
    found = [_told(objective.loss, here, run, run, own=True)]
    for there in _PARAMETRIZATIONS:
        if there == here:
            continue
        changed = reparametrized(objective, gaussian_map(there, here))
        stepper = optimizer.start(changed, changed.change.inverse(run[0].to(objective.initial_parameters)), seed)
        places = [run[0]]
        while len(places) < len(run):
            try:
                step = stepper.step(cancel)
            except (IndefiniteError, torch.linalg.LinAlgError):
                break
            if not np.isfinite(step.loss_after):
                break
            places.append(changed.to_theta(stepper.point.theta).double().cpu())
        found.append(_told(objective.loss, there, torch.stack(places), run, own=False))
        yield tuple(found)


def _told(loss: GaussianNLL, parametrization: Parametrization, path: Tensor, run: Tensor, *, own: bool) -> Elsewhere:
    moments = torch.cat(loss.moments(path), 1)
    apart = closed_form(loss, run[: len(path)], path)
    assert apart is not None
    return Elsewhere(NAMES[parametrization], own, path.numpy(), moments.numpy(), apart.clamp(min=0).numpy())

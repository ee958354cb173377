"""Scores: gradients of the loss with respect to the outputs, for labels drawn from the model or given by the data."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.objectives import Objective, Point


def require_density(objective: Objective, title: str) -> None:
    """Raise ValueError where the loss is no −log r(y | z), so that there are no labels to average over."""
    if not objective.loss.density:
        raise ValueError(
            f"{title}: {objective.loss.title} is not the negative log of a density, so no labels can be drawn; "
            "Hessian, GaussNewton and EmpiricalFisher are accepted"
        )


def sampled_scores(point: Point, samples: int, seed: int) -> Tensor:
    """∂L/∂z for `samples` labels of each case drawn from r(· | z), (N, samples, C); the same for the same seed, and
    kept with the point, so that matrices which ask for the same labels get them."""
    key = ("sampled scores", samples, seed)
    if key not in point.cache:
        loss = point.objective.loss
        generator = torch.Generator(device=point.theta.device).manual_seed(seed)
        drawn = [loss.gradient(point.outputs, loss.sample(point.outputs, generator)) for _ in range(samples)]
        point.cache[key] = torch.stack(drawn, 1)
    found: Tensor = point.cache[key]
    return found

"""Scores: gradients of the loss with respect to the outputs, for labels drawn from the model or given by the data."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.objectives import Point


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

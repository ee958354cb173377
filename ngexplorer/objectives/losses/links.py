"""Links: from the outputs of the usual split of a model, which may be any numbers, to those that another loss takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Exponential(nn.Module):
    """e^z, elementwise: a rate from a log-rate."""

    def forward(self, z: Tensor) -> Tensor:
        return z.exp()


class GaussianLink(nn.Module):
    """(μ, log v) of every column, (N, 2K) with the K means first → its two outputs in another parametrization."""

    def __init__(self, parametrization: str) -> None:
        super().__init__()
        self.parametrization = parametrization

    def forward(self, z: Tensor) -> Tensor:
        mean, log_variance = z.chunk(2, 1)
        match self.parametrization:
            case "variance":
                pair = mean, log_variance.exp()
            case "precision":
                pair = mean, (-log_variance).exp()
            case "natural":
                precision = (-log_variance).exp()
                pair = mean * precision, -0.5 * precision
            case "mean":
                pair = mean, mean.square() + log_variance.exp()
            case _:
                pair = mean, log_variance
        return torch.cat(pair, 1)

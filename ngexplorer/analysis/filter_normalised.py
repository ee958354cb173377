"""Random planes on which filters keep their scale (Li, Xu, Taylor, Studer and Goldstein 2018, §4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ngexplorer.analysis.planes import Array, Plane
from ngexplorer.objectives import Objective


def filter_normalised_plane(objective: Objective, origin: Array, seed: int = 0) -> Plane:
    """A plane through θ (P,) along two random directions, each filter of which is as long as θ's own filter there:
    d_f ← d_f/‖d_f‖ · ‖θ_f‖.

    A filter is what feeds one unit: a row of a Linear weight, an output channel of a convolution. The second direction
    is drawn at right angles to the first within each filter, so that both keep their lengths, which are ‖θ‖ without
    the parameters that are vectors: in biases and gains the directions are zero, as there. `unit` is that length.
    Raises ValueError for a model whose parameters are all vectors, or whose weights are all zero.
    """
    theta = torch.as_tensor(np.asarray(origin, dtype=np.float64))
    generator = torch.Generator().manual_seed(seed)
    directions = torch.zeros(2, len(theta), dtype=torch.float64)
    at = 0
    for parameter in (p for p in objective.model.parameters() if p.requires_grad):
        place = slice(at, at + parameter.numel())
        at = place.stop
        if parameter.ndim > 1:
            filters = theta[place].view(len(parameter), -1)
            directions[:, place] = _drawn(filters, generator).flatten(1)
    unit = float(torch.linalg.vector_norm(directions[0]))
    if not unit > 0:
        raise ValueError("model: it has no weights with filters to normalise by; vectors alone have none")
    # Where all filters are single numbers, no second direction is at right angles to the first.
    if not float(torch.linalg.vector_norm(directions[1])) > 0:
        raise ValueError("model: its filters are single numbers, along which there is one direction and no plane")
    axes = directions / torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    return Plane(theta.numpy(), axes.numpy(), unit=unit)


def _drawn(filters: Tensor, generator: torch.Generator) -> Tensor:
    """Two random directions at right angles in each filter of (filters, n), as long as it: (2, filters, n)."""
    first, second = torch.randn(2, *filters.shape, generator=generator, dtype=torch.float64)
    first = torch.nn.functional.normalize(first, dim=1)
    second = second - (second * first).sum(1, keepdim=True) * first
    if filters.shape[1] == 1:
        second = torch.zeros_like(first)
    lengths = torch.linalg.vector_norm(filters, dim=1, keepdim=True)
    return lengths * torch.stack((first, torch.nn.functional.normalize(second, dim=1)))

"""The gradient noise scale: from what batch size on the gradient is more signal than noise (McCandlish et al. 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ngexplorer.curvature.exactness import largest_exact
from ngexplorer.curvature.hessian import Hessian
from ngexplorer.objectives import Point

_NUMBERS = 4_000_000
"""So many numbers of gradients of single cases are held at once: 32 MB in float64."""
_ROWS = 512
"""So many sweeps of a general graph are asked for at once, each with weights for all rows."""
_WORK = 4e9
"""Above so many numbers in all, cases × parameters, some cases are drawn in place of all."""
_FEWEST = 32


@dataclass(frozen=True)
class GradientNoise:
    """Gradients g_n of single cases around their mean: Σ = E[g_n g_nᵀ] − ḡḡᵀ, a mean over the cases at hand.

    simple: B_simple = tr Σ / ‖∇h‖² (eq. 2.9), in cases. critical: B_noise = tr(HΣ) / (∇hᵀH∇h) (eq. 2.8), NaN where H is
    too large or ∇h has no positive curvature. total: tr Σ. cases: how many gradients this is from; `exact` where that
    is all.
    """

    simple: float
    critical: float
    total: float
    cases: int
    exact: bool


def gradient_noise(point: Point, seed: int = 0) -> GradientNoise:
    """The noise scale from per-case gradients: of all cases while cases × parameters is below 4·10⁹, else of as many
    drawn ones. Outputs at several positions of a case are cases of their own. Watched by the point."""
    objective = point.objective
    gradient, count = point.gradient.double(), objective.cases
    most = max(_FEWEST, int(_WORK / objective.parameters))
    order = torch.arange(count)
    if count > most:
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]
    hessian = _dense_hessian(point)
    total, curved, rows_seen = 0.0, 0.0, 0
    mean = torch.zeros_like(gradient)
    positions = len(point.outputs) // count
    at_once = max(1, min(_NUMBERS // objective.parameters, _ROWS) // positions)
    for some in point.watch.over(order.split(at_once)):
        part = objective.batch(some.to(objective.device)).at(point.theta)
        rows = part.rows(part.output_gradient[:, :, None]).double()
        total += float(rows.square().sum())
        mean += rows.sum(0)
        rows_seen += len(rows)
        if hessian is not None:
            curved += float((rows @ hessian * rows).sum())
    mean /= rows_seen
    spread = max(0.0, total / rows_seen - float(mean.dot(mean)))
    signal = float(gradient.dot(gradient))
    critical = math.nan
    if hessian is not None:
        along = float(gradient.dot(hessian @ gradient))
        if along > 0:
            critical = (curved / rows_seen - float(mean.dot(hessian @ mean))) / along
    simple = spread / signal if signal > 0 else math.inf
    return GradientNoise(simple, critical, spread, len(order), len(order) == count)


def _dense_hessian(point: Point) -> torch.Tensor | None:
    objective = point.objective
    if objective.parameters > largest_exact(objective) or objective.hessian_refusal:
        return None
    return Hessian(objective, point).dense().double()

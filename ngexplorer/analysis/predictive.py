"""The predictive distribution r(y | z) of each loss, as its quantiles."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import special
from torch import Tensor

from ngexplorer.analysis.planes import Array
from ngexplorer.objectives import losses
from ngexplorer.objectives.losses import Loss
from ngexplorer.objectives.losses.location import LocationLoss


def quantiles(loss: Loss, z: Tensor, levels: Array) -> Array:
    """Quantiles of r(· | z) of every column at the levels (Q,), for outputs z (N, C): (Q, N, K).

    Raises ValueError for losses of classes, and for one without a density: they have no band around a curve.
    """
    levels = np.asarray(levels, dtype=np.float64)
    if isinstance(loss, LocationLoss):
        return z.double().cpu().numpy() + noise_quantiles(loss, levels)[:, None, None]
    if isinstance(loss, losses.GaussianNLL):
        mean, variance = (moment.double().cpu().numpy() for moment in loss.moments(z))
        return mean + np.sqrt(variance) * special.ndtri(levels)[:, None, None]
    if isinstance(loss, losses.PoissonLogRate | losses.PoissonRate):
        rate = loss.prediction(z).double().cpu().numpy()
        return _poisson(levels[:, None, None], rate)
    raise ValueError(f"loss: {loss.title} has no predictive band; losses of numbers and counts have one")


def noise_quantiles(loss: LocationLoss, levels: Array) -> Array:
    """Quantiles of y − z, (Q,)."""
    match loss:
        case losses.SquaredError():
            return math.sqrt(loss.variance) * special.ndtri(levels)
        case losses.Laplace():
            return -loss.scale * np.sign(levels - 0.5) * np.log1p(-2 * np.abs(levels - 0.5))
        case losses.StudentT():
            return loss.scale * special.stdtrit(loss.degrees, levels)
        case losses.Cauchy():
            return loss.scale * np.tan(np.pi * (levels - 0.5))
        case losses.Logistic():
            return special.logit(levels)
        case losses.Huber():
            return _huber(loss, levels)
    raise ValueError(f"loss: {loss.title} has no known quantiles")


def _poisson(levels: Array, rate: Array) -> Array:
    """The smallest count with at least that probability at or below it."""
    count = np.ceil(special.pdtrik(levels, rate))
    below = np.maximum(count - 1, 0)
    return np.where(special.pdtr(below, rate) >= levels, below, count)


def _huber(loss: losses.Huber, levels: Array) -> Array:
    """Huber's density is normal within ±δ, a share 𝓘 of it, with tails that fall as e^{−δ|r|} (Huber 1964)."""
    inside, edge = loss.information, loss.threshold
    upper = np.abs(levels - 0.5)
    covered = math.erf(edge / math.sqrt(2))
    near = math.sqrt(2) * torch.erfinv(torch.as_tensor(np.minimum(2 * upper / inside, 1.0) * covered)).numpy()
    with np.errstate(divide="ignore"):
        far = edge - np.log(np.maximum((1 - 2 * upper) / (1 - inside), 0.0)) / edge
    return np.sign(levels - 0.5) * np.where(2 * upper <= inside, near, far)

"""The fit of a regression on one input, with the band in which its loss's own density expects the targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ngexplorer.analysis.decision_regions import outputs_at
from ngexplorer.analysis.planes import Array
from ngexplorer.analysis.predictive import quantiles
from ngexplorer.objectives import Point


@dataclass(frozen=True)
class Fit:
    """E[y | x] at inputs xs (T,): mean (T, K); low and high (T, K) hold the share `coverage` of r(y | f(x)) between
    them, or are NaN where the loss is one of classes."""

    xs: Array
    mean: Array
    low: Array
    high: Array
    coverage: float


def regression_fit(point: Point, xs: Array, coverage: float = 0.9) -> Fit:
    """The fit at a point θ over inputs xs (T,). Watched by the point. Raises ValueError unless the inputs are one
    number a case, and Cancelled."""
    inputs, loss = point.objective.inputs, point.objective.loss
    if not isinstance(inputs, torch.Tensor) or tuple(inputs.shape[1:]) != (1,):
        raise ValueError("inputs: not one number a case; a fit is drawn over one input")
    z = outputs_at(point, np.asarray(xs, dtype=np.float64)[:, None])
    middle = loss.prediction(z).double().cpu().numpy()
    try:
        low, high = quantiles(loss, z, np.array([0.5 - coverage / 2, 0.5 + coverage / 2]))
    except ValueError:
        low = high = np.full(middle.shape, np.nan)
    return Fit(np.asarray(xs, dtype=np.float64), middle, low, high, coverage)

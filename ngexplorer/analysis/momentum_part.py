"""What momentum adds to a step, from the steps before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ngexplorer.analysis.planes import Array
from ngexplorer.optimizers import Optimizer, parts


def momentum_part(
    optimizer: Optimizer, before: Sequence[NDArray[np.floating]], momentum: float | None = None
) -> Array | None:
    """The part of a step that is there whatever the gradient, (P,), after the steps δ_1 … δ_k of a run, (P,) each; None
    where there is no such part: without momentum of the step, or before the second step.

    Heavy ball, δ = αd + μδ_k: μδ_k. Nesterov, v = μv_k + αd and δ = αd + μv: μ²v_k, with v_k from
    v_i = (δ_i + μv_{i−1})/(1 + μ). momentum: the μ of the step, where its rule has found one (`Step.momentum`).
    """
    part = optimizer.momentum
    if not before or not isinstance(part, parts.HeavyBall | parts.Nesterov):
        return None
    mu = part.coefficient if momentum is None else momentum
    if isinstance(part, parts.HeavyBall):
        return mu * np.asarray(before[-1], dtype=np.float64)
    velocity = np.zeros(len(before[-1]))
    for step in before:
        velocity = (step + mu * velocity) / (1 + mu)
    return mu * mu * velocity

"""The λ that a run's own damping rule comes to at a point, whatever it adapts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from ngexplorer.analysis.shifted_solutions import Shifted
from ngexplorer.optimizers import parts

_LEAST, _MOST = 1e-14, 1e14
"""Between these multiples of |λ|max above the floor a λ is looked for."""


def own_damping(rule: parts.Damping, control: float, solution: Shifted) -> float:
    """λ with which the rule damps a step on that path.

    control: what the rule adapts: λ itself; a trust region's Δ, where λ is what makes ‖δ(λ)‖ = Δ, or the floor where
    all of the path is shorter; a cube's M, where λ = ½M‖δ(λ)‖ (Martens 2020, §10).
    """
    match rule:
        case parts.Undamped():
            return 0.0
        case parts.TrustRegion():
            return _where_as_long(solution, lambda damping: control)
        case parts.Cubic():
            return _where_as_long(solution, lambda damping: 2 * damping / control)
        case _:
            return control


def _where_as_long(solution: Shifted, length: Callable[[float], float]) -> float:
    """The λ above the floor at which ‖δ(λ)‖, which falls in λ, is a length that does not; the floor where it is shorter
    from there on."""

    def excess(exponent: float) -> float:
        damping = solution.floor + solution.scale * float(np.exp(exponent))
        return float(np.log(solution.norms(np.array([damping]))[0]) - np.log(length(damping)))

    low, high = np.log(_LEAST), np.log(_MOST)
    if excess(low) <= 0:
        return solution.floor
    if excess(high) >= 0:
        return solution.floor + solution.scale * _MOST
    return solution.floor + solution.scale * float(np.exp(brentq(excess, low, high, xtol=1e-13, rtol=1e-13)))

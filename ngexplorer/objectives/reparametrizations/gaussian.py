"""Between the five parametrizations of a Gaussian with two parameters, each by way of (μ, v)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ngexplorer.objectives.losses.gaussian import Parametrization
from ngexplorer.objectives.reparametrizations.base import Composed, Reparametrization

Pair = tuple[Tensor, Tensor]


class PairMap(Reparametrization):
    """θ = (p, q)(a, b) for γ = (a, b), written out.

    value, back: (a, b) → (p, q) and the other way; slopes: (p_a, p_b, q_a, q_b); bends: (p_aa, p_ab, p_bb, q_aa, q_ab,
    q_bb), each as a function of a and b.
    """

    parameters = 2

    def __init__(
        self,
        title: str,
        value: Callable[[Tensor, Tensor], Pair],
        back: Callable[[Tensor, Tensor], Pair],
        slopes: Callable[[Tensor, Tensor], tuple[Tensor | float, ...]],
        bends: Callable[[Tensor, Tensor], tuple[Tensor | float, ...]],
    ) -> None:
        self.title = title
        self._value, self._back, self._slopes, self._bends = value, back, slopes, bends

    def forward(self, gamma: Tensor) -> Tensor:
        return torch.stack(self._value(*gamma.unbind(-1)), -1)

    def inverse(self, theta: Tensor) -> Tensor:
        return torch.stack(self._back(*theta.unbind(-1)), -1)

    def jvp(self, gamma: Tensor, v: Tensor) -> Tensor:
        p_a, p_b, q_a, q_b = self._slopes(*gamma.unbind(-1))
        a, b = v.unbind(-1)
        return torch.stack((p_a * a + p_b * b, q_a * a + q_b * b), -1)

    def vjp(self, gamma: Tensor, w: Tensor) -> Tensor:
        p_a, p_b, q_a, q_b = self._slopes(*gamma.unbind(-1))
        p, q = w.unbind(-1)
        return torch.stack((p_a * p + q_a * q, p_b * p + q_b * q), -1)

    def second(self, gamma: Tensor, w: Tensor, v: Tensor) -> Tensor:
        p_aa, p_ab, p_bb, q_aa, q_ab, q_bb = self._bends(*gamma.unbind(-1))
        p, q = w.unbind(-1)
        a, b = v.unbind(-1)
        mixed = p * p_ab + q * q_ab
        return torch.stack(((p * p_aa + q * q_aa) * a + mixed * b, mixed * a + (p * p_bb + q * q_bb) * b), -1)


def _from_natural(a: Tensor, b: Tensor) -> Pair:
    v = -1 / (2 * b)
    return a * v, v


def _to_natural(mean: Tensor, v: Tensor) -> Pair:
    return mean / v, -1 / (2 * v)


def _from_precision(mean: Tensor, p: Tensor) -> Pair:
    return mean, 1 / p


def _from_moments(first: Tensor, second: Tensor) -> Pair:
    return first, second - first * first


def _to_moments(mean: Tensor, v: Tensor) -> Pair:
    return mean, v + mean * mean


def _natural_slopes(a: Tensor, b: Tensor) -> tuple[Tensor | float, ...]:
    v = -1 / (2 * b)
    return v, 2 * a * v**2, 0.0, 2 * v**2


def _natural_bends(a: Tensor, b: Tensor) -> tuple[Tensor | float, ...]:
    v = -1 / (2 * b)
    return 0.0, 2 * v**2, 8 * a * v**3, 0.0, 0.0, 8 * v**3


# γ = those coordinates → θ = (μ, v), and γ = (μ, v) → θ = those coordinates.
_TO_VARIANCE: dict[Parametrization, Reparametrization] = {
    "variance": PairMap(
        "(μ, v)", lambda m, v: (m, v), lambda m, v: (m, v), lambda m, v: (1.0, 0.0, 0.0, 1.0), lambda m, v: (0.0,) * 6
    ),
    "log-variance": PairMap(
        "(μ, log v) to (μ, v)",
        lambda m, s: (m, torch.exp(s)),
        lambda m, v: (m, torch.log(v)),
        lambda m, s: (1.0, 0.0, 0.0, torch.exp(s)),
        lambda m, s: (0.0, 0.0, 0.0, 0.0, 0.0, torch.exp(s)),
    ),
    "precision": PairMap(
        "(μ, 1/v) to (μ, v)",
        _from_precision,
        _from_precision,
        lambda m, p: (1.0, 0.0, 0.0, -1 / p**2),
        lambda m, p: (0.0, 0.0, 0.0, 0.0, 0.0, 2 / p**3),
    ),
    "natural": PairMap("natural parameters to (μ, v)", _from_natural, _to_natural, _natural_slopes, _natural_bends),
    "mean": PairMap(
        "mean parameters to (μ, v)",
        _from_moments,
        _to_moments,
        lambda f, s: (1.0, 0.0, -2 * f, 1.0),
        lambda f, s: (0.0, 0.0, 0.0, -2.0, 0.0, 0.0),
    ),
}
_FROM_VARIANCE: dict[Parametrization, Reparametrization] = {
    "variance": _TO_VARIANCE["variance"],
    "log-variance": PairMap(
        "(μ, v) to (μ, log v)",
        lambda m, v: (m, torch.log(v)),
        lambda m, s: (m, torch.exp(s)),
        lambda m, v: (1.0, 0.0, 0.0, 1 / v),
        lambda m, v: (0.0, 0.0, 0.0, 0.0, 0.0, -1 / v**2),
    ),
    "precision": PairMap(
        "(μ, v) to (μ, 1/v)",
        _from_precision,
        _from_precision,
        lambda m, v: (1.0, 0.0, 0.0, -1 / v**2),
        lambda m, v: (0.0, 0.0, 0.0, 0.0, 0.0, 2 / v**3),
    ),
    "natural": PairMap(
        "(μ, v) to natural parameters",
        _to_natural,
        _from_natural,
        lambda m, v: (1 / v, -m / v**2, 0.0, 1 / (2 * v**2)),
        lambda m, v: (0.0, -1 / v**2, 2 * m / v**3, 0.0, 0.0, -1 / v**3),
    ),
    "mean": PairMap(
        "(μ, v) to mean parameters",
        _to_moments,
        _from_moments,
        lambda m, v: (1.0, 0.0, 2 * m, 1.0),
        lambda m, v: (0.0, 0.0, 0.0, 2.0, 0.0, 0.0),
    ),
}


def gaussian_map(source: Parametrization, target: Parametrization) -> Reparametrization:
    """γ in the coordinates `source` → θ in the coordinates `target`, two parameters each, as GaussianNLL has them.

    An objective with θ in `target` becomes one with γ in `source`. v ≤ 0 is outside the domain.
    """
    if source == "variance":
        return _FROM_VARIANCE[target]
    if target == "variance":
        return _TO_VARIANCE[source]
    return Composed(_TO_VARIANCE[source], _FROM_VARIANCE[target])

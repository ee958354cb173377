"""Maps of each parameter by itself, θ_k = φ(γ_k): logarithmic coordinates, sinh, and a cubic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ngexplorer.objectives.reparametrizations.base import Reparametrization

Function = Callable[[Tensor], Tensor]


class Elementwise(Reparametrization):
    """θ = φ(γ) for each parameter, with φ⁻¹ (`back`), φ' (`slope`) and φ'' (`bend`)."""

    def __init__(self, title: str, value: Function, back: Function, slope: Function, bend: Function) -> None:
        self.title = title
        self._value, self._back, self._slope, self._bend = value, back, slope, bend

    def forward(self, gamma: Tensor) -> Tensor:
        return self._value(gamma)

    def inverse(self, theta: Tensor) -> Tensor:
        return self._back(theta)

    def jvp(self, gamma: Tensor, v: Tensor) -> Tensor:
        return self._slope(gamma) * v

    def vjp(self, gamma: Tensor, w: Tensor) -> Tensor:
        return self._slope(gamma) * w

    def second(self, gamma: Tensor, w: Tensor, v: Tensor) -> Tensor:
        return self._bend(gamma) * w * v


def _cubic_back(theta: Tensor) -> Tensor:
    """The only real root of γ³ + γ = θ, by sinh 3t = 4 sinh³t + 3 sinh t, which unlike Cardano's does not cancel."""
    return 2 / 3**0.5 * torch.sinh(torch.asinh(1.5 * 3**0.5 * theta) / 3)


LOGARITHMIC = Elementwise("logarithmic coordinates", torch.exp, torch.log, torch.exp, torch.exp)
"""γ = log θ, for positive parameters; NaN for others."""

SINH = Elementwise("sinh", torch.sinh, torch.asinh, torch.cosh, torch.sinh)
"""θ = sinh γ, for all parameters: like logarithmic coordinates of either sign far out, and like θ = γ near 0."""

CUBIC = Elementwise("cubic", lambda g: g + g**3, _cubic_back, lambda g: 1 + 3 * g * g, lambda g: 6 * g)
"""θ = γ + γ³, for all parameters."""

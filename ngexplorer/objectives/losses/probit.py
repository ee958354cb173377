"""Probit: r(1 | z) = Φ(z), two classes told apart by a normal variable's sign."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives.losses.bernoulli import Bernoulli
from ngexplorer.objectives.traits import Traits


class Probit(Bernoulli, frozen=True, kw_only=True, tag="probit"):
    """L = −Σ_c log Φ(u_c), u = z for y = 1 and −z for y = 0. Targets (N, C), 0 or 1.

    F_R = φ²/(Φ(1 − Φ)) = m(z) m(−z) and H_L = m(u)(m(u) + u) with m = φ/Φ. The link is not the
    natural one, so the two differ, though both are positive: Fisher scoring is not Newton's method here.
    """

    title: ClassVar[str] = "Probit"
    natural: ClassVar[bool] = False

    def refusal(self, traits: Traits) -> str | None:
        if traits.targets == "classes":
            return super().refusal(traits)
        return f"needs two classes; these targets are {traits.described}"

    def check(self, y: Tensor, z: Tensor) -> None:
        super().check(y, z)
        if bool(((y != 0) & (y != 1)).any()):
            raise ValueError(f"targets: values between 0 and 1; {self.title} takes 0 or 1 and nothing between")

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return -torch.special.log_ndtr((2 * y - 1) * z).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        sign = 2 * y - 1
        return -sign * inverse_mills(sign * z)

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        u = (2 * y - 1) * z
        return inverse_mills(u) * inverse_mills_excess(u)

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return inverse_mills(z) * inverse_mills(-z)

    def prediction(self, z: Tensor) -> Tensor:
        return torch.special.ndtr(z)


def inverse_mills(u: Tensor) -> Tensor:
    """m(u) = φ(u)/Φ(u), elementwise, by erfcx: neither factor underflows in the tail u → −∞, where m → −u."""
    return math.sqrt(2 / math.pi) / torch.special.erfcx(-u / math.sqrt(2))


def inverse_mills_excess(u: Tensor) -> Tensor:
    """m(u) + u > 0, elementwise.

    Where u < −5 the sum would cancel; there it is Laplace's continued fraction 1/(t + 2/(t + 3/(t + …))) with t = −u,
    whose 20 levels leave a relative error below 1e-13.
    """
    t = (-u).clamp(min=5)
    fraction = t
    for k in range(20, 1, -1):
        fraction = t + k / fraction
    return torch.where(u < -5, 1 / fraction, inverse_mills(u) + u)

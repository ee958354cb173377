"""Poisson, for counts: the log-rate (a log-linear model) or the rate itself as output."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ngexplorer.objectives.losses.base import check_real_targets, explained, ratio
from ngexplorer.objectives.losses.diagonal import DiagonalLoss
from ngexplorer.objectives.losses.links import Exponential
from ngexplorer.objectives.traits import Traits


class Poisson(DiagonalLoss, frozen=True, kw_only=True):
    """L = Σ_c μ_c − y_c log μ_c, where the rate μ is the prediction. Targets (N, C), whole numbers ≥ 0."""

    convex: ClassVar[bool] = True
    metric_name: ClassVar[str] = "D²"

    def outputs(self, traits: Traits) -> int:
        return traits.columns

    def refusal(self, traits: Traits) -> str | None:
        return None if traits.targets == "counts" else f"needs counts; these targets are {traits.described}"

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        return targets.to(like)

    def check(self, y: Tensor, z: Tensor) -> None:
        check_real_targets(y, z, self.title)
        if bool((y < 0).any()):
            raise ValueError(f"targets: {float(y.min()):g} among them; {self.title} takes whole numbers ≥ 0")
        fractions = y[y != y.round()]
        if len(fractions):
            raise ValueError(f"targets: {float(fractions[0]):g} among them; {self.title} takes whole numbers ≥ 0")

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        # torch raises for a rate that is negative or NaN and draws negative counts beyond 2⁶³.
        rate = self.prediction(z.detach()).nan_to_num(0.0).clamp(0.0, 1e18)
        return torch.poisson(rate, generator=generator)

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """The share of deviance explained, D² = 1 − Σ d(y, μ) / Σ d(y, ȳ), d(y, μ) = 2(y log(y/μ) − y + μ); NaN where
        the targets do not vary."""
        return explained(deviance(y, self.prediction(z)), deviance(y, y.mean(0).expand_as(y)))


def deviance(y: Tensor, rate: Tensor) -> Tensor:
    """Σ 2(y log(y/μ) − y + μ), a scalar."""
    return 2 * (torch.xlogy(y, y) - torch.xlogy(y, rate) - y + rate).sum()


class PoissonLogRate(Poisson, frozen=True, kw_only=True, tag="poisson-log-rate"):
    """L = Σ_c e^{z_c} − y_c z_c, with H_L = F_R = diag(e^z)."""

    title: ClassVar[str] = "Poisson, log-rate"
    natural: ClassVar[bool] = True

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return (z.exp() - y * z).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return z.exp() - y

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return z.exp()

    def prediction(self, z: Tensor) -> Tensor:
        return z.exp()


class PoissonRate(Poisson, frozen=True, kw_only=True, tag="poisson-rate"):
    """L = Σ_c z_c − y_c log z_c, with F_R = diag(1/z) and H_L = diag(y/z²).

    L is infinite for z < 0, and for z = 0 unless the count is 0.
    """

    title: ClassVar[str] = "Poisson, rate"
    natural: ClassVar[bool] = False

    def link(self) -> nn.Module:
        return Exponential()

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.where(z < 0, torch.full_like(z, torch.inf), z - torch.xlogy(y, z)).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return 1 - ratio(y, z)

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        return ratio(y, z.square())

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return 1 / z

    def prediction(self, z: Tensor) -> Tensor:
        return z

"""Losses of the residual r = y − z that outliers do not rule: Laplace, Student's t, Cauchy, Huber and logistic."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.losses.base import CaseMap, check_real_targets, r_squared, uniform
from ngexplorer.objectives.losses.diagonal import DiagonalLoss
from ngexplorer.objectives.traits import Traits

Scale = Annotated[float, Meta(gt=0, le=1e6, description="Scale of the targets around the outputs, in their unit")]


class LocationLoss(DiagonalLoss, frozen=True, kw_only=True):
    """L = Σ_c ℓ(r_c), r = y − z: a density that z only shifts, so that F_R = 𝓘·I with one constant 𝓘 = E[ℓ′(r)²].

    Targets are (N, C) like the outputs. A loss gives ℓ, ℓ′, ℓ″, 𝓘 and draws of r.
    """

    natural: ClassVar[bool] = False
    metric_name: ClassVar[str] = "R²"

    def value(self, r: Tensor) -> Tensor:
        """ℓ(r), elementwise like the two below."""
        raise NotImplementedError

    def slope(self, r: Tensor) -> Tensor:
        """ℓ′(r)."""
        raise NotImplementedError

    def bend(self, r: Tensor) -> Tensor:
        """ℓ″(r), almost everywhere."""
        raise NotImplementedError

    @property
    def information(self) -> float:
        """𝓘, the Fisher information of one output."""
        raise NotImplementedError

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draws of r with density ∝ e^{−ℓ(r)}, shaped like `like`."""
        raise NotImplementedError

    def outputs(self, traits: Traits) -> int:
        return traits.columns

    def refusal(self, traits: Traits) -> str | None:
        return f"needs numbers; these targets are {traits.described}" if traits.targets == "classes" else None

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        return targets.to(like)

    def check(self, y: Tensor, z: Tensor) -> None:
        check_real_targets(y, z, self.title)

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return self.value(y - z).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return -self.slope(y - z)

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        return self.bend(y - z)

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        return torch.full_like(z, self.information)

    # One identity for all cases, repeated without a copy.

    def fisher(self, z: Tensor) -> Tensor:
        n, c = z.shape
        return (torch.eye(c, dtype=z.dtype, device=z.device) * self.information).expand(n, c, c)

    def fisher_root(self, z: Tensor) -> Tensor:
        n, c = z.shape
        return (torch.eye(c, dtype=z.dtype, device=z.device) * math.sqrt(self.information)).expand(n, c, c)

    def fisher_map(self, z: Tensor) -> CaseMap:
        return lambda u: self.information * u

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return z.detach() + self.noise(z, generator)

    def prediction(self, z: Tensor) -> Tensor:
        """z: the mean where there is one, else (Cauchy, Student's t with ν ≤ 1) the centre of symmetry."""
        return z

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """R² of the outputs; NaN where the targets do not vary."""
        return r_squared(z, y)


class Laplace(LocationLoss, frozen=True, kw_only=True, tag="laplace"):
    """Absolute error L = Σ_c |r_c|/b, whose H_L is 0 almost everywhere while F_R = I/b².

    The generalized Gauss-Newton matrix knows nothing of it: all curvature sits in the kink at r = 0.
    """

    title: ClassVar[str] = "Laplace"
    convex: ClassVar[bool] = True

    scale: Scale = 1.0

    def value(self, r: Tensor) -> Tensor:
        return r.abs() / self.scale

    def slope(self, r: Tensor) -> Tensor:
        return r.sign() / self.scale

    def bend(self, r: Tensor) -> Tensor:
        return torch.zeros_like(r)

    @property
    def information(self) -> float:
        return 1 / self.scale**2

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        # The difference of two exponential variables.
        return self.scale * (uniform(like, generator) / uniform(like, generator)).log()


class StudentT(LocationLoss, frozen=True, kw_only=True, tag="student-t"):
    """L = Σ_c ½(ν+1) log(1 + r_c²/(νs²)), with F_R = (ν+1)/((ν+3)s²) I.

    H_L = (ν+1)(νs² − r²)/(νs² + r²)² is negative where r² > νs²: an outlier's pull fades.
    """

    title: ClassVar[str] = "Student's t"
    convex: ClassVar[bool] = False

    degrees: Annotated[float, Meta(gt=0, le=1e6, description="Degrees of freedom ν; fewer mean heavier tails")] = 4.0
    scale: Scale = 1.0

    def value(self, r: Tensor) -> Tensor:
        return 0.5 * (self.degrees + 1) * (r.square() / (self.degrees * self.scale**2)).log1p()

    def slope(self, r: Tensor) -> Tensor:
        return (self.degrees + 1) * r / (self.degrees * self.scale**2 + r.square())

    def bend(self, r: Tensor) -> Tensor:
        width, square = self.degrees * self.scale**2, r.square()
        return (self.degrees + 1) * (width - square) / (width + square).square()

    @property
    def information(self) -> float:
        return (self.degrees + 1) / ((self.degrees + 3) * self.scale**2)

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """√(ν(U^{−2/ν} − 1)) cos(2πV) for uniform U and V (Bailey 1994, Mathematics of Computation 62)."""
        radius = (self.degrees * torch.expm1(-2 / self.degrees * uniform(like, generator).log())).sqrt()
        return self.scale * radius * (2 * math.pi * uniform(like, generator)).cos()


class Cauchy(LocationLoss, frozen=True, kw_only=True, tag="cauchy"):
    """L = Σ_c log(1 + r_c²/s²), with F_R = I/(2s²): Student's t with ν = 1, which has no mean.

    H_L = 2(s² − r²)/(s² + r²)² is negative where |r| > s.
    """

    title: ClassVar[str] = "Cauchy"
    convex: ClassVar[bool] = False

    scale: Scale = 1.0

    def value(self, r: Tensor) -> Tensor:
        return (r / self.scale).square().log1p()

    def slope(self, r: Tensor) -> Tensor:
        return 2 * r / (self.scale**2 + r.square())

    def bend(self, r: Tensor) -> Tensor:
        return 2 * (self.scale**2 - r.square()) / (self.scale**2 + r.square()).square()

    @property
    def information(self) -> float:
        return 1 / (2 * self.scale**2)

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        return self.scale * (math.pi * (uniform(like, generator) - 0.5)).tan()


class Huber(LocationLoss, frozen=True, kw_only=True, tag="huber"):
    """L = Σ_c r_c²/2 where |r_c| ≤ δ, else δ|r_c| − δ²/2; F_R = P(|r| ≤ δ) I.

    Its density (Huber 1964, §4) is normal in the middle with exponential tails; H_L = 1[|r| ≤ δ]. δ = 1.345 loses 5 %
    of efficiency where the noise is normal.
    """

    title: ClassVar[str] = "Huber"
    convex: ClassVar[bool] = True

    threshold: Annotated[float, Meta(gt=0, le=1e6, description="δ: squared error up to here, absolute beyond")] = 1.0

    def value(self, r: Tensor) -> Tensor:
        far = self.threshold * (r.abs() - 0.5 * self.threshold)
        return torch.where(r.abs() <= self.threshold, 0.5 * r.square(), far)

    def slope(self, r: Tensor) -> Tensor:
        return r.clamp(-self.threshold, self.threshold)

    def bend(self, r: Tensor) -> Tensor:
        return (r.abs() <= self.threshold).to(r)

    @property
    def information(self) -> float:
        """P(|r| ≤ δ): the normal middle's share, √(2π) erf(δ/√2), of it and the tails', (2/δ) e^{−δ²/2}."""
        middle = math.sqrt(2 * math.pi) * math.erf(self.threshold / math.sqrt(2))
        tails = 2 / self.threshold * math.exp(-0.5 * self.threshold**2)
        return middle / (middle + tails)

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """From the middle with probability P(|r| ≤ δ), by inverting its distribution, else from a tail."""
        middle = uniform(like, generator) <= self.information
        signed = 2 * uniform(like, generator) - 1
        near = math.sqrt(2) * torch.erfinv(signed * math.erf(self.threshold / math.sqrt(2)))
        far = torch.copysign(self.threshold - uniform(like, generator).log() / self.threshold, signed)
        return torch.where(middle, near.clamp(-self.threshold, self.threshold), far)


class Logistic(LocationLoss, frozen=True, kw_only=True, tag="logistic"):
    """L = Σ_c log(1 + e^{r_c}) + log(1 + e^{−r_c}), smooth between square and |r|; F_R = I/3.

    H_L = 2σ(r)σ(−r), from ½ at r = 0 to 0 far out.
    """

    title: ClassVar[str] = "Logistic"
    convex: ClassVar[bool] = True

    def value(self, r: Tensor) -> Tensor:
        return torch.nn.functional.softplus(r) + torch.nn.functional.softplus(-r)

    def slope(self, r: Tensor) -> Tensor:
        return (0.5 * r).tanh()

    def bend(self, r: Tensor) -> Tensor:
        return 2 * torch.sigmoid(r) * torch.sigmoid(-r)

    @property
    def information(self) -> float:
        return 1 / 3

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        # Away from 0 and 1 by one rounding, where the logit is infinite.
        return torch.logit(uniform(like, generator), eps=torch.finfo(like.dtype).eps)

"""Gaussian with a mean and a variance to predict, in any of five parametrizations."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args

import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.losses.base import CaseMap, Loss, check_real_targets, r_squared
from ngexplorer.objectives.losses.links import GaussianLink
from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import unknown_name

Parametrization = Literal["variance", "log-variance", "precision", "natural", "mean"]


class GaussianNLL(Loss, frozen=True, kw_only=True, tag="gaussian-nll"):
    """L = Σ_c ½ log v_c + (y_c − μ_c)²/(2v_c): mean and variance are predicted, two outputs for a column of targets.

    The outputs (a, b) of a column are (μ, v) [`variance`], (μ, log v) [`log-variance`], (μ, 1/v) [`precision`],
    (μ/v, −1/(2v)) [`natural`] or (E y, E y²) [`mean`]. For K columns z = (a_1 … a_K, b_1 … b_K), (N, 2K);
    targets are (N, K). Where v ≤ 0 the value and all derivatives are NaN or infinite.

    Only `natural` has H_L = F_R and is convex; H_L of the others depends on y and has negative eigenvalues somewhere.
    """

    title: ClassVar[str] = "Gaussian, mean and variance"
    metric_name: ClassVar[str] = "R²"

    parametrization: Annotated[Parametrization, Meta(description="What the two outputs for a column are")] = (
        "log-variance"
    )

    def __post_init__(self) -> None:
        accepted = list(get_args(Parametrization))
        if self.parametrization not in accepted:
            raise ValueError(unknown_name("parametrization", self.parametrization, accepted))

    @property
    def natural(self) -> bool:
        return self.parametrization == "natural"

    @property
    def convex(self) -> bool:
        return self.natural

    def outputs(self, traits: Traits) -> int:
        return 2 * traits.columns

    def link(self) -> nn.Module | None:
        return None if self.parametrization == "log-variance" else GaussianLink(self.parametrization)

    def refusal(self, traits: Traits) -> str | None:
        return f"needs numbers; these targets are {traits.described}" if traits.targets == "classes" else None

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        return targets.to(like)

    def check(self, y: Tensor, z: Tensor) -> None:
        if z.shape[1] % 2:
            raise ValueError(f"outputs: {z.shape[1]} a case; {self.title} takes two for each column of targets")
        if y.shape != (len(z), z.shape[1] // 2):
            raise ValueError(
                f"targets: shape {tuple(y.shape)}; {self.title} takes one column for two outputs, "
                f"{(len(z), z.shape[1] // 2)}"
            )
        check_real_targets(y, z[:, : y.shape[1]], self.title)

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        mean, v = self.moments(z)
        return 0.5 * (v.log() + (y - mean).square() / v).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        mean, v = self.moments(z)
        j = jacobian(self.parametrization, mean, v)
        t = (y - mean) / v.sqrt()
        # ∂L/∂μ · √v and ∂L/∂v · v.
        by_mean, by_variance = -t, 0.5 * (1 - t.square())
        by_a = j.mean_a * by_mean + j.variance_a * by_variance
        by_b = j.mean_b * by_mean + j.variance_b * by_variance
        return torch.cat([by_a, by_b], 1)

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        return self.fisher(z) if self.natural else dense(*self._hessian_entries(z, y))

    def fisher(self, z: Tensor) -> Tensor:
        return dense(*self._fisher_entries(z))

    def hessian_map(self, z: Tensor, y: Tensor) -> CaseMap:
        entries = self._hessian_entries(z, y)
        return lambda u: product(*entries, u)

    def fisher_map(self, z: Tensor) -> CaseMap:
        entries = self._fisher_entries(z)
        return lambda u: product(*entries, u)

    def fisher_root(self, z: Tensor) -> Tensor:
        """S = Jᵀ diag(1, 1/√2): F_R = Jᵀ diag(1, ½) J."""
        j, half = jacobian(self.parametrization, *self.moments(z)), math.sqrt(0.5)
        return blocks(j.mean_a, half * j.variance_a, j.mean_b, half * j.variance_b)

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        mean, v = self.moments(z.detach())
        return mean + v.sqrt() * torch.randn(mean.shape, generator=generator, dtype=z.dtype, device=z.device)

    def prediction(self, z: Tensor) -> Tensor:
        """The mean μ, (N, K)."""
        return self.moments(z)[0]

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """R² of the mean; NaN where the targets do not vary."""
        return r_squared(self.prediction(z), y)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The mean μ and variance v of every column, (N, K) each; v is NaN where it would not be positive."""
        a, b = z.chunk(2, 1)
        match self.parametrization:
            case "variance":
                mean, v = a, b
            case "log-variance":
                mean, v = a, b.exp()
            case "precision":
                mean, v = a, 1 / b
            case "natural":
                v = -0.5 / b
                mean = a * v
            case "mean":
                mean, v = a, b - a.square()
        return mean, torch.where(v > 0, v, torch.full_like(v, torch.nan))

    def _fisher_entries(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The aa, ab and bb entries of every column's F_R = Jᵀ diag(1, ½) J, since diag(1/v, 1/(2v²)) is that of
        (μ, v)."""
        j = jacobian(self.parametrization, *self.moments(z))
        return (
            j.mean_a.square() + 0.5 * j.variance_a.square(),
            j.mean_a * j.mean_b + 0.5 * j.variance_a * j.variance_b,
            j.mean_b.square() + 0.5 * j.variance_b.square(),
        )

    def _hessian_entries(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The aa, ab and bb entries of every column's H_L, r = y − μ."""
        mean, v = self.moments(z)
        r = y - mean
        by_v = r.square() / v**3 - 0.5 / v.square()
        match self.parametrization:
            case "variance":
                return 1 / v, r / v.square(), by_v
            case "log-variance":
                return 1 / v, r / v, 0.5 * r.square() / v
            case "precision":
                return 1 / v, -r, 0.5 * v.square()
            case "mean":
                aa = r * (r - 4 * mean) / v.square() + 4 * mean.square() * by_v
                return aa, r / v.square() - 2 * mean * by_v, by_v
        return self._fisher_entries(z)


class Jacobian(NamedTuple):
    """∂(μ, v)/∂(a, b) of every column, (N, K) each, with μ in units of √v and v in units of v: numbers of order one
    for which no square of a variance overflows."""

    mean_a: Tensor
    mean_b: Tensor
    variance_a: Tensor
    variance_b: Tensor


def jacobian(parametrization: Parametrization, mean: Tensor, v: Tensor) -> Jacobian:
    """How mean and variance follow the outputs (a, b) in a parametrization."""
    deviation = v.sqrt()
    zero = torch.zeros_like(v)
    match parametrization:
        case "variance":
            return Jacobian(1 / deviation, zero, zero, 1 / v)
        case "log-variance":
            return Jacobian(1 / deviation, zero, zero, torch.ones_like(v))
        case "precision":
            return Jacobian(1 / deviation, zero, zero, -v)
        case "natural":
            return Jacobian(deviation, 2 * mean * deviation, zero, 2 * v)
        case "mean":
            return Jacobian(1 / deviation, zero, -2 * mean / v, 1 / v)


def blocks(aa: Tensor, ab: Tensor, ba: Tensor, bb: Tensor) -> Tensor:
    """(N, 2K, 2K) matrices that couple only the two outputs of a column, from their entries, (N, K) each."""
    upper = torch.cat([torch.diag_embed(aa), torch.diag_embed(ab)], 2)
    return torch.cat([upper, torch.cat([torch.diag_embed(ba), torch.diag_embed(bb)], 2)], 1)


def dense(aa: Tensor, ab: Tensor, bb: Tensor) -> Tensor:
    """The same for symmetric matrices."""
    return blocks(aa, ab, ab, bb)


def product(aa: Tensor, ab: Tensor, bb: Tensor, u: Tensor) -> Tensor:
    """Such symmetric matrices times u, (N, 2K) or (N, vectors, 2K)."""
    if u.ndim == 3:
        aa, ab, bb = aa[:, None], ab[:, None], bb[:, None]
    first, second = u.chunk(2, -1)
    return torch.cat([aa * first + ab * second, ab * first + bb * second], -1)

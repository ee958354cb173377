"""What every loss knows: −log r(y | z), its derivatives in z, its Fisher F_R, and how labels are drawn from r."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
import torch
from torch import Tensor, nn

from ngexplorer.objectives.traits import Traits

CaseMap = Callable[[Tensor], Tensor]
"""A symmetric linear map of every case's outputs: (N, C) → (N, C), or of K vectors a case, (N, K, C)."""


class Loss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """The loss L(y, z) = −log r(y | z) + constant of one case with outputs z.

    Shapes: z is (N, C), floating point; y is what `encode` returns. L sums over a case's C outputs; the objective
    averages over the N cases. The constant depends on no z. A loss is a frozen record, so it can be written to and
    read from a file. Where z is outside its domain (a variance < 0, say) numbers are NaN or infinite: a diverged point.
    """

    title: ClassVar[str]
    metric_name: ClassVar[str]
    density: ClassVar[bool] = True
    """Whether L is the negative log of a density at all, so that there are a Fisher matrix and labels to draw."""

    # Properties, since some depend on a loss's settings; a loss for which they are fixed has a class variable instead.

    @property
    def natural(self) -> bool:
        """Whether z are the natural parameters of an exponential family, so that H_L = F_R (Martens 2020, §9.2)."""
        raise NotImplementedError

    @property
    def convex(self) -> bool:
        """Whether L is convex in z, so that the generalized Gauss-Newton matrix is positive semi-definite (§8.1)."""
        raise NotImplementedError

    def outputs(self, traits: Traits) -> int:
        """How many outputs C a network needs for such targets."""
        raise NotImplementedError

    def link(self) -> nn.Module | None:
        """What to put after a network whose outputs may be any numbers; None where this loss takes any numbers.

        It maps the outputs of the usual split (logits, log-rates, mean and log-variance) to z, so that the model is the
        same and only what counts as loss differs: F stays, G changes (Martens 2020, §8).
        """
        return None

    def refusal(self, traits: Traits) -> str | None:
        """Why this loss cannot be used on such targets, or None if it can."""
        raise NotImplementedError

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        """Targets as a data set has them → targets as this loss takes them, on the device and dtype of `like`."""
        raise NotImplementedError

    def check(self, y: Tensor, z: Tensor) -> None:
        """Raise ValueError, saying what came and what is accepted, unless y can be the targets of outputs z."""
        raise NotImplementedError

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        """L(y_n, z_n) of each case, (N,)."""
        raise NotImplementedError

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """∂L/∂z of each case, (N, C)."""
        raise NotImplementedError

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        """H_L = ∂²L/∂z² of each case, (N, C, C)."""
        if self.natural:
            return self.fisher(z)
        raise NotImplementedError

    def fisher(self, z: Tensor) -> Tensor:
        """F_R = E_{y ~ r(· | z)}[∇_z log r ∇_z log rᵀ] of each case, (N, C, C): labels from the *model*.

        Raises ValueError where there is no density.
        """
        raise NotImplementedError

    def hessian_map(self, z: Tensor, y: Tensor) -> CaseMap:
        """u ↦ H_L u of each case; what z and y give is computed once."""
        if self.natural:
            return self.fisher_map(z)
        hessian = self.hessian(z, y)
        return lambda u: symmetric_product(hessian, u)

    def fisher_map(self, z: Tensor) -> CaseMap:
        """u ↦ F_R u of each case; what z gives is computed once."""
        fisher = self.fisher(z)
        return lambda u: symmetric_product(fisher, u)

    def fisher_root(self, z: Tensor) -> Tensor:
        """S with S Sᵀ = F_R for each case, (N, C, K)."""
        raise NotImplementedError

    def hessian_root(self, z: Tensor, y: Tensor) -> Tensor:
        """S with S Sᵀ = H_L for each case, (N, C, K); raises ValueError where the loss is not convex in z."""
        if self.natural:
            return self.fisher_root(z)
        raise ValueError(
            f"{self.title}: H_L has no real square root, since the loss is not convex in z; F_R has one (fisher_root)"
        )

    def whitened_gradient(self, z: Tensor, y: Tensor) -> Tensor:
        """r with S r = ∂L/∂z for the S of `fisher_root`, (N, K): the score is one of those that F_R is made of."""
        return (torch.linalg.pinv(self.fisher_root(z)) @ self.gradient(z, y)[:, :, None])[:, :, 0]

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Labels drawn from r(· | z), one a case, in the form `encode` returns; of no meaning where z has diverged."""
        raise NotImplementedError

    def prediction(self, z: Tensor) -> Tensor:
        """The mean E[y | z]: probabilities of the classes, or the regression function, (N, C)."""
        raise NotImplementedError

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """The number that people quote, as a scalar: accuracy for classes, R² for real targets."""
        raise NotImplementedError


def symmetric_product(matrices: Tensor, u: Tensor) -> Tensor:
    """A u of each case for symmetric A, (N, C, C), and u (N, C) or (N, K, C)."""
    return (u[:, None] @ matrices)[:, 0] if u.ndim == 2 else u @ matrices


def check_real_targets(y: Tensor, z: Tensor, title: str) -> None:
    """Raise ValueError unless y has the shape of z and is finite."""
    if y.shape != z.shape:
        raise ValueError(f"targets: shape {tuple(y.shape)}; {title} takes the shape of the outputs, {tuple(z.shape)}")
    if not bool(torch.isfinite(y).all()):
        raise ValueError(f"targets: NaN or infinite values; {title} takes finite numbers")


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from (0, 1], which have a logarithm, shaped like `like`."""
    return 1 - torch.rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def ratio(y: Tensor, z: Tensor) -> Tensor:
    """y / z, and 0 where y = 0 whatever z: the derivative of y log z, whose limit that is."""
    return torch.where(y == 0, torch.zeros_like(z), y / z)


def explained(unexplained: Tensor, spread: Tensor) -> Tensor:
    """1 − unexplained / spread, both scalars; NaN where the targets do not vary."""
    share = 1 - unexplained / spread
    return torch.where(spread > 0, share, torch.full_like(share, torch.nan))


def r_squared(prediction: Tensor, y: Tensor) -> Tensor:
    """R² = 1 − Σ‖y − prediction‖² / Σ‖y − ȳ‖²; NaN where the targets do not vary."""
    return explained((y - prediction).square().sum(), (y - y.mean(0)).square().sum())

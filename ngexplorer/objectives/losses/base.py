"""What every loss knows: −log r(y | z), its derivatives in z, its Fisher F_R, and how labels are drawn from r."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import torch
from torch import Tensor

from ngexplorer.objectives.traits import Traits


class Loss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """The loss L(y, z) = −log r(y | z) + constant of one case with outputs z.

    Shapes: z is (N, C), floating point; y is what `encode` returns. L sums over a case's C outputs; the objective
    averages over the N cases. A loss is a frozen record, so it can be written to and read from a file.
    """

    title: ClassVar[str]
    natural: ClassVar[bool]
    """Whether z are the natural parameters of an exponential family, so that H_L = F_R (Martens 2020, §9.2)."""
    convex: ClassVar[bool]
    """Whether L is convex in z, so that the generalized Gauss-Newton matrix is positive semi-definite (§8.1)."""
    metric_name: ClassVar[str]

    def outputs(self, traits: Traits) -> int:
        """How many outputs C a network needs for such targets."""
        raise NotImplementedError

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
        raise NotImplementedError

    def fisher(self, z: Tensor) -> Tensor:
        """F_R = E_{y ~ r(· | z)}[∇_z log r ∇_z log rᵀ] of each case, (N, C, C): labels from the *model*."""
        raise NotImplementedError

    def fisher_root(self, z: Tensor) -> Tensor:
        """S with S Sᵀ = F_R for each case, (N, C, K)."""
        raise NotImplementedError

    def hessian_root(self, z: Tensor, y: Tensor) -> Tensor:
        """S with S Sᵀ = H_L for each case, (N, C, K); raises ValueError where H_L is not positive semi-definite."""
        if self.natural:
            return self.fisher_root(z)
        raise ValueError(f"{self.title}: H_L has no real square root, since the loss is not convex in z")

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Labels drawn from r(· | z), one a case, in the form `encode` returns."""
        raise NotImplementedError

    def prediction(self, z: Tensor) -> Tensor:
        """The mean E[y | z]: probabilities of the classes, or the regression function, (N, C)."""
        raise NotImplementedError

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """The number that people quote, as a scalar: accuracy for classes, R² for real targets."""
        raise NotImplementedError


def check_real_targets(y: Tensor, z: Tensor, title: str) -> None:
    """Raise ValueError unless y has the shape of z and is finite."""
    if y.shape != z.shape:
        raise ValueError(f"targets: shape {tuple(y.shape)}; {title} takes the shape of the outputs, {tuple(z.shape)}")
    if not bool(torch.isfinite(y).all()):
        raise ValueError(f"targets: NaN or infinite values; {title} takes finite numbers")

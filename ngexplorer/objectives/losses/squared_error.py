"""Squared error: r(· | z) is Gaussian with mean z and fixed variance σ²."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.losses.base import Loss, check_real_targets
from ngexplorer.objectives.traits import Traits


class SquaredError(Loss, frozen=True, kw_only=True, tag="squared-error"):
    """L = ‖y − z‖² / (2σ²), with H_L = F_R = I/σ² (MATH §2: Gaussian, σ² fixed).

    torch's MSELoss has no ½: its 'sum' means σ² = ½, its 'mean' over C outputs σ² = C/2.
    Classes are encoded one-hot, two classes as one column of 0 and 1.
    """

    title: ClassVar[str] = "Squared error"
    natural: ClassVar[bool] = True
    convex: ClassVar[bool] = True
    metric_name: ClassVar[str] = "R²"

    variance: Annotated[float, Meta(gt=0, description="Variance σ² of the targets around the outputs")] = 1.0

    def outputs(self, traits: Traits) -> int:
        if traits.classes is None:
            return traits.columns
        return 1 if traits.classes == 2 else traits.classes

    def refusal(self, traits: Traits) -> str | None:
        return None

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        if traits.classes is None:
            return targets.to(like)
        if traits.classes == 2:
            return targets[:, None].to(like)
        return torch.nn.functional.one_hot(targets, traits.classes).to(like)

    def check(self, y: Tensor, z: Tensor) -> None:
        check_real_targets(y, z, self.title)

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return (z - y).square().sum(1) / (2 * self.variance)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return (z - y) / self.variance

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        return self.fisher(z)

    def fisher(self, z: Tensor) -> Tensor:
        n, c = z.shape
        return (torch.eye(c, dtype=z.dtype, device=z.device) / self.variance).expand(n, c, c)

    def fisher_root(self, z: Tensor) -> Tensor:
        n, c = z.shape
        return (torch.eye(c, dtype=z.dtype, device=z.device) / self.variance**0.5).expand(n, c, c)

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
        return z.detach() + self.variance**0.5 * noise

    def prediction(self, z: Tensor) -> Tensor:
        return z

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """R² = 1 − Σ‖y − z‖² / Σ‖y − ȳ‖²; NaN where the targets do not vary."""
        spread = (y - y.mean(0)).square().sum()
        r2 = 1 - (y - z).square().sum() / spread
        return torch.where(spread > 0, r2, torch.full_like(r2, torch.nan))

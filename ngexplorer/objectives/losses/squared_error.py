"""Squared error: r(· | z) is Gaussian with mean z and fixed variance σ²."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.losses.location import LocationLoss
from ngexplorer.objectives.traits import Traits


class SquaredError(LocationLoss, frozen=True, kw_only=True, tag="squared-error"):
    """L = ‖y − z‖² / (2σ²), with H_L = F_R = I/σ².

    torch's MSELoss has no ½: its 'sum' means σ² = ½, its 'mean' over C outputs σ² = C/2.
    Classes are encoded one-hot, two classes as one column of 0 and 1.
    """

    title: ClassVar[str] = "Squared error"
    natural: ClassVar[bool] = True
    convex: ClassVar[bool] = True

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

    def value(self, r: Tensor) -> Tensor:
        return r.square() / (2 * self.variance)

    def slope(self, r: Tensor) -> Tensor:
        return r / self.variance

    def bend(self, r: Tensor) -> Tensor:
        return torch.full_like(r, self.information)

    @property
    def information(self) -> float:
        return 1 / self.variance

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        draws = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
        return self.variance**0.5 * draws

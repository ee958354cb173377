"""The quadratic bowl, of a chosen condition number and direction."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.landscapes.base import Place, ResidualLandscape, StartX, StartY, Window


class QuadraticBowl(ResidualLandscape, frozen=True, kw_only=True, tag="quadratic-bowl"):
    """h = ½(a² + κ b²), with a along the valley and b across it: H = G = F with eigenvalues 1 and κ everywhere."""

    title: ClassVar[str] = "Quadratic bowl"
    window: ClassVar[Window] = (-2.0, 2.0, -2.0, 2.0)
    minima: ClassVar[tuple[Place, ...]] = ((0.0, 0.0),)

    condition: Annotated[float, Meta(ge=1, le=1e8, description="Condition number κ, the larger eigenvalue")] = 30.0
    angle: Annotated[
        float, Meta(ge=-360, le=360, description="Degrees from the x axis to the valley, counter-clockwise")
    ] = 30.0
    x: StartX = -1.6
    y: StartY = 0.4

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        angle = math.radians(self.angle)
        along = math.cos(angle) * x + math.sin(angle) * y
        across = math.cos(angle) * y - math.sin(angle) * x
        return torch.stack((along, self.condition**0.5 * across), -1)

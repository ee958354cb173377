"""The textbooks' test functions, their residuals scaled so that the values are the textbooks'."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.landscapes.base import Coordinate, ResidualLandscape, Window


class Rosenbrock(ResidualLandscape, frozen=True, kw_only=True, tag="rosenbrock"):
    """Rosenbrock's valley: h = (1 − x)² + 100 (y − x²)², from residuals √2 (1 − x) and 10√2 (y − x²)."""

    title: ClassVar[str] = "Rosenbrock"
    window: ClassVar[Window] = (-1.8, 1.6, -0.6, 2.2)
    minima: ClassVar[tuple[tuple[float, float], ...]] = ((1.0, 1.0),)

    x: Annotated[Coordinate, Meta(title="Start x", description="First parameter at the start")] = -1.2
    y: Annotated[Coordinate, Meta(title="Start y", description="Second parameter at the start")] = 1.0

    def start(self) -> tuple[float, float]:
        return (self.x, self.y)

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        return 2**0.5 * torch.stack((1 - x, 10 * (y - x * x)), -1)

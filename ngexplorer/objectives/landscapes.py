"""Test functions of two parameters, each as a network followed by a loss, so that GGN and Fisher exist on them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.datasets import Data, DataSet

Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]


class Landscape(DataSet, frozen=True, kw_only=True):
    """A test function h(θ) = ½‖z(θ)‖² of θ = (x, y): one case, no inputs, residuals z as outputs, targets 0."""

    classes: ClassVar[int | None] = None
    landscape: ClassVar[bool] = True
    window: ClassVar[tuple[float, float, float, float]]
    """The part of the plane worth looking at: x from, x to, y from, y to."""
    minimum: ClassVar[tuple[float, float]]

    def start_point(self) -> tuple[float, float]:
        """Where every run starts."""
        raise NotImplementedError

    def residuals(self, position: Tensor) -> Tensor:
        """The residuals z of a position (..., 2), (..., K)."""
        raise NotImplementedError

    def load(self) -> Data:
        residuals = self.residuals(torch.zeros(2, dtype=torch.float64))
        return Data(torch.zeros(1, 1, dtype=torch.float64), torch.zeros_like(residuals)[None], None, None)

    def network(self) -> nn.Module:
        """The landscape as a module whose only parameter is the position."""
        return ResidualNetwork(self)


class ResidualNetwork(nn.Module):
    """The residual map of a landscape; ignores its inputs but for how many cases they are."""

    def __init__(self, landscape: Landscape) -> None:
        super().__init__()
        self.landscape = landscape
        self.position = nn.Parameter(torch.tensor(landscape.start_point(), dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.landscape.residuals(self.position).expand(len(inputs), -1)


class Rosenbrock(Landscape, frozen=True, kw_only=True, tag="rosenbrock"):
    """Rosenbrock's valley: h = (1 − x)² + 100 (y − x²)², from residuals √2 (1 − x) and 10√2 (y − x²)."""

    title: ClassVar[str] = "Rosenbrock"
    window: ClassVar[tuple[float, float, float, float]] = (-1.8, 1.6, -0.6, 2.2)
    minimum: ClassVar[tuple[float, float]] = (1.0, 1.0)

    x: Annotated[Coordinate, Meta(title="Start x", description="First parameter at the start")] = -1.2
    y: Annotated[Coordinate, Meta(title="Start y", description="Second parameter at the start")] = 1.0

    def start_point(self) -> tuple[float, float]:
        return (self.x, self.y)

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        return 2**0.5 * torch.stack((1 - x, 10 * (y - x * x)), -1)

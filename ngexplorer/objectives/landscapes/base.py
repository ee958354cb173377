"""What a landscape is: a function of two parameters as a network followed by a loss, so that GGN and Fisher exist."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.datasets import Data, DataSet
from ngexplorer.objectives.losses import Loss, SquaredError
from ngexplorer.objectives.traits import Traits

Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
Window = tuple[float, float, float, float]
"""A part of the plane: x from, x to, y from, y to."""


class LandscapeNetwork(nn.Module):
    """A module whose only parameter is the position θ = (x, y), with what a view of it needs to know."""

    title: str
    window: Window
    """The part of the plane worth looking at."""
    minima: tuple[tuple[float, float], ...]
    """Where h is lowest, as far as it is known in closed form."""

    def __init__(self, title: str, start: tuple[float, float], window: Window, minima: tuple[tuple[float, float], ...]):
        super().__init__()
        self.title, self.window, self.minima = title, window, minima
        self.position = nn.Parameter(torch.tensor(start, dtype=torch.float64))


class Landscape(DataSet, frozen=True, kw_only=True):
    """A test function of θ = (x, y): a data set that brings its own network, and the kind of loss it is made for."""

    landscape: ClassVar[bool] = True
    loss: ClassVar[Loss]
    """The loss it is made for, by its usual settings."""

    def network(self, loss: Loss) -> LandscapeNetwork:
        """The landscape as a module, for a loss of its kind."""
        raise NotImplementedError


class ResidualLandscape(Landscape, frozen=True, kw_only=True):
    """h(θ) = ½‖z(θ)‖²: one case, no inputs, residuals z as outputs, targets 0."""

    loss: ClassVar[Loss] = SquaredError()
    window: ClassVar[Window]
    minima: ClassVar[tuple[tuple[float, float], ...]]

    def start(self) -> tuple[float, float]:
        """Where every run starts."""
        raise NotImplementedError

    def residuals(self, position: Tensor) -> Tensor:
        """The residuals z of a position (..., 2), (..., K)."""
        raise NotImplementedError

    @property
    def traits(self) -> Traits:
        return Traits(1, "real", columns=self.residuals(torch.zeros(2, dtype=torch.float64)).shape[-1])

    def load(self) -> Data:
        zero = torch.zeros(1, 1, dtype=torch.float64)
        return Data(zero, torch.zeros(1, self.traits.columns, dtype=torch.float64), None)

    def network(self, loss: Loss) -> LandscapeNetwork:
        return ResidualNetwork(self)


class ResidualNetwork(LandscapeNetwork):
    """The residual map of a landscape; ignores its inputs but for how many cases they are."""

    def __init__(self, landscape: ResidualLandscape) -> None:
        super().__init__(landscape.title, landscape.start(), landscape.window, landscape.minima)
        self.landscape = landscape

    def forward(self, inputs: Tensor) -> Tensor:
        return self.landscape.residuals(self.position).expand(len(inputs), -1)

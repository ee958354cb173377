"""What a landscape is: a function of two parameters as a network followed by a loss, so that GGN and Fisher exist."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

import msgspec
import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.datasets import Data, DataSet
from ngexplorer.objectives.losses import Loss, SquaredError
from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import convert

Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
StartX = Annotated[Coordinate, Meta(title="Start x", description="First parameter at the start")]
StartY = Annotated[Coordinate, Meta(title="Start y", description="Second parameter at the start")]
Place = tuple[float, float]
Window = tuple[float, float, float, float]
"""A part of the plane: x from, x to, y from, y to."""


class Landscape(DataSet, frozen=True, kw_only=True):
    """A test function of θ = (x, y): a data set that brings its own network, and the kind of loss it is made for."""

    landscape: ClassVar[bool] = True
    loss: ClassVar[Loss]
    """The loss it is made for, by its usual settings."""
    start: ClassVar[tuple[str, str]] = ("x", "y")
    """The settings that say where runs start."""

    def outputs(self, position: Tensor, inputs: Tensor) -> Tensor:
        """z of every case at a position (2,), for inputs (N, D): (N, C)."""
        raise NotImplementedError

    def network(self, loss: Loss) -> LandscapeNetwork:
        """The landscape as a module, for a loss of its kind."""
        raise NotImplementedError

    def started_at(self, place: Place, loss: Loss) -> Self:
        """The same landscape with the start at θ = `place`. Raises SettingError where there is no start."""
        settings = zip(self.start, self.start_settings(place, loss), strict=True)
        moved: Self = convert(msgspec.to_builtins(self) | dict(settings), type(self), "data")
        return moved

    def start_settings(self, place: Place, loss: Loss) -> Place:
        """What the two settings of the start are where θ is that place: θ itself."""
        return place

    def same_ground(self, other: object) -> bool:
        """Whether another landscape differs in nothing but its start."""
        if not isinstance(other, type(self)):
            return False
        moved = msgspec.structs.replace(other, **{name: getattr(self, name) for name in self.start})
        return moved == self


class LandscapeNetwork(nn.Module):
    """A landscape as a module whose only parameter is the position θ = (x, y), with what a view of it needs to know.

    window: the part of the plane worth looking at, widened where it does not hold the start.
    minima: where h is lowest, to rounding; empty where it has no minimum.
    """

    def __init__(self, landscape: Landscape, start: Place, window: Window, minima: tuple[Place, ...]) -> None:
        super().__init__()
        self.landscape = landscape
        self.title = landscape.title
        self.window = _holding(window, start)
        self.minima = minima
        self.position = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.landscape.outputs(self.position, inputs)


def _holding(window: Window, place: Place) -> Window:
    left, right, bottom, top = window
    x, y = place
    return (min(left, x), max(right, x), min(bottom, y), max(top, y))


class PlaneLandscape(Landscape, frozen=True, kw_only=True):
    """A landscape that is looked at in one window, with its start as a setting; other fields change its shape."""

    window: ClassVar[Window]
    minima: ClassVar[tuple[Place, ...]]

    x: StartX
    y: StartY

    def network(self, loss: Loss) -> LandscapeNetwork:
        return LandscapeNetwork(self, (self.x, self.y), self.window, self.minima)


class ResidualLandscape(PlaneLandscape, frozen=True, kw_only=True):
    """h(θ) = ½‖z(θ)‖²: one case, no inputs, residuals z as outputs, targets 0."""

    loss: ClassVar[Loss] = SquaredError()

    def residuals(self, position: Tensor) -> Tensor:
        """The residuals z of a position (..., 2), (..., K)."""
        raise NotImplementedError

    @property
    def traits(self) -> Traits:
        return Traits(1, "real", columns=self.residuals(torch.zeros(2, dtype=torch.float64)).shape[-1])

    def load(self) -> Data:
        zero = torch.zeros(1, 1, dtype=torch.float64)
        return Data(zero, torch.zeros(1, self.traits.columns, dtype=torch.float64), None)

    def outputs(self, position: Tensor, inputs: Tensor) -> Tensor:
        """The residuals, whatever the inputs are."""
        return self.residuals(position).expand(len(inputs), -1)

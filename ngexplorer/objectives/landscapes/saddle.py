"""The saddle: the simplest function on which Newton's method goes where no one wants to be."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives.datasets import Data
from ngexplorer.objectives.landscapes.base import Place, PlaneLandscape, StartX, StartY, Window
from ngexplorer.objectives.losses import Loss, Quadratic
from ngexplorer.objectives.traits import Traits


class Saddle(PlaneLandscape, frozen=True, kw_only=True, tag="saddle"):
    """h = ½(x² − y²): the position itself is the output, and a quadratic loss without a density bends it.

    G = H, there is no Fisher matrix, and no minimum: Newton jumps onto the saddle, saddle-free Newton doubles y.
    """

    title: ClassVar[str] = "Saddle"
    loss: ClassVar[Loss] = Quadratic(curvatures=(1.0, -1.0))
    window: ClassVar[Window] = (-2.0, 2.0, -2.0, 2.0)
    minima: ClassVar[tuple[Place, ...]] = ()

    x: StartX = 1.5
    y: StartY = 0.1

    @property
    def traits(self) -> Traits:
        return Traits(1, "real", columns=2)

    def load(self) -> Data:
        return Data(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), None)

    def outputs(self, position: Tensor, inputs: Tensor) -> Tensor:
        return position.expand(len(inputs), 2)

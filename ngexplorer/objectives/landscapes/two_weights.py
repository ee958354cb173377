"""The smallest network whose Hessian is not its Gauss-Newton matrix."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives.datasets import Data
from ngexplorer.objectives.landscapes.base import Place, PlaneLandscape, StartX, StartY, Window
from ngexplorer.objectives.losses import Loss, SquaredError
from ngexplorer.objectives.traits import Traits

# Near 1.2 tanh(1.8 x), but not on it: with residuals left at the minima, H ≠ G there too.
_CASES = ((-2.0, -1.2), (-1.0, -1.3), (0.5, 0.8), (1.5, 1.1))


class TwoWeightNetwork(PlaneLandscape, frozen=True, kw_only=True, tag="two-weight-network"):
    """z = y · tanh(x · input): one hidden unit with an ingoing weight x and an outgoing weight y, on four cases.

    Negating both weights changes nothing, so there are two minima with a saddle at 0 between them, where the
    Gauss-Newton matrix is zero and the Hessian [[0, −c], [−c, 0]], c = E[input · target].
    """

    title: ClassVar[str] = "Two-weight network"
    loss: ClassVar[Loss] = SquaredError()
    window: ClassVar[Window] = (-3.0, 3.0, -2.0, 2.0)
    minima: ClassVar[tuple[Place, ...]] = (
        (1.7660649896138851, 1.2114141739105209),
        (-1.7660649896138851, -1.2114141739105209),
    )

    x: StartX = -0.6
    y: StartY = 1.0

    @property
    def traits(self) -> Traits:
        return Traits(1, "real")

    def load(self) -> Data:
        inputs, targets = torch.tensor(_CASES, dtype=torch.float64).split(1, 1)
        return Data(inputs, targets, None)

    def outputs(self, position: Tensor, inputs: Tensor) -> Tensor:
        return position[1] * torch.tanh(position[0] * inputs)

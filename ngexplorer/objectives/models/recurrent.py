"""A small recurrent net that reads its input row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.models import sequence
from ngexplorer.objectives.models.base import Model
from ngexplorer.objectives.models.initialization import Initialization, Initializer
from ngexplorer.objectives.traits import Traits

Cell = Literal["tanh", "gru", "lstm"]
State = tuple[Tensor, ...]
"""What a cell carries from step to step, each (N, units); h is the first."""


def _tanh(entering: Tensor, recurring: Tensor, state: State) -> State:
    """h' = tanh(W x + b + U h)."""
    return (torch.tanh(entering + recurring),)


def _gru(entering: Tensor, recurring: Tensor, state: State) -> State:
    """r, z = σ(W x + b + U h), c = tanh(W x + b + r ⊙ U h), h' = z ⊙ h + (1 − z) ⊙ c (Cho et al. 2014, r after U)."""
    gates = entering.shape[1] // 3 * 2
    r, z = torch.sigmoid(entering[:, :gates] + recurring[:, :gates]).chunk(2, 1)
    candidate = torch.tanh(entering[:, gates:] + r * recurring[:, gates:])
    return (z * state[0] + (1 - z) * candidate,)


def _lstm(entering: Tensor, recurring: Tensor, state: State) -> State:
    """i, f, o = σ(W x + b + U h), c' = f ⊙ c + i ⊙ tanh(W x + b + U h), h' = o ⊙ tanh c' (Gers et al. 2000)."""
    i, f, g, o = (entering + recurring).chunk(4, 1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


_CELLS: dict[Cell, tuple[Callable[[Tensor, Tensor, State], State], int, int]] = {
    "tanh": (_tanh, 1, 1),
    "gru": (_gru, 3, 1),
    "lstm": (_lstm, 4, 2),
}
"""Each cell, how many maps of x and h it takes, and how many tensors it carries."""


class RecurrentNetwork(nn.Module):
    """(N, T·D) → (N, C): the state begins at 0, takes in T vectors of D numbers, and the last h is read linearly.

    Written out, since the fused cells of torch have no second derivatives on every device.
    """

    def __init__(self, cell: Cell, steps: int, enter: nn.Linear, recur: nn.Linear, read: nn.Linear) -> None:
        super().__init__()
        self.cell: Cell = cell
        self.steps = steps
        self.enter = enter
        self.recur = recur
        self.read = read

    def forward(self, x: Tensor) -> Tensor:
        step, _, carried = _CELLS[self.cell]
        state: State = (x.new_zeros(len(x), self.read.in_features),) * carried
        for entering in self.enter(x.unflatten(1, (self.steps, -1))).unbind(1):
            state = step(entering, self.recur(state[0]), state)
        return self.read(state[0])


class Recurrent(Model, frozen=True, kw_only=True, tag="recurrent"):
    """Reads an image's rows from top to bottom, or other inputs number by number; its last state gives the outputs."""

    title: ClassVar[str] = "Recurrent net"

    cell: Annotated[Cell, Meta(description="tanh: Elman's network; gru and lstm: with gates that hold the state")] = (
        "tanh"
    )
    units: Annotated[int, Meta(ge=1, le=512, description="Numbers in the state")] = 16
    initialization: Initialization = "fan-in"

    def refusal(self, traits: Traits) -> str | None:
        return sequence.refusal(traits)

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        initializer = Initializer(self.initialization, generator)
        steps, size = sequence.shape(traits)
        maps = _CELLS[self.cell][1]
        return RecurrentNetwork(
            self.cell,
            steps,
            enter=initializer.linear(size, maps * self.units, maps=maps),
            recur=initializer.linear(self.units, maps * self.units, bias=False, maps=maps),
            read=initializer.linear(self.units, outputs),
        )

"""A perceptron whose layers are corrections to what passes through."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import nn

from ngexplorer.objectives.models.base import Activation, Model
from ngexplorer.objectives.models.initialization import Initialization, Initializer
from ngexplorer.objectives.models.layers import perceptron
from ngexplorer.objectives.residual import Residual
from ngexplorer.objectives.traits import Traits


class ResidualMLP(Model, frozen=True, kw_only=True, tag="residual-mlp"):
    """A Linear layer in, K blocks x + W₂ φ(W₁ x + b₁) + b₂, a Linear layer out (He et al. 2016).

    W₂ is drawn 1/√K as large as its initialization says, so that the outputs' scale does not grow with the depth
    (Radford et al. 2019, §2.3).
    """

    title: ClassVar[str] = "Residual perceptron"

    width: Annotated[int, Meta(ge=1, le=1024, description="Units that pass through, and inside each block")] = 16
    blocks: Annotated[int, Meta(ge=1, le=32, description="Residual blocks, of two layers each")] = 2
    activation: Annotated[Activation, Meta(description="φ, inside each block")] = "tanh"
    initialization: Initialization = "fan-in"

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        initializer = Initializer(self.initialization, generator, self.activation)
        return nn.Sequential(
            initializer.linear(traits.features, self.width),
            *(self._block(initializer) for _ in range(self.blocks)),
            initializer.linear(self.width, outputs),
        )

    def _block(self, initializer: Initializer) -> Residual:
        inner = nn.Sequential(*perceptron((self.width,) * 3, self.activation, initializer))
        for parameter in inner[-1].parameters():
            parameter.detach().div_(math.sqrt(self.blocks))
        return Residual(inner)

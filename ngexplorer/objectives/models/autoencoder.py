"""The deep autoencoder: a network that learns to give back its inputs through a narrow code."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from msgspec import Meta
from torch import nn

from ngexplorer.objectives.models.base import Activation, Model, Width
from ngexplorer.objectives.models.initialization import Initialization, Initializer
from ngexplorer.objectives.models.layers import perceptron
from ngexplorer.objectives.traits import Traits


class Autoencoder(Model, frozen=True, kw_only=True, tag="autoencoder"):
    """An encoder to a linear code and a decoder of the same widths in reverse; its targets are its inputs.

    The outputs are linear: logits where the loss is Bernoulli, means where it is squared error. The benchmark of
    Hinton and Salakhutdinov (2006) and Martens (2010) has sigmoid layers, 400, 200, 100, 50, 25, 6 wide for curves.
    """

    title: ClassVar[str] = "Deep autoencoder"

    hidden: Annotated[
        tuple[Width, ...],
        Meta(min_length=1, max_length=16, description="Widths of the encoder's layers; the last is the code's"),
    ] = (32, 16, 6)
    activation: Annotated[Activation, Meta(description="Between the layers, except after the code")] = "tanh"
    initialization: Initialization = "fan-in"

    def asked(self, traits: Traits) -> Traits:
        """The inputs, in place of whatever targets there are."""
        targets: Literal["unit", "real"] = "unit" if traits.unit_inputs else "real"
        return replace(traits, targets=targets, classes=None, columns=traits.features)

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        initializer = Initializer(self.initialization, generator, self.activation)
        encoder = perceptron((traits.features, *self.hidden), self.activation, initializer)
        decoder = perceptron((*self.hidden[::-1], outputs), self.activation, initializer)
        return nn.Sequential(*encoder, *decoder)

"""Models that are Linear layers in sequence."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import nn

from ngexplorer.objectives.models.base import ACTIVATIONS, Activation, Model, Width
from ngexplorer.objectives.traits import Traits


class Linear(Model, frozen=True, kw_only=True, tag="linear"):
    """z = W x + b from W = 0: with softmax or Bernoulli logits this is (softmax) logistic regression."""

    title: ClassVar[str] = "Linear"

    bias: Annotated[bool, Meta(description="Whether there is a constant term b")] = True

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        layer = nn.Linear(traits.features, outputs, bias=self.bias, dtype=torch.float64)
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
        return nn.Sequential(layer)


class MLP(Model, frozen=True, kw_only=True, tag="mlp"):
    """Fully connected layers with one activation between them; W ~ N(0, g²/fan-in), g² = 2 for relu else 1, b = 0."""

    title: ClassVar[str] = "Multilayer perceptron"

    hidden: Annotated[
        tuple[Width, ...], Meta(min_length=1, max_length=32, description="Widths of the hidden layers")
    ] = (16,)
    activation: Annotated[Activation, Meta(description="Between the layers")] = "tanh"

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        gain = math.sqrt(2) if self.activation == "relu" else 1.0
        widths = (traits.features, *self.hidden, outputs)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            if i:
                layers.append(ACTIVATIONS[self.activation]())
            layer = nn.Linear(before, after, dtype=torch.float64)
            nn.init.normal_(layer.weight, std=gain / math.sqrt(before), generator=generator)
            nn.init.zeros_(layer.bias)
            layers.append(layer)
        return nn.Sequential(*layers)

"""The models: each a typed record of its settings that builds a torch module from a seeded generator."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import msgspec
import torch
from msgspec import Meta
from torch import nn

Activation = Literal["tanh", "relu", "sigmoid", "softplus"]
Width = Annotated[int, Meta(ge=1, le=4096)]

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
}


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A model by its settings; `build` makes the module."""

    title: ClassVar[str]

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
        """A float64 module from `inputs` to `outputs` numbers a case, its weights drawn from `generator`."""
        raise NotImplementedError


class Linear(Model, frozen=True, kw_only=True, tag="linear"):
    """z = W x + b from W = 0: with softmax or Bernoulli logits this is (softmax) logistic regression."""

    title: ClassVar[str] = "Linear"

    bias: Annotated[bool, Meta(description="Whether there is a constant term b")] = True

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
        layer = nn.Linear(inputs, outputs, bias=self.bias, dtype=torch.float64)
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

    def build(self, inputs: int, outputs: int, generator: torch.Generator) -> nn.Module:
        gain = math.sqrt(2) if self.activation == "relu" else 1.0
        widths = (inputs, *self.hidden, outputs)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            if i:
                layers.append(_ACTIVATIONS[self.activation]())
            layer = nn.Linear(before, after, dtype=torch.float64)
            nn.init.normal_(layer.weight, std=gain / math.sqrt(before), generator=generator)
            nn.init.zeros_(layer.bias)
            layers.append(layer)
        return nn.Sequential(*layers)


class LandscapeModel(Model, frozen=True, kw_only=True, tag="landscape"):
    """The residual map that a landscape brings with it; it has no settings of its own."""

    title: ClassVar[str] = "Its own residuals"

"""Models that are Linear layers in sequence."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import nn

from ngexplorer.objectives.models.base import ACTIVATIONS, Activation, Model, Widths
from ngexplorer.objectives.models.initialization import Initialization, Initializer
from ngexplorer.objectives.traits import Traits

Bias = Annotated[bool, Meta(description="Whether there is a constant term b")]


def perceptron(widths: tuple[int, ...], activation: Activation, initializer: Initializer) -> list[nn.Module]:
    """Linear layers from each width to the next with the activation between them, and none at the end."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        if layers:
            layers.append(ACTIVATIONS[activation]())
        layers.append(initializer.linear(before, after))
    return layers


class Linear(Model, frozen=True, kw_only=True, tag="linear"):
    """z = W x + b from W = 0: with softmax or Bernoulli logits this is (softmax) logistic regression."""

    title: ClassVar[str] = "Linear"

    bias: Bias = True

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        return nn.Sequential(Initializer("zero", generator).linear(traits.features, outputs, bias=self.bias))


class DeepLinear(Model, frozen=True, kw_only=True, tag="deep-linear"):
    """z = W_K ⋯ W_1 x: a linear map as a product of matrices, so convex in z and not in θ (Saxe et al. 2014)."""

    title: ClassVar[str] = "Deep linear"

    hidden: Widths = (16, 16)
    bias: Bias = True
    initialization: Initialization = "fan-in"

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        initializer = Initializer(self.initialization, generator)
        widths = (traits.features, *self.hidden, outputs)
        return nn.Sequential(*(initializer.linear(before, after, bias=self.bias) for before, after in pairwise(widths)))


class MLP(Model, frozen=True, kw_only=True, tag="mlp"):
    """Fully connected layers with one activation between them."""

    title: ClassVar[str] = "Multilayer perceptron"

    hidden: Widths = (16,)
    activation: Annotated[Activation, Meta(description="Between the layers")] = "tanh"
    initialization: Initialization = "fan-in"

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        initializer = Initializer(self.initialization, generator, self.activation)
        return nn.Sequential(*perceptron((traits.features, *self.hidden, outputs), self.activation, initializer))

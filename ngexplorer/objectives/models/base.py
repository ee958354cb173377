"""What a model is: a typed record of its settings that builds a torch module from a seeded generator."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
import torch
from msgspec import Meta
from torch import nn

from ngexplorer.objectives.traits import Traits

Activation = Literal["tanh", "relu", "sigmoid", "softplus", "gelu", "silu", "elu", "leaky-relu"]
Width = Annotated[int, Meta(ge=1, le=4096)]
Widths = Annotated[tuple[Width, ...], Meta(min_length=1, max_length=32, description="Widths of the hidden layers")]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
}


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A model by its settings; `build` makes the module."""

    title: ClassVar[str]

    def refusal(self, traits: Traits) -> str | None:
        """Why this model cannot be used with such data, or None if it can."""
        return None

    def asked(self, traits: Traits) -> Traits:
        """What the model is to learn of such data: the targets it has, unless a model makes its own of the inputs."""
        return traits

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        """A float64 module from such inputs, (N, features), to (N, outputs), its weights drawn from `generator`."""
        raise NotImplementedError


class LandscapeModel(Model, frozen=True, kw_only=True, tag="landscape"):
    """The residual map that a landscape brings with it; it has no settings of its own."""

    title: ClassVar[str] = "Its own network"

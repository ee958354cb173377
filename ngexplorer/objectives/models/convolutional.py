"""A small convolutional net for images."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from msgspec import Meta
from torch import nn

from ngexplorer.objectives.models.base import ACTIVATIONS, Activation, Model
from ngexplorer.objectives.models.initialization import Initialization, Initializer
from ngexplorer.objectives.traits import Traits

Channels = Annotated[int, Meta(ge=1, le=128)]


class Convolutional(Model, frozen=True, kw_only=True, tag="conv"):
    """Convolutions with an activation after each, every one halving the image (rounded up), then a Linear layer."""

    title: ClassVar[str] = "Convolutional net"

    channels: Annotated[
        tuple[Channels, ...], Meta(min_length=1, max_length=8, description="Channels of each convolution")
    ] = (4, 8)
    kernel: Annotated[Literal[3, 5, 7], Meta(description="Height and width of the kernels, in pixels")] = 3
    halving: Annotated[
        Literal["stride", "average"],
        Meta(description="How the image is halved: by moving the kernels two pixels at a time, or by averaging 2×2"),
    ] = "stride"
    activation: Annotated[Activation, Meta(description="After each convolution")] = "tanh"
    initialization: Initialization = "fan-in"

    def refusal(self, traits: Traits) -> str | None:
        return None if traits.image else f"needs images; these inputs are {traits.features} numbers"

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        if traits.image is None:
            raise ValueError(f"{self.title} {self.refusal(traits)}")
        initializer = Initializer(self.initialization, generator, self.activation)
        before, height, width = 1, *traits.image
        layers: list[nn.Module] = [nn.Unflatten(1, (before, height, width))]
        for after in self.channels:
            stride = 2 if self.halving == "stride" else 1
            layers += [initializer.convolution(before, after, self.kernel, stride), ACTIVATIONS[self.activation]()]
            if self.halving == "average":
                layers.append(nn.AvgPool2d(2, ceil_mode=True))
            before, height, width = after, (height + 1) // 2, (width + 1) // 2
        return nn.Sequential(*layers, nn.Flatten(), initializer.linear(before * height * width, outputs))

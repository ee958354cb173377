"""A tiny transformer whose tokens are the rows of its input."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.models import sequence
from ngexplorer.objectives.models.base import Activation, Model
from ngexplorer.objectives.models.initialization import Initialization, Initializer
from ngexplorer.objectives.models.layers import perceptron
from ngexplorer.objectives.residual import Residual
from ngexplorer.objectives.traits import Traits

_POSITION_SCALE = 0.02


class Attention(nn.Module):
    """(N, T, d) → (N, T, d): softmax(QKᵀ/√(d/heads)) V in each head, then a Linear layer (Vaswani et al. 2017, §3.2).

    Written out, since torch's fused attention has no second derivatives. Q, K and V have no constant term: that of K
    would change nothing, and every curvature matrix would be singular by it.
    """

    def __init__(self, width: int, heads: int, initializer: Initializer) -> None:
        super().__init__()
        self.heads = heads
        self.query = initializer.linear(width, width, bias=False)
        self.key = initializer.linear(width, width, bias=False)
        self.value = initializer.linear(width, width, bias=False)
        self.join = initializer.linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        weights = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1)
        return self.join((weights @ v).transpose(1, 2).flatten(2))


class TransformerNetwork(nn.Module):
    """(N, T·D) → (N, C): T tokens of D numbers embedded with their positions, blocks, and their mean read linearly."""

    def __init__(
        self, embed: nn.Linear, positions: Tensor, blocks: nn.Sequential, norm: nn.LayerNorm, read: nn.Linear
    ) -> None:
        super().__init__()
        self.embed = embed
        self.positions = nn.Parameter(positions)
        self.blocks = blocks
        self.norm = norm
        self.read = read

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.unflatten(1, (len(self.positions), -1))) + self.positions
        return self.read(self.norm(self.blocks(tokens)).mean(1))


class Transformer(Model, frozen=True, kw_only=True, tag="transformer"):
    """Attention and perceptron blocks, each normalized first (Xiong et al. 2020), over an image's rows as tokens.

    Where there is no image, each number is a token. Positions are learned, from N(0, 0.02²) (Devlin et al. 2019).
    """

    title: ClassVar[str] = "Tiny transformer"

    layers: Annotated[int, Meta(ge=1, le=8, description="Pairs of an attention and a perceptron block")] = 1
    heads: Annotated[int, Meta(ge=1, le=8, description="Attention heads, side by side")] = 2
    head_width: Annotated[int, Meta(ge=1, le=64, description="Width of each head; tokens are heads times as wide")] = 8
    activation: Annotated[Activation, Meta(description="In the perceptrons, of twice the tokens' width")] = "gelu"
    initialization: Initialization = "fan-in"

    def refusal(self, traits: Traits) -> str | None:
        return sequence.refusal(traits)

    def build(self, traits: Traits, outputs: int, generator: torch.Generator) -> nn.Module:
        plain = Initializer(self.initialization, generator)
        activated = Initializer(self.initialization, generator, self.activation)
        width = self.heads * self.head_width
        tokens, size = sequence.shape(traits)
        embed = plain.linear(size, width)
        positions = _POSITION_SCALE * torch.randn(tokens, width, generator=generator, dtype=torch.float64)
        blocks = nn.Sequential()
        for _ in range(self.layers):
            attention = Attention(width, self.heads, plain)
            blocks.append(Residual(nn.Sequential(_norm(width), attention)))
            layers = perceptron((width, 2 * width, width), self.activation, activated)
            blocks.append(Residual(nn.Sequential(_norm(width), *layers)))
        return TransformerNetwork(embed, positions, blocks, _norm(width), plain.linear(width, outputs))


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, dtype=torch.float64)

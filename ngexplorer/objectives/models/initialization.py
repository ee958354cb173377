"""How weights begin: initializations by name, drawn from a given generator and never from torch's global one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from msgspec import Meta
from torch import Tensor, nn

from ngexplorer.objectives.models.base import Activation
from ngexplorer.settings import unknown_name

Rule = Literal["fan-in", "lecun", "he", "xavier", "orthogonal", "sparse", "small", "torch", "zero"]
Initialization = Annotated[
    Rule,
    Meta(
        description=(
            "How the weights of a layer of n inputs and m outputs begin; biases at 0 unless it says otherwise.\n"
            "fan-in: N(0, g²/n), where g² is 2 for ReLU and its smooth and leaky relatives, else 1\n"
            "lecun: N(0, 1/n) (LeCun et al. 1998)\n"
            "he: N(0, 2/n) (He et al. 2015)\n"
            "xavier: uniform with variance 2/(n + m) (Glorot and Bengio 2010)\n"
            "orthogonal: g times a random matrix of orthonormal rows or columns (Saxe et al. 2014)\n"
            "sparse: 15 incoming weights of each unit from N(0, 1), the others 0 (Martens 2010)\n"
            "small: N(0, 0.01²) (Krizhevsky et al. 2012)\n"
            "torch: weights and biases uniform in ±1/√n, as PyTorch begins its layers\n"
            "zero: all weights 0, a saddle point where there are hidden layers"
        )
    ),
]

RULES: tuple[Rule, ...] = get_args(Rule)
_RECTIFIERS = ("relu", "leaky-relu", "elu", "gelu", "silu")
_SPARSE_WEIGHTS = 15  # Martens 2010, §5.3


@dataclass(frozen=True)
class Initializer:
    """Makes float64 layers that begin by one rule, drawn from `generator` in the order in which they are made.

    activation: what the layers' inputs come out of, which sets the gain g of "fan-in" and "orthogonal"; None: g = 1.
    """

    rule: Rule
    generator: torch.Generator
    activation: Activation | None = None

    @property
    def gain(self) -> float:
        """g: √2 where about half of each layer's input is cut off (He et al. 2015, eq. 10), else 1."""
        return math.sqrt(2) if self.activation in _RECTIFIERS else 1.0

    def linear(self, inputs: int, outputs: int, *, bias: bool = True, maps: int = 1) -> nn.Linear:
        """A Linear layer; where it computes several maps at once, the rows of each are drawn for themselves."""
        layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias, dtype=torch.float64)
        for weight in layer.weight.detach().chunk(maps):
            self._draw(weight)
        self._draw_bias(layer.bias, inputs)
        return layer

    def convolution(self, inputs: int, outputs: int, size: int, stride: int) -> nn.Conv2d:
        """A convolution by `size` × `size` kernels, padded so that stride 1 keeps an image's size; n = inputs·size²."""
        layer = nn.utils.skip_init(
            nn.Conv2d, inputs, outputs, size, stride=stride, padding=size // 2, dtype=torch.float64
        )
        self._draw(layer.weight.detach())
        self._draw_bias(layer.bias, inputs * size**2)
        return layer

    def _draw(self, weight: Tensor) -> None:
        """Fill W, (outputs, inputs, ...), in place."""
        rows = weight.flatten(1)  # a view: one unit's incoming weights a row
        n = rows.shape[1]
        m = weight[:, 0].numel()
        match self.rule:
            case "fan-in":
                rows.normal_(std=self.gain / math.sqrt(n), generator=self.generator)
            case "lecun":
                rows.normal_(std=1 / math.sqrt(n), generator=self.generator)
            case "he":
                rows.normal_(std=math.sqrt(2) / math.sqrt(n), generator=self.generator)
            case "xavier":
                bound = math.sqrt(6 / (n + m))
                rows.uniform_(-bound, bound, generator=self.generator)
            case "orthogonal":
                nn.init.orthogonal_(rows, self.gain, generator=self.generator)
            case "sparse":
                chosen = torch.rand(rows.shape, generator=self.generator).topk(min(_SPARSE_WEIGHTS, n), 1).indices
                drawn = torch.randn(chosen.shape, generator=self.generator, dtype=rows.dtype)
                rows.zero_().scatter_(1, chosen, drawn)
            case "small":
                rows.normal_(std=0.01, generator=self.generator)
            case "torch":
                rows.uniform_(-1 / math.sqrt(n), 1 / math.sqrt(n), generator=self.generator)
            case "zero":
                rows.zero_()
            case _:
                raise ValueError(unknown_name("initialization", self.rule, list(RULES)))

    def _draw_bias(self, bias: Tensor | None, n: int) -> None:
        if bias is None:
            return
        if self.rule == "torch":
            bias.detach().uniform_(-1 / math.sqrt(n), 1 / math.sqrt(n), generator=self.generator)
        else:
            bias.detach().zero_()

"""Elementwise activations with their first two derivatives, for networks whose derivatives are written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """φ, with φ' (`slope`) and φ'' (`bend`) as functions of s and φ(s); `bend` is None where it is zero."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    bend: Callable[[Tensor, Tensor], Tensor] | None


def _softplus_bend(s: Tensor, a: Tensor) -> Tensor:
    p = torch.sigmoid(s)
    return p * (1 - p)


def _normal_density(s: Tensor) -> Tensor:
    return torch.exp(-0.5 * s * s) / math.sqrt(2 * math.pi)


def _silu_slope(s: Tensor, a: Tensor) -> Tensor:
    p = torch.sigmoid(s)
    return p + a * (1 - p)


def _silu_bend(s: Tensor, a: Tensor) -> Tensor:
    p = torch.sigmoid(s)
    return p * (1 - p) * (2 + s * (1 - 2 * p))


_TANH = Activation(torch.tanh, lambda s, a: 1 - a * a, lambda s, a: -2 * a * (1 - a * a))
_SIGMOID = Activation(torch.sigmoid, lambda s, a: a * (1 - a), lambda s, a: a * (1 - a) * (1 - 2 * a))
# The second derivative of ReLU is zero away from the kink at 0.
_RELU = Activation(torch.relu, lambda s, a: (s > 0).to(s.dtype), None)
_SOFTPLUS = Activation(functional.softplus, lambda s, a: torch.sigmoid(s), _softplus_bend)
_GELU = Activation(
    functional.gelu,
    lambda s, a: torch.special.ndtr(s) + s * _normal_density(s),
    lambda s, a: (2 - s * s) * _normal_density(s),
)
_SILU = Activation(functional.silu, _silu_slope, _silu_bend)
_ELU = Activation(
    functional.elu, lambda s, a: torch.where(s > 0, 1.0, a + 1), lambda s, a: torch.where(s > 0, 0.0, a + 1)
)


def known(module: nn.Module) -> Activation | None:
    """The activation that `module` computes, or None if it is none of these in its usual form."""
    match module:
        case nn.Tanh():
            found = _TANH
        case nn.Sigmoid():
            found = _SIGMOID
        case nn.ReLU():
            found = _RELU
        case nn.Softplus(beta=1, threshold=20):
            found = _SOFTPLUS
        case nn.GELU(approximate="none"):
            found = _GELU
        case nn.SiLU():
            found = _SILU
        case nn.ELU(alpha=1.0):
            found = _ELU
        case nn.LeakyReLU():
            found = _leaky(module.negative_slope)
        case _:
            return None
    # A subclass may compute anything.
    return found if type(module).__module__ == "torch.nn.modules.activation" else None


def _leaky(share: float) -> Activation:
    return Activation(
        lambda s: functional.leaky_relu(s, share), lambda s, a: torch.where(s > 0, torch.ones_like(s), share), None
    )

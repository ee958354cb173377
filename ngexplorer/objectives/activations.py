"""Elementwise activations with their first two derivatives, for networks whose derivatives are written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Activation:
    """φ, with φ' (`slope`) and φ'' (`bend`) as functions of s and φ(s); None where the slope is 1, the bend 0."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor] | None
    bend: Callable[[Tensor, Tensor], Tensor] | None


def _softplus_bend(s: Tensor, a: Tensor) -> Tensor:
    p = torch.sigmoid(s)
    return p * (1 - p)


IDENTITY = Activation(lambda s: s, None, None)

_KNOWN: dict[type[nn.Module], Activation] = {
    nn.Tanh: Activation(torch.tanh, lambda s, a: 1 - a * a, lambda s, a: -2 * a * (1 - a * a)),
    nn.Sigmoid: Activation(torch.sigmoid, lambda s, a: a * (1 - a), lambda s, a: a * (1 - a) * (1 - 2 * a)),
    # The second derivative of ReLU is zero away from the kink at 0.
    nn.ReLU: Activation(torch.relu, lambda s, a: (s > 0).to(s.dtype), None),
    nn.Softplus: Activation(torch.nn.functional.softplus, lambda s, a: torch.sigmoid(s), _softplus_bend),
}


def known(module: nn.Module) -> Activation | None:
    """The activation that `module` computes, or None if it is none of these in its usual form."""
    if type(module) is nn.Softplus and (module.beta != 1 or module.threshold != 20):
        return None
    return _KNOWN.get(type(module))

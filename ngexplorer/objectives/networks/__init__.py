"""Networks: a module as a function of one flat θ, with everything that can be asked of its Jacobian."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ngexplorer.objectives.networks.base import (
    Inputs,
    Network,
    Pass,
    Statistics,
    cases_of,
    copied,
    mapped,
    taken,
    tensors_of,
)
from ngexplorer.objectives.networks.general import GeneralNetwork, GeneralPass
from ngexplorer.objectives.networks.layered import LayeredNetwork, LayeredPass

__all__ = [
    "GeneralNetwork",
    "GeneralPass",
    "Inputs",
    "LayeredNetwork",
    "LayeredPass",
    "Network",
    "Pass",
    "Statistics",
    "cases_of",
    "copied",
    "flatten_parameters",
    "mapped",
    "network_of",
    "taken",
    "tensors_of",
]


def flatten_parameters(module: nn.Module) -> Tensor:
    """θ: the trainable ones of `named_parameters()` in order, each flattened row-major, (P,)."""
    parts = [p.detach().reshape(-1) for _, p in module.named_parameters() if p.requires_grad]
    if not parts:
        raise ValueError(f"model: {type(module).__name__} has no parameters to train; an objective needs at least one")
    kinds = {(p.dtype, p.device) for p in parts}
    if len(kinds) > 1 or not parts[0].is_floating_point():
        found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
        raise ValueError(f"model: parameters of {found}; one floating-point type on one device is accepted")
    return torch.cat(parts).clone()


def network_of(module: nn.Module, inputs: Inputs) -> Network:
    """The cheapest right way to differentiate `module`: by its layers where all of them are known, and these inputs
    enter them as they expect, else by the graph that autograd keeps."""
    layered = LayeredNetwork.of(module)
    return layered if layered is not None and layered.takes(inputs) else GeneralNetwork(module)

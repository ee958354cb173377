"""The same network with other units or other inputs: tanh as sigmoid units, and affinely mapped inputs.

Each is an affine map between the parameters of two networks that compute the same function: what K-FAC's updates do
not depend on (Martens and Grosse 2015, §10).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ngexplorer.objectives.networks import Inputs
from ngexplorer.objectives.objective import Objective
from ngexplorer.objectives.reparametrizations.base import LinearReparametrization
from ngexplorer.objectives.reparametrizations.objective import ReparametrizedObjective


@dataclass(frozen=True)
class LayerChange:
    """What becomes of one Linear layer, its weight and bias standing at these slices of θ.

    The new layer takes inputs x̃ = C x + c and gives sums s̃ = a s: W = W̃ C / a and b = (b̃ + W̃ c) / a.
    """

    outputs: int
    inputs: int
    weight_at: slice
    bias_at: slice
    matrix: Tensor
    """C, (inputs, inputs)"""
    offset: Tensor
    """c, (inputs,)"""
    scale: float
    """a"""

    def weight(self, v: Tensor) -> Tensor:
        """The layer's part of v (..., P), as (..., outputs, inputs)."""
        return v[..., self.weight_at].reshape(*v.shape[:-1], self.outputs, self.inputs)

    @property
    def biased(self) -> bool:
        return self.bias_at.stop > self.bias_at.start


class LayerMap(LinearReparametrization):
    """γ of the new network → θ of the old one, layer by layer; parameters elsewhere stay what they are."""

    def __init__(self, title: str, parameters: int, layers: list[LayerChange]) -> None:
        for layer in layers:
            if not layer.biased and bool((layer.offset != 0).any()):
                raise ValueError("model: a layer without a bias cannot take shifted inputs; biases are needed")
        self.title, self.parameters, self.layers = title, parameters, layers

    def linear(self, v: Tensor) -> Tensor:
        result = v.clone()
        for layer in self.layers:
            weight = layer.weight(v)
            result[..., layer.weight_at] = (weight @ layer.matrix / layer.scale).flatten(-2)
            if layer.biased:
                result[..., layer.bias_at] = (v[..., layer.bias_at] + weight @ layer.offset) / layer.scale
        return result

    def adjoint(self, w: Tensor) -> Tensor:
        result = w.clone()
        for layer in self.layers:
            back = layer.weight(w) @ layer.matrix.T
            if layer.biased:
                back = back + w[..., layer.bias_at, None] * layer.offset
                result[..., layer.bias_at] = w[..., layer.bias_at] / layer.scale
            result[..., layer.weight_at] = back.flatten(-2) / layer.scale
        return result

    def inverse(self, theta: Tensor) -> Tensor:
        result = theta.clone()
        for layer in self.layers:
            weight = layer.scale * torch.linalg.solve(layer.matrix, layer.weight(theta), left=False)
            result[..., layer.weight_at] = weight.flatten(-2)
            if layer.biased:
                result[..., layer.bias_at] = layer.scale * theta[..., layer.bias_at] - weight @ layer.offset
        return result

    def to(self, like: Tensor) -> LayerMap:
        layers = [replace(l, matrix=l.matrix.to(like), offset=l.offset.to(like)) for l in self.layers]
        return LayerMap(self.title, self.parameters or 0, layers)


def tanh_as_sigmoid(objective: Objective) -> ReparametrizedObjective:
    """The objective with sigmoid units for its tanh units, by tanh(s) = 2σ(2s) − 1: the same outputs.

    The model must be Linear layers in sequence with Tanh between them and biases after it; raises ValueError else.
    `change` of the result maps its parameters to those of the tanh network.
    """
    return _with_units(objective, nn.Tanh, nn.Sigmoid, sums=2.0, gain=0.5, shift=0.5)


def sigmoid_as_tanh(objective: Objective) -> ReparametrizedObjective:
    """The objective with tanh units for its sigmoid units, by σ(s) = ½ + ½ tanh(s/2); as `tanh_as_sigmoid`."""
    return _with_units(objective, nn.Sigmoid, nn.Tanh, sums=0.5, gain=2.0, shift=-1.0)


def with_affine_inputs(objective: Objective, matrix: Tensor, offset: Tensor) -> ReparametrizedObjective:
    """The objective on inputs x̃ = C x + c, for C (D, D) invertible and c (D,), its first layer undoing it.

    The model must begin with a Linear layer, with a bias unless c = 0; raises ValueError else. `change` of the result
    maps its parameters to those of the network on x.
    """
    model = objective.model
    first = model[0] if isinstance(model, nn.Sequential) else model
    inputs, held = objective.inputs, objective.validation
    if not isinstance(first, nn.Linear) or not isinstance(inputs, Tensor):
        raise ValueError(f"model: begins with {type(first).__name__}; a Linear layer on one tensor is accepted")
    change = LayerMap("affine inputs", objective.parameters, [_layer(first, 0, matrix, offset, 1.0)])

    def mapped(x: Inputs) -> Tensor:
        assert isinstance(x, Tensor)
        return x @ matrix.T + offset

    validation = None if held is None else (mapped(held.inputs), held.targets)
    return _with_twin(objective, change, copy.deepcopy(model), mapped(inputs), validation)


def _with_units(
    objective: Objective, old: type[nn.Module], new: type[nn.Module], *, sums: float, gain: float, shift: float
) -> ReparametrizedObjective:
    """With new units for the old, where new(sums · s) = gain · old(s) + shift."""
    children = list(objective.model) if isinstance(objective.model, nn.Sequential) else []
    shown = ", ".join(type(child).__name__ for child in children) or type(objective.model).__name__
    if [type(child) for child in children] != ([nn.Linear, old] * len(children))[: len(children) // 2 * 2 + 1]:
        raise ValueError(f"model: {shown}; Linear layers with {old.__name__} between them are accepted")
    linear = [child for child in children if isinstance(child, nn.Linear)]
    like = objective.initial_parameters
    layers, at = [], 0
    for i, layer in enumerate(linear):
        eye, zero = torch.eye(layer.in_features).to(like), torch.zeros(layer.in_features).to(like)
        matrix, offset = (eye * gain, zero + shift) if i else (eye, zero)
        layers.append(_layer(layer, at, matrix, offset, sums if i < len(linear) - 1 else 1.0))
        at = layers[-1].bias_at.stop
    change = LayerMap(f"{new.__name__} for {old.__name__}", objective.parameters, layers)
    model = nn.Sequential(*[new() if isinstance(child, old) else copy.deepcopy(child) for child in children])
    held = objective.validation
    validation = None if held is None else (held.inputs, held.targets)
    return _with_twin(objective, change, model, objective.inputs, validation)


def _with_twin(
    original: Objective,
    change: LayerMap,
    model: nn.Module,
    inputs: Inputs,
    validation: tuple[Inputs, Tensor] | None,
) -> ReparametrizedObjective:
    """The original behind the map, computed by a model of its own on these inputs."""
    nn.utils.vector_to_parameters(change.inverse(original.initial_parameters), model.parameters())
    decay = original.weight_decay
    twin = Objective(model, original.loss, inputs, original.targets, decay, validation)
    return ReparametrizedObjective(original, change, twin)


def _layer(linear: nn.Linear, at: int, matrix: Tensor, offset: Tensor, scale: float) -> LayerChange:
    """The change of a Linear layer that stands at `at` in θ."""
    outputs, inputs = linear.weight.shape
    end = at + outputs * inputs
    biases = 0 if linear.bias is None else outputs
    return LayerChange(outputs, inputs, slice(at, end), slice(end, end + biases), matrix, offset, scale)

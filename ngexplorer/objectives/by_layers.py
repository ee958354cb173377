"""The layers of an objective by name, and step and gradient layer by layer: which layers move, and which want to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngexplorer.objectives.objective import Objective

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """The entries of one module's own parameters in θ: `start` up to and without `stop`."""

    name: str
    start: int
    stop: int

    @property
    def span(self) -> slice:
        return slice(self.start, self.stop)


def layers_of(objective: Objective) -> tuple[Layer, ...]:
    """The layers of `objective.layers` with the names of their modules; of the model itself, its class's name."""
    names: list[str] = []
    for name, parameter in objective.model.named_parameters():
        module = name.rpartition(".")[0] or type(objective.model).__name__
        if parameter.requires_grad and module not in names:
            names.append(module)
    return tuple(Layer(name, at.start, at.stop) for name, at in zip(names, objective.layers, strict=True))


@dataclass(frozen=True)
class LayerNorms:
    """Norms of each layer's part, (layers,) each: of θ, the step δ and the gradient; and the cosine between δ and −∇h
    within the layer, NaN where one of them is zero."""

    layers: tuple[Layer, ...]
    parameters: Array
    step: Array
    gradient: Array
    cosine: Array

    @property
    def relative(self) -> Array:
        """‖δ_l‖/‖θ_l‖, (layers,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.step / self.parameters


def layer_norms(
    objective: Objective, theta: NDArray[np.floating], step: NDArray[np.floating], gradient: NDArray[np.floating]
) -> LayerNorms:
    """The norms at θ for a step and gradient, (P,) each."""
    layers = layers_of(objective)

    def norms(v: NDArray[np.floating]) -> Array:
        return np.array([float(np.linalg.norm(np.asarray(v, dtype=np.float64)[l.span])) for l in layers])

    steps, gradients = norms(step), norms(gradient)
    inner = np.array([-float(np.dot(step[l.span], gradient[l.span])) for l in layers])
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = inner / (steps * gradients)
    return LayerNorms(layers, norms(theta), steps, gradients, cosine)

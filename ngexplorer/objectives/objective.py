"""What is minimised: h(θ) = (1/N) Σ L(y, f(x, θ)) + ½η‖θ‖², a network followed by a loss."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor, nn

from ngexplorer.objectives.losses import Loss
from ngexplorer.objectives.networks import flatten_parameters, network_of
from ngexplorer.objectives.point import Point


class Objective:
    """A model, a loss and data as a function of one flat θ.

    model: any nn.Module whose outputs are (N, C); it is copied, and its own parameters never change.
    loss: one of `ngexplorer.losses`. inputs (N, ...), targets as the loss takes them, on the model's device and dtype.
    weight_decay: η ≥ 0 of ½η‖θ‖², which enters h, its gradient and every curvature matrix.
    validation: inputs and targets kept apart, or None.

    Raises ValueError, naming the argument, what came and what is accepted, for wrong shapes or values.
    Every mean is over cases; L sums over a case's outputs (Martens 2020, §2).
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        inputs: Tensor,
        targets: Tensor,
        weight_decay: float = 0.0,
        validation: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        if not (weight_decay >= 0 and weight_decay < float("inf")):
            raise ValueError(f"weight_decay: {weight_decay}; a finite number ≥ 0 is accepted")
        if len(inputs) == 0:
            raise ValueError("inputs: no cases; an objective needs at least one")
        if inputs.is_floating_point() and not bool(torch.isfinite(inputs).all()):
            raise ValueError("inputs: NaN or infinite values; finite numbers are accepted")
        self.model = copy.deepcopy(model)
        self.loss = loss
        self.inputs = inputs
        self.targets = targets
        self.weight_decay = weight_decay
        self.initial_parameters = flatten_parameters(self.model)
        if inputs.is_floating_point() and inputs.dtype != self.dtype:
            raise ValueError(f"inputs: {inputs.dtype}; the model takes {self.dtype}")
        self.network = network_of(self.model)
        outputs = self.network.run(self.initial_parameters, inputs).outputs
        if len(outputs) != len(inputs):
            raise ValueError(
                f"model: {len(outputs)} outputs for {len(inputs)} cases; one row of outputs a case is taken"
            )
        loss.check(targets, outputs)
        self.validation = None if validation is None else Objective(self.model, loss, *validation)

    @property
    def parameters(self) -> int:
        """P, the length of θ."""
        return len(self.initial_parameters)

    @property
    def cases(self) -> int:
        """N, the number of training cases."""
        return len(self.inputs)

    @property
    def device(self) -> torch.device:
        return self.initial_parameters.device

    @property
    def dtype(self) -> torch.dtype:
        return self.initial_parameters.dtype

    def at(self, theta: Tensor) -> Point:
        """Look at θ once: a Point. Raises ValueError unless θ is (P,) of this device and dtype."""
        if theta.shape != (self.parameters,) or theta.device != self.device or theta.dtype != self.dtype:
            raise ValueError(
                f"theta: shape {tuple(theta.shape)}, {theta.dtype} on {theta.device}; "
                f"this objective takes ({self.parameters},), {self.dtype} on {self.device}"
            )
        return Point(self, theta.detach() if theta.requires_grad else theta)

    def penalty(self, theta: Tensor) -> Tensor | float:
        """½η‖θ‖²."""
        return 0.5 * self.weight_decay * theta.dot(theta) if self.weight_decay else 0.0

    def value(self, theta: Tensor) -> Tensor:
        """h(θ), a scalar tensor."""
        return self.at(theta).value

    def gradient(self, theta: Tensor) -> Tensor:
        """∇h(θ), (P,)."""
        return self.at(theta).gradient

    def outputs(self, theta: Tensor) -> Tensor:
        """z = f(x, θ), (N, C)."""
        return self.at(theta).outputs

    def batch(self, indices: Tensor) -> Objective:
        """The same objective on some of its cases, (B,) int64; shares the model, no validation."""
        part = copy.copy(self)
        part.inputs, part.targets = self.inputs[indices], self.targets[indices]
        part.validation = None
        part.__dict__.pop("gradient_flops", None)
        if part.cases == 0:
            raise ValueError("indices: none; a batch needs at least one case")
        return part

    @cached_property
    def gradient_flops(self) -> float:
        """Floating-point operations of one gradient: three forward passes' worth, counted by torch.

        Elementwise work is not counted, so at least two operations a parameter and pass are assumed.
        """
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            self.network.run(self.initial_parameters, self.inputs)
        return 3.0 * max(counter.get_total_flops(), 2 * self.parameters)

"""What is minimised: h(θ) = (1/N) Σ L(y, f(x, θ)) + ½η‖θ‖², a network followed by a loss."""

from __future__ import annotations

import copy
from functools import cached_property

import torch
from torch import Tensor, nn

from ngexplorer.cancellation import UNWATCHED, Watch
from ngexplorer.objectives import soundness
from ngexplorer.objectives.flops import FlopCount
from ngexplorer.objectives.losses import Loss
from ngexplorer.objectives.networks import (
    GeneralNetwork,
    Inputs,
    cases_of,
    copied,
    flatten_parameters,
    mapped,
    network_of,
    taken,
    tensors_of,
)
from ngexplorer.objectives.point import Point

_KEPT_BYTES = 512 * 2**20
"""A forward pass is kept whole while it takes no more than this."""
_QUICK_BYTES = 24 * 2**20
"""So much may stand behind the directions that are multiplied at once: more is slower, for it leaves the caches."""
_FEW = 6
"""So many cases are enough to see what a model does."""


class Objective:
    """A model, a loss and data as a function of one flat θ.

    model: any nn.Module whose outputs are (N, C), or (N, T, C) for T positions of a case, each of which then counts as
    a case. It is copied, and its own parameters never change. θ holds its trainable parameters; frozen ones and buffers
    stay what they are, and tied ones stand in θ once. It is called with `inputs`: a tensor, a tuple (its positional
    arguments) or a dict (its keyword arguments), the first dimension of each tensor being the cases.
    loss: one of `ngexplorer.losses`. targets as the loss takes them, on the model's device and dtype.
    weight_decay: η ≥ 0 of ½η‖θ‖², which enters h, its gradient and every curvature matrix.
    validation: inputs and targets kept apart, or None.
    chunk: how many cases go through the model at once; None: as many as fit in half a gigabyte of activations.

    Raises ValueError, naming the argument, what came and what is accepted, for wrong shapes or values, and for a model
    that is no function of θ and one case: dropout and batch normalization in training mode. `hessian_refusal` says why
    the model's second derivatives cannot be trusted, or is None.
    Every mean is over cases; L sums over a case's outputs (Martens 2020, §2).
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        inputs: Inputs,
        targets: Tensor,
        weight_decay: float = 0.0,
        validation: tuple[Inputs, Tensor] | None = None,
        *,
        chunk: int | None = None,
    ) -> None:
        if not (weight_decay >= 0 and weight_decay < float("inf")):
            raise ValueError(f"weight_decay: {weight_decay}; a finite number ≥ 0 is accepted")
        if chunk is not None and not (isinstance(chunk, int) and chunk >= 1):
            raise ValueError(f"chunk: {chunk}; a whole number ≥ 1 of cases, or None, is accepted")
        if not isinstance(loss, Loss):
            raise ValueError(f"loss: {loss!r}; one of ngexplorer.losses is accepted")
        self.model = copied(model)
        self.loss = loss
        self.weight_decay = weight_decay
        self.initial_parameters = flatten_parameters(self.model)
        self._check_inputs(inputs)
        self.network = network_of(self.model, inputs)
        few = taken(inputs, slice(0, _FEW))
        seen = self._first_look(few)
        self.hessian_refusal: str | None = None
        if isinstance(self.network, GeneralNetwork):
            self.hessian_refusal = soundness.examine(self.network, self.initial_parameters, few)
        self._bytes_per_case = max(1.0, self.network.bytes_per_case(self.initial_parameters, few))
        self._chunk = chunk or max(1, int(_KEPT_BYTES / self._bytes_per_case))
        self._positions = len(seen) // cases_of(few)
        self._take(inputs, targets, seen)
        self.validation: Objective | None = None
        if validation is not None:
            held = copy.copy(self)
            held.weight_decay = 0.0
            held._check_inputs(validation[0])
            held._first_look(taken(validation[0], slice(0, _FEW)))
            held._take(*validation, seen)
            self.validation = held

    def _check_inputs(self, inputs: Inputs) -> None:
        if cases_of(inputs) == 0:
            raise ValueError("inputs: no cases; an objective needs at least one")
        for tensor in tensors_of(inputs):
            if tensor.device != self.device:
                raise ValueError(f"inputs: on {tensor.device}; the model is on {self.device}")
            if tensor.is_floating_point() and tensor.dtype != self.dtype:
                raise ValueError(f"inputs: {tensor.dtype}; the model takes {self.dtype}")
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ValueError("inputs: NaN or infinite values; finite numbers are accepted")

    def _first_look(self, few: Inputs) -> Tensor:
        """The outputs of a few cases. Raises ValueError where the model cannot take them."""
        try:
            seen = self.network.evaluate(self.initial_parameters, few)
        except ValueError:
            raise
        except Exception as error:  # a user's own code
            shapes = ", ".join(f"({', '.join(map(str, ('cases', *t.shape[1:])))})" for t in tensors_of(few))
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise ValueError(f"inputs: the model does not take {shapes}: {reason}") from error
        if len(seen) == 0 or len(seen) % cases_of(few):
            raise ValueError(
                f"model: {len(seen)} outputs for {cases_of(few)} cases; one row of outputs a case is taken, or T"
            )
        return seen

    def _take(self, inputs: Inputs, targets: Tensor, seen: Tensor) -> None:
        """Be the objective on these cases, which gives outputs like those seen."""
        self.inputs = mapped(inputs, Tensor.detach)
        self.cases = cases_of(self.inputs)
        """N, the number of training cases"""
        if not isinstance(targets, Tensor):
            raise ValueError(f"targets: a {type(targets).__name__}; a tensor is accepted")
        if targets.device != self.device:
            raise ValueError(f"targets: on {targets.device}; the model is on {self.device}")
        rows = self.cases * self._positions
        positioned = targets.shape[:2] == (self.cases, self._positions)
        indices = not targets.is_floating_point() and self._positions > 1
        if positioned and (targets.ndim == 3 or indices):
            targets = targets.flatten(0, 1)
        self.loss.check(targets, seen[:1].expand(rows, -1))
        self.targets = targets
        self.__dict__.pop("gradient_flops", None)

    @property
    def parameters(self) -> int:
        """P, the length of θ."""
        return self.initial_parameters.shape[0]

    @property
    def directions_at_once(self) -> int:
        """How many directions in θ are multiplied in one sweep, 1 to 16: as many as the processor's caches hold."""
        return max(1, min(16, int(_QUICK_BYTES / (self._bytes_per_case * min(self._chunk, self.cases)))))

    @property
    def chunks(self) -> list[slice]:
        """The cases that go through the model at once."""
        return [slice(at, min(at + self._chunk, self.cases)) for at in range(0, self.cases, self._chunk)]

    @property
    def structured(self) -> bool:
        """Whether dense matrices come from the structure of the model's layers, at a fraction of P products."""
        return self.network.structured

    @cached_property
    def layers(self) -> list[slice]:
        """Where in θ each module's own parameters stand, in order: a layer's weight and bias together."""
        ends: dict[str, slice] = {}
        at = 0
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                module, start = name.rpartition(".")[0], at
                at += parameter.numel()
                ends[module] = slice(ends[module].start if module in ends else start, at)
        return list(ends.values())

    @cached_property
    def affine_refusal(self) -> str | None:
        """Why the model's gradients are not made of Linear and Conv2d layers, each used once, or None if they are."""
        few = taken(self.inputs, slice(0, 2))
        try:
            run = self.network.run(self.initial_parameters, few)
            run.statistics(torch.zeros_like(run.outputs)[:, None])
        except ValueError as error:
            return str(error)
        return None

    @property
    def gradients_by_layers(self) -> bool:
        """Whether the gradient of every row of outputs is, layer by layer, a sum of outer products of what enters the
        layer and what comes back to it; at several positions of a case, the layers only know the sum over them."""
        return self.affine_refusal is None and self._positions == 1

    @property
    def device(self) -> torch.device:
        return self.initial_parameters.device

    @property
    def dtype(self) -> torch.dtype:
        return self.initial_parameters.dtype

    def at(self, theta: Tensor, watch: Watch = UNWATCHED) -> Point:
        """Look at θ once: a Point, whose long work `watch` can stop. Raises ValueError unless θ is (P,) of this device
        and dtype."""
        if theta.shape != (self.parameters,) or theta.device != self.device or theta.dtype != self.dtype:
            raise ValueError(
                f"theta: shape {tuple(theta.shape)}, {theta.dtype} on {theta.device}; "
                f"this objective takes ({self.parameters},), {self.dtype} on {self.device}"
            )
        try:
            return Point(self, theta.detach() if theta.requires_grad else theta, watch)
        except IndexError as error:  # an embedding's
            raise ValueError(f"inputs: the model does not take one of them: {error}") from error

    @property
    def plain_penalty(self) -> bool:
        """Whether weight decay adds ηI to every curvature matrix, as it does in the model's own parameters."""
        return True

    def penalty(self, theta: Tensor) -> Tensor | float:
        """½η‖θ‖²."""
        return 0.5 * self.weight_decay * theta.dot(theta) if self.weight_decay else 0.0

    def penalty_gradient(self, theta: Tensor) -> Tensor | float:
        """ηθ, (P,)."""
        return self.weight_decay * theta if self.weight_decay else 0.0

    def penalty_product(self, theta: Tensor, vectors: Tensor, second_order: bool) -> Tensor | float:
        """The penalty's part of a curvature matrix, times vectors (P,) or (P, K): ηv. `second_order`: as the Hessian
        has it, which differs under a reparametrization alone."""
        return self.weight_decay * vectors if self.weight_decay else 0.0

    def add_penalty(self, theta: Tensor, matrix: Tensor, second_order: bool) -> None:
        """Add the penalty's part to a dense curvature matrix (P, P) in place: ηI."""
        matrix.diagonal().add_(self.weight_decay)

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
        if len(indices) == 0:
            raise ValueError("indices: none; a batch needs at least one case")
        if bool(((indices < -self.cases) | (indices >= self.cases)).any()):
            raise ValueError(
                f"indices: {int(indices.min())} to {int(indices.max())}; 0 to {self.cases - 1} are accepted"
            )
        part = copy.copy(self)
        part.inputs, part.cases = taken(self.inputs, indices), len(indices)
        by_case = self.targets.view(self.cases, self._positions, *self.targets.shape[1:])
        part.targets = by_case[indices].flatten(0, 1)
        part.validation = None
        part.__dict__.pop("gradient_flops", None)
        return part

    @cached_property
    def gradient_flops(self) -> float:
        """Floating-point operations of one gradient: three forward passes' worth, two for a single layer; counted by
        torch on a few cases.

        Elementwise work is not counted, so at least two operations a parameter and pass are assumed.
        """
        few = taken(self.inputs, slice(0, _FEW))
        with FlopCount() as counted:
            self.network.evaluate(self.initial_parameters, few)
        return (2.0 if self.network.single else 3.0) * max(
            counted.total * self.cases / cases_of(few), 2 * self.parameters
        )

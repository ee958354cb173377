"""Layered networks: Linear, Conv2d, elementwise activations and reshapes, in sequence or with residual sums.

Their derivatives are written out, for K directions at once: a direction of what a layer passes on is (N, K, …). Three
sweeps do everything. Forward, along rows v of θ: ẏ = W∗ẋ + V∗x (`tangent`). Backward, from the outputs: x̄ = Wᵀ∗ȳ, and
Σ ȳ xᵀ for the weights (`adjoint`). And the backward sweep differentiated along v (Pearlmutter 1994), which adds Vᵀ∗δ to
x̄ and Σ δ ẋᵀ to the weights, δ being the backward sweep of some u; with M Jv at its start it gives Jᵀ M J v + Σ u ∇²f v.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight
from torch.utils.weak import WeakTensorKeyDictionary

from ngexplorer.cancellation import Watch
from ngexplorer.objectives.networks import activations
from ngexplorer.objectives.networks.base import Affine, Inputs, Pass, Push, Statistics, is_plain
from ngexplorer.objectives.networks.dense import Layer, dense_sum
from ngexplorer.objectives.residual import Residual

Memo = Any
"""What a trace keeps of a sweep through it: one tensor (N, K, …), None for zero, or a list of them for a sequence."""

_NARROW = 16
"""Up to so many sums a case stand one after the other in memory, each for all cases: matrix products and what a loss
does with its outputs take about half as long then."""


class Second(NamedTuple):
    """What the differentiated backward sweep needs of the two others at one trace, and the rows v it goes along."""

    deltas: Memo
    tangents: Memo
    rows: Tensor


class Trace:
    """One layer's part in one forward pass: its output, (N, …), and its derivatives there."""

    output: Tensor

    def tangent(self, moving: Tensor | None, rows: Tensor) -> tuple[Tensor | None, Memo]:
        """ẏ from ẋ (None: zero) along rows of θ (K, P); and a memo for `adjoint`."""
        raise NotImplementedError

    def adjoint(
        self, moved: Tensor, found: list[Tensor] | None, wanted: bool, second: Second | None
    ) -> tuple[Tensor | None, Memo]:
        """x̄ from ȳ (N, K, …), if `wanted`, with what its parameters get, (K, …), put at the end of `found`, if given,
        the last in θ first; differentiated where `second` is given. And a memo, for `second` of a later sweep: ȳ."""
        raise NotImplementedError


class AffineTrace(Trace):
    """y = W∗x + b. The kinds differ in what ∗ is: three maps, each linear in both arguments."""

    def __init__(self, layer: Affine, theta: Tensor, x: Tensor) -> None:
        self.layer, self.x = layer, x
        self.weight = self.shaped(theta[layer.weight_at], 1)
        self.output = self.apply(x, self.weight, theta[layer.bias_at] if layer.bias_at else None)

    def shaped(self, weights: Tensor, k: int) -> Tensor:
        """K weights one below the other, (K·outputs, …)."""
        return weights.reshape(k * self.layer.outputs, self.layer.inputs)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """W∗x + b: (N, inputs…) → (N, outputs…)."""
        if not 1 < weight.shape[0] <= _NARROW or x.ndim != 2:
            return nn.functional.linear(x, weight, bias)
        return (weight @ x.T if bias is None else torch.addmm(bias[:, None], weight, x.T)).T

    def pull(self, delta: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """Wᵀ∗δ: (N, outputs…) → the shape of an input, `like`."""
        return delta @ weight

    def gather(self, delta: Tensor, x: Tensor) -> Tensor:
        """Σ_n δ xᵀ: (N, outputs…), (N, inputs…) → (outputs, inputs…)."""
        return delta.T @ x

    def over_bias(self, delta: Tensor) -> Tensor:
        """Σ_n δ of what a bias feeds: (N, K, outputs…) → (K, outputs)."""
        return delta.sum(0)

    def own_tangent(self, rows: Tensor) -> Tensor:
        """V∗x + v_b, (N, K, outputs…)."""
        k, layer = len(rows), self.layer
        bias = rows[:, layer.bias_at].reshape(-1) if layer.bias_at else None
        return _split(self.apply(self.x, self.shaped(rows[:, layer.weight_at], k), bias), k)

    def tangent(self, moving: Tensor | None, rows: Tensor) -> tuple[Tensor | None, Memo]:
        own = self.own_tangent(rows)
        if moving is not None:
            own = own + self.apply(moving.flatten(0, 1), self.weight, None).view(own.shape)
        return own, moving

    def gathered(self, delta: Tensor) -> Tensor:
        """Σ_n δ xᵀ for K deltas (N, K, outputs…): (K, outputs·inputs)."""
        return self.gather(delta.flatten(1, 2), self.x).view(delta.shape[1], -1)

    def adjoint(
        self, moved: Tensor, found: list[Tensor] | None, wanted: bool, second: Second | None
    ) -> tuple[Tensor | None, Memo]:
        n, k, layer = *moved.shape[:2], self.layer
        if found is not None:
            if layer.bias_at:
                found.append(self.over_bias(moved))
            weights = self.gathered(moved)
            if second is not None and second.tangents is not None:
                outer = self.gather(second.deltas[:, 0], second.tangents.flatten(1, 2))
                weights += outer.view(layer.outputs, k, -1).transpose(0, 1).reshape(k, -1)
            found.append(weights)
        if not wanted:
            return None, moved
        pulled = self.pull(moved.flatten(0, 1), self.weight, self.x[:1].expand(n * k, *self.x.shape[1:]))
        pulled = pulled.view(n, k, *self.x.shape[1:])
        if second is not None:
            weights = self.shaped(second.rows[:, layer.weight_at], k)
            beside = weights.view(k, layer.outputs, -1).transpose(0, 1).reshape(layer.outputs, k * weights[0].numel())
            pulled = pulled + self._pull_beside(second.deltas[:, 0], beside, k)
        return pulled, moved

    def _pull_beside(self, delta: Tensor, weights: Tensor, k: int) -> Tensor:
        """Vᵀ∗δ for K weights side by side, (outputs, K·inputs): (N, outputs…) → (N, K, inputs…)."""
        return (delta @ weights).view(len(delta), k, -1)

    def positions(self) -> Tensor:
        """What enters, position by position, (N, T, inputs)."""
        return self.x[:, None]

    def by_position(self, delta: Tensor) -> Tensor:
        """(N, K, outputs…) → (N, K, T, outputs)."""
        return delta[:, :, None]


class ConvolutionTrace(AffineTrace):
    """A Conv2d of one group with zero padding."""

    def __init__(self, layer: Affine, module: nn.Conv2d, theta: Tensor, x: Tensor) -> None:
        self.kernel = tuple(module.weight.shape[1:])
        self.options: dict[str, Any] = {
            "stride": module.stride,
            "padding": module.padding,
            "dilation": module.dilation,
        }
        super().__init__(layer, theta, x)

    def shaped(self, weights: Tensor, k: int) -> Tensor:
        return weights.reshape(k * self.layer.outputs, *self.kernel)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return nn.functional.conv2d(x, weight, bias, **self.options)

    def pull(self, delta: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return conv2d_input(like.shape, weight, delta, **self.options)

    def gather(self, delta: Tensor, x: Tensor) -> Tensor:
        return conv2d_weight(x, (delta.shape[1], x.shape[1], *self.kernel[1:]), delta, **self.options)

    def over_bias(self, delta: Tensor) -> Tensor:
        return delta.sum((0, 3, 4))

    def _pull_beside(self, delta: Tensor, weights: Tensor, k: int) -> Tensor:
        n, (c, *kernel) = len(delta), self.kernel
        stacked = weights.view(self.layer.outputs, k * c, *kernel)
        size = torch.Size((n, k * c, *self.x.shape[2:]))
        return conv2d_input(size, stacked, delta, **self.options).view(n, k, *self.x.shape[1:])

    def positions(self) -> Tensor:
        return nn.functional.unfold(self.x, self.kernel[1:], **self.options).transpose(1, 2)

    def by_position(self, delta: Tensor) -> Tensor:
        return delta.flatten(3).transpose(2, 3)


class ActivationTrace(Trace):
    """y = φ(x), element by element."""

    def __init__(self, activation: activations.Activation, x: Tensor) -> None:
        self.activation, self.x = activation, x
        self.output = activation.value(x)

    @cached_property
    def slope(self) -> Tensor:
        return self.activation.slope(self.x, self.output)

    @cached_property
    def bend(self) -> Tensor | None:
        return self.activation.bend(self.x, self.output) if self.activation.bend else None

    def tangent(self, moving: Tensor | None, rows: Tensor) -> tuple[Tensor | None, Memo]:
        return (None if moving is None else moving * self.slope[:, None]), moving

    def adjoint(
        self, moved: Tensor, found: list[Tensor] | None, wanted: bool, second: Second | None
    ) -> tuple[Tensor | None, Memo]:
        if not wanted:
            return None, moved
        pulled = moved * self.slope[:, None]
        if second is not None and self.bend is not None and second.tangents is not None:
            pulled = pulled + second.deltas * self.bend[:, None] * second.tangents
        return pulled, moved


class FixedTrace(Trace):
    """A linear map without parameters: a reshape, or an average over pixels."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        self.module, self.x = module, x
        self.output = module(x)

    def tangent(self, moving: Tensor | None, rows: Tensor) -> tuple[Tensor | None, Memo]:
        if moving is None:
            return None, None
        n, k = moving.shape[:2]
        return self.module(moving.flatten(0, 1)).view(n, k, *self.output.shape[1:]), None

    def adjoint(
        self, moved: Tensor, found: list[Tensor] | None, wanted: bool, second: Second | None
    ) -> tuple[Tensor | None, Memo]:
        if not wanted:
            return None, None
        n, k = moved.shape[:2]
        if isinstance(self.module, nn.AvgPool2d):
            like = self.x[:1].expand(n * k, *self.x.shape[1:])
            m = self.module
            kernel, stride, padding = (_pair(size) for size in (m.kernel_size, m.stride, m.padding))
            pulled = torch.ops.aten.avg_pool2d_backward(
                moved.flatten(0, 1), like, kernel, stride, padding, m.ceil_mode, m.count_include_pad, m.divisor_override
            )
            return pulled.view(n, k, *self.x.shape[1:]), None
        return moved.reshape(n, k, *self.x.shape[1:]), None


class SequenceTrace(Trace):
    """Traces one after the other; `first` is the first of them that has parameters in it."""

    def __init__(self, traces: list[Trace], first: int) -> None:
        self.traces, self.first = traces, first
        self.output = traces[-1].output

    def tangent(self, moving: Tensor | None, rows: Tensor) -> tuple[Tensor | None, Memo]:
        memos = []
        for trace in self.traces:
            moving, memo = trace.tangent(moving, rows)
            memos.append(memo)
        return moving, memos

    def adjoint(
        self, moved: Tensor, found: list[Tensor] | None, wanted: bool, second: Second | None
    ) -> tuple[Tensor | None, Memo]:
        memos: list[Memo] = [None] * len(self.traces)
        pulled: Tensor | None = moved
        for i in reversed(range(len(self.traces))):
            if not wanted and i < self.first:
                return None, memos
            assert pulled is not None
            inner = Second(second.deltas[i], second.tangents[i], second.rows) if second else None
            pulled, memos[i] = self.traces[i].adjoint(pulled, found, wanted or i > self.first, inner)
        return pulled, memos


class ResidualTrace(Trace):
    """y = x + inner(x)."""

    def __init__(self, inner: SequenceTrace, x: Tensor) -> None:
        self.inner = inner
        self.output = x + inner.output

    def tangent(self, moving: Tensor | None, rows: Tensor) -> tuple[Tensor | None, Memo]:
        inner, memo = self.inner.tangent(moving, rows)
        if moving is None or inner is None:
            return (inner if moving is None else moving), memo
        return moving + inner, memo

    def adjoint(
        self, moved: Tensor, found: list[Tensor] | None, wanted: bool, second: Second | None
    ) -> tuple[Tensor | None, Memo]:
        pulled, memo = self.inner.adjoint(moved, found, wanted, second)
        return (None if pulled is None else moved + pulled), memo


class Sequence:
    """The layers of a sequence, each as a function from θ and its input to its trace."""

    def __init__(self, steps: list[Callable[[Tensor, Tensor], Trace]], first: int) -> None:
        self.steps, self.first = steps, first

    def trace(self, theta: Tensor, x: Tensor) -> SequenceTrace:
        traces: list[Trace] = []
        for step in self.steps:
            traces.append(step(theta, traces[-1].output if traces else x))
        return SequenceTrace(traces, self.first)


class LayeredNetwork:
    """z = the outputs of the last layer of a sequence."""

    def __init__(self, sequence: Sequence, parameters: int) -> None:
        self.sequence = sequence
        self.parameters = parameters
        self.structured = self.single = False
        """Whether the layers are Linear ones with at most one activation between two; known once inputs were seen."""

    @staticmethod
    def of(module: nn.Module) -> LayeredNetwork | None:
        """The module as a layered network, or None if it is anything else."""
        reader = _Reader()
        sequence = reader.sequence(module, "") if type(module) is nn.Sequential else reader.sequence_of([("", module)])
        trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
        # A parameter of a sequence itself, which no layer uses, would shift the places of all.
        return LayeredNetwork(sequence, reader.at) if sequence and reader.at and reader.at == trained else None

    def takes(self, inputs: Inputs) -> bool:
        """Whether every layer gets what it is written for: one vector a case for Linear, one image for Conv2d."""
        if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
            return False
        theta = torch.zeros(self.parameters, dtype=inputs.dtype, device=inputs.device)
        try:
            trace = self.sequence.trace(theta, inputs[:1])
        except RuntimeError:  # a shape that no path can take; whoever tries to run it says so
            return False
        self.structured = plain_layers(trace) is not None
        self.single = len(_affine_traces(trace)) == 1
        return trace.output.ndim == 2 and all(
            t.x.ndim == (4 if isinstance(t, ConvolutionTrace) else 2) for t in _affine_traces(trace)
        )

    def run(self, theta: Tensor, inputs: Inputs) -> LayeredPass:
        assert isinstance(inputs, Tensor)
        theta = theta.detach() if theta.requires_grad else theta
        return LayeredPass(theta, self.sequence.trace(theta, inputs))

    def evaluate(self, theta: Tensor, inputs: Inputs) -> Tensor:
        return self.run(theta, inputs).outputs

    def bytes_per_case(self, theta: Tensor, inputs: Inputs) -> float:
        """What the layers pass on, kept once for the forward and once for the backward sweep."""
        numbers = sum(trace.output.numel() for trace in _flat(self.run(theta, inputs).trace))
        return 2.0 * numbers * theta.element_size() / len(inputs)


class _Reader:
    """Reads a module's layers in order, counting where their parameters stand in θ."""

    def __init__(self) -> None:
        self.at = 0
        self.seen: set[int] = set()

    def sequence(self, module: nn.Module, name: str) -> Sequence | None:
        # named_children() would name a layer that stands there twice only once.
        children = [(f"{name}.{key}".lstrip("."), child) for key, child in module._modules.items() if child]
        return None if _hooked(module) else self.sequence_of(children)

    def sequence_of(self, children: list[tuple[str, nn.Module]]) -> Sequence | None:
        steps, first = [], -1
        for i, (name, child) in enumerate(children):
            before = self.at
            step = None if _hooked(child) else self.step(name, child)
            if step is None:
                return None
            if first < 0 and self.at > before:
                first = i
            steps.append(step)
        return Sequence(steps, first) if steps else None

    def step(self, name: str, module: nn.Module) -> Callable[[Tensor, Tensor], Trace] | None:
        """What makes the trace of one layer, or None for a layer that is not known here."""
        known = activations.known(module)
        if known is not None:
            return lambda theta, x: ActivationTrace(known, x)
        if _reshapes(module) or (type(module) is nn.AvgPool2d):
            return lambda theta, x: FixedTrace(module, x)
        if type(module) is nn.Identity or (type(module) is nn.Dropout and not (module.training and module.p)):
            return lambda theta, x: FixedTrace(nn.Identity(), x)
        if type(module) is nn.Sequential:
            inner = self.sequence(module, name)
            return None if inner is None else inner.trace
        if type(module) is Residual:
            residual = None if _hooked(module.inner) else self.sequence(module.inner, f"{name}.inner")
            if residual is None or residual.first < 0:
                return None
            return lambda theta, x: ResidualTrace(residual.trace(theta, x), x)
        plain = type(module) is nn.Linear or (type(module) is nn.Conv2d and is_plain(module))
        layer = self.affine(name, module) if plain else None
        if layer is None:
            return None
        if isinstance(module, nn.Conv2d):
            return lambda theta, x: ConvolutionTrace(layer, module, theta, x)
        return lambda theta, x: AffineTrace(layer, theta, x)

    def affine(self, name: str, module: nn.Module) -> Affine | None:
        """A layer's place in θ; None for a shared, frozen or re-parametrized one, which is not what its type says."""
        parameters = list(module.parameters())
        owned = all(p.requires_grad and id(p) not in self.seen for p in parameters)
        if not owned or len(parameters) != 1 + (module.bias is not None):
            return None
        self.seen.update(id(p) for p in parameters)
        weight = parameters[0]
        middle = self.at + weight.numel()
        self.at = middle + (len(weight) if module.bias is not None else 0)
        bias_at = slice(middle, self.at) if module.bias is not None else None
        return Affine(name, len(weight), weight[0].numel(), slice(middle - weight.numel(), middle), bias_at)


class LayeredPass(Pass):
    """The traces of one forward pass through the layers."""

    def __init__(self, theta: Tensor, trace: SequenceTrace) -> None:
        self.theta, self.trace = theta, trace
        self.outputs = trace.output
        self._swept: tuple[Tensor, Memo] | None = None

    def _deltas(self, u: Tensor, found: list[Tensor] | None = None) -> Memo:
        """The backward sweep of u (N, C); the latest is kept, for a point asks with the same u."""
        if found is not None or self._swept is None or self._swept[0] is not u:
            self._swept = (u, self.trace.adjoint(u[:, None], found, False, None)[1])
        return self._swept[1]

    def vjp(self, u: Tensor) -> Tensor:
        found: list[Tensor] = []
        self._deltas(u, found)
        return _joined(found)[0]

    def jvp(self, rows: Tensor) -> Tensor:
        moving = self.trace.tangent(None, rows)[0]
        assert moving is not None
        return moving

    def product(self, rows: Tensor, push: Push | None, u: Tensor | None) -> Tensor:
        moving, tangents = self.trace.tangent(None, rows)
        assert moving is not None
        second = None if u is None else Second(self._deltas(u), tangents, rows)
        found: list[Tensor] = []
        self.trace.adjoint(push(moving) if push else torch.zeros_like(moving), found, False, second)
        return _joined(found)

    def outer_product(self, u: Tensor, rows: Tensor) -> Tensor:
        """uᵀJv = Σ_l δ_lᵀ(V_l∗x_l), without passing ẋ on; and Jᵀu s from the same δ."""
        affine = list(_affine(self.trace, self._deltas(u)))
        along = torch.zeros(len(u), len(rows), dtype=u.dtype, device=u.device)
        for trace, delta in affine:
            along += (trace.own_tangent(rows) * delta).flatten(2).sum(2)
        found: list[Tensor] = []
        for trace, delta in reversed(affine):
            scaled = delta * along.view(*along.shape, *[1] * (delta.ndim - 2))
            if trace.layer.bias_at:
                found.append(trace.over_bias(scaled))
            found.append(trace.gathered(scaled))
        return _joined(found)

    def statistics(self, u: Tensor) -> list[Statistics]:
        memo = self.trace.adjoint(u, None, False, None)[1]
        return [Statistics(t.layer, t.positions(), t.by_position(delta)) for t, delta in _affine(self.trace, memo)]

    def rows(self, root: Tensor) -> Tensor:
        n, _, r = root.shape
        result = torch.empty(n, r, len(self.theta), dtype=root.dtype, device=root.device)
        for found in self.statistics(root.transpose(1, 2)):
            place = result[:, :, found.layer.weight_at].view(n, r, found.layer.outputs, found.layer.inputs)
            if found.deltas.shape[2] == 1:
                torch.mul(found.deltas[:, :, 0, :, None], found.entering[:, None, 0, None, :], out=place)
            else:
                place.copy_(torch.einsum("nrto,nti->nroi", found.deltas, found.entering))
            if found.layer.bias_at:
                result[:, :, found.layer.bias_at] = found.deltas.sum(2)
        return result.flatten(0, 1)

    def dense(self, middle: Tensor, u: Tensor | None, watch: Watch) -> tuple[Tensor, float]:
        layers = plain_layers(self.trace)
        if layers is None:
            return super().dense(middle, u, watch)
        if len(layers) == 1 and layers[0].slope is None and middle.shape[1] == 1:  # as in logistic regression
            return _weighted_gram(layers[0], middle.view(-1))
        deltas = None if u is None else [delta[:, 0] for _, delta in _affine(self.trace, self._deltas(u))]
        return dense_sum(layers, middle, u, deltas, watch)


def _joined(found: list[Tensor]) -> Tensor:
    """What an adjoint sweep found, the last in θ first, as rows of θ (K, P)."""
    return torch.cat(found[::-1], 1)


def _weighted_gram(layer: Layer, weights: Tensor) -> tuple[Tensor, float]:
    """Σ_n m_n ā_n ā_nᵀ for a layer of one output, whose weight and bias stand in θ as in ā: (P, P); and its flops."""
    entering = _features(layer.entering) if layer.place.bias_at else layer.entering.T
    return (entering * weights) @ entering.T, 2.0 * entering.numel() * entering.shape[0]


_KEPT: MutableMapping[Tensor, Tensor] = WeakTensorKeyDictionary()


def _features(x: Tensor) -> Tensor:
    """ā = (x, 1), features first, (inputs + 1, N): kept as long as x, for an objective has the same inputs at all θ."""
    kept = _KEPT.get(x)
    if kept is None:
        kept = _KEPT[x] = torch.cat((x.T, torch.ones_like(x[:, :1]).T))
    return kept


def plain_layers(trace: SequenceTrace) -> list[Layer] | None:
    """The layers where they are Linear ones with at most one activation between two, and None otherwise."""
    layers: list[Layer] = []
    for part in _flat(trace):
        if type(part) is AffineTrace:
            layers.append(Layer(part.layer, part.weight, part.x, part.output, None, None))
        elif isinstance(part, ActivationTrace) and layers and layers[-1].slope is None:
            layers[-1] = layers[-1].followed(part.slope, part.bend)
        else:
            return None
    return layers


def _flat(trace: Trace) -> list[Trace]:
    """The traces of nested sequences in one list; a residual block is one of them."""
    return [inner for t in trace.traces for inner in _flat(t)] if isinstance(trace, SequenceTrace) else [trace]


def _affine_traces(trace: Trace) -> list[AffineTrace]:
    if isinstance(trace, ResidualTrace):
        return _affine_traces(trace.inner)
    if isinstance(trace, SequenceTrace):
        return [found for t in trace.traces for found in _affine_traces(t)]
    return [trace] if isinstance(trace, AffineTrace) else []


def _affine(trace: Trace, memo: Memo) -> list[tuple[AffineTrace, Tensor]]:
    """Every affine trace with its part of an adjoint sweep's memo, in order."""
    if isinstance(trace, AffineTrace):
        return [(trace, memo)]
    if isinstance(trace, ResidualTrace):
        return _affine(trace.inner, memo)
    if isinstance(trace, SequenceTrace) and memo is not None:  # None where nothing in it has parameters
        return [found for t, m in zip(trace.traces, memo, strict=True) for found in _affine(t, m)]
    return []


def _split(stacked: Tensor, k: int) -> Tensor:
    """(N, K·outputs, …) → (N, K, outputs, …)."""
    return stacked.view(len(stacked), k, -1, *stacked.shape[2:])


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _reshapes(module: nn.Module) -> bool:
    """Whether it lays each case out anew and leaves the order of its numbers alone."""
    if type(module) is nn.Flatten:
        return module.start_dim == 1 and module.end_dim == -1
    return type(module) is nn.Unflatten and module.dim == 1


def _pair(size: Any) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)

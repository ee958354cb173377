"""Any module: its parameters are replaced by views of θ, and one kept graph is differentiated as often as asked."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ngexplorer.objectives.networks.base import (
    Affine,
    Inputs,
    Pass,
    Push,
    Statistics,
    cases_of,
    check_outputs,
    copied,
    is_plain,
    tensors_of,
)
from ngexplorer.objectives.networks.kernels import plain_attention, plain_recurrence

_WORTH_BATCHING = 8
"""From so many sweeps on, one batched sweep is faster. Few are asked for at once where the model or the data is large,
and there the sweeps one by one are."""


class GeneralNetwork:
    """z = module(x) with θ in place of the module's trainable parameters; a frozen one stays what it is.

    Outputs (N, T, C) become N·T rows of C: every position is a case (a sequence model's tokens, say).
    """

    structured = False
    single = False

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._untouched = copied(module)
        """What other threads take their copies of: `module` itself may be in the middle of a call."""
        self._owner = threading.get_ident()
        self._copies = threading.local()
        trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in trained]
        self._places = [_places_of(p, module) for _, p in trained]
        self.shapes = [p.shape for _, p in trained]
        self.sizes = [p.numel() for _, p in trained]
        self.recurrent = any(isinstance(m, nn.RNNBase) for m in module.modules())
        self._bytes: float | None = None

    def own(self) -> nn.Module:
        """The module to call in this thread. A call puts θ in the place of its parameters for a while, so two threads
        with one module would see each other's."""
        if threading.get_ident() == self._owner:
            return self.module
        if not hasattr(self._copies, "module"):
            self._copies.module = copied(self._untouched)
        own: nn.Module = self._copies.module
        return own

    def run(self, theta: Tensor, inputs: Inputs) -> GeneralPass:
        leaf = theta.detach().requires_grad_(True)
        with torch.enable_grad():
            return GeneralPass(self, leaf, inputs, self.call(leaf, inputs))

    def evaluate(self, theta: Tensor, inputs: Inputs) -> Tensor:
        with torch.no_grad():
            return self.call(theta.detach(), inputs)

    def call(self, theta: Tensor, inputs: Inputs) -> Tensor:
        """The module's outputs as rows, (N, C). Raises ValueError for a module that gives something else."""
        parts = zip(self._places, theta.split(self.sizes), self.shapes, strict=True)
        views = {name: part.view(shape) for places, part, shape in parts for name in places}
        positional = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
        named = inputs if isinstance(inputs, dict) else {}
        with plain_attention(), plain_recurrence() if self.recurrent else nullcontext():
            outputs: Any = torch.func.functional_call(self.own(), views, positional, named, tie_weights=False)
        check_outputs(outputs)
        if outputs.dtype != theta.dtype:
            raise ValueError(
                f"model: outputs of {outputs.dtype}; {theta.dtype}, the type of its parameters, is accepted"
            )
        return outputs if outputs.ndim == 2 else outputs.flatten(0, 1)

    def bytes_per_case(self, theta: Tensor, inputs: Inputs) -> float:
        """What autograd saves for a forward pass, measured once; its gradient's own graph saves about as much again."""
        if self._bytes is None:
            given = {t.untyped_storage().data_ptr() for t in (theta, *tensors_of(inputs))}
            saved: dict[int, int] = {}

            def note(t: Tensor) -> Tensor:
                if t.untyped_storage().data_ptr() not in given:
                    saved[t.data_ptr()] = t.numel() * t.element_size()
                return t.detach()  # an output would hold its own graph, and be held by it for ever

            with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
                self.run(theta, inputs)
            self._bytes = 3.0 * sum(saved.values()) / cases_of(inputs)
        return self._bytes


class GeneralPass(Pass):
    """A kept autograd graph from θ to the outputs."""

    def __init__(self, network: GeneralNetwork, theta: Tensor, inputs: Inputs, outputs: Tensor) -> None:
        self.network, self.theta, self.inputs = network, theta, inputs
        self.graph = outputs
        self.outputs = outputs.detach()
        self._bent: tuple[Tensor, bool, Tensor] | None = None

    def _grad(self, of: Tensor, to: Tensor, weights: Tensor, *, keep: bool = False) -> Tensor:
        if not of.requires_grad:
            return torch.zeros_like(to)
        (result,) = torch.autograd.grad(
            of, to, weights, retain_graph=True, create_graph=keep, materialize_grads=True, allow_unused=True
        )
        return result

    def _grads(self, of: Tensor, to: Tensor, weights: Tensor) -> Tensor:
        """One gradient for every weights[k], at once where the graph can be batched: (K, *to.shape)."""
        if not of.requires_grad:
            return torch.zeros(len(weights), *to.shape, dtype=to.dtype, device=to.device)
        if len(weights) >= _WORTH_BATCHING:  # one sweep for all where every operation has a batching rule
            try:
                (result,) = torch.autograd.grad(
                    of,
                    to,
                    weights,
                    retain_graph=True,
                    is_grads_batched=True,
                    materialize_grads=True,
                    allow_unused=True,
                )
                return result
            except RuntimeError:
                pass
        return torch.stack([self._grad(of, to, weight) for weight in weights])

    @cached_property
    def _transposed(self) -> tuple[Tensor, Tensor]:
        """A dummy u and Jᵀu as a graph in u, so that J v is one more reverse sweep."""
        with torch.enable_grad():
            dummy = torch.zeros_like(self.outputs, requires_grad=True)
            return dummy, self._grad(self.graph, self.theta, dummy, keep=True)

    def vjp(self, u: Tensor) -> Tensor:
        return self._grad(self.graph, self.theta, u)

    def jvp(self, rows: Tensor) -> Tensor:
        dummy, transposed = self._transposed
        return self._grads(transposed, dummy, rows).transpose(0, 1)

    def product(self, rows: Tensor, push: Push | None, u: Tensor | None) -> Tensor:
        if u is not None:
            bend = self._bend(push, u)  # one by one: batching this graph takes twice as long
            return torch.stack([self._grad(bend, self.theta, row) for row in rows])
        if push is None:
            return torch.zeros_like(rows)
        return self._grads(self.graph, self.theta, push(self.jvp(rows)).transpose(0, 1))

    def _bend(self, push: Push | None, u: Tensor) -> Tensor:
        """Jᵀ(u + M(z − z₀)) as a graph in θ: one reverse sweep of it along v gives Σ u ∇²f v + Jᵀ M J v. The latest is
        kept, for a point asks with the same u."""
        if self._bent is None or self._bent[0] is not u or self._bent[1] != (push is None):
            with torch.enable_grad():
                moved = u
                if push is not None:
                    moved = u + push((self.graph - self.outputs)[:, None])[:, 0]
                self._bent = (u, push is None, self._grad(self.graph, self.theta, moved, keep=True))
        return self._bent[2]

    def rows(self, root: Tensor) -> Tensor:
        n, _, r = root.shape
        u = torch.zeros(n * r, n, root.shape[1], dtype=root.dtype, device=root.device)
        case = torch.arange(n, device=root.device).repeat_interleave(r)
        u[torch.arange(n * r, device=root.device), case] = root.transpose(1, 2).reshape(n * r, -1)
        return torch.cat([self._grads(self.graph, self.theta, some) for some in u.split(64)])

    def statistics(self, u: Tensor) -> list[Statistics]:
        return _Tapped(self.network, self.theta, self.inputs).statistics(u)


class _Tapped:
    """A forward pass with hooks on every Linear and Conv2d, that remembers what enters and leaves them."""

    def __init__(self, network: GeneralNetwork, theta: Tensor, inputs: Inputs) -> None:
        self.layers = _affine_layers(network)
        self.entering: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}
        hooks = []
        for layer, module in self.layers:
            hooks.append(module.register_forward_hook(self._hook(layer.name)))
        try:
            with torch.enable_grad():
                self.outputs = network.call(theta, inputs)
        finally:
            for hook in hooks:
                hook.remove()

    def _hook(self, name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if name in self.sums:
                raise ValueError(f"model: layer '{name}' is used twice in one pass; a layer used once is accepted here")
            self.entering[name], self.sums[name] = inputs[0].detach(), output

        return note

    def statistics(self, u: Tensor) -> list[Statistics]:
        idle = [layer.name for layer, _ in self.layers if layer.name not in self.sums]
        if idle:
            raise ValueError(f"model: layer '{idle[0]}' is not used; layers used once are accepted here")
        sums = [self.sums[layer.name] for layer, _ in self.layers]
        n = len(sums[0])
        per_row = [
            torch.autograd.grad(self.outputs, sums, u[:, k].contiguous(), retain_graph=True, materialize_grads=True)
            for k in range(u.shape[1])
        ]
        found = []
        for i, (layer, module) in enumerate(self.layers):
            delta = torch.stack([grads[i] for grads in per_row], 1)
            entering = positions_entering(module, self.entering[layer.name])
            found.append(Statistics(layer, entering, _positions(delta, n, module)))
        return found


def _positions(delta: Tensor, n: int, module: nn.Module) -> Tensor:
    """Gradients (N, K, …) as (N, K, T, outputs)."""
    if isinstance(module, nn.Conv2d):
        return delta.flatten(3).transpose(2, 3)
    return delta.reshape(n, delta.shape[1], -1, delta.shape[-1])


def positions_entering(module: nn.Module, x: Tensor) -> Tensor:
    """What enters a layer, position by position, (N, T, inputs)."""
    if isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)
        patches = nn.functional.unfold(x, module.kernel_size, module.dilation, module.padding, module.stride)
        return patches.transpose(1, 2)
    return x.reshape(len(x), -1, x.shape[-1])


def _affine_layers(network: GeneralNetwork) -> list[tuple[Affine, nn.Module]]:
    """Linear and Conv2d layers that own all parameters between them; raises ValueError where others have some."""
    starts = dict(zip(network.names, _cumulative(network.sizes), strict=True))
    sizes = dict(zip(network.names, network.sizes, strict=True))
    found: list[tuple[Affine, nn.Module]] = []
    left = set(network.names)
    for name, module in network.own().named_modules():
        own = [f"{name}.{p}".lstrip(".") for p, _ in module.named_parameters(recurse=False)]
        if not own:
            continue
        plain = type(module) is nn.Linear or (type(module) is nn.Conv2d and is_plain(module))
        if plain and any(name not in starts for name in own):
            raise ValueError(
                f"model: layer '{name}' shares or freezes its parameters; Linear and Conv2d layers with their own are "
                "accepted here"
            )
        if not plain:
            kind = type(module).__name__
            raise ValueError(f"model: '{name}' is a {kind} with parameters; Linear and Conv2d layers are accepted here")
        weight, bias = own[0], own[1] if len(own) == 2 else None
        layer = Affine(
            name,
            outputs=len(module.weight),
            inputs=module.weight[0].numel(),
            weight_at=slice(starts[weight], starts[weight] + sizes[weight]),
            bias_at=slice(starts[bias], starts[bias] + sizes[bias]) if bias else None,
        )
        left -= {weight, bias or weight}
        found.append((layer, module))
    if left:
        raise ValueError(
            f"model: parameter '{min(left)}' belongs to no Linear or Conv2d layer; those are accepted here"
        )
    return found


def _places_of(parameter: nn.Parameter, module: nn.Module) -> list[str]:
    """Every name under which a parameter has to be replaced: one for each module object that holds it. Where torch ties
    weights by itself, it does not put back those of a module that stands in two places."""
    return [
        f"{prefix}.{name}".lstrip(".")
        for prefix, inner in module.named_modules()
        for name, p in inner.named_parameters(recurse=False, remove_duplicate=False)
        if p is parameter
    ]


def _cumulative(sizes: list[int]) -> list[int]:
    starts, at = [], 0
    for size in sizes:
        starts.append(at)
        at += size
    return starts

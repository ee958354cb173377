"""A module as a function of one flat θ, looked at in one forward pass that is differentiated as often as asked.

`network_of(module)` chooses: layered networks (Linear and elementwise activations in sequence) have their derivatives
written out; every other module keeps its autograd graph and differentiates it again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from ngexplorer.objectives import activations


class Pass(Protocol):
    """One forward pass at one θ. All products sum over the cases; nothing is averaged."""

    @property
    def outputs(self) -> Tensor:
        """z = f(x, θ), (N, C), without a graph."""
        ...

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu summed over cases for u (N, C) → (P,)."""
        ...

    def jvp(self, v: Tensor) -> Tensor:
        """Jv of each case for v (P,) → (N, C)."""
        ...

    def second_order(self, u: Tensor, v: Tensor) -> Tensor:
        """Σ_n Σ_j u_nj ∇²f_j(x_n) v for u (N, C), v (P,) → (P,)."""
        ...

    def dense(self, middle: Tensor, u: Tensor | None) -> tuple[Tensor, float]:
        """Σ_n Jᵀ M J for `middle` M (N, C, C), plus Σ_nj u_nj ∇²f_j where u is given: (P, P), and the flops it took."""
        ...


class Network(Protocol):
    """A function of inputs (N, ...) and θ (P,)."""

    def run(self, theta: Tensor, inputs: Tensor) -> Pass:
        """One forward pass."""
        ...


def flatten_parameters(module: nn.Module) -> Tensor:
    """θ: `named_parameters()` in order, each flattened row-major, (P,)."""
    parts = [p.detach().reshape(-1) for _, p in module.named_parameters()]
    if not parts:
        raise ValueError(f"model: {type(module).__name__} has no parameters; an objective needs at least one")
    return torch.cat(parts).clone()


def network_of(module: nn.Module) -> Network:
    """The cheapest right way to differentiate `module`."""
    layers = LayeredNetwork.layers_of(module)
    return LayeredNetwork(layers) if layers else GeneralNetwork(module)


class GeneralNetwork:
    """Any module: its parameters are replaced by views of θ, and one kept graph serves every product."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.names = [name for name, _ in module.named_parameters()]
        self.shapes = [p.shape for p in module.parameters()]
        self.sizes = [p.numel() for p in module.parameters()]

    def run(self, theta: Tensor, inputs: Tensor) -> GeneralPass:
        leaf = theta.detach().requires_grad_(True)
        with torch.enable_grad():
            views = {
                name: part.view(shape)
                for name, part, shape in zip(self.names, leaf.split(self.sizes), self.shapes, strict=True)
            }
            outputs = torch.func.functional_call(self.module, views, (inputs,))
        return GeneralPass(leaf, outputs)


class GeneralPass:
    """A kept autograd graph from θ to the outputs."""

    def __init__(self, theta: Tensor, outputs: Tensor) -> None:
        if outputs.ndim != 2:
            raise ValueError(f"model: outputs of shape {tuple(outputs.shape)}; an objective takes (cases, outputs)")
        self.theta = theta
        self.graph = outputs
        self.outputs = outputs.detach()

    @cached_property
    def _transposed(self) -> tuple[Tensor, Tensor]:
        """A dummy u and Jᵀu as a graph in u, so that J v is one more reverse sweep."""
        with torch.enable_grad():
            dummy = torch.zeros_like(self.outputs, requires_grad=True)
            return dummy, self._grad(self.graph, dummy, create_graph=True)

    def _grad(self, of: Tensor, weights: Tensor, create_graph: bool = False) -> Tensor:
        if not of.requires_grad:
            return torch.zeros_like(self.theta)
        (result,) = torch.autograd.grad(
            of, self.theta, weights, retain_graph=True, create_graph=create_graph, materialize_grads=True
        )
        return result

    def vjp(self, u: Tensor) -> Tensor:
        return self._grad(self.graph, u)

    def jvp(self, v: Tensor) -> Tensor:
        dummy, transposed = self._transposed
        if not transposed.requires_grad:
            return torch.zeros_like(self.outputs)
        (result,) = torch.autograd.grad(transposed, dummy, v, retain_graph=True, materialize_grads=True)
        return result

    def second_order(self, u: Tensor, v: Tensor) -> Tensor:
        with torch.enable_grad():
            transposed = self._grad(self.graph, u, create_graph=True)
        return self._grad(transposed, v)

    def dense(self, middle: Tensor, u: Tensor | None) -> tuple[Tensor, float]:
        """Column by column: P products."""
        columns = []
        for v in torch.eye(len(self.theta), dtype=self.theta.dtype, device=self.theta.device):
            column = self.vjp(torch.einsum("ncd,nd->nc", middle, self.jvp(v)))
            if u is not None:
                column = column + self.second_order(u, v)
            columns.append(column)
        dense = torch.stack(columns, 1)
        return (dense + dense.T) / 2, float("nan")


class Layer:
    """One Linear layer followed by an elementwise activation, with its place in θ."""

    def __init__(self, linear: nn.Linear, activation: activations.Activation, offset: int) -> None:
        self.outputs, self.inputs = linear.weight.shape
        self.bias = linear.bias is not None
        self.activation = activation
        self.weight_at = slice(offset, offset + self.inputs * self.outputs)
        self.bias_at = slice(self.weight_at.stop, self.weight_at.stop + (self.outputs if self.bias else 0))

    def weight(self, theta: Tensor) -> Tensor:
        """W, (outputs, inputs), a view of θ."""
        return theta[self.weight_at].view(self.outputs, self.inputs)

    def offset(self, theta: Tensor) -> Tensor | None:
        """b, (outputs,), a view of θ."""
        return theta[self.bias_at] if self.bias else None


class LayeredNetwork:
    """a_0 = x, s_l = W_l a_{l−1} + b_l, a_l = φ_l(s_l), z = a_K, with every derivative written out."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers

    @staticmethod
    def layers_of(module: nn.Module) -> list[Layer] | None:
        """The layers of a plain sequence of Linear and known activations, or None if `module` is anything else."""
        children = list(module) if type(module) is nn.Sequential else [module]
        if any(child._forward_hooks or child._forward_pre_hooks for child in (module, *children)):
            return None
        layers: list[Layer] = []
        end = 0
        seen: set[int] = set()
        for child in children:
            known = activations.known(child)
            if type(child) is nn.Linear:
                parameters = list(child.parameters())
                # A shared, frozen or re-parametrized layer is not what its type says: the general path takes it.
                plain = all(p.requires_grad and id(p) not in seen for p in parameters)
                if not plain or len(parameters) != 1 + (child.bias is not None):
                    return None
                seen.update(id(p) for p in parameters)
                layers.append(Layer(child, activations.IDENTITY, end))
                end = layers[-1].bias_at.stop
            elif known is not None and layers and layers[-1].activation is activations.IDENTITY:
                layers[-1].activation = known
            else:
                return None
        return layers or None

    def run(self, theta: Tensor, inputs: Tensor) -> LayeredPass:
        return LayeredPass(self.layers, theta.detach(), inputs)


class LayeredPass:
    """The activations of one forward pass through the layers, and closed-form derivatives from them."""

    def __init__(self, layers: list[Layer], theta: Tensor, inputs: Tensor) -> None:
        if inputs.ndim != 2 or inputs.shape[1] != layers[0].inputs:
            raise ValueError(f"inputs: shape {tuple(inputs.shape)}; the first layer takes (cases, {layers[0].inputs})")
        self.layers = layers
        self.theta = theta
        self.weights = [layer.weight(theta) for layer in layers]
        self.before = [inputs]  # a_{l-1}: what enters layer l
        self.sums = []  # s_l
        for layer, weight in zip(layers, self.weights, strict=True):
            s = torch.nn.functional.linear(self.before[-1], weight, layer.offset(theta))
            self.sums.append(s)
            self.before.append(layer.activation.value(s))
        self.outputs = self.before.pop()

    @cached_property
    def slopes(self) -> list[Tensor | None]:
        """φ'_l(s_l), (N, d_l); None where φ is the identity."""
        after = [*self.before[1:], self.outputs]
        return [
            layer.activation.slope(s, a) if layer.activation.slope else None
            for layer, s, a in zip(self.layers, self.sums, after, strict=True)
        ]

    @cached_property
    def bends(self) -> list[Tensor | None]:
        """φ''_l(s_l), (N, d_l); None where it is zero."""
        after = [*self.before[1:], self.outputs]
        return [
            layer.activation.bend(s, a) if layer.activation.bend else None
            for layer, s, a in zip(self.layers, self.sums, after, strict=True)
        ]

    def _gather(self, per_layer: Callable[[int], Tensor], deltas: list[Tensor]) -> Tensor:
        """Put Σ_n (weight part) and Σ_n δ_l (bias part) of every layer in their places in a θ-shaped vector."""
        result = torch.empty_like(self.theta)
        for i, layer in enumerate(self.layers):
            result[layer.weight_at] = per_layer(i).reshape(-1)
            if layer.bias:
                result[layer.bias_at] = deltas[i].sum(0)
        return result

    def deltas(self, u: Tensor) -> list[Tensor]:
        """δ_l = ∂(Σ u·z)/∂s_l, (N, d_l) for every layer: one backward sweep."""
        deltas: list[Tensor] = []
        back = u
        for slope, weight in zip(reversed(self.slopes), reversed(self.weights), strict=True):
            delta = back if slope is None else back * slope
            deltas.append(delta)
            if len(deltas) < len(self.layers):
                back = delta @ weight
        return deltas[::-1]

    def vjp(self, u: Tensor) -> Tensor:
        deltas = self.deltas(u)
        return self._gather(lambda i: deltas[i].T @ self.before[i], deltas)

    def _tangents(self, v: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Directional derivatives along v of what enters each layer, of its sums s_l, and of the outputs."""
        tangent = torch.zeros_like(self.before[0])
        entering, sums = [], []
        for i, layer in enumerate(self.layers):
            entering.append(tangent)
            s = torch.nn.functional.linear(self.before[i], layer.weight(v), layer.offset(v))
            if i:
                s = s + tangent @ self.weights[i].T
            sums.append(s)
            slope = self.slopes[i]
            tangent = s if slope is None else s * slope
        return entering, sums, tangent

    def jvp(self, v: Tensor) -> Tensor:
        return self._tangents(v)[2]

    def second_order(self, u: Tensor, v: Tensor) -> Tensor:
        """The backward sweep differentiated along v (Pearlmutter 1994) with u held fixed."""
        entering, sums, _ = self._tangents(v)
        deltas = self.deltas(u)
        moved: list[Tensor] = [torch.empty(0)] * len(self.layers)
        back, back_moved = u, torch.zeros_like(u)
        for i in reversed(range(len(self.layers))):
            slope, bend = self.slopes[i], self.bends[i]
            moved[i] = back_moved if slope is None else back_moved * slope
            if bend is not None:
                moved[i] = moved[i] + back * bend * sums[i]
            if i:
                back = deltas[i] @ self.weights[i]
                back_moved = moved[i] @ self.weights[i] + deltas[i] @ self.layers[i].weight(v)
        return self._gather(lambda i: moved[i].T @ self.before[i] + deltas[i].T @ entering[i], moved)

    def dense(self, middle: Tensor, u: Tensor | None) -> tuple[Tensor, float]:
        """By the layers' structure: classes are contracted before cases, and J is never formed.

        Let Q_l be the curvature with respect to the sums s_l: Q_K = M at the outputs, and going down
        Q_l = diag(φ'_l) W_{l+1}ᵀ Q_{l+1} W_{l+1} diag(φ'_l), with u also + diag(φ''_l ∘ W_{l+1}ᵀ δ_{l+1}).
        With ā = (a, 1), the block of layers l ≤ m is Σ_n (Q_m ∂s_m/∂s_l) ⊗ ā_{l−1} ā_{m−1}ᵀ, and with u also
        Σ_n δ_m ⊗ ∂a_{m−1}/∂s_l ⊗ ā_{l−1}: the sensitivity of δ_m ā_{m−1}ᵀ, which is the gradient of W_m.
        """
        size = len(self.theta)
        result = torch.zeros(size, size, dtype=self.theta.dtype, device=self.theta.device)
        flops = 0.0
        for cases in self._chunks():
            flops += _DenseSum(self, cases, middle, u, result).add()
        for m, after in enumerate(self.layers):
            for before in self.layers[:m]:
                rows, columns = _span(before), _span(after)
                result[columns, rows] = result[rows, columns].T
        return result, flops

    def _chunks(self) -> list[slice]:
        """Slices of cases small enough that the largest intermediate stays below 64 MB in float64."""
        widest = max(layer.outputs**2 + (layer.inputs + 1) ** 2 for layer in self.layers)
        step = max(1, 8_000_000 // widest)
        cases = len(self.outputs)
        return [slice(at, min(at + step, cases)) for at in range(0, cases, step)]


def _span(layer: Layer) -> slice:
    return slice(layer.weight_at.start, layer.bias_at.stop)


class _DenseSum:
    """The contribution of some cases to `LayeredPass.dense`, added block by block into `result`."""

    def __init__(self, run: LayeredPass, cases: slice, middle: Tensor, u: Tensor | None, result: Tensor) -> None:
        self.run, self.result = run, result
        self.layers, self.weights = run.layers, run.weights
        self.slopes = [s if s is None else s[cases] for s in run.slopes]
        self.middle = middle[cases]
        self.deltas = None
        self.bends: list[Tensor | None] = [None] * len(self.layers)
        self.u = None
        if u is not None:
            self.u = u[cases]
            self.deltas = [d[cases] for d in run.deltas(u)]
            self.bends = [b if b is None else b[cases] for b in run.bends]
        self.sums = [s[cases] for s in run.sums]
        self.entering = [  # ā_{l−1}, features first, (p, n)
            _with_one(a[cases]) if layer.bias else a[cases].T.contiguous()
            for layer, a in zip(self.layers, run.before, strict=True)
        ]
        self.flops = 0.0

    def add(self) -> float:
        """Add every block l ≤ m; returns the flops spent."""
        curvature = self._sum_curvatures()
        for m in range(len(self.layers)):
            self._place(m, m, self._diagonal_block(curvature[m], self.entering[m]))
            left = curvature[m]  # Q_m ∂s_m/∂s_l, (n, d_m, d_l)
            inner: Tensor | None = None  # ∂a_{m−1}/∂s_l, (n, d_{m−1}, d_l)
            for l in reversed(range(m)):
                slope = self.slopes[l]
                left = _scaled(left @ self.weights[l + 1], slope)
                block = self._block(left, self.entering[l], self.entering[m])
                if self.deltas is not None:
                    if l == m - 1:
                        inner = torch.diag_embed(torch.ones_like(self.sums[l]) if slope is None else slope)
                        second = self._adjacent_second_block(m)
                    else:
                        assert inner is not None
                        inner = _scaled(inner @ self.weights[l + 1], slope)
                        second = self._second_block(self.deltas[m], inner, self.entering[l])
                    block[..., : second.shape[-1]] += second  # a bias does not depend on s_l
                self._place(l, m, block)
        return self.flops

    def _sum_curvatures(self) -> list[Tensor]:
        """Q_l of every layer, (n, d_l, d_l)."""
        found: list[Tensor] = []
        q = self.middle
        for l in reversed(range(len(self.layers))):
            slope, bend = self.slopes[l], self.bends[l]
            if found:
                weight = self.weights[l + 1]
                self.flops += 2.0 * q.numel() * weight.shape[1] + 2.0 * len(q) * weight.numel() * weight.shape[1]
                q = weight.T @ q @ weight
            if slope is not None:
                q = slope[:, :, None] * _scaled(q, slope)
            if bend is not None and self.deltas is not None:
                assert self.u is not None
                above = self.deltas[l + 1] @ self.weights[l + 1] if found else self.u
                q = q + torch.diag_embed(bend * above)
            found.append(q)
        return found[::-1]

    def _block(self, left: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Σ_n C_n[j, i] first_n[p] second_n[q] as (i, p, j, q)."""
        n, j, i = left.shape
        p, q = len(first), len(second)
        self.flops += 2.0 * n * i * j * p * q
        outer = (first[:, None, :] * second[None, :, :]).reshape(p * q, n)
        return (outer @ left.reshape(n, j * i)).view(p, q, j, i).permute(3, 0, 2, 1)

    def _diagonal_block(self, left: Tensor, entering: Tensor) -> Tensor:
        """Σ_n Q_n[i, j] ā_n[p] ā_n[q] as (i, p, j, q), from the upper triangles of both symmetric factors."""
        n, d, _ = left.shape
        p = len(entering)
        rows, row_of = _triangle(d, left.device)
        columns, column_of = _triangle(p, left.device)
        self.flops += 2.0 * n * rows.shape[1] * columns.shape[1]
        outer = entering[columns[0]] * entering[columns[1]]
        packed = outer @ left[:, rows[0], rows[1]]
        return packed[column_of][:, row_of].view(p, p, d, d).permute(2, 0, 3, 1)

    def _second_block(self, delta: Tensor, inner: Tensor, entering: Tensor) -> Tensor:
        """Σ_n δ_n[j] D_n[q, i] ā_n[p] as (i, p, j, q), D = ∂a_{m−1}/∂s_l."""
        n, q, i = inner.shape
        j, p = delta.shape[1], len(entering)
        self.flops += 2.0 * n * q * i * j * p
        outer = (entering[:, None, :] * delta.T[None, :, :]).reshape(p * j, n)
        return (outer @ inner.reshape(n, q * i)).view(p, j, q, i).permute(3, 0, 1, 2)

    def _adjacent_second_block(self, m: int) -> Tensor:
        """`_second_block` of layers m − 1 and m, where D is diagonal: q = i."""
        assert self.deltas is not None
        delta, slope, entering = self.deltas[m], self.slopes[m - 1], self.entering[m - 1]
        if slope is None:
            slope = torch.ones_like(self.sums[m - 1])
        n, j, i, p = len(delta), delta.shape[1], slope.shape[1], len(entering)
        self.flops += 2.0 * n * i * j * p
        product = (delta[:, :, None] * slope[:, None, :]).reshape(n, j * i)
        return torch.diag_embed((entering @ product).view(p, j, i)).permute(2, 0, 1, 3)

    def _place(self, l: int, m: int, block: Tensor) -> None:
        """Add a block (d_l, p_l, d_m, q_m), bias last in p and q, where θ has its weights and biases."""
        for before_bias, rows in self._parts(l):
            for after_bias, columns in self._parts(m):
                part = block[:, before_bias][:, :, :, after_bias]
                target = self.result[rows, columns]
                target += part.reshape(target.shape)

    def _parts(self, l: int) -> list[tuple[slice, slice]]:
        layer = self.layers[l]
        weights = [(slice(0, layer.inputs), layer.weight_at)]
        return [*weights, (slice(layer.inputs, layer.inputs + 1), layer.bias_at)] if layer.bias else weights


def _scaled(matrices: Tensor, columns: Tensor | None) -> Tensor:
    """Matrices (n, i, j) with their columns scaled by (n, j); None scales by one."""
    return matrices if columns is None else matrices * columns[:, None, :]


def _with_one(a: Tensor) -> Tensor:
    """ā = (a, 1) with features first, (p + 1, n)."""
    return torch.cat((a.T, torch.ones(1, len(a), dtype=a.dtype, device=a.device)))


def _triangle(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of the upper triangle, (2, T), and for every (i, j) its place in it, (size²,)."""
    upper = torch.triu_indices(size, size, device=device)
    place = torch.empty(size, size, dtype=torch.int64, device=device)
    order = torch.arange(upper.shape[1], device=device)
    place[upper[0], upper[1]] = order
    place[upper[1], upper[0]] = order
    return upper, place.reshape(-1)

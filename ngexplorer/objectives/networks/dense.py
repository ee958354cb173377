"""Σ_n Jᵀ M J of Linear layers with activations between them, as a dense matrix, by the layers' structure.

Classes are contracted before cases, and J is never formed. Let Q_l be the curvature with respect to the sums s_l:
Q_K = M at the outputs (through the last activation), and going down
Q_l = diag(φ'_l) W_{l+1}ᵀ Q_{l+1} W_{l+1} diag(φ'_l), with u also + diag(φ''_l ∘ W_{l+1}ᵀ δ_{l+1}).
With ā = (a, 1), the block of layers l ≤ m is Σ_n (Q_m ∂s_m/∂s_l) ⊗ ā_{l−1} ā_{m−1}ᵀ, and with u also
Σ_n δ_m ⊗ ∂a_{m−1}/∂s_l ⊗ ā_{l−1}: the sensitivity of δ_m ā_{m−1}ᵀ, which is the gradient of W_m.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ngexplorer.cancellation import Watch
from ngexplorer.objectives.networks.base import Affine


@dataclass(frozen=True)
class Layer:
    """A Linear layer in one forward pass: what enters it (N, inputs), its sums (N, outputs), and φ', φ'' of them where
    an activation follows (None: the identity, or a second derivative of zero)."""

    place: Affine
    weight: Tensor
    entering: Tensor
    sums: Tensor
    slope: Tensor | None
    bend: Tensor | None

    def followed(self, slope: Tensor, bend: Tensor | None) -> Layer:
        """The layer with an activation after it."""
        return replace(self, slope=slope, bend=bend)

    @property
    def span(self) -> slice:
        """Where its parameters stand in θ."""
        bias = self.place.bias_at
        return slice(self.place.weight_at.start, bias.stop if bias else self.place.weight_at.stop)


def dense_sum(
    layers: list[Layer], middle: Tensor, u: Tensor | None, deltas: list[Tensor] | None, watch: Watch
) -> tuple[Tensor, float]:
    """Σ_n Jᵀ M J for M (N, C, C), plus Σ_nj u_nj ∇²f_j where u (N, C) is given with its backward sweep `deltas`, each
    (N, outputs): (P, P), and the flops it took."""
    size = layers[-1].span.stop
    result = torch.zeros(size, size, dtype=middle.dtype, device=middle.device)
    flops = 0.0
    for cases in watch.over(_chunks(layers, len(middle))):
        flops += _DenseSum(layers, cases, middle, u, deltas, result).add()
    for m, after in enumerate(layers):
        for before in layers[:m]:
            result[after.span, before.span] = result[before.span, after.span].T
    return result, flops


def _chunks(layers: list[Layer], cases: int) -> list[slice]:
    """Slices of cases small enough that the largest intermediate stays below 64 MB in float64."""
    widest = max(layer.place.outputs**2 + (layer.place.inputs + 1) ** 2 for layer in layers)
    step = max(1, 8_000_000 // widest)
    return [slice(at, min(at + step, cases)) for at in range(0, cases, step)]


class _DenseSum:
    """The contribution of some cases to `dense_sum`, added block by block into `result`."""

    def __init__(
        self,
        layers: list[Layer],
        cases: slice,
        middle: Tensor,
        u: Tensor | None,
        deltas: list[Tensor] | None,
        result: Tensor,
    ) -> None:
        self.layers, self.result = layers, result
        self.weights = [layer.weight for layer in layers]
        self.slopes = [None if layer.slope is None else layer.slope[cases] for layer in layers]
        self.middle = middle[cases]
        self.bends: list[Tensor | None] = [None] * len(layers)
        self.deltas = self.u = None
        if u is not None and deltas is not None:
            self.u, self.deltas = u[cases], [delta[cases] for delta in deltas]
            self.bends = [None if layer.bend is None else layer.bend[cases] for layer in layers]
        self.sums = [layer.sums[cases] for layer in layers]
        self.entering = [  # ā_{l−1}, features first, (p, n)
            _with_one(a) if layer.place.bias_at else a.T.contiguous()
            for layer, a in ((layer, layer.entering[cases]) for layer in layers)
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
                    # Only weights of layer m: a bias does not depend on s_l.
                    weights = block[..., : self.layers[m].place.inputs]
                    if l == m - 1:
                        inner = torch.diag_embed(torch.ones_like(self.sums[l]) if slope is None else slope)
                        weights.diagonal(dim1=0, dim2=3).add_(self._adjacent_second_diagonal(m))
                    else:
                        assert inner is not None
                        inner = _scaled(inner @ self.weights[l + 1], slope)
                        weights += self._second_block(self.deltas[m], inner, self.entering[l])
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

    # Every product below is arranged so that the last index of the block, along which θ runs, comes out last: the copy
    # into place is then of whole runs.

    def _block(self, left: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Σ_n C_n[j, i] first_n[p] second_n[q] as (i, p, j, q)."""
        n, j, i = left.shape
        p, q = len(first), len(second)
        self.flops += 2.0 * n * i * j * p * q
        outer = (first[:, None, :] * second[None, :, :]).reshape(p * q, n)
        return (left.reshape(n, j * i).T @ outer.T).view(j, i, p, q).permute(1, 2, 0, 3)

    def _diagonal_block(self, left: Tensor, entering: Tensor) -> Tensor:
        """Σ_n Q_n[i, j] ā_n[p] ā_n[q] as (i, p, j, q), from the upper triangles of both symmetric factors."""
        n, d, _ = left.shape
        p = len(entering)
        rows, row_of = _triangle(d, left.device)
        columns, column_of = _triangle(p, left.device)
        self.flops += 2.0 * n * rows.shape[1] * columns.shape[1]
        # index_select is several times faster here than indexing with tensors.
        outer = entering.index_select(0, columns[0]) * entering.index_select(0, columns[1])
        upper = left.reshape(n, d * d).index_select(1, rows[0] * d + rows[1])
        packed = upper.T @ outer.T
        return packed.index_select(0, row_of).index_select(1, column_of).view(d, d, p, p).permute(0, 2, 1, 3)

    def _second_block(self, delta: Tensor, inner: Tensor, entering: Tensor) -> Tensor:
        """Σ_n δ_n[j] D_n[q, i] ā_n[p] as (i, p, j, q), D = ∂a_{m−1}/∂s_l."""
        n, q, i = inner.shape
        j, p = delta.shape[1], len(entering)
        self.flops += 2.0 * n * q * i * j * p
        outer = (entering[:, None, :] * delta.T[None, :, :]).reshape(p * j, n)
        return (outer @ inner.transpose(1, 2).reshape(n, i * q)).view(p, j, i, q).permute(2, 0, 1, 3)

    def _adjacent_second_diagonal(self, m: int) -> Tensor:
        """The diagonal i = q of `_second_block` for layers m − 1 and m, where D is diagonal: (p, j, i)."""
        assert self.deltas is not None
        delta, slope, entering = self.deltas[m], self.slopes[m - 1], self.entering[m - 1]
        if slope is None:
            slope = torch.ones_like(self.sums[m - 1])
        n, j, i, p = len(delta), delta.shape[1], slope.shape[1], len(entering)
        self.flops += 2.0 * n * i * j * p
        product = (delta[:, :, None] * slope[:, None, :]).reshape(n, j * i)
        return (entering @ product).view(p, j, i)

    def _place(self, l: int, m: int, block: Tensor) -> None:
        """Add a block (d_l, p_l, d_m, q_m), bias last in p and q, where θ has its weights and biases."""
        for before_bias, rows in self._parts(l):
            for after_bias, columns in self._parts(m):
                part = block[:, before_bias][:, :, :, after_bias]
                target = self.result[rows, columns]
                target += part.reshape(target.shape)

    def _parts(self, l: int) -> list[tuple[slice, slice]]:
        place = self.layers[l].place
        weights = [(slice(0, place.inputs), place.weight_at)]
        return [*weights, (slice(place.inputs, place.inputs + 1), place.bias_at)] if place.bias_at else weights


def _scaled(matrices: Tensor, columns: Tensor | None) -> Tensor:
    """Matrices (n, i, j) with their columns scaled by (n, j); None scales by one."""
    return matrices if columns is None else matrices * columns[:, None, :]


def _with_one(a: Tensor) -> Tensor:
    """ā = (a, 1) with features first, (p + 1, n)."""
    return torch.cat((a.T, torch.ones(1, len(a), dtype=a.dtype, device=a.device)))


@lru_cache(maxsize=64)
def _triangle(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of the upper triangle, (2, T), and for every (i, j) its place in it, (size²,)."""
    upper = torch.triu_indices(size, size, device=device)
    place = torch.empty(size, size, dtype=torch.int64, device=device)
    order = torch.arange(upper.shape[1], device=device)
    place[upper[0], upper[1]] = order
    place[upper[1], upper[0]] = order
    return upper, place.reshape(-1)

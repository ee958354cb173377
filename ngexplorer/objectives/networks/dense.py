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
    blocks = _Blocks(layers, middle.device)
    flops = 0.0
    for cases in watch.over(_chunks(layers, len(middle))):
        flops += _DenseSum(layers, cases, middle, u, deltas, blocks).add()
    result = torch.empty(size, size, dtype=middle.dtype, device=middle.device)
    blocks.place(result)
    return result, flops


def _chunks(layers: list[Layer], cases: int) -> list[slice]:
    """Slices of so few cases that the largest intermediate stays in a processor's cache: 2 MB in float64."""
    ends = [layer.place.inputs + 1 for layer in layers]
    pairs = max(p * q for i, p in enumerate(ends) for q in ends[i:])
    widest = max(pairs, *(layer.place.outputs**2 for layer in layers))
    step = max(32, 262_144 // widest)
    return [slice(at, min(at + step, cases)) for at in range(0, cases, step)]


class _Blocks:
    """Sums over cases of the products that the blocks of the matrix are made of, in the form in which they come."""

    def __init__(self, layers: list[Layer], device: torch.device) -> None:
        self.layers, self.device = layers, device
        self.sums: dict[tuple[str, int, int], Tensor] = {}

    def add(self, kind: str, l: int, m: int, left: Tensor, right: Tensor) -> float:
        """Add a product left @ right, (…, n) @ (n, …); returns its flops."""
        key = (kind, l, m)
        if key in self.sums:
            self.sums[key].addmm_(left, right)
        else:
            self.sums[key] = left @ right
        return 2.0 * left.shape[0] * left.shape[1] * right.shape[1]

    def place(self, result: Tensor) -> None:
        """Put every block (d_l, p_l, d_m, q_m), bias last in p and q, where θ has its weights and biases."""
        for m in range(len(self.layers)):
            self._put(result, m, m, self._diagonal(m))
            for l in range(m):
                self._put(result, l, m, self._beside(l, m))
                before, after = self.layers[l].span, self.layers[m].span
                result[after, before] = result[before, after].T

    def _width(self, l: int) -> int:
        place = self.layers[l].place
        return place.inputs + (place.bias_at is not None)

    def _diagonal(self, m: int) -> Tensor:
        """(i, p, j, q) from the upper triangles of both symmetric factors."""
        d, p = self.layers[m].place.outputs, self._width(m)
        packed = self.sums["diagonal", m, m]
        rows, columns = _triangle(d, self.device)[1], _triangle(p, self.device)[1]
        return packed.index_select(0, rows).index_select(1, columns).view(d, d, p, p).permute(0, 2, 1, 3)

    def _beside(self, l: int, m: int) -> Tensor:
        """(i, p, j, q), with the second-order part in it where there is one: only for weights of layer m, for a bias
        does not depend on s_l."""
        i, j, p, q = self.layers[l].place.outputs, self.layers[m].place.outputs, self._width(l), self._width(m)
        block = self.sums["beside", l, m].view(j, i, p, q).permute(1, 2, 0, 3)
        inputs = self.layers[m].place.inputs
        if ("adjacent", l, m) in self.sums:  # D is diagonal: q = i
            diagonal = self.sums["adjacent", l, m].view(p, j, i)
            block[..., :inputs].diagonal(dim1=0, dim2=3).add_(diagonal)
        elif ("second", l, m) in self.sums:
            block[..., :inputs] += self.sums["second", l, m].view(p, j, i, inputs).permute(2, 0, 1, 3)
        return block

    def _put(self, result: Tensor, l: int, m: int, block: Tensor) -> None:
        for before_bias, rows in self._parts(l):
            for after_bias, columns in self._parts(m):
                part = block[:, before_bias][:, :, :, after_bias]
                target = result[rows, columns]
                target.copy_(part.reshape(target.shape))

    def _parts(self, l: int) -> list[tuple[slice, slice]]:
        place = self.layers[l].place
        weights = [(slice(0, place.inputs), place.weight_at)]
        return [*weights, (slice(place.inputs, place.inputs + 1), place.bias_at)] if place.bias_at else weights


class _DenseSum:
    """The contribution of some cases to `dense_sum`."""

    def __init__(
        self,
        layers: list[Layer],
        cases: slice,
        middle: Tensor,
        u: Tensor | None,
        deltas: list[Tensor] | None,
        blocks: _Blocks,
    ) -> None:
        self.layers, self.blocks = layers, blocks
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

    # Every product is arranged so that the last index of its block, along which θ runs, comes out last: the copy into
    # place is then of whole runs.

    def add(self) -> float:
        """Add to every block l ≤ m; returns the flops spent."""
        curvature = self._sum_curvatures()
        for m in range(len(self.layers)):
            self._add_diagonal(m, curvature[m])
            left = curvature[m]  # Q_m ∂s_m/∂s_l, (n, d_m, d_l)
            inner: Tensor | None = None  # ∂a_{m−1}/∂s_l, (n, d_{m−1}, d_l)
            for l in reversed(range(m)):
                slope = self.slopes[l]
                left = _scaled(left @ self.weights[l + 1], slope)
                self._add_beside(l, m, left)
                if self.deltas is None:
                    continue
                if l == m - 1:
                    self._add_adjacent(m, self.deltas[m])
                    if l:
                        inner = torch.diag_embed(torch.ones_like(self.sums[l]) if slope is None else slope)
                else:
                    assert inner is not None
                    inner = _scaled(inner @ self.weights[l + 1], slope)
                    self._add_second(l, m, self.deltas[m], inner)
        return self.flops

    def _add_diagonal(self, m: int, left: Tensor) -> None:
        """Σ_n Q_n[i, j] ā_n[p] ā_n[q], from the upper triangles of both symmetric factors: (i ≤ j, p ≤ q)."""
        n, d, _ = left.shape
        entering = self.entering[m]
        rows, columns = _triangle(d, left.device)[0], _triangle(len(entering), left.device)[0]
        # index_select is several times faster here than indexing with tensors.
        outer = entering.index_select(0, columns[0]) * entering.index_select(0, columns[1])
        upper = left.reshape(n, d * d).index_select(1, rows[0] * d + rows[1])
        self.flops += self.blocks.add("diagonal", m, m, upper.T, outer.T)

    def _add_beside(self, l: int, m: int, left: Tensor) -> None:
        """Σ_n C_n[j, i] ā_n[p] b̄_n[q]: (j i, p q)."""
        n, j, i = left.shape
        first, second = self.entering[l], self.entering[m]
        outer = (first[:, None, :] * second[None, :, :]).reshape(-1, n)
        self.flops += self.blocks.add("beside", l, m, left.reshape(n, j * i).T, outer.T)

    def _add_second(self, l: int, m: int, delta: Tensor, inner: Tensor) -> None:
        """Σ_n δ_n[j] D_n[q, i] ā_n[p], D = ∂a_{m−1}/∂s_l: (p j, i q)."""
        n, q, i = inner.shape
        outer = (self.entering[l][:, None, :] * delta.T[None, :, :]).reshape(-1, n)
        self.flops += self.blocks.add("second", l, m, outer, inner.transpose(1, 2).reshape(n, i * q))

    def _add_adjacent(self, m: int, delta: Tensor) -> None:
        """The diagonal i = q of `_add_second` for layers m − 1 and m, where D is diagonal: (p, j i)."""
        slope = self.slopes[m - 1]
        if slope is None:
            slope = torch.ones_like(self.sums[m - 1])
        product = (delta[:, :, None] * slope[:, None, :]).reshape(len(delta), -1)
        self.flops += self.blocks.add("adjacent", m - 1, m, self.entering[m - 1], product)

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

"""Curvature matrices too large to be formed, as pictures of their means over blocks of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ngexplorer.analysis.dense_matrices import Matrices, Matrix, parameters_of
from ngexplorer.curvature import Curvature
from ngexplorer.curvature.kinds import curvatures
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.by_layers import Layer, layers_of

_SIZES = (24, 96)
"""About so many blocks a side: each is one product with the matrix."""
_AT_ONCE = 16

Edges = NDArray[np.int64]


def block_means(point: Point, names: Sequence[str], sizes: Sequence[int] = _SIZES) -> Iterator[Matrices]:
    """The means of the entries of the named matrices over blocks of θ, coarse first, one matrix more at a time.

    What is dense in an answer is S B Sᵀ, (K, K), row k of S (K, P) being 1/n_k over the n_k parameters of block k: from
    K products with B, which is never formed. Its `edges`, (K + 1,), are where the blocks end in θ, none across the end
    of a parameter; its layers are counted in blocks. Watched by the point.
    """
    kinds, objective = curvatures(point), point.objective
    refused = {name: kinds.refused[name] for name in names if name in kinds.refused}
    existing = [name for name in names if name not in refused]
    count = sum(sizes) * len(existing)
    done = 0
    with point.watch.telling() as tell:
        for size in sizes:
            edges = block_edges(objective, size)
            dense: dict[str, Matrix] = {}
            for name in existing:
                dense[name] = _means(kinds.found[name], edges)
                done += size
                tell(done / count)
                # A finer picture takes the place of all coarse ones: those of one size stand beside each other.
                if size == sizes[0] or len(dense) == len(existing):
                    yield Matrices(dict(dense), _in_blocks(objective, edges), refused, done / count, None, edges)


def block_edges(objective: Objective, size: int) -> Edges:
    """Where about so many blocks of nearly equal length end in θ, each within one parameter, which has one at least."""
    total, edges = objective.parameters, [np.zeros(1, dtype=np.int64)]
    for parameter in parameters_of(objective):
        length = parameter.stop - parameter.start
        pieces = min(length, max(1, round(size * length / total)))
        edges.append(np.linspace(parameter.start, parameter.stop, pieces + 1).round().astype(np.int64)[1:])
    return np.concatenate(edges)


def _means(matrix: Curvature, edges: Edges) -> Matrix:
    """S B Sᵀ, some columns at a time."""
    theta, count = matrix.point.theta, len(edges) - 1
    block_of = torch.as_tensor(np.repeat(np.arange(count), np.diff(edges)), device=theta.device)
    lengths = torch.as_tensor(np.diff(edges), device=theta.device).to(theta.dtype)
    columns = []
    for start in range(0, count, _AT_ONCE):
        matrix.point.watch.check()
        some = torch.arange(start, min(start + _AT_ONCE, count), device=theta.device)
        means = (block_of[:, None] == some).to(theta.dtype) / lengths[some]
        products = matrix @ means
        sums = torch.zeros(count, len(some), dtype=theta.dtype, device=theta.device).index_add_(0, block_of, products)
        columns.append(sums / lengths[:, None])
    found: Matrix = torch.cat(columns, 1).cpu().numpy()
    return found


def _in_blocks(objective: Objective, edges: Edges) -> tuple[Layer, ...]:
    """The layers, their ends counted in blocks."""
    at = {int(edge): k for k, edge in enumerate(edges)}
    return tuple(Layer(layer.name, at[layer.start], at[layer.stop]) for layer in layers_of(objective))

"""The curvature matrices of a point as pictures: dense, with the boundaries of the layers, and how far they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ngexplorer.analysis.planes import Array
from ngexplorer.curvature import Curvature, Diagonal, LayerDiagonal, TooLargeError
from ngexplorer.curvature.kinds import curvatures
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.by_layers import Layer, layers_of

Matrix = NDArray[np.floating[Any]]

_SMALL = 300
"""Of a matrix of so many rows at most the whole is as cheap as a block."""
_AT_ONCE = 16


@dataclass(frozen=True)
class Parameter(Layer):
    """The entries of one parameter in θ, row by row of its shape."""

    shape: tuple[int, ...]

    def entry(self, i: int) -> str:
        """What entry i of θ is called, "0.weight[3, 5]"."""
        at = ", ".join(str(k) for k in np.unravel_index(i - self.start, self.shape or (1,)))
        return f"{self.name}[{at}]"


@dataclass(frozen=True)
class Matrices:
    """Dense matrices (P, P) by name, the layers along their rows and columns, and why the others are not here.

    They are of the objective's dtype, and what the point keeps: not to be changed in place. Where a `block` of θ was
    asked for they are (B, B), of those rows and columns alone, and the layers are still those of θ.

    `done` is the share of those that exist which is here, or does not fit.
    """

    dense: dict[str, Matrix]
    layers: tuple[Layer, ...]
    refused: dict[str, str]
    done: float
    block: slice | None = None
    edges: NDArray[np.int64] | None = None
    """Of means over blocks of θ: where the blocks end, (B + 1,); the layers are then counted in blocks."""

    def difference(self, one: str, other: str) -> Matrix:
        """one − other, (P, P)."""
        return self.dense[one] - self.dense[other]

    def distances(self) -> Array:
        """‖A − B‖_F / ‖B‖_F of every matrix A (row) to every B (column), in their order, (K, K); NaN for B = 0."""
        found = list(self.dense.values())
        return np.array([[relative_distance(a, b) for b in found] for a in found])

    @property
    def extent(self) -> float:
        """The largest |entry| of all: the end of one colour scale, centred at zero."""
        return max((float(np.abs(matrix).max()) for matrix in self.dense.values()), default=0.0)

    def block_errors(self, exact: str = "fisher") -> dict[str, Array]:
        """How far each other matrix is from an exact one on each layer's own block, ‖(A − B)_ll‖_F/‖B_ll‖_F, (layers,),
        and how far the exact one's diagonal is from it."""
        target = self.dense[exact]
        others = {name: matrix for name, matrix in self.dense.items() if name != exact}
        others["diagonal"] = np.diag(np.diag(target))
        return {
            name: np.array([relative_distance(matrix[l.span, l.span], target[l.span, l.span]) for l in self.layers])
            for name, matrix in others.items()
        }

    def outside_blocks(self, name: str) -> float:
        """The share of ‖B‖_F² that stands outside the layers' own blocks: what every layer-diagonal form leaves out."""
        matrix = self.dense[name]
        total = float(np.square(matrix).sum())
        inside = sum(float(np.square(matrix[l.span, l.span]).sum()) for l in self.layers)
        return max(0.0, 1 - inside / total) if total > 0 else float("nan")


def matrices(point: Point, names: Sequence[str] | None = None, block: slice | None = None) -> Iterator[Matrices]:
    """H, G, F, F̄, K-FAC (or those named), and the Fisher's layer-diagonal and diagonal forms, one more at a time.

    Names beside those of `curvatures`: "layer-diagonal" and "diagonal", of the Fisher, or of G where there is none.
    block: the rows and columns to look at, from products with those columns, where the whole is large. Matrices that
    do not fit into memory are refused. Watched by the point.
    """
    found = curvatures(point)
    base = found.found.get("fisher") or found.found["gauss-newton"]
    every = found.found | {"layer-diagonal": LayerDiagonal(base), "diagonal": Diagonal(base)}
    asked = list(every | found.refused) if names is None else list(names)
    unknown = [name for name in asked if name not in every | found.refused]
    if unknown:
        raise ValueError(f"names: {unknown[0]!r}; {', '.join(every | found.refused)} are accepted")
    dense: dict[str, Matrix] = {}
    refused = {name: reason for name, reason in found.refused.items() if name in asked}
    existing = [name for name in asked if name not in refused]
    for i, name in enumerate(existing):
        point.watch.check()
        try:
            dense = dense | {name: _entries(every[name], block)}
        except TooLargeError as error:
            refused = refused | {name: str(error)}
        yield Matrices(dense, layers_of(point.objective), refused, (i + 1) / len(existing), block)


def _entries(matrix: Curvature, block: slice | None) -> Matrix:
    """All entries, or those of a block."""
    size = matrix.shape[0]
    if block is None or size <= _SMALL:
        whole: Matrix = matrix.dense().cpu().numpy()
        return whole if block is None else whole[block, block]
    columns = []
    for start in matrix.point.watch.over(range(block.start, block.stop, _AT_ONCE)):
        some = torch.arange(start, min(start + _AT_ONCE, block.stop), device=matrix.point.theta.device)
        units = torch.zeros(size, len(some), dtype=matrix.point.theta.dtype, device=some.device)
        units[some, torch.arange(len(some), device=some.device)] = 1
        columns.append((matrix @ units)[block])
    entries: Matrix = torch.cat(columns, 1).cpu().numpy()
    return entries


def parameters_of(objective: Objective) -> tuple[Parameter, ...]:
    """The trainable parameters by name, in the order in which they stand in θ."""
    found: list[Parameter] = []
    at = 0
    for name, parameter in objective.model.named_parameters():
        if parameter.requires_grad:
            found.append(Parameter(name, at, at + parameter.numel(), tuple(parameter.shape)))
            at += parameter.numel()
    return tuple(found)


def relative_distance(one: Matrix, other: Matrix) -> float:
    """‖one − other‖_F / ‖other‖_F; NaN for other = 0."""
    length = float(np.linalg.norm(other))
    return float(np.linalg.norm(one - other)) / length if length > 0 else float("nan")


def coarsened(matrix: Matrix, most: int) -> Matrix:
    """A matrix (P, P) as a picture of at most `most` pixels a side: each is the entry of the largest size in its tile,
    so that no lone large entry is lost."""
    tile = -(-len(matrix) // most)
    if tile <= 1:
        return matrix
    size = -(-len(matrix) // tile)
    padded = np.zeros((size * tile, size * tile), dtype=matrix.dtype)
    padded[: len(matrix), : len(matrix)] = matrix
    tiles = padded.reshape(size, tile, size, tile).transpose(0, 2, 1, 3).reshape(size, size, -1)
    at = np.abs(tiles).argmax(2)[..., None]
    picture: Matrix = np.take_along_axis(tiles, at, 2)[..., 0]
    return picture

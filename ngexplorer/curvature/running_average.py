"""The running average of a matrix over several points, in one of its forms."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.curvature.base import Curvature
from ngexplorer.curvature.diagonal import Diagonal, LayerDiagonal

Numbers = tuple[Tensor, ...]


def numbers_of(matrix: Curvature) -> Numbers:
    """What a matrix is made of: its diagonal, (P,), in the diagonal form, its blocks in the layer-diagonal one, else
    the dense matrix, (P, P). Weight decay's ηI is in it."""
    if isinstance(matrix, Diagonal):
        return (matrix.diagonal(),)
    return tuple(matrix.blocks()) if isinstance(matrix, LayerDiagonal) else (matrix.dense(),)


def averaged(before: Numbers, fresh: Numbers, looks: int, decay: float) -> Numbers:
    """B̄_k = ε_k B̄_{k−1} + (1 − ε_k) B_k with ε_k = min(1 − 1/k, decay), k = `looks` the number of matrices seen
    (Martens and Grosse 2015, §5). It begins as their plain mean: the weights sum to 1 at every k, so that there is no
    bias towards a start at 0 to correct, as 1/(1 − decayᵏ) corrects it elsewhere."""
    if not before:
        return fresh
    share = min(1 - 1 / looks, decay)
    return tuple(share * old + (1 - share) * new for old, new in zip(before, fresh, strict=True))


def with_numbers(matrix: Curvature, numbers: Numbers) -> Curvature:
    """A matrix of the same form at the same point, made of those numbers."""
    given = RunningAverage(matrix, numbers)
    return type(matrix)(given) if isinstance(matrix, Diagonal | LayerDiagonal) else given


class RunningAverage(Curvature):
    """A matrix that is zero beside its diagonal blocks, each given as (n, n), or as its own diagonal, (n,).

    `of` is the matrix of the last point, whose point it is shown at.
    """

    name: ClassVar[str] = "running-average"
    title: ClassVar[str] = "Running average"

    def __init__(self, of: Curvature, numbers: Numbers) -> None:
        super().__init__(of.objective, of.point)
        self.numbers = numbers
        self._token = object()
        ends = torch.tensor([len(block) for block in numbers]).cumsum(0).tolist()
        self._places = [slice(end - len(block), end) for end, block in zip(ends, numbers, strict=True)]

    @property
    def _key(self) -> Hashable:
        return (type(self), self._token)

    def _penalty(self, vectors: Tensor) -> Tensor | float:
        return 0.0  # it is in the numbers already

    def _product(self, vectors: Tensor) -> Tensor:
        columns = vectors[:, None] if vectors.ndim == 1 else vectors
        parts = [
            block[:, None] * columns[place] if block.ndim == 1 else block @ columns[place]
            for place, block in zip(self._places, self.numbers, strict=True)
        ]
        self.point.count_flops(2.0 * columns.shape[1] * sum(block.numel() for block in self.numbers))
        return torch.cat(parts).view(vectors.shape)

    def dense(self) -> Tensor:
        """The blocks in a matrix that is zero elsewhere, (P, P)."""
        if len(self.numbers) == 1:
            return torch.diag(self.numbers[0]) if self.numbers[0].ndim == 1 else self.numbers[0]
        found: Tensor = self._kept("dense", lambda: torch.block_diag(*self.numbers))
        return found

    def diagonal(self) -> Tensor:
        """The diagonal, (P,)."""
        return torch.cat([block if block.ndim == 1 else block.diagonal() for block in self.numbers])

    def block(self, rows: slice) -> Tensor:
        """The diagonal block at those rows, (n, n)."""
        return self.numbers[self._places.index(rows)] if rows in self._places else self.dense()[rows, rows]

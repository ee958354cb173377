"""The layer-diagonal and the diagonal form of any curvature matrix."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.curvature.base import Curvature, IndefiniteError


class Part(Curvature):
    """A part of another matrix at the same point."""

    def __init__(self, of: Curvature) -> None:
        super().__init__(of.objective, of.point)
        self.of = of

    @property
    def _key(self) -> Hashable:
        return (type(self), self.of._key)

    def _penalty(self, vectors: Tensor) -> Tensor | float:
        return 0.0  # it is in the whole matrix already


class LayerDiagonal(Part):
    """The diagonal blocks of B, one for each layer (a module's own weight and bias together), zero elsewhere."""

    name: ClassVar[str] = "layer-diagonal"
    title: ClassVar[str] = "Layer-diagonal form"

    def _product(self, vectors: Tensor) -> Tensor:
        columns = vectors[:, None] if vectors.ndim == 1 else vectors
        result = torch.empty_like(columns)
        for layer in self.objective.layers:
            alone = torch.zeros_like(columns)
            alone[layer] = columns[layer]
            result[layer] = (self.of @ alone)[layer]
        return result.view(vectors.shape)

    def dense(self) -> Tensor:
        """The blocks in a matrix that is zero elsewhere, (P, P)."""
        whole = self.of.dense()
        result = torch.zeros_like(whole)
        for layer in self.objective.layers:
            result[layer, layer] = whole[layer, layer]
        return result

    def diagonal(self) -> Tensor:
        """The diagonal of B, (P,)."""
        return self.of.diagonal()

    def blocks(self) -> list[Tensor]:
        """The blocks, one for each of `objective.layers`."""
        found: list[Tensor] = self._kept("blocks", lambda: [self.of.block(layer) for layer in self.objective.layers])
        return found

    def eigenvalues(self) -> Tensor:
        """All eigenvalues, ascending, (P,): those of the blocks."""
        return torch.cat([torch.linalg.eigvalsh(block) for block in self.blocks()]).sort()[0]

    def solve(self, b: Tensor, damping: float = 0.0) -> Tensor:
        """(B + damping·I)⁻¹ b, block by block; raises IndefiniteError, naming λmin, and ValueError for another shape
        of b."""
        self._check(b)
        result = torch.empty_like(b)
        for layer, block in zip(self.objective.layers, self.blocks(), strict=True):
            damped = block + damping * torch.eye(len(block), dtype=b.dtype, device=b.device)
            factor, info = torch.linalg.cholesky_ex(damped)
            if int(info):
                raise IndefiniteError(f"{self.title} of the {self.of.title}", damping, float(self.eigenvalues()[0]))
            result[layer] = torch.cholesky_solve(b[layer, None], factor)[:, 0]
        return result


class Diagonal(Part):
    """The diagonal of B, zero elsewhere."""

    name: ClassVar[str] = "diagonal"
    title: ClassVar[str] = "Diagonal form"

    def _product(self, vectors: Tensor) -> Tensor:
        d = self.of.diagonal()
        return d * vectors if vectors.ndim == 1 else d[:, None] * vectors

    def dense(self) -> Tensor:
        """The diagonal in a matrix that is zero elsewhere, (P, P)."""
        self._require_room()
        return torch.diag(self.of.diagonal())

    def diagonal(self) -> Tensor:
        """The diagonal of B, (P,)."""
        return self.of.diagonal()

    def eigenvalues(self) -> Tensor:
        """The diagonal's entries, ascending, (P,)."""
        return self.of.diagonal().sort()[0]

    def solve(self, b: Tensor, damping: float = 0.0) -> Tensor:
        """b over the damped diagonal; raises IndefiniteError where an entry of it is not positive, and ValueError for
        another shape of b."""
        self._check(b)
        damped = self.of.diagonal() + damping
        if not bool((damped > 0).all()):
            raise IndefiniteError(f"{self.title} of the {self.of.title}", damping, float(self.eigenvalues()[0]))
        return b / damped

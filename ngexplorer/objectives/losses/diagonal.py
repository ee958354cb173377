"""Losses that are sums over the outputs of a case: H_L and F_R are diagonal, and products with them elementwise."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.objectives.losses.base import CaseMap, Loss


class DiagonalLoss(Loss, frozen=True, kw_only=True):
    """A loss whose H_L and F_R are diagonal, made from their diagonals."""

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        """The diagonal of F_R, (N, C)."""
        raise NotImplementedError

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        """The diagonal of H_L, (N, C)."""
        if self.natural:
            return self.fisher_diagonal(z)
        raise NotImplementedError

    def fisher(self, z: Tensor) -> Tensor:
        return _embedded(self.fisher_diagonal(z))

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        return self.fisher(z) if self.natural else _embedded(self.hessian_diagonal(z, y))

    def fisher_map(self, z: Tensor) -> CaseMap:
        diagonal = self.fisher_diagonal(z)
        return lambda u: scaled(diagonal, u)

    def hessian_map(self, z: Tensor, y: Tensor) -> CaseMap:
        diagonal = self.hessian_diagonal(z, y)
        return lambda u: scaled(diagonal, u)

    def whitened_gradient(self, z: Tensor, y: Tensor) -> Tensor:
        root = self.fisher_diagonal(z).sqrt()
        return torch.where(root > 0, self.gradient(z, y) / root, 0.0)

    def fisher_root(self, z: Tensor) -> Tensor:
        return torch.diag_embed(self.fisher_diagonal(z).sqrt())

    def hessian_root(self, z: Tensor, y: Tensor) -> Tensor:
        if self.convex and not self.natural:
            return torch.diag_embed(self.hessian_diagonal(z, y).sqrt())
        return super().hessian_root(z, y)


def _embedded(diagonal: Tensor) -> Tensor:
    """diag(d) of each case, (N, C, C)."""
    return diagonal[:, :, None] if diagonal.shape[1] == 1 else torch.diag_embed(diagonal)


def scaled(diagonal: Tensor, u: Tensor) -> Tensor:
    """diag(d) u of each case, d (N, C) and u (N, C) or (N, K, C)."""
    return diagonal * u if u.ndim == 2 else diagonal[:, None] * u

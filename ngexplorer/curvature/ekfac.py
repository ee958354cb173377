"""EKFAC: K-FAC's eigenbasis with the second moments that the gradients have in it (George et al. 2018)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.curvature.kfac import KFAC, Tikhonov
from ngexplorer.curvature.layers import rows_of
from ngexplorer.objectives import Objective
from ngexplorer.objectives.networks import Statistics
from ngexplorer.objectives.networks.base import Affine


class EKFAC(KFAC):
    """F ≈ blockdiag(U diag(s) Uᵀ) + ηI with U = U_G ⊗ U_A of K-FAC's factors and s_i = E[(Uᵀg)_i²]: of all matrices
    diagonal in that basis the nearest to the Fisher of the same labels, with the same trace. `solve` is exact."""

    name: ClassVar[str] = "ekfac"
    title: ClassVar[str] = "EKFAC matrix"
    dampings: ClassVar[tuple[Tikhonov, ...]] = ("exact",)
    _basis: tuple[tuple[Affine, Tensor, Tensor], ...] = ()
    """Given by `with_basis`, as is `_scalings`"""
    _scalings: tuple[Tensor, ...] = ()

    @staticmethod
    def _refusal(objective: Objective) -> str | None:
        if objective.affine_refusal is None and not objective.gradients_by_layers:
            return "of outputs at several positions of a case the layers know only the gradients' sum; KFAC is accepted"
        return objective.affine_refusal

    def with_basis(self, basis: Sequence[tuple[Affine, Tensor, Tensor]], scalings: Sequence[Tensor] = ()) -> EKFAC:
        """The matrix in another basis, an earlier one say, U_G and U_A of every layer: with the second moments that
        this point's gradients have in it, or those given."""
        changed = copy.copy(self)
        changed._basis, changed._scalings, changed._token = tuple(basis), tuple(scalings), object()
        return changed

    @property
    def basis(self) -> list[tuple[Affine, Tensor, Tensor]]:
        """U_G and U_A of every layer, in θ's order."""
        return list(self._basis) or [(f.layer, u_g, u_a) for f, (_, u_g), (_, u_a) in self.bases]

    @property
    def scalings(self) -> list[Tensor]:
        """s of every layer, (outputs, inputs + 1)."""
        return [scale for *_, scale in self._eigenbasis()]

    def _eigenbasis(self) -> list[tuple[Affine, Tensor, Tensor, Tensor]]:
        found: list[tuple[Affine, Tensor, Tensor, Tensor]] = self._kept("eigenbasis", self._moments)
        return found

    def _moments(self) -> list[tuple[Affine, Tensor, Tensor, Tensor]]:
        bases = self.basis
        if self._scalings:
            return [(*basis, scale) for basis, scale in zip(bases, self._scalings, strict=True)]
        totals = [torch.zeros(len(u_g), len(u_a), dtype=u_g.dtype, device=u_g.device) for _, u_g, u_a in bases]
        for chunk in self.point.statistics(self._scores()):
            for found, total, (_, u_g, u_a) in zip(chunk, totals, bases, strict=True):
                total += _squares(found, u_g, u_a)
        return [(*basis, total / len(self.point.outputs)) for basis, total in zip(bases, totals, strict=True)]

    def _product(self, vectors: Tensor) -> Tensor:
        columns = vectors[:, None] if vectors.ndim == 1 else vectors
        result = torch.empty_like(columns)
        for layer, left, right, scale in self._eigenbasis():
            inside = left.T @ self._matrix(columns, layer) @ right
            self._place(left @ (inside * scale) @ right.T, layer, result)
        return result.view(vectors.shape)

    def _blocks(self) -> list[tuple[Affine, Tensor]]:
        blocks = []
        for layer, left, right, scale in self._eigenbasis():
            basis = torch.kron(left, right)
            blocks.append((layer, basis * scale.reshape(-1) @ basis.T))
        return blocks

    def _diagonal(self) -> Tensor:
        result = torch.empty_like(self.point.theta)[:, None]
        for layer, left, right, scale in self._eigenbasis():
            self._place((left.square() @ scale @ right.square().T)[None], layer, result)
        return result[:, 0] + self.objective.weight_decay

    def eigenvalues(self) -> Tensor:
        """All eigenvalues, ascending, (P,): the second moments."""
        spectra = [scale.reshape(-1) for *_, scale in self._eigenbasis()]
        return torch.cat(spectra).sort()[0] + self.objective.weight_decay


def _squares(found: Statistics, u_g: Tensor, u_a: Tensor) -> Tensor:
    """Σ (U_Gᵀ g U_A)² over cases and labels, g = Σ_t δ_t ā_tᵀ of each: (outputs, inputs + 1)."""
    entering = found.entering
    if found.layer.bias_at is not None:
        ones = torch.ones(*entering.shape[:2], 1, dtype=entering.dtype, device=entering.device)
        entering = torch.cat((entering, ones), 2)
    turned = Statistics(found.layer, entering @ u_a, found.deltas @ u_g)
    if found.deltas.shape[2] == 1:
        return turned.deltas[:, :, 0].square().sum(1).T @ turned.entering[:, 0].square()
    return sum((rows.square().sum((0, 1)) for _, rows in rows_of(turned)), torch.zeros_like(u_g[:1, :1]))

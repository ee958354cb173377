"""Affine maps of all parameters: any invertible matrix, a scale for each, and whitening by a curvature matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.objectives.reparametrizations.base import LinearReparametrization


class AffineMap(LinearReparametrization):
    """θ = A γ + b for A (P, P) and b (P,), zero by default.

    Raises ValueError for wrong shapes or values, and for an A that is singular in its dtype.
    """

    def __init__(self, matrix: Tensor, offset: Tensor | None = None, title: str = "affine map") -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix: shape {tuple(matrix.shape)}; a square matrix is accepted")
        self.title, self.parameters = title, len(matrix)
        self.matrix = matrix
        self.offset = matrix.new_zeros(len(matrix)) if offset is None else offset
        if self.offset.shape != matrix.shape[:1]:
            raise ValueError(f"offset: shape {tuple(self.offset.shape)}; {tuple(matrix.shape[:1])} is accepted")
        if not bool(torch.isfinite(matrix).all() & torch.isfinite(self.offset).all()):
            raise ValueError("matrix: NaN or infinite values; finite numbers are accepted")
        singular_values = torch.linalg.svdvals(matrix)
        smallest, largest = float(singular_values[-1]), float(singular_values[0])
        if smallest <= len(matrix) * torch.finfo(matrix.dtype).eps * largest:
            raise ValueError(f"matrix: singular values down to {smallest:.3g}; an invertible matrix is accepted")
        self._factors = torch.linalg.lu_factor(matrix)

    def forward(self, gamma: Tensor) -> Tensor:
        return self.linear(gamma) + self.offset

    def inverse(self, theta: Tensor) -> Tensor:
        centred = theta - self.offset
        columns = centred.reshape(-1, len(self.matrix)).T
        return torch.linalg.lu_solve(*self._factors, columns).T.reshape(centred.shape)

    def linear(self, v: Tensor) -> Tensor:
        return v @ self.matrix.T

    def adjoint(self, w: Tensor) -> Tensor:
        return w @ self.matrix

    def to(self, like: Tensor) -> AffineMap:
        return AffineMap(self.matrix.to(like), self.offset.to(like), self.title)


class Scaling(LinearReparametrization):
    """θ_k = d_k γ_k for scales d (P,). Raises ValueError unless every scale is finite and not 0."""

    def __init__(self, scales: Tensor) -> None:
        if scales.ndim != 1 or not bool((torch.isfinite(scales) & (scales != 0)).all()):
            raise ValueError("scales: finite numbers other than 0, one a parameter, are accepted")
        self.title, self.parameters = "scaling", len(scales)
        self.scales = scales

    def inverse(self, theta: Tensor) -> Tensor:
        return theta / self.scales

    def linear(self, v: Tensor) -> Tensor:
        return self.scales * v

    def adjoint(self, w: Tensor) -> Tensor:
        return self.scales * w

    def to(self, like: Tensor) -> Scaling:
        return Scaling(self.scales.to(like))


def whitening(matrix: Tensor, centre: Tensor | None = None) -> AffineMap:
    """θ = centre + B^(−½) γ for a curvature matrix B (P, P): where B was taken, it is I in γ.

    Gradient descent in γ is then one step of B's own method in θ: θ − αB⁻¹∇h. Raises ValueError unless B is
    numerically positive definite.
    """
    values, vectors = torch.linalg.eigh(matrix)
    if float(values[0]) <= len(matrix) * torch.finfo(matrix.dtype).eps * float(values[-1]):
        raise ValueError(
            f"matrix: its lowest eigenvalue is {float(values[0]):.3g}; a positive definite matrix is accepted"
        )
    return AffineMap((vectors * values.rsqrt()) @ vectors.T, centre, "whitening")

"""(B + λI)⁻¹g for every λ at once: from one eigendecomposition of B, or from one Krylov space of B and g."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ngexplorer.analysis.planes import Array
from ngexplorer.curvature import Curvature
from ngexplorer.curvature.exactness import LARGEST_BY_PRODUCTS

_FIRST, _MOST = 16, 256
"""Dimensions of the first Krylov space and of the largest."""
_AT_ONCE_SMALL = 300
"""Up to so many parameters the eigendecomposition itself is a moment's work."""
_LARGEST_EXACT = 1500
"""Up to so many it takes half a second, in which nothing can stop it."""


@dataclass(frozen=True)
class Shifted:
    """δ(λ) = −V(Θ + λ)⁻¹c, which solves (B + λI)δ = −g, exactly or in a Krylov space, for all λ > `floor`.

    values: Θ, ascending, (m,): the eigenvalues of B, or their Ritz approximations. inside: c = Vᵀg, (m,). vectors: V,
    (P, m), orthonormal, VᵀBV = Θ. tail: what the m-th residual has of each, (m,); zero where this is exact.
    Everything about the path follows from Θ and c: ‖δ‖² = Σ c²/(θ + λ)², gᵀδ = −Σ c²/(θ + λ),
    δᵀBδ = Σ θc²/(θ + λ)².
    """

    values: Array
    inside: Array
    vectors: Tensor
    tail: Array
    exact: bool

    @property
    def floor(self) -> float:
        """max(0, −λmin): at or below it M + ½λ‖δ‖² has no minimum. Of a Krylov space λmin is a bound from above."""
        return max(0.0, -float(self.values[0]))

    @property
    def scale(self) -> float:
        """The largest |eigenvalue|."""
        return float(np.abs(self.values).max())

    def shares(self, dampings: Array) -> Array:
        """Coordinates of δ(λ) in V, (L, m). Raises ValueError for a λ at or below the floor, but λ = 0 of a positive
        definite matrix."""
        dampings = np.atleast_1d(np.asarray(dampings, dtype=np.float64))
        bottom = self.values + dampings[:, None]
        if not (bottom > 0).all():
            raise ValueError(f"dampings: {dampings.min():g} among them; λ > {self.floor:g} is accepted")
        return -self.inside / bottom

    def steps(self, dampings: Array) -> Tensor:
        """δ(λ) as rows, (L, P)."""
        return torch.as_tensor(self.shares(dampings)).to(self.vectors) @ self.vectors.T

    def norms(self, dampings: Array) -> Array:
        """‖δ(λ)‖, (L,), which falls strictly in λ."""
        return np.linalg.norm(self.shares(dampings), axis=1)

    def promises(self, dampings: Array) -> Array:
        """M(δ(λ)) − M(0) = gᵀδ + ½δᵀBδ without the damping, (L,)."""
        shares = self.shares(dampings)
        return shares @ self.inside + 0.5 * np.square(shares) @ self.values

    def damped_promises(self, dampings: Array) -> Array:
        """The same with ½λ‖δ‖² in it, which is ½gᵀδ, (L,)."""
        return 0.5 * self.shares(dampings) @ self.inside

    def residuals(self, dampings: Array) -> Array:
        """‖(B + λI)δ + g‖ / ‖g‖, (L,)."""
        return np.abs(self.shares(dampings) @ self.tail) / np.linalg.norm(self.inside)

    def project(self, axes: Array, dampings: Array) -> Array:
        """δ(λ) along the axes (K, P) of a plane, (L, K), without any δ in full."""
        seen = torch.as_tensor(axes).to(self.vectors) @ self.vectors
        return self.shares(dampings) @ seen.double().cpu().numpy().T


def shifted(matrix: Curvature, gradient: Tensor, least: float = 1e-6) -> Iterator[Shifted]:
    """The solutions of (B + λI)δ = −g (P,), coarse ones first.

    A Krylov space of few products first; then, where P is small enough for it, the one exact eigendecomposition; else
    larger and larger Krylov spaces, until the residual at λ = floor + `least`·|λ|max is below √ε of ‖g‖ or 256 products
    are made. Watched by the matrix's point. Raises ValueError where the gradient is zero, and Cancelled.
    """
    size, objective = len(gradient), matrix.objective
    if not float(torch.linalg.vector_norm(gradient)) > 0:
        raise ValueError("gradient: it is zero; no path leads from here")
    small = size <= (_LARGEST_EXACT if objective.structured else LARGEST_BY_PRODUCTS)
    tolerance = torch.finfo(gradient.dtype).eps ** 0.5
    if size > _AT_ONCE_SMALL or not small:
        krylov = _Krylov(matrix, gradient)
        dimension = min(_FIRST, size)
        while True:
            found = krylov.reach(dimension)
            yield found
            if small:
                break
            smallest = found.floor + least * found.scale
            if krylov.complete or float(found.residuals(np.array([smallest]))[0]) <= tolerance or dimension >= _MOST:
                return
            dimension = min(2 * dimension, size, _MOST)
    matrix.point.watch.check()
    values, vectors = matrix.eigenpairs()
    inside = (vectors.T @ gradient).double().cpu().numpy()
    yield Shifted(values.double().cpu().numpy(), inside, vectors, np.zeros(size), exact=True)


class _Krylov:
    """Lanczos from the gradient, with full reorthogonalization; grows on demand."""

    def __init__(self, matrix: Curvature, gradient: Tensor) -> None:
        self.matrix = matrix
        self.length = float(torch.linalg.vector_norm(gradient))
        self.basis = [gradient / self.length]
        self.diagonal: list[float] = []
        self.beside: list[float] = []
        self.complete = False
        """Whether the space holds B times itself, so that nothing is left out"""

    def reach(self, dimension: int) -> Shifted:
        """The solutions in the space of that dimension."""
        watch = self.matrix.point.watch
        with watch.telling() as tell:
            while len(self.diagonal) < dimension and not self.complete:
                watch.check()
                self._advance()
                tell(len(self.diagonal) / dimension)
        alpha, beta = np.array(self.diagonal), np.array(self.beside)
        values, turned = np.linalg.eigh(np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1))
        basis = torch.stack(self.basis[: len(alpha)], 1)
        tail = (0.0 if self.complete else beta[-1]) * turned[-1]
        return Shifted(
            values, self.length * turned[0], basis @ torch.as_tensor(turned).to(basis), tail, exact=self.complete
        )

    def _advance(self) -> None:
        q = self.basis[len(self.diagonal)]
        w = self.matrix @ q
        scale = float(torch.linalg.vector_norm(w))
        self.diagonal.append(float(q.dot(w)))
        known = torch.stack(self.basis)
        for _ in range(2):  # twice is enough (Parlett 1980)
            w = w - (known @ w) @ known
        beta = float(torch.linalg.vector_norm(w))
        self.beside.append(beta)
        tiny = 100 * torch.finfo(w.dtype).eps
        if beta <= tiny * max(scale, abs(self.diagonal[0])) or len(self.basis) == len(w):
            self.complete = True
        else:
            self.basis.append(w / beta)

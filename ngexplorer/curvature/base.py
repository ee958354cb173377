"""What every curvature matrix B can do, from its product with a vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives import Objective, Point

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class IndefiniteError(ArithmeticError):
    """B + damping·I is not positive definite; `lowest_eigenvalue` is λmin of B, or a bound above it if not `exact`."""

    def __init__(self, matrix: str, damping: float, lowest_eigenvalue: float, exact: bool = True) -> None:
        relation = "is" if exact else "is at most"
        super().__init__(
            f"{matrix} + {damping:g}·I is not positive definite: its lowest eigenvalue {relation} "
            f"{lowest_eigenvalue:g}; damping above {max(0.0, -lowest_eigenvalue):g} is needed"
        )
        self.lowest_eigenvalue = lowest_eigenvalue


class Curvature:
    """A symmetric P × P matrix at one θ of an objective, a mean over cases, weight decay's ηI included.

    `theta` is a flat θ, (P,), or the Point already looked at. Nothing is computed before it is asked for. The dense
    matrix and its eigenvalues are kept with the point, so that solver, probe and record share them.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, objective: Objective, theta: Tensor | Point) -> None:
        self.objective = objective
        self.point = theta if isinstance(theta, Point) else objective.at(theta)

    def _matvec(self, v: Tensor) -> Tensor:
        """B v without weight decay."""
        raise NotImplementedError

    def _dense(self) -> Tensor:
        """B without weight decay."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, int]:
        return (self.objective.parameters, self.objective.parameters)

    def matvec(self, v: Tensor) -> Tensor:
        """B v, (P,) → (P,). Raises ValueError for another shape."""
        if v.shape != self.shape[:1]:
            raise ValueError(f"v: shape {tuple(v.shape)}; {self.title} takes {self.shape[:1]}")
        return self._matvec(v) + self.objective.weight_decay * v

    def matmat(self, vectors: Tensor) -> Tensor:
        """B V, (P, K) → (P, K)."""
        return torch.stack([self.matvec(v) for v in vectors.T], 1)

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.matvec(v) if v.ndim == 1 else self.matmat(v)

    def _kept(self, what: str, compute: Callable[[], Tensor]) -> Tensor:
        """What this kind of matrix has computed at this point. The point keeps tensors and not this object, which holds
        the point: freed at once and not when the garbage collector finds the cycle, for they are large."""
        key = (type(self), what)
        if key not in self.point.cache:
            self.point.cache[key] = compute()
        return self.point.cache[key]

    def dense(self) -> Tensor:
        """B as a matrix, (P, P); kept, so do not change it in place."""

        def compute() -> Tensor:
            matrix = self._dense()
            matrix.diagonal().add_(self.objective.weight_decay)
            return matrix

        return self._kept("dense", compute)

    def diagonal(self) -> Tensor:
        """The diagonal of B, (P,)."""
        return self.dense().diagonal()

    def trace(self) -> Tensor:
        """tr B, a scalar tensor."""
        return self.diagonal().sum()

    def eigenvalues(self) -> Tensor:
        """All eigenvalues of B, ascending, (P,), by a dense eigendecomposition."""
        return self._kept("eigenvalues", lambda: torch.linalg.eigvalsh(self.dense()))

    def cholesky(self, damping: float) -> Tensor | None:
        """L with L Lᵀ = B + damping·I, (P, P), or None where that is not numerically positive definite."""
        damped = self.dense().clone()
        damped.diagonal().add_(damping)
        self.point.count_flops(len(damped) ** 3 / 3)
        factor, info = torch.linalg.cholesky_ex(damped)
        return factor if int(info) == 0 and bool(torch.isfinite(factor[-1, -1])) else None

    def solve(self, b: Tensor, damping: float = 0.0) -> Tensor:
        """(B + damping·I)⁻¹ b, (P,) → (P,), by Cholesky; raises IndefiniteError, naming λmin, where there is none."""
        factor = self.cholesky(damping)
        if factor is None:
            raise IndefiniteError(self.title, damping, float(self.eigenvalues()[0]))
        return torch.cholesky_solve(b[:, None], factor)[:, 0]

    def as_scipy(self) -> LinearOperator:
        """B as a scipy.sparse.linalg.LinearOperator over NumPy vectors."""
        from scipy.sparse.linalg import LinearOperator

        like = self.point.theta

        def product(v: object) -> object:
            return self.matvec(torch.as_tensor(v).reshape(-1).to(like)).cpu().numpy()

        dtype = str(like.dtype).removeprefix("torch.")
        return LinearOperator(self.shape, matvec=product, rmatvec=product, dtype=dtype)

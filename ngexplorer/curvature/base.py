"""What every curvature matrix B can do, from its product with a vector."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ClassVar

import psutil
import torch
from torch import Tensor

from ngexplorer.curvature import lanczos
from ngexplorer.objectives import Objective, Point

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

LARGEST_FACTORIZED = 2500
"""Up to so many parameters `solve` factorizes the dense matrix; above, it goes by products."""

_AT_ONCE = 16
"""So many products go through the model at once where many are needed."""


class IndefiniteError(ArithmeticError):
    """B + damping·I is not positive definite; `lowest_eigenvalue` is λmin of B, or a bound above it if not `exact`."""

    def __init__(self, matrix: str, damping: float, lowest_eigenvalue: float, exact: bool = True) -> None:
        relation = "is" if exact else "is at most"
        super().__init__(
            f"{matrix} + {damping:g}·I is not positive definite: its lowest eigenvalue {relation} "
            f"{lowest_eigenvalue:g}; damping above {max(0.0, -lowest_eigenvalue):g} is needed"
        )
        self.lowest_eigenvalue = lowest_eigenvalue


class TooLargeError(MemoryError):
    """A dense matrix does not fit into memory."""


def lost_in_rounding(factor: Tensor) -> Tensor:
    """Whether a pivot of a Cholesky factor is rounding beside the largest, at most n units of its last place: a
    singular matrix may have a factor by chance, and what is solved with it is rounding then. A scalar tensor."""
    pivots = factor.diagonal().square()
    return pivots.min() <= len(pivots) * torch.finfo(factor.dtype).eps * pivots.max()


class Curvature:
    """A symmetric P × P matrix at one θ of an objective, a mean over cases, weight decay's ηI included.

    `theta` is a flat θ, (P,), or the Point already looked at. Nothing is computed before it is asked for. The dense
    matrix and its eigenvalues are kept with the point, so that solver, probe and record share them. Long work is
    watched by the point: it raises Cancelled where `point.watch` says so, and reports its progress there.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    second_order: ClassVar[bool] = False
    """Whether it has the model's own second derivatives in it, as the Hessian has."""

    def __init__(self, objective: Objective, theta: Tensor | Point) -> None:
        self.objective = objective
        self.point = theta if isinstance(theta, Point) else objective.at(theta)

    def _product(self, vectors: Tensor) -> Tensor:
        """B v or B V without weight decay, (P,) → (P,), (P, K) → (P, K)."""
        raise NotImplementedError

    def _dense(self) -> Tensor:
        """B without weight decay."""
        raise NotImplementedError

    @property
    def _key(self) -> Hashable:
        """What tells this matrix apart from the others at its point."""
        return (type(self),)

    @property
    def shape(self) -> tuple[int, int]:
        size = self.objective.parameters
        return (size, size)

    def matvec(self, v: Tensor) -> Tensor:
        """B v, (P,) → (P,). Raises ValueError for another shape."""
        if v.shape != self.shape[:1]:
            raise ValueError(f"v: shape {tuple(v.shape)}; {self.title} takes {self.shape[:1]}")
        return self._with_penalty(v)

    def matmat(self, vectors: Tensor) -> Tensor:
        """B V, (P, K) → (P, K). Raises ValueError for another shape."""
        if vectors.ndim != 2 or vectors.shape[0] != self.shape[0]:
            raise ValueError(f"vectors: shape {tuple(vectors.shape)}; {self.title} takes ({self.shape[0]}, K)")
        return self._with_penalty(vectors)

    def _with_penalty(self, vectors: Tensor) -> Tensor:
        product, penalty = self._product(vectors), self._penalty(vectors)
        return product + penalty if isinstance(penalty, Tensor) else product

    def _penalty(self, vectors: Tensor) -> Tensor | float:
        return self.objective.penalty_product(self.point.theta, vectors, self.second_order)

    def __matmul__(self, v: Tensor) -> Tensor:
        return self.matvec(v) if v.ndim == 1 else self.matmat(v)

    def inner(self, vectors: Tensor) -> Tensor:
        """VᵀBV, (P, K) → (K, K), for the price that this kind of matrix has for it. Raises ValueError as `matmat`."""
        return vectors.T @ self.matmat(vectors)

    def _kept(self, what: str, compute: Callable[[], Any]) -> Any:
        """What this kind of matrix has computed at this point. The point keeps tensors and not this object, which holds
        the point: freed at once and not when the garbage collector finds the cycle, for they are large."""
        key = (self._key, what)
        if key not in self.point.cache:
            self.point.cache[key] = compute()
        return self.point.cache[key]

    def dense(self) -> Tensor:
        """B as a matrix, (P, P); kept, so do not change it in place. Raises TooLargeError, before anything is computed,
        where it does not fit into half of the free memory."""

        def compute() -> Tensor:
            self._require_room()
            matrix = self._dense()
            self.objective.add_penalty(self.point.theta, matrix, self.second_order)
            return matrix

        found: Tensor = self._kept("dense", compute)
        return found

    def _require_room(self) -> None:
        size, device = self.shape[0], self.point.theta.device
        needed = size * size * self.point.theta.element_size()
        if needed < 2**20:  # asking what is free takes longer than such a matrix
            return
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
        if needed > free / 2:
            raise TooLargeError(
                f"{self.title}: as a dense matrix of {size:,} × {size:,} it takes {needed / 2**30:,.1f} GB, more than "
                f"half of the {free / 2**30:,.1f} GB that are free; use products (B @ v), top_eigenpairs, "
                "spectral_density or solve instead"
            )

    def diagonal(self) -> Tensor:
        """The diagonal of B, (P,)."""
        if (self._key, "dense") in self.point.cache or self.shape[0] <= LARGEST_FACTORIZED:
            return self.dense().diagonal()
        found: Tensor = self._kept("diagonal", self._diagonal)
        return found

    def _diagonal(self) -> Tensor:
        """The diagonal, weight decay included, without the dense matrix: by P products, some at a time."""
        size, like = self.shape[0], self.point.theta
        result = torch.empty_like(like)
        for start in self.point.watch.over(range(0, size, _AT_ONCE)):
            stop = min(start + _AT_ONCE, size)
            some = torch.zeros(size, stop - start, dtype=like.dtype, device=like.device)
            some[start:stop].fill_diagonal_(1)
            result[start:stop] = self.matmat(some)[start:stop].diagonal()
        return result

    def block(self, rows: slice) -> Tensor:
        """The diagonal block at those rows, (n, n): cut from the dense matrix where there is one or it is small, else
        by products with the block's own columns."""
        if (self._key, "dense") in self.point.cache or self.shape[0] <= LARGEST_FACTORIZED:
            return self.dense()[rows, rows]
        size, like = rows.stop - rows.start, self.point.theta
        columns = []
        for start in range(0, size, _AT_ONCE):
            stop = min(start + _AT_ONCE, size)
            some = torch.zeros(self.shape[0], stop - start, dtype=like.dtype, device=like.device)
            some[rows.start + start : rows.start + stop].fill_diagonal_(1)
            columns.append(self.matmat(some)[rows])
        return torch.cat(columns, 1)

    def trace(self, probes: int | None = None, seed: int = 0) -> Tensor:
        """tr B, a scalar tensor: exact, or with `probes` random signs v the mean of vᵀBv (Hutchinson 1989), whose
        variance is 2 Σ_{i≠j} B_ij² / probes."""
        if probes is None:
            return self.diagonal().sum()
        if probes < 1:
            raise ValueError(f"probes: {probes}; a whole number ≥ 1, or None for the exact trace, is accepted")
        signs = lanczos.random_signs(self.shape[0], probes, seed, self.point.theta)
        total = torch.zeros_like(self.point.value)
        for start in self.point.watch.over(range(0, probes, _AT_ONCE)):
            some = signs[:, start : start + _AT_ONCE]
            total = total + (some * self.matmat(some)).sum()
        return total / probes

    def eigenvalues(self) -> Tensor:
        """All eigenvalues of B, ascending, (P,), by a dense eigendecomposition. Raises TooLargeError."""
        if (self._key, "eigenpairs") in self.point.cache:
            return self.eigenpairs()[0]
        found: Tensor = self._kept("eigenvalues", lambda: torch.linalg.eigvalsh(self.dense()))
        return found

    def eigenpairs(self) -> tuple[Tensor, Tensor]:
        """All eigenvalues, ascending, (P,), and their orthonormal eigenvectors as columns, (P, P); kept. Raises
        TooLargeError."""

        def compute() -> tuple[Tensor, Tensor]:
            self.point.count_flops(9.0 * self.shape[0] ** 3)
            values, vectors = torch.linalg.eigh(self.dense())
            return values, vectors

        found: tuple[Tensor, Tensor] = self._kept("eigenpairs", compute)
        return found

    def top_eigenpairs(
        self,
        k: int,
        which: lanczos.Which = "magnitude",
        tolerance: float = 1e-3,
        seed: int = 0,
        iterations: int | None = None,
    ) -> lanczos.Eigenpairs:
        """k eigenpairs, signed: of largest magnitude, or the largest or smallest, by Lanczos with full
        reorthogonalization, until ‖Bv − λv‖ ≤ tolerance·|λ| for each; see `lanczos.top_eigenpairs`."""
        return lanczos.top_eigenpairs(
            self.matvec,
            self.point.theta,
            k,
            which=which,
            tolerance=tolerance,
            seed=seed,
            iterations=iterations,
            watch=self.point.watch,
        )

    def spectral_density(self, probes: int = 5, steps: int = 30, seed: int = 0) -> lanczos.SpectralDensity:
        """The density of all eigenvalues by stochastic Lanczos quadrature; see `lanczos.spectral_density`."""
        return lanczos.spectral_density(self.matmat, self.point.theta, probes, steps, seed, self.point.watch)

    def cholesky(self, damping: float) -> tuple[Tensor, Tensor]:
        """L with L Lᵀ = B + damping·I, (P, P), and a scalar int32 tensor that is 0 where there is one: what is not
        numerically positive definite has none. Nothing is read from the device."""
        damped = self.dense()
        if damping:
            damped = damped.clone()
            damped.diagonal().add_(damping)
        self.point.count_flops(len(damped) ** 3 / 3)
        factor, info = torch.linalg.cholesky_ex(damped)
        return factor, info

    def indefinite(self, damping: float) -> IndefiniteError:
        """What to raise where B + damping·I turned out not to be positive definite; computes λmin."""
        return IndefiniteError(self.title, damping, float(self.eigenvalues()[0]))

    def solve(self, b: Tensor, damping: float = 0.0) -> Tensor:
        """(B + damping·I)⁻¹ b, (P,) → (P,): by Cholesky up to 2,500 parameters, by conjugate gradient above.

        Raises IndefiniteError, naming λmin or a bound, where the damped matrix is not positive definite, and
        ArithmeticError where conjugate gradient does not converge.
        """
        self._check(b)
        if self.shape[0] > LARGEST_FACTORIZED:
            return self._solve_by_products(b, damping)
        factor, info = self.cholesky(damping)
        if int(info):
            raise self.indefinite(damping)
        return torch.cholesky_solve(b[:, None], factor)[:, 0]

    def _check(self, b: Tensor) -> None:
        if b.shape != self.shape[:1]:
            raise ValueError(f"b: shape {tuple(b.shape)}; {self.title} takes {self.shape[:1]}")

    def _solve_by_products(self, b: Tensor, damping: float) -> Tensor:
        """Conjugate gradient (Hestenes and Stiefel 1952) until the residual is √ε of ‖b‖."""
        x, residual, search = torch.zeros_like(b), b.clone(), b.clone()
        square = residual.dot(residual)
        goal = float(square) * torch.finfo(b.dtype).eps
        limit = min(self.shape[0], 2000)
        with self.point.watch.telling() as tell:
            for iteration in range(limit):
                if float(square) <= goal:
                    break
                self.point.watch.check()
                product = self.matvec(search) + damping * search
                bend = search.dot(product)
                if not float(bend) > 0:
                    lowest = float(bend / search.dot(search)) - damping
                    raise IndefiniteError(self.title, damping, lowest, exact=False)
                rate = square / bend
                x = x + rate * search
                residual = residual - rate * product
                before, square = square, residual.dot(residual)
                search = residual + square / before * search
                tell(iteration / limit)
            tell(1.0)
        if float(square) <= goal:
            return x
        raise ArithmeticError(
            f"{self.title}: conjugate gradient left a residual of {float(square / b.dot(b)) ** 0.5:.1g} of ‖b‖ after "
            f"{limit} iterations; more damping than {damping:g} makes it converge"
        )

    def solve_gradient(self, damping: float) -> Tensor:
        """(B + damping·I)⁻¹ ∇h, (P,): what a step is made of, by the cheapest way there is for the gradient."""
        return self.solve(self.point.gradient, damping)

    def as_scipy(self) -> LinearOperator:
        """B as a scipy.sparse.linalg.LinearOperator over NumPy vectors."""
        from scipy.sparse.linalg import LinearOperator

        like = self.point.theta

        def product(v: Any) -> Any:
            return self.matvec(torch.as_tensor(v, device="cpu").reshape(-1).to(like)).cpu().numpy()

        def products(vectors: Any) -> Any:
            return self.matmat(torch.as_tensor(vectors, device="cpu").to(like)).cpu().numpy()

        dtype = str(like.dtype).removeprefix("torch.")
        return LinearOperator(
            self.shape, matvec=product, rmatvec=product, matmat=products, rmatmat=products, dtype=dtype
        )

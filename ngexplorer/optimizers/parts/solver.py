"""Solver: how (B + λI) d = −g is solved."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ngexplorer.optimizers.parts.base import Part


class Auto(Part, frozen=True, kw_only=True, tag="auto"):
    """The cheapest that is exact: Cholesky for small dense matrices, else sample space where the batch is small, else
    conjugate gradient; what a matrix brings along (Kronecker factors, a diagonal) where it has that."""

    title: ClassVar[str] = "Automatic"
    largest_dense: ClassVar[int] = 2500
    largest_by_products: ClassVar[int] = 300


class Cholesky(Part, frozen=True, kw_only=True, tag="cholesky"):
    """The dense matrix, factorized."""

    title: ClassVar[str] = "Cholesky"


class SampleSpace(Part, frozen=True, kw_only=True, tag="sample-space"):
    """In the space of cases times outputs, where that is smaller than θ: exact, and J is not formed for Linear layers.
    Only for the gradient itself, a positive damping and a Fisher or Gauss-Newton matrix whose range it lies in."""

    title: ClassVar[str] = "Sample space"


class ConjugateGradient(Part, frozen=True, kw_only=True, tag="conjugate-gradient"):
    """Products with B alone (Hestenes and Stiefel 1952), until the residual is small enough, or as Hessian-free
    optimization does (Martens 2010): until the quadratic model stops falling."""

    title: ClassVar[str] = "Conjugate gradient"

    stop: Annotated[
        Literal["residual", "forcing", "progress"],
        Meta(
            description="residual: ‖(B + λI)d + g‖ ≤ tolerance · ‖g‖. forcing: ≤ min(tolerance, √‖g‖) · ‖g‖, closer as "
            "the gradient falls (Dembo, Eisenstat and Steihaug 1982). progress: the model fell by less than tolerance "
            "for each of the last max(10, i/10) iterations"
        ),
    ] = "residual"
    tolerance: Annotated[float, Meta(ge=1e-15, lt=1, description="How little is enough to stop")] = 1e-4
    iterations: Annotated[int, Meta(ge=1, le=100_000, description="Stop after so many at the latest")] = 250
    warm_start: Annotated[float, Meta(ge=0, le=1, description="Start at this share of the last direction")] = 0.0
    preconditioned: Annotated[
        bool, Meta(title="Precondition", description="By (diag F̄ + λ)^¾, F̄ the empirical Fisher (Martens 2010)")
    ] = False
    backtrack: Annotated[
        bool, Meta(description="Of snapshots along the way, take the last that beats the one after it in loss")
    ] = False


class Eigendecomposition(Part, frozen=True, kw_only=True, tag="eigendecomposition"):
    """By all eigenpairs of B: they may be inverted as they are, by their size, or but for those that are zero."""

    title: ClassVar[str] = "Eigendecomposition"

    eigenvalues: Annotated[
        Literal["signed", "absolute", "pseudo"],
        Meta(
            description="signed: Q(Λ + λ)⁻¹Qᵀ, where that is positive definite. absolute: Q(|Λ| + λ)⁻¹Qᵀ, saddle-free "
            "(Dauphin et al. 2014). pseudo: eigenvalues below 1e-10 of the largest are left out, the minimum norm"
        ),
    ] = "signed"


Solver = Auto | Cholesky | SampleSpace | ConjugateGradient | Eigendecomposition

"""Eigenvalues from products alone: the extreme ones by Lanczos, the density of all by stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ngexplorer.cancellation import Watch

Matvec = Callable[[Tensor], Tensor]

_BETWEEN_LOOKS = 5
"""So many products are made between two looks at what has converged: each look waits for the device."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues with their signs, most wanted first, and how far they are from being exact.

    values: (k,), float64. vectors: (P, k), orthonormal. residuals: ‖Bv − λv‖ of each, (k,). converged: whether each
    residual is within the tolerance. products: how many products it took.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: bool
    products: int


@dataclass(frozen=True)
class SpectralDensity:
    """The density of eigenvalues φ(t) = (1/P) Σ δ(t − λ_i) as weighted points: `nodes` (probes, steps) with `weights`
    (probes, steps), which sum to 1 for each probe. A probe that broke down early has nodes of weight 0 at its end."""

    nodes: Tensor
    weights: Tensor

    def smoothed(self, grid: Tensor, width: float) -> Tensor:
        """The mean density over the probes at the points of a grid (T,), each node a Gaussian of that width."""
        distance = (grid[:, None] - self.nodes.reshape(1, -1)) / width
        kernel = torch.exp(-0.5 * distance * distance) / (width * (2 * torch.pi) ** 0.5)
        return kernel @ self.weights.reshape(-1) / len(self.nodes)

    def moment(self, power: int) -> Tensor:
        """The estimate of tr(B^power) / P, a scalar; exact in expectation for power < 2·steps."""
        return (self.weights * self.nodes**power).sum(1).mean()


def random_signs(size: int, columns: int, seed: int, like: Tensor) -> Tensor:
    """Independent ±1, (size, columns), drawn on the CPU so that they are the same on every device."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    bits = torch.randint(0, 2, (columns, size), generator=generator, device="cpu", dtype=torch.int8)
    return (2 * bits - 1).T.to(like)


def top_eigenpairs(
    matvec: Matvec,
    like: Tensor,
    k: int,
    *,
    which: Literal["magnitude", "largest", "smallest"],
    tolerance: float,
    seed: int,
    iterations: int | None,
    watch: Watch,
) -> Eigenpairs:
    """Lanczos with full reorthogonalization from a random start (Lanczos 1950; Paige 1972).

    like: a (P,) tensor of the dtype and device to work in. iterations: the most products (None: 20k + 100, at most P).
    An invariant subspace (β ≈ 0) is left by a new random direction orthogonal to it, so that repeated eigenvalues are
    found as often as they stand. Raises ValueError for k < 1 or k > P or an unknown `which`, Cancelled where the watch
    says so.
    """
    size = len(like)
    if not 1 <= k <= size:
        raise ValueError(f"k: {k}; a whole number from 1 to {size} is accepted")
    if which not in ("magnitude", "largest", "smallest"):
        raise ValueError(f"which: {which!r}; one of magnitude, largest, smallest is accepted")
    limit = min(size, iterations if iterations is not None else 20 * k + 100)
    limit = max(limit, k)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    basis = torch.empty(min(limit, 64), size, dtype=like.dtype, device=like.device)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    q = _orthogonal_start(basis[:0], like, generator)
    scale = torch.zeros((), dtype=like.dtype, device=like.device)
    tiny = torch.finfo(like.dtype).eps * 10
    for j in range(limit):
        watch.check()
        if j == len(basis):
            basis = torch.cat(
                (basis, torch.empty(min(len(basis), limit - j), size, dtype=like.dtype, device=like.device))
            )
        basis[j] = q
        known = basis[: j + 1]
        w = matvec(q)
        scale = torch.maximum(scale, torch.linalg.vector_norm(w))
        diagonal.append(q.dot(w))
        for _ in range(2):  # twice is enough (Parlett 1980)
            w = w - (known @ w) @ known
        beta = torch.linalg.vector_norm(w)
        beside.append(beta)
        last = j + 1 == limit
        if j + 1 >= k and ((j + 1) % _BETWEEN_LOOKS == 0 or last):
            values, vectors, errors = _ritz(diagonal, beside, which, k)
            wanted = values.abs().clamp_min(float(scale) * tiny)
            watch.progress(min(1.0, int((errors <= tolerance * wanted).sum()) / k))
            # A complete basis leaves no residual.
            if bool((errors <= tolerance * wanted).all()) or last:
                break
        if float(beta) <= float(scale) * tiny:
            beside[-1] = torch.zeros_like(beta)
            q = _orthogonal_start(known, like, generator)
        else:
            q = w / beta
    found = (vectors.to(like).T @ basis[: len(diagonal)]).T
    converged = bool((errors <= tolerance * wanted).all())
    return Eigenpairs(values, found, errors, converged, len(diagonal))


def _orthogonal_start(known: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """A random unit vector orthogonal to the rows of `known`."""
    q = torch.randn(len(like), generator=generator, dtype=torch.float64, device="cpu").to(like)
    for _ in range(2):
        q = q - (known @ q) @ known
        q = q / torch.linalg.vector_norm(q)
    return q


def _ritz(
    diagonal: list[Tensor], beside: list[Tensor], which: Literal["magnitude", "largest", "smallest"], k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The k most wanted eigenpairs of the tridiagonal matrix, float64 on the CPU, and their residuals β|s_last|."""
    alpha = torch.stack(diagonal).double().cpu()
    beta = torch.stack(beside).double().cpu()
    matrix = torch.diag(alpha) + torch.diag(beta[:-1], 1) + torch.diag(beta[:-1], -1)
    values, vectors = torch.linalg.eigh(matrix)
    key = {"magnitude": values.abs(), "largest": values, "smallest": -values}[which]
    order = key.argsort(descending=True)[:k]
    return values[order], vectors[:, order], beta[-1] * vectors[-1, order].abs()


def spectral_density(matmat: Matvec, like: Tensor, probes: int, steps: int, seed: int, watch: Watch) -> SpectralDensity:
    """Stochastic Lanczos quadrature (Golub and Welsch 1969; Ubaru, Chen and Saad 2017): for each random probe v
    the Ritz values of `steps` Lanczos steps from it are nodes, their vectors' squared first components the weights.

    All probes go through the matrix at once. Raises ValueError for fewer than one probe or step, Cancelled.
    """
    size = len(like)
    if probes < 1 or steps < 1:
        raise ValueError(f"probes, steps: {probes}, {steps}; whole numbers ≥ 1 are accepted")
    steps = min(steps, size)
    q = random_signs(size, probes, seed, like).T.contiguous() / size**0.5
    basis = torch.zeros(probes, steps, size, dtype=like.dtype, device=like.device)
    alphas = torch.zeros(steps, probes, dtype=like.dtype, device=like.device)
    betas = torch.zeros(steps, probes, dtype=like.dtype, device=like.device)
    scale = torch.zeros(probes, dtype=like.dtype, device=like.device)
    tiny = torch.finfo(like.dtype).eps * 10
    for j in watch.over(range(steps)):
        basis[:, j] = q
        w = matmat(q.T).T
        scale = torch.maximum(scale, torch.linalg.vector_norm(w, dim=1))
        alphas[j] = (q * w).sum(1)
        # The three-term recurrence, then what rounding leaves along the earlier ones: with the recurrence taken off
        # first, once is enough.
        w = w - alphas[j, :, None] * q
        if j:
            w = w - betas[j - 1, :, None] * basis[:, j - 1]
        for probe in range(probes):  # a product with a matrix each reads the basis faster than a batched one
            known = basis[probe, : j + 1]
            w[probe] -= (known @ w[probe]) @ known
        beta = torch.linalg.vector_norm(w, dim=1)
        # A probe in an invariant subspace has said all it can: its later steps are zeros, and weigh nothing.
        going = beta > tiny * scale
        betas[j] = torch.where(going, beta, 0.0)
        q = torch.where(going[:, None], w / torch.where(going, beta, 1.0)[:, None], 0.0)
    alpha, beta = alphas.double().cpu().T, betas.double().cpu().T
    matrices = torch.diag_embed(alpha) + torch.diag_embed(beta[:, :-1], 1) + torch.diag_embed(beta[:, :-1], -1)
    nodes, vectors = torch.linalg.eigh(matrices)
    return SpectralDensity(nodes, vectors[:, 0].square())

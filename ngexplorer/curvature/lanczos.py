"""Eigenvalues from products alone: the extreme ones by Lanczos, the density of all by stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ngexplorer.cancellation import Progress, Watch, unseen

Matvec = Callable[[Tensor], Tensor]
Which = Literal["magnitude", "largest", "smallest"]

_BETWEEN_LOOKS = 5
"""So many products are made between two looks at what has converged: each look waits for the device."""
_GLANCE = 0.05
"""How exact an eigenvalue has to be, in shares of itself, to be left out because others are more wanted."""


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
    which: Which,
    tolerance: float,
    seed: int,
    iterations: int | None,
    watch: Watch,
) -> Eigenpairs:
    """Lanczos with full reorthogonalization from a random start (Lanczos 1950; Paige 1972).

    like: a (P,) tensor of the dtype and device to work in. iterations: the most products (None: 60k + 200).
    From one start an eigenvalue that stands several times is found once. So once k have converged, another start,
    orthogonal to all of them, looks for more that belong among them, until the first that does not has converged too;
    and so on until there is none. About as many products again are the price where all stand once.
    Raises ValueError for k < 1 or k > P, Cancelled where the watch says so.
    """
    size = len(like)
    if not 1 <= k <= size:
        raise ValueError(f"k: {k}; a whole number from 1 to {size} is accepted")
    if which not in get_args(Which):
        raise ValueError(f"which: {which!r}; one of {', '.join(get_args(Which))} is accepted")
    left = max(iterations if iterations is not None else 60 * k + 200, k)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    with watch.telling() as tell:
        search = _Lanczos(matvec, like, which, tolerance, generator, watch.check)
        found = search.pairs(like.new_zeros(0, size), k, left, tell)
        complete = search.products == size  # the basis is: nothing was missed
        settled = bool(found.converged.all())
        while settled and not complete and len(found.values) < size:
            settled = search.products < left
            if not settled:
                break
            least = float(search.key(found.values[-1]) + tolerance * found.values[-1].abs())
            more = search.pairs(found.vectors, min(k, size - k), left - search.products, least=least)
            wanted = bool((search.key(more.values) > least).any())
            found = search.best(found, more, k)
            settled = bool(more.converged.all())
            complete = not wanted
        tell(1.0)
    return Eigenpairs(
        found.values, found.vectors.T, found.residuals, settled and bool(found.converged.all()), search.products
    )


@dataclass(frozen=True)
class _Pairs:
    """Eigenvalues, most wanted first, with vectors as rows, residuals, and whether each is within the tolerance."""

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: Tensor


class _Lanczos:
    """Lanczos runs on one matrix, and how many products they took."""

    def __init__(
        self,
        matvec: Matvec,
        like: Tensor,
        which: Which,
        tolerance: float,
        generator: torch.Generator,
        check: Callable[[], None],
    ) -> None:
        self.matvec, self.like, self.which, self.tolerance = matvec, like, which, tolerance
        self.generator, self.check = generator, check
        self.products = 0
        self._scale = torch.zeros((), dtype=like.dtype, device=like.device)

    def key(self, values: Tensor) -> Tensor:
        """How much each eigenvalue is wanted."""
        return {"magnitude": values.abs(), "largest": values, "smallest": -values}[self.which]

    def best(self, one: _Pairs, other: _Pairs, k: int) -> _Pairs:
        """The k most wanted of both."""
        values = torch.cat((one.values, other.values))
        order = self.key(values).argsort(descending=True)[:k]
        vectors = torch.cat((one.vectors, other.vectors))[order.to(one.vectors.device)]
        residuals = torch.cat((one.residuals, other.residuals))
        converged = torch.cat((one.converged, other.converged))
        return _Pairs(values[order], vectors, residuals[order], converged[order])

    def pairs(self, locked: Tensor, k: int, limit: int, tell: Progress = unseen, least: float = -torch.inf) -> _Pairs:
        """The k most wanted in the complement of the rows of `locked`, by at most so many products; fewer where they
        are not wanted by more than `least`: those that are, and the first that is not."""
        like, size = self.like, len(self.like)
        first = least == -torch.inf
        limit = max(min(limit, size - len(locked)), k if first else 1)
        basis = torch.empty(min(limit, 64), size, dtype=like.dtype, device=like.device)
        diagonal: list[Tensor] = []
        beside: list[Tensor] = []
        along: list[Tensor] = []
        q = self._start(locked, basis[:0])
        tiny, told = torch.finfo(like.dtype).eps * 10, 0.0
        for j in range(limit):
            self.check()
            if j == len(basis):
                room = torch.empty(min(len(basis), limit - j), size, dtype=like.dtype, device=like.device)
                basis = torch.cat((basis, room))
            basis[j] = q
            known = basis[: j + 1]
            w = self.matvec(q)
            self.products += 1
            self._scale = torch.maximum(self._scale, torch.linalg.vector_norm(w))
            diagonal.append(q.dot(w))
            along.append(locked @ w)
            # The three-term recurrence, then what rounding leaves along the others: once is enough after that.
            w = w - diagonal[-1] * q
            if j:
                w = w - beside[-1] * basis[j - 1]
            w = w - (known @ w) @ known
            if len(locked):
                w = w - (locked @ w) @ locked
            beta = torch.linalg.vector_norm(w)
            beside.append(beta)
            last = j + 1 == limit
            if (j + 1 >= k or not first) and ((j + 1) % _BETWEEN_LOOKS == 0 or last):
                values, vectors, errors = self._ritz(diagonal, beside, k)
                if not first:
                    some = int((self.key(values) > least).sum()) + 1
                    values, vectors, errors = values[:some], vectors[:, :some], errors[:some]
                within = torch.full_like(values, self.tolerance)
                if not first:  # of the first that is not wanted no more is asked than that it is not
                    within[-1] = max(self.tolerance, _GLANCE)
                converged = errors <= within * values.abs().clamp_min(float(self._scale) * tiny)
                told = max(told, int(converged.sum()) / k)
                tell(told)
                if last or bool(converged.all()):
                    break
            if float(beta) <= float(self._scale) * tiny:  # an invariant subspace: on from a new direction
                beside[-1] = torch.zeros_like(beta)
                q = self._start(locked, known)
            else:
                q = w / beta
        # What B makes of them along `locked` is no larger than the residuals there, and part of their own.
        coupled = torch.linalg.vector_norm(torch.stack(along).double().cpu().T @ vectors, dim=0)
        return _Pairs(values, vectors.to(like).T @ basis[: len(diagonal)], torch.hypot(errors, coupled), converged)

    def _start(self, locked: Tensor, known: Tensor) -> Tensor:
        """A random unit vector orthogonal to the rows of both."""
        q = torch.randn(len(self.like), generator=self.generator, dtype=torch.float64, device="cpu").to(self.like)
        for _ in range(2):
            q = q - (known @ q) @ known
            q = q - (locked @ q) @ locked
            q = q / torch.linalg.vector_norm(q)
        return q

    def _ritz(self, diagonal: list[Tensor], beside: list[Tensor], k: int) -> tuple[Tensor, Tensor, Tensor]:
        """The k most wanted eigenpairs of the tridiagonal matrix, float64 on the CPU, and their residuals β|s_last|."""
        alpha = torch.stack(diagonal).double().cpu()
        beta = torch.stack(beside).double().cpu()
        matrix = torch.diag(alpha) + torch.diag(beta[:-1], 1) + torch.diag(beta[:-1], -1)
        values, vectors = torch.linalg.eigh(matrix)
        order = self.key(values).argsort(descending=True)[:k]
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

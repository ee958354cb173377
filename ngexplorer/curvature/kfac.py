"""K-FAC: the Fisher's layer blocks as Kronecker products (Martens and Grosse 2015; Grosse and Martens 2016)."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ngexplorer.curvature.base import Curvature, IndefiniteError
from ngexplorer.curvature.layers import gram
from ngexplorer.curvature.scores import require_density, sampled_scores
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.networks import Statistics
from ngexplorer.objectives.networks.base import Affine

Labels = Literal["sampled", "exact", "training"]
Sharing = Literal["expand", "reduce"]
Tikhonov = Literal["factored", "exact"]


@dataclass(frozen=True)
class Factors:
    """One layer's A = E[āāᵀ], (inputs + 1, inputs + 1) with its bias, and G = E[ggᵀ], (outputs, outputs)."""

    layer: Affine
    a: Tensor
    g: Tensor


@dataclass(frozen=True)
class Inverse:
    """One layer's damped factors inverted: of G + γ/π I and of A + πγ I."""

    layer: Affine
    left: Tensor
    right: Tensor


class KFAC(Curvature):
    """F ≈ blockdiag(G_l ⊗ A_l) + ηI, in θ's order: the block of a weight (outputs, inputs) is row-major, its bias the
    last column of (W b).

    A = E[āāᵀ] of what enters the layer, ā = (a, 1), G = E[ggᵀ] of gradients with respect to its sums. labels: "sampled"
    from the model, one a case (Martens 2020, §6), the "exact" expectation over all of them, or "training".
    sharing: how the positions of a shared weight (a convolution's pixels) are put together: "expand" takes each as a
    case of its own, "reduce" averages ā and sums g over them first (Eschenhagen et al. 2023).
    tikhonov: `solve` damps the factors, A + πγI and G + γ/π I with γ² = damping + η and π² = (tr A/d_A)/(tr G/d_G)
    ("factored", the default), or solves with F + (damping)I as it is ("exact").

    Raises ValueError for a model with parameters elsewhere than in Linear and Conv2d layers, each used once, and for
    labels other than the training ones where the loss is not the negative log of a density.
    """

    name: ClassVar[str] = "kfac"
    title: ClassVar[str] = "K-FAC matrix"
    dampings: ClassVar[tuple[Tikhonov, ...]] = ("factored", "exact")
    """What `tikhonov` may be, the default first"""

    def __init__(
        self,
        objective: Objective,
        theta: Tensor | Point,
        labels: Labels = "sampled",
        seed: int = 0,
        *,
        sharing: Sharing = "expand",
        tikhonov: Tikhonov | None = None,
    ) -> None:
        tikhonov = tikhonov or self.dampings[0]
        for name, value, accepted in (
            ("labels", labels, ("sampled", "exact", "training")),
            ("sharing", sharing, ("expand", "reduce")),
            ("tikhonov", tikhonov, self.dampings),
        ):
            if value not in accepted:
                raise ValueError(f"{name}: {value!r}; one of {', '.join(accepted)} is accepted")
        refusal = self._refusal(objective)
        if refusal is not None:
            raise ValueError(f"{self.title}: {refusal}")
        if labels != "training":
            require_density(objective, self.title)
        if not objective.plain_penalty:
            raise ValueError(
                f"{self.title}: weight decay of other parameters than θ has no Kronecker form; 0 is accepted"
            )
        super().__init__(objective, theta)
        self.labels, self.seed, self.sharing, self.tikhonov = labels, seed, sharing, tikhonov
        self._given: list[Factors] | None = None
        self._token: object = None
        """Tells what is computed from given factors apart from all else that the point keeps"""

    @staticmethod
    def _refusal(objective: Objective) -> str | None:
        """Why a model has no such matrix; None: it has."""
        return objective.affine_refusal

    def with_factors(self, factors: list[Factors]) -> KFAC:
        """The same matrix with these factors, running averages say, in place of those estimated at the point."""
        changed = copy.copy(self)
        changed._given, changed._token = factors, object()
        return changed

    @property
    def _key(self) -> Hashable:
        return (type(self), self.labels, self.seed, self.sharing, self._token)

    def _scores(self) -> Tensor:
        """∂L/∂z for the labels that are averaged over, (N, K, C)."""
        if self.labels == "training":
            return self.point.output_gradient[:, None]
        if self.labels == "exact":
            return self.objective.loss.fisher_root(self.point.outputs).transpose(1, 2)
        return sampled_scores(self.point, 1, self.seed)

    @property
    def factors(self) -> list[Factors]:
        """A and G of every layer, in θ's order."""
        if self._given is not None:
            return self._given
        # What KFAC has computed serves EKFAC too.
        key = ("kronecker factors", self.labels, self.seed, self.sharing)
        if key not in self.point.cache:
            self.point.cache[key] = self._estimate()
        found: list[Factors] = self.point.cache[key]
        return found

    def _estimate(self) -> list[Factors]:
        cases = 0
        sums: list[tuple[Tensor, Tensor]] = []
        for chunk in self.point.statistics(self._scores()):
            parts = [self._sums(found) for found in chunk]
            sums = [(a + b, g + h) for (a, g), (b, h) in zip(sums, parts, strict=True)] if sums else parts
            layers = [found.layer for found in chunk]
            cases += len(chunk[0].entering)
        positions = [self._positions(found) for found in chunk]
        rows = len(self.point.outputs)
        return [
            Factors(layer, a / (cases * t), g / rows) for layer, (a, g), t in zip(layers, sums, positions, strict=True)
        ]

    def _positions(self, found: Statistics) -> int:
        """Over how many positions of a case ā is averaged as if each were a case."""
        return found.entering.shape[1] if self.sharing == "expand" else 1

    def _sums(self, found: Statistics) -> tuple[Tensor, Tensor]:
        """Σ āāᵀ and Σ ggᵀ over a chunk's cases and positions."""
        entering, deltas = self._gathered(found)
        return _with_bias(gram(entering), entering, found.layer), gram(deltas)

    def _gathered(self, found: Statistics) -> tuple[Tensor, Tensor]:
        """What enters, (cases, inputs), and the gradients, (cases, outputs), position by position or put together."""
        if self.sharing == "reduce":
            return found.entering.mean(1), found.deltas.sum(2).flatten(0, 1)
        return found.entering.flatten(0, 1), found.deltas.flatten(0, 2)

    def _matrix(self, vectors: Tensor, layer: Affine) -> Tensor:
        """A layer's part of vectors (P, K) as K matrices (W b), (K, outputs, inputs + 1)."""
        weight = vectors[layer.weight_at].T.reshape(-1, layer.outputs, layer.inputs)
        if layer.bias_at is None:
            return weight
        return torch.cat((weight, vectors[layer.bias_at].T[:, :, None]), 2)

    def _place(self, matrices: Tensor, layer: Affine, into: Tensor) -> None:
        """Put K matrices (K, outputs, inputs + 1) back where they belong in (P, K)."""
        into[layer.weight_at] = matrices[:, :, : layer.inputs].reshape(len(matrices), -1).T
        if layer.bias_at is not None:
            into[layer.bias_at] = matrices[:, :, layer.inputs].T

    def _by_layers(self, vectors: Tensor, apply: list[tuple[Affine, Tensor, Tensor]]) -> Tensor:
        """L M R for every layer's part M of vectors (P,) or (P, K)."""
        columns = vectors[:, None] if vectors.ndim == 1 else vectors
        result = torch.empty_like(columns)
        for layer, left, right in apply:
            self._place(left @ self._matrix(columns, layer) @ right, layer, result)
        return result.view(vectors.shape)

    def _product(self, vectors: Tensor) -> Tensor:
        return self._by_layers(vectors, [(f.layer, f.g, f.a) for f in self.factors])

    def _dense(self) -> Tensor:
        size = self.shape[0]
        like = self.point.theta
        result = torch.zeros(size, size, dtype=like.dtype, device=like.device)
        for layer, block in self._blocks():
            places = self._places(layer)
            result[places[:, None], places] = block
        return result

    def _blocks(self) -> list[tuple[Affine, Tensor]]:
        """Every layer's block, in the order of vec(W b) row by row."""
        return [(f.layer, torch.kron(f.g, f.a)) for f in self.factors]

    def _places(self, layer: Affine) -> Tensor:
        """Where in θ the entries of (W b) are, row by row."""
        like = self.point.theta
        at = torch.arange(self.shape[0], device=like.device)
        return self._matrix(at[:, None], layer).reshape(-1)

    def _diagonal(self) -> Tensor:
        result = torch.empty_like(self.point.theta)[:, None]
        for f in self.factors:
            self._place(torch.outer(f.g.diagonal(), f.a.diagonal())[None], f.layer, result)
        return result[:, 0] + self.objective.weight_decay

    def diagonal(self) -> Tensor:
        """The diagonal, (P,)."""
        return self._diagonal()

    def eigenvalues(self) -> Tensor:
        """All eigenvalues, ascending, (P,): products of the factors' own."""
        spectra = [torch.outer(_eigh(f.g)[0], _eigh(f.a)[0]).reshape(-1) for f in self.factors]
        return torch.cat(spectra).sort()[0] + self.objective.weight_decay

    def solve(self, b: Tensor, damping: float = 0.0) -> Tensor:
        """Damped inverse times b, (P,) → (P,): factored Tikhonov, or exactly (B + damping·I)⁻¹ b; see the class.

        Raises IndefiniteError where a factor is singular with its damping.
        """
        self._check(b)
        if self.tikhonov == "exact":
            return self._solve_exactly(b, damping)
        found: tuple[float, list[Inverse]] | None = self.point.cache.get((self._key, "inverses"))
        if found is None or found[0] != damping:  # kept for the last damping: they serve many products
            found = self.point.cache[(self._key, "inverses")] = (damping, self.inverses(damping))
        return self.solve_with(found[1], b)

    def gamma(self, damping: float) -> float:
        """γ = √(damping + η) (Martens and Grosse 2015, §6.6)."""
        return float((damping + self.objective.weight_decay) ** 0.5)

    def solve_with(self, inverses: Sequence[Inverse], b: Tensor) -> Tensor:
        """The inverses' product with b, (P,) → (P,)."""
        return self._by_layers(b, [(f.layer, f.left, f.right) for f in inverses])

    def inverses(self, damping: float, gamma: float | None = None) -> list[Inverse]:
        """The inverses of G + γ/π I and A + πγ I of every layer, γ = √(damping + η) unless it is given. Raises
        IndefiniteError where one is singular."""
        gamma = self.gamma(damping) if gamma is None else gamma
        found, infos = [], []
        for f in self.factors:
            # π² = (tr A/d_A)/(tr G/d_G), on the device: nothing is read.
            pi = ((f.a.trace() / len(f.a)) / (f.g.trace() / len(f.g))).sqrt()
            pi = torch.where(torch.isfinite(pi) & (pi > 0), pi, 1.0)
            right, info_a = torch.linalg.cholesky_ex(_damped(f.a, pi * gamma))
            left, info_g = torch.linalg.cholesky_ex(_damped(f.g, gamma / pi))
            infos += [info_a, info_g]
            found.append((f.layer, left, right))
            self.point.count_flops(float(len(f.a) ** 3 + len(f.g) ** 3))
        if bool(torch.stack(infos).any()):
            lowest = min(float(_eigh(m)[0][0]) for f in self.factors for m in (f.a, f.g))
            raise IndefiniteError(f"{self.title}, a factor,", damping, lowest)
        return [
            Inverse(layer, torch.cholesky_inverse(left), torch.cholesky_inverse(right)) for layer, left, right in found
        ]

    def _solve_exactly(self, b: Tensor, damping: float) -> Tensor:
        """In the Kronecker eigenbasis, where the matrix is diagonal."""
        result = torch.empty_like(b)[:, None]
        shift = damping + self.objective.weight_decay
        for layer, left, right, scale in self._eigenbasis():
            lowest = float(scale.min())
            if not lowest + shift > 0:
                raise IndefiniteError(self.title, damping, lowest + self.objective.weight_decay)
            matrix = left.T @ self._matrix(b[:, None], layer)[0] @ right
            self._place((left @ (matrix / (scale + shift)) @ right.T)[None], layer, result)
        return result[:, 0]

    def _eigenbasis(self) -> list[tuple[Affine, Tensor, Tensor, Tensor]]:
        """Of every layer: eigenvectors U_G and U_A, and the eigenvalues over them, (outputs, inputs + 1)."""
        bases = []
        for f, (d_g, u_g), (d_a, u_a) in self.bases:
            bases.append((f.layer, u_g, u_a, torch.outer(d_g, d_a)))
        return bases

    @property
    def bases(self) -> list[tuple[Factors, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]:
        """Every layer's factors with the eigenvalues and vectors of G and of A."""
        key = ("kronecker bases", self.labels, self.seed, self.sharing, self._token)
        if key not in self.point.cache:
            self.point.cache[key] = [(f, _eigh(f.g), _eigh(f.a)) for f in self.factors]
        found: list[tuple[Factors, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]] = self.point.cache[key]
        return found


def _with_bias(square: Tensor, entering: Tensor, layer: Affine) -> Tensor:
    """Σ āāᵀ for ā = (a, 1) from Σ aaᵀ and a (cases, inputs); Σ aaᵀ itself where there is no bias."""
    if layer.bias_at is None:
        return square
    total = entering.sum(0)[:, None]
    corner = torch.full((1, 1), float(len(entering)), dtype=square.dtype, device=square.device)
    return torch.cat((torch.cat((square, total), 1), torch.cat((total.T, corner), 1)))


def _damped(matrix: Tensor, amount: Tensor) -> Tensor:
    damped = matrix.clone()
    damped.diagonal().add_(amount)
    return damped


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (not below zero: the factors are positive semi-definite) and vectors, computed on the CPU in float64,
    where LAPACK does not fail on ill-conditioned factors as float32 on a GPU does."""
    values, vectors = torch.linalg.eigh(matrix.double().cpu())
    return values.clamp_min(0).to(matrix), vectors.to(matrix)

"""Stochastic optimization of a quadratic with constant gradient noise: ensembles of chains, and their exact moments.

h = ½(θ − θ*)ᵀH(θ − θ*), θ₊ = θ − α_k B⁻¹(∇h + ξ_k), ξ_k ~ N(0, Σ): all chains advance as one tensor
(Martens 2020, §14).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ngexplorer.tour.checks import WATCH

CHAINS = 4000


@dataclass(frozen=True)
class Noisy:
    """H, B and Σ, (n, n) float64, symmetric positive definite, and the first error θ₀ − θ*, (n,)."""

    h: Tensor
    b: Tensor
    noise: Tensor
    start: Tensor

    @property
    def gap(self) -> float:
        """Δ₀ = h(θ₀) − h*."""
        return float(0.5 * self.start @ self.h @ self.start)

    @property
    def trace(self) -> float:
        """tr(H⁻¹Σ)."""
        return float(torch.linalg.solve(self.h, self.noise).trace())

    def preconditioned(self, b: Tensor) -> Noisy:
        """The same problem with another B."""
        return Noisy(self.h, b, self.noise, self.start)


@dataclass(frozen=True)
class Ensemble:
    """h − h* over an ensemble, (K + 1,) float64 each: before the first step, and after each of K."""

    mean: Tensor
    error: Tensor
    """The standard error of the mean"""


def ensemble(problem: Noisy, rates: Sequence[float], chains: int = CHAINS, seed: int = 0) -> Ensemble:
    """The mean of h − h* over the chains after every step, and its standard error."""
    chain = _Chains(problem, chains, seed)
    rows = [chain.heights(chain.errors)]
    for rate in rates:
        chain.advance(rate)
        rows.append(chain.heights(chain.errors))
    return _summed_up(torch.stack(rows))


def averaged_ensemble(problem: Noisy, rate: float, steps: int, chains: int = CHAINS, seed: int = 0) -> Ensemble:
    """The same at each chain's average of θ₀ … θ_k (Polyak and Juditsky 1992), for a fixed rate."""
    chain = _Chains(problem, chains, seed)
    total = chain.errors.clone()
    rows = [chain.heights(total)]
    for k in range(1, steps + 1):
        chain.advance(rate)
        total += chain.errors
        rows.append(chain.heights(total / (k + 1)))
    return _summed_up(torch.stack(rows))


class _Chains:
    """Where all chains are, as errors θ − θ* (chains, n), and the stream that their noise is drawn from."""

    def __init__(self, problem: Noisy, chains: int, seed: int) -> None:
        self.h = problem.h
        self.inverse = torch.linalg.inv(problem.b)
        self.root = torch.linalg.cholesky(problem.noise)
        self.generator = torch.Generator().manual_seed(seed)
        self.errors = problem.start.expand(chains, -1)

    def advance(self, rate: float) -> None:
        WATCH.check()
        draws = torch.randn(self.errors.shape, generator=self.generator, dtype=torch.float64)
        self.errors = self.errors - rate * (self.errors @ self.h + draws @ self.root.T) @ self.inverse

    def heights(self, errors: Tensor) -> Tensor:
        """h − h* of each chain."""
        return 0.5 * ((errors @ self.h) * errors).sum(1)


def _summed_up(heights: Tensor) -> Ensemble:
    return Ensemble(heights.mean(1), heights.std(1) / heights.shape[1] ** 0.5)


def expected(problem: Noisy, rates: Sequence[float]) -> Tensor:
    """E[h − h*] before the first step and after each, (K + 1,), by the exact recursion of the second moment
    V ← A V Aᵀ + α²B⁻¹ΣB⁻¹ with A = I − αB⁻¹H."""
    inverse = torch.linalg.inv(problem.b)
    kick, pull = inverse @ problem.noise @ inverse, inverse @ problem.h
    moment = torch.outer(problem.start, problem.start)
    eye = torch.eye(len(moment)).to(moment)
    values = [0.5 * (problem.h * moment).sum()]
    for rate in rates:
        WATCH.check()
        a = eye - rate * pull
        moment = a @ moment @ a.T + rate**2 * kick
        values.append(0.5 * (problem.h * moment).sum())
    return torch.stack(values)


def expected_average(problem: Noisy, rate: float, steps: int) -> Tensor:
    """E[h − h*] at the average of θ₀ … θ_k for k = 0 … steps, (steps + 1,), by the recursion of error and sum."""
    n = len(problem.start)
    inverse, eye = torch.linalg.inv(problem.b), torch.eye(len(problem.start)).to(problem.start)
    a = eye - rate * inverse @ problem.h
    both = torch.cat((torch.cat((a, 0 * eye), 1), torch.cat((a, eye), 1)))
    kick = (rate**2 * inverse @ problem.noise @ inverse).repeat(2, 2)
    first = problem.start.repeat(2)
    moment = torch.outer(first, first)
    values = [0.5 * (problem.h * moment[n:, n:]).sum()]
    for k in range(1, steps + 1):
        WATCH.check()
        moment = both @ moment @ both.T + kick
        values.append(0.5 * (problem.h * moment[n:, n:]).sum() / (k + 1) ** 2)
    return torch.stack(values)


# Closed forms.


def floor(problem: Noisy, rate: float) -> float:
    """(α/4) tr[(B − αH/2)⁻¹Σ]: where a fixed rate ends."""
    return rate / 4 * float(torch.linalg.solve(problem.b - rate * problem.h / 2, problem.noise).trace())


def limit_of_plain_descent(problem: Noisy, b: float) -> float:
    """½ tr(HV) with (H/b − ½I)V + V(H/b − ½I) = Σ/b²: the limit of k·E for B = bI, α_k = 1/(k + a + 1), b < 2λmin."""
    values, vectors = torch.linalg.eigh(problem.h)
    inside = vectors.T @ problem.noise @ vectors
    shifted = values / b - 0.5
    v = inside / b**2 / (shifted[:, None] + shifted[None])
    return 0.5 * float(values.dot(v.diagonal()))


def average(problem: Noisy, rate: float, steps: int) -> float:
    """½(k+1)⁻² Σ_{m=1..k} tr[(I − Sᵐ)² H^−½ΣH^−½] + ½α⁻²(k+1)⁻² ‖(I − S^(k+1)) H^−½ B (θ₀ − θ*)‖² with
    S = I − αH^½B⁻¹H^½: E[h − h*] at the average of θ₀ … θ_k."""
    values, vectors = torch.linalg.eigh(problem.h)
    root, inverse_root = (vectors * values**power @ vectors.T for power in (0.5, -0.5))
    eye = torch.eye(len(values)).to(values)
    s = eye - rate * root @ torch.linalg.solve(problem.b, root)
    inside = inverse_root @ problem.noise @ inverse_root
    power, noise = eye, 0.0
    for _ in range(steps):
        WATCH.check()
        power = power @ s
        noise += float(((eye - power) @ (eye - power) @ inside).trace())
    start = (eye - power @ s) @ inverse_root @ problem.b @ problem.start
    return 0.5 * (noise + float(start @ start) / rate**2) / (steps + 1) ** 2

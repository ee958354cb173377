"""The Kullback-Leibler divergence of each loss's distributions: its closed form, else a Monte Carlo estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ngexplorer.objectives import losses
from ngexplorer.objectives.losses import Loss


@dataclass(frozen=True)
class Divergence:
    """The mean over cases of KL(r(· | z_n) ‖ r(· | z′_n)), in nats; unless `exact`, a Monte Carlo estimate with that
    standard error."""

    value: float
    error: float
    exact: bool


def divergence(loss: Loss, z: Tensor, other: Tensor, samples: int = 200, seed: int = 0) -> Divergence:
    """KL of the predictive distributions for outputs z and `other`, (N, C), summed over a case's columns.

    In closed form for all losses but Student's t and Huber, for which `samples` labels a case are drawn from r(· | z).
    Raises ValueError for a loss that is not the negative log of a density.
    """
    if not loss.density:
        raise ValueError(f"loss: {loss.title} is not the negative log of a density; there is no divergence")
    # In float64, where the difference of two nearly equal distributions still has digits.
    z, other = z.double(), other.double()
    exact = closed_form(loss, z, other)
    if exact is not None:
        return Divergence(float(exact.mean()), 0.0, True)
    return _drawn(loss, z, other, samples, seed)


def closed_form(loss: Loss, z: Tensor, other: Tensor) -> Tensor | None:
    """KL of each case, (N,), or None where there is no closed form."""
    match loss:
        case losses.SquaredError():
            return ((z - other).square() / (2 * loss.variance)).sum(1)
        case losses.GaussianNLL():
            (mean, v), (mean_other, v_other) = loss.moments(z), loss.moments(other)
            spread = v / v_other
            return 0.5 * (spread - 1 - spread.log() + (mean - mean_other).square() / v_other).sum(1)
        case losses.Laplace():
            d = (z - other).abs() / loss.scale
            return (d + torch.expm1(-d)).sum(1)
        case losses.Cauchy():  # Chyzak and Nielsen (2019), for equal scales
            return ((z - other).square() / (4 * loss.scale**2)).log1p().sum(1)
        case losses.Logistic():
            return _logistic(z - other).sum(1)
        case losses.BernoulliLogits():
            return _bernoulli(-softplus(-z), -softplus(z), -softplus(-other), -softplus(other))
        case losses.BernoulliProbability():
            return _bernoulli(z.log(), (-z).log1p(), other.log(), (-other).log1p())
        case losses.Probit():
            log = torch.special.log_ndtr
            return _bernoulli(log(z), log(-z), log(other), log(-other))
        case losses.SoftmaxCrossEntropy():
            return _categorical(z.log_softmax(1), other.log_softmax(1))
        case losses.SoftmaxProbabilities():
            return _categorical(z.log(), other.log())
        case losses.SoftmaxLogProbabilities():
            return _categorical(z, other)
        case losses.PoissonLogRate():
            return (z.exp() * (z - other + torch.expm1(other - z))).sum(1)
        case losses.PoissonRate():
            return (torch.xlogy(z, z / other) - z + other).sum(1)
    return None


def _categorical(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Σ p (log p − log q), terms of probability 0 left out."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(1)


def _bernoulli(one: Tensor, zero: Tensor, other_one: Tensor, other_zero: Tensor) -> Tensor:
    """Σ over columns, from the logarithms of both probabilities of both distributions."""
    pair = torch.stack((one, zero), 1).flatten(2), torch.stack((other_one, other_zero), 1).flatten(2)
    return _categorical(*pair).sum(1)


def _logistic(d: Tensor) -> Tensor:
    """d coth(d/2) − 2 of two logistic distributions of unit scale at distance d; near 0 its series d²/6 − d⁴/360, which
    the difference would lose."""
    half = 0.5 * d.abs()
    far = torch.where(half > 0, d.abs() / torch.tanh(half), 2.0) - 2
    return torch.where(d.abs() < 0.05, d.square() / 6 - d.pow(4) / 360 + d.pow(6) / 15120, far)


def _drawn(loss: Loss, z: Tensor, other: Tensor, samples: int, seed: int) -> Divergence:
    """E_{y ~ r(· | z)}[L(y, z′) − L(y, z)] over drawn labels."""
    generator = torch.Generator(device=z.device).manual_seed(seed)
    draws = []
    for _ in range(samples):
        y = loss.sample(z, generator)
        draws.append(loss.per_case(other, y) - loss.per_case(z, y))
    each = torch.stack(draws)
    # Cases differ in their KL: only what is drawn within each is uncertain.
    variance = float(each.var(0).mean()) / (samples * len(z))
    return Divergence(float(each.mean()), math.sqrt(variance), False)

"""Gradient descent against natural gradient: steepest descent measured in parameters, and in distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.tour.checks import Outcome, near
from ngexplorer.tour.problems import gaussian, quadratic, tensor, walk
from ngexplorer.tour.stop import Stop

stop = Stop("distribution-space", "What distribution space sees")

_G = (-1.0, -0.125)
"""∇h of two answers with mean 1 and variance ¼ at N(0, 1), in (μ, v)"""
_LIMIT = (1.39262, 0.34816)


@stop.claim("The gradient at N(0, 1) in (μ, v) of answers with mean 1 and variance ¼", "§6")
def gaussian_gradient() -> Outcome:
    objective = gaussian("variance")
    return near(objective.gradient(objective.initial_parameters), _G, 1e-12)


@stop.claim("−√2 F⁻¹∇h / ‖∇h‖ in the norm of F⁻¹, at N(0, 1) in (μ, v)", "§6")
def steepest_direction() -> Outcome:
    objective = gaussian("variance")
    point = objective.at(objective.initial_parameters)
    natural = ngx.curvature.Fisher(objective, point).solve(point.gradient)
    return near(-math.sqrt(2) * natural / natural.dot(point.gradient).sqrt(), _LIMIT, 1e-5)


def _divergence(delta: Tensor) -> float:
    """KL(N(0, 1) ‖ N(μ, v)) with (μ, v) = (0, 1) + δ, where (1 + μ²)/v − 1 is (μ² − δ_v)/v without cancellation."""
    mean, more = delta.tolist()
    return 0.5 * (math.log1p(more) + (mean**2 - more) / (1 + more))


@stop.claim("The steepest descent in a ball of KL divergence ε², divided by ε = 10⁻⁴, found by search", "§6")
def steepest_by_search() -> Outcome:
    """Points of the ball's surface by their angle: the length by bisection on KL, then the lowest of them."""
    objective, size = gaussian("variance"), 1e-4
    theta = objective.initial_parameters

    def length(angle: float) -> float:
        low, high = 0.0, 10 * size
        for _ in range(60):
            middle = 0.5 * (low + high)
            divergence = _divergence(middle * tensor(math.cos(angle), math.sin(angle)))
            low, high = (middle, high) if divergence < size**2 else (low, middle)
        return low

    def moved(angle: float) -> Tensor:
        return length(angle) * tensor(math.cos(angle), math.sin(angle))

    low, high = -0.5, 1.0  # the angle of the answer lies between; golden section
    share = (math.sqrt(5) - 1) / 2
    for _ in range(45):
        a, b = high - share * (high - low), low + share * (high - low)
        left, right = (float(objective.value(theta + moved(angle))) for angle in (a, b))
        low, high = (low, b) if left < right else (a, high)
    return near(moved(0.5 * (low + high)) / size, _LIMIT, 2e-3)


@stop.claim("KL divergence of a natural-gradient step with α = 10⁻³, over ½α² ∇hᵀF⁻¹∇h", "§6")
def divergence_of_a_step() -> Outcome:
    objective, alpha = gaussian("variance"), 1e-3
    point = objective.at(objective.initial_parameters)
    natural = ngx.curvature.Fisher(objective, point).solve(point.gradient)
    divergence = _divergence(-alpha * natural)
    return near(divergence / (0.5 * alpha**2 * natural.dot(point.gradient)), 1, 2e-3)


_EIGENVALUES = (0.01, 0.1, 1.0)


def _shrunk(name: str) -> list[float]:
    """By what the error along each eigenvector of H is multiplied in one step with α = ½."""
    objective = quadratic(*_EIGENVALUES)
    theta = objective.initial_parameters
    x, y = objective.inputs, objective.targets
    assert isinstance(x, Tensor)
    hessian = x.T @ x / len(x)
    best = torch.linalg.solve(hessian, (x.T @ y / len(x))[:, 0])
    _, vectors = torch.linalg.eigh(hessian)
    settings = {} if name == "gradient-descent" else {"damping": "none"}
    after = walk(ngx.optimizers.make(name, learning_rate=0.5, **settings), objective, 1)[0]
    shares: list[float] = ((vectors.T @ (after - best)) / (vectors.T @ (theta - best))).tolist()
    return shares


@stop.claim("Gradient descent on a bowl: the error along eigenvector i is multiplied by 1 − αλᵢ", "§7")
def gradient_descent_shrinks_unevenly() -> Outcome:
    return near(_shrunk("gradient-descent"), tuple(1 - 0.5 * value for value in _EIGENVALUES), 1e-10)


@stop.claim("Natural gradient on the same bowl: by 1 − α in every direction", "§7")
def natural_gradient_shrinks_evenly() -> Outcome:
    return near(_shrunk("natural-gradient"), (0.5, 0.5, 0.5), 1e-10)

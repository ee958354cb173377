"""Invariance: the same step in five parametrizations of a Gaussian, what breaks it, and how fast the gaps close."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.curvature import Curvature, Diagonal, EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.tour.checks import Outcome, at_least, near
from ngexplorer.tour.figure import Chart, Curve, Dial
from ngexplorer.tour.problems import Behind, classifier, drawn, gap, gaussian, quadratic, tensor, walk
from ngexplorer.tour.stop import Stop

stop = Stop("invariance", "The same step in other parameters")

make = ngx.optimizers.make
_FIVE = ("variance", "log-variance", "precision", "natural", "mean")
_TARGET = tensor(1.0, 1.25)
"""T̄: the answers' mean and mean square"""
_START = tensor(0.0, 1.0)
"""The same of N(0, 1)"""
_FLOW = _TARGET + math.exp(-1) * (_START - _TARGET)
"""Where the flow is at t = 1"""


def _end(parametrization: str, rate: float, steps: int, correction: str = "euler") -> Tensor:
    """Where some steps of natural gradient end, as (μ, v)."""
    objective = gaussian(parametrization)
    optimizer = make("natural-gradient", damping="none", learning_rate=rate, correction=correction)
    z = objective.outputs(walk(optimizer, objective, steps)[-1])[:1]
    loss: Any = objective.loss
    return torch.cat(loss.moments(z), 1)[0]


def _whole_step(name: str, parametrization: str, expected: tuple[float, float]) -> None:
    @stop.claim(f"One step with α = 1 from N(0, 1), ȳ = 1, s² = ¼, in {name}: it ends at (μ, v)", "§12")
    def measured() -> Outcome:
        return near(_end(parametrization, 1.0, 1), expected, 1e-10)


_whole_step("(μ, v)", "variance", (1, 1.25))
_whole_step("(μ, log v)", "log-variance", (1, math.exp(0.25)))
_whole_step("(μ, 1/v)", "precision", (1, 4 / 3))
_whole_step("natural parameters", "natural", (4 / 3, 4 / 3))
_whole_step("mean parameters, where that is the optimum", "mean", (1, 0.25))


def _moments(parametrization: str, steps: int, correction: str = "euler") -> Tensor:
    """(E y, E y²) at t = 1, in so many steps."""
    mean, variance = _end(parametrization, 1 / steps, steps, correction).tolist()
    return tensor(mean, variance + mean**2)


@stop.claim("In mean parameters each step shrinks the way to the answers by 1 − α: (E y, E y²) after 7 of 0.1", "§12")
def mean_parameters() -> Outcome:
    mean, variance = _end("mean", 0.1, 7).tolist()
    return near((mean, variance + mean**2), tuple((_TARGET + 0.9**7 * (_START - _TARGET)).tolist()), 1e-10)


@stop.claim("Small steps follow the flow T̄ + e^(−t)(m₀ − T̄) in all five: largest distance at t = 1, 64 steps", "§12")
def flow() -> Outcome:
    return near(max(float((_moments(p, 64) - _FLOW).abs().max()) for p in _FIVE), 0, 0.02)


def _power(near_by: float, nearer: float) -> float:
    """With which power of the step a gap falls, from two of them, the step halved between."""
    return math.log2(near_by / nearer)


def _powers_between(correction: str) -> list[float]:
    """The same for the gaps between each two of five parametrizations, at t = 1 with 32 and 64 steps."""
    ends = {p: [_moments(p, n, correction) for n in (32, 64)] for p in _FIVE}
    found = []
    for one, other in combinations(_FIVE, 2):
        gaps = [float((a - b).abs().max()) for a, b in zip(ends[one], ends[other], strict=True)]
        found.append(_power(*gaps))
    return found


@stop.claim("The gap between two parametrizations, plain steps: its power of α; mean of ten pairs", "§12")
def order_of_plain_steps() -> Outcome:
    powers = _powers_between("euler")
    return near(sum(powers) / len(powers), 1, 0.1)


@stop.claim("The gap between two parametrizations, geodesic correction: the lowest power of α of ten pairs", "§12")
def order_of_geodesic_steps() -> Outcome:
    return at_least(min(_powers_between("geodesic")), 2, 0.15)


@stop.claim("The gap between two parametrizations, midpoint: the lowest power of α of ten pairs", "§12")
def order_of_midpoint_steps() -> Outcome:
    return at_least(min(_powers_between("midpoint")), 2, 0.15)


def _power_against_the_flow(correction: str) -> float:
    return _power(*(float((_moments("variance", n, correction) - _FLOW).abs().max()) for n in (32, 64)))


@stop.claim("The geodesic-corrected path against the flow itself: its power of α stays", "§12")
def geodesic_against_the_flow() -> Outcome:
    return near(_power_against_the_flow("geodesic"), 1, 0.15)


@stop.claim("The midpoint's path against the flow: its power of α", "§12")
def midpoint_against_the_flow() -> Outcome:
    return near(_power_against_the_flow("midpoint"), 2, 0.15)


@stop.claim(
    "Γ(δ₁, δ₁) = (D_δF)δ − ½∇(δᵀFδ) by differences of F: that of the geodesic step, 2F(δ₁ − δ), and the program's; "
    "largest differences",
    "§12",
)
def christoffel() -> Outcome:
    objective = gaussian("variance")
    theta = objective.initial_parameters
    plain, bent = (
        walk(make("natural-gradient", damping="none", learning_rate=0.1, correction=c), objective, 1)[0] - theta
        for c in ("euler", "geodesic")
    )

    def fisher(at: Tensor) -> Tensor:
        return Fisher(objective, at).dense()

    size, slope = 1e-5, torch.zeros_like(theta)
    along = (fisher(theta + size * plain) - fisher(theta - size * plain)) @ plain / (2 * size)
    for i, e in enumerate(torch.eye(2).double()):
        slope[i] = plain @ (fisher(theta + size * e) - fisher(theta - size * e)) @ plain / (2 * size)
    expected = along - 0.5 * slope
    found = (2 * fisher(theta) @ (plain - bent), ngx.optimizers.christoffel(objective.at(theta), plain))
    return near([gap(force, expected) for force in found], (0, 0), 1e-5)


# What transforms as a metric: θ = sinh γ, D = diag(cosh γ).


def _transformed(kind: type[Curvature], bent: bool = True) -> float:
    """How far B in γ is from DᵀBD, for θ = sinh γ or θ = 3γ."""
    objective = classifier(3, 4, 3)
    value, back = (torch.sinh, torch.asinh) if bent else (lambda g: 3 * g, lambda t: t / 3)
    changed = ngx.Objective(Behind(objective.model, value, back), objective.loss, objective.inputs, objective.targets)
    gamma = changed.initial_parameters
    d = torch.cosh(gamma) if bent else torch.full_like(gamma, 3.0)
    expected = d[:, None] * kind(objective, objective.initial_parameters).dense() * d
    return gap(kind(changed, gamma).dense(), expected)


@stop.claim("θ = sinh γ: F in γ is DᵀFD, D = ∂θ/∂γ; largest difference", "§12")
def fisher_is_a_metric() -> Outcome:
    return near(_transformed(Fisher), 0, 1e-10)


@stop.claim("θ = sinh γ: G in γ is DᵀGD; largest difference", "§12")
def gauss_newton_is_a_metric() -> Outcome:
    return near(_transformed(GaussNewton), 0, 1e-10)


@stop.claim("θ = sinh γ: F̄ in γ is DᵀF̄D; largest difference", "§12")
def empirical_fisher_is_a_metric() -> Outcome:
    return near(_transformed(EmpiricalFisher), 0, 1e-10)


@stop.claim("θ = sinh γ: H in γ is not DᵀHD, for it has the map's own bend in it; largest difference", "§12")
def hessian_is_no_metric() -> Outcome:
    return at_least(_transformed(Hessian), 1e-2)


@stop.claim("θ = 3γ, an affine map: H in γ is DᵀHD; largest difference", "§12")
def hessian_under_an_affine_map() -> Outcome:
    return near(_transformed(Hessian, bent=False), 0, 1e-10)


# What breaks it: one step on a bowl, and on the same bowl in coordinates γ with θ = Aγ.


Direction = Callable[[ngx.Objective, ngx.Point], Tensor]
"""The step, up to its sign"""

_UNITS = torch.diag(tensor(5.0, 1.0, 0.2))
_TURN = torch.linalg.qr(drawn(3, 3, seed=12))[0]


def _elsewhere(direction: Direction, matrix: Tensor = _UNITS) -> float:
    """How far a step in γ ends from the step in θ, in share of its length."""
    objective = quadratic(0.1, 1.0, 10.0)
    theta, inputs = objective.initial_parameters, objective.inputs
    assert isinstance(inputs, Tensor)
    other = ngx.Objective(objective.model, objective.loss, inputs @ matrix, objective.targets)
    here = direction(objective, objective.at(theta))
    there = matrix @ direction(other, other.at(torch.linalg.solve(matrix, theta)))
    return gap(there, here)


def _natural(objective: ngx.Objective, point: ngx.Point, damping: float = 0.0) -> Tensor:
    return Fisher(objective, point).solve(point.gradient, damping)


def _diagonal(objective: ngx.Objective, point: ngx.Point) -> Tensor:
    return Diagonal(Fisher(objective, point)).solve(point.gradient)


@stop.claim("Other units for the parameters: where a natural-gradient step ends, in share of its length", "§12")
def other_units() -> Outcome:
    return near(_elsewhere(_natural), 0, 1e-10)


@stop.claim("Other units: where gradient descent's step ends", "§12")
def other_units_gradient_descent() -> Outcome:
    return at_least(_elsewhere(lambda objective, point: point.gradient), 0.1)


@stop.claim("Other units: where a natural-gradient step damped by λI ends, λ = 1", "§12")
def other_units_damped() -> Outcome:
    return at_least(_elsewhere(lambda objective, point: _natural(objective, point, 1.0)), 0.1)


@stop.claim("Other units: where natural gradient's step in a trust region ends, ‖δ‖ ≤ 0.1", "§12")
def other_units_trust_region() -> Outcome:
    def step(objective: ngx.Objective, point: ngx.Point) -> Tensor:
        stepper = make("natural-gradient", damping={"name": "trust-region", "radius": 0.1}).start(
            objective, point.theta
        )
        stepper.step()
        return stepper.point.theta - point.theta

    return at_least(_elsewhere(step), 0.1)


@stop.claim("Other units: where a step with the diagonal of F ends, which is a scale for each", "§12")
def other_units_diagonal() -> Outcome:
    return near(_elsewhere(_diagonal), 0, 1e-10)


@stop.claim("Turned coordinates: where gradient descent's step ends, whose ‖δ‖ no rotation changes", "§12")
def turned_gradient_descent() -> Outcome:
    return near(_elsewhere(lambda objective, point: point.gradient, _TURN), 0, 1e-10)


@stop.claim("Turned coordinates: where a step with the diagonal of F ends", "§12")
def turned_diagonal() -> Outcome:
    return at_least(_elsewhere(_diagonal, _TURN), 0.1)


@stop.draws(
    "Natural gradient with one α in five parametrizations, drawn in (μ, v) up to t = 3; dotted, the flow that all of "
    "them follow as α → 0.",
    Dial("α", 0.1, 1.0, 1.0, 9),
)
def five(rate: float) -> tuple[Chart, ...]:
    names = ("(μ, v)", "(μ, log v)", "(μ, 1/v)", "natural", "mean")
    curves = []
    for colour, (name, parametrization) in enumerate(zip(names, _FIVE, strict=True)):
        objective = gaussian(parametrization)
        loss: Any = objective.loss
        optimizer = make("natural-gradient", damping="none", learning_rate=rate)
        path = [objective.initial_parameters, *walk(optimizer, objective, round(3 / rate))]
        ends = torch.cat([torch.cat(loss.moments(objective.outputs(theta)[:1]), 1) for theta in path])
        curves.append(Curve(name, colour, ends[:, 0].numpy(), ends[:, 1].numpy(), mark=True))
    left = np.exp(-np.linspace(0, 3, 50))
    mean, square = (float(end) + left * float(start - end) for start, end in zip(_START, _TARGET, strict=True))
    flow = Curve("flow", -1, mean, square - mean**2, dashed=True)
    return (Chart("v over μ", "μ", (flow, *curves)),)

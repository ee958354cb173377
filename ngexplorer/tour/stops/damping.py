"""Damping: why the undamped step fails, and Tikhonov, trust region and Levenberg-Marquardt as one dial."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.curvature import Fisher
from ngexplorer.tour.checks import Outcome, at_least, at_most, near, stopped
from ngexplorer.tour.problems import classifier, gap, quadratic, walk
from ngexplorer.tour.stop import Stop

stop = Stop("damping", "One dial: damping, trust region, Levenberg-Marquardt")

make = ngx.optimizers.make


def _bowl() -> ngx.Objective:
    return quadratic(0.05, 0.2, 1.0, 3.0, 10.0)


@stop.claim("A step without damping from this stop's start: loss after, over loss before", "§10")
def undamped_step() -> Outcome:
    objective = stop.experiment().objective()
    step = make("natural-gradient", damping={"name": "constant", "value": 1e-9}).start(objective).step()
    return at_least(step.loss_after / step.loss_before, 1)


@stop.claim("The step with λ = 1 from this stop's start: loss after, over loss before", "§10")
def damped_step() -> Outcome:
    objective = stop.experiment().objective()
    step = make("natural-gradient", damping={"name": "constant", "value": 1.0}).start(objective).step()
    return at_most(step.loss_after / step.loss_before, 0.99)


@stop.claim("An exact quadratic: the reduction ratio ρ of the undamped model, steps 1 to 8, furthest from 1", "§10")
def ratio_on_a_quadratic() -> Outcome:
    history = ngx.run(_bowl(), make("newton", damping={"initial": 2.0}), steps=8, cancel=stopped)
    ratios = torch.from_numpy(history["reduction_ratio"][1:])
    return near(ratios[(ratios - 1).abs().argmax()], 1, 1e-8)


@stop.claim("An exact quadratic: Levenberg-Marquardt shrinks λ by ω = ⅔ each step: λ₁₀/λ₀", "§10")
def marquardt_on_a_quadratic() -> Outcome:
    history = ngx.run(_bowl(), make("newton", damping={"initial": 2.0}), steps=11, cancel=stopped)
    return near(history["damping"][11] / history["damping"][1], (2 / 3) ** 10, 1e-12)


def _first(name: str = "newton", damping: float = 0.7) -> tuple[ngx.optimizers.Step, Tensor, Tensor]:
    """One damped step on the bowl, δ and ∇h."""
    stepper = make(name, damping={"initial": damping, "model": "damped"}).start(_bowl())
    point = stepper.point
    step = stepper.step()
    return step, stepper.point.theta - point.theta, point.gradient


@stop.claim("An exact quadratic, damped model: ρ over 1 + λ‖δ‖²/|gᵀδ|", "§10")
def ratio_of_the_damped_model() -> Outcome:
    step, delta, gradient = _first()
    expected = 1 + step.damping * delta.dot(delta) / gradient.dot(delta).abs()
    return near(step.reduction_ratio / expected, 1, 1e-8)


@stop.claim("M(δ) − M(0) over ½gᵀδ − ½λ‖δ‖², undamped model", "§10")
def promise_of_the_undamped_model() -> Outcome:
    step, delta, gradient = _first()
    return near(step.predicted_change / (0.5 * gradient.dot(delta) - 0.5 * 0.7 * delta.dot(delta)), 1, 1e-8)


@stop.claim("M(δ) − M(0) over ½gᵀδ, damped model", "§10")
def promise_of_the_damped_model() -> Outcome:
    step, delta, gradient = _first()
    return near(step.predicted_change_damped / (0.5 * gradient.dot(delta)), 1, 1e-8)


def _region(damping: float) -> tuple[float, float]:
    """λ that a trust region finds for the radius ‖δ(λ)‖, and how far its step is from δ(λ)."""
    objective = classifier(3, 4, 3)
    damped = make("gauss-newton", damping={"name": "constant", "value": damping}).start(objective)
    radius = damped.step().step_norm
    region = make("gauss-newton", damping={"name": "trust-region", "radius": radius}).start(objective)
    return region.step().damping, gap(region.point.theta, damped.point.theta)


@stop.claim("A trust region of the radius ‖δ(λ)‖ gives λ back, for λ = 0.01, 0.3 and 5", "§10")
def region_gives_the_damping_back() -> Outcome:
    dampings = (0.01, 0.3, 5.0)
    return near([_region(damping)[0] / damping for damping in dampings], (1, 1, 1), 1e-6)


@stop.claim("A trust region of the radius ‖δ(λ)‖ takes the step δ(λ); largest difference", "§10")
def region_takes_the_step() -> Outcome:
    return near(_region(0.3)[1], 0, 1e-8)


def _lengths() -> list[float]:
    objective = classifier(3, 4, 3)
    point = objective.at(objective.initial_parameters)
    fisher = Fisher(objective, point)
    return [float(torch.linalg.vector_norm(fisher.solve(point.gradient, 10 ** (k / 2)))) for k in range(-12, 13)]


@stop.claim("‖δ(λ)‖ falls strictly from λ = 10⁻⁶ to 10⁶: the largest ratio of neighbours", "§10")
def length_falls() -> Outcome:
    return at_most(max(after / before for before, after in pairwise(_lengths())), 0.9999)


@stop.claim("λ = 10⁶: the angle between δ and −∇h, in degrees: gradient descent at the end of the dial", "§10")
def end_of_the_dial() -> Outcome:
    step = make("natural-gradient", damping={"name": "constant", "value": 1e6}).start(classifier(3, 4, 3)).step()
    return near(step.angle, 0, 1e-4)


@stop.claim("Least squares, α = ½, λ = 0.2: the error along eigenvector i shrinks by 1 − αλᵢ/(λᵢ + λ)", "§10")
def damped_errors() -> Outcome:
    objective = _bowl()
    theta, inputs = objective.initial_parameters, objective.inputs
    assert isinstance(inputs, Tensor)
    hessian = inputs.T @ inputs / len(inputs)
    values, vectors = torch.linalg.eigh(hessian)
    best = torch.linalg.solve(hessian, (inputs.T @ objective.targets / len(inputs))[:, 0])
    settings: dict[str, Any] = {"damping": {"name": "constant", "value": 0.2}, "learning_rate": 0.5}
    after = walk(make("natural-gradient", **settings), objective, 1)[0]
    shrunk = (vectors.T @ (after - best)) / (vectors.T @ (theta - best))
    return near(shrunk, tuple((1 - 0.5 * values / (values + 0.2)).tolist()), 1e-8)


@stop.claim(
    "An indefinite Hessian is refused without damping: the λmin it names, over that by differences of ∇h", "§10"
)
def indefinite_is_refused() -> Outcome:
    objective, size = classifier(3, 4, 3), 1e-5
    theta = objective.initial_parameters
    columns = [
        (objective.gradient(theta + size * e) - objective.gradient(theta - size * e)) / (2 * size)
        for e in torch.eye(len(theta)).double()
    ]
    lowest = float(torch.linalg.eigvalsh(torch.stack(columns))[0])
    try:
        make("newton", damping="none").start(objective).step()
    except ngx.curvature.IndefiniteError as error:
        return near(error.lowest_eigenvalue / lowest, 1, 1e-6)
    return near(math.nan, 1, 1e-6)

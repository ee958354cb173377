"""The quadratic model that lies: the reduction ratio ρ, rescaling and momentum by the exact model."""

from __future__ import annotations

import math
from typing import Any

import torch

import ngexplorer as ngx
from ngexplorer.curvature import KFAC, Curvature, Fisher, GaussNewton, Hessian
from ngexplorer.tour.checks import Outcome, at_most, near, stopped
from ngexplorer.tour.problems import classifier, drawn, mlp
from ngexplorer.tour.stop import Stop

stop = Stop("quadratic-model", "The quadratic model that lies")

make = ngx.optimizers.make


def _order(kind: type[Curvature]) -> float:
    """With which power of the step's length ρ goes to 1."""
    objective = classifier(3, 4, 3)
    point = objective.at(objective.initial_parameters)
    direction = -point.gradient
    slope, bend = point.gradient.dot(direction), direction.dot(kind(objective, point) @ direction)

    def lie(size: float) -> float:
        change = objective.value(point.theta + size * direction) - point.value
        return abs(float(change / (size * slope + 0.5 * size**2 * bend)) - 1)

    return math.log2(lie(2e-2) / lie(1e-2))


@stop.claim("The Hessian's model: ρ − 1 falls as this power of the step", "§10")
def order_of_the_hessian() -> Outcome:
    return near(_order(Hessian), 2, 0.1)


@stop.claim("The Gauss-Newton model: ρ − 1 falls as this power of the step", "§10")
def order_of_gauss_newton() -> Outcome:
    return near(_order(GaussNewton), 1, 0.1)


def _first_ratio(damping: float) -> float:
    """ρ of natural gradient's first step from this stop's start."""
    optimizer = make("natural-gradient", damping={"name": "constant", "value": damping})
    return optimizer.start(stop.experiment().objective()).step().reduction_ratio


@stop.claim("This stop's start, λ = 10⁶: ρ of the first step, for a short step's model is true", "§10")
def model_is_true_nearby() -> Outcome:
    return near(_first_ratio(1e6), 1, 1e-4)


@stop.claim(
    "This stop's start, λ = 10⁻⁵: ρ of the first step, for the loss rises where the model promised a fall", "§10"
)
def model_lies_far_out() -> Outcome:
    return at_most(_first_ratio(1e-5), 0)


@stop.claim("In 40 steps of this stop's run: those after which λ is not what ρ and the rejections made of it", "§10")
def damping_follows_the_ratio() -> Outcome:
    history = ngx.run(
        stop.experiment().objective(), make("natural-gradient", damping={"initial": 1e-2}), steps=40, cancel=stopped
    )
    ratios, dampings, rejected = (history[name] for name in ("reduction_ratio", "damping", "rejected_trials"))
    wrong = 0
    for k in range(1, 40):
        change = 2 / 3 if ratios[k] > 0.75 else 3 / 2 if ratios[k] < 0.25 else 1.0
        wrong += abs(dampings[k + 1] / (dampings[k] * change * 4 ** rejected[k + 1]) - 1) > 1e-9
    return near(wrong, 0, 0)


def _kronecker_step() -> tuple[ngx.optimizers.Step, torch.Tensor, ngx.Point]:
    stepper = make("kfac").start(classifier(3, 4, 3, cases=30))
    stepper.step()
    point = stepper.point
    step = stepper.step()
    return step, stepper.point.theta - point.theta, point


@stop.claim("K-FAC's step, α and μ from the exact model: the damped model's slope along it, over ‖∇h‖‖δ‖", "§10")
def rescaled_step() -> Outcome:
    step, delta, point = _kronecker_step()
    left = point.gradient + Fisher(point.objective, point) @ delta + step.damping * delta
    norm = torch.linalg.vector_norm
    return near(left.dot(delta) / (norm(point.gradient) * norm(delta)), 0, 1e-9)


@stop.claim("K-FAC's step: what the damped model promises, over ½gᵀδ", "§10")
def promise_of_the_rescaled_step() -> Outcome:
    step, delta, point = _kronecker_step()
    return near(step.predicted_change_damped / (0.5 * point.gradient.dot(delta)), 1, 1e-8)


@stop.claim(
    "A quadratic: K-FAC with α and μ is preconditioned conjugate gradient; largest difference of five iterates",
    "Martens and Grosse 2015, §7",
)
def conjugate_gradient() -> Outcome:
    loss = ngx.losses.SquaredError()
    objective = ngx.Objective(mlp(4, 6), loss, drawn(40, 4, seed=2), drawn(40, 6, seed=3))
    settings: dict[str, Any] = {"damping": "none", "curvature": {"labels": "exact", "refresh": 10_000}}
    stepper = make("kfac", **settings).start(objective)
    point = stepper.point
    kronecker, hessian = KFAC(objective, point, labels="exact"), Hessian(objective, point).dense()
    x, residual = point.theta, point.gradient
    solved = kronecker.solve(residual)
    search, apart = -solved, 0.0
    for _ in range(5):
        alpha = residual.dot(solved) / search.dot(hessian @ search)
        x, after = x + alpha * search, residual + alpha * hessian @ search
        fresh = kronecker.solve(after)
        search = after.dot(fresh) / residual.dot(solved) * search - fresh
        residual, solved = after, fresh
        stepper.step()
        apart = max(apart, float((stepper.point.theta - x).abs().max()))
    return near(apart, 0, 1e-12)

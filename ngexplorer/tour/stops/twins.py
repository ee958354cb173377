"""Sigmoid against tanh, whitened against raw inputs: networks that compute the same, and who notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.curvature import KFAC, Diagonal, Fisher, GaussNewton, Hessian
from ngexplorer.tour.checks import Outcome, at_least, near
from ngexplorer.tour.problems import drawn, gap, regression
from ngexplorer.tour.stop import Stop

stop = Stop("twins", "Sigmoid or tanh, raw or whitened: who notices")

Direction = Callable[[ngx.Objective, ngx.Point], Tensor]
"""B⁻¹∇h at a point"""


def _tanh() -> ngx.Objective:
    return regression(3, 4, 2, cases=60)


def _sigmoid() -> ngx.Objective:
    """Its twin: tanh(s) = 2σ(2s) − 1, so W₁ and b₁ are doubled, W₂ too, and b₂ takes what is left."""
    original: Any = _tanh()
    first, _, last = original.model
    model: Any = regression(3, 4, 2, cases=60, activation=nn.Sigmoid).model
    with torch.no_grad():
        model[0].weight.copy_(2 * first.weight)
        model[0].bias.copy_(2 * first.bias)
        model[2].weight.copy_(2 * last.weight)
        model[2].bias.copy_(last.bias - last.weight.sum(1))
    return ngx.Objective(model, original.loss, original.inputs, original.targets)


def _mixed_inputs() -> ngx.Objective:
    """The tanh network on inputs Cx + c, its first layer undoing that."""
    original: Any = _tanh()
    matrix, offset = drawn(3, 3, seed=10) + 2 * torch.eye(3).double(), drawn(3, seed=11)
    model: Any = regression(3, 4, 2, cases=60).model
    with torch.no_grad():
        model[0].weight.copy_(original.model[0].weight @ torch.linalg.inv(matrix))
        model[0].bias.copy_(original.model[0].bias - model[0].weight @ offset)
    return ngx.Objective(model, original.loss, original.inputs @ matrix.T + offset, original.targets)


def _apart(twin: ngx.Objective, direction: Direction) -> float:
    """How far the outputs are apart after a step of each network, in share of how far they moved."""
    ends, start = [], _tanh().outputs(_tanh().initial_parameters)
    for objective in (_tanh(), twin):
        point = objective.at(objective.initial_parameters)
        ends.append(objective.outputs(point.theta - 0.5 * direction(objective, point)))
    return gap(ends[1] - start, ends[0] - start)


def _natural(objective: ngx.Objective, point: ngx.Point) -> Tensor:
    return Fisher(objective, point).solve(point.gradient)


@stop.claim("Sigmoid for tanh: the outputs before any step; largest difference", "§12")
def twins_are_twins() -> Outcome:
    one, other = _tanh(), _sigmoid()
    return near(gap(other.outputs(other.initial_parameters), one.outputs(one.initial_parameters)), 0, 1e-12)


@stop.claim("Sigmoid for tanh: natural gradient does not notice; how far the outputs' moves differ", "§12")
def natural_gradient_units() -> Outcome:
    return near(_apart(_sigmoid(), _natural), 0, 1e-8)


@stop.claim("Sigmoid for tanh: nor does undamped Newton, the map being affine", "§12")
def newton_units() -> Outcome:
    def step(objective: ngx.Objective, point: ngx.Point) -> Tensor:
        return torch.linalg.solve(Hessian(objective, point).dense(), point.gradient)

    return near(_apart(_sigmoid(), step), 0, 1e-6)


@stop.claim("Sigmoid for tanh: nor does Gauss-Newton", "§12")
def gauss_newton_units() -> Outcome:
    return near(_apart(_sigmoid(), lambda o, p: GaussNewton(o, p).solve(p.gradient)), 0, 1e-8)


def _kronecker(objective: ngx.Objective, point: ngx.Point) -> Tensor:
    return KFAC(objective, point, labels="exact", tikhonov="exact").solve(point.gradient)


@stop.claim("Sigmoid for tanh: nor does undamped K-FAC", "Martens and Grosse 2015, §10")
def kfac_units() -> Outcome:
    return near(_apart(_sigmoid(), _kronecker), 0, 1e-8)


@stop.claim("Sigmoid for tanh: gradient descent does", "§12")
def gradient_descent_units() -> Outcome:
    return at_least(_apart(_sigmoid(), lambda o, p: p.gradient), 0.1)


@stop.claim("Sigmoid for tanh: natural gradient with λ = 0.1 does", "§12")
def damped_units() -> Outcome:
    return at_least(_apart(_sigmoid(), lambda o, p: Fisher(o, p).solve(p.gradient, 0.1)), 0.01)


@stop.claim("Sigmoid for tanh: the diagonal of F does", "§12")
def diagonal_units() -> Outcome:
    return at_least(_apart(_sigmoid(), lambda o, p: Diagonal(Fisher(o, p)).solve(p.gradient, 1e-6)), 0.1)


@stop.claim("Inputs Cx + c for x: natural gradient does not notice", "§12")
def natural_gradient_inputs() -> Outcome:
    return near(_apart(_mixed_inputs(), _natural), 0, 1e-8)


@stop.claim("Inputs Cx + c for x: nor does undamped K-FAC", "Martens and Grosse 2015, §10")
def kfac_inputs() -> Outcome:
    return near(_apart(_mixed_inputs(), _kronecker), 0, 1e-8)


@stop.claim("Inputs Cx + c for x: gradient descent does", "§12")
def gradient_descent_inputs() -> Outcome:
    return at_least(_apart(_mixed_inputs(), lambda o, p: p.gradient), 0.1)

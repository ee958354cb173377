"""The generalized Gauss-Newton matrix: the Hessian without the network's own bend."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.curvature import EmpiricalFisher, GaussNewton, Hessian
from ngexplorer.tour.checks import Outcome, at_least, at_most, near
from ngexplorer.tour.problems import classifier, drawn, gap, mlp, regression, tensor
from ngexplorer.tour.stop import Stop

stop = Stop("gauss-newton", "The Hessian without its second term")


def _pair(objective: ngx.Objective, theta: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """H and G, (P, P) each."""
    at = objective.initial_parameters if theta is None else theta
    return Hessian(objective, at).dense(), GaussNewton(objective, at).dense()


@stop.claim("z = b·a·x, a = 0.7, b = −1.3, x = 2, y = 0.4: G = [[b²x², abx²], [·, a²x²]]", "§8")
def two_weights_gauss_newton() -> Outcome:
    return near(_pair(_two_weights())[1], (6.76, -3.64, -3.64, 1.96), 1e-10)


@stop.claim("z = b·a·x: H − G = [[0, xr], [xr, 0]], r = bax − y", "§8")
def two_weights_second_term() -> Outcome:
    hessian, gauss_newton = _pair(_two_weights())
    return near(hessian - gauss_newton, (0, -4.44, -4.44, 0), 1e-10)


def _two_weights() -> ngx.Objective:
    model = mlp(1, 1, 1, activation=nn.Identity, bias=False)
    nn.utils.vector_to_parameters(tensor(0.7, -1.3), model.parameters())
    return ngx.Objective(model, ngx.losses.SquaredError(), tensor(2.0)[:, None], tensor(0.4)[:, None])


@stop.claim("This stop's network at θ = 0: G is the zero matrix; its largest entry", "§8")
def gauss_newton_at_the_saddle() -> Outcome:
    return near(_pair(*_saddle())[1].abs().max(), 0, 1e-14)


@stop.claim("This stop's network at θ = 0: H has the eigenvalues ∓c, c = E[input · target]", "§8")
def hessian_at_the_saddle() -> Outcome:
    objective, origin = _saddle()
    inputs: Any = objective.inputs
    c = float((inputs * objective.targets).mean())
    return near(Hessian(objective, origin).eigenvalues(), (-c, c), 1e-12)


def _saddle() -> tuple[ngx.Objective, Tensor]:
    objective = stop.experiment().objective()
    return objective, torch.zeros_like(objective.initial_parameters)


@stop.claim("A tanh classifier at its start: the lowest eigenvalue of G, over the highest", "§8.1")
def gauss_newton_is_positive() -> Outcome:
    objective = classifier(3, 4, 3)
    eigenvalues = GaussNewton(objective, objective.initial_parameters).eigenvalues()
    return at_least(eigenvalues[0] / eigenvalues[-1], 0, 1e-12)


@stop.claim("A tanh classifier at its start: the lowest eigenvalue of H, over the highest", "§8.1")
def hessian_is_not() -> Outcome:
    objective = classifier(3, 4, 3)
    eigenvalues = Hessian(objective, objective.initial_parameters).eigenvalues()
    return at_most(eigenvalues[0] / eigenvalues[-1], -0.01)


@stop.claim("A loss that is not convex in z, Student's t with outliers: the lowest eigenvalue of G", "§8.1")
def convexity_is_needed() -> Outcome:
    loss = ngx.losses.StudentT(degrees=1.0)
    objective = ngx.Objective(mlp(3, 1), loss, drawn(20, 3, seed=2), 10 * drawn(20, 1, seed=3))
    return at_most(GaussNewton(objective, objective.initial_parameters).eigenvalues()[0], -1e-4)


def _blocks(activation: type[nn.Module]) -> float:
    """How much H and G differ in the blocks of one weight matrix or bias with itself."""
    objective = classifier(3, 4, 3, activation=activation)
    hessian, gauss_newton = _pair(objective)
    difference, at, largest = (hessian - gauss_newton).abs(), 0, 0.0
    for size in (12, 4, 12, 3):
        largest = max(largest, float(difference[at : at + size, at : at + size].max()))
        at += size
    return largest


@stop.claim("ReLU: H and G agree in every layer's own block, away from kinks; largest difference", "§8")
def relu_blocks() -> Outcome:
    return near(_blocks(nn.ReLU), 0, 1e-8)


@stop.claim("tanh: H and G do not agree there; largest difference", "§8")
def tanh_blocks() -> Outcome:
    return at_least(_blocks(nn.Tanh), 1e-3)


def _fitted() -> ngx.Objective:
    """Targets that the network meets exactly."""
    plain = regression(3, 4, 2)
    theta = plain.initial_parameters
    return ngx.Objective(plain.model, plain.loss, plain.inputs, plain.outputs(theta))


@stop.claim("No residuals: H = G; largest difference", "§8")
def without_residuals() -> Outcome:
    return near(gap(*_pair(_fitted())), 0, 1e-10)


@stop.claim("No residuals: the empirical Fisher is 0; its largest entry", "§11")
def without_residuals_no_empirical_fisher() -> Outcome:
    objective = _fitted()
    return near(EmpiricalFisher(objective, objective.initial_parameters).dense().abs().max(), 0, 1e-20)


@stop.claim("No residuals: the trace of G is not 0", "§11")
def without_residuals_a_gauss_newton_matrix() -> Outcome:
    objective = _fitted()
    return at_least(GaussNewton(objective, objective.initial_parameters).trace(), 0.1)

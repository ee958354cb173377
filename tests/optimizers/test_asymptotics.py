"""Stochastic descent on a quadratic (Martens 2020, §14): the optimizer makes the chain θ₊ = θ − α_k B⁻¹(∇h + ξ_k).

What such chains come to on average, E19 to E23, is tested with the tour's ensembles.
"""

import math

import msgspec
import pytest
import torch

import ngexplorer as ngx
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.optimizers import Optimizer, make, parts


@pytest.fixture(scope="module")
def regression(draws):
    """Least squares of a linear network, H = XᵀX/N, and as many noise vectors as steps."""
    x, y = draws(12, 3, seed=5), draws(12, 1, seed=6)
    module = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(draws(1, 3, seed=7))
    return ngx.Objective(module, SquaredError(), x, y), draws(40, 3, seed=8)


def noisy(objective, xi):
    """The same quadratic with ξ added to its gradient: targets moved by −N X(XᵀX)⁻¹ξ."""
    x, n = objective.inputs, objective.cases
    moved = objective.targets - n * (x @ torch.linalg.solve(x.T @ x, xi))[:, None]
    return ngx.Objective(objective.model, objective.loss, x, moved)


@pytest.mark.parametrize(
    ("optimizer", "newton", "a"),
    [
        (make("gradient-descent", learning_rate=0.3), False, None),
        (make("natural-gradient", learning_rate=0.3, damping="none"), True, None),
        (
            make(
                "natural-gradient",
                learning_rate=0.25,
                damping="none",
                step={"name": "schedule", "shape": "1/k", "steps": 4},
            ),
            True,
            3,
        ),
        (Optimizer(learning_rate=1 / 11, step=parts.Schedule(shape="1/k", steps=11)), False, 10),
    ],
    ids=["fixed, B = I", "fixed, B = H", "1/(k + 4), B = H", "1/(k + 11), B = I"],
)
def test_the_stepper_given_the_noise_makes_the_chain(optimizer, newton, a, regression):
    """Each step sees the gradient with its own ξ_k; θ_k and Polyak's average of what it visits are the chain's."""
    objective, noise = regression
    hessian = ngx.curvature.Hessian(objective, objective.initial_parameters).dense()
    inverse = torch.linalg.inv(hessian) if newton else torch.eye(3).double()
    theta = objective.initial_parameters
    stepper = msgspec.structs.replace(optimizer, averaging=parts.Polyak()).start(objective)
    visited = [theta]
    for k, xi in enumerate(noise):
        rate = 0.3 if a is None else 1 / (k + a + 1)
        theta = theta - rate * inverse @ (objective.gradient(theta) + xi)
        stepper.point = noisy(objective, xi).at(stepper.point.theta)
        step = stepper.step()
        assert step.learning_rate == pytest.approx(rate, rel=1e-14)
        torch.testing.assert_close(stepper.point.theta, theta, rtol=1e-10, atol=1e-12)
        visited.append(theta)
    torch.testing.assert_close(stepper.result.theta, torch.stack(visited).mean(0), rtol=1e-10, atol=1e-12)
    assert math.isfinite(step.loss_after)

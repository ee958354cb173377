"""Natural gradient as a flow: what one step and many small ones do in the parametrizations of a Gaussian, and how
closely the geodesic correction and the midpoint follow the flow that no parametrization changes."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ngexplorer as ngx
from ngexplorer.curvature import Fisher, IndefiniteError
from ngexplorer.objectives.landscapes import Beale, GaussianLikelihood
from ngexplorer.objectives.losses import GaussianNLL, SoftmaxCrossEntropy
from ngexplorer.objectives.reparametrizations import gaussian_map
from ngexplorer.optimizers import Optimizer, make, parts
from ngexplorer.optimizers.geodesic import christoffel
from ngexplorer.settings import SettingError

PARAMETRIZATIONS = ["variance", "log-variance", "precision", "natural", "mean"]
TARGET = torch.tensor([1.0, 1.25], dtype=torch.float64)
"""T̄: the answers' mean and mean square, ȳ = 1 and s² = ¼"""


def gaussian(parametrization):
    data = GaussianLikelihood()
    loss, cases = GaussianNLL(parametrization=parametrization), data.load()
    return ngx.Objective(data.network(loss), loss, cases.inputs, cases.targets)


def moments(theta, parametrization):
    """θ as (E y, E y²)."""
    return theta if parametrization == "mean" else gaussian_map(parametrization, "mean").forward(theta)


def natural_gradient(rate, correction):
    return Optimizer(learning_rate=rate, curvature=parts.Fisher(), correction=correction)


@pytest.mark.parametrize(
    ("parametrization", "expected"),
    [
        ("variance", (1, 1.25)),
        ("log-variance", (1, math.exp(0.25))),
        ("precision", (1, 4 / 3)),
        ("natural", (4 / 3, 4 / 3)),
        ("mean", (1, 0.25)),
    ],
)
def test_e15_one_whole_step_ends_elsewhere_in_every_parametrization(parametrization, expected, close):
    """From N(0, 1), α = 1, undamped: (μ, v). Only in mean parameters is it the optimum."""
    stepper = natural_gradient(1.0, parts.Euler()).start(gaussian(parametrization))
    stepper.step()
    theta = stepper.point.theta
    found = theta if parametrization == "variance" else gaussian_map(parametrization, "variance").forward(theta)
    close(found, torch.tensor(expected, dtype=torch.float64))


def path_end(parametrization, rate, steps, correction=None):
    stepper = natural_gradient(rate, correction or parts.Euler()).start(gaussian(parametrization))
    for _ in range(steps):
        stepper.step()
    return moments(stepper.point.theta, parametrization)


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_e16_small_steps_follow_the_flow_in_mean_parameters(parametrization):
    """m(t) = T̄ + e^(−t)(m₀ − T̄), m₀ = (0, 1): the error at t = 1 halves with the step."""
    flow = TARGET + math.exp(-1) * (torch.tensor([0.0, 1.0]).double() - TARGET)
    gaps = [float((path_end(parametrization, 1 / n, n) - flow).abs().max()) for n in (64, 128, 256)]
    assert gaps[-1] < 0.004
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(1, abs=0.1)
    assert np.log2(gaps[1] / gaps[2]) == pytest.approx(1, abs=0.05)


def test_e16_in_mean_parameters_each_step_shrinks_the_way_to_the_answers_by_one_minus_alpha(close):
    close(path_end("mean", 0.1, 7), TARGET + 0.9**7 * (torch.tensor([0.0, 1.0]).double() - TARGET))


@pytest.fixture(scope="module")
def ends():
    """(E y, E y²) at t = 1 for every correction, parametrization and number of steps."""
    numbers = (16, 32, 64)
    corrections = {"euler": parts.Euler(), "geodesic": parts.Geodesic(), "midpoint": parts.Midpoint()}
    return {
        (name, p): [path_end(p, 1 / n, n, correction) for n in numbers]
        for name, correction in corrections.items()
        for p in PARAMETRIZATIONS
    }


def slope(gaps):
    """By how many powers of two the gap falls when the step is halved, at the smallest steps."""
    return math.log2(gaps[-2] / gaps[-1])


@pytest.mark.parametrize("pair", list(combinations(PARAMETRIZATIONS, 2)), ids=" ".join)
def test_e17_how_fast_the_gap_between_two_parametrizations_closes(pair, ends):
    """Euler 1; geodesic-corrected at least 2; midpoint 2 (T = 1, steps of 1/16, 1/32, 1/64)."""

    def slopes(name):
        one, other = (ends[name, p] for p in pair)
        return slope([float((a - b).abs().max()) for a, b in zip(one, other, strict=True)])

    assert slopes("euler") == pytest.approx(1, abs=0.2)
    assert slopes("geodesic") > 1.8
    assert slopes("midpoint") > 1.8


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_e17_the_error_against_the_flow(parametrization, ends):
    """The geodesic correction agrees between parametrizations, not with the flow: slope 1. The midpoint: slope 2."""
    flow = TARGET + math.exp(-1) * (torch.tensor([0.0, 1.0]).double() - TARGET)

    def slopes(name):
        return slope([float((end - flow).abs().max()) for end in ends[name, parametrization]])

    assert slopes("euler") == pytest.approx(1, abs=0.25)
    assert slopes("geodesic") == pytest.approx(1, abs=0.25)
    assert slopes("midpoint") == pytest.approx(2, abs=0.25)


# Γ


def by_differences(objective, theta, direction, step=1e-5):
    """(D_δF)δ − ½∇_θ(δᵀFδ) by central differences of the dense F."""

    def fisher(at):
        return Fisher(objective, at).dense()

    along = (fisher(theta + step * direction) - fisher(theta - step * direction)) @ direction / (2 * step)
    slope = torch.empty_like(theta)
    for i, e in enumerate(torch.eye(len(theta)).double()):
        up, down = fisher(theta + step * e), fisher(theta - step * e)
        slope[i] = direction @ (up - down) @ direction / (2 * step)
    return along - 0.5 * slope


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_christoffel_symbols_of_the_gaussians_are_those_of_finite_differences(parametrization, draws):
    objective = gaussian(parametrization)
    point = objective.at(objective.initial_parameters)
    for seed in range(3):
        direction = draws(2, seed=seed)
        expected = by_differences(objective, point.theta, direction)
        torch.testing.assert_close(christoffel(point, direction), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_christoffel_symbols_of_a_network_have_the_metric_of_the_outputs_in_them(decay, mlp, objective_of, draws):
    """F_R depends on z for softmax; weight decay's ηI is the same everywhere."""
    objective = objective_of(mlp(3, 3, 3), SoftmaxCrossEntropy(), cases=6, weight_decay=decay)
    point = objective.at(objective.initial_parameters)
    direction = draws(objective.parameters)
    expected = by_differences(objective, point.theta, direction)
    torch.testing.assert_close(christoffel(point, direction), expected, rtol=1e-5, atol=1e-7)


@given(scale=st.floats(-3, 3), seed=st.integers(0, 20))
def test_christoffel_symbols_are_quadratic_in_the_direction(scale, seed, draws):
    objective = gaussian("variance")
    point = objective.at(objective.initial_parameters)
    direction = draws(2, seed=seed)
    torch.testing.assert_close(
        christoffel(point, scale * direction), scale**2 * christoffel(point, direction), rtol=1e-10, atol=1e-12
    )


def test_the_geodesic_step_is_the_two_systems_solved(mlp, objective_of):
    """δ = δ₁ − ½δ₂ with (F + λI)δ₁ = −α∇h and (F + λI)δ₂ = Γ(δ₁, δ₁)."""
    objective = objective_of(mlp(3, 3, 3), SoftmaxCrossEntropy(), cases=20)
    damping = {"name": "constant", "value": 0.5}
    stepper = make("natural-gradient-geodesic", learning_rate=0.3, damping=damping).start(objective)
    point = stepper.point
    step = stepper.step()
    damped = Fisher(objective, point).dense() + 0.5 * torch.eye(objective.parameters).double()
    first = -0.3 * torch.linalg.solve(damped, point.gradient)
    second = torch.linalg.solve(damped, christoffel(point, first))
    delta = first - 0.5 * second
    assert float(torch.linalg.vector_norm(second)) > 1e-4
    torch.testing.assert_close(stepper.point.theta - point.theta, delta, rtol=1e-8, atol=1e-12)
    fisher = damped - 0.5 * torch.eye(objective.parameters).double()
    assert step.predicted_change == pytest.approx(float(point.gradient @ delta + 0.5 * delta @ fisher @ delta))


def test_a_correction_longer_than_the_step_is_left_out(draws):
    """A long step in (μ, v) towards v = 0: the series says nothing there."""
    objective = gaussian("variance")
    theta = torch.tensor([3.0, 0.05], dtype=torch.float64)
    stepper = natural_gradient(2.0, parts.Geodesic()).start(objective, theta)
    plain = natural_gradient(2.0, parts.Euler()).start(objective, theta)
    stepper.step()
    plain.step()
    assert torch.equal(stepper.point.theta, plain.point.theta)


# The midpoint


def test_the_midpoints_step_has_the_gradient_and_the_metric_of_half_a_step_ahead(mlp, objective_of):
    objective = objective_of(mlp(3, 3, 3), SoftmaxCrossEntropy(), cases=20)
    damping = {"name": "constant", "value": 0.5}
    for step_rule, rate in (("fixed", 0.3), ("model-minimum", None)):
        stepper = make("natural-gradient-midpoint", learning_rate=0.3, damping=damping, step=step_rule).start(objective)
        point = stepper.point
        step = stepper.step()
        eye = 0.5 * torch.eye(objective.parameters).double()
        rate = step.learning_rate
        half = -0.5 * rate * torch.linalg.solve(Fisher(objective, point).dense() + eye, point.gradient)
        middle = objective.at(point.theta + half)
        expected = -rate * torch.linalg.solve(Fisher(objective, middle).dense() + eye, middle.gradient)
        torch.testing.assert_close(stepper.point.theta - point.theta, expected, rtol=1e-8, atol=1e-12)


def test_a_hessian_that_is_indefinite_half_a_step_ahead_is_noticed(landscape):
    """Positive definite where the step begins and not where it looks: more damping, or an error that says so."""
    objective = landscape(Beale())
    theta = torch.tensor([2.0, 0.35], dtype=torch.float64)
    hessian = ngx.curvature.Hessian(objective, theta)
    newton = -hessian.solve(objective.gradient(theta))
    found = None
    for rate in np.geomspace(0.1, 50, 60):
        ahead = ngx.curvature.Hessian(objective, theta + 0.5 * rate * newton)
        if float(ahead.eigenvalues()[0]) < -0.01:
            found = float(rate)
            break
    assert float(hessian.eigenvalues()[0]) > 0
    assert found is not None
    settings = {"correction": "midpoint", "learning_rate": found}
    with pytest.raises(IndefiniteError, match="not positive definite"):
        make("newton", damping="none", **settings).start(objective, theta).step()
    step = make("newton", damping={"initial": 1e-6}, **settings).start(objective, theta).step()
    assert step.rejected_trials > 0
    assert step.loss_after <= step.loss_before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": "heavy-ball"}, "without momentum"),
        ({"momentum": "gradient-average"}, "without momentum"),
        ({"damping": "trust-region"}, "Trust region bounds the step"),
        ({"damping": "cubic"}, "Cubic regularization bounds the step"),
        ({"curvature": {"name": "kfac"}}, "cannot be taken at another point"),
        ({"step": "armijo"}, "goes along the direction alone"),
    ],
)
def test_what_a_midpoint_does_not_go_with(settings, message):
    with pytest.raises(SettingError, match=message):
        make("natural-gradient-midpoint", **settings)

"""Damping: Levenberg and Marquardt's rule, its rejections, and what cannot be damped."""

import numpy as np
import pytest
import torch

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled
from ngexplorer.curvature import Hessian, IndefiniteError
from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError
from ngexplorer.optimizers import make, parts
from ngexplorer.settings import SettingError


class Uphill(SquaredError, frozen=True, kw_only=True, tag="uphill"):
    """A loss whose gradient points the wrong way, so that every trial's loss rises."""

    def gradient(self, z, y):
        return -super().gradient(z, y)


class Cliff(SquaredError, frozen=True, kw_only=True, tag="cliff"):
    """A squared error that is infinite where an output has moved by more than 0.1 from 0."""

    def per_case(self, z, y):
        return torch.where(z.abs().amax(1) > 0.1, torch.inf, super().per_case(z, y))


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (0.9, 0.8),
        (0.75, 1.2),
        (0.5, 1.2),
        (0.25, 1.2),
        (0.2, 1.8),
        (-3.0, 1.8),
        (float("-inf"), 1.8),
        (float("nan"), 1.2),
    ],
)
def test_the_damping_follows_the_reduction_ratio(ratio, expected):
    assert parts.LevenbergMarquardt().adapted(1.2, ratio) == pytest.approx(expected, rel=1e-14)


def test_the_damping_stays_between_floor_and_ceiling():
    rule = parts.LevenbergMarquardt(floor=0.5, ceiling=2.0)
    assert rule.adapted(0.6, 1.0) == 0.5
    assert rule.adapted(1.9, 0.0) == 2.0


def first_rejection(objective, name="newton", initial=1e-3, steps=60):
    """The stepper, its point and λ just before the first step that rejected a trial, and that step's record."""
    stepper = make(name, damping={"initial": initial}).start(objective)
    for _ in range(steps):
        point, damping = stepper.point, stepper.damping
        step = stepper.step()
        if step.rejected_trials:
            return stepper, point, damping, step
    raise AssertionError("no trial was rejected")


def test_a_rejected_trial_quadruples_the_damping_until_the_loss_falls(rosenbrock_at):
    objective = rosenbrock_at()
    _, point, before, step = first_rejection(objective, "natural-gradient")
    assert step.damping == pytest.approx(before * 4**step.rejected_trials, rel=1e-14)
    assert step.outcome == "accepted after: loss rose"
    gauss_newton = ngx.curvature.GaussNewton(objective, point)
    for k in range(step.rejected_trials + 1):
        delta = -gauss_newton.solve(point.gradient, before * 4**k)
        rose = float(objective.value(point.theta + delta)) > float(point.value)
        assert rose == (k < step.rejected_trials)


def test_an_indefinite_hessian_is_damped_until_it_is_positive_definite(rosenbrock_at):
    """diag(−398, 200) at (0, 1): λ = 1 · 4⁵ = 1024 is the first above 398."""
    stepper = make("newton").start(rosenbrock_at(0.0, 1.0))
    step = stepper.step()
    assert step.lowest_eigenvalue == pytest.approx(-398, rel=1e-12)
    assert step.damping == 1024
    assert step.rejected_trials == 5
    assert step.outcome == "accepted after: not positive definite"
    assert step.loss_after < step.loss_before


def test_a_loss_that_is_not_finite_is_rejected_like_one_that_rose(mlp):
    module = mlp(1, 1, bias=False)
    torch.nn.init.zeros_(module[0].weight)
    one = torch.ones(1, 1, dtype=torch.float64)
    stepper = make("newton").start(ngx.Objective(module, Cliff(), one, one))
    step = stepper.step()
    # δ = 1/(1 + λ) ≤ 0.1 needs λ ≥ 9: λ = 1, 4, 16.
    assert (step.rejected_trials, step.damping) == (2, 16)
    assert step.outcome == "accepted after: loss not finite"
    assert step.step_norm == pytest.approx(1 / 17)


def test_after_ten_retries_there_is_no_step_and_the_point_stays(quadratic):
    plain = quadratic()
    objective = ngx.Objective(plain.model, Uphill(), plain.inputs, plain.targets)
    stepper = make("newton", damping={"initial": 0.5}).start(objective)
    point = stepper.point
    step = stepper.step()
    assert stepper.point is point
    assert step.outcome == "no step: loss rose"
    assert step.rejected_trials == 11
    assert step.damping == stepper.damping == 0.5 * 4**10
    assert step.loss_after == step.loss_before == float(point.value)
    assert np.isnan(step.step_norm)
    history = ngx.run(objective, make("newton"), steps=3)
    assert len(history) == 4
    assert len(set(history["loss"])) == 1


def test_a_step_cancelled_after_a_failed_one_costs_as_much_when_it_is_taken(quadratic):
    plain = quadratic()
    objective = ngx.Objective(plain.model, Uphill(), plain.inputs, plain.targets)
    whole, broken = (make("newton", damping={"initial": 0.5}).start(objective) for _ in range(2))
    costs = [whole.step().step_gradient_equivalents for _ in range(2)]
    assert broken.step().step_gradient_equivalents == costs[0]
    with pytest.raises(Cancelled):
        broken.step(lambda: True)
    assert broken.step().step_gradient_equivalents == costs[1]
    assert costs[1] < costs[0]  # gradient and matrix are there already


def test_the_retries_stop_at_the_ceiling(quadratic):
    plain = quadratic()
    objective = ngx.Objective(plain.model, Uphill(), plain.inputs, plain.targets)
    stepper = make("newton", damping={"initial": 0.5, "ceiling": 10.0}).start(objective)
    assert stepper.step().damping == 10


@pytest.mark.parametrize("solver", ["cholesky", "conjugate-gradient"])
@pytest.mark.parametrize("damping", ["none", {"name": "constant", "value": 5.0}])
def test_constant_damping_of_an_indefinite_hessian_raises_with_the_lowest_eigenvalue(solver, damping, rosenbrock_at):
    objective = rosenbrock_at(0.0, 1.0)
    stepper = make("newton", damping=damping, solver=solver).start(objective)
    with pytest.raises(IndefiniteError, match=r"Hessian \+ .*I is not positive definite") as caught:
        stepper.step()
    lowest = float(Hessian(objective, objective.initial_parameters).eigenvalues()[0])
    if solver == "cholesky":
        assert caught.value.lowest_eigenvalue == pytest.approx(lowest)
        assert caught.match("lowest eigenvalue is -398")
    else:  # a bound from above: some direction bends this much
        assert lowest - 1e-9 <= caught.value.lowest_eigenvalue < -5 * (damping != "none")
        assert caught.match("lowest eigenvalue is at most -")
    assert torch.equal(stepper.point.theta, objective.initial_parameters)


def test_constant_damping_is_the_damping_of_every_step(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy())
    history = ngx.run(objective, make("natural-gradient", damping={"name": "constant", "value": 0.3}), steps=6)
    assert (history["damping"][1:] == 0.3).all()


def test_undamped_steps_that_raise_the_loss_are_taken(rosenbrock_at):
    """Gauss-Newton solves Rosenbrock in two steps, the first of them up the wall."""
    history = ngx.run(rosenbrock_at(), make("gauss-newton", damping="none"), steps=2)
    assert history["loss"][1] > history["loss"][0]
    assert history["loss"][2] < 1e-20


@pytest.mark.parametrize("name", ["newton", "gauss-newton", "natural-gradient"])
def test_levenberg_marquardt_never_lets_the_loss_rise(name, rosenbrock_at):
    loss = ngx.run(rosenbrock_at(), make(name), steps=150)["loss"]
    assert (np.diff(loss) <= 1e-15).all()
    assert loss[-1] < 1e-6


# Edits


@pytest.mark.parametrize(
    ("path", "value"),
    [("damping.initial", 7.0), ("damping", {"name": "constant", "value": 7.0}), ("damping", {"name": "none"})],
)
def test_an_edit_of_the_damping_sets_it_for_the_next_step(path, value, quadratic):
    stepper = make("newton").start(quadratic())
    stepper.step()
    stepper.edit(path, value)
    expected = 0.0 if value == {"name": "none"} else 7.0
    assert stepper.step().damping == expected


def test_an_edit_of_the_rule_keeps_the_damping_where_it_is(quadratic):
    stepper = make("newton").start(quadratic())
    stepper.step()
    before = stepper.damping
    stepper.edit("damping.factor", 0.1)
    assert stepper.step().damping == before
    assert stepper.damping == pytest.approx(0.1 * before)


def test_an_edit_of_the_learning_rate_takes_effect_at_the_next_step(quadratic, close):
    stepper = make("gradient-descent", learning_rate=0.1).start(quadratic())
    stepper.step()
    stepper.edit("learning_rate", 0.3)
    theta, gradient = stepper.point.theta, stepper.point.gradient
    assert stepper.step().learning_rate == 0.3
    close(stepper.point.theta, theta - 0.3 * gradient)


def test_an_edit_of_the_momentum_keeps_the_last_step(quadratic, close):
    stepper = make("heavy-ball").start(quadratic())
    start = stepper.point.theta
    stepper.step()
    theta, gradient = stepper.point.theta, stepper.point.gradient
    stepper.edit("momentum.coefficient", 0.2)
    stepper.step()
    close(stepper.point.theta, theta - 0.1 * gradient + 0.2 * (theta - start))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("learning_rate", -1.0, "learning_rate: -1.0 is not accepted; a number > 0 is needed"),
        ("learning_rate", "fast", "learning_rate: 'fast' is not accepted; a number is needed"),
        ("damping.initial", 0.0, "damping.initial: 0.0 is not accepted; a number > 0"),
        ("damping.value", 1.0, "damping.value: newton has no such setting"),
        ("learning_rate.x", 1.0, "learning_rate.x: newton has no such setting"),
        ("curvature", {"name": "identity"}, "Identity has no matrix to damp"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(path, value, message, quadratic):
    stepper = make("newton").start(quadratic())
    before = stepper.optimizer
    with pytest.raises(SettingError, match=message):
        stepper.edit(path, value)
    assert stepper.optimizer is before
    assert stepper.damping == 1.0

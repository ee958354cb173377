"""What goes wrong is more damping or an end that says why, never a crash and never a wrong number."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ngexplorer as ngx
from ngexplorer.curvature import IndefiniteError
from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError
from ngexplorer.optimizers import RECIPES, make, parts


class Cliff(SquaredError, frozen=True, kw_only=True, tag="cliff-2"):
    """A squared error that is infinite where an output is above 0.1."""

    def per_case(self, z, y):
        return torch.where(z.amax(1) > 0.1, torch.inf, super().per_case(z, y))


class Lying(SquaredError, frozen=True, kw_only=True, tag="lying"):
    """A squared error whose gradient points uphill: every direction is one without decrease."""

    def gradient(self, z, y):
        return -super().gradient(z, y)


@pytest.fixture
def cliff():
    """h = ½(1 − θ)² up to θ = 0.1, from θ = 0: the minimum is behind a wall."""
    module = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(module.weight)
    one = torch.ones(1, 1, dtype=torch.float64)
    return ngx.Objective(module, Cliff(), one, one)


REJECTING = [
    name
    for name, recipe in RECIPES.items()
    if isinstance(recipe.damping, parts.LevenbergMarquardt | parts.TrustRegion | parts.Cubic)
    or isinstance(recipe.step, parts.Armijo | parts.Wolfe)
]


@pytest.mark.parametrize("name", REJECTING)
def test_no_rule_that_rejects_goes_where_the_loss_is_not_finite(name, cliff):
    stepper = make(name).start(cliff)
    for _ in range(12):
        before = float(stepper.point.value)
        step = stepper.step()
        assert math.isfinite(step.loss_after)
        assert step.loss_after <= before
        assert float(stepper.point.theta) <= 0.1
    assert float(stepper.point.theta) > 0


@pytest.mark.parametrize("name", REJECTING)
def test_where_nothing_helps_the_step_is_none_and_the_next_one_can_be_taken(name, quadratic):
    plain = quadratic()
    lying = ngx.Objective(plain.model, Lying(), plain.inputs, plain.targets)
    stepper = make(name).start(lying)
    start = float(stepper.point.value)
    for k in range(3):
        step = stepper.step()
        assert step.outcome.startswith("no step: ") or step.step_norm < 1e-12  # so short that the rise is rounding
        assert float(stepper.point.value) == pytest.approx(start, rel=1e-14)
        assert step.step_gradient_equivalents > (k == 0)
        assert step.rejected_trials > 0 or "no step" not in step.outcome


@pytest.mark.parametrize("momentum", ["heavy-ball", "nesterov"])
def test_momentum_that_leads_uphill_is_dropped(momentum, rosenbrock_at):
    """However small the new direction, the old one alone raises the loss: without forgetting it no step ever would."""
    stepper = make("newton", momentum=momentum).start(rosenbrock_at())
    outcomes = [stepper.step().outcome for _ in range(60)]
    stuck = [outcome.startswith("no step") for outcome in outcomes]
    assert any(stuck)
    assert not any(a and b for a, b in pairwise(stuck))


def test_a_hessian_that_is_not_a_number_is_rejected_too():
    """½|θ|³ from its kink: the model |θ|^1.5 has no second derivative there, but the loss is finite."""

    class Kink(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))

        def forward(self, x):
            return (x * self.w).abs().pow(1.5)

    x = torch.ones(1, 1, dtype=torch.float64)
    objective = ngx.Objective(Kink(), SquaredError(), x, 0 * x)
    stepper = make("newton").start(objective, torch.zeros(1, dtype=torch.float64))
    step = stepper.step()
    assert math.isfinite(step.loss_after)


# λ


def test_a_schedule_of_the_damping_is_its_formula_and_known_before_each_step(quadratic):
    rule = {"name": "schedule", "initial": 2.0, "factor": 0.5, "floor": 0.1}
    stepper = make("gauss-newton", damping=rule).start(quadratic())
    for k in range(8):
        expected = max(2.0 * 0.5**k, 0.1)
        assert stepper.damping == expected
        assert stepper.step().damping == expected


@pytest.mark.parametrize("every", [1, 3, 5])
def test_lambda_changes_every_so_many_steps(every, quadratic):
    """On a quadratic ρ = 1: λ·ω at every T-th step (K-FAC's T₁)."""
    rule = {"factor": 0.5, "every": every}
    history = ngx.run(quadratic(5), make("gauss-newton", damping=rule), steps=8)
    np.testing.assert_allclose(history["damping"][1:], 0.5 ** (np.arange(8) // every))


@given(
    damping=st.floats(1e-12, 1e12),
    ratio=st.floats(allow_nan=True, allow_infinity=True),
    factor=st.floats(0.01, 0.99),
    floor=st.floats(1e-12, 1.0),
    ceiling=st.floats(1.0, 1e12),
)
def test_the_rule_of_levenberg_and_marquardt(damping, ratio, factor, floor, ceiling):
    """Within bounds it never moves against ρ, and only beyond ¼ and ¾."""
    rule = parts.LevenbergMarquardt(factor=factor, floor=floor, ceiling=ceiling)
    after = rule.adapted(damping, ratio)
    assert floor <= after <= ceiling
    if floor <= damping <= ceiling:
        if ratio > 0.75:
            assert after == max(damping * factor, floor)
        elif ratio < 0.25:
            assert after == min(damping / factor, ceiling)
        else:
            assert after == damping


def test_lambda_at_its_floor_or_ceiling_is_said(quadratic):
    stepper = make("gauss-newton", damping={"initial": 0.3, "factor": 0.5, "floor": 0.1}).start(quadratic(5))
    said = [stepper.step().outcome for _ in range(3)]
    assert said == ["accepted", "accepted; λ at its floor", "accepted; λ at its floor"]
    plain = quadratic()
    lying = ngx.Objective(plain.model, Lying(), plain.inputs, plain.targets)
    step = make("gauss-newton", damping={"initial": 0.5, "ceiling": 10.0}).start(lying).step()
    assert step.outcome == "no step: loss rose; λ at its ceiling"
    assert step.damping == 10


# float32


@pytest.fixture
def singular(mlp, objective_of):
    """In float32, cases that stand twice and softmax's null vectors: F has rank far below both its sizes."""

    def make_one(widths, cases):
        one = objective_of(mlp(*widths).float(), SoftmaxCrossEntropy(), cases=cases)
        x, y = one.inputs.repeat(2, 1), one.targets.repeat(2)
        return ngx.Objective(one.model, one.loss, x, y)

    return make_one


@pytest.mark.parametrize(
    ("widths", "initial"), [((3, 12, 3), 1e-9), ((3, 4, 3), 1e-7)], ids=["sample space", "cholesky"]
)
def test_damping_lost_in_float32_is_more_damping_and_recorded(widths, initial, singular):
    objective = singular(widths, 4 if widths[1] == 12 else 30)
    step = make("natural-gradient", damping={"initial": initial}).start(objective).step()
    assert step.outcome.startswith("accepted after: ")
    assert step.rejected_trials > 0
    assert step.damping > 1e-8
    assert step.loss_after <= step.loss_before


@pytest.mark.parametrize("widths", [(3, 12, 3), (3, 4, 3)], ids=["sample space", "cholesky"])
def test_constant_damping_lost_in_float32_is_refused_in_one_line(widths, singular):
    objective = singular(widths, 4 if widths[1] == 12 else 30)
    stepper = make("natural-gradient", damping={"name": "constant", "value": 1e-11}).start(objective)
    with pytest.raises(IndefiniteError, match="is not positive definite") as caught:
        stepper.step()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["newton", "gauss-newton", "natural-gradient", "kfac", "ekfac", "hessian-free"])
def test_long_float32_runs_stay_finite_and_never_rise(name, mlp, objective_of):
    """λ falls by ⅔ a step towards what float32 cannot add: rejected trials keep it from harm."""
    objective = objective_of(mlp(3, 5, 3).float(), SoftmaxCrossEntropy(), cases=30, weight_decay=1e-3)
    stepper = make(name).start(objective)
    for _ in range(60):
        step = stepper.step()
        assert math.isfinite(step.loss_after)
        assert step.loss_after <= step.loss_before + 16 * torch.finfo(torch.float32).eps * step.loss_before
    start = float(objective.value(objective.initial_parameters))
    assert float(stepper.point.value) < 0.8 * start


def test_float32_never_inverts_an_undamped_singular_matrix(mlp, objective_of):
    """Softmax regression: F has a null vector for each input and the bias, in float32 of either sign."""
    for seed in range(20):
        objective = objective_of(mlp(3, 4, seed=seed).float(), SoftmaxCrossEntropy(), cases=30, seed=seed + 5)
        stepper = make("natural-gradient", damping="none").start(objective)
        with pytest.raises(IndefiniteError):
            stepper.step()


# What a step leaves behind


def test_the_point_a_step_ends_at_asks_no_one_whether_to_stop(problems):
    """A cancel function that says yes after the step was taken stops nothing that is asked of the point."""
    over = []
    stepper = make("newton").start(problems["two moons"])
    stepper.step(lambda: bool(over))
    over.append(True)
    assert bool(torch.isfinite(stepper.point.gradient).all())
    ngx.curvature.Hessian(stepper.point.objective, stepper.point).dense()


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "torch-optimizer"])  # whose AdamW decays weights
def test_at_a_minimum_nothing_moves_and_nothing_fails(name, mlp):
    """Zero residuals: the gradient is exactly zero, and the empirical Fisher with it."""
    x = torch.eye(3, dtype=torch.float64).repeat(2, 1)
    module = mlp(3, 2, bias=False)
    objective = ngx.Objective(module, SquaredError(), x, module(x).detach())
    stepper = make(name).start(objective)
    for _ in range(2):
        step = stepper.step()
        assert step.outcome == "accepted"
        assert step.step_norm == step.gradient_norm == 0
        assert math.isnan(step.angle)
        assert math.isnan(step.reduction_ratio)
    assert torch.equal(stepper.point.theta, objective.initial_parameters)

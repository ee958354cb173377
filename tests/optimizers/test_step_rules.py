"""How far a step goes: line searches keep their conditions, schedules their formulas, the model's minimum is one."""

import math
import warnings

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

import ngexplorer as ngx
from ngexplorer.cancellation import UNWATCHED, Cancelled, never
from ngexplorer.objectives.point import DEEP
from ngexplorer.optimizers import Optimizer, make, parts
from ngexplorer.optimizers.step_rules import armijo, model_minimum, wolfe


class Curve:
    """h(t) = ½qt² + Σ a sin(bt + c) as an objective of one parameter, and as a point of it."""

    watch = UNWATCHED
    work = 1.0
    costs = DEEP

    def __init__(self, bend, waves, t=0.0):
        self.bend, self.waves = bend, waves
        self.theta = torch.tensor([t], dtype=torch.float64)

    objective = property(lambda self: self)
    value = property(lambda self: torch.tensor(self.h(float(self.theta)), dtype=torch.float64))
    gradient = property(lambda self: torch.tensor([self.slope(float(self.theta))], dtype=torch.float64))

    def h(self, t):
        return 0.5 * self.bend * t**2 + sum(a * math.sin(b * t + c) for a, b, c in self.waves)

    def slope(self, t):
        return self.bend * t + sum(a * b * math.cos(b * t + c) for a, b, c in self.waves)

    def at(self, theta, watch):
        return Curve(self.bend, self.waves, float(theta))


number = st.floats(-3, 3)
curves = st.builds(
    Curve,
    bend=st.floats(0.01, 5),
    waves=st.lists(st.tuples(number, number, number), max_size=4),
    t=st.floats(-3, 3),
)


@given(
    curve=curves,
    length=st.floats(0.01, 10),
    rate=st.floats(0.01, 10),
    decrease=st.sampled_from([1e-4, 1e-2]),
    flattening=st.sampled_from([0.1, 0.5, 0.9]),
)
def test_the_wolfe_search_ends_where_h_has_fallen_and_flattened(curve, length, rate, decrease, flattening):
    start = float(curve.slope(float(curve.theta)))
    if abs(start) < 1e-6:
        return
    direction = torch.tensor([-math.copysign(length, start)], dtype=torch.float64)
    d, t = float(direction), float(curve.theta)
    way = wolfe(curve, direction, rate, parts.Wolfe(decrease=decrease, curvature=flattening, trials=60), never)
    alpha = way.learning_rate

    def holds(a):
        fell = curve.h(t + a * d) <= curve.h(t) + decrease * a * start * d + 1e-14
        return fell and abs(curve.slope(t + a * d) * d) <= -flattening * start * d + 1e-14

    assert alpha > 0
    assert holds(alpha)
    assert float(way.after.theta) == pytest.approx(t + alpha * d, rel=1e-14)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's search gives up now and then
        theirs = scipy.optimize.line_search(
            lambda x: curve.h(float(x[0])),
            lambda x: np.array([curve.slope(float(x[0]))]),
            np.array([t]),
            np.array([d]),
            c1=decrease,
            c2=flattening,
        )[0]
    assert theirs is None or holds(theirs)


def test_the_wolfe_search_goes_further_where_the_start_is_too_short():
    """h = ½(t − 100)²: from α = 1 by doubling to where the slope is a tenth of the first."""
    curve = Curve(1.0, [], t=-100.0)
    way = wolfe(curve, torch.tensor([1.0]).double(), 1.0, parts.Wolfe(curvature=0.1), never)
    assert 90 <= way.learning_rate <= 110
    assert way.looks >= 6


def test_a_wolfe_search_past_a_wall_of_infinity_comes_back():
    class Walled(Curve):
        def h(self, t):
            return super().h(t) if t < 1 else math.inf

        def at(self, theta, watch):
            return Walled(self.bend, self.waves, float(theta))

    curve = Walled(1.0, [], t=-2.0)
    way = wolfe(curve, torch.tensor([1.0]).double(), 1000.0, parts.Wolfe(), never)
    assert 0 < way.learning_rate < 3
    assert float(way.after.value) < float(curve.value)


def test_wolfes_gradient_is_not_paid_twice(problems):
    """A step of L-BFGS that takes the first point it looks at costs one gradient; each look more, one more."""
    stepper = make("l-bfgs").start(problems["rosenbrock"])
    stepper.step()
    costs = [stepper.step().step_gradient_equivalents for _ in range(25)]
    assert min(costs) == pytest.approx(1)
    assert all(cost == pytest.approx(round(cost)) for cost in costs)


@given(curve=curves, rate=st.floats(0.01, 100), decrease=st.sampled_from([1e-4, 0.01, 0.4]))
def test_armijo_takes_the_first_rate_whose_decrease_is_enough(curve, rate, decrease):
    t, slope = float(curve.theta), curve.slope(float(curve.theta))
    if abs(slope) < 1e-6:
        return
    way = armijo(curve, torch.tensor([-slope]).double(), rate, parts.Armijo(decrease=decrease, factor=0.7), never)

    def enough(alpha):
        return curve.h(t - alpha * slope) <= curve.h(t) - decrease * alpha * slope**2

    assert way.learning_rate == pytest.approx(rate * 0.7**way.looks, rel=1e-12)
    assert enough(way.learning_rate)
    assert not any(enough(rate * 0.7**k) for k in range(way.looks) if rate * 0.7**k > 1.001 * way.learning_rate)


@pytest.mark.parametrize("search", [armijo, wolfe])
def test_a_search_is_cancelled_between_two_looks(search, cancel_after):
    rule = parts.Armijo() if search is armijo else parts.Wolfe(curvature=0.01)
    curve = Curve(1.0, [], t=-100.0)
    with pytest.raises(Cancelled):
        search(curve, torch.tensor([1.0]).double(), 1e6, rule, cancel_after(3))


def test_a_direction_without_decrease_is_no_step_and_stays(problems):
    """Newton's direction at Rosenbrock's hill bends down, so that no rate along it lowers h."""
    objective = problems["saddle"]
    optimizer = Optimizer(
        curvature=parts.Hessian(), solver=parts.Eigendecomposition(eigenvalues="pseudo"), step=parts.Armijo()
    )
    theta = torch.tensor([0.1, 1.0], dtype=torch.float64)
    stepper = optimizer.start(objective, theta)
    step = stepper.step()
    assert step.outcome == "no step: no decrease along the direction"
    assert torch.equal(stepper.point.theta, theta)
    assert step.rejected_trials == 1


# Schedules


def test_schedules_are_their_formulas():
    k = np.arange(0, 25)
    factors = {
        shape: np.array([parts.Schedule(shape=shape, steps=10).factor(int(i)) for i in k])
        for shape in ("1/k", "cosine", "warm-up")
    }
    np.testing.assert_allclose(factors["1/k"], 10 / (10 + k), rtol=1e-15)
    np.testing.assert_allclose(factors["cosine"][:11], (1 + np.cos(np.pi * k[:11] / 10)) / 2, atol=1e-15)
    assert (factors["cosine"][10:] == factors["cosine"][10]).all()
    np.testing.assert_allclose(factors["warm-up"], np.minimum((k + 1) / 10, 1), rtol=1e-15)


def test_the_cosine_is_torchs_and_the_record_has_the_rate_of_each_step(problems):
    schedule = parts.Schedule(shape="cosine", steps=12)
    stepper = make("gradient-descent", learning_rate=0.1, step=schedule).start(problems["quadratic"])
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=12)
    for _ in range(12):
        theta, gradient = stepper.point.theta, stepper.point.gradient
        step = stepper.step()
        assert step.learning_rate == pytest.approx(cosine.get_last_lr()[0], abs=1e-15)
        torch.testing.assert_close(stepper.point.theta, theta - step.learning_rate * gradient)
        theirs.step()
        cosine.step()


# The minimum of the quadratic model


@given(
    seed=st.integers(0, 50),
    damping=st.floats(0, 10),
    long=st.floats(-9, 9),
    size=st.integers(3, 8),
)
def test_alpha_and_mu_solve_the_two_by_two_system_however_long_the_last_step_was(
    seed, damping, long, size, given_matrix, draws
):
    square = draws(size, size, seed=seed)
    b = square @ square.T + 0.1 * torch.eye(size).double()
    gradient, direction, before = draws(3, size, seed=seed + 1)
    before = 10.0**long * before
    way = model_minimum(given_matrix(b), gradient, direction, before, damping)
    span = torch.stack((direction, before), 1)
    damped = b + damping * torch.eye(size).double()
    # In an orthonormal basis of the plane, where the dense system is well conditioned.
    basis, _ = torch.linalg.qr(span)
    expected = basis @ torch.linalg.solve(basis.T @ damped @ basis, -basis.T @ gradient)
    torch.testing.assert_close(way.delta, expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(way.delta, way.learning_rate * direction + way.momentum * before)
    assert way.bend == pytest.approx(float(way.delta @ b @ way.delta), rel=1e-8, abs=1e-10)


def test_where_the_last_step_is_the_direction_itself_the_minimum_along_it_is_taken(given_matrix, draws):
    gradient, direction = draws(2, 4)
    alone = model_minimum(given_matrix(torch.eye(4)), gradient, direction, None, 0.5)
    twice = model_minimum(given_matrix(torch.eye(4)), gradient, direction, 2 * direction, 0.5)
    torch.testing.assert_close(twice.delta, alone.delta)
    assert math.isnan(alone.momentum)
    assert alone.learning_rate == pytest.approx(
        -float(gradient @ direction) / (1.5 * float(direction @ direction)), rel=1e-12
    )


def test_on_a_quadratic_the_models_minimum_is_exact_line_minimization(least_squares):
    """Undamped, the next gradient is orthogonal to the step, and ρ = 1."""
    objective = least_squares([0.1, 0.5, 1.0, 3.0, 10.0])
    diagonal = {"name": "fisher", "form": "diagonal"}
    stepper = make("natural-gradient", curvature=diagonal, damping="none", step="model-minimum").start(objective)
    hessian = ngx.curvature.Hessian(objective, stepper.point.theta).dense()
    for _ in range(5):
        theta, gradient = stepper.point.theta, stepper.point.gradient
        scaled = -gradient / hessian.diagonal()
        step = stepper.step()
        model = torch.diag(hessian.diagonal())
        alpha = -(gradient @ scaled) / (scaled @ model @ scaled)
        torch.testing.assert_close(stepper.point.theta, theta + alpha * scaled)
        assert step.learning_rate == pytest.approx(1.0)  # its own model's minimum is the whole direction
    exact = make("gauss-newton", damping={"name": "constant", "value": 5.0}, step="model-minimum").start(objective)
    for _ in range(3):
        theta = exact.point.theta
        step = exact.step()
        delta = exact.point.theta - theta
        along = float(delta @ exact.point.gradient) + 5.0 * float(delta @ delta)  # the damped model's slope at its end
        assert abs(along) < 1e-10 * step.gradient_norm * step.step_norm + 1e-14

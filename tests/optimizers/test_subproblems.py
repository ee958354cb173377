"""Trust regions and cubic regularization: what minimizes the model there, against SciPy and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

import ngexplorer as ngx
from ngexplorer.cancellation import never
from ngexplorer.objectives.landscapes import Beale, Himmelblau, Rosenbrock, Saddle
from ngexplorer.optimizers import Optimizer, make, parts
from ngexplorer.optimizers.solvers.subproblem import in_ball, steihaug, with_cube

norm = torch.linalg.vector_norm


def symmetric(values, draws, seed):
    """A matrix of these eigenvalues, and its eigenvectors as columns."""
    vectors, _ = torch.linalg.qr(draws(len(values), len(values), seed=seed))
    values = torch.as_tensor(values, dtype=torch.float64)
    return vectors * values @ vectors.T, vectors


def model(b, gradient, delta):
    return float(gradient @ delta + 0.5 * delta @ b @ delta)


spectra = st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=1, max_size=7)


@given(values=spectra, radius=st.floats(0.01, 20), seed=st.integers(0, 30))
def test_the_minimizer_in_a_ball_meets_the_optimality_conditions(values, radius, seed, given_matrix, draws):
    """Moré and Sorensen (1983): (B + λI)δ = −g, B + λI ⪰ 0, λ ≥ 0, λ(Δ − ‖δ‖) = 0."""
    b, _ = symmetric(values, draws, seed)
    gradient = draws(len(values), seed=seed + 1)
    found = in_ball(given_matrix(b), gradient, radius)
    delta, shift = found.direction, found.damping
    size = 1 + float(norm(b)) * radius + float(norm(gradient))
    assert float(norm(delta)) <= radius * (1 + 1e-9)
    assert shift >= 0
    assert min(values) + shift >= -1e-9
    assert float(norm(b @ delta + shift * delta + gradient)) < 1e-8 * size
    assert found.boundary == (shift > 0) or shift == pytest.approx(0, abs=1e-9)
    if found.boundary:
        assert float(norm(delta)) == pytest.approx(radius, rel=1e-9)
    if found.boundary:  # inside, Newton's step is had without eigenvalues
        assert found.lowest == pytest.approx(min(values), abs=1e-12)
    torch.testing.assert_close(found.product, b @ delta, rtol=1e-8, atol=1e-8 * size)


@given(values=spectra, weight=st.floats(0.01, 100), seed=st.integers(0, 30))
def test_the_cubic_minimizer_meets_the_optimality_conditions(values, weight, seed, given_matrix, draws):
    """Nesterov and Polyak (2006): (B + ½M‖δ‖I)δ = −g with that matrix positive semi-definite."""
    b, _ = symmetric(values, draws, seed)
    gradient = draws(len(values), seed=seed + 1)
    found = with_cube(given_matrix(b), gradient, weight)
    delta, shift = found.direction, found.damping
    assert shift == pytest.approx(0.5 * weight * float(norm(delta)), rel=1e-8, abs=1e-12)
    assert min(values) + shift >= -1e-9
    left = b @ delta + shift * delta + gradient
    assert float(norm(left)) < 1e-8 * (1 + float(norm(gradient)) + float(norm(b @ delta)))


@given(
    values=st.lists(st.floats(0.01, 5), min_size=1, max_size=6),
    dampings=st.lists(st.floats(0.01, 50), min_size=2, max_size=5, unique=True),
    seed=st.integers(0, 30),
)
def test_e9_the_radius_that_a_damping_gives_gives_the_damping_back(values, dampings, seed, given_matrix, draws):
    """min M(δ) over ‖δ‖ ≤ ‖δ(λ)‖ has the multiplier λ, to 1e-6; ‖δ(λ)‖ falls strictly."""
    b, _ = symmetric(values, draws, seed)
    gradient = draws(len(values), seed=seed + 1)
    lengths = []
    for damping in sorted(dampings):
        delta = -torch.linalg.solve(b + damping * torch.eye(len(values)).double(), gradient)
        lengths.append(float(norm(delta)))
        found = in_ball(given_matrix(b), gradient, lengths[-1])
        assert found.damping == pytest.approx(damping, rel=1e-6)
        torch.testing.assert_close(found.direction, delta, rtol=1e-6, atol=1e-9)
    close = np.diff(sorted(dampings)) < 1e-9
    assert (np.diff(lengths) < 0)[~close].all()


def test_e9_through_the_optimizer(problems):
    """A trust region of the length that Levenberg and Marquardt's first step has takes that step, and says its λ."""
    objective = problems["two moons"]
    damped = make("gauss-newton", damping={"name": "constant", "value": 0.37}).start(objective)
    length = damped.step().step_norm
    region = make("gauss-newton", damping={"name": "trust-region", "radius": length}).start(objective)
    step = region.step()
    assert step.damping == pytest.approx(0.37, rel=1e-6)
    torch.testing.assert_close(region.point.theta, damped.point.theta, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("radius", [2.0, 5.0])
def test_the_hard_case_adds_an_eigenvector_of_the_lowest_eigenvalue(radius, given_matrix, draws):
    """B = diag(−1, 1, 3), g = (0, 1, 1): δ(λ → 1) = −(0, ½, ¼) is shorter than Δ."""
    found = in_ball(
        given_matrix(torch.diag(torch.tensor([-1.0, 1.0, 3.0]))), torch.tensor([0.0, 1, 1]).double(), radius
    )
    assert found.damping == pytest.approx(1, abs=1e-10)
    assert float(norm(found.direction)) == pytest.approx(radius, rel=1e-12)
    torch.testing.assert_close(found.direction[1:], -torch.tensor([0.5, 0.25]).double())
    b, vectors = symmetric([-1.0, -1.0, 1.0, 3.0], draws, 0)  # twice, and turned: g's part along them is rounding
    gradient = vectors @ torch.tensor([0.0, 0, 1, 1]).double()
    found = in_ball(given_matrix(b), gradient, radius)
    assert found.damping == pytest.approx(1, abs=1e-10)
    assert float(norm(found.direction)) == pytest.approx(radius, rel=1e-10)
    inside = vectors.T @ found.direction
    torch.testing.assert_close(inside[2:], -torch.tensor([0.5, 0.25]).double(), rtol=1e-9, atol=1e-12)
    along = radius**2 - 0.3125  # what is left of Δ² for the eigenvectors
    expected = -0.5 * along + (0.5 * 0.25 - 0.5) + (0.5 * 3 * 0.0625 - 0.25)
    assert model(b, gradient, found.direction) == pytest.approx(expected)


@pytest.mark.parametrize("lowest", [0.0, 1e-18, -1e-18, 3e-17, -3e-17])
def test_a_direction_that_neither_bends_nor_slopes_is_left_alone(lowest, given_matrix):
    """As in a softmax regression: the step is the minimum-norm minimizer, not one that runs to the boundary."""
    b = torch.diag(torch.tensor([lowest, 1.0, 4.0], dtype=torch.float64))
    found = in_ball(given_matrix(b), torch.tensor([1e-17 * bool(lowest), 1.0, 2.0]).double(), 100.0)
    torch.testing.assert_close(found.direction, torch.tensor([0.0, -1.0, -0.5]).double())
    assert not found.boundary
    assert found.damping == 0


def test_a_direction_that_slopes_without_bending_goes_to_the_boundary(given_matrix):
    b = torch.diag(torch.tensor([0.0, 1.0], dtype=torch.float64))
    found = in_ball(given_matrix(b), torch.tensor([0.1, 1.0]).double(), 5.0)
    assert found.boundary
    assert float(norm(found.direction)) == pytest.approx(5)
    assert found.direction[0] < -4


# E26 and E27


def undamped(how):
    return Optimizer(curvature=parts.Hessian(), solver=parts.Eigendecomposition(eigenvalues=how))


def test_e26_newton_jumps_onto_the_saddle_and_saddle_free_newton_away_from_it(landscape):
    """½(x² − y²) from (1.5, 0.1)."""
    objective = landscape(Saddle())
    newton = undamped("pseudo").start(objective)
    step = newton.step()
    assert newton.point.theta.abs().max() < 1e-15
    assert step.reduction_ratio == pytest.approx(1)
    free = undamped("absolute").start(objective)
    for k in range(1, 5):
        free.step()
        assert free.point.theta.tolist() == pytest.approx([0, 0.1 * 2**k], abs=1e-15)
    # λ → 0: x → λ/(1 + λ) x and y → (2 + λ)/(1 + λ) y.
    for damping in (0.1, 1e-3, 1e-6):
        damped = make("saddle-free-newton", damping={"name": "constant", "value": damping}).start(objective)
        damped.step()
        x, y = damped.point.theta.tolist()
        assert x == pytest.approx(1.5 * damping / (1 + damping), rel=1e-9)
        assert y == pytest.approx(0.1 * (2 + damping) / (1 + damping), rel=1e-9)


@pytest.mark.parametrize("weight", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("lowest", [-0.5, -2.0])
def test_e27_at_a_saddle_the_cubic_step_is_twice_the_lowest_eigenvalue_over_m_along_its_vector(
    weight, lowest, given_matrix, draws
):
    b, vectors = symmetric([lowest, 1.0, 3.0], draws, 4)
    found = with_cube(given_matrix(b), torch.zeros(3).double(), weight)
    delta = found.direction
    assert float(norm(delta)) == pytest.approx(2 * abs(lowest) / weight, rel=1e-10)
    assert abs(float(delta @ vectors[:, 0])) == pytest.approx(float(norm(delta)), rel=1e-12)
    change = 0.5 * float(delta @ b @ delta) + weight / 6 * float(norm(delta)) ** 3
    assert change == pytest.approx(-2 / 3 * abs(lowest) ** 3 / weight**2, rel=1e-10)


def test_e27_through_the_optimizer(landscape):
    """From the saddle itself, where the gradient is 0, with M = 2: a step of 1, model change −1/6 with the cube."""
    stepper = make("cubic-newton", damping={"weight": 2.0}).start(landscape(Saddle()), torch.zeros(2).double())
    step = stepper.step()
    assert stepper.point.theta.abs().tolist() == pytest.approx([0, 1])
    assert step.predicted_change + 2 / 6 * step.step_norm**3 == pytest.approx(-1 / 6)
    assert step.lowest_eigenvalue == pytest.approx(-1)
    assert step.damping == pytest.approx(1)


def test_cubic_regularization_in_the_hard_case(given_matrix):
    """B = diag(−1, 2), g = (0, 3), M = 1: λ = 1, δ = (±√3, −1) and ½M‖δ‖ = 1."""
    found = with_cube(given_matrix(torch.diag(torch.tensor([-1.0, 2.0]))), torch.tensor([0.0, 3.0]).double(), 1.0)
    assert found.damping == pytest.approx(1, abs=1e-10)
    assert found.direction.abs().tolist() == pytest.approx([3**0.5, 1])


def test_the_ratio_of_the_cubic_model_has_the_weight_that_the_step_was_taken_with(landscape):
    """Also after rejected trials, each of which doubles M."""
    stepper = make("cubic-newton", damping={"weight": 1e-3}).start(landscape(Rosenbrock()))
    rejected = 0
    for _ in range(15):
        before = stepper.control
        step = stepper.step()
        weight = before * 2**step.rejected_trials
        promised = step.predicted_change + weight / 6 * step.step_norm**3
        if step.reduction_ratio == step.reduction_ratio:
            assert step.reduction_ratio == pytest.approx((step.loss_after - step.loss_before) / promised, rel=1e-8)
            assert step.reduction_ratio > 0.1
            assert stepper.control == (max(weight / 2, 1e-8) if step.reduction_ratio > 0.9 else weight)
        assert step.damping == pytest.approx(0.5 * weight * step.step_norm, rel=1e-8)
        rejected += step.rejected_trials
    assert rejected > 0


# E28


@given(values=spectra, radius=st.floats(0.1, 20), seed=st.integers(0, 30))
def test_e28_steihaugs_path_grows_and_ends_below_the_cauchy_point(values, radius, seed, given_matrix, draws):
    b, _ = symmetric(values, draws, seed)
    gradient = draws(len(values), seed=seed + 1)
    path = [steihaug(given_matrix(b), gradient, radius, k, never).direction for k in range(1, len(values) + 2)]
    lengths = [float(norm(delta)) for delta in path]
    decreases = [model(b, gradient, delta) for delta in path]
    assert all(after >= before - 1e-12 for before, after in pairwise(lengths))
    assert max(lengths) <= radius * (1 + 1e-12)
    assert all(after <= before + 1e-10 for before, after in pairwise(decreases))
    # The Cauchy point: the minimum along −g in the ball.
    bend, length = float(gradient @ b @ gradient), float(norm(gradient))
    along = radius / length if bend <= 0 else min(length**2 / bend, radius / length)
    assert decreases[-1] <= model(b, gradient, -along * gradient) + 1e-10


@pytest.mark.parametrize("radius", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("data", [Rosenbrock(), Beale(), Himmelblau(), Rosenbrock(x=0.0, y=1.0)])
def test_e28_steihaugs_first_step_is_scipys_trust_ncg(data, radius, landscape):
    objective = landscape(data)
    point = objective.at(objective.initial_parameters)
    hessian = ngx.curvature.Hessian(objective, point)
    mine = steihaug(hessian, point.gradient, radius, 100, never).direction
    seen = []
    scipy.optimize.minimize(
        lambda x: seen.append(np.array(x)) or float(objective.value(torch.as_tensor(x))),
        objective.initial_parameters.numpy(),
        jac=lambda x: objective.gradient(torch.as_tensor(x)).numpy(),
        hess=lambda x: ngx.curvature.Hessian(objective, torch.as_tensor(x)).dense().numpy(),
        method="trust-ncg",
        options={"initial_trust_radius": radius, "max_trust_radius": 100.0, "maxiter": 1},
    )
    theirs = next(x for x in seen if not np.array_equal(x, seen[0])) - seen[0]
    np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("radius", [0.3, 1.0])
@pytest.mark.parametrize("data", [Rosenbrock(), Beale(), Himmelblau(), Rosenbrock(x=0.0, y=1.0)])
def test_trust_region_newton_ends_where_scipys_does(data, radius, landscape):
    """trust-exact and trust-ncg find the same minimum to 1e-8, in about as many steps."""
    objective = landscape(data)
    for solver, method in (("auto", "trust-exact"), ("conjugate-gradient", "trust-ncg")):
        theirs = scipy.optimize.minimize(
            lambda x: float(objective.value(torch.as_tensor(x))),
            objective.initial_parameters.numpy(),
            jac=lambda x: objective.gradient(torch.as_tensor(x)).numpy(),
            hess=lambda x: ngx.curvature.Hessian(objective, torch.as_tensor(x)).dense().numpy(),
            method=method,
            options={"initial_trust_radius": radius, "gtol": 1e-9, "maxiter": 200},
        )
        optimizer = make("trust-region-newton", solver=solver, damping={"radius": radius})
        stepper, steps = optimizer.start(objective), 0
        while float(norm(stepper.point.gradient)) > 1e-9 and steps < 200:
            stepper.step()
            steps += 1
        assert float(norm(stepper.point.gradient)) <= 1e-9
        np.testing.assert_allclose(stepper.point.theta.numpy(), theirs.x, atol=1e-7)
        assert steps <= theirs.nit + 5


def test_the_radius_follows_the_ratio_and_steps_stay_inside(landscape):
    """ρ < ¼: Δ/4; ρ > ¾ on the boundary: 2Δ, up to the largest; ρ ≤ 0.15: rejected, Δ/4 at once."""
    rule = {"radius": 0.4, "largest": 1.0}
    stepper = make("trust-region-newton", damping=rule).start(landscape(Rosenbrock()))
    kinds = set()
    for _ in range(30):
        radius = stepper.control
        step = stepper.step()
        tried = radius / 4**step.rejected_trials
        assert step.step_norm <= tried * (1 + 1e-9)
        boundary = "boundary" in step.solver
        if boundary:
            assert step.step_norm == pytest.approx(tried, rel=1e-9)
        ratio, kind = step.reduction_ratio, "kept"
        if ratio < 0.25:
            kind = "shrunk"
        elif ratio > 0.75 and boundary:
            kind = "grown"
        assert stepper.control == {"kept": tried, "shrunk": tried / 4, "grown": min(2 * tried, 1.0)}[kind]
        kinds.add(kind)
        kinds.add("rejected" if step.rejected_trials else "")
        assert math.isnan(ratio) or ratio > 0.15
    assert kinds >= {"kept", "grown", "rejected"}


def test_steihaug_says_what_it_did(landscape):
    stepper = make("trust-region-newton", solver="conjugate-gradient").start(landscape(Rosenbrock()))
    steps = [stepper.step() for _ in range(30)]
    for step in steps:
        assert step.solver_iterations >= (step.gradient_norm > 0)
        if "boundary" in step.solver or "negative" in step.solver:  # no λ makes this step solve a damped system
            assert math.isnan(step.damping)
            assert math.isnan(step.predicted_change_damped)
        elif step.gradient_norm > 0:
            assert step.damping == 0
            assert step.solver_residual <= min(0.5, step.gradient_norm**0.5)
    assert any("boundary" in step.solver for step in steps)


def test_a_trust_region_takes_the_solver_that_is_asked_for(landscape, monkeypatch):
    """However many parameters there are; 'auto' alone goes by their number."""
    monkeypatch.setattr(parts.Auto, "largest_dense", 1)
    for solver, reason in (
        ("auto", "Steihaug"),
        ("conjugate-gradient", "Steihaug"),
        ("eigendecomposition", "trust region"),
    ):
        assert make("trust-region-newton", solver=solver).start(landscape(Beale())).step().solver.startswith(reason)


def test_at_a_stationary_point_steihaug_stays_and_the_exact_region_leaves_a_saddle(landscape):
    objective, still = landscape(Saddle()), torch.zeros(2).double()
    stepper = make("trust-region-newton", solver="conjugate-gradient").start(objective, still)
    step = stepper.step()
    assert step.step_norm == step.solver_iterations == 0
    assert step.outcome == "accepted"
    exact = make("trust-region-newton", damping={"radius": 0.5}).start(objective, still)
    exact.step()
    assert exact.point.theta.abs().tolist() == pytest.approx([0, 0.5])

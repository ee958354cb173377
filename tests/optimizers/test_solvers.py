"""Every solver solves what Cholesky solves, where it does, and notices what is not positive definite."""

import itertools

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.curvature import Fisher, GaussNewton, IndefiniteError
from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError
from ngexplorer.optimizers import make, parts
from ngexplorer.optimizers.memory import Memory
from ngexplorer.optimizers.metrics import Solved
from ngexplorer.settings import SettingError


def solve(matrix, gradient, damping, solver, cancel):
    """The direction, with nothing remembered."""
    memory = Memory.empty(gradient)
    return Solved(matrix, solver, memory, lambda delta: float("nan")).solve(gradient, damping, cancel)


TIGHT = parts.ConjugateGradient(tolerance=1e-12, iterations=1000)


def matrix_of(eigenvalues, seed=0):
    """A Gauss-Newton matrix with those eigenvalues: XᵀX/N of a linear network, X = √N Λ^½ Qᵀ."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
    size = len(eigenvalues)
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    x = size**0.5 * eigenvalues.sqrt()[:, None] * q.T
    module = torch.nn.Linear(size, 1, bias=False, dtype=torch.float64)
    objective = ngx.Objective(module, SquaredError(), x, torch.zeros(size, 1).double())
    return GaussNewton(objective, objective.initial_parameters)


@given(
    eigenvalues=st.lists(st.floats(0, 100), min_size=1, max_size=12),
    damping=st.floats(1e-3, 10),
    seed=st.integers(0, 100),
)
def test_conjugate_gradient_solves_what_cholesky_solves(eigenvalues, damping, seed):
    matrix = matrix_of(eigenvalues, seed)
    b = torch.randn(len(eigenvalues), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    exact = solve(matrix, b, damping, parts.Cholesky(), never)
    iterative = solve(matrix, b, damping, TIGHT, never)
    assert "below the tolerance" in iterative.reason
    # ‖error‖ ≤ ‖residual‖/λ.
    allowed = 1e-11 * float(torch.linalg.vector_norm(b)) / damping
    assert float(torch.linalg.vector_norm(iterative.direction - exact.direction)) <= allowed


def test_conjugate_gradient_steps_are_newtons(mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)
    direct = make("natural-gradient").start(objective)
    solver = {"name": "conjugate-gradient", "tolerance": 1e-12, "iterations": 500}
    iterative = make("natural-gradient", solver=solver).start(objective)
    for _ in range(8):
        mine, theirs = iterative.step(), direct.step()
        torch.testing.assert_close(iterative.point.theta, direct.point.theta, rtol=1e-8, atol=1e-9)
        assert mine.predicted_change == pytest.approx(theirs.predicted_change, rel=1e-8)
        assert mine.solver_residual < 1e-11


def test_k_different_eigenvalues_take_k_iterations():
    """Exact arithmetic ends conjugate gradient after as many steps as there are eigenvalues."""
    matrix = matrix_of([1.0] * 7 + [2.0] * 7 + [5.0] * 6)
    b = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert solve(matrix, b, 0.1, TIGHT, never).iterations == 3
    exact = solve(matrix, b, 0.1, parts.Cholesky(), never)
    three = solve(matrix, b, 0.1, parts.ConjugateGradient(tolerance=1e-12, iterations=3), never)
    torch.testing.assert_close(three.direction, exact.direction, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("length", [10.0, 1e-1, 1e-3, 1e-6])
def test_a_forcing_term_asks_for_more_as_the_gradient_falls(length):
    """‖r‖ ≤ min(½, √‖g‖)‖g‖ (Dembo, Eisenstat and Steihaug 1982), and no iteration more than that takes."""
    matrix = matrix_of([float(k) for k in range(1, 21)])
    b = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = b * (length / b.norm())
    share = min(0.5, length**0.5)
    settings = parts.ConjugateGradient(stop="forcing", tolerance=0.5)
    found = solve(matrix, b, 0.1, settings, never)
    assert float(found.residual.norm()) <= share * length
    if found.iterations > 1:
        fewer = msgspec.structs.replace(settings, iterations=int(found.iterations) - 1)
        assert float(solve(matrix, b, 0.1, fewer, never).residual.norm()) > share * length


def test_newton_with_a_forcing_term_converges_faster_than_linearly(problems):
    solver = {"name": "conjugate-gradient", "stop": "forcing", "tolerance": 0.5}
    stepper = make("newton", damping="none", step="armijo", solver=solver).start(problems["logistic"])
    norms = [stepper.step().gradient_norm for _ in range(9)]
    assert float(stepper.point.gradient.abs().max()) < 1e-8
    rates = [b / a for a, b in itertools.pairwise(norms) if b > 1e-10]
    assert rates[-1] < 0.3 * rates[0]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_multiple_of_the_identity_is_solved_although_the_residual_becomes_exactly_zero(size):
    x = size**0.5 * torch.eye(size).double()
    module = torch.nn.Linear(size, 1, bias=False, dtype=torch.float64)
    objective = ngx.Objective(module, SquaredError(), x, torch.zeros(size, 1).double())
    matrix = Fisher(objective, objective.initial_parameters)
    b = torch.arange(1.0, size + 1).double()
    solution = solve(matrix, b, 1.0, parts.ConjugateGradient(), never)
    torch.testing.assert_close(solution.direction, -b / (matrix.dense()[0, 0] + 1))


def test_a_singular_system_with_a_solution_is_solved(mlp, objective_of):
    """The softmax Fisher is singular, but the gradient lies in its range."""
    objective = objective_of(mlp(3, 4), SoftmaxCrossEntropy(), cases=30)
    point = objective.at(objective.initial_parameters)
    solution = solve(Fisher(objective, point), point.gradient, 0.0, parts.ConjugateGradient(tolerance=1e-10), never)
    minimum_norm = -torch.linalg.pinv(Fisher(objective, point).dense(), rtol=1e-10, hermitian=True) @ point.gradient
    torch.testing.assert_close(solution.direction, minimum_norm, rtol=1e-6, atol=1e-8)


def test_a_zero_gradient_needs_no_iteration():
    solution = solve(matrix_of([1.0, 2.0]), torch.zeros(2).double(), 0.1, TIGHT, never)
    assert solution.iterations == 0
    assert solution.direction.tolist() == [0, 0]


def test_the_automatic_solver_is_cholesky_for_few_parameters_and_conjugate_gradient_for_many(quadratic, monkeypatch):
    assert make("newton").start(quadratic()).step().solver == "cholesky (automatic: 4 parameters)"
    monkeypatch.setattr(parts.Auto, "largest_dense", 3)
    assert "conjugate gradient" in make("newton").start(quadratic()).step().solver


@pytest.mark.parametrize("damping", [0.0, 2.9])
def test_conjugate_gradient_meets_a_direction_that_bends_down(damping, rosenbrock_at):
    """diag(−398, 200) along (1, 1) bends by (−398 + 200)/2 = −99, a bound above its lowest eigenvalue."""
    objective = rosenbrock_at(0.0, 1.0)
    hessian = ngx.curvature.Hessian(objective, objective.initial_parameters)
    once = parts.ConjugateGradient(iterations=1)
    with pytest.raises(IndefiniteError, match="lowest eigenvalue is at most -99; damping above 99") as caught:
        solve(hessian, torch.ones(2).double(), damping, once, never)
    assert caught.value.lowest_eigenvalue == pytest.approx(-99, rel=1e-12)


class After:
    """A cancel function that says yes from the given poll on."""

    def __init__(self, polls):
        self.left = polls
        self.polls = 0

    def __call__(self):
        self.polls += 1
        self.left -= 1
        return self.left < 0


SLOW = {"name": "conjugate-gradient", "tolerance": 1e-12, "iterations": 60}


@pytest.mark.parametrize("polls", [0, 1, 2, 7, 11])
def test_a_cancelled_step_leaves_everything_as_it_was(polls, mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)
    optimizer = make("natural-gradient", solver=SLOW, momentum="heavy-ball", learning_rate=0.3)
    calm, nervous = optimizer.start(objective), optimizer.start(objective)
    for _ in range(3):
        cancel = After(polls)
        with pytest.raises(Cancelled):
            nervous.step(cancel)
        assert cancel.polls == polls + 1  # it stops at the very poll that says so
        assert torch.equal(nervous.point.theta, calm.point.theta)
        mine, theirs = nervous.step(), calm.step()
        assert torch.equal(nervous.point.theta, calm.point.theta)
        assert nervous.damping == calm.damping
        assert mine.step_gradient_equivalents == theirs.step_gradient_equivalents
        assert mine.loss_after == theirs.loss_after


def test_conjugate_gradient_is_polled_at_every_iteration(mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)
    cancel = After(10_000)
    step = make("natural-gradient", solver=SLOW).start(objective).step(cancel)
    assert cancel.polls >= 1 + step.solver_iterations


# Hessian-free's conjugate gradient


def dense_of(matrix, damping):
    return matrix.dense() + damping * torch.eye(matrix.shape[0], dtype=torch.float64)


@pytest.fixture
def network(mlp, objective_of):
    """A point and the Gauss-Newton matrix of a network, badly scaled."""
    objective = objective_of(mlp(3, 6, 3), SoftmaxCrossEntropy(), cases=25, weight_decay=1e-3)
    point = objective.at(objective.initial_parameters)
    return point, GaussNewton(objective, point)


def test_the_preconditioner_is_the_damped_diagonal_empirical_fisher_to_three_quarters(network):
    """Two iterations by hand with M = (diag F̄ + λ)^¾ (Martens 2010, §4.7)."""
    point, matrix = network
    gradient, damping = point.gradient, 0.01
    inverse = (ngx.curvature.EmpiricalFisher(point.objective, point).dense().diagonal() + damping) ** -0.75
    b = dense_of(matrix, damping)
    x, r = torch.zeros_like(gradient), gradient.clone()
    y = inverse * r
    p = -y
    for _ in range(2):
        alpha = (r @ y) / (p @ b @ p)
        x, after = x + alpha * p, r + alpha * b @ p
        fresh = inverse * after
        p = (after @ fresh) / (r @ y) * p - fresh
        r, y = after, fresh
    two = parts.ConjugateGradient(iterations=2, preconditioned=True, tolerance=1e-12)
    torch.testing.assert_close(solve(matrix, gradient, damping, two, never).direction, x, rtol=1e-8, atol=1e-12)


def test_a_preconditioner_changes_the_way_and_not_the_end(network):
    point, matrix = network
    tight = parts.ConjugateGradient(tolerance=1e-11, iterations=500, preconditioned=True)
    found = solve(matrix, point.gradient, 0.01, tight, never)
    exact = -torch.linalg.solve(dense_of(matrix, 0.01), point.gradient)
    torch.testing.assert_close(found.direction, exact, rtol=1e-7, atol=1e-9)


def conjugate_gradient(matrix, gradient, damping, settings, start=None, loss=lambda delta: 0.0):
    memory = msgspec.structs.replace(Memory.empty(gradient), direction=start)
    return Solved(matrix, settings, memory, loss).solve(gradient, damping, never)


def test_a_warm_start_begins_at_its_share_of_the_last_direction(network):
    point, matrix = network
    gradient = point.gradient
    exact = -torch.linalg.solve(dense_of(matrix, 0.1), gradient)
    settings = parts.ConjugateGradient(tolerance=1e-10, iterations=500, warm_start=0.95)
    warm = conjugate_gradient(matrix, gradient, 0.1, settings, start=exact / 0.95)
    assert warm.iterations == 1
    torch.testing.assert_close(warm.direction, exact, rtol=1e-8, atol=1e-10)
    cold = conjugate_gradient(matrix, gradient, 0.1, settings)
    assert cold.iterations > 5
    torch.testing.assert_close(cold.direction, exact, rtol=1e-7, atol=1e-9)
    none = conjugate_gradient(matrix, torch.zeros_like(gradient), 0.1, settings, start=exact)
    assert none.direction.abs().max() == 0  # nothing to go for, whatever was remembered


def test_progress_stops_where_the_model_has_stopped_falling(network):
    """(φ_i − φ_{i−k})/φ_i < kε with k = max(10, ⌈i/10⌉) (Martens 2010, §4.4)."""
    point, matrix = network
    gradient, epsilon = point.gradient, 5e-4
    damped = dense_of(matrix, 1e-3)

    def after(iterations):
        some = parts.ConjugateGradient(stop="progress", tolerance=1e-15, iterations=iterations)
        d = solve(matrix, gradient, 1e-3, some, never).direction
        return float(gradient @ d + 0.5 * d @ damped @ d)

    expected = next(i for i in range(11, 200) if (after(i) - after(i - 10)) / after(i) < 10 * epsilon and after(i) < 0)
    found = solve(matrix, gradient, 1e-3, parts.ConjugateGradient(stop="progress", tolerance=epsilon), never)
    assert found.reason == "conjugate gradient: relative progress"
    assert found.iterations == expected


def test_backtracking_takes_the_last_snapshot_that_beats_the_one_after_it(network):
    """Losses that fall towards the start of the way end at its first snapshot; losses that rise, at its end."""
    point, matrix = network
    gradient = point.gradient
    loose = {"tolerance": 1e-2, "iterations": 40}
    settings = parts.ConjugateGradient(backtrack=True, **loose)
    first = solve(matrix, gradient, 0.01, parts.ConjugateGradient(iterations=1), never).direction
    end = solve(matrix, gradient, 0.01, parts.ConjugateGradient(**loose), never).direction
    length = torch.linalg.vector_norm
    back = conjugate_gradient(matrix, gradient, 0.01, settings, loss=lambda d: float(length(d)))
    torch.testing.assert_close(back.direction, first)
    residual = dense_of(matrix, 0.01) @ first + gradient
    torch.testing.assert_close(back.residual, residual, rtol=1e-8, atol=1e-12)
    for loss in (lambda d: -float(length(d)), lambda d: float("nan")):
        assert torch.equal(conjugate_gradient(matrix, gradient, 0.01, settings, loss=loss).direction, end)


def test_backtracking_goes_past_where_the_iteration_stood_still():
    """Three eigenvalues end it after three iterations, but it is looked at after five."""
    matrix = matrix_of([1.0] * 7 + [2.0] * 7 + [5.0] * 6)
    b = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    settings = parts.ConjugateGradient(tolerance=1e-10, backtrack=True)
    first = solve(matrix, b, 0.1, parts.ConjugateGradient(iterations=1), never).direction
    found = conjugate_gradient(matrix, b, 0.1, settings, loss=lambda d: float(torch.linalg.vector_norm(d)))
    torch.testing.assert_close(found.direction, first)


# By eigenpairs


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_eigenvalues_signed_by_size_and_but_for_zeros(damping, mlp, objective_of):
    objective = objective_of(mlp(3, 4), SoftmaxCrossEntropy(), cases=30)
    point = objective.at(objective.initial_parameters)
    matrix = Fisher(objective, point)
    values, vectors = torch.linalg.eigh(matrix.dense())
    kept = values > 1e-10 * values.max()
    assert int((~kept).sum()) == 4  # a constant added to all logits: one for each input and the bias
    inside = vectors.T @ point.gradient
    pseudo = solve(matrix, point.gradient, damping, parts.Eigendecomposition(eigenvalues="pseudo"), never)
    expected = -vectors[:, kept] @ (inside[kept] / (values[kept] + damping))
    torch.testing.assert_close(pseudo.direction, expected, rtol=1e-8, atol=1e-10)
    if damping == 0:
        pinv = torch.linalg.pinv(matrix.dense(), rtol=1e-10, hermitian=True)
        torch.testing.assert_close(pseudo.direction, -pinv @ point.gradient, rtol=1e-8, atol=1e-10)
    else:
        for how in ("signed", "absolute"):
            found = solve(matrix, point.gradient, damping, parts.Eigendecomposition(eigenvalues=how), never)
            exact = -torch.linalg.solve(dense_of(matrix, damping), point.gradient)
            torch.testing.assert_close(found.direction, exact, rtol=1e-8, atol=1e-10)
            torch.testing.assert_close(found.product, matrix @ found.direction, rtol=1e-8, atol=1e-10)


def test_the_minimum_norm_solution_is_the_shortest_of_many(mlp, objective_of):
    """Over-parametrized least squares: −F⁺∇h fits all cases at once, and no other fit is nearer (E18)."""
    objective = objective_of(mlp(6, 1, bias=False), SquaredError(), cases=4, inputs=6)
    stepper = make("natural-gradient-minimum-norm", learning_rate=1.0).start(objective)
    start = stepper.point.theta
    stepper.step()
    assert float(stepper.point.value) < 1e-25
    nearest = start + torch.linalg.pinv(objective.inputs) @ (objective.targets[:, 0] - objective.inputs @ start)
    torch.testing.assert_close(stepper.point.theta, nearest, rtol=1e-10, atol=1e-12)


def test_float32_has_its_own_zero_for_the_pseudo_inverse(mlp, objective_of):
    """Eigenvalues of rounding, 1e-8 of the largest in float32, are zero there: the step is float64's."""
    steps = []
    for dtype in (torch.float64, torch.float32):
        objective = objective_of(mlp(3, 4).to(dtype), SoftmaxCrossEntropy(), cases=30)
        stepper = make("natural-gradient-minimum-norm").start(objective)
        stepper.step()
        steps.append(stepper.point.theta.double())
    torch.testing.assert_close(steps[1], steps[0], rtol=1e-3, atol=1e-3)


def test_signed_eigenvalues_refuse_what_cholesky_refuses(rosenbrock_at):
    for damping in ("none", {"name": "constant", "value": 300.0}):
        stepper = make("newton", solver="eigendecomposition", damping=damping).start(rosenbrock_at(0.0, 1.0))
        with pytest.raises(IndefiniteError, match="lowest eigenvalue is -398"):
            stepper.step()
    step = make("newton", solver="eigendecomposition").start(rosenbrock_at(0.0, 1.0)).step()
    assert (step.damping, step.rejected_trials) == (1024, 5)


# In sample space


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("curvature", [parts.Fisher(), parts.GaussNewton()])
def test_sample_space_steps_are_choleskys(curvature, decay, mlp, objective_of):
    objective = objective_of(mlp(3, 9, 3), SoftmaxCrossEntropy(), cases=8, weight_decay=decay)
    steps = {}
    for solver in ("sample-space", "cholesky"):
        stepper = make("natural-gradient", curvature=curvature, solver=solver).start(objective)
        for _ in range(5):
            step = stepper.step()
        steps[solver] = (stepper.point.theta, step)
    (mine, record), (theirs, other) = steps.values()
    torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)
    assert record.predicted_change == pytest.approx(other.predicted_change, rel=1e-8)
    assert (record.solver, other.solver) == ("sample space", "cholesky")


def test_the_automatic_solver_goes_to_sample_space_where_cases_are_few(mlp, objective_of):
    wide = objective_of(mlp(3, 20, 3), SoftmaxCrossEntropy(), cases=8)
    assert make("natural-gradient").start(wide).step().solver == (
        "sample space (automatic: 24 outputs in all are fewer than 143 parameters)"
    )
    # The Hessian has no sample space.
    assert make("newton").start(wide).step().solver == "cholesky (automatic: 143 parameters)"
    many = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=200)
    assert make("natural-gradient").start(many).step().solver == "cholesky (automatic: 38 parameters)"


def test_sample_space_where_it_does_not_serve_says_what_is_there(mlp, objective_of):
    many = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=200)
    stepper = make("natural-gradient", solver="sample-space").start(many)
    with pytest.raises(SettingError, match=r"^solver: sample space serves for .* damping 1, 600 and 38$"):
        stepper.step()

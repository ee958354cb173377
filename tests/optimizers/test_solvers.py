"""Conjugate gradient solves what Cholesky solves, stops when asked, and notices what is not positive definite."""

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
    """Exact arithmetic ends conjugate gradient after as many steps as there are eigenvalues; looks are every five."""
    matrix = matrix_of([1.0] * 7 + [2.0] * 7 + [5.0] * 6)
    b = torch.randn(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert solve(matrix, b, 0.1, TIGHT, never).iterations == 5
    exact = solve(matrix, b, 0.1, parts.Cholesky(), never)
    three = solve(matrix, b, 0.1, parts.ConjugateGradient(tolerance=1e-12, iterations=3), never)
    torch.testing.assert_close(three.direction, exact.direction, rtol=1e-10, atol=1e-12)


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
    assert make("newton").start(quadratic()).step().solver == "cholesky"
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

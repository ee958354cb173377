"""L-BFGS: its direction against dense BFGS, its run against SciPy's, and what it remembers."""

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from ngexplorer.cancellation import never
from ngexplorer.objectives.landscapes import Beale, Himmelblau, Rosenbrock
from ngexplorer.optimizers import make, parts
from ngexplorer.optimizers.memory import Memory
from ngexplorer.optimizers.metrics import LimitedMemory

norm = torch.linalg.vector_norm


def dense_inverse(pairs, size):
    """BFGS's inverse as a matrix: H ← (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ from γI, ρ = 1/sᵀy (Nocedal and Wright, 6.17)."""
    s, y = pairs[-1]
    inverse = (s @ y) / (y @ y) * torch.eye(size).double()
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = torch.eye(size).double() - rho * torch.outer(s, y)
        inverse = left @ inverse @ left.T + rho * torch.outer(s, s)
    return inverse


@given(seed=st.integers(0, 100), size=st.integers(2, 8), count=st.integers(1, 6))
def test_the_two_loops_multiply_with_the_dense_bfgs_inverse(seed, size, count, draws):
    steps, gradient = draws(count, size, seed=seed), draws(size, seed=seed + 1)
    square = draws(size, size, seed=seed + 2)
    bend = square @ square.T + 0.1 * torch.eye(size).double()
    memory, part = Memory.empty(gradient), parts.LimitedMemory(pairs=10)
    for s in steps:
        memory = LimitedMemory.remembered(part, memory, s, bend @ s)
    solution = LimitedMemory(memory).solve(gradient, 0.0, never)
    expected = -dense_inverse(memory.pairs, size) @ gradient
    torch.testing.assert_close(solution.direction, expected, rtol=1e-8, atol=1e-10)
    assert solution.reason == f"two-loop recursion, {count} pairs"


def test_the_oldest_pair_is_dropped_and_one_that_bends_down_is_left_out(draws):
    part, memory = parts.LimitedMemory(pairs=3), Memory.empty(draws(4))
    for k in range(5):
        memory = LimitedMemory.remembered(part, memory, draws(4, seed=k), draws(4, seed=k))
    assert [torch.equal(s, draws(4, seed=k)) for (s, _), k in zip(memory.pairs, (2, 3, 4), strict=True)] == [True] * 3
    s = torch.tensor([1.0, 0, 0, 0]).double()
    for y in (-s, 0 * s, 1e-10 * s):
        assert LimitedMemory.remembered(part, memory, s, y) is memory
    assert LimitedMemory.remembered(part, memory, s, 1.1e-10 * s) is not memory


def test_the_pairs_are_the_steps_and_changes_of_the_gradient(problems):
    stepper = make("l-bfgs").start(problems["two moons"])
    points = [stepper.point]
    for _ in range(14):
        stepper.step()
        points.append(stepper.point)
    stepper.step()
    pairs = stepper._memory.pairs
    assert len(pairs) == 10
    for (s, y), before, after in zip(pairs, points[-11:], points[-10:], strict=False):
        torch.testing.assert_close(s, after.theta - before.theta, rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(y, after.gradient - before.gradient)


def test_on_a_quadratic_it_is_superlinear(least_squares):
    """With a pair for every direction, gradients end in fewer steps than steepest descent needs for a digit."""
    objective = least_squares([0.1, 0.3, 1.0, 3.0, 10.0])
    stepper = make("l-bfgs", step={"curvature": 0.1}).start(objective)
    norms = [float(norm(stepper.point.gradient))]
    while norms[-1] > 1e-10 and len(norms) < 60:
        stepper.step()
        norms.append(float(norm(stepper.point.gradient)))
    assert norms[-1] <= 1e-10
    assert len(norms) <= 20
    early, late = norms[5] / norms[3], norms[-1] / norms[-3]
    assert late < 0.05 * max(early, 1e-2) or late < 1e-4


@pytest.mark.parametrize("data", [Rosenbrock(), Beale(), Himmelblau(x=1.0, y=1.0)])
def test_it_ends_where_scipys_does_in_about_as_many_evaluations(data, landscape):
    objective = landscape(data)
    theirs = scipy.optimize.minimize(
        lambda x: float(objective.value(torch.as_tensor(x))),
        objective.initial_parameters.numpy(),
        jac=lambda x: objective.gradient(torch.as_tensor(x)).numpy(),
        method="L-BFGS-B",
        options={"ftol": 0.0, "gtol": 1e-9, "maxcor": 10},
    )
    stepper, cost = make("l-bfgs").start(objective), 0.0
    for _ in range(100):
        if float(stepper.point.gradient.abs().max()) < 1e-9:
            break
        cost += stepper.step().step_gradient_equivalents
    assert float(stepper.point.gradient.abs().max()) < 1e-9
    np.testing.assert_allclose(stepper.point.theta.numpy(), theirs.x, atol=1e-7)
    assert cost < 2 * theirs.nfev + 5


def test_its_model_is_of_its_own_matrix_and_has_no_damping(problems):
    """Bδ = −αg: predicted change (α − ½α²)gᵀd."""
    stepper = make("l-bfgs").start(problems["two moons"])
    for _ in range(5):
        theta, gradient = stepper.point.theta, stepper.point.gradient
        step = stepper.step()
        slope = float(gradient @ (stepper.point.theta - theta))
        assert step.predicted_change == pytest.approx(slope - 0.5 * step.learning_rate * slope)
        assert step.damping != step.damping
        assert step.predicted_change_damped != step.predicted_change_damped


def test_after_a_search_that_fails_it_begins_anew(problems):
    stepper = make("l-bfgs").start(problems["rosenbrock"])
    for _ in range(6):
        stepper.step()
    stepper.edit("step.trials", 1)
    stepper.edit("learning_rate", 1e5)
    step = stepper.step()
    assert step.outcome == "no step: no decrease along the direction"
    assert stepper._memory.pairs == ()
    stepper.edit("step.trials", 25)
    stepper.edit("learning_rate", 1.0)
    gradient, theta = stepper.point.gradient, stepper.point.theta
    step = stepper.step()
    assert step.solver == "two-loop recursion, 0 pairs"
    torch.testing.assert_close(stepper.point.theta, theta - step.learning_rate * gradient)

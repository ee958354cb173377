"""A matrix may serve for several steps, and a plane in which the model falls for ever is no place for its minimum."""

import pytest
import torch

from ngexplorer.curvature import Hessian, IndefiniteError
from ngexplorer.optimizers import make, step_rules


def test_a_matrix_that_serves_for_some_steps_is_the_one_looked_at_first(problems):
    """Chord iterations: δ = −(B_j + λI)⁻¹∇h(θ_k) with j the last multiple of the interval."""
    objective = problems["logistic"]
    stepper = make("newton", curvature={"refresh": 3}, damping={"name": "constant", "value": 0.1}).start(objective)
    theta = objective.initial_parameters
    for k in range(8):
        if k % 3 == 0:
            damped = Hessian(objective, theta).dense() + 0.1 * torch.eye(len(theta)).double()
        delta = -torch.linalg.solve(damped, objective.gradient(theta))
        step = stepper.step()
        theta = theta + delta
        torch.testing.assert_close(stepper.point.theta, theta, rtol=1e-9, atol=1e-11)
        undamped = damped - 0.1 * torch.eye(len(theta)).double()
        assert step.curvature_along_step == pytest.approx(float((delta @ undamped @ delta) / (delta @ delta)), rel=1e-6)


def test_a_matrix_that_serves_longer_costs_less(problems):
    objective = problems["two moons"]
    spent = []
    for refresh in (1, 5):
        stepper = make("natural-gradient", curvature={"refresh": refresh}, solver="cholesky").start(objective)
        spent.append(sum(stepper.step().step_gradient_equivalents for _ in range(10)))
    assert spent[1] < 0.6 * spent[0]


def test_work_at_the_earlier_point_is_counted(problems):
    objective = problems["logistic"]
    stepper = make("newton", curvature={"refresh": 2}, solver={"name": "conjugate-gradient", "tolerance": 1e-8}).start(
        objective
    )
    stepper.step()
    step = stepper.step()
    assert step.step_gradient_equivalents > step.solver_iterations


def test_an_edit_of_the_curvature_looks_anew(problems):
    stepper = make("newton", curvature={"refresh": 1000}).start(problems["logistic"])
    stepper.step()
    assert stepper._memory.matrix is not None
    stepper.edit("curvature.refresh", 2)
    assert stepper._memory.matrix is None


@pytest.mark.parametrize("before", [None, [0.0, 1.0]])
def test_a_plane_without_a_minimum_is_refused(given_matrix, before):
    """½(x² − y²): along y the model has a maximum, and no multiple of that direction is its minimum."""
    gradient = torch.tensor([0.3, 0.7]).double()
    direction = torch.tensor([0.1, 1.0] if before is None else [1.0, 0.1]).double()
    carried = None if before is None else torch.tensor(before).double()
    with pytest.raises(IndefiniteError) as caught:
        step_rules.model_minimum(given_matrix([[1.0, 0.0], [0.0, -1.0]]), gradient, direction, carried, 0.0)
    assert -1 - 1e-12 <= caught.value.lowest_eigenvalue < 0
    damped = step_rules.model_minimum(given_matrix([[1.0, 0.0], [0.0, -1.0]]), gradient, direction, carried, 1.5)
    assert float(gradient @ damped.delta) < 0

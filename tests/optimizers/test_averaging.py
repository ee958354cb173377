"""The average of the iterates, and the layer and diagonal forms of a matrix: both against their definitions."""

import pytest
import torch

from ngexplorer import curvature
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.optimizers import Optimizer, make, parts


@pytest.mark.parametrize("start", [0, 4])
def test_polyaks_average_is_the_mean_of_the_iterates_from_one_on(start, problems):
    stepper = make("gradient-descent", averaging={"name": "polyak", "start": start}).start(problems["quadratic"])
    visited = [stepper.point.theta]
    for k in range(1, 12):
        stepper.step()
        visited.append(stepper.point.theta)
        if k <= start:
            assert stepper.result is stepper.point
        else:
            expected = torch.stack(visited[start:]).mean(0)
            torch.testing.assert_close(stepper.result.theta, expected, rtol=1e-13, atol=1e-14)


def test_the_exponential_average_is_its_recursion_from_the_first_iterate(problems):
    stepper = make("natural-gradient", averaging={"name": "exponential", "decay": 0.7}).start(problems["logistic"])
    mean = None
    for _ in range(8):
        stepper.step()
        theta = stepper.point.theta
        mean = theta if mean is None else 0.7 * mean + 0.3 * theta
        torch.testing.assert_close(stepper.result.theta, mean, rtol=1e-13, atol=1e-14)


def test_averaging_changes_no_step(problems):
    ends = []
    for averaging in ("none", "polyak", "exponential"):
        stepper = make("adam", averaging=averaging).start(problems["two moons"])
        for _ in range(10):
            stepper.step()
        ends.append(stepper.point.theta)
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_a_step_that_leads_nowhere_is_not_averaged(problems):
    optimizer = Optimizer(learning_rate=1e9, step=parts.Armijo(trials=1), averaging=parts.Polyak())
    stepper = optimizer.start(problems["quadratic"])
    assert stepper.step().outcome.startswith("no step")
    assert stepper.result is stepper.point
    assert stepper._memory.averaged == 0


# Forms


@pytest.mark.parametrize("solver", ["auto", "cholesky", "eigendecomposition", "conjugate-gradient"])
@pytest.mark.parametrize("form", ["whole", "layers", "diagonal"])
@pytest.mark.parametrize("part", [parts.Fisher, parts.GaussNewton, parts.EmpiricalFisher])
def test_a_form_of_a_matrix_is_solved_with(part, form, solver, mlp, objective_of):
    objective = objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy(), cases=40, weight_decay=0.02)
    settings = {"name": solver}
    if solver == "conjugate-gradient":
        settings |= {"tolerance": 1e-12, "iterations": 300}
    optimizer = make(
        "natural-gradient",
        curvature=part(form=form),
        solver=settings,
        damping={"name": "constant", "value": 0.1},
        learning_rate=0.5,
    )
    stepper = optimizer.start(objective)
    for _ in range(2):
        point = stepper.point
        step = stepper.step()
        whole = part().at(point, 0).dense()
        masks = {"whole": torch.ones_like(whole), "diagonal": torch.eye(len(whole)).double()}
        layers = torch.zeros_like(whole)
        layers[:16, :16] = layers[16:, 16:] = 1  # 3·4 + 4 and 4·3 + 3
        matrix = whole * (masks | {"layers": layers})[form]
        damped = matrix + 0.1 * torch.eye(len(whole)).double()
        delta = -0.5 * torch.linalg.solve(damped, point.gradient)
        torch.testing.assert_close(stepper.point.theta - point.theta, delta, rtol=1e-7, atol=1e-9)
        promised = float(point.gradient @ delta + 0.5 * delta @ matrix @ delta)
        assert step.predicted_change == pytest.approx(promised, rel=1e-7)


def test_the_diagonal_form_is_gradient_descent_in_units_of_its_curvature(problems):
    objective = problems["quadratic"]
    stepper = make("natural-gradient", curvature={"form": "diagonal"}, damping="none").start(objective)
    point = stepper.point
    stepper.step()
    scales = curvature.Fisher(objective, point).dense().diagonal()
    torch.testing.assert_close(stepper.point.theta, point.theta - point.gradient / scales)

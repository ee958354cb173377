"""A step's record holds the numbers that dense algebra gives for the same step."""

import math

import pytest
import torch

from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.optimizers import make

OPTIMIZERS = {
    "newton": make("newton", damping={"initial": 3.0}),
    "gauss-newton": make("gauss-newton"),
    "natural-gradient": make("natural-gradient"),
    "half a step": make("natural-gradient", learning_rate=0.5),
    "constant damping": make("gauss-newton", damping="constant"),
    "heavy ball": make("natural-gradient", learning_rate=0.3, momentum="heavy-ball"),
    "averaged gradient": make("natural-gradient", learning_rate=0.3, momentum="gradient-average"),
    "damped model": make("natural-gradient", damping={"model": "damped"}),
    "rough conjugate gradient": make(
        "natural-gradient", solver={"name": "conjugate-gradient", "iterations": 3, "tolerance": 1e-12}
    ),
    "rough conjugate gradient, half a step": make(
        "gauss-newton", learning_rate=0.5, solver={"name": "conjugate-gradient", "iterations": 2}
    ),
    "rough conjugate gradient, heavy ball": make(
        "natural-gradient",
        learning_rate=0.3,
        momentum="heavy-ball",
        solver={"name": "conjugate-gradient", "iterations": 4, "tolerance": 1e-12},
    ),
    "rough conjugate gradient, averaged gradient": make(
        "gauss-newton",
        learning_rate=0.3,
        momentum="gradient-average",
        solver={"name": "conjugate-gradient", "iterations": 3},
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_record_is_what_dense_algebra_gives(optimizer, mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20, weight_decay=0.02)
    stepper = optimizer.start(objective)
    for _ in range(5):
        point = stepper.point
        step = stepper.step()
        delta, gradient = stepper.point.theta - point.theta, point.gradient
        matrix = optimizer.curvature.at(point, 0).dense()
        slope, bend, square = (float(x) for x in (gradient @ delta, delta @ matrix @ delta, delta @ delta))
        cosine = -slope / math.sqrt(square * float(gradient @ gradient))
        model = slope + 0.5 * bend
        expected = {
            "loss_before": float(objective.value(point.theta)),
            "loss_after": float(objective.value(stepper.point.theta)),
            "predicted_change": model,
            "predicted_change_damped": model + 0.5 * step.damping * square,
            "step_norm": math.sqrt(square),
            "step_norm_curvature": math.sqrt(bend),
            "gradient_norm": float(torch.linalg.vector_norm(gradient)),
            "angle": math.degrees(math.acos(cosine)),
            "curvature_along_step": bend / square,
        }
        for name, value in expected.items():
            assert getattr(step, name) == pytest.approx(value, rel=1e-8), name
        promised = step.predicted_change_damped if optimizer is OPTIMIZERS["damped model"] else step.predicted_change
        assert step.reduction_ratio == pytest.approx((step.loss_after - step.loss_before) / promised, rel=1e-8)
        assert step.step_seconds > 0
        assert step.step_gradient_equivalents > 1


def test_the_residual_recorded_is_that_of_the_system(mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)
    solver = {"name": "conjugate-gradient", "iterations": 3, "tolerance": 1e-12}
    stepper = make("natural-gradient", solver=solver).start(objective)
    point = stepper.point
    step = stepper.step()
    delta, gradient = stepper.point.theta - point.theta, point.gradient
    matrix = stepper.optimizer.curvature.at(point, 0).dense()
    residual = matrix @ delta + step.damping * delta + gradient
    norm = torch.linalg.vector_norm
    assert step.solver_residual == pytest.approx(float(norm(residual) / norm(gradient)), rel=1e-6)
    assert step.solver_iterations == 3
    assert step.solver == "conjugate gradient: iterations used up"


def test_a_direct_solver_has_no_residual_and_no_iterations(quadratic):
    step = make("newton").start(quadratic()).step()
    assert math.isnan(step.solver_residual)
    assert math.isnan(step.solver_iterations)
    assert step.solver.startswith("cholesky (automatic: ")


def test_the_curvature_along_the_step_lies_between_the_extreme_eigenvalues(mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)
    stepper = make("newton", damping={"initial": 3.0}).start(objective)
    for _ in range(5):
        eigenvalues = stepper.optimizer.curvature.at(stepper.point, 0).eigenvalues()
        assert eigenvalues[0] <= stepper.step().curvature_along_step <= eigenvalues[-1]


def test_a_step_without_momentum_goes_downhill_and_less_steeply_than_the_gradient(mlp, objective_of):
    step = make("natural-gradient").start(objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy())).step()
    assert 0 < step.angle < 90
    assert step.predicted_change < step.predicted_change_damped < 0

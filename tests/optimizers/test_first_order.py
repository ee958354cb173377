"""Gradient descent, heavy ball, Nesterov, AdaGrad, RMSProp and Adam are torch's own, iterate by iterate."""

import msgspec
import pytest
import torch

import ngexplorer as ngx
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.optimizers import Optimizer, make, parts
from ngexplorer.optimizers.step import PROBED


def torchs_iterates(objective, make_optimizer, steps):
    theta = objective.initial_parameters.clone().requires_grad_(True)
    optimizer = make_optimizer([theta])
    for _ in range(steps):
        theta.grad = objective.gradient(theta)
        optimizer.step()
        yield theta.detach().clone()


@pytest.mark.parametrize(
    ("mine", "torchs"),
    [
        (make("gradient-descent", learning_rate=0.2), lambda p: torch.optim.SGD(p, lr=0.2)),
        (make("heavy-ball", learning_rate=0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        (
            make("heavy-ball", learning_rate=0.1, momentum={"coefficient": 0.5}),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5),
        ),
        # torch's Nesterov multiplies its velocity by the rate, ours has it inside: the same while the rate stays.
        (make("nesterov", learning_rate=0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
        (
            make("nesterov", learning_rate=0.05, momentum={"coefficient": 0.6}),
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.6, nesterov=True),
        ),
        (make("adagrad"), lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-10)),
        (make("rmsprop"), lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, eps=1e-8)),
        (
            make("rmsprop", learning_rate=0.03, curvature={"decay": 0.8, "epsilon": 1e-4}),
            lambda p: torch.optim.RMSprop(p, lr=0.03, alpha=0.8, eps=1e-4),
        ),
        (make("adam", learning_rate=0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
        (
            make("adam", learning_rate=0.02, curvature={"decay": 0.9, "epsilon": 1e-3}, momentum={"decay": 0.5}),
            lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-3),
        ),
        (
            Optimizer(
                learning_rate=0.1, curvature=parts.DiagonalEmpiricalFisher(decay=0.99), momentum=parts.NoMomentum()
            ),
            lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.0, 0.99)),
        ),
    ],
    ids=[
        "gradient descent",
        "heavy ball",
        "heavy ball .5",
        "nesterov",
        "nesterov .6",
        "adagrad",
        "rmsprop",
        "rmsprop with other constants",
        "adam",
        "adam with other constants",
        "adam without average",
    ],
)
def test_iterates_are_torchs(mine, torchs, mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20, weight_decay=0.01)
    stepper = mine.start(objective)
    for theirs in torchs_iterates(objective, torchs, 60):
        stepper.step()
        torch.testing.assert_close(stepper.point.theta, theirs, rtol=1e-10, atol=1e-12)


def test_exponent_one_without_memory_divides_by_the_squared_gradient(quadratic, close):
    """B = diag(g²) + ε, the diagonal of the empirical Fisher of one case (Martens 2020, §11)."""
    objective = quadratic()
    curvature = parts.DiagonalEmpiricalFisher(decay=0.0, exponent=1.0, epsilon=0.1)
    stepper = Optimizer(learning_rate=0.5, curvature=curvature).start(objective)
    theta, gradient = stepper.point.theta, stepper.point.gradient
    stepper.step()
    close(stepper.point.theta, theta - 0.5 * gradient / (gradient**2 + 0.1))


@pytest.mark.parametrize("name", ["gradient-descent", "heavy-ball", "adam"])
def test_a_first_order_step_costs_one_gradient(name, mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy())
    history = ngx.run(objective, make(name), steps=5)
    assert history["step_gradient_equivalents"][1:] == pytest.approx(1, rel=1e-12)
    assert history["gradient_equivalents"] == pytest.approx([0, 1, 2, 3, 4, 5], rel=1e-12)


def test_a_first_order_record_has_nothing_of_a_model_it_does_not_have(mlp, objective_of):
    step = make("heavy-ball").start(objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy())).step()
    numbers = msgspec.structs.asdict(step)
    absent = {name for name, value in numbers.items() if value != value}
    assert absent == {
        "predicted_change",
        "predicted_change_damped",
        "reduction_ratio",
        "damping",
        "step_norm_curvature",
        "curvature_along_step",
        *PROBED,
        "lowest_eigenvalue",
        "solver_iterations",
        "solver_residual",
    }
    assert (step.outcome, step.solver, step.momentum, step.learning_rate) == ("accepted", "", 0.9, 0.1)


def test_gradient_descent_steps_straight_down(mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy())
    step = make("gradient-descent", learning_rate=0.2).start(objective).step()
    gradient = objective.gradient(objective.initial_parameters)
    assert step.angle == pytest.approx(0, abs=1e-5)  # acos loses half the digits at 1
    assert step.gradient_norm == pytest.approx(float(torch.linalg.vector_norm(gradient)), rel=1e-12)
    assert step.step_norm == pytest.approx(0.2 * step.gradient_norm, rel=1e-12)
    assert step.momentum != step.momentum


def test_gradient_descent_on_a_quadratic_shrinks_each_error_by_one_minus_alpha_lambda(quadratic, close):
    objective = quadratic()
    hessian = ngx.curvature.Hessian(objective, objective.initial_parameters).dense()
    minimum = objective.initial_parameters - torch.linalg.solve(
        hessian, objective.gradient(objective.initial_parameters)
    )
    eigenvalues, vectors = torch.linalg.eigh(hessian)
    error = vectors.T @ (objective.initial_parameters - minimum)
    stepper = make("gradient-descent", learning_rate=0.3).start(objective)
    for k in range(1, 20):
        stepper.step()
        close(vectors.T @ (stepper.point.theta - minimum), (1 - 0.3 * eigenvalues) ** k * error)


def test_e10_damped_newton_shrinks_each_error_by_one_minus_alpha_lambda_over_lambda_plus_damping(quadratic, close):
    objective = quadratic()
    hessian = ngx.curvature.Hessian(objective, objective.initial_parameters).dense()
    minimum = objective.initial_parameters - torch.linalg.solve(
        hessian, objective.gradient(objective.initial_parameters)
    )
    eigenvalues, vectors = torch.linalg.eigh(hessian)
    error = vectors.T @ (objective.initial_parameters - minimum)
    constant = {"name": "constant", "value": 0.2}
    stepper = make("natural-gradient", learning_rate=0.7, damping=constant).start(objective)
    for k in range(1, 10):
        stepper.step()
        factor = 1 - 0.7 * eigenvalues / (eigenvalues + 0.2)
        close(vectors.T @ (stepper.point.theta - minimum), factor**k * error)


def test_at_a_stationary_point_there_is_no_direction_and_no_angle(rosenbrock_at):
    step = make("gradient-descent").start(rosenbrock_at(1.0, 1.0)).step()
    assert step.gradient_norm == step.step_norm == 0
    assert step.angle != step.angle
    assert step.loss_after == 0


def test_float32_steps_in_float32(mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3).float(), SoftmaxCrossEntropy())
    for name in ngx.optimizers.RECIPES:
        stepper = make(name).start(objective)
        step = stepper.step()
        assert stepper.point.theta.dtype == torch.float32
        assert step.loss_after < step.loss_before


def test_a_rate_that_changes_scales_what_is_new_and_not_what_goes_on(problems):
    """δ_k = μδ_{k−1} + α_k d_k (Polyak): torch's heavy ball, α_k Σ μ^j g, differs where the rate changes."""
    schedule = parts.Schedule(shape="1/k", steps=1)
    stepper = make("heavy-ball", learning_rate=0.1, step=schedule).start(problems["quadratic"])
    velocity = torch.zeros_like(stepper.point.theta)
    for k in range(6):
        theta, gradient = stepper.point.theta, stepper.point.gradient
        stepper.step()
        velocity = 0.9 * velocity - 0.1 / (1 + k) * gradient
        torch.testing.assert_close(stepper.point.theta, theta + velocity)


def test_a_first_order_run_that_blows_up_diverges_and_stays(rosenbrock_at):
    stepper = make("gradient-descent", learning_rate=1e4).start(rosenbrock_at())
    for _ in range(10):
        before, step = stepper.point, stepper.step()
        if step.outcome.startswith("diverged"):
            break
    assert step.outcome == "diverged: loss not finite"
    assert stepper.point is before
    assert bool(torch.isfinite(before.theta).all())
    history = ngx.run(rosenbrock_at(), make("gradient-descent", learning_rate=1e4), steps=50)
    assert [event.kind for event in history.events] == ["diverged"]

"""What the theory says of whole runs: Newton on quadratics, and natural gradient as Newton on linear models."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import ngexplorer as ngx
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy
from ngexplorer.optimizers import make

SECOND_ORDER = ["newton", "gauss-newton", "natural-gradient"]


@pytest.mark.parametrize("name", SECOND_ORDER)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_newton_solves_a_quadratic_in_one_step(name, decay, quadratic, close):
    objective = quadratic(weight_decay=decay)
    x, y = objective.inputs, objective.targets
    gram = x.T @ x / len(x) + decay * torch.eye(4).double()
    solution = torch.linalg.solve(gram, (x.T @ y / len(x))[:, 0])
    stepper = make(name, damping="none").start(objective)
    step = stepper.step()
    close(stepper.point.theta, solution)
    assert step.reduction_ratio == pytest.approx(1, rel=1e-10)
    assert float(torch.linalg.vector_norm(stepper.point.gradient)) < 1e-14


def iterates(optimizer, objective, steps):
    stepper = optimizer.start(objective)
    found = []
    for _ in range(steps):
        stepper.step()
        found.append(stepper.point.theta)
    return found


def reweighted_least_squares(objective, steps):
    """IRLS for logistic regression, z = Xβ, as statistics books write it: β ← (XᵀWX + NηI)⁻¹ XᵀW(z + W⁻¹(y − p))."""
    x = torch.cat((objective.inputs, torch.ones(objective.cases, 1).double()), 1)
    y = objective.targets[:, 0]
    beta, found = objective.initial_parameters.clone(), []
    for _ in range(steps):
        z = x @ beta
        p = 1 / (1 + torch.exp(-z))
        weights = p * (1 - p)
        working = z + (y - p) / weights
        normal = x.T @ (weights[:, None] * x) + len(x) * objective.weight_decay * torch.eye(x.shape[1]).double()
        beta = torch.linalg.solve(normal, x.T @ (weights * working))
        found.append(beta)
    return found


def test_e7_logistic_linear_regression_makes_newton_gauss_newton_natural_gradient_and_irls_one(mlp, objective_of):
    objective = objective_of(mlp(3, 1), BernoulliLogits(), cases=40, weight_decay=0.05)
    expected = reweighted_least_squares(objective, 6)
    for name in SECOND_ORDER:
        for mine, irls in zip(iterates(make(name, damping="none"), objective, 6), expected, strict=True):
            torch.testing.assert_close(mine, irls, rtol=1e-8, atol=1e-10)


def test_e7_softmax_linear_regression_makes_newton_gauss_newton_and_natural_gradient_one(mlp, objective_of):
    objective = objective_of(mlp(3, 4), SoftmaxCrossEntropy(), cases=40, weight_decay=0.05)
    for damping in ("none", "levenberg-marquardt"):
        newton = iterates(make("newton", damping=damping), objective, 8)
        for name in ("gauss-newton", "natural-gradient"):
            for mine, theirs in zip(iterates(make(name, damping=damping), objective, 8), newton, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)


def test_e7_ends_with_a_hidden_layer(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 1), BernoulliLogits(), cases=40, weight_decay=0.05)
    newton, natural = (make(name) for name in ("newton", "natural-gradient"))
    assert (iterates(newton, objective, 3)[-1] - iterates(natural, objective, 3)[-1]).abs().max() > 1e-3


@pytest.fixture(scope="module")
def breast_cancer():
    """All 569 cases, standardized, with a column of ones; η = 1/(C·N) makes h scikit-learn's cost over C·N."""
    inputs, targets = load_breast_cancer(return_X_y=True)
    inputs = np.c_[StandardScaler().fit_transform(inputs), np.ones(len(inputs))]
    cost = 1.0
    objective = ngx.Objective(
        torch.nn.Linear(31, 1, bias=False, dtype=torch.float64),
        BernoulliLogits(),
        torch.tensor(inputs),
        torch.tensor(targets, dtype=torch.float64)[:, None],
        weight_decay=1 / (cost * len(inputs)),
    )
    theirs = LogisticRegression(C=cost, fit_intercept=False, solver="newton-cholesky", tol=1e-14, max_iter=100)
    return objective, torch.tensor(theirs.fit(inputs, targets).coef_[0])


@pytest.mark.parametrize("name", ["newton", "natural-gradient"])
def test_logistic_regression_reaches_scikit_learns_optimum(name, breast_cancer):
    objective, optimum = breast_cancer
    history = ngx.run(objective, make(name), steps=80)
    theta, step = history.parameters(80)
    assert step == 80
    np.testing.assert_allclose(theta, optimum, rtol=1e-8, atol=1e-8)
    assert history["loss"][-1] <= float(objective.value(optimum)) + 1e-12
    assert not history.events


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_e8_on_an_exact_quadratic_the_ratio_is_one_and_the_damping_shrinks_by_its_factor_each_step(name, quadratic):
    history = ngx.run(quadratic(6, weight_decay=0.1), make(name, damping={"initial": 2.0}), steps=25)
    # Later the change of h loses its digits to cancellation, and the ratio with them.
    np.testing.assert_allclose(history["reduction_ratio"][1:9], 1, rtol=1e-9)
    np.testing.assert_allclose(history["damping"][1:11], 2.0 * (2 / 3) ** np.arange(10), rtol=1e-12)


def test_at_the_minimum_of_a_quadratic_changes_are_rounding_and_say_nothing_of_the_model(quadratic):
    history = ngx.run(quadratic(6), make("newton", damping={"initial": 1e-6}), steps=10)
    assert np.isnan(history["reduction_ratio"][-3:]).all()
    assert len(set(history["damping"][-3:])) == 1
    assert history["outcome"][1:] == ["accepted"] * 10


def test_e8_the_damped_models_ratio_and_both_models_closed_forms(quadratic):
    objective = quadratic(5)
    stepper = make("newton", damping={"initial": 0.7, "model": "damped"}).start(objective)
    for _ in range(4):
        gradient, damping, theta = stepper.point.gradient, stepper.damping, stepper.point.theta
        step = stepper.step()
        delta = stepper.point.theta - theta
        slope, square = float(gradient.dot(delta)), float(delta.dot(delta))
        assert step.damping == damping
        assert step.predicted_change == pytest.approx(0.5 * slope - 0.5 * damping * square, rel=1e-8)
        assert step.predicted_change_damped == pytest.approx(0.5 * slope, rel=1e-8)
        assert step.reduction_ratio == pytest.approx(1 + damping * square / abs(slope), rel=1e-8)


def test_the_damped_ratio_of_a_quadratic_exceeds_one_so_the_damping_falls_all_the_same(quadratic):
    damping = {"initial": 1.0, "model": "damped"}
    history = ngx.run(quadratic(5), make("newton", damping=damping), steps=8)
    assert (history["reduction_ratio"][1:] > 1).all()
    np.testing.assert_allclose(history["damping"][1:], (2 / 3) ** np.arange(8), rtol=1e-12)


def test_newton_converges_quadratically(mlp, objective_of):
    """‖g‖ → c‖g‖²: digits double until rounding."""
    objective = objective_of(mlp(3, 1), BernoulliLogits(), cases=40, weight_decay=0.05)
    norms = ngx.run(objective, make("newton", damping="none"), steps=7)["gradient_norm"][1:]
    assert all(after < 10 * before**2 or after < 1e-13 for before, after in pairwise(norms[2:]))
    assert norms[-1] < 1e-14


def test_undamped_newton_refuses_an_indefinite_hessian(rosenbrock_at):
    """At x = 0 and y = 1 Rosenbrock's Hessian is diag(2 − 400y, 200)."""
    stepper = make("newton", damping="none").start(rosenbrock_at(0.0, 1.0))
    with pytest.raises(ngx.curvature.IndefiniteError, match="lowest eigenvalue is -398"):
        stepper.step()
    assert stepper.point.theta.tolist() == [0.0, 1.0]

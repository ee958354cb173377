"""Oracles that share no derivative with the engine: finite differences with a stated bound, and another library."""

import pytest
import torch
from hessian_eigenthings import EmpiricalFisherOperator, GGNOperator, HessianOperator, lanczos
from torch import nn

from ngexplorer.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian, MonteCarloFisher

SMOOTH = [
    "squared",
    "gaussian log-variance",
    "gaussian natural",
    "bernoulli logits",
    "probit",
    "softmax logits",
    "softmax probabilities",
    "poisson log-rate",
    "student-t",
    "cauchy",
    "logistic",
]


@pytest.mark.parametrize("loss", SMOOTH)
def test_the_hessian_is_the_second_difference_of_the_loss_alone(loss, network_name, problem, vectors):
    """Only h is evaluated: (h(θ + εv) − 2h(θ) + h(θ − εv))/ε², whose error is at most ε²/12 max|h''''| + 4·eps·|h|/ε².

    At ε = 1e-3 rounding is 1e-9|h|; the other term is found by halving: errors of an ε⁴ remainder fall by 4.
    """
    case = problem(loss, network_name)
    objective, theta = case.objective, case.theta
    hessian = Hessian(objective, theta)
    v = vectors(len(theta), seed=3)
    v = v / torch.linalg.vector_norm(v)

    def difference(epsilon):
        ahead, here, behind = (float(objective.value(theta + s * epsilon * v)) for s in (1, 0, -1))
        return (ahead - 2 * here + behind) / epsilon**2

    exact = float(v.dot(hessian @ v))
    coarse, fine = difference(2e-3), difference(1e-3)
    truncation = abs(coarse - fine) / 3  # of `fine`, by Richardson
    rounding = 4e-16 * 4 * abs(float(objective.value(theta))) / 1e-6
    assert abs(fine - exact) <= 1.5 * truncation + 4 * rounding + 1e-9
    assert abs(exact) > 1e-6 or loss == "softmax probabilities"


@pytest.mark.parametrize("loss", SMOOTH)
def test_hessian_products_are_the_slope_of_the_gradient(loss, network_name, problem, vectors):
    """(g(θ + εv) − g(θ − εv))/2ε: error ≤ ε²/6 max‖h''''‖ + eps·‖g‖/ε, below 1e-7 at ε = 1e-5 for these (‖v‖ = 1)."""
    case = problem(loss, network_name, weight_decay=0.1)
    objective, theta = case.objective, case.theta
    v = vectors(len(theta), seed=3)
    v = v / torch.linalg.vector_norm(v)
    slope = (objective.gradient(theta + 1e-5 * v) - objective.gradient(theta - 1e-5 * v)) / 2e-5
    product = Hessian(objective, theta) @ v
    assert float(torch.linalg.vector_norm(product - slope)) <= 1e-7 * (1 + float(torch.linalg.vector_norm(product)))


@pytest.mark.parametrize("name", ["squared", "softmax logits", "student-t"])
def test_gauss_newton_is_the_slope_of_the_linearized_networks_gradient(name, network_name, problem, vectors):
    """G v = d/dε Jᵀ∇L(z + εJv) at θ: J v by a difference of outputs, J never differentiated."""
    case = problem(name, network_name)
    objective, theta, loss = case.objective, case.theta, case.objective.loss
    v = vectors(len(theta), seed=3)
    v = v / torch.linalg.vector_norm(v)
    point = objective.at(theta)
    moved = (objective.outputs(theta + 1e-5 * v) - objective.outputs(theta - 1e-5 * v)) / 2e-5
    ahead, behind = (loss.gradient(point.outputs + s * moved, objective.targets) for s in (1e-5, -1e-5))
    slope = point.vjp((ahead - behind) / 2e-5) / len(moved)
    assert float(torch.linalg.vector_norm(GaussNewton(objective, theta) @ v - slope)) <= 1e-7


# hessian-eigenthings


def data_of(case):
    return [(case.objective.inputs, case.objective.targets)]


def criterion(z, y):
    """Torch's own mean loss over cases; squared error is summed over outputs."""
    if y.dtype == torch.int64:
        return nn.functional.cross_entropy(z, y)
    return nn.functional.mse_loss(z, y, reduction="sum") / (2 * 0.3 * len(z))


def one_criterion(model, sample):
    x, y = sample
    return criterion(model(x[None]), y[None])


def operators(case):
    """Another library's matrices, with ours."""
    model, data, objective, theta = case.module, data_of(case), case.objective, case.theta
    return [
        (HessianOperator(model, data, lambda m, b: criterion(m(b[0]), b[1])), Hessian(objective, theta)),
        (
            GGNOperator(model, data, lambda m, b: m(b[0]), lambda z, b: criterion(z, b[1])),
            GaussNewton(objective, theta),
        ),
        (EmpiricalFisherOperator(model, data, one_criterion), EmpiricalFisher(objective, theta)),
    ]


@pytest.mark.parametrize("loss", ["softmax logits", "squared"])
@pytest.mark.parametrize("name", ["mlp", "convolutional", "residual", "tied", "layer norm"])
def test_another_library_multiplies_alike(loss, name, problem, vectors, close):
    case = problem(loss, name)
    for theirs, ours in operators(case):
        v = vectors(len(case.theta))
        close(theirs.matvec(v).detach(), ours @ v)


@pytest.mark.parametrize("name", ["mlp", "convolutional", "tied"])
def test_another_library_finds_the_same_top_eigenpairs(name, problem):
    case = problem("softmax logits", name, cases=12)
    for theirs, ours in operators(case):
        settings = {"k": 3, "max_iter": theirs.size, "tol": 1e-12, "reorthogonalize": True, "seed": 0}
        for end, which in (("LM", "magnitude"), ("LA", "largest"), ("SA", "smallest")):
            if end == "SA" and not isinstance(ours, Hessian):
                continue  # the smallest are zeros, more of them than both look for
            expected = torch.as_tensor(lanczos(theirs, which=end, **settings).eigenvalues).double().sort().values
            found = ours.top_eigenpairs(3, which=which, tolerance=1e-9).values.sort().values
            torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_the_librarys_gauss_newton_matrix_is_the_mean_of_ours_over_labels(problem, vectors):
    """Softmax: GGN = Fisher = E[Monte Carlo Fisher], within 4 standard errors over 300 seeds."""
    case = problem("softmax logits", "mlp")
    point = case.objective.at(case.theta)
    v = vectors(len(case.theta))
    theirs = operators(case)[1][0].matvec(v).detach()
    drawn = torch.stack([MonteCarloFisher(case.objective, point, seed=seed) @ v for seed in range(300)])
    assert bool(((drawn.mean(0) - theirs).abs() <= 4 * drawn.std(0) / 300**0.5).all())
    torch.testing.assert_close(Fisher(case.objective, point) @ v, theirs, rtol=1e-8, atol=1e-12)

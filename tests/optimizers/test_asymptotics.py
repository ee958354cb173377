"""Stochastic asymptotics on a quadratic with constant gradient noise (Martens 2020, §13 and §14; E19 to E23).

h = ½(θ − θ*)ᵀH(θ − θ*), θ₊ = θ − α_k B⁻¹(∇h + ξ_k), ξ_k ~ N(0, Σ). Each closed form is held against the exact recursion
of the second moment, V ← A V Aᵀ + α²B⁻¹ΣB⁻¹ with A = I − αB⁻¹H, and against the mean of 10,000 chains.
"""

import math
from dataclasses import dataclass

import msgspec
import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov

import ngexplorer as ngx
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.optimizers import Optimizer, make, parts

@pytest.fixture(scope="module")
def problem(draws):
    """n = 3; H, B and Σ do not commute; eigenvalues of B⁻¹H about 1."""

    def spread(seed, low):
        square = draws(3, 3, seed=seed)
        return square @ square.T / 3 + low * torch.eye(3).double()

    h = spread(1, 0.5)
    return Noisy(h, h + 0.5 * spread(2, 0.2), spread(3, 0.1), 2 * draws(3, seed=4))


def agrees(found, value):
    """The end of an ensemble, within four standard errors."""
    return abs(float(found.mean[-1]) - value) < 4 * float(found.error[-1])


def mean_of(problem, rates):
    """E[h − h*] before each step and after the last."""
    return expected(problem, rates).tolist()


def test_e19_the_floor_of_a_fixed_rate(problem):
    """(α/4) tr[(B − αH/2)⁻¹Σ]."""
    for alpha in (0.1, 0.5, 1.0):
        floor = alpha / 4 * float(torch.linalg.solve(problem.b - alpha * problem.h / 2, problem.noise).trace())
        assert expected(problem, [alpha] * 600)[-1] == pytest.approx(floor, rel=1e-8)
        steps = 100 if alpha == 0.1 else 30
        assert expected(problem, [alpha] * steps)[-1] == pytest.approx(floor, rel=0.01)
        assert agrees(ensemble(problem, [alpha] * steps), expected(problem, [alpha] * steps)[-1])


@pytest.mark.parametrize("alpha", [0.2, 0.9, 1.7])
def test_e19_with_newtons_matrix_start_and_floor_part(alpha, problem):
    """(1 − α)^(2k) Δ₀ and α/(2(2 − α)) tr(H⁻¹Σ), at every k."""
    newton = with_b(problem, problem.h)
    floor = alpha / (2 * (2 - alpha)) * problem.trace()
    for k, value in enumerate(expected(newton, [alpha] * 20)):
        left = (1 - alpha) ** (2 * k)
        assert value == pytest.approx(left * newton.gap + (1 - left) * floor, rel=1e-9)
    for k in (1, 4, 20):
        left = (1 - alpha) ** (2 * k)
        assert agrees(ensemble(newton, [alpha] * k, seed=k), left * newton.gap + (1 - left) * floor)


def test_e19_beyond_two_over_the_largest_eigenvalue_nothing_holds_it(problem):
    limit = 2 / float(torch.linalg.eigvals(torch.linalg.solve(problem.b, problem.h)).real.max())
    assert expected(problem, [0.98 * limit] * 3000)[-1] < 1e3
    assert expected(problem, [1.02 * limit] * 3000)[-1] > 1e6


@pytest.mark.parametrize("a", [0, 3, 10])
def test_e20_a_rate_of_one_over_k_with_newtons_matrix(a, problem):
    """E[h − h*] = k/(2(k + a)²) tr(H⁻¹Σ) + (a/(k + a))² Δ₀ for all k."""
    newton = with_b(problem, problem.h)

    def closed(k):
        return k / (2 * (k + a) ** 2) * problem.trace() + (a / (k + a)) ** 2 * newton.gap

    rates = [1 / (k + a + 1) for k in range(50)]
    for k, value in enumerate(expected(newton, rates)[1:], 1):
        assert value == pytest.approx(closed(k), rel=1e-10)
    for k in (1, 10, 50):
        assert agrees(ensemble(newton, rates[:k], seed=a), closed(k))


def limit_of(h, noise, b):
    """½ tr(HV) with (H/b − ½I)V + V(H/b − ½I) = Σ/b²."""
    shifted = (h / b - 0.5 * torch.eye(len(h)).double()).numpy()
    v = torch.from_numpy(solve_continuous_lyapunov(shifted, (noise / b**2).numpy()))
    return 0.5 * float((h * v).sum())


def test_e21_a_rate_of_one_over_k_with_a_multiple_of_the_identity(problem):
    """k·E[h − h*] → ½ tr(HV), if b < 2λmin."""
    lowest = float(torch.linalg.eigvalsh(problem.h)[0])
    b = 1.0 * lowest
    plain = with_b(problem, b * torch.eye(3).double())
    limit, a = limit_of(problem.h, problem.noise, b), 10
    rates = [1 / (k + a + 1) for k in range(20_000)]
    values = expected(plain, rates)
    gaps = [abs(k * values[k] - limit) for k in (1250, 5000, 20_000)]
    assert gaps[2] < 0.005 * limit
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]
    assert agrees(ensemble(plain, rates[:60]), values[60])


def test_e21_where_all_commute_it_is_a_sum_over_eigenvalues():
    """½ Σ λ_iσ_i/(b(2λ_i − b))."""
    values, noise, b = torch.tensor([1.0, 2.0, 5.0]).double(), torch.tensor([0.3, 1.0, 2.0]).double(), 1.5
    expected_limit = 0.5 * float((values * noise / (b * (2 * values - b))).sum())
    assert limit_of(torch.diag(values), torch.diag(noise), b) == pytest.approx(expected_limit, rel=1e-10)


@pytest.mark.parametrize(("n", "number"), [(10, 15.2667), (50, 325.367)])
def test_e22_gradient_descent_pays_n_squared_over_eight_where_newton_pays_n_over_two(n, number):
    """H = Σ = diag(1..n), b = 1."""
    h = torch.diag(torch.arange(1.0, n + 1).double())
    limit = limit_of(h, h, 1.0)
    assert limit == pytest.approx(number, rel=1e-5)
    assert limit == pytest.approx(n**2 / 8, rel=0.25 if n == 10 else 0.05)
    quiet = torch.zeros(n).double()
    slow, fast = (Noisy(h, b, h, quiet) for b in (torch.eye(n).double(), h))
    a = n  # so that no eigenvalue's first rates are beyond 2/λ
    rates = [1 / (k + a + 1) for k in range(4000)]
    assert 4000 * expected(slow, rates)[-1] == pytest.approx(number, rel=0.02)
    assert 4000 * expected(fast, rates)[-1] == pytest.approx(n / 2, rel=0.03)
    if n == 10:
        assert agrees(ensemble(slow, rates[:80]), expected(slow, rates[:80])[-1])


def average_expected(problem, alpha, k):
    """E[h − h*] at the mean of θ₀..θ_k, by the exact recursion of error and sum together."""
    n = len(problem.start)
    inverse = torch.linalg.inv(problem.b)
    a = torch.eye(n).double() - alpha * inverse @ problem.h
    both = torch.cat((torch.cat((a, torch.zeros(n, n).double()), 1), torch.cat((a, torch.eye(n).double()), 1)))
    kick = (alpha**2 * inverse @ problem.noise @ inverse).repeat(2, 2)
    first = problem.start.repeat(2)
    moment = torch.outer(first, first)
    for _ in range(k):
        moment = both @ moment @ both.T + kick
    return float(0.5 * (problem.h * moment[n:, n:]).sum()) / (k + 1) ** 2


def average_closed(problem, alpha, k):
    """½(k+1)⁻² Σ_{m=1..k} tr[(I − Sᵐ)² H^−½ΣH^−½] + ½α⁻²(k+1)⁻² ‖(I − S^(k+1)) H^−½ B (θ₀ − θ*)‖²."""
    eye = torch.eye(len(problem.start)).double()
    root, inverse_root = powered(problem.h, 0.5), powered(problem.h, -0.5)
    s = eye - alpha * root @ torch.linalg.solve(problem.b, root)
    inside = inverse_root @ problem.noise @ inverse_root
    power, noise = eye, 0.0
    for _ in range(k):
        power = power @ s
        noise += float(((eye - power) @ (eye - power) @ inside).trace())
    start = (eye - power @ s) @ inverse_root @ problem.b @ problem.start
    return 0.5 * (noise + float(start @ start) / alpha**2) / (k + 1) ** 2


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_e23_polyaks_average_with_a_fixed_rate(alpha, problem):
    for k in (1, 5, 40):
        value = average_closed(problem, alpha, k)
        assert average_expected(problem, alpha, k) == pytest.approx(value, rel=1e-9)
        assert agrees(ensemble(problem, [alpha] * k, seed=k, averaged=True), value)


def test_e23_in_the_limit_neither_the_rate_nor_the_matrix_matters(problem):
    """k·E → ½ tr(H⁻¹Σ)."""
    limit = 0.5 * problem.trace()
    for b in (problem.b, problem.h, 3 * torch.eye(3).double()):
        for alpha in (0.2, 0.7):
            near, far = (k * average_closed(with_b(problem, b), alpha, k) for k in (500, 4000))
            assert abs(far - limit) < 0.2 * abs(near - limit)
            assert (8 * far - near) / 7 == pytest.approx(limit, rel=0.01)  # what is left falls as 1/k


# The optimizer makes the same chain.


@pytest.fixture(scope="module")
def regression(draws):
    """Least squares of a linear network, H = XᵀX/N, and as many noise vectors as steps."""
    x, y = draws(12, 3, seed=5), draws(12, 1, seed=6)
    module = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(draws(1, 3, seed=7))
    return ngx.Objective(module, SquaredError(), x, y), draws(40, 3, seed=8)


def noisy(objective, xi):
    """The same quadratic with ξ added to its gradient: targets moved by −N X(XᵀX)⁻¹ξ."""
    x, n = objective.inputs, objective.cases
    moved = objective.targets - n * (x @ torch.linalg.solve(x.T @ x, xi))[:, None]
    return ngx.Objective(objective.model, objective.loss, x, moved)


@pytest.mark.parametrize(
    ("optimizer", "newton", "a"),
    [
        (make("gradient-descent", learning_rate=0.3), False, None),
        (make("natural-gradient", learning_rate=0.3, damping="none"), True, None),
        (
            make(
                "natural-gradient",
                learning_rate=0.25,
                damping="none",
                step={"name": "schedule", "shape": "1/k", "steps": 4},
            ),
            True,
            3,
        ),
        (Optimizer(learning_rate=1 / 11, step=parts.Schedule(shape="1/k", steps=11)), False, 10),
    ],
    ids=["fixed, B = I", "fixed, B = H", "1/(k + 4), B = H", "1/(k + 11), B = I"],
)
def test_the_stepper_given_the_noise_makes_the_chain(optimizer, newton, a, regression):
    """Each step sees the gradient with its own ξ_k; θ_k and Polyak's average of what it visits are the chain's."""
    objective, noise = regression
    hessian = ngx.curvature.Hessian(objective, objective.initial_parameters).dense()
    inverse = torch.linalg.inv(hessian) if newton else torch.eye(3).double()
    theta = objective.initial_parameters
    stepper = msgspec.structs.replace(optimizer, averaging=parts.Polyak()).start(objective)
    visited = [theta]
    for k, xi in enumerate(noise):
        rate = 0.3 if a is None else 1 / (k + a + 1)
        theta = theta - rate * inverse @ (objective.gradient(theta) + xi)
        stepper.point = noisy(objective, xi).at(stepper.point.theta)
        step = stepper.step()
        assert step.learning_rate == pytest.approx(rate, rel=1e-14)
        torch.testing.assert_close(stepper.point.theta, theta, rtol=1e-10, atol=1e-12)
        visited.append(theta)
    torch.testing.assert_close(stepper.result.theta, torch.stack(visited).mean(0), rtol=1e-10, atol=1e-12)
    assert math.isfinite(step.loss_after)

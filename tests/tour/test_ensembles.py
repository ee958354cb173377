"""Ensembles of stochastic descent repeat from their seed and are as wide as they say; closed forms are solutions.

E19 to E23: each closed form is held against the recursion of the second moment, and against the mean of the chains.
"""

import pytest
import torch
from scipy.linalg import solve_continuous_lyapunov

from ngexplorer.tour.ensembles import (
    Noisy,
    average,
    averaged_ensemble,
    ensemble,
    expected,
    expected_average,
    floor,
    limit_of_plain_descent,
)


def spread(seed, low):
    square = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return square @ square.T / 3 + low * torch.eye(3).double()


@pytest.fixture
def problem():
    h = spread(1, 0.5)
    return Noisy(h, h + 0.5 * spread(2, 0.2), spread(3, 0.1), torch.tensor([1.0, -2.0, 0.5]).double())


def test_an_ensemble_repeats_from_its_seed_and_not_from_another(problem):
    one, again, other = (ensemble(problem, [0.3] * 4, chains=50, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.mean, again.mean)
    assert not torch.equal(one.mean[1:], other.mean[1:])


def test_all_chains_begin_at_the_start(problem):
    found = ensemble(problem, [0.3], chains=50)
    assert float(found.mean[0]) == pytest.approx(problem.gap)
    assert float(found.error[0]) < 1e-15


def test_without_noise_every_chain_is_gradient_descent(problem):
    quiet = Noisy(problem.h, torch.eye(3).double(), 1e-30 * torch.eye(3).double(), problem.start)
    theta, heights = problem.start, []
    for _ in range(4):
        theta = theta - 0.2 * problem.h @ theta
        heights.append(float(0.5 * theta @ problem.h @ theta))
    torch.testing.assert_close(ensemble(quiet, [0.2] * 4, chains=3).mean[1:], torch.tensor(heights).double())
    torch.testing.assert_close(expected(quiet, [0.2] * 4)[1:], torch.tensor(heights).double())


def test_the_standard_error_is_that_of_the_mean(problem):
    """Over 200 ensembles of 100 chains the means spread as the errors say, within a tenth."""
    found = [ensemble(problem, [0.5] * 5, chains=100, seed=seed) for seed in range(200)]
    means = torch.stack([one.mean[-1] for one in found])
    error = torch.stack([one.error[-1] for one in found]).square().mean().sqrt()
    assert float(means.std() / error) == pytest.approx(1, abs=0.15)


def test_chains_and_moments_agree_within_four_standard_errors(problem):
    rates = [0.5] * 10 + [0.1] * 10
    found, theory = ensemble(problem, rates, chains=5000, seed=7), expected(problem, rates)
    assert bool(((found.mean - theory).abs() <= 4 * found.error + 1e-12).all())
    averaged, theory = averaged_ensemble(problem, 0.5, 20, chains=5000, seed=8), expected_average(problem, 0.5, 20)
    assert bool(((averaged.mean - theory).abs() <= 4 * averaged.error + 1e-12).all())


def agrees(found, value):
    """The end of an ensemble, within four standard errors."""
    return abs(float(found.mean[-1]) - value) < 4 * float(found.error[-1])


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_e19_the_floor_is_the_fixed_point_of_the_moments(alpha, problem):
    moments = expected(problem, [alpha] * 800)
    assert float(moments[-1]) == pytest.approx(floor(problem, alpha), rel=1e-8)
    steps = 100 if alpha == 0.1 else 30
    assert float(moments[steps]) == pytest.approx(floor(problem, alpha), rel=0.01)
    assert agrees(ensemble(problem, [alpha] * steps), moments[steps])


@pytest.mark.parametrize("alpha", [0.2, 0.9, 1.7])
def test_e19_with_newtons_matrix_start_and_floor_part(alpha, problem):
    """(1 − α)^(2k) Δ₀ and α/(2(2 − α)) tr(H⁻¹Σ), at every k."""
    newton = problem.preconditioned(problem.h)
    left = (1 - alpha) ** (2 * torch.arange(21).double())
    theory = left * newton.gap + (1 - left) * alpha / (2 * (2 - alpha)) * problem.trace
    torch.testing.assert_close(expected(newton, [alpha] * 20), theory, rtol=1e-9, atol=0)
    for k in (1, 4, 20):
        assert agrees(ensemble(newton, [alpha] * k, seed=k), theory[k])


def test_e19_beyond_two_over_the_largest_eigenvalue_nothing_holds_it(problem):
    limit = 2 / float(torch.linalg.eigvals(torch.linalg.solve(problem.b, problem.h)).real.max())
    assert expected(problem, [0.98 * limit] * 3000)[-1] < 1e3
    assert expected(problem, [1.02 * limit] * 3000)[-1] > 1e6


def falling(steps, a):
    """α_k = 1/(k + a + 1)."""
    return [1 / (k + a + 1) for k in range(steps)]


@pytest.mark.parametrize("a", [0, 3, 10])
def test_e20_a_rate_of_one_over_k_with_newtons_matrix(a, problem):
    """E[h − h*] = k/(2(k + a)²) tr(H⁻¹Σ) + (a/(k + a))² Δ₀ for all k."""
    newton = problem.preconditioned(problem.h)
    k = torch.arange(1, 51).double()
    theory = k / (2 * (k + a) ** 2) * problem.trace + (a / (k + a)) ** 2 * newton.gap
    torch.testing.assert_close(expected(newton, falling(50, a))[1:], theory, rtol=1e-10, atol=0)
    for steps in (1, 10, 50):
        assert agrees(ensemble(newton, falling(steps, a), seed=a), theory[steps - 1])


def test_e21_a_rate_of_one_over_k_with_a_multiple_of_the_identity(problem):
    """k·E[h − h*] → ½ tr(HV), if b < 2λmin."""
    b = float(torch.linalg.eigvalsh(problem.h)[0])
    plain, limit = problem.preconditioned(b * torch.eye(3).double()), limit_of_plain_descent(problem, b)
    rates = falling(20_000, 10)
    values = expected(plain, rates)
    gaps = [abs(k * float(values[k]) - limit) for k in (1250, 5000, 20_000)]
    assert gaps[2] < 0.005 * limit
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]
    assert agrees(ensemble(plain, rates[:60]), values[60])


def commuting(values, noise):
    """Diagonal H and Σ, from the optimum."""
    n = len(values)
    return Noisy(torch.diag(values), torch.eye(n).double(), torch.diag(noise), torch.zeros(n).double())


def test_e21_where_all_commute_it_is_a_sum_over_eigenvalues():
    """½ Σ λ_iσ_i/(b(2λ_i − b))."""
    values, noise, b = torch.tensor([1.0, 2.0, 5.0]).double(), torch.tensor([0.3, 1.0, 2.0]).double(), 1.5
    theory = 0.5 * float((values * noise / (b * (2 * values - b))).sum())
    assert limit_of_plain_descent(commuting(values, noise), b) == pytest.approx(theory, rel=1e-10)


@pytest.mark.parametrize(("n", "number"), [(10, 15.2667), (50, 325.367)])
def test_e22_gradient_descent_pays_n_squared_over_eight_where_newton_pays_n_over_two(n, number):
    """H = Σ = diag(1..n), b = 1."""
    counted = torch.arange(1.0, n + 1).double()
    slow = commuting(counted, counted)
    limit = limit_of_plain_descent(slow, 1.0)
    assert limit == pytest.approx(number, rel=1e-5)
    assert limit == pytest.approx(n**2 / 8, rel=0.25 if n == 10 else 0.05)
    rates = falling(4000, n)  # so that no eigenvalue's first rates are beyond 2/λ
    assert 4000 * float(expected(slow, rates)[-1]) == pytest.approx(number, rel=0.02)
    assert 4000 * float(expected(slow.preconditioned(slow.h), rates)[-1]) == pytest.approx(n / 2, rel=0.03)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
def test_e23_polyaks_average_with_a_fixed_rate(alpha, problem):
    for k in (1, 5, 40):
        value = average(problem, alpha, k)
        assert float(expected_average(problem, alpha, k)[-1]) == pytest.approx(value, rel=1e-9)
        assert agrees(averaged_ensemble(problem, alpha, k, seed=k), value)


def test_e23_in_the_limit_neither_the_rate_nor_the_matrix_matters(problem):
    """k·E → ½ tr(H⁻¹Σ)."""
    limit = 0.5 * problem.trace
    for b in (problem.b, problem.h, 3 * torch.eye(3).double()):
        for alpha in (0.2, 0.7):
            near, far = (k * average(problem.preconditioned(b), alpha, k) for k in (500, 4000))
            assert abs(far - limit) < 0.2 * abs(near - limit)
            assert (8 * far - near) / 7 == pytest.approx(limit, rel=0.01)  # what is left falls as 1/k


def test_the_limit_of_plain_descent_solves_lyapunovs_equation(problem):
    b = float(torch.linalg.eigvalsh(problem.h)[0])
    shifted = (problem.h / b - 0.5 * torch.eye(3).double()).numpy()
    v = torch.from_numpy(solve_continuous_lyapunov(shifted, (problem.noise / b**2).numpy()))
    assert limit_of_plain_descent(problem, b) == pytest.approx(0.5 * float((problem.h * v).sum()), rel=1e-10)

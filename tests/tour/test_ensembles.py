"""Ensembles of stochastic descent repeat from their seed and are as wide as they say; closed forms are solutions."""

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


def test_the_floor_is_the_fixed_point_of_the_moments(problem):
    assert float(expected(problem, [0.5] * 800)[-1]) == pytest.approx(floor(problem, 0.5), rel=1e-9)


def test_the_averages_closed_form_is_the_recursion(problem):
    for k in (1, 7):
        assert average(problem, 0.4, k) == pytest.approx(float(expected_average(problem, 0.4, k)[-1]), rel=1e-10)


def test_the_limit_of_plain_descent_solves_lyapunovs_equation(problem):
    b = float(torch.linalg.eigvalsh(problem.h)[0])
    shifted = (problem.h / b - 0.5 * torch.eye(3).double()).numpy()
    v = torch.from_numpy(solve_continuous_lyapunov(shifted, (problem.noise / b**2).numpy()))
    assert limit_of_plain_descent(problem, b) == pytest.approx(0.5 * float((problem.h * v).sum()), rel=1e-10)

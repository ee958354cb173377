"""Asymptotics: the floor of a fixed rate, 1/k, and why averaging forgives the preconditioner."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.curvature import Fisher, Hessian
from ngexplorer.tour import ensembles
from ngexplorer.tour.checks import Outcome, at_least, at_most, near
from ngexplorer.tour.ensembles import Ensemble, Noisy
from ngexplorer.tour.figure import Chart, Curve, Dial
from ngexplorer.tour.problems import drawn, quadratic, tensor
from ngexplorer.tour.stop import Stop

stop = Stop("asymptotics", "The floor, 1/k, and averaging")

_EIGENVALUES = (0.5, 1.0, 2.0, 4.0)


def _problem() -> Noisy:
    """H of a linear regression, B its Fisher matrix pulled away from it, Σ: no two of them commute."""
    objective = quadratic(*_EIGENVALUES)
    theta, inputs = objective.initial_parameters, objective.inputs
    assert isinstance(inputs, Tensor)
    noise, pull = (square @ square.T / 4 + 0.1 * torch.eye(4).double() for square in (drawn(4, 4), drawn(4, 4, seed=1)))
    b = Fisher(objective, theta).dense() + 0.5 * pull
    best = torch.linalg.lstsq(inputs, objective.targets).solution[:, 0]
    return Noisy(Hessian(objective, theta).dense(), b, noise, 3 * (theta - best))


def _newton() -> Noisy:
    problem = _problem()
    return problem.preconditioned(problem.h)


def _furthest(found: Ensemble, theory: Tensor) -> Outcome:
    """How many standard errors the mean of the chains is from the theory, at the step where that is most."""
    later = slice(1, None)  # at the start all chains are one
    return at_most(((found.mean - theory)[later].abs() / found.error[later]).max(), 4)


@stop.claim("The problem: H of this least squares has the eigenvalues ½, 1, 2 and 4", "§14")
def eigenvalues() -> Outcome:
    return near(torch.linalg.eigvalsh(_problem().h), _EIGENVALUES, 1e-10)


@stop.claim("Fixed α = ½, any B: E[h − h*] after 600 steps over the floor (α/4) tr[(B − αH/2)⁻¹Σ]", "§14")
def floor() -> Outcome:
    problem = _problem()
    return near(ensembles.expected(problem, [0.5] * 600)[-1] / ensembles.floor(problem, 0.5), 1, 1e-8)


@stop.claim("Fixed α = ½, 30 steps: 4,000 chains against the exact moments, most standard errors apart", "§14")
def floor_of_an_ensemble() -> Outcome:
    problem, rates = _problem(), [0.5] * 30
    return _furthest(ensembles.ensemble(problem, rates), ensembles.expected(problem, rates))


@stop.claim("B = H: (1 − α)^(2k) Δ₀ of the start and what is left of the floor α/(2(2 − α)) tr(H⁻¹Σ), α = 0.9", "§14")
def floor_with_newton() -> Outcome:
    problem, alpha = _newton(), 0.9
    left = (1 - alpha) ** (2 * torch.arange(21).double())
    theory = left * problem.gap + (1 - left) * alpha / (2 * (2 - alpha)) * problem.trace
    found = ensembles.expected(problem, [alpha] * 20)
    return near((found / theory - 1).abs().max(), 0, 1e-8)


@stop.claim(
    "B = H, α = 0.2, 30 steps: 4,000 chains against the start's and the floor's parts, most standard errors apart",
    "§14",
)
def floor_with_newton_of_an_ensemble() -> Outcome:
    problem, alpha = _newton(), 0.2
    left = (1 - alpha) ** (2 * torch.arange(31).double())
    theory = left * problem.gap + (1 - left) * alpha / (2 * (2 - alpha)) * problem.trace
    return _furthest(ensembles.ensemble(problem, [alpha] * 30, seed=1), theory)


@stop.claim("Fixed α at 1.02 times 2/λmax(B⁻¹H): E[h − h*] after 3,000 steps, over Δ₀", "§14")
def beyond_the_limit() -> Outcome:
    problem = _problem()
    limit = 2 / float(torch.linalg.eigvals(torch.linalg.solve(problem.b, problem.h)).real.max())
    return at_least(ensembles.expected(problem, [1.02 * limit] * 3000)[-1] / problem.gap, 1e6)


def _falling(steps: int, a: int) -> list[float]:
    """α_k = 1/(k + a + 1)."""
    return [1 / (k + a + 1) for k in range(steps)]


@stop.claim("B = H, α_k = 1/(k + a + 1): E is k/(2(k+a)²) tr(H⁻¹Σ) + (a/(k+a))² Δ₀ at every k; furthest", "§14")
def one_over_k() -> Outcome:
    problem, a = _newton(), 3
    k = torch.arange(201).double()
    theory = k / (2 * (k + a) ** 2) * problem.trace + (a / (k + a)) ** 2 * problem.gap
    return near((ensembles.expected(problem, _falling(200, a)) / theory - 1).abs().max(), 0, 1e-8)


@stop.claim("B = H, α_k = 1/(k + a + 1), 60 steps: 4,000 chains against that, most standard errors apart", "§14")
def one_over_k_of_an_ensemble() -> Outcome:
    problem, a = _newton(), 3
    k = torch.arange(61).double()
    theory = k / (2 * (k + a) ** 2) * problem.trace + (a / (k + a)) ** 2 * problem.gap
    return _furthest(ensembles.ensemble(problem, _falling(60, a), seed=2), theory)


@stop.claim("B = bI, b = ½, α_k = 1/(k + a + 1): k·E at k = 20,000 over its limit ½ tr(HV)", "§14")
def plain_descent() -> Outcome:
    problem = _problem()
    plain = problem.preconditioned(0.5 * torch.eye(4).double())
    found = 20_000 * ensembles.expected(plain, _falling(20_000, 10))[-1]
    return near(found / ensembles.limit_of_plain_descent(problem, 0.5), 1, 0.01)


def _harmonic(n: int) -> Noisy:
    """H = Σ = diag(1 … n), from the optimum."""
    h = torch.diag(torch.arange(1, n + 1).double())
    return Noisy(h, torch.eye(n).double(), h, torch.zeros(n).double())


@stop.claim("H = Σ = diag(1 … n), B = I: the limit of k·E for n = 10 and 50", "§14")
def dimension() -> Outcome:
    limits = [ensembles.limit_of_plain_descent(_harmonic(n), 1.0) for n in (10, 50)]
    return near(limits, (15.2667, 325.367), 5e-4)


@stop.claim("H = Σ = diag(1 … 10), B = I: 4,000·E after 4,000 steps", "§14")
def dimension_by_moments() -> Outcome:
    return near(4000 * ensembles.expected(_harmonic(10), _falling(4000, 10))[-1], 15.2667, 0.3)


@stop.claim("H = Σ = diag(1 … 10), B = H: 4,000·E after 4,000 steps, n/2", "§14")
def dimension_with_newton() -> Outcome:
    problem = _harmonic(10)
    found = ensembles.expected(problem.preconditioned(problem.h), _falling(4000, 10))[-1]
    return near(4000 * found, 5, 0.05)


@stop.claim(
    "H = Σ = diag(1 … 10), B = I, 80 steps: 4,000 chains against the exact moments, most standard errors apart", "§14"
)
def dimension_of_an_ensemble() -> Outcome:
    problem, rates = _harmonic(10), _falling(80, 10)
    return _furthest(ensembles.ensemble(problem, rates, seed=3), ensembles.expected(problem, rates))


@stop.claim("Averaging the iterates, α = ½: the closed form over the exact moments after 40 steps", "§14")
def averaging() -> Outcome:
    problem = _problem()
    return near(ensembles.average(problem, 0.5, 40) / ensembles.expected_average(problem, 0.5, 40)[-1], 1, 1e-8)


@stop.claim(
    "Averaging the iterates, α = ½, 40 steps: 4,000 chains against the exact moments, most standard errors apart", "§14"
)
def averaging_of_an_ensemble() -> Outcome:
    problem = _problem()
    found = ensembles.averaged_ensemble(problem, 0.5, 40, seed=4)
    return _furthest(found, ensembles.expected_average(problem, 0.5, 40))


@stop.claim("k·E of the average over ½ tr(H⁻¹Σ), k → ∞, for B as here, B = H and B = 3I, α = 0.2 and 0.7", "§14")
def averaging_forgives() -> Outcome:
    """What is left falls as 1/k, so two values of k say where it goes."""
    problem, found = _problem(), []
    for b in (problem.b, problem.h, 3 * torch.eye(4).double()):
        for alpha in (0.2, 0.7):
            near_by, far = (k * ensembles.average(problem.preconditioned(b), alpha, k) for k in (500, 4000))
            found.append((8 * far - near_by) / 7 / (0.5 * problem.trace))
    return near(found, (1,) * 6, 0.01)


@stop.claim("The optimizer's own step is the chain's: natural gradient with α = 0.3 from θ₀; largest difference", "§14")
def the_optimizer_makes_the_chain() -> Outcome:
    """Without noise A = (1 − α)I in every direction."""
    objective = quadratic(*_EIGENVALUES)
    stepper = ngx.optimizers.make("natural-gradient", damping="none", learning_rate=0.3).start(objective)
    inputs = objective.inputs
    assert isinstance(inputs, Tensor)
    best = torch.linalg.lstsq(inputs, objective.targets).solution[:, 0]
    first = stepper.point.theta - best
    for _ in range(5):
        stepper.step()
    return near((stepper.point.theta - best) / first, tuple((0.7**5 * tensor(1, 1, 1, 1)).tolist()), 1e-8)


_SHOWN = 100
"""Chains of the figure: few enough that their error bars can be seen"""


@stop.draws(
    f"E over k: the theory's curves, and the means of {_SHOWN} chains with bars of two standard errors. Slide α of the "
    "fixed rates: the floor follows, the average does not care.",
    Dial("α", 0.1, 1.5, 0.5, 14),
)
def chains(alpha: float) -> tuple[Chart, ...]:
    newton, steps, a = _newton(), 300, 3
    plain = newton.preconditioned(3 * torch.eye(4).double())
    fixed, falling = [alpha] * steps, _falling(steps, a)
    rows = (
        ("B = H, α fixed", ensembles.expected(newton, fixed), ensembles.ensemble(newton, fixed, _SHOWN)),
        ("B = H, α = 1/(k + 4)", ensembles.expected(newton, falling), ensembles.ensemble(newton, falling, _SHOWN)),
        (
            "B = 3I, α fixed, averaged",
            ensembles.expected_average(plain, alpha, steps),
            ensembles.averaged_ensemble(plain, alpha, steps, _SHOWN),
        ),
    )
    k = np.arange(steps + 1)
    seen = np.unique(np.geomspace(1, steps, 14).round().astype(int))
    curves = []
    for colour, (label, theory, found) in enumerate(rows):
        curves.append(Curve(label, colour, k[1:].astype(float), theory.numpy()[1:]))
        mean, error = (values.numpy()[seen] for values in (found.mean, found.error))
        curves.append(Curve("", colour, seen.astype(float), mean, error=2 * error))
    return (Chart("E", "k", tuple(curves), log_x=True, log_y=True),)

"""One method in five parametrizations of a Gaussian: closed forms of a whole step, and what small steps agree on."""

import math

import numpy as np
import pytest

from ngexplorer import analysis
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.landscapes import GaussianLikelihood, Rosenbrock
from ngexplorer.objectives.losses import GaussianNLL, SquaredError
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.optimizers import make

PARAMETRIZATIONS = ["variance", "log-variance", "precision", "natural", "mean"]
ONE_STEP = {
    "(μ, v)": (1, 1.25),
    "(μ, log v)": (1, math.exp(0.25)),
    "(μ, 1/v)": (1, 4 / 3),
    "(μ/v, −1/(2v))": (4 / 3, 4 / 3),
    "(E y, E y²)": (1, 0.25),
}
"""Where a whole natural-gradient step from N(0, 1) ends, ȳ = 1, s² = ¼, as (μ, v)."""


def natural(rate, **how):
    return make("natural-gradient", damping="none", learning_rate=rate, **how)


def compared(parametrization, optimizer, steps):
    objective = assemble(GaussianLikelihood(), LandscapeModel(), GaussianNLL(parametrization=parametrization))
    stepper = optimizer.start(objective, objective.initial_parameters, 0)
    path = [stepper.point.theta.numpy().copy()]
    for _ in range(steps):
        stepper.step()
        path.append(stepper.point.theta.numpy().copy())
    *_, found = analysis.elsewhere(objective, optimizer, np.stack(path), never)
    return objective, found


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_a_whole_step_ends_where_the_closed_form_says_in_each_whatever_the_run_is_in(parametrization):
    _, found = compared(parametrization, natural(1.0), 1)
    assert {one.names for one in found} == set(ONE_STEP)
    own = [one for one in found if one.own]
    for one in found:
        assert one.moments[1] == pytest.approx(ONE_STEP[one.names], abs=1e-10)
        # KL(N(m, v) ‖ N(μ, w)) = ½(v/w − 1 − log(v/w) + (m − μ)²/w)
        (m, v), (mu, w) = ONE_STEP[own[0].names], ONE_STEP[one.names]
        expected = 0.5 * (v / w - 1 - math.log(v / w) + (m - mu) ** 2 / w)
        assert one.apart == pytest.approx([0, expected], abs=1e-10)
    assert len(own) == 1 and own[0].apart[1] == 0


def test_their_places_are_in_the_run_s_own_parameters():
    objective, found = compared("natural", natural(0.2), 5)
    for one in found:
        z = np.stack((one.moments[:, 0] / one.moments[:, 1], -0.5 / one.moments[:, 1]), 1)
        np.testing.assert_allclose(one.path, z, rtol=1e-12)
        np.testing.assert_allclose(one.path[0], objective.initial_parameters.numpy())


def test_the_gap_of_two_parametrizations_falls_as_the_square_of_the_step_in_nats():
    """At t = 1 they are α apart, and KL is the square of that: half the step, a quarter of the KL."""
    far, near = (max(one.apart[-1] for one in compared("variance", natural(1 / n), n)[1]) for n in (32, 64))
    assert 3.2 < far / near < 5


def test_gradient_descent_has_another_direction_in_each():
    _, found = compared("variance", make("gradient-descent", learning_rate=1e-3), 1)
    directions = [(one.path[1] - one.path[0]) / np.linalg.norm(one.path[1] - one.path[0]) for one in found]
    cosines = [abs(float(directions[0] @ other)) for other in directions[1:]]
    assert min(cosines) < 0.999
    _, found = compared("variance", natural(1e-6), 1)
    directions = [(one.path[1] - one.path[0]) / np.linalg.norm(one.path[1] - one.path[0]) for one in found]
    assert min(float(directions[0] @ other) for other in directions[1:]) > 1 - 1e-9, "natural gradient has one"


def test_a_path_that_leaves_the_gaussians_ends_there():
    _, found = compared("log-variance", make("gradient-descent", learning_rate=1.5), 30)
    lengths = {one.names: len(one.path) for one in found}
    assert lengths["(μ, log v)"] == 31 and lengths["(E y, E y²)"] < lengths["(μ, v)"] < 31
    assert all(np.isfinite(one.path).all() and len(one.apart) == len(one.path) for one in found)


def test_of_another_objective_there_are_none_and_a_cancelled_one_stops():
    objective = assemble(Rosenbrock(), LandscapeModel(), SquaredError())
    with pytest.raises(ValueError, match="five parametrizations"):
        list(analysis.elsewhere(objective, natural(1.0), np.zeros((2, 2)), never))
    objective = assemble(GaussianLikelihood(), LandscapeModel(), GaussianNLL())
    path = np.zeros((3, 2))
    cg = natural(1.0, solver="conjugate-gradient")
    with pytest.raises(Cancelled):
        list(analysis.elsewhere(objective, cg, path, lambda: True))

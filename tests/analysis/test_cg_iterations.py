"""Conjugate gradient iteration by iteration, against the solver of the optimizers and the dense solution."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis.cg_iterations import conjugate_gradient
from ngexplorer.cancellation import Cancelled, Watch, never
from ngexplorer.curvature import GaussNewton, Hessian
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.solvers.conjugate_gradient import by_conjugate_gradient

SETTINGS = {
    "forcing": parts.ConjugateGradient(stop="forcing", tolerance=0.5),
    "residual": parts.ConjugateGradient(tolerance=1e-3),
    "progress": parts.ConjugateGradient(stop="progress", tolerance=5e-4),
    "hessian-free": parts.ConjugateGradient(stop="progress", tolerance=5e-4, warm_start=0.95, preconditioned=True),
    "used up": parts.ConjugateGradient(tolerance=1e-14, iterations=7),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_stops_where_the_steps_own_solver_does_and_as_far(digits, finest, name):
    point = digits.at(digits.initial_parameters)
    matrix, settings = GaussNewton(digits, point), SETTINGS[name]
    start = -0.1 * point.gradient
    solved = by_conjugate_gradient(matrix, point.gradient, 0.1, settings, start, lambda delta: 0.0, never)
    found = finest(conjugate_gradient(matrix, 0.1, settings, start))
    assert found.stop == solved.iterations
    assert found.reason == solved.reason.removeprefix("conjugate gradient: ")
    left = float(solved.residual.norm() / point.gradient.norm())
    model = 0.5 * float(solved.direction.dot(solved.residual + point.gradient))
    if name == "residual":  # the solver stands still once below its tolerance, up to four iterations before it looks
        assert left <= 1e-3 and found.residuals[-1] <= left * (1 + 1e-9)
    else:
        assert found.residuals[-1] == pytest.approx(left, rel=1e-6)
    assert found.models[-1] == pytest.approx(model, rel=1e-5)


def test_the_curve_falls_to_the_models_minimum(classifier, finest):
    point = classifier.at(classifier.initial_parameters)
    matrix = GaussNewton(classifier, point)
    found = finest(conjugate_gradient(matrix, 0.1, parts.ConjugateGradient(tolerance=1e-12)))
    damped = matrix.dense() + 0.1 * torch.eye(classifier.parameters, dtype=torch.float64)
    exact = torch.linalg.solve(damped, -point.gradient)
    assert found.models[0] == 0 and found.residuals[0] == 1
    assert (np.diff(found.models[:10]) < 0).all() and (np.diff(found.norms[:10]) > 0).all()
    assert found.models[-1] == pytest.approx(0.5 * float(point.gradient.dot(exact)), rel=1e-10)
    undamped = float(point.gradient.dot(exact) + 0.5 * exact.dot(matrix @ exact))
    assert found.undamped[-1] == pytest.approx(undamped, rel=1e-8)
    eigenvalues = torch.linalg.eigvalsh(damped)
    assert (found.curvatures[1:] >= float(eigenvalues[0])).all()
    assert (found.curvatures[1:] <= float(eigenvalues[-1])).all()


def test_iterations_beyond_the_stop_show_what_it_left(digits, finest):
    matrix = GaussNewton(digits, digits.at(digits.initial_parameters))
    settings = parts.ConjugateGradient(tolerance=0.05)
    stopped = finest(conjugate_gradient(matrix, 0.1, settings))
    further = finest(conjugate_gradient(matrix, 0.1, settings, beyond=20))
    assert further.stop == stopped.stop == len(stopped.models) - 1 and len(further.models) == len(stopped.models) + 20
    assert further.reason == stopped.reason == "residual below the tolerance"
    np.testing.assert_array_equal(further.models[: len(stopped.models)], stopped.models)


def test_negative_curvature_ends_it(moons, finest):
    point = moons.at(moons.initial_parameters)
    found = finest(conjugate_gradient(Hessian(moons, point), 1e-6, parts.ConjugateGradient(tolerance=1e-10)))
    assert found.reason == "negative curvature" and found.curvatures[-1] < 0


def test_the_curve_grows_and_can_be_abandoned(digits):
    asked = []
    point = digits.at(digits.initial_parameters, Watch(lambda: len(asked.append(1) or asked) > 35))
    answers = conjugate_gradient(GaussNewton(digits, point), 1e-3, parts.ConjugateGradient(tolerance=1e-10))
    first = next(answers)
    assert len(first.models) == 11 and not first.done
    with pytest.raises(Cancelled):
        list(answers)


def test_from_the_solution_nothing_is_left_to_do(valley, finest):
    point = valley.at(valley.initial_parameters)
    settings = parts.ConjugateGradient(warm_start=1.0)
    exact = torch.linalg.solve(Hessian(valley, point).dense(), -point.gradient)
    found = finest(conjugate_gradient(Hessian(valley, point), 0.0, settings, exact))
    assert found.residuals[-1] < 1e-10 and found.reason == "residual below the tolerance" and len(found.models) <= 6


def test_without_a_gradient_there_is_nothing_to_iterate(valley, finest):
    point = valley.at(torch.ones(2, dtype=torch.float64))
    found = finest(conjugate_gradient(Hessian(valley, point), 1.0, parts.ConjugateGradient()))
    assert found.reason == "the gradient is zero" and found.models.tolist() == [0]

"""The damping path, from its closed form and from the loss itself."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis import damping, evaluation, shifted_solutions
from ngexplorer.analysis.damping import damping_path
from ngexplorer.analysis.shifted_solutions import shifted
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.curvature import GaussNewton, Hessian
from ngexplorer.curvature.kinds import KINDS, curvatures
from ngexplorer.objectives.losses import SoftmaxCrossEntropy


def at_start(objective):
    return objective.at(objective.initial_parameters)


@pytest.fixture
def by_products(monkeypatch):
    """From here on every matrix counts as too large to decompose."""
    for name in ("_LARGEST_EXACT", "LARGEST_BY_PRODUCTS", "_AT_ONCE_SMALL"):
        monkeypatch.setattr(shifted_solutions, name, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_solves_its_damped_system(classifier, finest, kind):
    point = at_start(classifier)
    matrix = curvatures(point).found[kind]
    path = finest(damping_path(matrix))
    dense, gradient = matrix.dense(), point.gradient
    for i in (0, 20, 40, 64):
        step = path.solution.steps(path.dampings[i : i + 1])[0]
        expected = torch.linalg.solve(dense + path.dampings[i] * torch.eye(len(dense), dtype=torch.float64), -gradient)
        torch.testing.assert_close(step, expected, rtol=1e-6, atol=1e-10)
        assert path.norms[i] == pytest.approx(float(step.norm()))
        assert path.promised[i] == pytest.approx(float(gradient.dot(step) + 0.5 * step.dot(dense @ step)))
        damped = path.promised[i] + 0.5 * path.dampings[i] * float(step.norm()) ** 2
        assert path.promised_damped[i] == pytest.approx(damped)
        assert path.losses[i] == pytest.approx(float(classifier.value(point.theta + step)), rel=1e-10)


def test_the_path_begins_at_newtons_step_and_ends_in_the_gradients_direction(quadratic, finest):
    objective = quadratic()
    point = at_start(objective)
    path = finest(damping_path(Hessian(objective, point)))
    newton = -torch.linalg.solve(Hessian(objective, point).dense(), point.gradient)
    first, final = path.solution.steps(path.dampings[[0, -1]])
    torch.testing.assert_close(first, newton, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(path.dampings[-1] * final, -point.gradient, rtol=2e-3, atol=1e-6)
    assert path.angles[-1] < 0.1 < path.angles[0]
    torch.testing.assert_close(path.solution.steps(np.zeros(1))[0], newton)


def test_the_middle_of_the_path_of_the_saddle_is_known(saddle, finest):
    """h = ½(x² − y²) at (1.5, 0.1): δ(λ) = (−1.5/(1 + λ), 0.1/(λ − 1)), for λ > 1 alone."""
    path = finest(damping_path(Hessian(saddle, at_start(saddle)), np.array([2.0, 5.0])))
    np.testing.assert_allclose(path.solution.steps(path.dampings), [[-0.5, 0.1], [-0.25, 0.025]])
    assert path.solution.floor == pytest.approx(1)
    np.testing.assert_allclose(path.losses, [0.5 * (1 - 0.04), 0.5 * (1.25**2 - 0.125**2)])
    np.testing.assert_allclose(path.ratios, 1)


def test_the_ratio_of_an_exact_quadratic_is_one_at_every_damping(quadratic, finest):
    objective = quadratic(weight_decay=0.1)
    path = finest(damping_path(Hessian(objective, at_start(objective))))
    # Where λ is largest the change is small beside h, and so has fewer digits.
    np.testing.assert_allclose(path.ratios, 1, rtol=1e-6)
    # With the damped model ρ = 1 + λ‖δ‖²/|gᵀδ|.
    slope = np.abs(2 * path.promised_damped)
    np.testing.assert_allclose(path.damped_ratios, 1 + path.dampings * path.norms**2 / slope, rtol=1e-6)


def test_the_step_shrinks_strictly_as_damping_grows(classifier, finest):
    path = finest(damping_path(GaussNewton(classifier, at_start(classifier))))
    assert (np.diff(path.norms) < 0).all() and (np.diff(path.dampings) > 0).all() and len(path.dampings) == 65


def test_an_indefinite_matrix_has_a_path_only_above_its_lowest_eigenvalue(moons, finest):
    point = at_start(moons)
    matrix = Hessian(moons, point)
    lowest = float(matrix.eigenvalues()[0])
    assert lowest < -1e-3
    path = finest(damping_path(matrix))
    assert path.solution.floor == pytest.approx(-lowest)
    assert (path.dampings > -lowest).all() and (np.diff(path.norms) < 0).all()
    assert (path.promised_damped < 0).all()
    with pytest.raises(ValueError, match="is accepted"):
        path.solution.steps(np.array([-0.5 * lowest]))
    given = finest(damping_path(matrix, np.array([-0.5 * lowest, -2 * lowest])))
    np.testing.assert_allclose(given.dampings, [-2 * lowest])
    with pytest.raises(ValueError, match="none above"):
        list(damping_path(matrix, np.array([-0.5 * lowest])))


@pytest.mark.parametrize("kind", ["hessian", "gauss-newton", "fisher", "empirical-fisher"])
def test_a_krylov_space_gives_the_same_path_without_the_matrix(classifier, finest, by_products, kind):
    point = at_start(classifier)
    matrix = curvatures(point).found[kind]
    path = finest(damping_path(matrix))
    assert not any("dense" in key or "eigenpairs" in key for key in point.cache if isinstance(key, tuple))
    dense = matrix.dense()
    for i in (0, 32, 64):
        expected = torch.linalg.solve(
            dense + path.dampings[i] * torch.eye(len(dense), dtype=torch.float64), -point.gradient
        )
        torch.testing.assert_close(path.solution.steps(path.dampings[i : i + 1])[0], expected, rtol=1e-5, atol=1e-8)
    assert path.residuals.max() < 1e-6


def test_the_residual_of_a_small_krylov_space_is_what_it_leaves(classifier, by_products, monkeypatch):
    monkeypatch.setattr(shifted_solutions, "_FIRST", 5)
    point = at_start(classifier)
    matrix = GaussNewton(classifier, point)
    solution = next(shifted(matrix, point.gradient))
    assert len(solution.values) == 5 and not solution.exact
    dampings = np.array([0.01, 0.1, 1.0])
    steps, residuals = solution.steps(dampings), solution.residuals(dampings)
    for level, step, residual in zip(dampings, steps, residuals, strict=True):
        left = matrix @ step + level * step + point.gradient
        assert residual == pytest.approx(float(left.norm() / point.gradient.norm()), rel=1e-6)


def test_coarse_answers_come_first_and_nothing_is_evaluated_twice(digits, monkeypatch):
    asked = []

    def counted(objective, points, count, *watched):
        asked.append(count)
        return evaluation.losses(objective, points, count, *watched)

    monkeypatch.setattr(damping, "losses", counted)
    answers = damping_path(GaussNewton(digits, at_start(digits)))
    first = next(answers)
    assert len(first.dampings) == 9 and not first.solution.exact and len(first.solution.values) == 16
    rest = list(answers)
    assert rest[0].solution.exact and [len(path.dampings) for path in rest] == [9, 17, 33, 65]
    assert asked == [9, 9, 8, 16, 32]
    assert [path.done for path in (first, *rest)] == sorted(path.done for path in (first, *rest))
    assert rest[-1].done == 1
    # The first has the same path where damping is not small.
    well = first.residuals < 1e-3
    assert well.any()
    exact = first.solution.norms(first.dampings[well]) / rest[0].solution.norms(first.dampings[well])
    np.testing.assert_allclose(exact, 1, rtol=2e-3)


def test_coordinates_in_a_plane_come_without_the_steps(classifier, finest):
    path = finest(damping_path(GaussNewton(classifier, at_start(classifier))))
    axes = np.random.default_rng(0).standard_normal((2, classifier.parameters))
    expected = path.solution.steps(path.dampings).numpy() @ axes.T
    np.testing.assert_allclose(path.solution.project(axes, path.dampings), expected, rtol=1e-9, atol=1e-12)


def test_where_there_is_no_gradient_there_is_no_path(valley):
    point = valley.at(torch.ones(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="gradient: it is zero"):
        next(damping_path(Hessian(valley, point)))


def test_a_path_is_abandoned_where_the_point_is(digits):
    point = digits.at(digits.initial_parameters, Watch(lambda: True))
    with pytest.raises(Cancelled):
        next(damping_path(GaussNewton(digits, point)))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", [GaussNewton, Hessian])
def test_in_single_precision_the_path_is_the_same(mlp, objective_of, finest, request, large, kind):
    """The softmax's G is singular: with less damping than its eigenvalues' rounding, the step would be that alone."""
    if large:
        request.getfixturevalue("by_products")
    double = objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy(), cases=12)
    single = objective_of(mlp(3, 4, 3, dtype=torch.float32), SoftmaxCrossEntropy(), cases=12)
    theta = double.initial_parameters
    coarse = finest(damping_path(kind(single, single.at(theta.float()))))
    exact = finest(damping_path(kind(double, double.at(theta)), coarse.dampings))
    assert len(exact.dampings) == 65
    well = slice(16, None)
    np.testing.assert_allclose(coarse.norms[well], exact.norms[well], rtol=0.02)
    np.testing.assert_allclose(coarse.promised[well], exact.promised[well], rtol=0.02)
    np.testing.assert_allclose(coarse.norms, exact.norms, rtol=0.1)

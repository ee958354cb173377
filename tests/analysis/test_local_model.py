"""The quadratic model on a plane, and trust regions there, against the dense matrices."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis.local_model import Quadratic, quadratic_model, square_norm
from ngexplorer.analysis.planes import coordinate_plane, spanned_plane
from ngexplorer.curvature.kinds import KINDS, curvatures
from ngexplorer.objectives.losses import SquaredError


def plane_near(objective, seed=0, away=0.3):
    """A plane that does not hold θ."""
    start = objective.initial_parameters.numpy()
    offset, one, other = np.random.default_rng(seed).standard_normal((3, len(start)))
    return spanned_plane(start + away * offset, one, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_the_model_is_that_of_the_dense_matrix_on_and_beside_its_point(classifier, kind, damping):
    point = classifier.at(classifier.initial_parameters)
    matrix = curvatures(point).found[kind]
    plane = plane_near(classifier)
    model = quadratic_model(plane, matrix, damping)
    dense = matrix.dense().numpy() + damping * np.eye(classifier.parameters)
    xs, ys = np.linspace(-1, 2, 4), np.linspace(-3, 1, 3)
    values = model.on_grid(xs, ys)
    for j, i in np.ndindex(3, 4):
        delta = plane.points(np.array([[xs[i], ys[j]]]))[0] - point.theta.numpy()
        expected = float(point.value) + point.gradient.numpy() @ delta + 0.5 * delta @ dense @ delta
        assert values[j, i] == pytest.approx(expected, rel=1e-10)


def test_the_model_of_a_quadratic_is_the_loss_itself(quadratic):
    objective = quadratic()
    plane = plane_near(objective)
    model = quadratic_model(plane, curvatures(objective.at(objective.initial_parameters)).found["hessian"])
    for x, y in ((0.0, 0.0), (1.5, -2.0)):
        theta = torch.as_tensor(plane.points(np.array([[x, y]]))[0])
        assert model.on_grid(np.array([x]), np.array([y]))[0, 0] == pytest.approx(float(objective.value(theta)))


def test_the_minimum_is_newtons_step_on_a_plane_of_all_parameters(valley):
    point = valley.at(torch.tensor([0.8, 0.5]).double())
    matrix = curvatures(point).found["hessian"]
    found = quadratic_model(coordinate_plane(), matrix).minimum
    newton = point.theta - torch.linalg.solve(matrix.dense(), point.gradient)
    np.testing.assert_allclose(found, newton.numpy())


def test_an_indefinite_model_has_no_minimum_and_no_level_line(saddle):
    model = quadratic_model(coordinate_plane(), curvatures(saddle.at(saddle.initial_parameters)).found["hessian"])
    np.testing.assert_allclose(model.curvatures, [-1, 1])
    assert model.minimum is None and model.level(10.0) is None


@pytest.mark.parametrize("kind", [None, "gauss-newton", "fisher", "kfac"])
def test_a_trust_region_ends_where_the_step_is_as_long_in_its_own_norm(classifier, kind):
    point = classifier.at(classifier.initial_parameters)
    matrix = curvatures(point).found[kind] if kind else None
    plane = plane_near(classifier, away=0.05)
    norm = square_norm(plane, point, matrix, damping=0.1)
    line = norm.level(2.0**2)
    assert line is not None and line.shape == (129, 2)
    np.testing.assert_allclose(line[0], line[-1])
    deltas = plane.points(line) - point.theta.numpy()
    dense = np.eye(classifier.parameters) if matrix is None else matrix.dense().numpy() + 0.1 * np.eye(len(deltas[0]))
    np.testing.assert_allclose(np.einsum("tp,pq,tq->t", deltas, dense, deltas), 4, rtol=1e-10)


def test_a_region_that_ends_before_the_plane_is_not_on_it(classifier):
    point = classifier.at(classifier.initial_parameters)
    plane = plane_near(classifier, away=1.0)
    distance = float(plane.project(point.theta.numpy()[None])[1][0])
    norm = square_norm(plane, point, None)
    assert norm.level((0.99 * distance) ** 2) is None and norm.level((1.01 * distance) ** 2) is not None


def test_the_ellipse_of_a_known_matrix():
    """½(x² + 4y²) = 2: half axes 2 and 1."""
    line = Quadratic(0.0, np.zeros(2), np.diag([1.0, 4.0])).level(2.0)
    np.testing.assert_allclose(np.abs(line).max(0), [2, 1], rtol=1e-3)


def test_matrices_that_do_not_exist_are_refused_with_their_reason(saddle, unseen):
    found = curvatures(saddle.at(saddle.initial_parameters))
    assert set(found.found) == {"hessian", "gauss-newton", "empirical-fisher"}
    assert "not the negative log of a density" in found.refused["fisher"]
    assert set(curvatures(unseen.at(unseen.initial_parameters)).found) >= {"hessian", "gauss-newton", "fisher"}


def test_a_tied_model_has_no_kronecker_factors(objective_of):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2, 3, dtype=torch.float64))

        def forward(self, x):
            return torch.tanh(x @ self.weight.T) @ self.weight

    objective = objective_of(Tied(), SquaredError())
    found = curvatures(objective.at(objective.initial_parameters))
    assert "kfac" in found.refused and "hessian" in found.found

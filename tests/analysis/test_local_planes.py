"""Planes through one θ, against dense eigendecompositions and the gradient itself."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis.local_planes import eigenvector_plane, step_plane
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.curvature import GaussNewton, Hessian


def test_the_plane_of_a_step_holds_the_step_and_the_gradient(moons):
    theta = moons.initial_parameters
    step = torch.linspace(-1, 2, len(theta), dtype=theta.dtype)
    plane = step_plane(moons.at(theta), step)
    np.testing.assert_allclose(plane.axes[0], (step / step.norm()).numpy())
    ends = np.stack([(theta + step).numpy(), (theta + moons.gradient(theta)).numpy()])
    np.testing.assert_allclose(plane.project(ends)[1], 0, atol=1e-12)
    assert plane.unit == pytest.approx(float(step.norm()))


def test_a_step_of_no_length_has_no_plane(moons):
    with pytest.raises(ValueError, match="no length"):
        step_plane(moons.at(moons.initial_parameters), torch.zeros(moons.parameters).double())


@pytest.mark.parametrize("kind, places", [(Hessian, [-1, 0]), (GaussNewton, [-1, -2])], ids=["H", "G"])
@pytest.mark.parametrize("name", ["moons", "digits"])
def test_the_eigenvectors_are_those_of_the_dense_matrix(name, kind, places, request):
    objective = request.getfixturevalue(name)
    found = eigenvector_plane(kind(objective, objective.initial_parameters))
    values, vectors = torch.linalg.eigh(kind(objective, objective.initial_parameters).dense())
    assert found.eigenvalues == pytest.approx(values[places].tolist(), rel=1e-5)
    for axis, place in zip(found.plane.axes, places, strict=True):
        assert abs(axis @ vectors[:, place].numpy()) == pytest.approx(1, abs=1e-3)
        assert axis[np.abs(axis).argmax()] > 0
    np.testing.assert_array_equal(found.plane.origin, objective.initial_parameters.numpy())


def test_along_both_eigenvectors_the_loss_bends_by_their_eigenvalues(valley):
    """Second differences of Rosenbrock's function."""
    found = eigenvector_plane(Hessian(valley, valley.initial_parameters))
    for axis, value in zip(found.plane.axes, found.eigenvalues, strict=True):
        h = [float(valley.value(torch.as_tensor(found.plane.origin + t * axis))) for t in (-1e-4, 0, 1e-4)]
        assert (h[0] - 2 * h[1] + h[2]) / 1e-8 == pytest.approx(value, rel=1e-4)


def test_in_a_minimum_of_no_loss_something_is_seen_around_it(valley):
    at_rest = eigenvector_plane(Hessian(valley, torch.ones(2, dtype=torch.float64)))
    assert 0.05 <= at_rest.plane.unit <= 2


def test_the_search_for_eigenvectors_is_abandoned_where_its_point_says_so(digits):
    point = digits.at(digits.initial_parameters, Watch(lambda: True))
    with pytest.raises(Cancelled):
        eigenvector_plane(Hessian(digits, point))

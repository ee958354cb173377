"""Planes through paths and the loss on them, against numpy's SVD and the objective itself."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ngexplorer.analysis.planes import coordinate_plane, principal_plane, surface, window_around
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import BernoulliLogits, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture(scope="module")
def moons():
    return assemble(TwoMoons(size=40), MLP(hidden=(4,)), BernoulliLogits(), weight_decay=1e-3, seed=0)


@pytest.fixture(scope="module")
def valley():
    return assemble(Rosenbrock(), LandscapeModel(), SquaredError())


# Planes.


@given(st.integers(0, 50), st.integers(3, 30), st.integers(2, 40))
def test_the_principal_plane_is_that_of_the_singular_value_decomposition(seed, points, parameters):
    path = drawn(points, parameters, seed=seed) * np.linspace(1, 5, parameters)
    plane = principal_plane([path[: points // 2], path[points // 2 :]])
    centred = path - path.mean(0)
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(plane.origin, path.mean(0))
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    shares = singular**2 / (singular**2).sum()
    np.testing.assert_allclose(plane.explained, shares[:2], rtol=1e-8)
    # Projections onto the two planes agree; a plane has no sign, and none of its own axes where two shares are equal.
    np.testing.assert_allclose(
        centred @ plane.axes.T @ plane.axes, centred @ directions[:2].T @ directions[:2], atol=1e-6
    )


def test_the_residual_is_the_distance_from_the_plane():
    plane = principal_plane([drawn(12, 7)])
    away = np.linalg.svd(plane.axes)[2][2]  # a unit vector at right angles to both axes
    inside = plane.origin + 2.0 * plane.axes[0] - 3.0 * plane.axes[1]
    coordinates, residuals = plane.project(np.stack([inside, inside + 1e-6 * away, inside + 5.0 * away]))
    np.testing.assert_allclose(coordinates, [[2, -3]] * 3, atol=1e-12)
    np.testing.assert_allclose(residuals, [0, 1e-6, 5], atol=1e-14)


DEGENERATE = {
    "one point": np.ones((1, 5)),
    "identical points": np.full((6, 5), 0.3),
    "two points": drawn(2, 5),
    "a line": np.outer(np.linspace(-1, 2, 9), drawn(5)),
    "a coordinate line": np.outer(np.linspace(-1, 2, 9), np.eye(5)[0]),
    "two parameters": drawn(8, 2),
    "two parameters, one point": np.zeros((1, 2)),
    "a tiny path": 1e-9 * drawn(8, 5),
}


@pytest.mark.parametrize("path", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_paths_that_span_no_plane_still_get_one(path):
    plane = principal_plane([path])
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-10)
    assert all(0 <= share <= 1 + 1e-12 for share in plane.explained)
    assert sum(plane.explained) <= 1 + 1e-12
    if np.linalg.matrix_rank(path - path.mean(0)) <= 2:
        np.testing.assert_allclose(plane.project(path)[1], 0, atol=1e-9)


def test_a_line_is_explained_by_one_axis():
    assert principal_plane([DEGENERATE["a line"]]).explained == pytest.approx((1, 0))
    assert principal_plane([DEGENERATE["identical points"]]).explained == (0, 0)


def test_empty_paths_beside_others_are_no_matter_and_none_at_all_is_an_error():
    path = drawn(5, 4)
    np.testing.assert_allclose(principal_plane([np.empty((0, 4)), path]).origin, path.mean(0))
    with pytest.raises(ValueError, match="at least one"):
        principal_plane([])


def test_the_coordinate_plane_is_the_parameters_themselves():
    points = drawn(6, 2)
    coordinates, residuals = coordinate_plane().project(points)
    np.testing.assert_array_equal(coordinates, points)
    assert not residuals.any() and all(map(math.isnan, coordinate_plane().explained))


# Windows.


@given(st.integers(0, 99), st.integers(1, 9), st.floats(0.3, 8), st.floats(0, 1))
def test_a_window_holds_the_points_and_has_the_aspect_asked_for(seed, count, aspect, margin):
    points = drawn(count, 2, seed=seed)
    left, right, low, high = window_around(points, aspect, margin)
    assert (right - left) / (high - low) == pytest.approx(aspect)
    slack = 1e-9
    assert (points >= (left - slack, low - slack)).all() and (points <= (right + slack, high + slack)).all()


# Surfaces.


def test_every_grid_point_is_the_objective_there(moons):
    start = moons.initial_parameters.numpy()
    plane = principal_plane([start + drawn(6, len(start))])
    for found in surface(moons, plane, (-2, 3, -1, 1), never, (5, 9)):
        for j, y in enumerate(found.ys):
            for i, x in enumerate(found.xs):
                theta = torch.as_tensor(plane.origin + x * plane.axes[0] + y * plane.axes[1])
                assert found.values[j, i] == pytest.approx(float(moons.value(theta)), rel=1e-10)


def test_finer_grids_hold_the_coarser_ones_and_evaluate_only_what_is_new(valley, monkeypatch):
    asked = []
    value = type(valley).value
    monkeypatch.setattr(type(valley), "value", lambda self, theta: asked.append(1) or value(self, theta))
    sizes, known = (5, 9, 17), None
    window = Rosenbrock.window
    for size, found in zip(sizes, surface(valley, coordinate_plane(), window, never, sizes), strict=True):
        assert found.values.shape == (size, size) and np.isfinite(found.values).all()
        assert found.window == pytest.approx(window) and len(asked) == size**2
        if known is not None:
            np.testing.assert_array_equal(found.values[::2, ::2], known)
        x, y = np.meshgrid(found.xs, found.ys)
        np.testing.assert_allclose(found.values, (1 - x) ** 2 + 100 * (y - x**2) ** 2, rtol=1e-10, atol=1e-10)
        known = found.values


def test_a_surface_is_abandoned_between_two_points(valley):
    looks = iter(range(100))
    with pytest.raises(Cancelled):
        list(surface(valley, coordinate_plane(), Rosenbrock.window, lambda: next(looks) >= 10, (17, 33)))
    assert next(looks) == 11, "at the first look that says so"


def test_what_is_known_is_handed_on_before_a_cancel(valley):
    stop = []
    grids = surface(valley, coordinate_plane(), Rosenbrock.window, lambda: bool(stop), (5, 9))
    assert next(grids).values.shape == (5, 5)
    stop.append(True)
    with pytest.raises(Cancelled):
        next(grids)


def test_a_grid_over_a_loss_that_overflows_is_not_finite_there_and_ends(valley):
    """Far out h is infinite: the grid says so and evaluates no point twice for it."""
    grids = list(surface(valley, coordinate_plane(), (-1e160, 1e160, -1, 1), never, (5, 9)))
    assert np.isinf(grids[-1].values[:, 0]).all() and np.isfinite(grids[-1].values[:, 4]).all()

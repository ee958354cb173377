"""Planes through paths and the loss on them, against numpy's SVD and the objective itself."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ngexplorer.analysis import evaluation, planes
from ngexplorer.analysis.planes import (
    coordinate_plane,
    plane_through,
    principal_plane,
    spanned_plane,
    surface,
    window_around,
)
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.reparametrizations import Scaling, reparametrized


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


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


@given(st.integers(0, 99), st.integers(2, 30))
def test_a_spanned_plane_holds_both_directions_and_its_first_axis_is_the_first(seed, parameters):
    origin, first, second = drawn(3, parameters, seed=seed)
    plane = spanned_plane(origin, first, second)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(plane.axes[0], first / np.linalg.norm(first))
    coordinates, residuals = plane.project(origin + np.stack([first, second]))
    np.testing.assert_allclose(residuals, 0, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(coordinates, axis=1), np.linalg.norm([first, second], axis=1))
    assert plane.unit == pytest.approx(max(np.linalg.norm(first), np.linalg.norm(second)))


@pytest.mark.parametrize("second", [-2.0, 0.0], ids=["parallel", "zero"])
def test_a_plane_of_one_direction_is_completed(second):
    """As for gradient descent, whose step lies along the gradient."""
    first = drawn(6)
    plane = spanned_plane(np.zeros(6), first, second * first)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(plane.project(first[None])[1], 0, atol=1e-12)


def test_a_plane_of_a_large_model_takes_no_square_of_its_parameters():
    """A coordinate direction is P numbers, and not a row of an identity matrix of P²: here 800 GB."""
    size = 10**5 * 3
    plane = spanned_plane(np.zeros(size), np.ones(size), np.ones(size))
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-10)


def test_a_plane_goes_through_three_checkpoints():
    points = drawn(3, 9)
    plane = plane_through(points)
    coordinates, residuals = plane.project(points)
    np.testing.assert_allclose(residuals, 0, atol=1e-12)
    np.testing.assert_allclose(plane.points(coordinates), points, atol=1e-12)
    np.testing.assert_allclose(coordinates.sum(0), 0, atol=1e-12)
    assert sum(plane.explained) == pytest.approx(1)
    with pytest.raises(ValueError, match="goes through 3"):
        plane_through(points[:2])


def test_what_any_plane_explains_is_the_variance_along_its_axes():
    path = drawn(20, 5) * np.array([3, 2, 1, 1, 1])
    plane = spanned_plane(drawn(5), np.eye(5)[0], np.eye(5)[1])
    variance = path.var(0)
    np.testing.assert_allclose(plane.explains(path), variance[:2] / variance.sum())
    fitted = principal_plane([path])
    np.testing.assert_allclose(fitted.explains(path), fitted.explained)
    assert all(map(math.isnan, plane.explains(path[:1])))


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


@pytest.mark.parametrize("name", ["classifier", "unseen", "recurrent", "valley", "saddle"])
def test_a_surface_is_the_objective_to_rounding_whatever_the_network_and_the_path_taken(name, request):
    objective = request.getfixturevalue(name)
    start = objective.initial_parameters.numpy()
    plane = spanned_plane(start, *drawn(2, len(start)))
    found = list(surface(objective, plane, (-2, 2, -1, 1), never, (5, 9)))[-1]
    for j, i in ((0, 0), (3, 7), (8, 8), (4, 5)):
        theta = torch.as_tensor(plane.points(np.array([[found.xs[i], found.ys[j]]]))[0])
        assert found.values[j, i] == pytest.approx(float(objective.value(theta)), rel=1e-10)


def test_a_surface_in_other_coordinates_is_the_objective_too(classifier):
    scaled = reparametrized(classifier, Scaling(torch.linspace(1, 2, classifier.parameters).double()))
    start = scaled.initial_parameters.numpy()
    plane = spanned_plane(start, *drawn(2, len(start)))
    found = list(surface(scaled, plane, (-1, 1, -1, 1), never, (5,)))[-1]
    theta = torch.as_tensor(plane.points(np.array([[found.xs[1], found.ys[3]]]))[0])
    assert found.values[3, 1] == pytest.approx(float(scaled.value(theta)), rel=1e-10)


def test_a_dear_surface_begins_with_fewer_points_and_ends_the_same(classifier, monkeypatch):
    start = classifier.initial_parameters.numpy()
    plane = spanned_plane(start, *drawn(2, len(start)))
    cheap = list(surface(classifier, plane, (-1, 1, -1, 1), never, (17,)))
    monkeypatch.setattr(planes, "_FIRST", 30 * evaluation.operations(classifier))
    shares = []
    dear = list(surface(classifier, plane, (-1, 1, -1, 1), never, (17,), shares.append))
    assert [len(found.xs) for found in dear] == [5, 9, 17] and len(cheap) == 1
    np.testing.assert_allclose(dear[-1].values, cheap[-1].values, rtol=1e-12)
    assert [found.done for found in dear] == [25 / 289, 81 / 289, 1.0] and shares[-1] == 1.0
    assert shares == sorted(shares)


def test_finer_grids_hold_the_coarser_ones_and_evaluate_only_what_is_new(valley, monkeypatch):
    asked = []

    def counted(objective, points, count, *watched):
        asked.append(count)
        return evaluation.losses(objective, points, count, *watched)

    monkeypatch.setattr(planes, "losses", counted)
    sizes, known = (5, 9, 17), None
    window = Rosenbrock.window
    for size, found in zip(sizes, surface(valley, coordinate_plane(), window, never, sizes), strict=True):
        assert found.values.shape == (size, size) and np.isfinite(found.values).all()
        assert found.window == pytest.approx(window) and sum(asked) == size**2
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

"""Heights, contour levels and the relief of a surface, against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ngexplorer.analysis.relief import contour_levels, finite, heights, relief

VALUES = arrays(np.float64, (6, 5), elements=st.floats(-1e6, 1e6))


def slope(across, up):
    """A surface whose log-heights are a plane that rises by so much over the window."""
    x, y = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33))
    return np.exp(4 * (across * x + up * y))


@given(VALUES)
def test_heights_go_from_the_lowest_to_the_highest_and_keep_the_order(values):
    found = heights(values)
    assert found.min() == 0 and found.max() in (0, pytest.approx(1))
    order = np.argsort(values, axis=None)
    assert (np.diff(found.reshape(-1)[order]) >= -1e-12).all()


@given(VALUES)
def test_contour_levels_hold_all_values_and_are_even_in_height(values):
    levels = contour_levels(values)
    assert levels[0] <= values.min() and levels[-1] >= values.max() and (np.diff(levels) > 0).all()
    if values.min() > 0 and values.max() > 1e4 * values.min():
        ratios = np.diff(np.log(levels))
        np.testing.assert_allclose(ratios[1:], ratios[-1], rtol=1e-6)


def test_what_is_not_finite_is_as_high_as_the_highest():
    values = np.array([[1.0, np.inf], [np.nan, 7.0]])
    np.testing.assert_array_equal(finite(values), [[1, 7], [7, 7]])
    assert finite(np.full((2, 2), np.nan)).tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("across, up", [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.6, -0.4)])
def test_the_light_on_a_plane_is_the_cosine_with_its_normal(across, up):
    shaded = relief(slope(across, up))
    scale = 0.6 / (abs(across) + abs(up))  # heights are from 0 to 0.6
    normal = np.array([-scale * across, -scale * up, 1.0])
    cosine = normal @ np.array([-0.5, 0.5, np.sqrt(0.5)]) / np.linalg.norm(normal)
    np.testing.assert_allclose(shaded.light, max(cosine, 0.0), atol=1e-6)


def test_level_ground_is_lit_evenly_and_a_slope_to_the_upper_left_more():
    level = relief(np.ones((5, 5)))
    np.testing.assert_allclose(level.light, level.level)
    facing, averted = relief(slope(0.5, -0.5)), relief(slope(-0.5, 0.5))
    assert facing.light.mean() > level.level > averted.light.mean()


def test_a_relief_is_fine_whatever_the_grid_and_keeps_its_corners():
    values = slope(1.0, 0.5)[::8, ::8]
    shaded = relief(values)
    assert shaded.heights.shape == (257, 257)
    np.testing.assert_allclose(shaded.heights[::64, ::64], heights(values), atol=1e-8)

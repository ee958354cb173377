"""Test functions are networks followed by a squared error, and have their textbook values."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der, rosen_hess

from ngexplorer.curvature import GaussNewton, Hessian
from ngexplorer.objectives.landscapes import Rosenbrock

coordinate = st.floats(-3, 3)


@given(x=coordinate, y=coordinate)
def test_rosenbrock_is_the_textbooks(x, y, rosenbrock_at):
    objective = rosenbrock_at(x, y)
    theta = objective.initial_parameters
    at = np.array([x, y])
    np.testing.assert_allclose(float(objective.value(theta)), rosen(at), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(objective.gradient(theta), rosen_der(at), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(Hessian(objective, theta).dense(), rosen_hess(at), rtol=1e-10, atol=1e-10)


def test_rosenbrock_starts_where_rosenbrock_did(rosenbrock_at):
    objective = rosenbrock_at()
    assert objective.initial_parameters.tolist() == [-1.2, 1.0]
    assert float(objective.value(objective.initial_parameters)) == pytest.approx(24.2, rel=1e-14)


def test_e6_at_the_minimum_the_residuals_vanish_and_the_hessian_is_the_gauss_newton_matrix(rosenbrock_at, close):
    objective = rosenbrock_at(*Rosenbrock.minima[0])
    theta = objective.initial_parameters
    assert float(objective.value(theta)) == 0
    close(Hessian(objective, theta).dense(), GaussNewton(objective, theta).dense())


def test_residuals_of_many_positions_are_those_of_each():
    grid = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    many = Rosenbrock().residuals(grid)
    assert many.shape == (4, 5, 2)
    assert torch.equal(many[2, 3], Rosenbrock().residuals(grid[2, 3]))


def test_a_landscape_shows_its_start_and_its_minimum():
    left, right, bottom, top = Rosenbrock.window
    for x, y in (Rosenbrock().start(), *Rosenbrock.minima):
        assert left <= x <= right
        assert bottom <= y <= top

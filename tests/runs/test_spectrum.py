"""The numbers read off a spectrum are those of the matrix it is of."""

import math

import numpy as np
import pytest

from ngexplorer.runs import Spectrum


def spectrum_of(*eigenvalues, **more):
    return Spectrum(0, "hessian", np.array(eigenvalues), 1.0, **more)


@pytest.mark.parametrize("damping", [0.0, 0.3, 2.0])
def test_the_condition_number_is_that_of_the_damped_matrix(damping):
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(7, 7))
    matrix = matrix + matrix.T
    spectrum = spectrum_of(*np.linalg.eigvalsh(matrix))
    assert spectrum.condition_number(damping) == pytest.approx(np.linalg.cond(matrix + damping * np.eye(7)))
    assert spectrum.trace == pytest.approx(np.trace(matrix))


def test_a_singular_matrix_has_an_infinite_condition_number_until_it_is_damped():
    spectrum = spectrum_of(1e-18, 1.0, 4.0)
    assert spectrum.condition_number() == math.inf
    assert spectrum.condition_number(1.0) == pytest.approx(5)


def test_the_effective_dimension_falls_from_the_rank_to_nothing():
    spectrum = spectrum_of(1e-20, 0.5, 1.0, 3.0)
    assert spectrum.effective_dimension(0.0) == 3
    assert spectrum.effective_dimension(1.0) == pytest.approx(1 / 3 + 1 / 2 + 3 / 4)
    assert spectrum.effective_dimension(1e9) == pytest.approx(4.5e-9)


def test_the_filter_is_the_share_of_the_undamped_step_along_each_eigenvector():
    generator = np.random.default_rng(1)
    root, gradient, damping = generator.normal(size=(5, 5)), generator.normal(size=5), 0.7
    matrix = root @ root.T
    values, vectors = np.linalg.eigh(matrix)
    damped, undamped = (vectors.T @ np.linalg.solve(matrix + d * np.eye(5), gradient) for d in (damping, 0.0))
    np.testing.assert_allclose(spectrum_of(*values).filter(damping), damped / undamped)


def test_where_the_damped_matrix_is_not_positive_definite_there_is_no_filter():
    found = spectrum_of(-2.0, -0.5, 0.0, 3.0).filter(1.0)
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx([-1.0, 0.0, 0.75])


def test_negative_eigenvalues_are_counted_beyond_rounding_and_by_their_weight():
    assert spectrum_of(-2.0, -1e-17, 1e-17, 5.0).negatives == 1
    assert spectrum_of(-2.0, 1.0, weights=np.array([30.0, 70.0])).negatives == 30
    assert spectrum_of(-2.0, 1.0, weights=np.array([30.0, 70.0])).trace == pytest.approx(10)

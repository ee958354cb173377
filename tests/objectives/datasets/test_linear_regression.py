"""The spectrum of XᵀX/N over the training cases is the one asked for, exactly."""

import numpy as np
import pytest
import torch

from ngexplorer.objectives.datasets import LinearRegression
from ngexplorer.settings import SettingError


def second_moment(inputs):
    return inputs.T @ inputs / len(inputs)


@pytest.mark.parametrize(
    ("spectrum", "expected"),
    [
        ("geometric", [1, 0.1, 0.01, 1e-3, 1e-4]),
        ("linear", [1, 0.750025, 0.50005, 0.250075, 1e-4]),
        ("one-small", [1, 1, 1, 1, 1e-4]),
        ("two-level", [1, 1, 1, 1e-4, 1e-4]),
    ],
)
@pytest.mark.parametrize("rotated", [True, False])
@pytest.mark.parametrize("validation", [0.0, 0.3])
def test_the_training_cases_have_the_spectrum_exactly(spectrum, expected, rotated, validation):
    data = LinearRegression(
        size=50, features=5, condition=1e4, spectrum=spectrum, rotated=rotated, validation=validation
    )
    found = torch.linalg.eigvalsh(second_moment(data.load().inputs)).flip(0)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    np.testing.assert_allclose(data.eigenvalues, expected, rtol=1e-12)
    assert found[0] / found[-1] == pytest.approx(1e4, rel=1e-10)


def test_as_few_cases_as_can_be_have_it_too_and_one_less_is_refused():
    data = LinearRegression(size=14, features=10, validation=0.2).load()
    assert len(data.inputs) == 11
    found = torch.linalg.eigvalsh(second_moment(data.inputs))
    assert found[-1] / found[0] == pytest.approx(100, rel=1e-10)
    reason = r"^data\.size: 13 leaves 10 cases to train on; 10 features need 11$"
    with pytest.raises(SettingError, match=reason):
        LinearRegression(size=13, features=10, validation=0.2).load()


def test_a_bias_adds_the_eigenvalue_one_and_changes_no_other():
    inputs = LinearRegression(features=4).load().inputs
    with_ones = torch.cat((inputs, torch.ones(len(inputs), 1).double()), 1)
    found = torch.linalg.eigvalsh(second_moment(with_ones))
    expected = torch.cat((torch.linalg.eigvalsh(second_moment(inputs)), torch.ones(1).double()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_unrotated_eigenvectors_are_the_axes_and_rotated_ones_are_not():
    straight, turned = (second_moment(LinearRegression(rotated=r).load().inputs) for r in (False, True))
    assert (straight - straight.diagonal().diag()).abs().max() < 1e-12
    assert (turned - turned.diagonal().diag()).abs().max() > 1e-2


def test_without_noise_least_squares_fits_both_parts_with_the_same_weights():
    data = LinearRegression(noise=0.0, condition=1e3).load()
    weights = torch.linalg.lstsq(data.inputs, data.targets).solution
    inputs, targets = data.validation
    torch.testing.assert_close(inputs @ weights, targets, rtol=0, atol=1e-10)


def test_noise_is_what_least_squares_leaves():
    data = LinearRegression(size=4000, noise=0.5, validation=0.0).load()
    weights = torch.linalg.lstsq(data.inputs, data.targets).solution
    residuals = data.inputs @ weights - data.targets
    assert residuals.square().sum() / (4000 - 10) == pytest.approx(0.25, rel=4 * (2 / 4000) ** 0.5)


def test_validation_cases_have_the_same_covariance():
    inputs = LinearRegression(size=20_000, features=3, validation=0.9).load()
    expected = second_moment(inputs.inputs)
    torch.testing.assert_close(second_moment(inputs.validation[0]), expected, rtol=0, atol=0.05)

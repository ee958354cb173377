"""Functions of one variable with their noise."""

import math

import pytest
import torch

from ngexplorer.objectives.datasets import Counts, Heteroscedastic, Sine


def within_four_standard_errors(samples, expected):
    return abs(samples.mean() - expected) < 4 * samples.std() / len(samples) ** 0.5


def test_a_sine_without_noise_is_one_and_noise_has_its_deviation():
    clean = Sine(noise=0.0, frequency=2.5, validation=0.0).load()
    torch.testing.assert_close(clean.targets, torch.sin(2 * math.pi * 2.5 * clean.inputs))
    assert clean.inputs.abs().max() <= 1
    noisy = Sine(size=5000, noise=0.3, validation=0.0).load()
    residuals = noisy.targets - torch.sin(2 * math.pi * noisy.inputs)
    assert within_four_standard_errors(residuals, 0)
    assert within_four_standard_errors(residuals.square(), 0.09)


@pytest.mark.parametrize("ratio", [10.0, 0.2])
def test_residuals_spread_as_the_noise_says(ratio):
    data = Heteroscedastic(size=8000, noise=0.1, ratio=ratio, validation=0.0).load()
    deviation = 0.1 * ratio ** ((data.inputs + 1) / 2)
    standardized = (data.targets - torch.sin(math.pi * data.inputs)) / deviation
    for part in (data.inputs < -0.5, data.inputs.abs() < 0.5, data.inputs > 0.5):
        assert within_four_standard_errors(standardized[part], 0)
        assert within_four_standard_errors(standardized[part].square(), 1)


@pytest.mark.parametrize(("rate", "swing"), [(4.0, 1.0), (0.3, 2.0), (50.0, 0.0)])
def test_counts_have_the_rate_as_mean_and_variance(rate, swing):
    data = Counts(size=8000, rate=rate, swing=swing, validation=0.0).load()
    mean = rate * torch.exp(swing * torch.sin(math.pi * data.inputs))
    for part in (data.inputs < 0, data.inputs > 0):
        residuals = ((data.targets - mean) / mean.sqrt())[part]
        assert within_four_standard_errors(residuals, 0)
        assert within_four_standard_errors(residuals.square(), 1)

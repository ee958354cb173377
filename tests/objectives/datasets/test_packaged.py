"""The real data sets hold what their sources say."""

import pytest
import torch

from ngexplorer.objectives.datasets import BreastCancer, Diabetes, Digits, Iris, Wine


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        (Iris(validation=0.0), [50, 50, 50]),
        (Wine(validation=0.0), [59, 71, 48]),
        (BreastCancer(validation=0.0), [212, 357]),
        (Digits(validation=0.0), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
    ],
)
def test_class_counts(data, counts):
    assert data.load().targets.bincount().tolist() == counts


def test_inputs_as_they_are_have_their_units():
    irises = Iris(standardize=False, validation=0.0).load().inputs
    assert (irises.min(), irises.max()) == (0.1, 7.9)
    ages = Diabetes(standardize=False, validation=0.0).load().inputs[:, 0]
    assert (ages.min(), ages.max()) == (19, 79)


def test_progression_of_diabetes_is_standardized_by_the_training_cases_or_left():
    data = Diabetes().load()
    assert abs(data.targets.mean()) < 1e-12
    assert data.targets.std(correction=0) == pytest.approx(1)
    assert abs(data.validation[1].mean()) > 1e-3
    raw = Diabetes(standardize_targets=False).load()
    assert (raw.targets.min(), raw.targets.max()) == (25, 346)
    torch.testing.assert_close((raw.targets - raw.targets.mean()) / raw.targets.std(correction=0), data.targets)


def test_validation_cases_are_scaled_by_the_training_cases():
    raw, scaled = Wine(standardize=False).load(), Wine().load()
    expected = (raw.validation[0] - raw.inputs.mean(0)) / raw.inputs.std(0, correction=0)
    torch.testing.assert_close(scaled.validation[0], expected)

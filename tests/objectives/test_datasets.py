"""Data sets split without overlap, repeat from their seed, and are standardized by the training cases alone."""

import msgspec
import pytest
import torch

from ngexplorer.objectives.datasets import BreastCancer, Digits, TwoMoons
from ngexplorer.settings import SettingError, convert


@pytest.mark.parametrize(
    ("data", "cases", "columns", "classes"),
    [(Digits(), 1797, 64, 10), (BreastCancer(), 569, 30, 2), (TwoMoons(size=100), 100, 2, 2)],
)
def test_a_split_keeps_every_case_once(data, cases, columns, classes):
    loaded = data.load()
    assert loaded.inputs.shape == (cases - round(0.2 * cases), columns)
    assert loaded.validation[0].shape == (round(0.2 * cases), columns)
    assert loaded.inputs.dtype == torch.float64
    assert set(loaded.targets.tolist()) == set(range(classes))
    assert data.traits.classes == classes
    whole = msgspec.structs.replace(data, validation=0.0).load()
    assert whole.validation is None
    counts = torch.bincount(loaded.targets) + torch.bincount(loaded.validation[1], minlength=classes)
    assert torch.equal(counts, torch.bincount(whole.targets))


@pytest.mark.parametrize("data", [Digits(), BreastCancer()])
def test_training_cases_have_mean_zero_and_variance_one(data):
    inputs = data.load().inputs
    varying = inputs.var(0) > 0
    assert inputs.mean(0).abs().max() < 1e-12
    torch.testing.assert_close(inputs.var(0, correction=0)[varying], torch.ones(int(varying.sum())).double())
    assert inputs[:, ~varying].abs().max() == 0 if (~varying).any() else True


def test_pixels_as_they_are_lie_between_zero_and_one():
    inputs = Digits(standardize=False).load().inputs
    assert inputs.min() == 0
    assert inputs.max() == 1


@pytest.mark.parametrize("kind", [Digits, BreastCancer, TwoMoons])
def test_the_split_repeats_from_its_seed(kind):
    first, again, other = (kind(split_seed=seed).load() for seed in (1, 1, 2))
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.validation[0], again.validation[0])
    assert not torch.equal(first.inputs, other.inputs)


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(SettingError, match=r"data.validation: 0.9 of 4 cases leaves none to train on"):
        TwoMoons(size=4, validation=0.9).load()


@pytest.mark.parametrize(
    "raw", [{"validation": 0.95}, {"validation": -0.1}, {"size": 3}, {"noise": float("nan")}, {"split_seed": -1}]
)
def test_settings_out_of_range_are_refused(raw):
    with pytest.raises(SettingError, match="is not accepted"):
        convert(raw | {"name": "two-moons"}, TwoMoons)

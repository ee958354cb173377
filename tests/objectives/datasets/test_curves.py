"""Curves are smooth strokes of ink on empty paper, no two alike, and their own targets."""

from time import perf_counter

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from ngexplorer.objectives.datasets import Curves
from ngexplorer.objectives.datasets.curves import drawn


@pytest.fixture(scope="module")
def images():
    return Curves(size=1500, validation=0.0).load().inputs.reshape(-1, 28, 28)


def test_each_image_is_its_own_target():
    data = Curves(size=20).load()
    assert torch.equal(data.inputs, data.targets)
    assert torch.equal(*data.validation)


def test_pixels_lie_between_paper_and_ink(images):
    assert images.min() == 0
    assert images.max() == 1
    assert (images.amax((1, 2)) > 0.85).all()


def test_there_is_a_curve_on_every_image_and_paper_about_it(images):
    ink = images.sum((1, 2))
    assert ink.min() > 8
    assert ink.max() < 160
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    assert max(edge.amax() for edge in edges) < 0.25


def test_no_two_are_alike(images):
    distances = torch.cdist(images.flatten(1), images.flatten(1))
    assert (distances + 100 * torch.eye(len(images))).min() > 0.3


def test_a_stroke_is_in_one_piece_and_antialiased(images):
    for image in images[:200].numpy():
        assert label(image > 0.3, structure=[[1] * 3] * 3)[1] == 1
    assert max(images.diff(dim=axis).abs().amax() for axis in (1, 2)) < 0.9
    assert ((images > 0.1) & (images < 0.9)).any(1).any(1).all()


@pytest.mark.parametrize("thickness", [1.5, 3.0])
def test_a_stroke_is_full_in_its_middle_and_half_of_that_half_a_thickness_away(thickness):
    # A straight line from end to end, along the centres of a row of pixels.
    straight = np.array([[[2.0, 14.5], [14.0, 14.5], [26.0, 14.5]]])
    image = drawn(straight, thickness).reshape(28, 28)
    assert image[14, 6:22] == pytest.approx(1, abs=0.01)
    away = np.arange(28) - 14
    assert image[:, 14] == pytest.approx(0.5 ** ((2 * away / thickness) ** 2), abs=0.01)


def test_two_thousand_are_drawn_at_once():
    start = perf_counter()
    Curves().load()
    # A tenth of a second on a quiet machine.
    assert perf_counter() - start < 2

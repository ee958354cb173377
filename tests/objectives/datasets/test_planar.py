"""The plane's data sets have the shapes that their names promise."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from ngexplorer.objectives.datasets import XOR, Blobs, Circles, Spirals, TwoMoons


def separable(inputs, targets):
    """Whether a line has all of class 1 on one side and all of class 0 on the other."""
    sign = np.where(targets.numpy() == 1, 1.0, -1.0)
    rows = -sign[:, None] * np.c_[inputs.numpy(), np.ones(len(inputs))]
    return linprog(np.zeros(3), A_ub=rows, b_ub=-np.ones(len(rows)), bounds=(None, None)).status == 0


def test_moons_without_noise_are_half_circles():
    data = TwoMoons(noise=0.0, validation=0.0).load()
    centres = torch.tensor([[0.0, 0.0], [1.0, 0.5]]).double()
    torch.testing.assert_close((data.inputs - centres[data.targets]).norm(dim=1), torch.ones(200).double())


def test_circles_have_their_radii():
    clean = Circles(noise=0.0, inner_radius=0.3, validation=0.0).load()
    radius = clean.inputs.norm(dim=1)
    torch.testing.assert_close(radius, torch.where(clean.targets == 1, 0.3, 1.0).double())
    noisy = Circles(size=4000, noise=0.1, validation=0.0).load()
    # E[r²] = R² + 2σ².
    for target, expected in ((0, 1.02), (1, 0.27)):
        squares = noisy.inputs[noisy.targets == target].square().sum(1)
        assert abs(squares.mean() - expected) < 4 * squares.std() / len(squares) ** 0.5


@pytest.mark.parametrize(("arms", "turns"), [(2, 1.5), (5, 0.75)])
def test_an_arm_turns_as_its_radius_grows_and_the_arms_are_even(arms, turns):
    data = Spirals(noise=0.0, arms=arms, turns=turns, validation=0.0).load()
    radius = data.inputs.norm(dim=1)
    assert (radius.min(), radius.max()) == (pytest.approx(0.1), pytest.approx(1))
    angle = torch.atan2(data.inputs[:, 1], data.inputs[:, 0])
    from_arm = angle - 2 * math.pi * (turns * radius + data.targets / arms)
    assert torch.cos(from_arm).min() > 1 - 1e-9


def test_no_line_separates_xor_but_the_product_of_its_inputs_does():
    data = XOR(noise=0.0, validation=0.0).load()
    assert not separable(data.inputs, data.targets)
    assert torch.equal(data.inputs.prod(1) < 0, data.targets == 1)
    quadrants = (data.inputs > 0).long() @ torch.tensor([1, 2])
    assert quadrants.bincount().tolist() == [50] * 4
    two = Blobs(classes=2, spread=0.05).load()
    assert separable(two.inputs, two.targets)


@pytest.mark.parametrize("kind", [TwoMoons, Circles, Spirals, XOR])
def test_noise_moves_points_by_its_standard_deviation(kind):
    clean, noisy = (kind(size=2000, noise=noise, validation=0.0).load().inputs for noise in (0.0, 0.07))
    assert (noisy - clean).std() == pytest.approx(0.07, rel=0.05)

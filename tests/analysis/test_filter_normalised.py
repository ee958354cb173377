"""Random planes on which every filter keeps its scale."""

import numpy as np
import pytest
import torch
from torch import nn

from ngexplorer.analysis.filter_normalised import filter_normalised_plane
from ngexplorer.objectives.losses import SquaredError


def filters(objective, flat):
    """Every filter's part of a flat vector, and every vector parameter's, (filters, n) each."""
    parts = torch.as_tensor(flat).split([p.numel() for p in objective.model.parameters()])
    shapes = [p.shape for p in objective.model.parameters()]
    weights = [part.view(shape[0], -1) for part, shape in zip(parts, shapes, strict=True) if len(shape) > 1]
    return weights, [part for part, shape in zip(parts, shapes, strict=True) if len(shape) == 1]


@pytest.fixture(scope="module")
def convolutional(objective_of):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 3, 3)), nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)
    ).double()
    return objective_of(module, SquaredError(), inputs=9)


@pytest.mark.parametrize("name", ["classifier", "convolutional", "moons"])
def test_each_filter_of_both_directions_is_as_long_as_the_weights_own(name, request):
    """‖d_f‖ = ‖θ_f‖ for each filter f, and no bias moves (Li et al. 2018, §4 and appendix)."""
    objective = request.getfixturevalue(name)
    theta = objective.initial_parameters.numpy()
    plane = filter_normalised_plane(objective, theta, seed=3)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    own, _ = filters(objective, theta)
    for axis in plane.axes:
        directions, vectors = filters(objective, plane.unit * axis)
        for mine, theirs in zip(directions, own, strict=True):
            torch.testing.assert_close(mine.norm(dim=1), theirs.norm(dim=1))
        assert not any(bool(vector.any()) for vector in vectors)


def test_the_draw_is_the_seeds(classifier):
    theta = classifier.initial_parameters.numpy()
    one, same, other = (filter_normalised_plane(classifier, theta, seed).axes for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert abs(np.vdot(one[0], other[0])) < 0.9


def test_without_filters_there_is_no_such_plane(valley):
    with pytest.raises(ValueError, match="no weights with filters"):
        filter_normalised_plane(valley, valley.initial_parameters.numpy())

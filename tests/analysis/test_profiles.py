"""A path's true loss beside the loss of its shadow on a plane."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis.planes import principal_plane, spanned_plane
from ngexplorer.analysis.profiles import profile
from ngexplorer.cancellation import Cancelled, never


def path_of(objective, points=21):
    start = objective.initial_parameters.numpy()
    steps = np.random.default_rng(0).standard_normal((points - 1, len(start)))
    return start + np.vstack([np.zeros(len(start)), 0.1 * steps.cumsum(0)])


def test_both_losses_are_the_objectives_own(classifier, finest):
    path = path_of(classifier)
    plane = principal_plane([path])
    found = finest(profile(classifier, plane, path, never))
    shadows = plane.points(found.coordinates)
    for i in (0, 7, 20):
        assert found.loss[i] == pytest.approx(float(classifier.value(torch.as_tensor(path[i]))), rel=1e-12)
        assert found.plane_loss[i] == pytest.approx(float(classifier.value(torch.as_tensor(shadows[i]))), rel=1e-10)
        assert found.residuals[i] == pytest.approx(np.linalg.norm(path[i] - shadows[i]))
    np.testing.assert_allclose(found.explained, plane.explained)


def test_on_a_plane_that_holds_the_path_both_losses_agree(classifier, finest):
    start = classifier.initial_parameters.numpy()
    one, other = np.random.default_rng(1).standard_normal((2, len(start)))
    plane = spanned_plane(start, one, other)
    path = start + np.linspace(0, 1, 9)[:, None] * one + np.linspace(0, 1, 9)[:, None] ** 2 * other
    found = finest(profile(classifier, plane, path, never))
    np.testing.assert_allclose(found.loss, found.plane_loss, rtol=1e-10)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-10)
    assert sum(found.explained) == pytest.approx(1)


def test_every_eighth_point_comes_first(classifier):
    answers = list(profile(classifier, principal_plane([path_of(classifier)]), path_of(classifier), never))
    assert np.flatnonzero(np.isfinite(answers[0].loss)).tolist() == [0, 8, 16]
    assert [answer.done for answer in answers] == [3 / 21, 11 / 21, 1.0]
    np.testing.assert_array_equal(answers[-1].loss[::8], answers[0].loss[::8])


def test_a_profile_is_abandoned(classifier):
    answers = profile(classifier, principal_plane([path_of(classifier)]), path_of(classifier), lambda: True)
    with pytest.raises(Cancelled):
        next(answers)

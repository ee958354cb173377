"""The loss at many points: the same batched and one by one, and batched where that is faster."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis import evaluation
from ngexplorer.analysis.evaluation import losses, points_at_once
from ngexplorer.cancellation import Cancelled, never


def points_near(objective, count=70):
    start = objective.initial_parameters
    drawn = torch.randn(count, len(start), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return start + drawn.to(start)


@pytest.fixture
def asked(monkeypatch):
    """How often an objective is asked for its value at one point."""
    calls = []
    from ngexplorer.objectives import Objective

    value = Objective.value
    monkeypatch.setattr(Objective, "value", lambda self, theta: calls.append(1) or value(self, theta))
    return calls


@pytest.mark.parametrize("name", ["classifier", "unseen", "valley", "saddle", "moons"])
def test_cheap_points_are_evaluated_together_and_only_the_first_is_checked(name, request, asked):
    objective = request.getfixturevalue(name)
    thetas = points_near(objective)
    found = losses(objective, lambda some: thetas[some], len(thetas), never)
    assert len(asked) == 1 and points_at_once(objective) > 1
    np.testing.assert_allclose(found, [float(objective.value(theta)) for theta in thetas], rtol=1e-10)


def test_dear_points_go_one_by_one(digits, asked):
    thetas = points_near(digits, count=3)
    losses(digits, lambda some: thetas[some], 3, never)
    assert len(asked) == 3 and points_at_once(digits) == 1


def test_a_model_without_a_batched_form_goes_one_by_one(recurrent, asked):
    thetas = points_near(recurrent, count=5)
    found = losses(recurrent, lambda some: thetas[some], 5, never)
    np.testing.assert_allclose(found, [float(recurrent.value(theta)) for theta in thetas], rtol=1e-10)
    assert len(asked) >= 5


def test_a_batched_form_that_is_wrong_is_found_out(classifier, monkeypatch):
    right = evaluation._batched
    monkeypatch.setattr(evaluation, "_batched", lambda o: lambda thetas: right(o)(thetas) * (1 + 1e-9))
    thetas = points_near(classifier)
    found = losses(classifier, lambda some: thetas[some], len(thetas), never)
    np.testing.assert_allclose(found, [float(classifier.value(theta)) for theta in thetas], rtol=1e-12)


def test_progress_is_told_and_a_cancel_heard_between_two_groups(classifier):
    thetas, told, looks = points_near(classifier, 200), [], iter([False, False, True])
    with pytest.raises(Cancelled):
        losses(classifier, lambda some: thetas[some], 200, lambda: next(looks), told.append)
    assert told == [64 / 200, 128 / 200]

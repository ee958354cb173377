"""What momentum adds: the difference between a step and its method's own, from real runs."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis.momentum_part import momentum_part
from ngexplorer.optimizers import make


def taken(objective, optimizer, count):
    """Steps δ, (count, P), with the gradients before them and their records."""
    stepper = optimizer.start(objective)
    steps, gradients, records = [], [], []
    for _ in range(count):
        before = stepper.point
        gradients.append(before.gradient.numpy())
        records.append(stepper.step())
        steps.append((stepper.point.theta - before.theta).numpy())
    return steps, gradients, records


@pytest.mark.parametrize(("name", "times"), [("heavy-ball", 1.0), ("nesterov", 1.9)])
def test_the_rest_of_the_step_is_the_gradients(classifier, name, times):
    """δ = αd + μδ₀, or (1 + μ)αd + μ²v₀, with d = −∇h, α = 0.1 and μ = 0.9."""
    optimizer = make(name)
    steps, gradients, _ = taken(classifier, optimizer, 6)
    for k in (1, 5):
        part = momentum_part(optimizer, steps[:k])
        np.testing.assert_allclose(steps[k] - part, -0.1 * times * gradients[k], rtol=1e-8, atol=1e-12)


def test_where_the_rule_finds_the_momentum_it_is_the_records(classifier):
    optimizer = make("kfac", curvature={"labels": "exact"})
    steps, _, records = taken(classifier, optimizer, 4)
    part = momentum_part(optimizer, steps[:3], records[3].momentum)
    np.testing.assert_allclose(part, records[3].momentum * steps[2])


def test_without_momentum_or_a_step_before_there_is_none():
    step = torch.ones(3).numpy()
    assert momentum_part(make("heavy-ball"), []) is None
    assert momentum_part(make("newton"), [step]) is None and momentum_part(make("adam"), [step]) is None

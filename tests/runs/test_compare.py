"""Runs are compared by what they recorded, and optimizers by the settings in which they differ."""

import numpy as np
import pytest

from ngexplorer.optimizers import make
from ngexplorer.runs import History
from ngexplorer.runs.compare import Standing, differences, said, standing
from ngexplorer.runs.extremes import Extremes
from ngexplorer.runs.history import LEADING


def losses(*values):
    history = History("", "newton", 0)
    for k, value in enumerate(values):
        row = dict.fromkeys(LEADING, 0.0) | {"step": float(k), "seconds": 0.5 * k, "loss": value}
        row["gradient_equivalents"] = 3.0 * k
        history.append(row, None, np.zeros(1))
    found = Extremes(history, "loss")
    found.grow()
    return found


def test_a_run_stands_at_a_step_as_it_did_then():
    found = losses(4.0, 2.0, 3.0, 1.0, 1.5)
    assert standing(found, 2, target=2.5) == Standing(3.0, 2.0, 1, 1, 0.5, 3.0)
    assert standing(found, 99, target=1.0) == Standing(1.5, 1.0, 3, 3, 1.5, 9.0)


def test_a_target_that_is_not_reached_yet_has_no_time():
    found = losses(4.0, 2.0, 1.0)
    assert standing(found, 1, target=1.0).target_step is None
    assert standing(found, 2, target=0.5).target_seconds is None
    assert standing(found, 2).target_step is None
    assert standing(losses(), 3) == Standing(*[None] * 6)


def test_optimizers_differ_in_the_settings_that_are_not_the_same():
    first = make("natural-gradient")
    assert differences(first, first) == []
    changed = make("natural-gradient", damping={"initial": 0.5})
    ((path, before, after),) = differences(first, changed)
    assert (path, after) == ("damping.initial", 0.5) and before == first.damping.initial
    paths = {path: values for path, *values in differences(make("natural-gradient"), make("newton"))}
    assert paths["curvature"] == ["fisher", "hessian"] and "name" not in paths


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"damping": {"initial": 0.5}}, ["damping 0.5"]),
        ({"learning_rate": 0.25}, ["learning rate 0.25"]),
        ({"damping": {"name": "constant", "value": 0.1}}, ["damping constant 0.1"]),
        (
            {"damping": {"factor": 0.5}, "momentum": {"name": "heavy-ball"}},
            ["damping factor 0.5", "momentum heavy ball 0.9"],
        ),
    ],
)
def test_a_difference_is_said_in_few_words(settings, words):
    first, second = make("natural-gradient"), make("natural-gradient", **settings)
    assert [said(path, second) for path, *_ in differences(first, second)] == words

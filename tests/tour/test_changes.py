"""What a page tells a person to change, done without the window: what it says of the outcome is so."""

from functools import cache

import msgspec
import numpy as np
import pytest

from ngexplorer.runs import Probes
from ngexplorer.runs.race import Race
from ngexplorer.runs.schedule import Never
from ngexplorer.tour import STOPS


@cache
def raced(stop, label, steps, *edits, **changed):
    """A run of a stop after so many steps; an edit is the step before which it is made, the setting and its value;
    other words are what is changed of its model before it starts."""
    experiment = STOPS[stop - 1].experiment()
    model = msgspec.structs.replace(experiment.model, **changed)
    quiet = msgspec.structs.replace(experiment, model=model, probes=Probes(spectra=Never()))
    run = next(run for run in quiet.race().runs if run.label == label)
    race = Race([run])
    race.set_steps(steps)
    race.begin()
    for at, path, value in (*edits, (steps, None, None)):
        while run.step < at and race.advance() is not None:
            pass
        if path is not None:
            run.edit(path, value)
    return run.history


def test_2_more_labels_let_the_damping_fall_again():
    few = raced(2, "1 sampled label", 40)
    more = raced(2, "1 sampled label", 40, (20, "curvature.samples", 100))
    exact = raced(2, "Natural gradient", 40)
    assert few["damping"][5] == exact["damping"][5], "the same way while λ is large"
    assert few["damping"][-1] > 10 * more["damping"][-1] > 100 * exact["damping"][-1]
    assert few["loss"][-1] > 10 * more["loss"][-1] > 100 * exact["loss"][-1]


def test_6_no_constant_damping_is_right_at_both_ends():
    low, high, rule, region = (
        raced(6, label, 40)["loss"] for label in ("λ = 0.001", "λ = 1", "Levenberg-Marquardt", "Trust region")
    )
    assert low[2] > low[1], "the first steps overshoot"
    assert low[-1] < min(rule[-1], region[-1]) < 0.01 < 0.2 < high[-1]
    assert raced(6, "λ = 1", 40, (10, "damping.value", 0.001))["loss"][-1] > 1000


def test_7_a_large_damping_is_lowered_for_a_dozen_steps_with_a_perfect_ratio():
    found = raced(7, "λ₀ = 100", 12)
    assert np.abs(found["reduction_ratio"][1:] - 1).max() < 0.02
    assert found["damping"][1:] == pytest.approx(100 * (2 / 3) ** np.arange(12))


@pytest.mark.parametrize(("rate", "times"), [(0.1, 1 / 6), (1.0, 3.0)])
def test_13_the_floor_follows_the_rate(rate, times):
    """The mean of 400 steps; that of 450 other ones at ½ is what it is held against."""
    label = "α = 0.5: a floor"
    minimum = raced(13, "α = 1/(k + 4): 1/k", 600)["loss"].min()
    before = raced(13, label, 600)["loss"][150:].mean() - minimum
    after = raced(13, label, 600, (150, "learning_rate", rate))["loss"][200:].mean() - minimum
    assert after / before == pytest.approx(times, rel=0.2)


def test_13_the_averaged_run_is_late_and_then_as_good_as_the_best():
    best, averaged, floor = (
        raced(13, label, 600)["loss"] for label in ("α = 1/(k + 4): 1/k", "α = 0.5, averaged", "α = 0.5: a floor")
    )
    assert averaged[1:50].mean() > best[1:50].mean() + 0.02
    assert averaged[-100:].mean() == pytest.approx(best[-100:].mean(), abs=5e-4)
    assert floor[-100:].mean() > best[-100:].mean() + 0.03


def test_14_by_steps_the_three_are_close_with_wider_layers_too():
    for hidden in ((10, 6), (40, 24)):
        exact, kfac, ekfac = (
            raced(14, name, 20, hidden=hidden)["loss"] for name in ("Natural gradient", "K-FAC", "EKFAC")
        )
        for found in (kfac, ekfac):
            assert np.abs(np.log10(found / exact)).max() < 0.5


def test_17_the_activation_holds_kfac_and_not_adam():
    smooth, linear = (
        [raced(17, name, 60, activation=a)["loss"][-1] for name in ("K-FAC", "Adam")] for a in ("gelu", "relu")
    )
    assert linear[0] < 1e-9 < 1e-4 < smooth[0]
    assert linear[1] == pytest.approx(smooth[1], rel=0.2)

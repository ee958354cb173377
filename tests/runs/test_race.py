"""A race is fair, repeats from its seed however it is interrupted, and one run's end is not the others'."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.optimizers import Stepper, make
from ngexplorer.runs import Race, Run
from ngexplorer.settings import SettingError

EVERYONE = ["gradient-descent", "heavy-ball", "adam", "newton", "gauss-newton", "natural-gradient"]
CG = {"solver": {"name": "conjugate-gradient", "tolerance": 1e-8, "iterations": 40}}


# Turns


def test_by_steps_no_run_is_ever_two_steps_ahead(race):
    here = race(EVERYONE, steps=5)
    here.begin()
    while here.advance() is not None:
        steps = [run.step for run in here.runs]
        assert max(steps) - min(steps) <= 1
    assert [run.step for run in here.runs] == [5] * 6
    assert {run.state for run in here.runs} == {"finished"}


def test_by_seconds_every_run_has_the_same_compute(race, costs):
    costs |= {"newton": 3.0, "adam": 1.0, "gradient-descent": 0.5}
    here = race(["newton", "adam", "gradient-descent"], steps=1000, turns="seconds")
    for _ in range(200):
        here.advance()
        seconds = [run.seconds for run in here.runs]
        assert max(seconds) - min(seconds) <= 3.0 + 0.1  # looking at the start costs its real milliseconds
    newton, adam, descent = (run.step for run in here.runs)
    assert adam == pytest.approx(3 * newton, abs=4)
    assert descent == pytest.approx(6 * newton, abs=7)


def test_a_run_that_has_finished_leaves_its_turns_to_the_others(race):
    here = race(["adam", "newton"], steps=4)
    here.runs[0].steps = 2
    order = []
    while (run := here.advance()) is not None:
        order.append(run.label)
    assert order == ["adam 0", "newton 1", "adam 0", "newton 1", "newton 1", "newton 1"]
    assert here.next is None


def test_a_race_of_nobody_is_over():
    assert Race([]).advance() is None


# What a history holds


def test_row_zero_is_the_start_and_each_step_a_row(race, run_to_the_end, moons):
    here = run_to_the_end(race(EVERYONE, moons, steps=6))
    start = float(moons.value(moons.initial_parameters))
    for run in here.runs:
        history = run.history
        assert history["step"].tolist() == list(range(7))
        assert history["loss"][0] == start
        assert (history["loss"][1:] == history["loss_after"][1:]).all()
        assert (history["loss"][:-1] == history["loss_before"][1:]).all()
        np.testing.assert_allclose(
            np.cumsum(history["step_gradient_equivalents"][1:]), history["gradient_equivalents"][1:]
        )
        assert (np.diff(history["seconds"]) > 0).all()
        for step in range(7):
            theta, at = history.parameters(step)
            assert at == step
            assert float(moons.value(torch.tensor(theta))) == pytest.approx(history["loss"][step], rel=1e-14)
            validation = moons.validation
            assert float(validation.value(torch.tensor(theta))) == pytest.approx(
                history["validation_loss"][step], rel=1e-12
            )
            accuracy = validation.loss.metric(validation.outputs(torch.tensor(theta)), validation.targets)
            assert float(accuracy) == history["metric"][step]


def test_without_validation_the_metric_is_that_of_training(quadratic):
    objective = quadratic()
    history = ngx.run(objective, make("newton", damping="none"), steps=1)
    assert np.isnan(history["validation_loss"]).all()
    prediction, y = objective.outputs(torch.tensor(history.parameters(1)[0])), objective.targets
    r2 = 1 - (y - prediction).square().sum() / (y - y.mean()).square().sum()
    assert history["metric"][1] == pytest.approx(float(r2))


# Determinism


def test_the_same_seed_gives_the_same_table_but_for_time(race, run_to_the_end, rows, tmp_path):
    first, again = (run_to_the_end(race(EVERYONE, newton=CG, natural_gradient=CG)) for _ in range(2))
    table = rows(first, tmp_path / "first.csv")
    assert table == rows(again, tmp_path / "again.csv")
    assert len(table) == 6 * 9


class Impatient:
    """Cancels about every third time it is asked."""

    def __init__(self):
        self.random = np.random.default_rng(0)

    def __call__(self):
        return self.random.random() < 0.3


def test_pauses_single_steps_stops_and_cancelled_steps_change_nothing(race, run_to_the_end, rows, tmp_path):
    whole = run_to_the_end(race(EVERYONE, newton=CG, natural_gradient=CG))
    broken = race(EVERYONE, newton=CG, natural_gradient=CG)
    impatient, cancelled = Impatient(), 0
    while broken.next is not None:
        try:
            broken.advance(impatient if cancelled < 60 else lambda: False)
        except Cancelled:
            cancelled += 1
            broken.stop()
            assert {run.state for run in broken.runs} <= {"stopped", "finished"}
    assert cancelled >= 10
    assert {run.state for run in broken.runs} == {"finished"}
    assert rows(broken, tmp_path / "broken.csv") == rows(whole, tmp_path / "whole.csv")


def test_the_turns_do_not_change_what_a_run_does(race, run_to_the_end, rows, tmp_path):
    by_steps = run_to_the_end(race(EVERYONE, turns="steps"))
    by_seconds = run_to_the_end(race(EVERYONE, turns="seconds"))
    assert rows(by_steps, tmp_path / "a.csv") == rows(by_seconds, tmp_path / "b.csv")


def test_alone_or_in_a_race_a_run_is_the_same(race, run_to_the_end, moons):
    raced = run_to_the_end(race(EVERYONE, moons)).runs[-1].history
    alone = ngx.run(moons, make(EVERYONE[-1]), steps=8)
    assert raced["loss"].tolist() == alone["loss"].tolist()
    assert raced["damping"].tolist()[1:] == alone["damping"].tolist()[1:]


# How runs end


def test_a_run_that_diverges_says_when_and_keeps_every_row_before(race, run_to_the_end):
    here = run_to_the_end(race(["heavy-ball", "newton"], quadratic_1d(), steps=400, heavy_ball={"learning_rate": 50.0}))
    wild, calm = here.runs
    assert wild.state == "diverged"
    assert calm.state == "finished"
    assert calm.step == 400
    (event,) = wild.history.events
    assert event.kind == "diverged"
    assert event.step == wild.step + 1 == len(wild.history)
    assert event.message.startswith(f"diverged at step {event.step}: the loss became ")
    assert np.isfinite(wild.history["loss"]).all()
    assert np.isfinite(wild.history.parameters(wild.step)[0]).all()
    assert 1e11 < wild.history["loss"][-1] < 1e15


def test_a_run_whose_loss_is_beyond_all_proportion_to_that_of_the_start_has_diverged_though_it_is_finite(
    race, run_to_the_end, moons, tmp_path, rows
):
    """Where tanh is saturated, a step of a million times the gradient goes far and no further: 9e162, say."""
    far = {"learning_rate": 1e6}
    here = run_to_the_end(race(["gradient-descent", "newton"], moons, steps=60, gradient_descent=far))
    wild, calm = here.runs
    assert (wild.state, calm.state, calm.step) == ("diverged", "finished", 60)
    (event,) = wild.history.events
    assert event.message.endswith("more than 10¹⁵ times that of the start") and "inf" not in event.message
    assert wild.history["loss"].max() <= 1e15 * max(wild.history["loss"][0], 1)
    assert wild.astray and not calm.astray
    table = rows(here, tmp_path / "race.csv")
    assert max(float(row["loss"]) for row in table) <= 1e15 * max(wild.history["loss"][0], 1)


def test_a_step_far_too_long_that_is_mended_is_no_divergence(rosenbrock_at):
    """Undamped Newton climbs to 58 times the loss at the start, and is at the minimum three steps later."""
    run = Run(rosenbrock_at(-1.2, 1.0), make("newton", damping="none"), label="Newton", seed=0, steps=8)
    seen = [(run.advance(never), run.astray)[1] for _ in range(8)]
    losses = run.history["loss"]
    assert losses.max() / losses[0] == pytest.approx(58.34, abs=0.01) and losses[-1] < 1e-25
    assert run.state == "finished" and not any(seen)


def test_a_run_far_above_its_start_is_astray_until_it_is_back(rosenbrock_at):
    """Newton from where the Hessian is almost singular: 1/200 above the valley the step is dozens long."""
    run = Run(rosenbrock_at(0.1, 0.01 + 0.005 - 2e-4), make("newton", damping="none"), label="N", seed=0, steps=12)
    seen = [(run.advance(never), run.astray)[1] for _ in range(12)]
    assert True in seen and not seen[-1], (seen, run.history["loss"])
    assert run.state == "finished"


def quadratic_1d():
    module = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.ones_(module.weight)
    one = torch.ones(1, 1, dtype=torch.float64)
    return ngx.Objective(module, SquaredError(), one, 0 * one)


def test_run_returns_the_history_of_a_run_that_diverged():
    history = ngx.run(quadratic_1d(), make("gradient-descent", learning_rate=100.0), steps=1000)
    assert [event.kind for event in history.events] == ["diverged"]
    assert len(history) < 1000


def fail_for(monkeypatch, name, at):
    """That optimizer's steps raise from its `at`-th step on."""
    step, taken = Stepper.step, []

    def failing(self, *arguments):
        if self.optimizer.name == name:
            taken.append(0)
            if len(taken) >= at:
                raise ZeroDivisionError("the sky fell")
        return step(self, *arguments)

    monkeypatch.setattr(Stepper, "step", failing)


def test_an_exception_ends_its_run_alone_and_is_kept_with_its_traceback(race, run_to_the_end, monkeypatch):
    fail_for(monkeypatch, "adam", at=3)
    here = run_to_the_end(race(["adam", "newton", "heavy-ball"], steps=6))
    failed, *others = here.runs
    assert failed.state == "failed"
    assert failed.step == 2
    (event,) = failed.history.events
    assert (event.kind, event.step, event.message) == ("failed", 2, "ZeroDivisionError: the sky fell")
    assert event.detail.startswith("Traceback")
    assert "the sky fell" in event.detail
    for run in others:
        assert (run.state, run.step) == ("finished", 6)
        assert not run.history.events


def test_run_raises_what_ended_it(monkeypatch, moons):
    fail_for(monkeypatch, "adam", at=2)
    with pytest.raises(RuntimeError, match="step 1: ZeroDivisionError: the sky fell"):
        ngx.run(moons, make("adam"), steps=3)


def test_an_indefinite_hessian_without_a_remedy_ends_its_run_with_the_reason(race, run_to_the_end, rosenbrock_at):
    here = run_to_the_end(race(["newton", "natural-gradient"], rosenbrock_at(0.0, 1.0), newton={"damping": "none"}))
    newton, natural = here.runs
    assert newton.state == "failed"
    assert "lowest eigenvalue is -398" in newton.history.events[0].message
    assert natural.state == "finished"


def test_a_start_without_a_finite_loss_fails_before_the_first_step(race, run_to_the_end):
    objective = quadratic_1d()
    objective.initial_parameters.fill_(1e300)
    here = run_to_the_end(race(["newton"], objective))
    assert here.runs[0].state == "failed"
    assert here.runs[0].step == 0
    assert "the loss at the start is inf; a finite one is needed" in here.runs[0].history.events[0].message


def test_a_cancelled_run_raises_and_has_taken_whole_steps_only(moons):
    asked = []

    def cancel():
        asked.append(0)
        return len(asked) > 25

    one = Run(moons, make("newton", **CG), label="one", seed=0, steps=50)
    here = Race([one])
    with pytest.raises(Cancelled):
        while True:
            here.advance(cancel)
    assert len(one.history) == one.step + 1 < 50
    assert one.live


# Edits


def test_an_edit_is_an_event_and_takes_effect_at_the_next_step(race):
    here = race(["heavy-ball"], steps=6)
    run = here.runs[0]
    for _ in range(3):
        here.advance()
    run.edit("learning_rate", 0.02)
    while here.advance() is not None:
        pass
    assert [(e.step, e.kind, e.message) for e in run.history.events] == [(3, "edit", "learning_rate = 0.02, was 0.1")]
    assert run.history["learning_rate"][1:].tolist() == [0.1, 0.1, 0.1, 0.02, 0.02, 0.02]
    assert run.optimizer.learning_rate == 0.02


def test_an_edit_that_cannot_be_is_no_event(race):
    here = race(["heavy-ball"])
    here.advance()
    with pytest.raises(SettingError, match=r"learning_rate: -1\.0 is not accepted"):
        here.runs[0].edit("learning_rate", -1.0)
    assert not here.runs[0].history.events
    assert here.runs[0].optimizer.learning_rate == 0.1


def test_an_edit_before_the_first_step_counts_from_it(race):
    here = race(["heavy-ball"])
    here.runs[0].edit("learning_rate", 0.5)
    here.advance()
    assert here.runs[0].history["learning_rate"][1] == 0.5
    assert here.runs[0].history.events[0].step == 0


def test_steps_are_recorded_as_finite_where_they_must_be(race, run_to_the_end):
    for run in run_to_the_end(race(EVERYONE)).runs:
        for name in ("loss", "step_norm", "gradient_norm", "angle", "learning_rate", "step_seconds"):
            assert all(math.isfinite(x) for x in run.history[name][1:]), name


def test_the_trials_that_a_step_rejected_are_recorded_with_their_numbers(moons):
    """Newton with little damping where the Hessian is indefinite, and far steps where the loss rises."""
    optimizer = make("newton", damping={"initial": 1e-6, "factor": 0.1})
    history = ngx.run(moons, optimizer, steps=25)
    counts = history["rejected_trials"][1:]
    assert counts.any()
    assert sorted(history.rejections) == [k for k, count in enumerate(counts, 1) if count]
    for step, rejections in history.rejections.items():
        assert len(rejections) == counts[step - 1]
        row = history.row(step)
        dampings = [trial.damping for trial in rejections] + [row["damping"]]
        assert dampings[1:] == pytest.approx([4 * damping for damping in dampings[:-1]])
        assert rejections[-1].reason in row["outcome"]
        for trial in rejections:
            if trial.reason == "loss rose":
                assert trial.change > 0 > trial.predicted_change
                assert trial.reduction_ratio == pytest.approx(trial.change / trial.predicted_change)
            else:
                assert trial.reason == "not positive definite"


def test_a_run_knows_with_which_settings_each_step_was_taken(moons):
    run = Run(moons, make("newton"), label="Newton", seed=0, steps=5)
    for k in range(1, 5):
        run.advance(never)
        run.edit("learning_rate", 1 / (k + 1))
    assert [run.optimizer_of(step).learning_rate for step in range(5)] == [1, 1, 1 / 2, 1 / 3, 1 / 4]
    assert run.optimizer.learning_rate == run.optimizer_of(5).learning_rate == 1 / 5

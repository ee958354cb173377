"""Step anatomy: what a person reads of a step is what its record says, wherever they scrub."""

import math
import re

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication

from ngexplorer.analysis.step_anatomy import anatomy, formulas, record
from ngexplorer.analysis.step_iterations import step_iterations
from ngexplorer.gui.plots.axes import compact
from ngexplorer.optimizers import make

WIDE = (1600, 1000)
CG = make("natural-gradient", solver={"name": "conjugate-gradient", "tolerance": 1e-6})


@pytest.fixture
def taken_apart(sit_at):
    """A finished race, and the panel beside it."""

    def look(experiment, number=0, size=WIDE):
        person = sit_at(experiment, size=size)
        person.session.toggle()
        person.sees("finished")
        person.window.anatomy.run.pick(number)
        answered(person)
        return person, person.window.anatomy, person.session.runs[number]

    return look


def answered(person):
    """Every question of the panel has its answer."""
    person.window.anatomy.pull()
    person.until(lambda: person.session.analyst.idle)
    QCoreApplication.processEvents()


def read(label):
    """What stands in a label, without its marks."""
    return re.sub("<[^>]+>", "\n", label.text()).replace("\n\n", "\n")


def plain(text):
    return re.sub(r"\s+", "", text).lower()


def test_at_every_step_the_numbers_are_those_of_the_history_s_row(taken_apart, valley):
    person, panel, shown = taken_apart(valley("newton", "heavy-ball", steps=12))
    filled = set()
    for step in (12, 3, 1, 7):
        person.session.set_time(step)
        panel.pull()
        row = shown.history.row(step)
        filled |= {name for name in formulas(shown.run.optimizer) if not math.isnan(row[name])}
        texts = panel.facts.texts()
        assert texts == {name: compact(row[name]) for name in filled}
        assert panel.place.text().startswith(f"step {step}")
        for words in anatomy(record(shown.history, step), shown.run.optimizer, step).words:
            assert plain(words) in plain(read(panel.words)).replace("e−", "e-")


def test_every_number_stands_over_its_formula_and_the_section_it_is_from(taken_apart, valley):
    _, panel, shown = taken_apart(valley("newton", steps=4))
    for name, (formula, source) in formulas(shown.run.optimizer).items():
        if name in panel.facts.texts():
            below = panel.facts._rows[name][2]
            assert below.text() == f"{formula}  ·  {source.removeprefix('Martens 2020, ')}"
            assert source in below.toolTip()


def test_a_number_that_a_step_has_not_is_a_dash(taken_apart, two_moons):
    """λmin is known of the steps that found the matrix indefinite, and of no others."""
    person, panel, shown = taken_apart(two_moons(make("newton", damping={"initial": 1e-6, "factor": 0.1}), steps=30))
    known = np.isfinite(shown.history["lowest_eigenvalue"])
    assert known.any() and not known[1:].all()
    person.session.set_time(int(np.flatnonzero(known)[0]))
    panel.pull()
    person.session.set_time(int(np.flatnonzero(~known[1:])[0]) + 1)
    panel.pull()
    assert panel.facts.texts()["lowest_eigenvalue"] == "–"


def test_it_follows_the_first_visible_run_until_one_is_picked(taken_apart, valley):
    person, panel, _ = taken_apart(valley("heavy-ball", "newton", "natural-gradient", steps=3))
    panel.run._picked = None
    person.session.set_hidden(0, True)
    panel.pull()
    assert panel.run.currentText() == "Newton" and "ρ" in panel.words.text()
    person.chooses(panel.run, "Heavy ball")
    panel.pull()
    assert panel.run.number == 0 and "No model" in panel.words.text()
    person.session.set_hidden(1, True)
    panel.pull()
    assert panel.run.number == 0


def test_why_a_step_was_rejected_is_two_clicks_away(taken_apart, two_moons):
    person, panel, shown = taken_apart(two_moons(make("newton", damping={"initial": 1e-6, "factor": 0.1}), steps=30))
    rejecting = list(shown.history.rejections)
    assert len(rejecting) > 1
    assert f"{len(rejecting)} steps with rejected trials" in panel.place.text()
    person.clicks(panel.earlier)
    panel.pull()
    assert person.session.time == max(step for step in rejecting if step < 30)
    while panel.earlier.isEnabled():
        person.clicks(panel.earlier)
        panel.pull()
    assert person.session.time == rejecting[0]
    trials = shown.history.rejections[rejecting[0]]
    texts = [label.text() for label in panel.trials._labels]
    assert panel.trials.isVisible() and texts[:4] == ["λ", "promised", "got", "ρ"]
    first = trials[0]
    numbers = (first.damping, first.predicted_change, first.change, first.reduction_ratio)
    assert texts[4:9] == [*map(compact, numbers), f"rejected: {first.reason}"]
    assert texts[-1] == "accepted" and len(texts) == 4 + 5 * (len(trials) + 1)
    assert f"rejected: {trials[-1].reason}" in read(panel.words)
    person.clicks(panel.later)
    panel.pull()
    assert person.session.time == rejecting[1]


def test_the_iterations_of_conjugate_gradient_are_gone_through_again(taken_apart, two_moons):
    person, panel, shown = taken_apart(two_moons(CG, "newton", steps=6))
    person.session.set_time(4)
    answered(person)
    *_, expected = step_iterations(shown.run.objective, shown.run.optimizer, shown.history, 4)
    found = panel.iterations.iterations
    assert panel.iterations.isVisible() and panel.iterations.frames[0].isVisible()
    np.testing.assert_array_equal(found.models, expected.models)
    assert found.stop == shown.history.row(4)["solver_iterations"]
    drawn = panel.iterations.lines[1].shown[-1]
    assert 10**drawn.y == pytest.approx(expected.residuals)
    assert panel.iterations.note.text() == f"{found.stop} iterations, stopped by {found.reason}"
    panel.run.pick(1)
    panel.pull()
    assert not panel.iterations.isVisible()


def test_while_the_race_goes_on_no_iterations_are_asked_for(sit_at, two_moons):
    person = sit_at(two_moons(CG, steps=5000), size=WIDE)
    panel = person.window.anatomy
    person.session.toggle()
    person.until(lambda: person.session.runs[0].run.step > 3)
    person.session.set_time(2)
    panel.pull()
    assert person.session.state == "running"
    assert panel.iterations._asked is None and "once the race rests" in panel.iterations.note.text()
    person.session.toggle()
    person.sees("paused")
    answered(person)
    assert panel.iterations.iterations is not None and panel.iterations.iterations.done


def test_before_any_step_and_after_the_last_it_says_where_it_is(sit_at, valley):
    person = sit_at(valley(make("gradient-descent", learning_rate=0.007), steps=40), size=WIDE)
    panel = person.window.anatomy
    panel.pull()
    assert "This is where it starts" in read(panel.words) and not panel.facts.isVisible()
    person.session.toggle()
    person.sees("finished")
    panel.pull()
    assert "diverged at step" in read(panel.words).lower()
    assert panel.facts.isVisible()
    person.session.set_time(1)
    panel.pull()
    assert "diverged" not in read(panel.words).lower()


def test_a_setting_that_was_changed_is_told_at_the_step_it_first_served(sit_at, valley):
    person = sit_at(valley("newton", steps=6), size=WIDE)
    panel = person.window.anatomy
    for _ in range(2):
        person.session.step()
        person.until(lambda: person.session.state == "paused")
    person.session.racer.edit(0, "damping.model", "damped")
    person.session.step()
    person.until(lambda: person.session.runs[0].run.step == 3)
    person.sees("paused")
    for step, formula in ((2, "(M(δ) − M(0))"), (3, "(M(δ) − M(0) + ½λ‖δ‖²)")):
        person.session.set_time(step)
        panel.pull()
        assert formula in panel.facts._rows["reduction_ratio"][2].text()
        assert ("Before it, a setting was changed: damping.model = damped, was undamped" in read(panel.words)) == (
            step == 3
        )


def test_where_the_window_is_narrow_it_is_closed_until_it_is_opened(sit_at, valley):
    person = sit_at(valley("newton", steps=3), size=(1280, 800))
    panel = person.window.anatomy
    QCoreApplication.processEvents()
    assert not panel.isVisible()
    person.session.toggle()
    person.sees("finished")
    panel.pull()
    assert panel.words.text() == "", "what cannot be seen costs nothing"
    dock = person.window.arrangement.explanations[0]
    dock.toggleViewAction().trigger()
    person.until(lambda: panel.isVisible())
    QCoreApplication.processEvents()
    panel.pull()
    assert "ρ" in panel.words.text()
    assert panel.width() >= 250 and not person.window.setup.visibleRegion().contains(person.window.setup.rect())


def test_another_race_is_another_story(taken_apart, valley, two_moons):
    person, panel, _ = taken_apart(valley("newton", steps=3))
    person.session.open_experiment(two_moons(CG, steps=3))
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    panel.pull()
    assert "This is where it starts" in read(panel.words) and not panel.trials.isVisible()

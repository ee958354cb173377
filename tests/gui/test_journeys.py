"""What a person does, with keys and mouse, and what they then see."""

import csv

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QRectF, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QFileDialog, QInputDialog

from ngexplorer.gui import theme as themes
from ngexplorer.gui.panels.export import Export
from ngexplorer.gui.plots.strokes import clipped
from ngexplorer.gui.session import Notice
from ngexplorer.optimizers import make
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Contender

SPACE, POINT, ESCAPE = Qt.Key.Key_Space, Qt.Key.Key_Period, Qt.Key.Key_Escape
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def finished(sit_at):
    """Someone before a race that has ended."""

    def run(experiment=None, **how):
        person = sit_at(experiment, **how)
        person.presses(SPACE)
        person.sees("finished")
        person.window.settle()
        return person

    return run


# The keyboard.


def test_space_starts_and_pauses_a_point_steps_escape_stops_control_r_resets(sit_at, two_moons):
    person = sit_at(two_moons(steps=100_000))
    person.presses(SPACE)
    person.sees("running")
    person.until(lambda: person.session.latest > 3)
    person.presses(SPACE)
    person.sees("paused")
    before = [shown.run.step for shown in person.session.runs]
    person.presses(POINT)
    person.until(lambda: [shown.run.step for shown in person.session.runs] == [step + 1 for step in before])
    person.sees("paused")
    person.presses(SPACE)
    person.sees("running")
    person.presses(ESCAPE)
    person.sees("stopped")
    person.presses(Qt.Key.Key_R, CONTROL)
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    assert person.session.latest == 0


@pytest.mark.parametrize("place", ["a plot", "the timeline", "the table", "nothing"])
def test_the_keys_are_the_race_s_where_nothing_can_be_pressed(sit_at, two_moons, place):
    person = sit_at(two_moons(steps=100_000))
    person.presses(POINT)
    person.until(lambda: person.session.latest == 1)
    person.sees("paused")
    window = person.window
    {
        "a plot": window.trajectory.frame,
        "the timeline": window.timeline.slider,
        "the table": window.table,
        "nothing": window,
    }[place].setFocus(Qt.FocusReason.TabFocusReason)
    person.presses(POINT)
    person.until(lambda: [shown.run.step for shown in person.session.runs] == [2, 2])
    person.sees("paused")
    person.presses(SPACE)
    person.sees("running")
    person.until(lambda: person.session.latest > 2)
    person.presses(SPACE)
    person.sees("paused")
    assert person.session.generation == 1


@pytest.mark.parametrize("place", ["a button", "a toggle", "a chip of the legend", "a check box", "a combo box"])
def test_the_space_bar_presses_what_has_the_focus_and_a_point_steps(sit_at, two_moons, place):
    person = sit_at(two_moons(steps=100_000))
    window, session = person.window, person.session
    focused, pressed = {
        "a button": (window.buttons["reset"], lambda: session.generation == 2),
        "a toggle": (window.curves.log, lambda: not window.curves.log.isChecked()),
        "a chip of the legend": (window.curves.legend.chips[1], lambda: session.is_hidden(1)),
        "a check box": (window.findChild(QCheckBox), lambda: session.experiment != two_moons(steps=100_000)),
        "a combo box": (window.curves.axis, lambda: window.curves.axis.view().isVisible()),
    }[place]
    focused.setFocus(Qt.FocusReason.TabFocusReason)
    person.presses(SPACE)
    person.until(pressed)
    person.leaves_list(window.curves.axis)
    QTest.qWait(300)  # a set-up that was changed is loaded once it has rested so long
    person.sees("ready")
    assert session.latest == 0, "no race was started"
    focused.setFocus(Qt.FocusReason.TabFocusReason)
    person.presses(POINT)
    person.until(lambda: [shown.run.step for shown in session.runs] == [1, 1])
    person.sees("paused")


def test_what_was_pressed_with_the_mouse_leaves_the_space_bar_to_the_race(sit_at, two_moons):
    person = sit_at(two_moons(steps=100_000))
    window = person.window
    person.clicks(window.buttons["race"])
    person.until(lambda: person.session.latest > 0)
    person.presses(SPACE)
    person.sees("paused")
    editor = person.field("Weight decay").editor
    for thing in (window.curves.log, window.curves.axis, window.findChild(QCheckBox)):
        person.clicks(editor)
        assert window.focusWidget() is editor
        person.clicks(thing)
        person.leaves_list(window.curves.axis)
        assert window.focusWidget() is not editor
        person.presses(SPACE)
        person.sees("running")
        person.presses(SPACE)
        person.sees("paused")
    assert not window.curves.axis.view().isVisible() and not window.curves.log.isChecked()


def test_the_focus_waits_for_a_button_that_is_out_of_use(sit_at, two_moons):
    person = sit_at(two_moons(steps=3))
    person.window.buttons["step"].setFocus(Qt.FocusReason.TabFocusReason)
    for k in (1, 2):
        person.presses(SPACE)
        person.until(lambda k=k: [shown.run.step for shown in person.session.runs] == [k, k])
        person.sees("paused")
    person.presses(SPACE)
    person.sees("finished")
    person.presses(SPACE)
    QCoreApplication.processEvents()
    assert person.session.generation == 1 and person.session.latest == 3, "Reset, its neighbour, was not pressed"


def test_in_an_editor_space_and_point_are_typed(sit_at, two_moons):
    person = sit_at(two_moons())
    editor = person.field("Weight decay").editor
    editor.setFocus()
    editor.selectAll()
    QTest.keyClicks(editor, "0.5 .")
    QCoreApplication.processEvents()
    assert editor.text() == "0.5 ."
    assert person.session.state == "ready" and person.session.latest == 0


def test_enter_gives_the_keys_back_to_the_window(sit_at, two_moons):
    person = sit_at(two_moons(steps=100_000))
    editor = person.field("Weight decay").editor
    person.types(editor, "0.5")
    assert person.window.focusWidget() is person.window
    person.rests()
    person.presses(SPACE)
    person.sees("running")
    person.presses(ESCAPE)
    person.sees("stopped")
    person.types(editor, "-1")
    assert person.window.focusWidget() is editor, "there it has to be put right"


def test_the_window_s_keys_with_control_work_in_an_editor_and_count_what_is_typed(sit_at, two_moons):
    person = sit_at(two_moons(steps=100))
    exported = []
    person.window.export_action.triggered.disconnect()
    person.window.export_action.triggered.connect(lambda: exported.append("csv"))
    editor = person.field("Weight decay").editor
    person.types(editor, "0.25", enter=False)
    person.presses(Qt.Key.Key_E, CONTROL)
    assert exported == ["csv"]
    assert person.session.experiment.weight_decay == 0.25
    person.rests()
    person.types(editor, "0.75", enter=False)
    before = person.session.generation
    person.presses(Qt.Key.Key_R, CONTROL)
    person.until(lambda: person.session.generation > before)
    person.rests()
    assert person.session._loaded.weight_decay == 0.75
    editor.setFocus()
    person.presses(Qt.Key.Key_A, CONTROL)
    assert editor.selectedText() == "0.75", "the keys of editing stay those of the editor"


def test_escape_takes_back_what_is_being_typed_and_then_stops(sit_at, two_moons):
    person = sit_at(two_moons(steps=100_000))
    person.presses(SPACE)
    person.sees("running")
    editor = person.field("Steps").editor
    person.types(editor, "7", enter=False)
    person.presses(ESCAPE)
    QCoreApplication.processEvents()
    assert editor.text() == "100000" and person.session.state == "running"
    person.presses(ESCAPE)
    person.sees("stopped")


def test_escape_closes_an_open_list_and_stops_nothing(sit_at, two_moons):
    person = sit_at(two_moons(steps=100_000))
    person.presses(SPACE)
    person.sees("running")
    choice = person.window.curves.axis
    for key in (ESCAPE, SPACE, POINT):
        choice.showPopup()
        QCoreApplication.processEvents()
        QTest.keyClick(choice.view(), key)
        QCoreApplication.processEvents()
        assert person.session.state == "running"
        assert choice.view().isVisible() == (key != ESCAPE)
        person.leaves_list(choice)
    person.presses(ESCAPE)
    person.sees("stopped")


def test_escape_stops_a_single_step_that_takes_long(sit_at, long_steps):
    person = sit_at(long_steps)
    person.presses(POINT)
    person.until(lambda: person.session.runs[0].run.state == "running")
    QCoreApplication.processEvents()
    person.presses(ESCAPE)
    person.sees("stopped")
    assert person.session.latest == 0


# The set-up.


@pytest.mark.parametrize("typed", ["0", "-1", "abc", ""])
def test_a_learning_rate_that_cannot_be_is_marked_and_not_taken(sit_at, two_moons, typed):
    person = sit_at(two_moons())
    person.opens_card(0)
    field = person.field("Learning rate", card=0)
    person.types(field.editor, typed or "x\b")
    assert field.editor.property("invalid") is True
    assert field.message.isVisible() and "number" in field.message.text()
    assert field.editor.text() == typed, "what was typed stands there, to be put right"
    assert person.session.experiment.runs[0].optimizer.learning_rate == 0.1
    person.types(field.editor, "0.2")
    assert not field.editor.property("invalid") and not field.message.isVisible()
    assert person.session.experiment.runs[0].optimizer.learning_rate == 0.2
    person.rests()


def test_what_cannot_be_stays_marked_through_a_reset_until_it_is_put_right(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton"))
    person.opens_card(1)
    decay, damping = person.field("Weight decay"), person.field("Initial", card=1)
    person.types(damping.editor, "-3")
    person.types(decay.editor, "much")
    assert damping.message.isVisible() and decay.message.isVisible(), "the one does not hide the other"
    person.presses(Qt.Key.Key_R, CONTROL)
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    assert damping.editor.text() == "-3" and damping.message.isVisible() and damping.editor.property("invalid")
    assert decay.editor.text() == "much" and decay.message.isVisible()
    assert person.session.race.runs[1].optimizer.damping.initial == 1.0, "the last set-up that can be"

    person.types(decay.editor, "0.5")
    assert not decay.message.isVisible() and damping.message.isVisible()
    person.opens_card(1)
    message = person.window.setup.message
    assert message.isVisible() and message.text().startswith("Newton, Damping, Initial: -3.0 is not accepted")
    person.opens_card(1)
    assert not message.isVisible()
    person.types(person.field("Initial", card=1).editor, "3")
    assert not message.isVisible() and not person.field("Initial", card=1).message.isVisible()
    person.rests()
    assert person.session.race.runs[1].optimizer.damping.initial == 3
    assert person.session.experiment.weight_decay == 0.5


def test_another_experiment_takes_the_place_of_what_cannot_be(sit_at, two_moons):
    person = sit_at(two_moons(weight_decay=0.25))
    decay, steps = person.field("Weight decay"), person.field("Steps")
    person.types(decay.editor, "-1")
    person.types(steps.editor, "77", enter=False)
    person.session.open_experiment(two_moons(weight_decay=0.25))
    assert decay.editor.text() == "0.25" and steps.editor.text() == "12"
    assert not decay.message.isVisible() and not decay.editor.property("invalid")
    person.until(lambda: person.session.generation == 2)
    person.rests()


def test_the_title_is_that_of_other_data_until_those_it_was_opened_with_come_back(sit_at, two_moons):
    person = sit_at(two_moons())
    data = person.field("Data").editor.choice
    person.chooses(data, "Rosenbrock")
    assert person.window.title.text() == "Rosenbrock •", "a change that is not saved"
    assert person.session.experiment.title == "Rosenbrock"
    person.chooses(data, "Two moons")
    assert person.session.experiment.title == "A test"
    person.rests()


def test_a_good_learning_rate_counts_at_once_and_is_recorded(sit_at, two_moons):
    person = sit_at(two_moons(steps=1_000_000))
    person.opens_card(0)
    person.presses(SPACE)
    person.until(lambda: person.session.latest > 3)
    person.types(person.field("Learning rate", card=0).editor, "0.05")
    history = person.session.runs[0].history
    person.until(lambda: len(history.events) == 1)
    at = history.events[0].step
    person.until(lambda: len(history) > at + 3)
    person.presses(ESCAPE)
    person.sees("stopped")
    rates = history["learning_rate"]
    assert set(rates[1 : at + 1]) == {0.1} and set(rates[at + 1 :]) == {0.05}
    assert not person.window.setup.hint.isVisible()


def test_what_is_typed_and_not_yet_entered_counts_when_race_is_clicked(sit_at, two_moons):
    person = sit_at(two_moons(steps=5))
    person.opens_card(0)
    person.types(person.field("Learning rate", card=0).editor, "0.05", enter=False)
    person.clicks(person.window.buttons["race"])
    person.until(lambda: person.session.state == "finished")
    assert set(person.session.race.runs[0].history["learning_rate"][1:]) == {0.05}


def test_rosenbrock_brings_its_model_and_loss_and_says_why_no_other_goes_with_it(sit_at, two_moons):
    person = sit_at(two_moons())
    model, loss = (person.field(name).editor.choice for name in ("Model", "Loss"))
    person.chooses(person.field("Data").editor.choice, "Rosenbrock")
    assert model.currentText() == "Its own network" and loss.currentText() == "Squared error"
    for choice, illegal in ((model, "Multilayer perceptron"), (loss, "Softmax cross-entropy")):
        item = choice.model().item(choice.findText(illegal))
        assert not item.isEnabled() and "Rosenbrock" in item.toolTip()
        assert choice.model().item(choice.currentIndex()).isEnabled()
    person.rests()
    assert person.session.race.runs[0].objective.parameters == 2

    person.chooses(person.field("Data").editor.choice, "Two moons")
    assert model.currentText() != "Its own network"
    assert model.model().item(model.findText("Multilayer perceptron")).isEnabled()
    person.rests()


def test_other_data_during_a_race_ask_for_a_reset(sit_at, two_moons):
    person = sit_at(two_moons())
    person.presses(POINT)
    person.sees("paused")
    person.types(person.field("Size").editor, "60")
    assert person.window.setup.hint.isVisible() and "Reset" in person.window.setup.hint.text()
    person.presses(Qt.Key.Key_R, CONTROL)
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    assert not person.window.setup.hint.isVisible()


# Optimizers.


def test_an_optimizer_is_added_duplicated_and_removed(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball"))
    setup = person.window.setup
    person.picks(setup.add, "Newton")
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Heavy ball", "Newton"]
    assert person.card(1).form is not None, "its settings stand open"

    more = person.card(0).findChildren(type(person.card(0).colour))[2]
    assert "Duplicate" in more.toolTip()
    person.picks(more, "Duplicate")
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Heavy ball", "Heavy ball 2", "Newton"]
    assert len({shown.colour for shown in person.session.runs}) == 3

    person.picks(person.card(0).findChildren(type(more))[2], "Remove")
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Heavy ball", "Newton"]


def test_no_run_changes_its_colour_because_others_come_and_go(sit_at, two_moons):
    person = sit_at(two_moons("adam", "natural-gradient"))
    setup = person.window.setup

    def colours():
        labels = person.session.experiment.labels()
        runs = person.session.experiment.runs
        names = [run.optimizer.name for run in runs]
        return dict(zip(labels, themes.colours(names, [run.colour for run in runs]), strict=True))

    def asks(card, what):
        more = person.card(card).findChildren(type(person.card(card).colour))[2]
        person.picks(more, what)

    asks(0, "Duplicate")
    first = colours()
    assert first["Adam"] == themes.GREEN and first["Natural gradient"] == themes.SKY
    assert first["Adam 2"] not in (themes.GREEN, themes.SKY)
    person.picks(setup.add, "Newton")
    person.picks(setup.add, "Natural gradient")
    later = colours()
    assert {label: later[label] for label in first} == first
    assert later["Newton"] not in first.values() and len(set(later.values())) == 5
    person.rests()
    raced = {shown.label: shown.colour for shown in person.session.runs}
    person.presses(POINT)
    person.sees("paused")
    asks(2, "Remove")
    asks(0, "Remove")
    assert {shown.label: shown.colour for shown in person.session.runs} == raced, "the race under way keeps its own"
    assert list(colours().values()) == [later[label] for label in ("Adam 2", "Newton", "Natural gradient 2")]


def test_the_last_optimizer_cannot_go_without_a_word(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball"))
    more = person.card(0).findChildren(type(person.card(0).colour))[2]
    person.picks(more, "Remove")
    assert person.window.setup.message.isVisible()
    assert "at least one" in person.window.setup.message.text()
    assert len(person.session.runs) == 1


def test_an_optimizer_is_renamed_and_keeps_its_history(sit_at, two_moons, monkeypatch):
    person = sit_at(two_moons("heavy-ball"))
    person.presses(POINT)
    person.sees("paused")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("Mine", True))
    person.picks(person.card(0).findChildren(type(person.card(0).colour))[2], "Rename")
    assert person.session.runs[0].label == "Mine" and person.session.latest == 1
    person.window.settle()
    assert person.window.table.runs.texts[0][0] == "Mine"
    assert person.window.curves.legend.chips[0].text() == "Mine"


def test_an_optimizer_is_switched_off_and_on(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton"))
    person.clicks(person.card(0).switch)
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Newton"]
    person.clicks(person.card(0).switch)
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Heavy ball", "Newton"]


def test_a_colour_is_chosen_for_a_run(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton"))
    person.presses(POINT)
    person.sees("paused")
    person.picks(person.card(0).colour, "Green")
    assert person.session.runs[0].colour == themes.GREEN
    assert person.session.latest == 1 and not person.session.stale


# Time.


def test_the_timeline_dragged_back_shows_that_step_everywhere(finished, two_moons):
    person = finished(two_moons("heavy-ball", "newton", steps=30))
    window, slider = person.window, person.window.timeline.slider
    person.draws_all()
    assert slider.maximum() == 30 and slider.value() == 30
    slider.setValue(7)
    window.settle()
    assert person.session.time == 7
    assert [texts[2] for texts in window.table.runs.texts] == ["7", "7"]
    history = person.session.runs[1].history
    assert float(window.table.runs.texts[1][3]) == pytest.approx(history["loss"][7], rel=1e-3)
    for view in (window.curves, window.trajectory):
        assert "step 7" in view.subtitle.text()
    shown = max(s.step for s in history.spectra if s.step <= 7)
    assert f"step {shown}" in window.spectrum.subtitle.text()
    assert window.timeline.label.text() == "step 7" and not window.timeline.live.isChecked()

    person.clicks(window.timeline.live)
    window.settle()
    assert person.session.time is None and slider.value() == 30
    assert [texts[2] for texts in window.table.runs.texts] == ["30", "30"]


def test_the_timeline_goes_by_keys_and_its_end_is_live(finished, two_moons):
    person = finished(two_moons(steps=20))
    slider = person.window.timeline.slider
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Left)
    assert person.session.time == 19
    QTest.keyClick(slider, Qt.Key.Key_Home)
    assert person.session.time == 0
    QTest.keyClick(slider, Qt.Key.Key_End)
    assert person.session.time is None


def test_looking_back_does_not_hold_the_race(sit_at, two_moons):
    person = sit_at(two_moons(steps=1_000_000))
    person.presses(SPACE)
    person.until(lambda: person.session.latest > 10)
    person.window.timeline.pull()
    person.window.timeline.slider.setValue(5)
    at = person.session.latest
    person.until(lambda: person.session.latest > at + 10)
    assert person.session.time == 5
    person.presses(Qt.Key.Key_L, CONTROL)
    assert person.session.time is None
    person.presses(ESCAPE)
    person.sees("stopped")


# The curves.


def test_a_chip_of_the_legend_hides_a_run_in_every_plot(finished, two_moons):
    person = finished(two_moons("heavy-ball", "newton", steps=5))
    window = person.window
    person.draws_all()
    counts = [len(view.lines._lines) for view in person.in_sight]
    chip = window.curves.legend.chips[1]
    assert chip.text() == "Newton"
    person.clicks(chip)
    window.settle()
    assert person.session.is_hidden(1) and not chip.isChecked()
    assert all(len(view.lines._lines) < count for view, count in zip(person.in_sight, counts, strict=True))
    person.clicks(chip)
    window.settle()
    assert [len(view.lines._lines) for view in person.in_sight] == counts


def test_the_cross_hair_reads_every_visible_run(finished, two_moons):
    person = finished(two_moons("heavy-ball", "newton", steps=20))
    curves = person.window.curves
    QCoreApplication.processEvents()
    view = curves.frame.view
    low, high = view.viewRange()[1]
    scene = view.mapViewToScene(QPointF(8.2, (low + high) / 2))
    QTest.mouseMove(curves.frame.viewport(), curves.frame.mapFromScene(scene))
    curves.frame.scene().sigMouseMoved.emit(scene)
    assert curves.hair.isVisible() and curves.readout.isVisible()
    words = curves.readout.texts()
    assert words[0] == "step 8"
    for shown in person.session.runs:
        at = words.index(shown.label)
        assert float(words[at + 1]) == pytest.approx(shown.history["loss"][8], rel=1e-3)
        assert float(words[at + 2]) == pytest.approx(shown.history["validation_loss"][8], rel=1e-3)

    person.session.set_hidden(0, True)
    curves.read_at(8.2)
    assert "Heavy ball" not in curves.readout.texts() and "Newton" in curves.readout.texts()
    QCoreApplication.sendEvent(curves.frame.viewport(), QEvent(QEvent.Type.Leave))
    assert not curves.readout.isVisible()


def test_the_cross_hair_reads_what_is_drawn(finished, two_moons):
    person = finished(two_moons("heavy-ball", steps=5))
    curves = person.window.curves
    person.clicks(curves.validation)
    curves.read_at(2.0)
    assert curves.readout.texts()[1:3] == ["training", "Heavy ball"]
    person.clicks(curves.validation)
    person.clicks(curves.training)
    curves.read_at(2.0)
    assert curves.readout.texts()[1:3] == ["validation", "Heavy ball"]


def test_a_new_race_forgets_what_was_read_and_said_of_the_last(sit_at, valley):
    person = sit_at(valley("newton", steps=12))
    person.presses(SPACE)
    person.sees("finished")
    curves = person.window.curves
    person.session.noticed.emit(Notice("Newton diverged", of_race=True))
    person.session.noticed.emit(Notice("The disk is full"))
    assert [strip.notice.of_race for strip in person.strips] == [True, False]
    before = person.session.generation
    area = curves.frame.view.sceneBoundingRect()
    curves.frame.scene().sigMouseMoved.emit(area.center())
    assert curves.readout.isVisible() and curves.hair.isVisible()
    person.presses(Qt.Key.Key_R, CONTROL)
    person.until(lambda: person.session.generation > before)
    person.sees("ready")
    assert not curves.readout.isVisible() and not curves.hair.isVisible()
    assert [strip.notice.message for strip in person.strips] == ["The disk is full"]


@pytest.mark.parametrize(
    "axis, column", [("by seconds of compute", "seconds"), ("by gradient equivalents", "gradient_equivalents")]
)
def test_the_curves_can_be_drawn_against_what_they_cost(finished, two_moons, axis, column):
    person = finished(two_moons("heavy-ball", "newton", steps=15))
    curves = person.window.curves
    person.chooses(curves.axis, axis)
    person.window.settle()
    for shown, line in zip(person.session.runs, curves.lines._lines[::2], strict=True):
        assert list(line.x) == pytest.approx(list(shown.history.column(column)))
    newton = person.session.runs[1].history
    between = (newton[column][6] + newton[column][7]) / 2
    curves.read_at(between)
    words = curves.readout.texts()
    at = words.index("Newton")
    assert float(words[at + 1]) == pytest.approx(newton["loss"][6], rel=1e-3), "what it had reached by then"


def test_the_log_button_changes_what_is_drawn(finished, two_moons):
    import numpy as np

    person = finished(two_moons("heavy-ball", steps=10))
    curves = person.window.curves
    loss = person.session.runs[0].history["loss"]
    assert curves.log.isChecked()
    assert list(curves.lines._lines[0].y) == pytest.approx(list(np.log10(loss)))
    person.clicks(curves.log)
    person.window.settle()
    assert list(curves.lines._lines[0].y) == pytest.approx(list(loss))


def test_without_training_and_validation_the_plot_says_why_it_is_empty(finished, two_moons):
    person = finished(two_moons("heavy-ball", steps=3))
    curves = person.window.curves
    person.clicks(curves.validation)
    person.window.settle()
    assert len(curves.lines._lines) == 1
    person.clicks(curves.training)
    person.window.settle()
    assert curves.empty.isVisible() and "Neither" in curves.empty.text()


# The look, files, and what goes wrong.


def test_the_theme_is_switched_for_window_and_plots(finished, two_moons):
    person = finished(two_moons(steps=3))
    window = person.window
    window.curves.frame.setAntialiasing(False)
    person.presses(Qt.Key.Key_T, CONTROL)
    window.settle()
    assert person.session.theme is themes.LIGHT
    for view in window.views:
        assert view.frame.backgroundBrush().color() == QColor(themes.LIGHT.panel)
        assert view.frame.item.getAxis("left").textPen().color() == QColor(themes.LIGHT.muted)
    pens = {line.pen.color().name() for line in window.curves.lines._lines}
    assert pens <= {themes.line_colour(shown.colour, themes.LIGHT).name() for shown in person.session.runs}
    assert window.grab().toImage().pixelColor(2, window.height() // 2) == QColor(themes.LIGHT.window)
    person.presses(Qt.Key.Key_T, CONTROL)
    assert person.session.theme is themes.DARK


def exports(person):
    """Export all there is: Ctrl+E, and Enter in the window that asks what."""
    person.presses(Qt.Key.Key_E, CONTROL)
    (dialog,) = person.window.findChildren(Export)
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    person.until(lambda: not person.window.findChildren(Export))
    person.window.activateWindow()  # off-screen no window manager sees to it
    person.until(person.window.isActiveWindow)


def test_the_export_reads_back(finished, two_moons, tmp_path, monkeypatch):
    person = finished(two_moons("heavy-ball", "newton", steps=6))
    path = tmp_path / "runs.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    exports(person)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["optimizer"], row["step"]) for row in rows] == [
        (label, name, str(step))
        for label, name in (("Heavy ball", "heavy-ball"), ("Newton", "newton"))
        for step in range(7)
    ]
    losses = [float(row["loss"]) for row in rows if row["run"] == "Newton"]
    assert losses == list(person.session.runs[1].history["loss"])
    assert [notice.message for notice in person.notices] == [f"Exported 14 rows to {path}"]


def test_a_dialog_that_is_cancelled_does_nothing(finished, two_moons, monkeypatch):
    person = finished(two_moons(steps=2))
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_, **__: ("", ""))
    exports(person)
    for ask in (person.window.document.save, person.window.open_file):
        ask()
    assert not person.notices and person.session.generation == 1


def test_a_file_dialog_opens_where_the_last_file_was(finished, two_moons, tmp_path, monkeypatch):
    person = finished(two_moons(steps=2))
    asked = []

    def answer(_, title, start, kinds):
        asked.append(start)
        return str(tmp_path / "one.csv"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    exports(person)
    exports(person)
    assert asked == ["runs.csv", str(tmp_path / "runs.csv")]


def test_a_set_up_is_saved_and_opened_again(sit_at, two_moons, tmp_path, monkeypatch):
    person = sit_at(two_moons("heavy-ball", make("newton", learning_rate=0.5)))
    path = tmp_path / "mine.toml"
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_, **__: (str(path), ""))
    saved = person.session.experiment
    person.presses(Qt.Key.Key_S, CONTROL)
    assert experiments.read(path) == saved and person.window.document.path == path
    person.session.open_experiment(two_moons("adam"))
    person.sees("ready")
    person.presses(Qt.Key.Key_O, CONTROL)
    person.until(lambda: person.session.generation >= 3)
    assert person.session.experiment == saved
    assert [shown.label for shown in person.session.runs] == ["Heavy ball", "Newton"]


def test_a_file_that_cannot_be_opened_leaves_all_as_it_was(sit_at, two_moons, tmp_path):
    person = sit_at(two_moons())
    path = tmp_path / "broken.toml"
    path.write_text("steps = 'many'")
    person.window.open_experiment(path)
    (strip,) = person.strips
    assert str(path) in strip.notice.message
    assert person.session.generation == 1 and person.session.state == "ready"


def test_an_error_in_a_run_is_shown_with_its_details_one_click_away(sit_at, two_moons, monkeypatch):
    from PySide6.QtWidgets import QDialog, QPlainTextEdit

    from ngexplorer.optimizers import Stepper

    step = Stepper.step

    def breaks(self, *arguments):
        if self.optimizer.name == "newton" and self.damping < 0.5:
            raise RuntimeError("a matrix is missing")
        return step(self, *arguments)

    monkeypatch.setattr(Stepper, "step", breaks)
    person = sit_at(two_moons("newton", "adam", steps=8))
    person.presses(SPACE)
    person.sees("finished")
    assert person.words == ["failed", "finished"]
    (strip,) = person.strips
    assert strip.isVisible() and "Newton failed" in strip.notice.message
    person.clicks(strip.details)
    (dialog,) = person.window.findChildren(QDialog)
    assert "a matrix is missing" in dialog.findChild(QPlainTextEdit).toPlainText()
    assert "Traceback" in dialog.findChild(QPlainTextEdit).toPlainText()
    QTest.keyClick(dialog, ESCAPE)
    assert not dialog.isVisible()
    person.clicks(strip.close_button)
    assert not person.strips and not person.window.notices.isVisible()


def test_a_run_that_diverges_says_at_which_step(sit_at, valley):
    person = sit_at(valley(Contender(optimizer=make("gradient-descent", learning_rate=1.0)), "newton", steps=12))
    person.presses(SPACE)
    person.sees("finished")
    k = person.session.runs[0].run.step + 1
    assert person.words == [f"diverged at step {k}", "finished"]
    (strip,) = person.strips
    assert f"diverged at step {k}" in strip.notice.message


def test_beside_a_diverged_run_the_others_can_still_be_seen(sit_at, valley):
    person = sit_at(valley(Contender(optimizer=make("gradient-descent", learning_rate=1.0)), "newton", steps=12))
    person.presses(SPACE)
    person.sees("finished")
    diverged, newton = person.session.runs
    assert person.session.measures == [newton]
    person.draws_all()
    (_, _), (low, high) = person.window.curves.frame.view.viewRange()
    assert 10**high < max(diverged.history["loss"]), "the diverged run leaves the picture"
    assert 10**low <= newton.history["loss"][-1] <= newton.history["loss"][0] <= 10**high


def test_beside_a_run_that_went_astray_the_others_can_still_be_seen(sit_at, two_moons):
    """It stands at 84,000 to the end, where it started at less than one: no divergence, and of no use to anyone."""
    far = Contender(optimizer=make("gradient-descent", learning_rate=1e6))
    person = sit_at(two_moons(far, "natural-gradient", steps=12))
    assert len(person.session.measures) == 2
    person.presses(SPACE)
    person.sees("finished")
    astray, natural = person.session.runs
    assert person.words == ["finished", "finished"] and astray.history["loss"][-1] > 1e4
    assert person.session.measures == [natural]
    person.draws_all()
    window = person.window
    (_, _), (low, high) = window.curves.frame.view.viewRange()
    assert 10**low <= natural.history["loss"][-1] <= natural.history["loss"][0] <= 10**high < 1e4
    (left, right), _ = window.trajectory.frame.view.viewRange()
    assert right - left < 1e3, "the path that is near fills the picture"
    window.session.set_hidden(1, True)
    assert window.session.measures == [astray], "alone it is seen whole"


def test_a_race_whose_every_run_fails_at_the_start_has_nothing_left_to_compute(sit_at, two_moons, monkeypatch):
    monkeypatch.setattr("ngexplorer.optimizers.Optimizer.start", lambda *_: 1 / 0)
    person = sit_at(two_moons("newton"))
    assert person.words == ["failed"] and person.strips
    assert person.window.trajectory.settled


@pytest.mark.parametrize("height", [1e-90, 1.0, 1e308])
def test_a_loss_beyond_all_bounds_is_drawn_without_overflow(height):
    losses = np.array([24.0, 1e20, 1e226, 1.7e308])
    with np.errstate(all="raise"):
        pieces = clipped(np.arange(4.0), losses, QRectF(0.0, 0.0, 10.0, height))
    assert all(np.isfinite(x).all() and np.isfinite(y).all() for x, y in pieces)


def test_a_reset_is_answered_after_a_race_in_which_one_run_diverged(sit_at, valley):
    person = sit_at(valley(Contender(optimizer=make("gradient-descent", learning_rate=1.0)), "newton", steps=12))
    for generation in (2, 3, 4):
        person.presses(SPACE)
        person.sees("finished")
        assert max(person.session.runs[0].history["loss"]) > 1e10
        person.draws_all()
        person.clicks(person.window.curves.log)
        person.window.settle()
        person.window.grab()
        person.presses(Qt.Key.Key_R, CONTROL)
        person.until(lambda generation=generation: person.session.generation == generation)
        person.sees("ready")
    assert all("diverged at step" in notice.message for notice in person.notices), person.notices

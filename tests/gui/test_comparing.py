"""Comparing runs: a copy with one thing changed, the table and its target, settings side by side, what is exported."""

import csv

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from ngexplorer.gui.panels.comparison import Comparison
from ngexplorer.gui.panels.export import Export
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.runs.history import COLUMNS

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
Key = Qt.Key
LEFT = Qt.MouseButton.LeftButton


def click_row(person, *places, modifier=Qt.KeyboardModifier.NoModifier):
    table = person.window.table
    index = table.runs.index(places[0], 0)
    for place in places[1:]:
        index = table.runs.index(place, 0, index)
    QCoreApplication.processEvents()
    table.scrollTo(index)
    QTest.mouseClick(table.viewport(), LEFT, modifier, table.visualRect(index).center())


def row(person, place):
    person.window.table.pull()
    return person.window.table.runs.texts[place]


def test_a_copy_is_made_from_the_table_and_named_by_what_is_changed_in_it(sit_at, two_moons):
    person = sit_at(two_moons("adam", "natural-gradient", steps=6))
    window = person.window
    assert "Highlight one run" in window.actions_["duplicate"].toolTip()
    click_row(person, 1)
    assert person.session.highlighted == {1}
    person.presses(Key.Key_D, CONTROL)
    person.until(lambda: person.card(2).form is not None and window.focusWidget() is not window.table)
    person.types(person.field("Initial", card=2).editor, "0.25")
    person.rests()
    assert [shown.label for shown in person.session.runs] == [
        "Adam",
        "Natural gradient",
        "Natural gradient, damping 0.25",
    ]
    assert len({shown.colour for shown in person.session.runs}) == 3
    person.presses(Key.Key_Z, CONTROL)
    person.presses(Key.Key_Z, CONTROL)
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Adam", "Natural gradient"]


def test_an_optimizer_starts_over_from_another_recipe_in_its_place(sit_at, two_moons):
    person = sit_at(two_moons("adam", "newton"))
    colour = person.session.runs[0].colour
    more = person.card(0).findChildren(type(person.card(0).colour))[2]
    (over,) = [action.menu() for action in more.menu().actions() if action.text() == "Start over from"]
    next(action for action in over.actions() if action.text() == "K-FAC").trigger()
    QCoreApplication.processEvents()
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["K-FAC", "Newton"]
    assert person.session.runs[0].run.optimizer.name == "kfac"
    assert person.session.runs[1].colour != colour, "no other run takes its colour"
    assert person.card(0).form is not None, "its settings stand open"


def test_the_settings_in_which_two_runs_differ_are_shown_and_copied(sit_at, two_moons):
    person = sit_at(two_moons("natural-gradient", "newton", "natural-gradient"))
    click_row(person, 0)
    assert "Highlight two runs" in person.window.actions_["settings"].toolTip()
    click_row(person, 1, modifier=CONTROL)
    person.presses(Key.Key_D, CONTROL | SHIFT)
    (dialog,) = person.window.findChildren(Comparison)
    assert dialog.heads == ["Setting", "Natural gradient", "Newton"]
    assert ["Curvature", "fisher", "hessian"] in dialog.rows
    dialog.copy()
    assert "Setting\tNatural gradient\tNewton\nCurvature\tfisher\thessian\n" in QGuiApplication.clipboard().text()
    QTest.keyClick(dialog, Key.Key_Escape)
    click_row(person, 0)
    click_row(person, 2, modifier=CONTROL)
    person.window.actions_["settings"].trigger()
    alike = person.window.findChildren(Comparison)[-1]
    assert alike.rows == [] and not alike.table.isVisible()
    alike.reject()
    click_row(person, 0)
    click_row(person, 0)
    assert not person.session.highlighted, "a second click lets all be alike"
    person.until(lambda: not person.window.findChildren(Comparison))


def test_the_table_says_when_each_run_came_to_a_target(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton", steps=20))
    person.session.toggle()
    person.sees("finished")
    window, entry = person.window, person.window.target.entry
    newton = person.session.runs[1].history
    target = float(newton["loss"][7])
    assert window.table.isColumnHidden(8)
    person.presses(Key.Key_G, CONTROL)
    assert entry.hasFocus()
    QTest.keyClicks(entry, repr(target))
    QTest.keyClick(entry, Key.Key_Return)
    assert not window.table.isColumnHidden(8) and not window.table.isColumnHidden(10)
    at = int(np.flatnonzero(newton["loss"] <= target)[0])
    told = [f"{at}", compact(newton["seconds"][at]), compact(newton["gradient_equivalents"][at])]
    assert row(person, 1)[8:] == told
    person.session.set_time(at - 1)
    assert row(person, 1)[8:] == ["–"] * 3, "at that time it had not come there"
    person.session.set_time(None)

    window.table.setFocus()
    person.presses(Key.Key_C, CONTROL)
    lines = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    assert lines[0][:4] == ["Run", "State", "Step", "Loss"] and lines[0][8] == f"Steps to {target:g}"
    assert [line[0] for line in lines[1:]] == ["Heavy ball", "Newton"] and lines[2][8:] == told
    for text, invalid in (("soon", True), ("", False)):
        person.types(entry, text or "x\b")
        assert bool(entry.property("invalid")) == invalid
    assert window.table.isColumnHidden(8), "without a target there are no columns for it"


def test_a_group_of_seeds_is_a_row_that_unfolds(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton", seeds=3, steps=6))
    person.session.toggle()
    person.sees("finished")
    table, model = person.window.table, person.window.table.runs
    losses = [shown.history["loss"][-1] for shown in person.session.runs[3:]]
    assert [texts[0] for texts in model.texts] == ["Heavy ball · 3 seeds", "Newton · 3 seeds"]
    assert row(person, 1)[3] == compact(float(np.median(losses))) and row(person, 1)[1] == "finished"
    assert "quartiles" in model.data(model.index(1, 3), Qt.ItemDataRole.ToolTipRole)
    table.setFocus()
    table.setCurrentIndex(model.index(1, 0))
    assert person.session.highlighted == {3, 4, 5}, "all its seeds stand out"
    before = table.maximumHeight()
    person.presses(Key.Key_Right)
    assert table.isExpanded(model.index(1, 0)) and table.maximumHeight() == before + 3 * 22
    click_row(person, 1, 2)
    assert person.session.highlighted == {5}
    looked_at = [choice.number for choice in person.window.findChildren(RunChoice)]
    assert set(looked_at) == {5}
    assert [entry.label for entry in person.window.spectrum.entries] == ["Newton"], "a picture names it once"
    parent = model.index(1, 0)
    assert [model.data(model.index(i, 0, parent)) for i in range(3)] == ["seed 0", "seed 1", "seed 2"]
    assert [model.data(model.index(i, 3, parent)) for i in range(3)] == [compact(float(loss)) for loss in losses]
    person.window.settle()
    strong = [line for line in person.window.curves.lines.shown if line.pen.color().alphaF() == 1.0]
    assert len(strong) == 1 and strong[0].y[-1] == pytest.approx(np.log10(losses[2])), "that seed over its band"


def test_seeds_are_listed_in_the_set_up_as_they_are_in_a_file(sit_at, two_moons, tmp_path, monkeypatch):
    person = sit_at(two_moons("heavy-ball", "newton", steps=4))
    field = person.field("Seeds")
    assert "a list" in field.editor.toolTip()
    for typed, said in (
        ("3, -5", "-5 is not accepted; a whole number ≥ 0 is needed"),
        ("3, 5, 3", "3 stands there twice; each seed is needed once"),
        (",", "[] is not accepted; a list of length ≥ 1 is needed"),
        ("several", "'several' is not accepted; a whole number or a list is needed"),
    ):
        person.types(field.editor, typed)
        assert (field.message.text(), field.editor.property("invalid")) == (said, True)
    person.types(field.editor, "7,")
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Heavy ball", "Newton"]
    assert person.session.runs[0].history.seed == 7 and field.editor.text() == "7,"
    person.types(field.editor, "8, 3, 5")
    person.rests()
    assert not field.message.isVisible() and person.session.experiment.seeds == (8, 3, 5)
    person.session.toggle()
    person.sees("finished")
    assert [shown.label for shown in person.session.runs[:3]] == [f"Heavy ball, seed {seed}" for seed in (8, 3, 5)]
    model = person.window.table.runs
    assert row(person, 0)[0] == "Heavy ball · 3 seeds"
    assert [model.data(model.index(i, 0, model.index(1, 0))) for i in range(3)] == ["seed 8", "seed 3", "seed 5"]
    person.window.settle()
    bands = [line for line in person.window.curves.lines.shown if line.band is not None]
    losses = [shown.history["loss"][-1] for shown in person.session.runs[3:]]
    assert len(bands) == 2 and 10 ** bands[1].y[-1] == pytest.approx(np.median(losses))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "seeds.csv"), ""))
    person.presses(Key.Key_E, CONTROL)
    (export,) = person.window.findChildren(Export)
    QTest.keyClick(export, Key.Key_Return)
    with open(tmp_path / "seeds.csv", newline="", encoding="utf-8") as file:
        assert list(dict.fromkeys(written["seed"] for written in csv.DictReader(file))) == ["8", "3", "5"]


def test_what_is_exported_is_chosen(sit_at, two_moons, tmp_path, monkeypatch):
    person = sit_at(two_moons("heavy-ball", "newton", "adam", steps=12))
    person.session.toggle()
    person.sees("finished")
    window = person.window
    window.settle()
    path = tmp_path / "some.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
    frame = window.curves.frame
    frame.view.setRange(xRange=(2.5, 6.2), padding=0)
    frame.view.sigRangeChangedManually.emit([True, False])
    person.presses(Key.Key_E, CONTROL)
    (dialog,) = window.findChildren(Export)
    assert dialog.amount.text() == f"39 rows of {3 + len(COLUMNS)} columns" and dialog.go.isEnabled()
    dialog.runs.items[0].setCheckState(Qt.CheckState.Unchecked)
    none, loss = dialog.columns.findChildren(type(dialog.go))[1], dialog.columns.items[3]
    QTest.mouseClick(none, LEFT)
    assert not dialog.go.isEnabled(), "there is nothing left to write"
    for item in (dialog.columns.items[0], loss):
        item.setCheckState(Qt.CheckState.Checked)
    dialog.some_steps.setFocus()
    QTest.keyClick(dialog.some_steps, Key.Key_Space)
    assert dialog.some_steps.text().endswith("steps 3 to 6") and dialog.amount.text() == "8 rows of 5 columns"
    QTest.keyClick(dialog, Key.Key_Return)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["run", "optimizer", "seed", "step", "loss"]
    assert [(r["run"], r["step"]) for r in rows] == [(run, str(k)) for run in ("Newton", "Adam") for k in range(3, 7)]
    assert person.notices[-1].message == f"Exported 8 rows to {path}"

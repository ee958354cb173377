"""Six journeys through the window, each from its beginning to its end, by what a person does and then sees."""

import csv
from contextlib import contextmanager

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLineEdit

from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.palette import Palette
from ngexplorer.gui.panels.comparison import Comparison
from ngexplorer.gui.panels.export import Export
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.session import Session
from ngexplorer.optimizers import make
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Contender

CONTROL, SHIFT, ALT = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)
Key = Qt.Key


@pytest.fixture
def file_named(monkeypatch):
    """What a person answers when asked for a file."""

    def answer(path):
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *_, **__: (str(path), ""))

    return answer


def is_back(person):
    """The window has the keys again once a dialog is gone: off-screen no window manager sees to it."""
    person.until(lambda: not any(dialog.isVisible() for dialog in person.window.findChildren(QDialog)))
    person.window.activateWindow()
    person.until(person.window.isActiveWindow)


def finds(person, letters):
    """Open the command palette, type, and press Enter."""
    person.presses(Key.Key_P, CONTROL | SHIFT)
    (palette,) = person.window.findChildren(Palette)
    person.until(lambda: palette.line.hasFocus())
    QTest.keyClicks(palette.line, letters)
    QTest.keyClick(palette.line, Key.Key_Return)
    is_back(person)


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def points_at(person, frame, step):
    """Move the pointer over a step of a plot."""
    view = frame.view
    low, high = view.viewRange()[1]
    at = frame.mapFromScene(view.mapViewToScene(QPointF(step, (low + high) / 2)))
    QTest.mouseMove(frame.viewport(), at)
    where = QPointF(at), QPointF(frame.viewport().mapToGlobal(at))
    none = Qt.MouseButton.NoButton
    QCoreApplication.sendEvent(
        frame.viewport(), QMouseEvent(QEvent.Type.MouseMove, *where, none, none, Qt.KeyboardModifier.NoModifier)
    )


def test_the_first_minute_open_run_read_scrub_back_export(sit_at, two_moons, tmp_path, file_named):
    person = sit_at(two_moons())
    window, session = person.window, person.session
    path = tmp_path / "mine.toml"
    experiments.write(two_moons("heavy-ball", "newton", steps=20), path)
    file_named(path)
    person.presses(Key.Key_O, CONTROL)
    person.until(lambda: session.generation == 2)
    person.sees("ready")
    assert "mine.toml" in window.title.text()
    person.clicks(window.buttons["race"])
    person.sees("finished")
    window.settle()

    points_at(person, window.curves.frame, 12)
    words = window.curves.readout.texts()
    assert window.curves.readout.isVisible() and words[0] == "step 12"
    loss = session.runs[1].history["loss"]
    assert words[words.index("Newton") + 1] == compact(float(loss[12]))

    slider = window.timeline.slider
    start, end = (QPoint(round(slider.place(step)), slider.height() // 2) for step in (20, 5))
    QTest.mousePress(slider, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(slider, (start + end) / 2)
    QTest.mouseMove(slider, end)
    QTest.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=end)
    assert session.time == pytest.approx(5, abs=1)
    window.settle()
    assert window.timeline.label.text() == f"step {session.time}"
    assert window.table.runs.texts[1][3] == compact(float(loss[session.time]))
    # The plane of the paths may just be fitted anew, which the title says first.
    person.until(lambda: (window.settle(), f"step {session.time}" in window.trajectory.subtitle.text())[1])

    file_named(tmp_path / "runs.csv")
    person.presses(Key.Key_E, CONTROL)
    (dialog,) = window.findChildren(Export)
    person.clicks(dialog.go)
    assert [float(r["loss"]) for r in rows_of(tmp_path / "runs.csv") if r["run"] == "Newton"] == list(loss)
    assert "Exported 42 rows" in person.strips[-1].notice.message


def test_the_learning_rate_of_a_running_adam_and_the_damping_of_a_running_natural_gradient(sit_at, two_moons):
    slow = make("natural-gradient", damping={"name": "constant", "value": 1.0})
    person = sit_at(two_moons("adam", slow, steps=1_000_000))
    window, session = person.window, person.session
    before = session.runs[0].run.optimizer.learning_rate
    person.presses(Key.Key_Space)
    person.until(lambda: session.latest > 5)
    person.opens_card(0)
    person.types(person.field("Learning rate", card=0).editor, "0.002")
    adam, natural = (shown.history for shown in session.runs)
    person.until(lambda: len(adam.events) == 1 and len(adam) > adam.events[0].step + 4)
    person.opens_card(1)
    person.types(person.field("Value", card=1).editor, "0.01")
    person.until(lambda: len(natural.events) == 1 and len(natural) > natural.events[0].step + 4)
    person.presses(Key.Key_Escape)
    person.sees("stopped")
    assert session.generation == 1, "the race went on with the new values"

    at = adam.events[0].step
    assert set(adam["learning_rate"][1 : at + 1]) == {before} and set(adam["learning_rate"][at + 1 :]) == {0.002}
    later = natural.events[0].step
    assert set(natural["damping"][1 : later + 1]) == {1.0} and set(natural["damping"][later + 1 :]) == {0.01}

    window.settle()
    assert [(mark.step, mark.kind) for mark in window.timeline.slider.marks] == [(at, "edit"), (later, "edit")]
    person.presses(Key.Key_Left, ALT)
    assert session.time == later
    assert "Natural gradient: damping.value = 0.01, was 1.0" in window.statusBar().currentMessage()
    person.presses(Key.Key_Left, ALT)
    assert session.time == at and f"Adam: learning_rate = 0.002, was {before}" in window.statusBar().currentMessage()
    person.chooses(window.curves.panels[0].choice, "Learning rate")
    window.settle()
    (line,) = [line for line in window.curves.lines.shown if np.isclose(np.nanmin(line.y), 0.002)][-1:]
    assert np.nanmax(line.y) <= before, "the curve of the learning rate has the step in it"


def test_two_damping_rules_are_compared_over_five_seeds(sit_at, two_moons, tmp_path, file_named):
    person = sit_at(two_moons("natural-gradient", steps=10))
    window, session = person.window, person.session
    person.types(person.field("Seeds").editor, "5")
    person.rests()
    table = window.table
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(table.runs.index(0, 0)).center())
    person.presses(Key.Key_D, CONTROL)
    person.until(lambda: person.card(1).form is not None)
    damping = next(c for c in person.card(1).findChildren(Choice) if c.accessibleName() == "Damping")
    person.chooses(damping, "Constant")
    QCoreApplication.processEvents()
    person.types(person.field("Value", card=1).editor, "0.05")
    person.rests()
    labels = ["Natural gradient", "Natural gradient, damping constant 0.05"]
    assert [family.label for family in session.families] == labels
    person.presses(Key.Key_Space)
    person.sees("finished")
    window.settle()
    assert len([line for line in window.curves.lines.shown if line.band is not None]) == 2
    assert "median and quartiles of 5 seeds" in window.curves.subtitle.text()

    medians = [np.median([shown.history["loss"][-1] for shown in family.members]) for family in session.families]
    assert [texts[3] for texts in table.runs.texts] == [compact(float(m)) for m in medians]
    person.presses(Key.Key_G, CONTROL)
    person.types(window.target.entry, f"{max(medians):.6g}")
    assert all(texts[8] != "–" for texts in table.runs.texts) or "of 5" in table.runs.texts[0][8]

    for place, how in ((0, Qt.KeyboardModifier.NoModifier), (1, CONTROL)):
        index = table.runs.index(place, 0)
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, how, table.visualRect(index).center())
    person.presses(Key.Key_D, CONTROL | SHIFT)
    (dialog,) = window.findChildren(Comparison)
    assert dialog.rows == [["Damping", "levenberg marquardt", "constant"]]
    dialog.reject()
    is_back(person)

    file_named(tmp_path / "seeds.csv")
    person.presses(Key.Key_E, CONTROL)
    (export,) = window.findChildren(Export)
    QTest.keyClick(export, Key.Key_Return)
    rows = rows_of(tmp_path / "seeds.csv")
    assert {(r["run"], r["seed"]) for r in rows} == {(label, str(seed)) for label in labels for seed in range(5)}
    assert len(rows) == 2 * 5 * 11


def test_what_breaks_is_said_in_words_one_can_act_on(sit_at, valley, tmp_path, file_named):
    person = sit_at(valley(Contender(optimizer=make("gradient-descent", learning_rate=1.0)), "newton", steps=12))
    window, session = person.window, person.session
    person.presses(Key.Key_Space)
    person.sees("finished")
    k = session.runs[0].run.step + 1
    assert person.words == [f"diverged at step {k}", "finished"]
    assert person.strips[-1].notice.message.startswith(f"Gradient descent diverged at step {k}: the loss became")
    assert window.table.runs.texts[1][3] == compact(float(session.runs[1].history["loss"][-1])), "the other went on"

    bad = tmp_path / "bad.toml"
    bad.write_text("[data]\nname = 'digitz'\n[model]\nname = 'mlp'\n[loss]\nname = 'squared-error'\n")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(bad))])
    how = Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QCoreApplication.sendEvent(window, QDragEnterEvent(QPoint(50, 50), *how))
    QCoreApplication.sendEvent(window, QDropEvent(QPointF(50, 50), *how))
    said = person.strips[-1].notice.message
    assert said.startswith(str(bad)) and "\n" not in said and len(person.strips) == 2
    assert session.generation == 1, "what was there stays"

    (tmp_path / "a file").write_text("")
    folder = tmp_path / "a file"  # no folder, so nothing can be written in it, by whomever
    file_named(folder / "runs.csv")
    person.presses(Key.Key_E, CONTROL)
    (dialog,) = window.findChildren(Export)
    QTest.keyClick(dialog, Key.Key_Return)
    assert str(folder) in person.strips[-1].notice.message and person.strips[-1].notice.error
    assert not window.curves.save(folder / "plot.png")
    assert "plot.png" in person.strips[-1].notice.message

    person.presses(Key.Key_R, CONTROL)
    person.until(lambda: session.generation == 2)
    person.sees("ready")
    assert not any("diverged" in strip.notice.message for strip in person.strips), "that race is gone"


@contextmanager
def a_full_disk():
    """No file can be written any further: what a disk without room does, on every system with such a limit."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_costs_no_file_that_was_there(sit_at, two_moons, tmp_path, file_named):
    person = sit_at(two_moons("newton", steps=6))
    window = person.window
    person.presses(Key.Key_Space)
    person.sees("finished")
    window.settle()
    names = ("runs.csv", "mine.toml", "plot.png", "plot.svg")
    for name in names:
        (tmp_path / name).write_text("what was there")
    file_named(tmp_path / "runs.csv")
    person.presses(Key.Key_E, CONTROL)
    (dialog,) = window.findChildren(Export)
    with a_full_disk():
        QTest.keyClick(dialog, Key.Key_Return)
        file_named(tmp_path / "mine.toml")
        is_back(person)
        person.presses(Key.Key_S, CONTROL | SHIFT)
        assert not window.curves.save(tmp_path / "plot.png") and not window.curves.save(tmp_path / "plot.svg")
    for name, strip in zip(names, person.strips, strict=True):
        assert strip.notice.error and strip.notice.message == f"cannot write {tmp_path / name}: File too large"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names), "nothing unfinished is left"
    assert {path.read_text() for path in tmp_path.iterdir()} == {"what was there"}


@pytest.fixture
def at_home(qapp, tmp_path, two_moons):
    """A window that remembers, opened again and again."""
    opened = []

    def leave():
        for window in opened:
            window.close()
            window.session.wait(30_000)
            application._take_down(window)
        opened.clear()

    def open_window(theme=themes.DARK):
        leave()
        window = MainWindow(Session(two_moons("adam", "newton"), theme), Preferences(tmp_path / "window.ini"))
        opened.append(window)
        window.show()
        for _ in range(3):
            QCoreApplication.processEvents()
        return window

    yield open_window
    leave()


def test_what_was_arranged_and_closed_is_there_when_reopened(at_home):
    first = at_home()
    first.resize(1024, 700)
    QTest.keyClick(first, Key.Key_2, CONTROL | ALT)  # side by side
    QTest.mouseClick(first.arrangement.plots.panels[1].close_button, Qt.MouseButton.LeftButton)
    QTest.keyClick(first, Key.Key_T, CONTROL)
    for _ in range(3):
        QCoreApplication.processEvents()
    assert first.session.theme is themes.LIGHT

    def picture(window):
        panels = window.arrangement.panels
        seen = [panel for panel in panels if panel.isVisible() and not panel.visibleRegion().isEmpty()]
        return {panel.objectName(): panel.geometry() for panel in seen}

    before, size = picture(first), first.size()
    again = at_home(themes.LIGHT)
    after = picture(again)
    assert after.keys() == before.keys() and {"setup", "trajectory", "runs"} < after.keys() and "curves" not in after
    for name, now in after.items():
        was = before[name]
        far = (was.topLeft() - now.topLeft(), was.bottomRight() - now.bottomRight())
        assert max(corner.manhattanLength() for corner in far) <= 8, f"{name}: {was} is now {now}"
    assert again.actions_["light"].isChecked() and again.size() == size


def heads(panel):
    """Where a person takes hold of a panel."""
    return panel.titleBarWidget(), QPoint(6, 5)


def test_detached_panels_tabs_and_drawn_boundaries_are_there_when_reopened(at_home):
    first = at_home()
    first.resize(1024, 740)
    arrangement = first.arrangement
    trajectory, _, spectrum = arrangement.plots.panels[:3]
    head, place = heads(spectrum)
    QTest.mouseDClick(head, Qt.MouseButton.LeftButton, pos=place)
    assert spectrum.isFloating()
    spectrum.setGeometry(260, 240, 520, 330)
    arrangement.plots.tabifyDockWidget(trajectory, arrangement.plots.panels[1])
    QTest.mouseClick(arrangement.setup.close_button, Qt.MouseButton.LeftButton)
    for _ in range(3):
        QCoreApplication.processEvents()
    tabs = [trajectory, *arrangement.plots.tabifiedDockWidgets(trajectory)]
    (front,) = (panel for panel in tabs if not panel.visibleRegion().isEmpty())
    places = {panel.objectName(): panel.geometry() for panel in (front, spectrum, arrangement.runs)}
    again = at_home().arrangement
    trajectory, curves, spectrum = again.plots.panels[:3]
    assert curves in again.plots.tabifiedDockWidgets(trajectory) and again.setup.isHidden()
    assert spectrum.isFloating() and spectrum.isVisible()
    found = {panel.objectName(): panel for panel in again.panels if not panel.visibleRegion().isEmpty()}
    for name, was in places.items():
        now = found[name].geometry()
        far = (was.topLeft() - now.topLeft(), was.bottomRight() - now.bottomRight())
        assert max(corner.manhattanLength() for corner in far) <= 8, f"{name}: {was} is now {now}"


def test_on_a_smaller_screen_all_that_was_arranged_is_on_it_and_whole(at_home):
    first = at_home()
    first.resize(1600, 1000)  # the screen is of 800 × 800
    for _ in range(3):
        QCoreApplication.processEvents()
    anatomy = first.arrangement.explanations[0]
    first.actions_["panel-step anatomy"].trigger() if anatomy.isHidden() else None
    curves = first.arrangement.plots.panels[1]
    head, place = heads(curves)
    QTest.mouseDClick(head, Qt.MouseButton.LeftButton, pos=place)
    curves.setGeometry(700, 600, 1200, 900)
    for _ in range(3):
        QCoreApplication.processEvents()
    window = at_home()
    screen = window.screen().availableGeometry()
    assert screen.contains(window.geometry().topLeft()) and window.width() == 1024, "the least that it can be"
    assert screen.contains(window.arrangement.plots.panels[1].geometry()), "all of what was detached"
    for panel in window.arrangement.panels:
        if panel.visibleRegion().isEmpty() or panel.isFloating():
            continue
        inside = panel.parentWidget().rect()
        assert inside.contains(panel.geometry()), f"{panel.objectName()} is cut off"
        assert panel.widget().width() > 200


def test_the_table_is_as_high_as_its_rows_again_unless_a_person_chose_a_height(at_home):
    first = at_home()
    first.resize(1280, 800)
    for _ in range(3):
        QCoreApplication.processEvents()
    whole = first.table.height()
    again = at_home()
    again.resize(1280, 800)
    for _ in range(3):
        QCoreApplication.processEvents()
    assert again.table.height() == whole and not again.arrangement.rows_chosen
    again.arrangement.rows_chosen = True
    assert at_home().arrangement.rows_chosen


def test_all_of_it_goes_with_the_keyboard_alone(sit_at, two_moons, tmp_path, file_named):
    person = sit_at(two_moons("adam", "natural-gradient", steps=15))
    window, session = person.window, person.session

    def key(which, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(QApplication.focusWidget() or window, which, modifier)
        QCoreApplication.processEvents()

    def walks_to(found, by=Key.Key_Tab):
        """Press Tab until the keyboard is there."""
        for _ in range(120):
            focused = QApplication.focusWidget()
            if focused is not None and found(focused):
                return focused
            key(by)
        raise AssertionError("the keyboard never comes there")

    # First minute: run, read, scrub back, export.
    key(Key.Key_Space)
    person.sees("finished")
    window.settle()
    walks_to(lambda widget: widget is window.curves.frame or window.curves.frame.isAncestorOf(widget))
    for _ in range(3):
        key(Key.Key_Right)
    words = window.curves.readout.texts()
    step = int(words[0].removeprefix("step "))
    assert window.curves.readout.isVisible()
    assert words[words.index("Adam") + 1] == compact(float(session.runs[0].history["loss"][step]))
    walks_to(lambda widget: widget is window.timeline.slider)
    for _ in range(4):
        key(Key.Key_Left)
    assert session.time == 11
    file_named(tmp_path / "keys.csv")
    key(Key.Key_E, CONTROL)
    (dialog,) = window.findChildren(Export)
    QTest.keyClick(dialog.focusWidget() or dialog, Key.Key_Return)
    assert len(rows_of(tmp_path / "keys.csv")) == 32
    is_back(person)

    # Change a setting of a running Adam.
    finds(person, "race reset")
    person.until(lambda: session.generation == 2)
    person.sees("ready")
    steps = walks_to(lambda w: isinstance(w, QLineEdit) and w.accessibleName() == "Steps")
    steps.selectAll()
    QTest.keyClicks(steps, "1000000")
    key(Key.Key_Return)
    person.rests()
    walks_to(lambda widget: widget is person.card(0).fold)
    key(Key.Key_Space)
    rate = walks_to(lambda w: isinstance(w, QLineEdit) and w.accessibleName() == "Learning rate")
    finds(person, "race race")
    person.until(lambda: session.latest > 3)
    rate.setFocus(Qt.FocusReason.TabFocusReason)
    rate.selectAll()
    QTest.keyClicks(rate, "0.5")
    key(Key.Key_Return)
    person.until(lambda: len(session.runs[0].history.events) == 1)
    key(Key.Key_Escape)
    person.sees("stopped")

    # Compare: a copy with another damping, settings side by side.
    window.settle()
    walks_to(lambda widget: widget is window.table)
    key(Key.Key_Down) if not session.highlighted else None
    while session.highlighted != {1}:
        key(Key.Key_Down)
    key(Key.Key_D, CONTROL)
    person.until(lambda: person.card(2).form is not None and isinstance(window.focusWidget(), QLineEdit))
    editor = window.focusWidget()
    assert editor.accessibleName() == "Learning rate"
    editor.selectAll()
    QTest.keyClicks(editor, "0.75")
    key(Key.Key_Return)
    assert session.experiment.labels()[2] == "Natural gradient, learning rate 0.75"
    key(Key.Key_R, CONTROL)
    person.until(lambda: session.generation == 4)
    person.sees("ready")
    walks_to(lambda widget: widget is window.table)
    while session.highlighted != {1}:
        key(Key.Key_Down)
    key(Key.Key_Down, SHIFT)
    assert session.highlighted == {1, 2}
    key(Key.Key_D, CONTROL | SHIFT)
    (comparison,) = window.findChildren(Comparison)
    assert comparison.rows == [["Learning rate", "1", "0.75"]]
    QTest.keyClick(comparison, Key.Key_Escape)
    is_back(person)

    # Arrange, and put back.
    key(Key.Key_3, CONTROL | ALT)
    assert len([v for v in window.views if not v.visibleRegion().isEmpty()]) == 1, "as tabs"
    key(Key.Key_0, CONTROL | ALT)
    key(Key.Key_F6)
    assert window.focusWidget() is not None

    # Break something, read it, and put it away.
    rest = tmp_path / "bad.toml"
    rest.write_text("steps = 'many'")
    file_named(rest)
    key(Key.Key_O, CONTROL)
    assert str(rest) in person.strips[-1].notice.message
    strip = person.strips[-1]
    walks_to(lambda widget: widget is strip.close_button)
    key(Key.Key_Space)
    assert strip not in person.strips

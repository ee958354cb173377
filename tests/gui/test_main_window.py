"""The window as a whole: closing it, its frames, its size, and that no error is lost."""

import sys
import threading
from time import perf_counter

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QPoint, QPointF, QRect, Qt, QTimer
from PySide6.QtGui import QHelpEvent, QMouseEvent, QScreen
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLabel,
    QStyle,
    QStyleOptionComboBox,
    QTabBar,
    QToolTip,
    QWidget,
)

from ngexplorer.gui import application
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.plots import lines
from ngexplorer.gui.plots.stage import BUDGET
from ngexplorer.gui.plots.view import LEAST
from ngexplorer.gui.session import Notice
from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.optimizers import Stepper, make
from ngexplorer.runs.experiment import Contender


def test_closing_while_runs_are_busy_leaves_no_thread(sit_at, two_moons):
    person = sit_at(two_moons("adam", "newton", steps=1_000_000))
    person.session.toggle()
    person.until(lambda: person.session.latest > 5)
    person.window.close()
    assert person.racer.isFinished() and person.session.analyst.isFinished()


def test_closing_in_a_long_conjugate_gradient_does_not_wait_for_its_end(sit_at, long_steps):
    person = sit_at(long_steps)
    person.session.toggle()
    person.until(lambda: person.session.runs[0].run.state == "running")
    began = perf_counter()
    person.window.close()
    assert perf_counter() - began < 5, "a step takes longer than that"
    assert person.racer.isFinished() and person.session.race.runs[0].step == 0


def test_closing_while_data_load_waits_and_says_what_for(sit_at, two_moons, monkeypatch):
    loading = threading.Event()
    load, go_on = TwoMoons.load, threading.Event()

    def slow(self):
        loading.set()
        assert go_on.wait(30)
        return load(self)

    monkeypatch.setattr(TwoMoons, "load", slow)
    person = sit_at(two_moons(), wait=None)
    person.until(loading.is_set)
    threading.Timer(0.5, go_on.set).start()
    person.window.close()
    assert person.window.state_label.text() == "closing after this step…"
    assert person.racer.isFinished() and person.session.analyst.isFinished()


def test_closing_at_once_is_clean(sit_at, two_moons):
    person = sit_at(two_moons(), wait=None)
    person.window.close()
    assert person.racer.isFinished()


def test_a_stop_that_has_to_wait_says_so(sit_at, two_moons, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    step = Stepper.step

    def factorizes(self, *arguments):
        inside.set()
        assert go_on.wait(30)
        return step(self, *arguments)

    person = sit_at(two_moons("newton", steps=100))
    monkeypatch.setattr(Stepper, "step", factorizes)
    person.session.toggle()
    person.until(inside.is_set)
    person.sees("running")
    person.window.race_actions["stop"].trigger()
    person.until(lambda: person.window.state_label.text() == "stopping after this step…")
    go_on.set()
    person.sees("stopped")
    person.until(lambda: person.window.state_label.text() == "stopped")


def test_calls_of_qt_lose_no_reference_to_none(qapp):
    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(10_000):
        thing.setObjectName("a")
    assert abs(sys.getrefcount(None) - before) < 100


def test_an_exception_in_a_slot_reaches_the_person(sit_at, two_moons, monkeypatch, capsys):
    person = sit_at(two_moons())
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    application.report_exceptions(person.session)
    QTimer.singleShot(0, lambda: [][1])
    person.until(lambda: len(person.strips) == 1)
    assert person.strips[0].notice.message == "IndexError: list index out of range"
    assert "Traceback" in person.strips[0].notice.detail and person.strips[0].details.isVisible()
    assert "IndexError" in capsys.readouterr().err


def test_an_exception_in_a_thread_reaches_the_person(sit_at, two_moons, monkeypatch, capsys):
    person = sit_at(two_moons())
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    application.report_exceptions(person.session)
    thread = threading.Thread(target=lambda: {}["missing"])
    thread.start()
    thread.join()
    person.until(lambda: len(person.strips) == 1)
    assert person.strips[0].notice.message == "KeyError: 'missing'"


def test_an_exception_in_what_a_plot_paints_is_told_once_and_the_window_lives(sit_at, two_moons, monkeypatch, capsys):
    """Qt, in the middle of its scene, ends the process where an item's `paint` raises again and again."""
    person = sit_at(two_moons("adam", steps=100))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    application.report_exceptions(person.session)
    with monkeypatch.context() as broken:
        broken.setattr(lines, "_quick", lambda *_: [][1])
        for step in range(1, 6):
            person.clicks(person.window.buttons["step"])
            person.until(lambda step=step: person.session.latest == step)
            person.sees("paused")
            person.window.settle()
            person.window.grab()
        person.until(lambda: bool(person.strips))
        (strip,) = person.strips
        assert strip.notice.message == "IndexError: list index out of range"
        assert "in paint" in strip.notice.detail and strip.details.isVisible()
        assert capsys.readouterr().err.count("IndexError") <= 2 * len(person.window.views), "not at every frame"
        person.clicks(strip.close_button)
        assert not person.strips
    person.clicks(person.window.buttons["step"])
    person.until(lambda: person.session.latest == 6)
    person.window.settle()
    curves = person.window.curves
    picture = curves.frame.grab().toImage()
    colour = person.session.line_colour(person.session.runs[0]).name()
    seen = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}
    assert colour in seen and not curves.lines.not_painted, "what went wrong once is painted again"
    assert not person.strips


# Frames.


@pytest.fixture
def still(sit_at, two_moons):
    """A window that draws only when told to, and counts what it draws."""
    person = sit_at(two_moons("heavy-ball", "newton", steps=1000))
    person.window._timer.stop()
    person.until(lambda: person.window.stage.idle)  # what is left of the last frame
    person.draws_all()
    person.drawn = []
    for view in person.window.views:
        draw = view.draw
        view.draw = lambda view=view, draw=draw: (person.drawn.append(view), draw())
    return person


def frame(person):
    """One frame with all its turns."""
    person.window.stage.frame()
    person.until(lambda: person.window.stage.idle)


def pull(person, frames=6):
    person.drawn.clear()
    for _ in range(frames):
        frame(person)
    return set(person.drawn)


def test_a_frame_in_which_nothing_changed_draws_nothing(still):
    assert pull(still) == set()


def test_a_frame_draws_what_changed_once_and_nothing_else(still):
    curves = still.window.curves
    curves.axis.setCurrentIndex(2)
    assert pull(still) == {curves} and len(still.drawn) == 1


def test_new_steps_are_drawn_by_every_view(still):
    still.session.racer.step()
    still.until(lambda: [shown.run.step for shown in still.session.runs] == [1, 1])
    still.sees("paused")
    assert pull(still) == set(still.in_sight)


def test_a_hidden_view_is_not_drawn_until_it_is_seen(still):
    spectrum = still.window.spectrum
    spectrum.hide()
    still.session.racer.step()
    still.sees("paused")
    assert spectrum not in pull(still)
    spectrum.show()
    QCoreApplication.processEvents()
    assert spectrum in pull(still)


def test_a_frame_that_has_used_up_its_time_leaves_the_rest_to_the_next(still):
    for view in still.in_sight:
        draw = view.draw
        view.draw = lambda draw=draw: (draw(), _busy(1.1 * BUDGET))
        view.invalidate()
    still.drawn.clear()
    frame(still)
    assert len(still.drawn) == 1 + any(view.underMouse() for view in still.in_sight)  # which is always drawn
    frame(still)
    frame(still)
    assert set(still.drawn) == set(still.in_sight), "they take turns"


def _busy(seconds):
    began = perf_counter()
    while perf_counter() - began < seconds:
        pass


# Size.


FIVE = ("heavy-ball", "adam", "newton", "gauss-newton", "natural-gradient")
SIZES = pytest.mark.parametrize("size", [(1024, 640), (1280, 800), (1600, 1000)], ids=str)


def laid_out(person):
    """Let the layouts settle."""
    QCoreApplication.processEvents()
    person.window.settle()
    QCoreApplication.processEvents()


def test_the_smallest_window_is_the_one_that_is_tested_here(sit_at, two_moons):
    person = sit_at(two_moons("adam"), size=(300, 200))
    assert (person.window.width(), person.window.height()) == (1024, 640)


@pytest.mark.parametrize(
    "screen, size", [((1280, 720), (1264, 672)), ((1920, 1080), (1600, 1000)), ((800, 600), (1024, 640))], ids=str
)
def test_the_window_opens_as_large_as_the_screen_allows(open_session, two_moons, monkeypatch, screen, size):
    monkeypatch.setattr(QScreen, "availableGeometry", lambda *_: QRect(0, 0, *screen))
    window = MainWindow(open_session(two_moons()))
    assert (window.width(), window.height()) == size
    window._timer.stop()
    window.close()
    application._take_down(window)


@SIZES
def test_no_window_cuts_off_a_control(sit_at, two_moons, size):
    person = sit_at(two_moons(*FIVE), size=size)
    window = person.window
    assert (window.width(), window.height()) == size
    laid_out(person)
    header = [window.menus, *window.buttons.values(), window.state_label]
    heads = [
        view.head.itemAt(i).widget()
        for view in person.in_sight
        for i in range(view.head.count())
        if view.head.itemAt(i).widget() not in (None, view.subtitle) and view.head.itemAt(i).widget().isVisible()
    ]
    timeline = window.timeline
    buttons = [timeline.previous, timeline.play, timeline.next, timeline.speed, timeline.live, window.target.entry]
    others = [timeline.slider, *buttons, *window.curves.legend.chips, window.spectrum.subtitle]
    for control in (*header, *heads, *others):
        _assert_whole(control, window)
    for bar in (bar for bar in window.findChildren(QTabBar) if bar.isVisible()):
        for i in range(bar.count()):
            needed = bar.fontMetrics().horizontalAdvance(bar.tabText(i)) + 12
            assert bar.tabRect(i).width() >= needed, f"the tab {bar.tabText(i)} is cut off"
    for first in heads:
        for second in heads:
            overlap = first is not second and first.parent() is second.parent()
            assert not (overlap and first.geometry().intersects(second.geometry()))


def test_at_1024_by_640_every_column_of_the_table_can_be_read_with_a_target_and_seeds(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "natural-gradient", seeds=3, steps=5), size=(1024, 640))
    person.session.toggle()
    person.sees("finished")
    person.types(person.window.target.entry, "0.6")
    laid_out(person)
    table = person.window.table
    table.pull()
    header = table.header()
    for column in [i for i in range(header.count()) if not table.isColumnHidden(i)]:
        head = table.runs.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole)
        room = header.sectionSize(column)
        assert header.fontMetrics().horizontalAdvance(head) + 22 <= room, f"{head} is cut off"
        for texts in table.runs.texts:
            needed = table.fontMetrics().horizontalAdvance(texts[column]) + 22 + (column == 0) * 32
            assert needed <= room, f"{texts[column]} is cut off"


def test_at_1024_by_640_it_can_be_read_where_a_run_diverged(sit_at, valley):
    person = sit_at(
        valley(Contender(optimizer=make("gradient-descent", learning_rate=1.0)), "newton"), size=(1024, 640)
    )
    person.session.toggle()
    person.sees("finished")
    table = person.window.table
    table.pull()
    said = table.runs.texts[0][1]
    assert said.startswith("diverged at step")
    assert table.fontMetrics().horizontalAdvance(said) + 22 <= table.header().sectionSize(1)


def test_a_narrow_window_leaves_the_room_of_the_program_s_name_to_the_experiment_s(sit_at, two_moons):
    experiment = msgspec.structs.replace(two_moons("adam"), title="Rosenbrock: damping bends the step")
    person = sit_at(experiment, size=(1024, 640))
    laid_out(person)
    title = person.window.title
    assert title.shown == title.text()
    person.window.resize(1280, 800)
    laid_out(person)
    assert title.shown == title.text() and any(
        label.text() == "NG Explorer" and label.isVisible() for label in person.window.findChildren(QLabel)
    )


@SIZES
def test_every_window_leaves_the_plots_their_height_and_the_table_no_more_than_its_rows(sit_at, two_moons, size):
    person = sit_at(two_moons(*FIVE), size=size)
    laid_out(person)
    table = person.window.table
    rows = table.viewport().height() / table.visualRect(table.runs.index(0, 0)).height()
    assert rows == round(rows) and 3 <= rows <= 5, "whole rows"
    assert rows == 5 or size == (1024, 640), "all of them where there is room"
    for view in person.window.views:
        assert view.frame.height() >= LEAST.height()
        assert view.frame.view.sceneBoundingRect().height() >= 100 or view.empty.isVisible()
        assert view.rect().contains(view.frame.geometry())


def test_the_smallest_window_is_whole_while_the_data_load(sit_at, two_moons, monkeypatch):
    go_on, load = threading.Event(), TwoMoons.load
    monkeypatch.setattr(TwoMoons, "load", lambda self: (go_on.wait(30), load(self))[1])
    person = sit_at(two_moons(*FIVE), size=(1024, 640), wait="loading")
    laid_out(person)
    label, title = person.window.state_label, person.window.title
    assert "loading" in label.text() and label.width() >= label.sizeHint().width()
    assert title.shown == title.text()
    _assert_whole(label, person.window)
    go_on.set()
    person.sees("ready")


@SIZES
@pytest.mark.parametrize(
    "data, loss",
    [("Diabetes", "Gaussian, mean and variance"), ("Linear regression", "Squared error")],
    ids=["diabetes", "regression"],
)
def test_no_name_of_a_setting_is_cut_off(sit_at, two_moons, size, data, loss):
    person = sit_at(two_moons("natural-gradient"), size=size)
    person.chooses(person.field("Data").editor.choice, data)
    person.chooses(person.field("Loss").editor.choice, loss)
    person.opens_card(0)
    laid_out(person)
    setup = person.window.setup

    def cut_off():
        labels = [one for one in setup.findChildren(QLabel) if one.wordWrap() and one.isVisible() and one.text()]
        assert len(labels) > 20
        for label in labels:
            widest = max(map(label.fontMetrics().horizontalAdvance, label.text().split()))
            if label.contentsRect().width() < widest or label.height() + 1 < label.heightForWidth(label.width()):
                return label.text()
        return ""

    person.until(lambda: not cut_off())  # the words on the data come with them
    person.rests()


@SIZES
def test_the_chosen_names_of_the_set_up_can_be_read(sit_at, two_moons, size):
    person = sit_at(two_moons("natural-gradient"), size=size)
    for name in ("Multilayer perceptron", "Softmax cross-entropy", "Handwritten digits"):
        (choice,) = [
            choice
            for choice in person.window.setup.findChildren(Choice)
            if choice.findText(name) >= 0 and choice.isVisible()
        ]
        choice.setCurrentIndex(choice.findText(name))
        assert choice.shown == name
    spectrum = person.window.spectrum.subtitle
    laid_out(person)
    spectrum.setText("steps 16–22 · ▽ 191 negative")
    assert spectrum.shown == spectrum.text()


def test_names_that_do_not_fit_end_in_an_ellipsis_and_are_told_by_the_tool_tip(sit_at, two_moons):
    person = sit_at(
        two_moons(Contender(optimizer=make("newton"), label="A name that is a good deal too long for a card"))
    )
    laid_out(person)
    (name,) = [label for label in person.card(0).findChildren(Elided) if label.text().startswith("A name")]
    assert name.shown.endswith("…") and len(name.shown) > 10
    QCoreApplication.sendEvent(name, QHelpEvent(QEvent.Type.ToolTip, QPoint(3, 3), name.mapToGlobal(QPoint(3, 3))))
    assert QToolTip.text() == name.text()
    QToolTip.hideText()
    person.until(lambda: not QToolTip.isVisible())


def test_the_table_s_height_follows_its_rows_until_a_person_chooses_one(sit_at, two_moons):
    person = sit_at(two_moons("adam"), size=(1280, 800))
    laid_out(person)
    table = person.window.table
    one = table.height()
    person.session.open_experiment(two_moons(*FIVE))
    person.until(lambda: len(person.session.runs) == 5)
    laid_out(person)
    assert table.height() == one + 4 * table.visualRect(table.runs.index(0, 0)).height()
    arrangement = person.window.arrangement
    drags_boundary(person, arrangement.runs, -44)
    chosen = arrangement.runs.height()
    assert arrangement.rows_chosen
    person.session.open_experiment(two_moons("adam", "newton", "natural-gradient"))
    person.until(lambda: len(person.session.runs) == 3)
    laid_out(person)
    assert arrangement.runs.height() == chosen


def drags_boundary(person, panel, by):
    """Drag the boundary above a panel of the window."""
    window = person.window
    start = panel.geometry().topLeft() + QPoint(panel.width() // 2, -4)
    for kind, at, buttons in (
        (QEvent.Type.MouseButtonPress, start, Qt.MouseButton.LeftButton),
        (QEvent.Type.MouseMove, start + QPoint(0, by), Qt.MouseButton.LeftButton),
        (QEvent.Type.MouseButtonRelease, start + QPoint(0, by), Qt.MouseButton.NoButton),
    ):
        button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else Qt.MouseButton.LeftButton
        place = QPointF(at), QPointF(window.mapToGlobal(at))
        event = QMouseEvent(kind, *place, button, buttons, Qt.KeyboardModifier.NoModifier)
        QCoreApplication.sendEvent(window, event)
        person.qtbot.wait(60)  # Qt moves a boundary by a timer


def test_where_the_names_of_many_runs_do_not_fit_the_legend_shows_their_colours(sit_at, two_moons):
    person = sit_at(two_moons(*(Contender(optimizer=make("adam"), label=f"Run number {i}") for i in range(12))))
    person.window.resize(1024, 640)
    laid_out(person)
    legend = person.window.curves.legend
    assert all(chip.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonIconOnly for chip in legend.chips)
    assert "Run number 3" in legend.chips[3].toolTip() and "Run number 3" in legend.chips[3].accessibleName()
    for chip in legend.chips:
        _assert_whole(chip, person.window)
    assert person.window.curves.frame.height() >= 140
    person.window.resize(2600, 1000)
    laid_out(person)
    assert all(chip.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextBesideIcon for chip in legend.chips)


def test_notices_cover_and_crowd_out_nothing(sit_at, two_moons):
    person = sit_at(two_moons(*FIVE), size=(1024, 640))
    laid_out(person)
    before = person.window.table.viewport().height()
    for i in range(3):
        person.session.noticed.emit(Notice(f"Something {i} went wrong, and " + "it is a long story, " * 12))
    laid_out(person)
    first, second, third = person.strips
    assert third.isVisible() and not first.isVisible() and not second.isVisible()
    assert third.waiting.text() == "2 earlier" and third.text.shown.endswith("…")
    assert third.details.isVisible(), "the whole text is a click away"
    table, bar = person.window.table, person.window.statusBar()
    assert table.viewport().height() == before, "a low window shows it over the status bar"
    strip = third.mapToGlobal(third.rect().topLeft()).y()
    assert bar.mapToGlobal(bar.rect().topLeft()).y() <= strip
    assert strip + third.height() == person.window.mapToGlobal(person.window.rect().bottomLeft()).y() + 1
    _assert_whole(third.details, person.window)
    _assert_whole(table, person.window)
    person.clicks(third.close_button)
    assert second.isVisible() and second.waiting.text() == "1 earlier"
    person.window.resize(1280, 1000)
    laid_out(person)
    assert first.isVisible() and second.isVisible() and not second.waiting.isVisible()
    assert person.window.menuWidget().isAncestorOf(second), "where there is room they stand under the menus"
    person.window.resize(1024, 640)
    laid_out(person)
    assert second.isVisible() and not first.isVisible() and table.viewport().height() == before


def _assert_whole(control: QWidget, window):
    name = control.accessibleName() or getattr(control, "text", lambda: "")()
    parent = control
    while parent is not window:
        corner = control.mapTo(parent.parentWidget(), control.rect().topLeft())
        end = control.mapTo(parent.parentWidget(), control.rect().bottomRight())
        assert parent.parentWidget().rect().contains(corner), f"{name} begins outside"
        assert parent.parentWidget().rect().contains(end), f"{name} is cut off"
        parent = parent.parentWidget()
    if control.objectName() == "chip":
        needed = control.iconSize().width() + control.fontMetrics().horizontalAdvance(control.text())
        named = control.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        assert control.width() >= needed + 8 or not named, f"{name} is squeezed"
    elif isinstance(control, QAbstractButton):
        assert control.width() >= control.minimumSizeHint().width(), f"{name} is squeezed"
    if isinstance(control, QComboBox):
        option = QStyleOptionComboBox()
        control.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = control.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, control).width()
        assert room >= control.fontMetrics().horizontalAdvance(control.currentText()), f"{name} is squeezed"

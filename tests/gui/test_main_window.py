"""The window as a whole: closing it, its frames, its size, and that no error is lost."""

import sys
import threading
from time import perf_counter

import pytest
from PySide6.QtCore import QCoreApplication, QObject, QTimer
from PySide6.QtWidgets import QAbstractButton, QComboBox, QStyle, QStyleOptionComboBox, QWidget

from ngexplorer.gui import application
from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.optimizers import Stepper


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


# Frames.


@pytest.fixture
def still(sit_at, two_moons):
    """A window that draws only when told to, and counts what it draws."""
    person = sit_at(two_moons("heavy-ball", "newton", steps=1000))
    person.window._timer.stop()
    person.draws_all()
    person.drawn = []
    for view in person.window.views:
        draw = view.draw
        view.draw = lambda view=view, draw=draw: (person.drawn.append(view), draw())
    return person


def pull(person, frames=6):
    person.drawn.clear()
    for _ in range(frames):
        person.window.pull()
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
    assert pull(still) == set(still.window.views)


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
    window = still.window
    for view in window.views:
        draw = view.draw
        view.draw = lambda draw=draw: (draw(), _busy(0.012))
        view.invalidate()
    still.drawn.clear()
    window.pull()
    assert len(still.drawn) == 1
    window.pull()
    window.pull()
    assert set(still.drawn) == set(window.views), "they take turns"


def _busy(seconds):
    began = perf_counter()
    while perf_counter() - began < seconds:
        pass


# Size.


def test_a_small_window_cuts_off_no_control(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "adam", "newton", "natural-gradient"), size=(1024, 640))
    window = person.window
    assert (window.width(), window.height()) == (1024, 640)
    person.window.settle()
    QCoreApplication.processEvents()
    header = [*window.buttons.values(), window.state_label]
    heads = [
        view.head.itemAt(i).widget()
        for view in window.views
        for i in range(view.head.count())
        if view.head.itemAt(i).widget() is not view.subtitle
    ]
    others = [window.timeline.slider, window.timeline.live, *window.curves.legend.chips]
    for control in (*header, *heads, *others):
        _assert_whole(control, window)
    for first in heads:
        for second in heads:
            overlap = first is not second and first.parent() is second.parent()
            assert not (overlap and first.geometry().intersects(second.geometry()))
    for view in window.views:
        assert view.frame.view.sceneBoundingRect().height() >= 24, "something of the plot itself is left"


def _assert_whole(control: QWidget, window):
    name = control.accessibleName() or getattr(control, "text", lambda: "")()
    parent = control
    while parent is not window:
        corner = control.mapTo(parent.parentWidget(), control.rect().topLeft())
        end = control.mapTo(parent.parentWidget(), control.rect().bottomRight())
        assert parent.parentWidget().rect().contains(corner), f"{name} begins outside"
        assert parent.parentWidget().rect().contains(end), f"{name} is cut off"
        parent = parent.parentWidget()
    if isinstance(control, QAbstractButton):
        assert control.width() >= control.minimumSizeHint().width(), f"{name} is squeezed"
    if isinstance(control, QComboBox):
        option = QStyleOptionComboBox()
        control.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = control.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, control).width()
        assert room >= control.fontMetrics().horizontalAdvance(control.currentText()), f"{name} is squeezed"

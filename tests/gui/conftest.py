"""A window to sit at, and a watch that fails a test which leaves a thread, a timer or a window behind.

The watch names the line where each of them was started, and fails a test for what Qt warns of as well.
"""

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import threading
import traceback
import weakref
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import shiboken6
import torch
from PySide6.QtCore import QCoreApplication, QEvent, Qt, QThread, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.apart import Process
from ngexplorer.gui.cycles import collected_here
from ngexplorer.gui.forms import PartForm
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.plots import trajectory
from ngexplorer.gui.session import Session
from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import BernoulliLogits, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender, Experiment

PATIENCE = 30_000
"""Milliseconds that a busy machine may take for what takes a moment."""


def pytest_collection_modifyitems(items):
    """The window's tests come first: where files run side by side, the long ones are not to begin last."""
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.is_relative_to(here))


# What the offscreen platform says of itself.
_HARMLESS = (
    "This plugin does not support propagateSizeHints()",
    "This plugin does not support raise()",
    "This plugin does not support grabbing the keyboard",
)


class Watch:
    """Remembers where threads and timers are started and windows shown; `leaks` says which of them are still there."""

    def __init__(self):
        self.warnings = []
        self._threads, self._python, self._timers, self._windows = [], [], [], []
        self._before = set(threading.enumerate())
        self._open = set(map(id, QApplication.topLevelWidgets()))

    @contextmanager
    def watching(self):
        with pytest.MonkeyPatch.context() as patch:
            self._wrap(patch, QThread, "start", self._threads)
            self._wrap(patch, threading.Thread, "start", self._python)
            self._wrap(patch, QTimer, "start", self._timers)
            self._wrap(patch, QWidget, "show", self._windows)
            self._wrap(patch, QDialog, "open", self._windows)
            before = qInstallMessageHandler(None)
            qInstallMessageHandler(lambda *message: self._hear(before, *message))
            try:
                yield self
            finally:
                qInstallMessageHandler(before)

    def _wrap(self, patch, kind, name, seen):
        original = getattr(kind, name)

        def started(this, *arguments, **named):
            seen.append((weakref.ref(this), _here()))
            return original(this, *arguments, **named)

        patch.setattr(kind, name, started)

    def _hear(self, before, level, context, text):
        if level != QtMsgType.QtDebugMsg and not any(known in text for known in _HARMLESS):
            self.warnings.append(text)
        if before is not None:
            before(level, context, text)

    def leaks(self):
        """What is still there, each with the line where it was started."""
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        found = [f"QThread '{t.objectName()}' runs, {where}" for t, where in _alive(self._threads) if t.isRunning()]
        started = {id(thread): where for thread, where in _alive(self._python)}
        for thread in set(threading.enumerate()) - self._before:
            # A thread of Qt's that has run Python stays in Python's list; it is looked at above.
            if not isinstance(thread, threading._DummyThread):
                found.append(f"thread '{thread.name}' runs, {started.get(id(thread), 'started elsewhere')}")
        for timer, where in _alive(self._timers):
            if timer.isActive():
                found.append(f"QTimer of {timer.interval()} ms is active, {where}")
        shown = {id(window): where for window, where in _alive(self._windows)}
        for window in QApplication.topLevelWidgets():
            if window.isVisible() and id(window) not in self._open:
                name = window.windowTitle() or type(window).__name__
                found.append(f"window '{name}' is open, {shown.get(id(window), 'shown elsewhere')}")
        return list(dict.fromkeys(found))

    def clear(self):
        """End what is left, so that the next test starts clean."""
        for window in QApplication.topLevelWidgets():
            if window.isVisible() and id(window) not in self._open:
                window.close()
        for timer, _ in _alive(self._timers):
            timer.stop()
        for thread, _ in _alive(self._threads):
            thread.wait(5000)


def _here():
    """The innermost line of a test or of the program that led here."""
    frames = [f for f in traceback.extract_stack() if "ngexplorer" in f.filename or "test_" in Path(f.filename).name]
    return "started at " + " ← ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))


def _alive(seen):
    return [(this, where) for ref, where in seen if (this := ref()) is not None and shiboken6.isValid(this)]


@pytest.fixture(scope="session")
def qapp():
    """The application as the program prepares it, fonts and theme included."""
    prepared = application.prepare()
    themes.apply(themes.DARK, prepared)
    application.keep_what_is_imported()
    return prepared


@pytest.fixture
def watch_class():
    return Watch


@pytest.fixture(autouse=True)
def nothing_left_behind(qapp):
    """Fails a test that leaves a thread, a timer or a window behind, or that Qt warned in."""
    threads = torch.get_num_threads()
    watch = Watch()
    with collected_here(), watch.watching():
        yield watch
        leaks = watch.leaks()
        if leaks:
            watch.clear()
    torch.set_num_threads(threads)
    assert not leaks, "left behind:\n" + "\n".join(leaks)
    assert not watch.warnings, "Qt warned:\n" + "\n".join(watch.warnings)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """The plane of the paths is fitted anew at once, not after a second and a half."""
    monkeypatch.setattr(trajectory, "_PAUSE", 0.0)


# Experiments that take milliseconds.


def moons(*optimizers, steps=12, size=40, hidden=(4,), **changes):
    """Two moons and a small network; optimizers by name, or made."""
    return _experiment(TwoMoons(size=size), MLP(hidden=hidden), BernoulliLogits(), optimizers, steps, changes)


def rosenbrock(*optimizers, steps=12, **changes):
    return _experiment(Rosenbrock(), LandscapeModel(), SquaredError(), optimizers, steps, changes)


def _experiment(data, model, loss, optimizers, steps, changes):
    made = [make(one) if isinstance(one, str) else one for one in optimizers or ("heavy-ball", "newton")]
    runs = tuple(one if isinstance(one, Contender) else Contender(optimizer=one) for one in made)
    return Experiment(title="A test", data=data, model=model, loss=loss, steps=steps, runs=runs, **changes)


@pytest.fixture(scope="session")
def two_moons():
    return moons


@pytest.fixture(scope="session")
def valley():
    return rosenbrock


@pytest.fixture(scope="session")
def long_steps():
    """An experiment whose every step takes seconds, in a conjugate gradient that never gets there."""
    solver = {"name": "conjugate-gradient", "tolerance": 1e-14, "iterations": 100_000}
    endless = make("natural-gradient", solver=solver, damping={"name": "constant", "value": 1e-12})
    return moons(endless, size=2000, hidden=(64, 64))


# A person at the window.


class Person:
    """Someone at a window: keys, mouse, and what they can see."""

    def __init__(self, qtbot, window):
        self.qtbot = qtbot
        self.window = window
        self.session = window.session
        self.racer = window.session.racer
        self.notices = []
        self.session.noticed.connect(self.notices.append)

    def until(self, fact, timeout=PATIENCE):
        """Wait until `fact()`."""
        self.qtbot.waitUntil(fact, timeout=timeout)

    def opens(self, view):
        """Bring a plot to the front of those that it shares its place with."""
        next(panel for panel in self.window.arrangement.panels if panel.widget() is view).raise_()
        self.until(lambda: view.seen)

    def gets_answers(self, view):
        """Wait until a plot has drawn all that it asks for, what its first answers make it ask too."""
        for _ in range(3):
            self.until(lambda: (view.pull(), not view.inquiry.under_way)[1])
            QCoreApplication.processEvents()
        view.pull()

    def sees(self, state):
        """Wait until the race is in that state and every signal about it has been heard."""
        self.until(lambda: self.session.state == state and (bool(self.session.runs) or state in ("empty", "loading")))
        QCoreApplication.processEvents()

    def rests(self):
        """Wait until a changed set-up has been loaded, and forget the rest of the typing pause."""
        self.until(lambda: not self.session._rest.isActive())
        self.until(lambda: self.session._loaded == self.session.experiment and self.session.state == "ready")
        QCoreApplication.processEvents()

    def presses(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        """Press a key where the keyboard focus is."""
        QTest.keyClick(self.window.focusWidget() or self.window, key, modifier)

    def clicks(self, widget):
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)

    def types(self, editor, text, enter=True):
        """Replace what stands in an editor."""
        editor.setFocus()
        editor.selectAll()
        QTest.keyClicks(editor, text)
        if enter:
            QTest.keyClick(editor, Qt.Key.Key_Return)

    def chooses(self, choice, title):
        """Pick an item of a combo box with the keyboard."""
        choice.setFocus()
        choice.setCurrentIndex(choice.findText(title))
        choice.activated.emit(choice.currentIndex())

    def leaves_list(self, choice):
        """Close the list of a combo box, if it is open."""
        QCoreApplication.processEvents()  # the list takes the keys once it is on the screen
        choice.hidePopup()
        self.until(lambda: QGuiApplication.focusWindow() is self.window.windowHandle())

    def field(self, name, card=None):
        """The field of the set-up (or of an open card) with that label."""
        from ngexplorer.gui.forms import Field

        inside = self.window.setup if card is None else self.card(card)
        fields = [f for f in inside.findChildren(Field) if f.editor.accessibleName() == name and f.isVisible()]
        assert len(fields) == 1, f"{len(fields)} fields named {name}"
        return fields[0]

    def card(self, number):
        return self.window.setup.cards.itemAt(number).widget()

    def opens_card(self, number):
        self.clicks(self.card(number).fold)
        QCoreApplication.processEvents()
        form = self.card(number).form
        for part in form.findChildren(PartForm) if form is not None else ():
            if part.fold.isVisible() and not part.fold.isChecked():
                self.clicks(part.fold)
        QCoreApplication.processEvents()

    def picks(self, button, text):
        """An entry of a button's menu."""
        next(action for action in button.menu().actions() if action.text() == text).trigger()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QCoreApplication.processEvents()

    def draws_all(self):
        """Wait until the trajectory has its finest contours, and draw every view."""
        view = self.window.trajectory
        self.until(lambda: (view.pull(), view.settled and view.surface is not None)[1])
        QCoreApplication.processEvents()
        self.window.settle()
        self.until(lambda: not view.pull() and view.settled)  # settling may have changed its shape

    @property
    def in_sight(self):
        """The plots that are not behind another one's tab."""
        return [view for view in self.window.views if not view.visibleRegion().isEmpty()]

    @property
    def words(self):
        """What the table says of each run's state."""
        self.window.table.pull()
        return [texts[1] for texts in self.window.table.runs.texts]

    @property
    def strips(self):
        return self.window.notices.strips()


def close(window):
    window.document.forget_changes()  # else it would ask
    window.close()
    application._take_down(window)


@pytest.fixture
def sit_at(qapp, qtbot, nothing_left_behind):
    """Open a window on an experiment and wait until it is ready; it is closed after the test. `apart`: its steps are
    taken in a process of their own, as those of a window on the screen are, and not in a thread, which is there
    sooner."""
    opened = []

    def open_window(experiment=None, *, theme=themes.DARK, size=(1280, 800), wait="ready", apart=False):
        themes.apply(theme, qapp)
        window = MainWindow(Session(experiment or moons(), theme, Process() if apart else None))
        opened.append(window)
        window.resize(*size)
        window.show()
        window.activateWindow()
        person = Person(qtbot, window)
        window.session.open()
        if wait:
            person.sees(wait)
        return person

    yield open_window
    for window in opened:
        if shiboken6.isValid(window):
            close(window)


@pytest.fixture
def open_session(qapp, qtbot, nothing_left_behind):
    """A session without a window, its threads running."""
    opened = []

    def start(experiment=None):
        session = Session(experiment or moons(), themes.DARK)
        opened.append(session)
        session.open()
        qtbot.waitUntil(lambda: session.state == "ready" and bool(session.runs), timeout=PATIENCE)
        return session

    yield start
    for session in opened:
        session.close()
        assert session.wait(PATIENCE)


def with_optimizer(experiment, number, **changes):
    """The experiment with other settings of one optimizer."""
    runs = list(experiment.runs)
    optimizer = runs[number].optimizer
    for path, value in changes.items():
        optimizer = optimizer.changed(path.replace("__", "."), value)
    runs[number] = msgspec.structs.replace(runs[number], optimizer=optimizer)
    return msgspec.structs.replace(experiment, runs=tuple(runs))


@pytest.fixture(scope="session")
def change_optimizer():
    return with_optimizer


@pytest.fixture(scope="session")
def patience():
    return PATIENCE

"""The timeline: dragged, played back at any speed, and what happened marked on it and gone to."""

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolTip

from ngexplorer.gui.panels.timeline import Rejections
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender

ALT = Qt.KeyboardModifier.AltModifier
Key = Qt.Key


def test_it_plays_back_at_the_speed_that_is_typed_and_ends_live(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", steps=400))
    person.session.toggle()
    person.sees("finished")
    timeline, session = person.window.timeline, person.session
    seen = []
    session.time_changed.connect(lambda: seen.append(session.time))
    person.types(timeline.speed, "1,000")
    person.presses(Key.Key_P)
    assert timeline.playing and session.time == 0, "from the start, as the end was shown"
    person.until(lambda: not timeline.playing)
    assert session.time is None and timeline.live.isChecked()
    assert seen[:-1] == sorted(seen[:-1]) and len(seen) > 3 and max(seen[:-1]) < 400

    person.types(timeline.speed, "0.5")
    timeline.slider.setValue(100)
    person.clicks(timeline.play)
    assert timeline.playing and "Pause" in timeline.play.accessibleName()
    person.clicks(timeline.play)
    assert not timeline.playing and session.time == 100
    person.types(timeline.speed, "fast")
    assert timeline.speed.property("invalid") and "above 0" in timeline.speed.toolTip()
    person.types(timeline.speed, "20")
    assert not timeline.speed.property("invalid")


def test_what_happened_is_marked_and_gone_to_by_keys_and_clicks(sit_at, valley):
    wild = Contender(optimizer=make("gradient-descent", learning_rate=0.007), label="Wild")
    person = sit_at(valley(wild, "newton", steps=40))
    window, timeline, session = person.window, person.window.timeline, person.session
    for _ in range(3):
        person.presses(Key.Key_Period)
        person.until(lambda: session.state != "running")
    person.opens_card(1)
    person.types(person.field("Learning rate", card=1).editor, "0.5")
    person.presses(Key.Key_Space)
    person.sees("finished")
    window.settle()
    diverged = session.runs[0].run.step + 1
    assert [(mark.step, mark.kind) for mark in timeline.slider.marks] == [(3, "edit"), (diverged, "diverged")]
    assert timeline.slider.marks[0].words == "Newton: learning_rate = 0.5, was 1.0"

    person.presses(Key.Key_Left, ALT)
    assert session.time == diverged and "Wild: diverged" in window.statusBar().currentMessage()
    person.presses(Key.Key_Left, ALT)
    assert session.time == 3 and "was 1.0" in window.statusBar().currentMessage()
    person.presses(Key.Key_Left, ALT)
    assert session.time == 0
    person.clicks(timeline.next)
    assert session.time == 3
    for _ in range(2):
        person.presses(Key.Key_Right, ALT)
    assert session.time is None, "past the last one the views are live"

    track = timeline.slider
    place = QPoint(round(track.place(3)) + 2, track.height() // 2 - 8)
    QTest.mouseClick(track, Qt.MouseButton.LeftButton, pos=place)
    assert session.time == 3, "a click near a mark goes to it"
    QTest.mouseClick(track, Qt.MouseButton.LeftButton, pos=QPoint(round(track.place(20)), track.height() // 2))
    assert session.time == pytest.approx(20, abs=1), "a click on the groove goes there"
    QCoreApplication.sendEvent(track, QHelpEvent(QEvent.Type.ToolTip, place, track.mapToGlobal(place)))
    assert QToolTip.text() == "step 3: Newton: learning_rate = 0.5, was 1.0"
    QToolTip.hideText()
    person.until(lambda: not QToolTip.isVisible())


def test_a_new_race_has_no_marks(sit_at, two_moons):
    person = sit_at(two_moons("newton", steps=30))
    person.session.toggle()
    person.sees("finished")
    history = person.session.runs[0].history
    timeline = person.window.timeline
    timeline.look()
    assert timeline.slider.rejections == list(np.flatnonzero(history["rejected_trials"] > 0))
    person.presses(Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    assert not timeline.slider.marks and not timeline.slider.rejections
    assert not timeline.previous.isEnabled() and not timeline.next.isEnabled()


def test_rejected_trials_of_a_long_run_take_no_more_memory_than_those_of_a_short_one():
    rejections = Rejections()
    rejections.add(np.array([3, 1000]))
    assert rejections.steps == [3, 1000]
    rejections.add(np.arange(500_000, 1_000_000))
    assert rejections.size == 1024 and rejections.steps[0] == 0
    assert len(rejections.steps) <= 1024 and rejections.steps[-1] == 999_424

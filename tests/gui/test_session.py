"""The session: what a change of the set-up does to a race that runs, and the one time that every view shows."""

import csv
import threading
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication

from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender
from ngexplorer.runs.export import TIME_COLUMNS
from ngexplorer.settings import SettingError


@pytest.fixture
def until(qtbot, patience):
    return lambda fact: qtbot.waitUntil(fact, timeout=patience)


@pytest.fixture
def stepped(open_session, until):
    """A session whose race has taken one step of every run and rests."""

    def start(experiment=None):
        session = open_session(experiment)
        session.racer.step()
        until(lambda: session.state in ("paused", "finished"))
        QCoreApplication.processEvents()
        assert not session.untouched
        return session

    return start


def replace(experiment, **changes):
    return msgspec.structs.replace(experiment, **changes)


# What a change does.


def test_a_change_before_the_first_step_makes_a_new_race_once_it_rests(open_session, two_moons, until):
    session = open_session(two_moons())
    for size in (50, 60, 70):
        session.change(two_moons(size=size))
    assert session.generation == 1, "nothing is loaded while someone types"
    until(lambda: session.generation == 2 and session.state == "ready")
    assert session.race.runs[0].objective.cases == 56  # of 70, a fifth is kept for validation
    assert not session.stale


def test_a_learning_rate_goes_to_the_running_race(stepped, two_moons, change_optimizer, until):
    session = stepped(two_moons("heavy-ball", "newton"))
    session.change(change_optimizer(session.experiment, 0, learning_rate=0.02))
    until(lambda: len(session.runs[0].history.events) == 1)
    assert session.race.runs[0].optimizer.learning_rate == 0.02
    assert not session.stale and session.generation == 1


def test_a_setting_of_a_part_goes_to_the_running_race(stepped, two_moons, change_optimizer, until):
    session = stepped(two_moons("heavy-ball", "newton"))
    session.change(change_optimizer(session.experiment, 1, damping__initial=7.0))
    until(lambda: len(session.runs[1].history.events) == 1)
    assert session.runs[1].history.events[0].message == "damping.initial = 7.0, was 1.0"
    session.racer.step()
    until(lambda: session.runs[1].run.step == 2)
    assert session.runs[1].history["damping"][2] == 7.0
    assert not session.stale


def test_steps_and_turns_go_to_the_running_race(stepped, two_moons, until):
    session = stepped(two_moons(steps=1))
    session.change(replace(session.experiment, steps=3, turns="seconds"))
    until(lambda: session.race.turns == "seconds" and session.state == "paused")
    session.racer.begin()
    until(lambda: session.state == "finished")
    assert [shown.run.step for shown in session.runs] == [3, 3]
    assert not session.stale


def test_other_data_wait_for_a_reset_and_say_so(stepped, two_moons, until):
    session = stepped(two_moons())
    before = session.race
    session.change(two_moons(size=60))
    assert session.stale and session.race is before
    session.change(two_moons())
    assert not session.stale, "back to what is raced"
    session.change(two_moons(size=60))
    session.reset()
    until(lambda: session.generation == 2 and session.state == "ready")
    assert not session.stale and session.race.runs[0].objective.cases == 48


@pytest.mark.parametrize("what", ["added", "removed", "switched off", "another curvature"])
def test_other_optimizers_wait_for_a_reset(stepped, two_moons, what):
    session = stepped(two_moons("heavy-ball", "newton"))
    first, second = session.experiment.runs
    runs = {
        "added": (first, second, Contender(optimizer=make("adam"))),
        "removed": (first,),
        "switched off": (first, replace(second, enabled=False)),
        "another curvature": (first, replace(second, optimizer=make("newton", curvature="fisher"))),
    }[what]
    session.change(replace(session.experiment, runs=runs))
    assert session.stale
    assert [shown.label for shown in session.runs] == ["Heavy ball", "Newton"], "the race that runs stays as it is"


def test_a_name_and_a_colour_need_no_reset(stepped, two_moons):
    session = stepped(two_moons("heavy-ball", "newton"))
    first, second = session.experiment.runs
    session.change(replace(session.experiment, runs=(replace(first, label="Mine", colour="#009E73"), second)))
    assert not session.stale
    assert (session.runs[0].label, session.runs[0].colour) == ("Mine", "#009E73")
    assert session.runs[0].history.label == "Mine"


def test_a_run_that_is_switched_off_does_not_race(open_session, two_moons):
    off = Contender(optimizer=make("adam"), enabled=False)
    session = open_session(two_moons("heavy-ball", off, "newton"))
    assert [(shown.label, shown.contender) for shown in session.runs] == [("Heavy ball", 0), ("Newton", 2)]


def test_an_edit_reaches_the_run_it_was_made_for_behind_one_that_is_switched_off(
    stepped, two_moons, change_optimizer, until
):
    session = stepped(two_moons(Contender(optimizer=make("adam"), enabled=False), "heavy-ball", "newton"))
    session.change(change_optimizer(session.experiment, 1, learning_rate=0.03))
    until(lambda: len(session.runs[0].history.events) == 1)
    assert [shown.run.optimizer.learning_rate for shown in session.runs] == [0.03, 1.0]


def test_a_change_while_a_reset_loads_is_not_lost_and_breaks_nothing(
    stepped, two_moons, change_optimizer, until, monkeypatch
):
    session = stepped(two_moons("adam", "heavy-ball", "newton"))
    notices = []
    session.noticed.connect(notices.append)
    loading, go_on = threading.Event(), threading.Event()
    load = TwoMoons.load

    def slow(self):
        loading.set()
        assert go_on.wait(30)
        return load(self)

    monkeypatch.setattr(TwoMoons, "load", slow)
    first, *others = session.experiment.runs
    session.change(replace(session.experiment, runs=(replace(first, enabled=False), *others)))
    session.reset()
    until(loading.is_set)
    session.change(change_optimizer(session.experiment, 2, learning_rate=0.5))
    go_on.set()
    until(lambda: session.generation >= 2 and session.state == "ready")
    until(lambda: [shown.run.optimizer.learning_rate for shown in session.runs] == [0.1, 0.5])
    assert not notices


def test_what_starts_is_what_the_set_up_shows_however_short_ago_it_was_typed(open_session, two_moons, until):
    session = open_session(two_moons(steps=100_000))
    session.change(two_moons(steps=100_000, size=60))
    session.toggle()
    until(lambda: session.generation == 2 and session.state == "running")
    until(lambda: session.latest > 50)
    assert not session._rest.isActive() and session.generation == 2
    assert session.race.runs[0].objective.cases == 48
    session.toggle()
    until(lambda: session.state == "paused")


def test_two_loads_one_after_the_other_end_with_the_second(open_session, two_moons, until, monkeypatch):
    session = open_session(two_moons("adam"))
    load, go_on = TwoMoons.load, threading.Event()
    monkeypatch.setattr(TwoMoons, "load", lambda self: go_on.wait(30) and load(self))
    session.open_experiment(two_moons("adam", "newton"))
    session.open_experiment(two_moons("adam", "newton", "heavy-ball"))
    go_on.set()
    until(lambda: session.generation == 3 and session.state == "ready")
    assert [shown.label for shown in session.runs] == ["Adam", "Newton", "Heavy ball"]
    assert not session.stale


def test_what_breaks_beside_it_does_not_end_the_loading(stepped, two_moons, until, monkeypatch):
    """A change that comes while data load waits for them, whatever else went wrong meanwhile."""
    session = stepped(two_moons("heavy-ball", "newton"))
    notices = []
    session.noticed.connect(notices.append)
    load, go_on = TwoMoons.load, threading.Event()
    monkeypatch.setattr(TwoMoons, "load", lambda self: go_on.wait(30) and load(self))
    session.racer.edit(0, "learning_rate", -1)
    session.open_experiment(two_moons("heavy-ball", "newton", size=50))
    session.analyst.ask("plane", lambda cancel: iter([1 / 0]))
    until(lambda: len(notices) == 2)
    session.change(two_moons("heavy-ball", "newton", size=60))
    assert not session.stale, (
        "it goes the way of a set-up that is being typed, not that of an edit of the race that was"
    )
    go_on.set()
    until(lambda: session.race.runs[0].objective.cases == 48 and session.state == "ready")
    assert [notice.message for notice in notices if "ZeroDivisionError" in notice.message]


def test_of_two_loads_the_first_may_break_without_touching_the_second(open_session, two_moons, until, monkeypatch):
    session = open_session(two_moons("adam"))
    told, refused, go_on = [], [], threading.Event()
    session.noticed.connect(told.append)
    session.setting_refused.connect(lambda *what: any(what) and refused.append(what))
    load = TwoMoons.load

    def breaks(self):
        assert go_on.wait(30)
        if self.size == 50:
            raise SettingError("data.size", "too large for this machine")
        return load(self) if self.size != 55 else 1 / 0

    monkeypatch.setattr(TwoMoons, "load", breaks)
    for size in (50, 55, 60):
        session.open_experiment(two_moons("adam", size=size))
    go_on.set()
    until(lambda: len(told) == 1)
    assert told[0].message == "ZeroDivisionError: division by zero" and "Traceback" in told[0].detail
    until(lambda: session.generation == 2 and session.state == "ready")
    assert session.race.runs[0].objective.cases == 48
    assert not refused, "the set-up that could not be is no longer the one that is shown"
    assert not session.stale


# Time.


def test_live_is_each_runs_own_last_step(stepped, two_moons, until):
    session = stepped(two_moons(steps=5))
    session.racer.begin()
    until(lambda: session.state == "finished")
    assert session.time is None and session.latest == 5
    assert [session.step_of(shown) for shown in session.runs] == [5, 5]


def test_scrubbing_shows_one_step_or_the_last_of_a_run_that_did_not_come_so_far(open_session, valley, until):
    session = open_session(valley(make("gradient-descent", learning_rate=1.0), "newton", steps=20))
    session.racer.begin()
    until(lambda: session.state == "finished")
    diverged = session.runs[0].run.step
    assert diverged < 15
    session.set_time(15)
    assert [session.step_of(shown) for shown in session.runs] == [diverged, 15]


def test_a_new_race_is_shown_live(stepped, two_moons, until):
    session = stepped(two_moons())
    session.set_time(0)
    session.set_hidden(1, True)
    session.reset()
    until(lambda: session.generation == 2)
    assert session.time is None and len(session.visible) == 2


def test_hidden_runs_are_not_visible_and_race_on(stepped, two_moons, until):
    session = stepped(two_moons("heavy-ball", "newton", steps=4))
    session.set_hidden(0, True)
    session.racer.begin()
    until(lambda: session.state == "finished")
    assert [shown.label for shown in session.visible] == ["Newton"]
    assert session.runs[0].run.step == 4


def test_scrubbing_and_hiding_change_no_number(open_session, two_moons, until, tmp_path):
    def rows(name):
        with open(tmp_path / name, newline="", encoding="utf-8") as file:
            return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in csv.DictReader(file)]

    experiment = two_moons("adam", "newton", "natural-gradient", steps=25)
    quiet = open_session(experiment)
    quiet.racer.begin()
    until(lambda: quiet.state == "finished")
    assert quiet.export_csv(tmp_path / "quiet.csv")

    busy = open_session(experiment)
    while busy.state != "finished":
        before = sum(shown.run.step for shown in busy.runs)
        busy.racer.begin()
        until(lambda before=before: sum(shown.run.step for shown in busy.runs) > before or busy.state == "finished")
        busy.set_time(busy.latest // 2)
        busy.set_hidden(1, not busy.is_hidden(1))
        busy.change(busy.experiment)
        busy.racer.pause()
        busy.set_time(None)
        busy.racer.step()
        QCoreApplication.processEvents()
    assert busy.export_csv(tmp_path / "busy.csv")
    assert rows("busy.csv") == rows("quiet.csv")
    assert not any(shown.history.events for shown in busy.runs)


# Files.


def test_an_export_that_cannot_be_written_is_told_and_the_old_file_stays(stepped, tmp_path):
    session = stepped()
    notices = []
    session.noticed.connect(notices.append)
    old = tmp_path / "old.csv"
    old.write_text("old")
    assert session.export_csv(old / "runs.csv") is False
    assert session.export_csv(tmp_path / "nowhere" / "runs.csv") is False
    assert all(notice.error and "cannot write" in notice.message for notice in notices) and len(notices) == 2
    assert old.read_text() == "old" and list(tmp_path.iterdir()) == [old]


def test_an_export_that_breaks_in_the_middle_leaves_the_old_file(stepped, tmp_path, monkeypatch):
    session = stepped()
    path = tmp_path / "runs.csv"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ngexplorer.runs.files.os.replace", full)
    assert session.export_csv(path) is False
    assert path.read_text() == "old" and list(Path(tmp_path).iterdir()) == [path]


def test_an_exception_in_a_run_comes_with_its_traceback(open_session, two_moons, until, monkeypatch):
    from ngexplorer.optimizers import Stepper

    step = Stepper.step

    def breaks(self, *arguments):
        if self.optimizer.name == "newton":
            raise RuntimeError("a matrix is missing")
        return step(self, *arguments)

    monkeypatch.setattr(Stepper, "step", breaks)
    session = open_session(two_moons("newton", "adam", steps=5))
    notices = []
    session.noticed.connect(notices.append)
    session.racer.begin()
    until(lambda: session.state == "finished")
    until(lambda: len(notices) == 1)
    assert notices[0].message == "Newton failed: RuntimeError: a matrix is missing"
    assert "Traceback" in notices[0].detail

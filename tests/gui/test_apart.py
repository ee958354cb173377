"""The window whose steps are taken in a process of their own, as those of a window on the screen are."""

import csv
import os
import signal
from time import perf_counter

import msgspec
import numpy as np
import psutil
import pytest
import torch
from PySide6.QtWidgets import QLabel

from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender


@pytest.fixture
def apart(sit_at):
    return lambda experiment, **options: sit_at(experiment, apart=True, **options)


def test_race_edit_scrub_and_export(apart, two_moons, tmp_path):
    person = apart(two_moons("heavy-ball", "newton", steps=1_000_000))
    person.clicks(person.window.buttons["race"])
    person.until(lambda: person.session.latest > 50)
    person.opens_card(0)
    person.types(person.field("Learning rate", card=0).editor, "0.05")
    history = person.session.runs[0].history
    person.until(lambda: bool(history.events) and history["learning_rate"][-1] == 0.05)
    person.clicks(person.window.buttons["race"])
    person.sees("paused")
    latest = person.session.latest
    person.session.set_time(20)
    person.draws_all()
    assert person.session.latest == latest and person.session.time == 20
    person.window.table.pull()
    assert person.session.export_csv(tmp_path / "runs.csv")
    with open(tmp_path / "runs.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(shown.history) for shown in person.session.runs)
    person.clicks(person.window.buttons["step"])
    person.until(lambda: person.session.latest == latest + 1)


def test_every_view_draws_what_came_from_there(apart, two_moons):
    person = apart(two_moons("natural-gradient", "adam", steps=30), size=(1600, 1000))
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    assert person.words == ["finished", "finished"]
    mine, other = (psutil.Process(pid).memory_info().rss / 2**20 for pid in (os.getpid(), person.racer.pid))
    told = next(
        label.text() for label in person.window.statusBar().findChildren(QLabel) if label.text().endswith(" MB")
    )
    told = float(told.removesuffix(" MB").replace(",", ""))
    assert told == pytest.approx(mine + other, rel=0.2) and other > 100
    assert any(spectrum.matrix == "hessian" for spectrum in person.session.runs[0].history.spectra)
    shown = person.session.runs[0]
    theta, _ = shown.history.parameters(30)
    assert float(shown.run.objective.value(torch.tensor(theta))) == shown.history["loss"][30]


def test_a_fork_is_shown_as_a_run(apart, two_moons):
    person = apart(two_moons("newton", steps=8))
    person.session.toggle()
    person.sees("finished")
    shown = person.session.runs[0]
    delta = torch.full((shown.run.objective.parameters,), 1e-3, dtype=torch.float64)
    person.session.fork(shown, 3, delta, 0.25, "Hessian")
    person.until(lambda: len(person.session.runs) == 2)
    fork = person.session.runs[1]
    assert fork.label == "Newton ↳ 3, λ 0.25" and fork.run.step == 4
    np.testing.assert_array_equal(fork.history["loss"][:4], shown.history["loss"][:4])
    assert "New run" in person.notices[-1].message
    person.session.toggle()
    person.until(lambda: fork.run.step == 8)


def test_a_setting_that_no_race_can_have_is_told_at_its_control(apart, two_moons):
    person = apart(two_moons("newton"))
    refused = []
    person.session.setting_refused.connect(lambda path, reason: refused.append((path, reason)))
    person.session.change(msgspec.structs.replace(person.session.experiment, device="cuda:7"))
    person.until(lambda: any(path == "device" for path, _ in refused))
    assert person.session.state == "ready", "the race that was stays"


def test_the_death_of_the_process_is_told_and_reset_begins_anew(apart, two_moons):
    person = apart(two_moons("adam", "newton", steps=1_000_000))
    person.session.toggle()
    person.until(lambda: person.session.latest > 20)
    os.kill(person.racer.pid, signal.SIGKILL)
    person.sees("finished")
    person.until(lambda: len(person.notices) == 2)
    assert [notice.message for notice in person.notices] == [
        "Adam failed: the process that took its steps has ended: SIGKILL, Killed",
        "Newton failed: the process that took its steps has ended: SIGKILL, Killed",
    ]
    assert person.words == ["failed", "failed"] and person.session.latest > 20
    person.clicks(person.window.buttons["reset"])
    person.sees("ready")
    person.clicks(person.window.buttons["race"])
    person.until(lambda: person.session.latest > 5)


def test_closing_in_a_long_step_waits_for_nothing(apart, long_steps):
    person = apart(long_steps)
    person.session.toggle()
    person.sees("running")
    began = perf_counter()
    person.window.close()
    assert perf_counter() - began < 5, "a step takes longer than that"
    assert person.racer.isFinished() and person.session.analyst.isFinished()


def test_closing_before_it_has_begun_is_clean(apart, two_moons):
    person = apart(two_moons(), wait=None)
    person.window.close()
    assert person.racer.isFinished()


def test_a_run_that_diverges_tells_why(apart, valley):
    steep = Contender(optimizer=make("gradient-descent", learning_rate=1.0))
    person = apart(valley(steep, "newton", steps=30))
    person.session.toggle()
    person.sees("finished")
    person.until(lambda: bool(person.notices))
    assert person.notices[0].message.startswith("Gradient descent diverged at step")
    assert person.words == ["diverged at step 2", "finished"]

"""A race driven in a process of its own is the race it would be here, and outlives that process."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import psutil
import pytest
import torch

from ngexplorer.gui.apart import Process
from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import BernoulliLogits, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes
from ngexplorer.runs.driver import Commands
from ngexplorer.runs.experiment import Contender, Experiment
from ngexplorer.runs.export import TIME_COLUMNS
from ngexplorer.runs.history import _BLOCK, _CHUNK, COLUMNS, TEXTS, Event, History
from ngexplorer.runs.remote import Remote
from ngexplorer.runs.schedule import Every, Never
from ngexplorer.runs.tape import Tape
from ngexplorer.settings import SettingError

PATIENCE = 60.0
"""Seconds in which a busy machine does what takes a moment."""


class Driven(Commands):
    """A remote driver in a thread, which remembers what it told."""

    def __init__(self):
        self.told = []
        self.state = "empty"
        self.process = Process()
        self.remote = Remote(self, self.process)
        self.thread = threading.Thread(target=self.remote.run)
        self.thread.start()

    def send(self, command):
        self.remote.send(command)

    @property
    def halt(self):
        return self.remote.halt

    @property
    def runs(self):
        return self.remote.race.runs

    @property
    def pid(self):
        return self.remote.pid

    def close(self):
        self.remote.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive() and not psutil.pid_exists(self.pid)

    def on_load(self, experiment, race):
        self.told.append(("load", experiment))

    def on_refusal(self, experiment, error):
        self.told.append(("refusal", experiment, error))

    def on_end(self, run):
        self.told.append(("end", run))

    def on_fork(self, run):
        self.told.append(("fork", run))

    def on_state(self, state):
        self.state = state

    def on_error(self, message, detail):
        self.told.append(("error", message, detail))

    def until(self, fact):
        """Wait until `fact()`."""
        end = monotonic() + PATIENCE
        while not fact():
            assert monotonic() < end, f"never happened; told {self.told}"
            sleep(0.002)

    def hears(self, kind):
        """Wait for a word of that kind and take it."""
        self.until(lambda: any(word[0] == kind for word in list(self.told)))
        word = next(word for word in self.told if word[0] == kind)
        self.told.remove(word)
        return word[1:]

    def loads(self, experiment):
        self.told.clear()
        self.load(experiment)
        while self.hears("load") != (experiment,):
            pass
        self.until(lambda: self.state == "ready")
        return self.runs

    def finishes(self, experiment):
        runs = self.loads(experiment)
        self.begin()
        self.until(lambda: self.state == "finished")
        return runs


@pytest.fixture(scope="module")
def driven():
    made = Driven()
    yield made
    made.close()


@pytest.fixture
def mortal():
    """One whose process a test may end."""
    made = Driven()
    yield made
    made.close()


def moons(*optimizers, steps=12, size=40, hidden=(4,), **changes):
    made = [make(one) if isinstance(one, str) else one for one in optimizers]
    runs = tuple(Contender(optimizer=one) for one in made)
    data, model, loss = TwoMoons(size=size), MLP(hidden=hidden), BernoulliLogits()
    return Experiment(data=data, model=model, loss=loss, steps=steps, runs=runs, **changes)


def endless():
    """Every step takes seconds, in a conjugate gradient that never gets there."""
    solver = {"name": "conjugate-gradient", "tolerance": 1e-14, "iterations": 100_000}
    one = make("natural-gradient", solver=solver, damping={"name": "constant", "value": 1e-12})
    return moons(one, size=2000, hidden=(64, 64))


# Nothing is lost on the way.


def row(k):
    numbers = dict.fromkeys(("step", "seconds", "gradient_equivalents", "loss", "validation_loss", "metric"), float(k))
    return numbers, None, np.full(3, float(k))


@pytest.mark.parametrize("size", [1, 37, _CHUNK, 3 * _CHUNK + 5])
def test_pages_make_the_history_that_was_written(size):
    rows = 2 * _CHUNK * _BLOCK + 77 if size > _CHUNK else 3 * _CHUNK + 77  # also past what goes to a file
    tape, whole, made = Tape("a", "b", 1), History("a", "b", 1), History("a", "b", 1)
    for history in (whole, made):
        history.snapshots.budget = 100_000
    for k in range(rows):
        tape.append(*row(k))
        whole.append(*row(k))
        if k % size == size - 1 or k == rows - 1:
            made.extend(tape.take())
            assert len(made) == k + 1
    assert tape.taken and len(tape) == rows and tape.loss_at_start == 0
    np.testing.assert_array_equal(made["loss"], np.arange(float(rows)))
    assert made.snapshots.stride == whole.snapshots.stride > 1
    for (at, theta), (other, same) in zip(made.snapshots.since(0), whole.snapshots.since(0), strict=True):
        assert at == other and (theta == same).all()


def test_texts_keep_their_meaning_from_page_to_page():
    """Each page counts its words anew."""
    from ngexplorer.optimizers import Step

    tape, made = Tape("a", "b", 1), History("a", "b", 1)
    said = ["", "one", "two", "two", "one", "three"]
    for k, outcome in enumerate(said):
        numbers, _, theta = row(k)
        tape.append(numbers, Step(loss_before=1.0, loss_after=1.0, gradient_norm=1.0, outcome=outcome), theta)
        if k % 2:
            made.extend(tape.take())
    assert made["outcome"] == said and made.row(4)["outcome"] == "one"


def test_a_race_apart_is_the_race_that_would_be_here(driven):
    every = {name: Every(interval=5) for name in ("spectra", "noise_scale", "cosines", "block_errors")}
    experiment = moons(
        "heavy-ball", "newton", "kfac", "natural-gradient", "natural-gradient-sampled", steps=23, seeds=2,
        probes=Probes(**every),
    )  # fmt: skip
    here = experiment.race()
    here.begin()
    while here.advance():
        pass
    there = driven.finishes(experiment)
    assert [run.state for run in there] == ["finished"] * 10
    for run, same in zip(there, here.runs, strict=True):
        assert (run.label, run.history.seed, run.history.optimizer) == (
            same.label,
            same.history.seed,
            same.history.optimizer,
        )
        assert run.damping == same.damping or (np.isnan(run.damping) and np.isnan(same.damping))
        for name in COLUMNS:
            if name in TEXTS:
                assert run.history[name] == same.history[name]
            elif name not in TIME_COLUMNS and "seconds" not in name:
                np.testing.assert_array_equal(run.history[name], same.history[name], err_msg=name)
        for (at, theta), (other, expected) in zip(
            run.history.snapshots.since(0), same.history.snapshots.since(0), strict=True
        ):
            assert at == other
            np.testing.assert_array_equal(theta, expected)
        assert [(s.step, s.matrix) for s in run.history.spectra] == [(s.step, s.matrix) for s in same.history.spectra]
        for spectrum, expected in zip(run.history.spectra, same.history.spectra, strict=True):
            np.testing.assert_array_equal(spectrum.eigenvalues, expected.eigenvalues)
        for reading, expected in zip(run.history.readings, same.history.readings, strict=True):
            assert (reading.instrument, reading.step, reading.names) == (
                expected.instrument,
                expected.step,
                expected.names,
            )
            np.testing.assert_array_equal(reading.values, expected.values)
        assert repr(run.history.rejections) == repr(same.history.rejections)  # NaN is not NaN
    assert any(run.history.rejections for run in there) and any(run.history.spectra for run in there)
    assert {("end", run) for run in there} <= set(driven.told)


def test_the_objective_here_is_the_one_there(driven):
    runs = driven.finishes(moons("newton", steps=5))
    theta, at = runs[0].history.parameters(5)
    assert at == 5
    assert float(runs[0].objective.value(torch.tensor(theta))) == runs[0].history["loss"][5]


# Commands.


def test_an_edit_is_known_here_too(driven):
    (run,) = driven.loads(moons("heavy-ball", steps=1_000_000))
    driven.begin()
    driven.until(lambda: run.step > 3)
    driven.edit(0, "learning_rate", 0.05)
    driven.until(lambda: len(run.history.events) == 1)
    driven.until(lambda: run.step > run.history.events[0].step + 2)
    driven.pause()
    driven.until(lambda: driven.state == "paused")
    at = run.history.events[0].step
    rates = run.history["learning_rate"]
    assert set(rates[1 : at + 1]) == {0.1} and set(rates[at + 1 :]) == {0.05}
    assert run.optimizer.learning_rate == 0.05
    assert (run.optimizer_of(at).learning_rate, run.optimizer_of(at + 1).learning_rate) == (0.1, 0.05)
    paused = run.step
    driven.set_turns("seconds")
    driven.until(lambda: driven.remote.race.turns == "seconds")
    driven.set_steps(paused)
    driven.until(lambda: run.state == "finished" and run.steps == paused)
    assert run.step == paused


def test_a_command_that_cannot_be_is_told_with_its_line(driven):
    driven.loads(moons("heavy-ball"))
    driven.edit(0, "learning_rate", -1)
    message, detail = driven.hears("error")
    assert message.startswith("SettingError: learning_rate: -1 is not accepted") and "Traceback" in detail


def test_stop_abandons_a_step_there(driven):
    (run,) = driven.loads(endless())
    waits = []
    for _ in range(3):
        driven.begin()
        driven.until(lambda: driven.state == "running")
        sleep(0.05)
        began = monotonic()
        driven.stop()
        assert driven.halt() or driven.state != "running"
        driven.until(lambda: driven.state == "stopped")
        waits.append(monotonic() - began)
        assert not driven.halt()
    assert run.step == 0 and run.state == "stopped"
    assert min(waits) < 0.120


def test_a_new_race_abandons_the_step_in_progress(driven):
    driven.loads(endless())
    driven.begin()
    driven.until(lambda: driven.state == "running")
    assert [run.step for run in driven.finishes(moons("adam", "newton"))] == [12, 12]


def test_a_fork_has_the_past_that_is_kept_here(driven):
    experiment = moons("newton", "adam", steps=9)
    here = experiment.race()
    here.begin()
    while here.advance():
        pass
    run = driven.finishes(experiment)[0]
    delta = 1e-3 * torch.arange(float(run.objective.parameters)).double()
    driven.send(("fork", driven.remote.loads, 0, run.history.branch(4), delta, 0.5, "Hessian"))
    (fork,) = driven.hears("fork")
    driven.begin()
    driven.until(lambda: driven.state == "finished" and fork.step == 9)
    expected = here.fork(here.runs[0], 4, delta, 0.5, "Hessian")
    while here.advance():
        pass
    assert fork.origin.run is run and (fork.origin.step, fork.label) == (4, expected.label)
    np.testing.assert_array_equal(fork.history["loss"], expected.history["loss"])
    np.testing.assert_array_equal(fork.history.parameters(9)[0], expected.history.parameters(9)[0])
    assert fork.optimizer == expected.optimizer
    assert [event.message for event in fork.history.events] == [event.message for event in expected.history.events]
    assert driven.runs[-1] is fork


def test_a_fork_asked_of_a_race_that_is_no_more_is_none(driven):
    run = driven.finishes(moons("newton"))[0]
    branch, loads = run.history.branch(4), driven.remote.loads
    driven.load(moons("adam"))
    driven.send(("fork", loads, 0, branch, torch.zeros(run.objective.parameters).double(), 0.5, "Hessian"))
    driven.hears("load")
    driven.step()
    driven.until(lambda: driven.runs[0].step == 1)
    assert len(driven.runs) == 1


def test_watched_matrices_are_recorded(driven):
    (run,) = driven.loads(moons("newton", probes=Probes(spectra=Every())))
    driven.watch(frozenset({"empirical-fisher"}))
    driven.begin()
    driven.until(lambda: driven.state == "finished")
    assert {s.matrix for s in run.history.spectra} == {"hessian", "empirical-fisher"}
    assert driven.remote.race.spectra_seconds > 0


# What goes wrong.


def test_a_run_that_diverges_and_one_that_fails_end_alone(driven):
    data, model, loss = Rosenbrock(), LandscapeModel(), SquaredError()
    steep = Contender(optimizer=make("gradient-descent", learning_rate=1.0))
    runs = driven.finishes(
        Experiment(data=data, model=model, loss=loss, steps=30, runs=(steep, Contender(optimizer=make("newton"))))
    )
    assert [run.state for run in runs] == ["diverged", "finished"]
    (event,) = runs[0].history.events
    assert event == Event(runs[0].step + 1, "diverged", event.message)
    assert [driven.hears("end") for _ in runs] == [(runs[0],), (runs[1],)]


def test_a_setting_that_cannot_be_crosses_with_its_path(driven):
    before = driven.finishes(moons("newton"))
    refused = moons("newton", device="cuda:7")
    driven.load(refused)
    experiment, error = driven.hears("refusal")
    assert experiment is refused
    assert isinstance(error, SettingError) and error.path == "device" and "cuda:7" in error.reason
    assert driven.runs is before and driven.state == "finished"


def test_a_process_that_dies_fails_its_runs_and_another_one_takes_over(mortal):
    runs = mortal.loads(moons("adam", "newton", steps=1_000_000))
    mortal.begin()
    mortal.until(lambda: runs[1].step > 20)
    os.kill(mortal.pid, signal.SIGKILL)
    ended = [mortal.hears("end")[0] for _ in runs]
    assert ended == runs and mortal.state == "finished"
    for run in runs:
        assert run.state == "failed" and run.step > 20 and len(run.history) == run.step + 1
        assert run.history.events == [
            Event(run.step, "failed", "the process that took its steps has ended: SIGKILL, Killed")
        ]
    assert [run.step for run in mortal.finishes(moons("newton"))] == [12]


def test_a_process_that_dies_while_it_loads_refuses_what_it_was_to_load(mortal):
    mortal.until(lambda: mortal.remote._here)
    os.kill(mortal.pid, signal.SIGSTOP)
    asked = [moons("newton"), moons("adam")]
    for experiment in asked:
        mortal.load(experiment)
    os.kill(mortal.pid, signal.SIGKILL)
    assert [mortal.hears("refusal")[0] for _ in asked] == asked
    assert mortal.state == "empty"
    assert mortal.finishes(moons("newton"))[0].step == 12


def test_a_process_that_cannot_start_is_told_once(monkeypatch):
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    made = Driven()
    message, _ = made.hears("error")
    assert message == "the process that takes the steps does not start: status 1"
    made.close()


def test_closing_does_not_wait_for_the_step_in_progress(mortal):
    mortal.loads(endless())
    mortal.begin()
    mortal.until(lambda: mortal.state == "running")
    began = monotonic()
    mortal.close()
    assert monotonic() - began < 5


def test_it_ends_with_the_program_that_started_it(tmp_path):
    program = """
import os
from ngexplorer.gui.apart import Process
if __name__ == "__main__":
    process = Process()
    process.line.recv_bytes()
    print(process._process.pid, flush=True)
    os._exit(1)
"""
    (tmp_path / "program.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    pid, end = int(done.stdout), monotonic() + PATIENCE
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert monotonic() < end, "it goes on alone"
        sleep(0.01)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc to look at")
def test_no_qt_is_there(driven):
    driven.finishes(moons("newton"))
    assert "PySide6" not in Path(f"/proc/{driven.pid}/maps").read_text()


def test_probes_that_never_look_tell_nothing(driven):
    (run,) = driven.finishes(moons("newton", probes=Probes(spectra=Never())))
    assert not run.history.spectra and not len(run.history.readings)

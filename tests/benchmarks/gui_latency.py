"""How alive the window is at any load: late input, pictures a second, the worker, scrubbing, memory, first paint.

Run it under a display (`xvfb-run`) or off-screen (`QT_QPA_PLATFORM=offscreen`), on a machine that does nothing else;
nothing is asserted. `--quick` takes under two minutes, all of it under eight.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace as replaced
from pathlib import Path
from time import perf_counter, thread_time, time
from typing import Any

import numpy as np
import psutil
import torch
from msgspec.structs import replace
from PySide6.QtCore import QElapsedTimer, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QApplication, QGridLayout, QWidget

from ngexplorer import resource_files
from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.apart import Process
from ngexplorer.gui.cycles import collected_here
from ngexplorer.gui.panels.runs_table import RunsTable
from ngexplorer.gui.panels.timeline import Timeline
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.matrices import MatricesView
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.gui.plots.stage import Stage
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.gui.plots.view import View
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives.models import MLP
from ngexplorer.optimizers import Step, make
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs import history as histories
from ngexplorer.runs.experiment import Contender, Experiment
from ngexplorer.runs.history import NUMBERS, TEXTS
from ngexplorer.runs.record import Lineup

_FRAME = 33
_TABLE = 8
"""Frames between two looks at the table."""
_CHUNK, _BLOCK = histories._CHUNK, histories._CHUNK * histories._BLOCK
_WIDTH = len(NUMBERS + TEXTS)
"""Columns of a row, each a float64."""


def show(work: str, reach: str, measured: str) -> None:
    """One line of the table: what, what is to be reached, what was measured."""
    print(f"| {work} | {reach} | {measured} |", flush=True)


def digits(runs: int, *, slow: bool) -> Experiment:
    """So many runs on digits, endless: of natural gradient, whose steps take 10 ms and more, or of first order."""
    found = experiments.read(resource_files.EXPERIMENTS / "digits.toml")
    names = ("natural-gradient", "gauss-newton") if slow else ("heavy-ball", "adam", "nesterov", "rmsprop", "adagrad")
    made = [make(names[i % len(names)]) for i in range(runs)]
    contenders = tuple(Contender(optimizer=one) for one in made)
    model = MLP(hidden=(8,)) if slow else found.model
    return replace(found, runs=contenders, steps=10_000_000, model=model)


class Bench(QWidget):
    """Eight views at 1600 × 1000 and the timeline, pulled as the window pulls them, with a pointer over the first."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.views: list[View] = [
            CurvesView(session),
            CurvesView(session, "reduction_ratio"),
            CurvesView(session, "gradient_norm"),
            SpectrumView(session),
            SpectrumTimeView(session),
            TrajectoryView(session),
            MatricesView(session),
        ]
        self.table, self.timeline = RunsTable(session), Timeline(session)
        grid = QGridLayout(self)
        for i, widget in enumerate([*self.views, self.table]):
            grid.addWidget(widget, i // 3, i % 3)
        grid.addWidget(self.timeline, 3, 0, 1, 3)
        for line in range(3):
            grid.setRowStretch(line, 1)
            grid.setColumnStretch(line, 1)
        self.stage = Stage(self.views, (self._pull_timeline, self._pull_table))
        self.served: dict[View, int] = defaultdict(int)
        """How often each view was brought up to date."""
        for view in self.views:
            self._count(view)
        self.frames = 0
        self.timer = QTimer(self, interval=_FRAME, timerType=Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self._frame)
        self.resize(1600, 1000)

    def _count(self, view: View) -> None:
        pull = view.pull

        def counted() -> bool:
            self.served[view] += 1
            return pull()

        view.pull = counted  # type: ignore[method-assign]

    def _frame(self) -> None:
        self.stage.frame()
        self.frames += 1

    def _pull_timeline(self) -> None:
        if self.frames % 3 == 0:
            self.timeline.pull()

    def _pull_table(self) -> None:
        if self.frames % _TABLE == 0:
            self.table.pull()


def events_for(seconds: float) -> None:
    """Let events happen for so long."""
    clock = QElapsedTimer()
    clock.start()
    application._wait(lambda: clock.elapsed() > 1000 * seconds)


class Voice(QObject):
    """Speaks from another thread."""

    said = Signal(float)


def lateness(seconds: float) -> np.ndarray:
    """How late something posted from another thread at any time is heard in the window's, in milliseconds."""
    heard: list[float] = []
    stop = threading.Event()

    def listen(asked: float) -> None:
        heard.append(1000 * (perf_counter() - asked))

    voice = Voice()
    voice.said.connect(listen, Qt.ConnectionType.QueuedConnection)

    def speak() -> None:
        generator = np.random.default_rng(0)
        while not stop.wait(0.004 + 0.008 * generator.random()):
            voice.said.emit(perf_counter())

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    events_for(seconds)
    stop.set()
    thread.join()
    events_for(0.1)
    return np.array(heard)


def steps_of(race: Lineup[Any]) -> int:
    return sum(run.step for run in race.runs)


def probed(race: Lineup[Any]) -> float:
    """Seconds that spectra took so far: they are not the steps', with a window or without."""
    return race.spectra_seconds


def headless(experiment: Experiment, seconds: float) -> float:
    """Steps a second with no window, the spectra's time left out."""
    race = experiment.race()
    race.begin()
    for _ in range(3 * len(race.runs)):
        race.advance()
    began, before, probe = perf_counter(), steps_of(race), probed(race)
    while perf_counter() - began < seconds:
        race.advance()
    return (steps_of(race) - before) / (perf_counter() - began - (probed(race) - probe))


@contextlib.contextmanager
def opened(experiment: Experiment) -> Iterator[Bench]:
    session = Session(experiment, themes.DARK, Process())
    bench = Bench(session)
    bench.show()
    session.open()
    application._wait(lambda: session.state == "ready" and bool(session.runs))
    bench.timer.start()
    first = bench.views[0]
    QCursor.setPos(first.mapToGlobal(QPoint(first.width() // 2, first.height() // 2)))
    events_for(0.3)
    with collected_here(lambda: session.state == "running"):
        yield bench
    bench.timer.stop()
    session.close()
    session.wait()
    bench.close()
    application._take_down(bench)  # type: ignore[arg-type]


def racing(count: int, p99: float, seconds: float, *, slow: bool) -> None:
    """So many runs going on: what the window and the worker take from each other."""
    experiment = digits(count, slow=slow)
    before_speed = headless(experiment, seconds / 4)
    with opened(experiment) as bench:
        race = bench.session.race
        assert race is not None
        bench.session.toggle()
        events_for(1.0)
        bench.served.clear()
        began, before, probe, cpu, frames = perf_counter(), steps_of(race), probed(race), thread_time(), bench.frames
        late = lateness(seconds)
        took = perf_counter() - began
        cpu, frames = thread_time() - cpu, bench.frames - frames
        speed = (steps_of(race) - before) / (took - (probed(race) - probe))
        under = next((view for view in bench.views if view.underMouse()), bench.views[0])
        served = {view: bench.served[view] / took for view in bench.views}
        costs = ", ".join(f"{1000 * view.cost:.1f}" for view in bench.views)
    # Once more: the machine may have slowed down meanwhile.
    alone = (before_speed + headless(experiment, seconds / 4)) / 2
    kind = f"{count} runs, {1000 / alone:.2g} ms a step"
    share = 90 if slow else 65
    quantiles = f"{np.median(late):.1f} / {np.percentile(late, 99):.1f} / {late.max():.0f} ms"
    show(f"{kind}: input late, p50 / p99 / worst", f"– / {p99:g} / 50 ms", quantiles)
    show(f"{kind}: the plot under the pointer, a second", "30", f"{served.pop(under):.0f}")
    show(f"{kind}: the slowest other plot, a second", "10", f"{min(served.values()):.0f}")
    show(f"{kind}: the window's processor time a frame", "10 ms", f"{1000 * cpu / max(frames, 1):.1f} ms")
    show(f"{kind}: a picture of each view", "", f"{costs} ms")
    show(f"{kind}: the worker's share of {alone:,.0f} steps a second", f"{share} %", f"{100 * speed / alone:.0f} %")


def record(shown: Shown, steps: int, number: int) -> None:
    """Give a run so many rows in chunks, as they would lie after them: most in a file, the last in memory; θ at up to
    2,000 steps, and 300 spectra where it has some. Columns that nothing here draws are zero."""
    history = shown.history
    step = np.arange(steps + 1.0)
    generator = np.random.default_rng(number)
    loss = 2.0 / np.sqrt(1 + step) * np.exp(0.05 * generator.normal(size=steps + 1))
    columns = {
        "step": step, "seconds": 1e-4 * step, "gradient_equivalents": step, "loss": loss, "validation_loss": 1.1 * loss,
        "metric": 1 - 0.4 * loss, "gradient_norm": loss**2, "reduction_ratio": loss / loss.max(),
        "damping": 1 / np.sqrt(1 + step), "step_seconds": np.full(steps + 1, 1e-4),
    }  # fmt: skip
    places = {histories._PLACES[name]: values for name, values in columns.items()}
    blocks = (steps + 1) // _BLOCK
    rows = histories._Rows()
    if blocks:
        rows._file = tempfile.TemporaryFile(prefix="ngexplorer-")  # noqa: SIM115
        rows._file.truncate(blocks * _WIDTH * _BLOCK * 8)
        store = np.memmap(rows._file, np.float64, "r+", shape=(blocks, _WIDTH, _BLOCK))
        for place, values in places.items():
            store[:, place] = values[: blocks * _BLOCK].reshape(blocks, _BLOCK)
        rows._store = (store, [])
    for begin in range(blocks * _BLOCK, steps + 1, _CHUNK):
        chunk = np.zeros((_WIDTH, _CHUNK))
        for place, values in places.items():
            part = values[begin : begin + _CHUNK]
            chunk[place, : len(part)] = part
        rows._store[1].append(chunk)
    theta, _ = history.parameters(0)
    stride = 1
    while steps // stride > 2000:
        stride *= 2
    history.snapshots.stride = stride
    walk = (0.02 * generator.normal(size=(steps // stride + 1, len(theta)))).cumsum(0).astype(theta.dtype) + theta
    history.snapshots._kept = [(stride * i, one) for i, one in enumerate(walk)]
    if history.spectra:
        found = [s for s in history.spectra if s.step == history.spectra[0].step]
        times = np.linspace(0, steps, 300).astype(int).tolist()
        history.spectra = [
            replaced(
                s, step=at, eigenvalues=np.sort(s.eigenvalues * np.exp(0.1 * generator.normal(size=len(s.eigenvalues))))
            )
            for at in times
            for s in found
        ]
    history._words, history._codes = [""], {"": 0.0}
    history._rows, history._length = rows, steps + 1


def recorded(steps: int, positions: int) -> None:
    """20 runs of so many recorded steps, half of them of second order: how fast one scrubs through them."""
    experiment = digits(20, slow=True)
    first_order = digits(10, slow=False).runs
    experiment = replace(experiment, runs=(*experiment.runs[:10], *first_order))
    with opened(experiment) as bench:
        session = bench.session
        session.step()
        application._wait(lambda: session.state == "paused" and all(shown.run.step == 1 for shown in session.runs))
        session.racer.close()
        session.racer.wait()
        for number, shown in enumerate(session.runs):
            shown.run.steps = steps
            record(shown, steps, number)
        kind = f"20 runs of {steps:,} steps"
        application._wait(lambda: all(not view.pull() for view in bench.views) and session.analyst.idle)
        took, cpu = [], []
        for step in np.linspace(steps, 0, positions).astype(int).tolist():
            began, at = perf_counter(), thread_time()
            session.set_time(step)
            for view in bench.views:
                view.pull()
                for frame in view.frames:
                    frame.viewport().repaint()
            bench.table.pull()
            took.append(1000 * (perf_counter() - began))
            cpu.append(1000 * (thread_time() - at))
        text = f"{np.median(took):.0f} / {np.percentile(took, 99):.0f} ms ({np.median(cpu):.0f} ms of processor time)"
        show(f"{kind}: scrubbing, all views at a position, p50 / p99", "33 ms", text)
        session.set_time(None)
        late = lateness(2.0)
        text = f"{np.percentile(late, 99):.1f} / {late.max():.0f} ms"
        show(f"{kind}: input late at rest, p99 / worst", "33 / 50 ms", text)


def anonymous() -> int:
    """Bytes of memory that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    raise OSError("no RssAnon in /proc/self/status")


def memory(steps: int) -> None:
    """One run of so many rows appended one by one, the window drawing them: what a row takes."""
    with opened(digits(1, slow=False)) as bench:
        history = bench.session.runs[0].history
        history.snapshots.budget = 1 << 20
        theta, _ = history.parameters(0)
        noise = np.random.default_rng(0).normal(size=4096).tolist()

        def extend(until: int) -> int:
            for k in range(len(history), until):
                row = dict.fromkeys(histories.LEADING, float(k)) | {"loss": 2.0 + noise[k % 4096]}
                history.append(row, Step(loss_before=1.0, loss_after=1.0, gradient_norm=abs(noise[k % 4096])), theta)
                if k % 2048 == 0:
                    QApplication.processEvents()
            events_for(0.5)
            return anonymous()

        # The memory of the first blocks, once they are in the file, is there for the next ones.
        before = extend(2 * _BLOCK + _CHUNK)
        grown = extend(2 * _BLOCK + _CHUNK + steps // _BLOCK * _BLOCK) - before
        moved = len(history._rows._store[0]) - 2
    rows = steps // _BLOCK * _BLOCK
    text = f"{8 * _WIDTH * moved * _BLOCK / rows:.0f} in a file and {grown / rows:.1f} in memory"
    show(f"bytes a recorded step takes ({_WIDTH} columns of 8)", f"{8 * _WIDTH} and little else", text)


def hidden(seconds: float) -> None:
    """5 runs going on behind a window that cannot be seen."""
    with opened(digits(5, slow=False)) as bench:
        bench.session.toggle()
        events_for(0.5)
        bench.hide()
        events_for(0.2)
        bench.served.clear()
        cpu, frames = thread_time(), bench.frames
        events_for(seconds)
        text = f"{sum(bench.served.values())} ({1000 * (thread_time() - cpu) / max(bench.frames - frames, 1):.2f} ms)"
    show("hidden views drawn (processor time of a frame, the table's included)", "0", text)


_OPEN = """
import sys, time
from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

class Ear(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and isinstance(watched, QWidget) and watched.isWindow():
            kind = type(watched).__name__
            if kind not in heard:
                heard.append(kind)
                print(kind, time.time(), flush=True)
            if kind == "MainWindow":
                QTimer.singleShot(0, QApplication.instance().quit)
        return False

heard = []
ear = Ear()
init = QApplication.__init__
def started(self, *arguments):
    init(self, *arguments)
    self.installEventFilter(ear)
QApplication.__init__ = started
sys.argv = ["ngexplorer"]
from ngexplorer.cli import main
main([])
"""


def first_paint(times: int) -> None:
    """From the command to the first picture on the screen and to the window with all its panels, the best of several,
    everything being in the system's file cache."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(times + 1):
        began = time()
        said = subprocess.run([sys.executable, "-c", _OPEN], capture_output=True, text=True, timeout=120).stdout
        at = {line.split()[0]: float(line.split()[1]) - began for line in said.splitlines() if len(line.split()) == 2}
        found["first"].append(min(at.values(), default=float("nan")))
        found["whole"].append(at.get("MainWindow", float("nan")))
    show("first paint", "1.5 s", f"{min(found['first']):.2f} s")
    show("the whole window", "", f"{min(found['whole']):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("racing", "recorded", "memory", "hidden", "start")
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="which parts (default: all)")
    parser.add_argument("--quick", action="store_true", help="shorter races, fewer positions, no million steps")
    parser.add_argument(
        "--steps", type=int, nargs="+", help="recorded steps to scrub through (default: up to a million)"
    )
    options = parser.parse_args()
    seconds, positions = (4.0, 20) if options.quick else (20.0, 60)
    torch.set_num_threads(1)
    app: QApplication = application.prepare()
    application.keep_what_is_imported()
    themes.apply(themes.DARK, app)
    load = ", ".join(f"{load:.1f}" for load in psutil.getloadavg())
    print(
        f"{app.platformName()}, {psutil.cpu_count()} cores, load {load} before, Python {sys.version.split()[0]}, "
        f"torch {torch.__version__}\n\n| what | reach | measured |\n|---|---|---|",
        flush=True,
    )
    chosen = options.parts or parts
    if "racing" in chosen:
        for count, p99 in ((5, 16.7), (20, 33.0)):
            for slow in (True, False):
                racing(count, p99, seconds, slow=slow)
    if "recorded" in chosen:
        for steps in options.steps or ((10_000, 100_000) if options.quick else (10_000, 100_000, 1_000_000)):
            recorded(steps, positions)
    if "memory" in chosen:
        memory(150_000 if options.quick else 600_000)
    if "hidden" in chosen:
        hidden(1.0)
    if "start" in chosen:
        first_paint(1 if options.quick else 3)


if __name__ == "__main__":
    sys.exit(main())

"""How alive the window is while runs go on: late input, frames a second, the worker's speed, memory, scrubbing.

Run it under a display (`xvfb-run`) or off-screen (`QT_QPA_PLATFORM=offscreen`); nothing is asserted.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

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
from ngexplorer.gui.panels.runs_table import RunsTable
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.gui.plots.stage import Stage
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.gui.plots.view import View
from ngexplorer.gui.session import Session
from ngexplorer.objectives.models import MLP
from ngexplorer.optimizers import Step, make
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Contender, Experiment

_FRAME = 33
_TABLE = 8
"""Frames between two looks at the table."""


@dataclass(frozen=True)
class Row:
    """One measurement beside what is to be reached."""

    work: str
    reach: str
    measured: str


def digits(runs: int, *, slow: bool) -> Experiment:
    """So many runs on digits, endless: of natural gradient, whose steps take 10 ms and more, or of first order."""
    found = experiments.read(resource_files.EXPERIMENTS / "digits.toml")
    names = ("natural-gradient", "gauss-newton") if slow else ("heavy-ball", "adam", "nesterov", "rmsprop", "adagrad")
    made = [make(names[i % len(names)]) for i in range(runs)]
    contenders = tuple(Contender(optimizer=one) for one in made)
    model = MLP(hidden=(8,)) if slow else found.model
    return replace(found, runs=contenders, steps=10_000_000, model=model)


class Bench(QWidget):
    """Eight views at 1600 × 1000, pulled as the window pulls them, with a pointer over the first."""

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
            TrajectoryView(session),
        ]
        self.table = RunsTable(session)
        grid = QGridLayout(self)
        for i, widget in enumerate([*self.views, self.table]):
            grid.addWidget(widget, i // 3, i % 3)
        self.stage = Stage(self.views)
        self.served: dict[View, int] = defaultdict(int)
        """How often each view was brought up to date."""
        for view in self.views:
            self._count(view)
        self._frames = 0
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
        self._frames += 1
        if self._frames % _TABLE == 0:
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


def headless(experiment: Experiment, seconds: float) -> float:
    """Steps a second of compute with no window."""
    race = experiment.race()
    race.begin()
    for _ in range(3 * len(race.runs)):
        race.advance()
    began, before = perf_counter(), sum(run.step for run in race.runs)
    while perf_counter() - began < seconds:
        race.advance()
    return (sum(run.step for run in race.runs) - before) / (perf_counter() - began)


def opened(experiment: Experiment) -> Bench:
    session = Session(experiment, themes.DARK)
    bench = Bench(session)
    bench.show()
    session.open()
    application._wait(lambda: session.state == "ready" and bool(session.runs))
    bench.timer.start()
    first = bench.views[0]
    QCursor.setPos(first.mapToGlobal(QPoint(first.width() // 2, first.height() // 2)))
    events_for(0.3)
    return bench


def closed(bench: Bench) -> None:
    bench.timer.stop()
    bench.session.close()
    bench.session.wait()
    bench.close()
    application._take_down(bench)  # type: ignore[arg-type]


def racing(seconds: float) -> list[Row]:
    rows = []
    for count, p99 in ((5, 16.7), (20, 33.0)):
        for slow in (True, False):
            experiment = digits(count, slow=slow)
            alone = headless(experiment, seconds / 2)
            bench = opened(experiment)
            session = bench.session
            session.toggle()
            events_for(1.0)
            bench.served.clear()
            began, before = perf_counter(), sum(shown.run.step for shown in session.runs)
            probe = session.race.spectra.seconds if session.race and session.race.spectra else 0.0
            late = lateness(seconds)
            took = perf_counter() - began
            # What the probe takes is not the window's.
            beside = (session.race.spectra.seconds - probe) if session.race and session.race.spectra else 0.0
            speed = (sum(shown.run.step for shown in session.runs) - before) / (took - beside)
            under = next((view for view in bench.views if view.underMouse()), bench.views[0])
            frames = {view: served / took for view, served in bench.served.items()}
            others = [frames.get(view, 0.0) for view in bench.views if view is not under]
            kind = f"{count} runs, {1000 / alone:.2g} ms a step"
            share = 90 if 1000 / alone >= 10 else 65
            rows += [
                Row(f"{kind}: input late, p50 / p99 / worst", f"– / {p99:g} / 50 ms",
                    f"{np.median(late):.1f} / {np.percentile(late, 99):.1f} / {late.max():.0f} ms"),
                Row(f"{kind}: pictures a second under the pointer", "30", f"{frames.get(under, 0):.0f}"),
                Row(f"{kind}: of the others, the fewest", "10", f"{min(others, default=0):.0f}"),
                Row(f"{kind}: the worker's speed", f"{share} %", f"{100 * speed / alone:.0f} %"),
            ]  # fmt: skip
            for row in rows[-4:]:
                show(row)
            rows.append(
                Row(
                    f"{kind}: a picture of each view",
                    "",
                    ", ".join(f"{1000 * v.cost:.0f}" for v in bench.views) + " ms",
                )
            )
            show(rows[-1])
            closed(bench)
    return rows


def long(steps: int) -> list[Row]:
    """20 runs of so many recorded steps: what they take, and how fast one scrubs through them."""
    experiment = digits(20, slow=False)
    bench = opened(experiment)
    session, process = bench.session, psutil.Process()
    before = process.memory_info().rss
    generator = np.random.default_rng(0)
    noise = generator.normal(size=4096)
    for number, shown in enumerate(session.runs):
        history, theta = shown.history, shown.history.parameters(0)[0]
        for k in range(len(history), steps + 1):
            loss = float(2.0 / (1 + k) ** 0.5 * np.exp(0.2 * noise[(k + 77 * number) % 4096]))
            row = {"step": float(k), "seconds": 1e-4 * k, "gradient_equivalents": float(k), "loss": loss,
                   "validation_loss": 1.1 * loss, "metric": 0.9}  # fmt: skip
            record = Step(loss_before=loss, loss_after=loss, gradient_norm=loss, reduction_ratio=noise[k % 4096])
            history.append(row, record, theta)
        events_for(0.0)
    grown = (process.memory_info().rss - before) / 2**20
    rows = [Row(f"20 runs of {steps:,} steps: memory", "what is recorded, and mapped", f"{grown:,.0f} MB")]
    show(rows[0])
    events_for(3.0)
    pictures = []
    for step in np.linspace(0, steps, 60).astype(int).tolist():
        began = perf_counter()
        session.set_time(step)
        for view in bench.views:
            view.pull()
            for frame in view.frames:
                frame.viewport().repaint()
        pictures.append(1000 * (perf_counter() - began))
    text = f"{np.median(pictures):.0f} / {np.percentile(pictures, 99):.0f} ms"
    rows.append(Row(f"20 runs of {steps:,} steps: scrubbing, all views at a position, p50 / p99", "33 ms", text))
    show(rows[-1])
    session.set_time(None)
    late = lateness(3.0)
    rows.append(Row(f"20 runs of {steps:,} steps: input late at rest, p99 / worst", "33 / 50 ms",
                    f"{np.percentile(late, 99):.1f} / {late.max():.0f} ms"))  # fmt: skip
    show(rows[-1])
    bench.hide()
    bench.served.clear()
    session.set_time(5)
    events_for(1.0)
    rows.append(Row("hidden views drawn", "0", f"{sum(bench.served.values())}"))
    show(rows[-1])
    closed(bench)
    return rows


def show(row: Row) -> None:
    print(f"| {row.work} | {row.reach} | {row.measured} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["racing", "long", []], help="which parts (default: both)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each race")
    parser.add_argument("--steps", type=int, default=1_000_000, help="recorded steps of each long run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    app: QApplication = application.prepare()
    themes.apply(themes.DARK, app)
    parts: dict[str, Callable[[], list[Row]]] = {
        "racing": lambda: racing(options.seconds),
        "long": lambda: long(options.steps),
    }
    load = ", ".join(f"{load:.1f}" for load in psutil.getloadavg())
    print(f"{app.platformName()}, {psutil.cpu_count()} cores, load {load} before, torch {torch.__version__}\n")
    print("| what | reach | measured |\n|---|---|---|", flush=True)
    for name in options.parts or parts:
        parts[name]()


if __name__ == "__main__":
    sys.exit(main())

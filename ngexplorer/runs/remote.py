"""Driving a race in a process of its own, whose steps wait for nothing that is done here.

There, a `Driver` takes the steps and reports some thirty times a second what has come; here, a lineup of the same runs
is kept up with it. Commands go there and reports come back through one line, each in its order.
"""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, Protocol

from ngexplorer.optimizers import Optimizer
from ngexplorer.runs.driver import Command, Driver, DriveState, Halt, Listener, Number
from ngexplorer.runs.experiment import Experiment
from ngexplorer.runs.history import Event, Pages
from ngexplorer.runs.race import Race, Run
from ngexplorer.runs.record import Lineup, Origin, Record, State, Turns
from ngexplorer.runs.tape import Tape

_PACE = 1 / 30
"""Seconds between two reports, where steps are shorter."""
_LEAVE: Command = ("leave",)


@dataclass(frozen=True)
class _Standing:
    """How a run stands."""

    state: State
    steps: int
    seconds: float
    probe_seconds: float
    gradient_equivalents: float
    damping: float
    optimizers: list[tuple[int, Optimizer]]

    @classmethod
    def of(cls, run: Run) -> _Standing:
        return cls(
            run.state,
            run.steps,
            run.seconds,
            run.probe_seconds,
            run.gradient_equivalents,
            run.damping,
            run.optimizers[:],
        )


@dataclass(frozen=True)
class _News:
    """What has come of one run, by its number, since the last news of it."""

    number: int
    standing: _Standing
    pages: Pages

    def tell(self, record: Record) -> None:
        """Bring a record of that run up to date."""
        for name, value in vars(self.standing).items():
            if name != "state":
                setattr(record, name, value)
        record.history.extend(self.pages)
        record.state = self.standing.state  # last: who sees that it has ended finds all of it


# There.


def serve(line: Connection, called: Number, obeyed: Number) -> None:
    """Drive races as commands through the line tell, until its other end is closed."""
    driver = Driver(_Reporter(line), Halt(called, obeyed), lambda experiment: experiment.race(Tape))

    def listen() -> None:
        while True:
            try:
                command = pickle.loads(line.recv_bytes())
            except (EOFError, OSError):
                command = _LEAVE
            if command == _LEAVE:
                os._exit(0)  # nobody is there any more: what is in progress is for no one
            driver.send(command)

    threading.Thread(target=listen, name="commands", daemon=True).start()
    _send(line, "here")
    driver.run()


def _send(line: Connection, *message: Any) -> None:
    line.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


class _Reporter:
    """Tells of the race through the line: of what happens at once, of steps at a steady pace."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._race: Race | None = None
        self._told: list[_Standing | None] = []
        self._due = 0.0

    def on_load(self, experiment: Experiment, race: Lineup[Any]) -> None:
        assert isinstance(race, Race)
        self._race, self._told = race, [None] * len(race.runs)
        _send(self._line, "load", self._news())

    def on_refusal(self, experiment: Experiment, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"{type(error).__name__}: {error}")
        _send(self._line, "refusal", error, trace)

    def on_end(self, run: Any) -> None:
        assert self._race is not None
        self._report()
        _send(self._line, "end", self._race.runs.index(run))

    def on_fork(self, run: Run) -> None:
        assert self._race is not None
        assert run.origin is not None
        parted = next(i for i, one in enumerate(self._race.runs) if one is run.origin.run)
        self._told.append(None)
        _send(self._line, "fork", parted, run.origin.step, run.origin.damping, run.label, self._news())

    def on_state(self, state: DriveState) -> None:
        self._report()
        _send(self._line, "state", state)

    def on_error(self, message: str, detail: str) -> None:
        self._report()
        _send(self._line, "error", message, detail)

    def on_turn(self, rests: bool) -> None:
        if rests or perf_counter() >= self._due:
            self._report()

    def _report(self) -> None:
        """Tell what has come since the last time."""
        self._due = perf_counter() + _PACE
        if self._race is not None:
            _send(self._line, "news", self._race.turns, self._race.spectra_seconds, self._news())

    def _news(self) -> list[_News]:
        assert self._race is not None
        found = []
        for number, run in enumerate(self._race.runs):
            history, standing = run.history, _Standing.of(run)
            assert isinstance(history, Tape)
            if not history.taken or standing != self._told[number]:
                self._told[number] = standing
                found.append(_News(number, standing, history.take()))
        return found


# Here.


class Workplace(Protocol):
    """A process in which `serve` runs, and what leads there."""

    line: Connection
    called: Number
    obeyed: Number

    @property
    def pid(self) -> int:
        """The system's number of it."""

    def end(self) -> str:
        """Bring about its end; returns how it ended."""

    def another(self) -> Workplace:
        """One like it."""


class Remote:
    """A driver in another process: takes the same commands and tells the same listener, of a lineup that it keeps up.

    Where that process dies, the runs that were live have failed, and another one takes its place.
    """

    def __init__(self, tell: Listener, place: Workplace) -> None:
        self.race: Lineup[Record] | None = None
        self.loads = 0
        """How many races there have been."""
        self._tell = tell
        self._place = place
        self._here = False
        """Whether the other process has begun to listen."""
        self._asked: deque[Experiment] = deque()
        """Experiments that are to be loaded, the first of them perhaps under way."""
        self._made: Lineup[Record] | Exception | None = None
        """The lineup of the one under way."""
        self._closing = False

    @property
    def halt(self) -> Halt:
        """Abandons the step in progress there."""
        return Halt(self._place.called, self._place.obeyed)

    @property
    def pid(self) -> int:
        """The system's number of the other process."""
        return self._place.pid

    def send(self, command: Command) -> None:
        """Pass a command on."""
        name, *given = command
        if name == "load":
            self._asked.append(given[0])
        with suppress(OSError):  # the process has just died, which `run` is about to find
            _send(self._place.line, *command)

    def close(self) -> None:
        """Have `run` return; the process ends at once, whatever it is doing."""
        self._closing = True
        self.send(_LEAVE)

    def run(self) -> None:
        """Listen until `close`."""
        while True:
            try:
                name, *told = pickle.loads(self._place.line.recv_bytes())
            except (EOFError, OSError):
                how = self._place.end()
                if self._closing:
                    return
                if not self._here:
                    self._tell.on_error(f"the process that takes the steps does not start: {how}", "")
                    return
                self._lose(how)
                continue
            try:
                getattr(self, f"_hear_{name}")(*told)
            except Exception as error:
                self._tell.on_error(f"{type(error).__name__}: {error}", traceback.format_exc())

    def _lose(self, how: str) -> None:
        """The other process is no more: end what it was doing, and have another one."""
        message = f"the process that took its steps has ended: {how}"
        self._here, self._place, self._made = False, self._place.another(), None
        if self._closing:  # asked for just now, of the one that was
            self.send(_LEAVE)
        refused = [*self._asked]
        self._asked.clear()
        for run in self.race.live if self.race is not None else ():
            run.state = "failed"
            run.history.events.append(Event(run.step, "failed", message))
            self._tell.on_end(run)
        self._tell.on_state("empty" if self.race is None else "finished")
        for experiment in refused:
            self._tell.on_refusal(experiment, RuntimeError(message))

    def _hear_here(self) -> None:
        self._here = True

    def _hear_state(self, state: DriveState) -> None:
        self._tell.on_state(state)
        if state == "loading":  # on both sides at once
            try:
                self._made = self._asked[0].lineup()
            except Exception as error:
                self._made = error

    def _hear_load(self, news: list[_News]) -> None:
        experiment, made, self._made = self._asked.popleft(), self._made, None
        if not isinstance(made, Lineup):
            self.race = None  # of the one that stands ready there nothing can be shown
            self._tell.on_refusal(experiment, made or RuntimeError("no lineup was made"))
            return
        self.race = made
        self.loads += 1
        self._take(news)
        self._tell.on_load(experiment, made)

    def _hear_refusal(self, error: Exception, trace: str) -> None:
        error.__cause__ = _Trace(trace)
        self._made = None
        self._tell.on_refusal(self._asked.popleft(), error)

    def _hear_news(self, turns: Turns, spectra_seconds: float, news: list[_News]) -> None:
        if self.race is not None:
            self.race.turns, self.race.spectra_seconds = turns, spectra_seconds
            self._take(news)

    def _hear_end(self, number: int) -> None:
        if self.race is not None:
            self._tell.on_end(self.race.runs[number])

    def _hear_fork(self, parted: int, step: int, damping: float, label: str, news: list[_News]) -> None:
        if self.race is None:
            return
        run = self.race.runs[parted]
        fork = Record(
            run.objective,
            run.optimizer,
            label=label,
            seed=run.history.seed,
            steps=run.steps,
            probes=run.probes,
            history=run.history.until(step, label),
        )
        fork.origin = Origin(run, step, damping)
        self.race.runs.append(fork)
        self._take(news)
        self._tell.on_fork(fork)

    def _hear_error(self, message: str, detail: str) -> None:
        self._tell.on_error(message, detail)

    def _take(self, news: list[_News]) -> None:
        assert self.race is not None
        for one in news:
            one.tell(self.race.runs[one.number])


class _Trace(Exception):
    """The traceback of an error in another process, as the cause that is shown above it here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"

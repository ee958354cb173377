"""Driving a race by commands from another thread or process: start, pause, step, stop, edit, fork."""

from __future__ import annotations

import queue
import traceback
from collections.abc import Callable
from typing import Any, Literal, Protocol

from torch import Tensor

from ngexplorer.cancellation import Cancelled
from ngexplorer.runs.experiment import Experiment
from ngexplorer.runs.history import Branch
from ngexplorer.runs.race import Race
from ngexplorer.runs.record import Lineup, Turns

DriveState = Literal["empty", "loading", "ready", "running", "paused", "finished", "stopped"]


class Number(Protocol):
    """A number that two threads, or two processes, look at."""

    value: int


class Held:
    """One that two threads look at."""

    def __init__(self) -> None:
        self.value = 0


class Halt:
    """Calls to abandon the step in progress, and how many of them have been obeyed. Those who call are one thread, who
    obeys is another."""

    def __init__(self, called: Number, obeyed: Number) -> None:
        self._called = called
        self._obeyed = obeyed

    def call(self) -> int:
        """Ask for it; returns which call it is."""
        self._called.value += 1
        return self._called.value

    def obey(self, call: int) -> None:
        """What that call was made for is done now."""
        self._obeyed.value = call

    def __call__(self) -> bool:
        """Whether a call has not been obeyed yet."""
        return self._called.value != self._obeyed.value


class Listener(Protocol):
    """Who is told what happens, in the thread that drives."""

    def on_load(self, experiment: Experiment, race: Lineup[Any]) -> None:
        """A new race stands ready, its first rows written."""

    def on_refusal(self, experiment: Experiment, error: Exception) -> None:
        """That experiment will not come; a SettingError where one of its settings cannot be."""

    def on_end(self, run: Any) -> None:
        """A run of the race diverged, failed or finished."""

    def on_fork(self, run: Any) -> None:
        """The race has a new run, its first step taken."""

    def on_state(self, state: DriveState) -> None:
        """How the race stands now."""

    def on_error(self, message: str, detail: str) -> None:
        """A message and a traceback: an error of the program itself."""

    def on_turn(self, rests: bool) -> None:
        """A command has been carried out or a step been taken; whether the next thing to do has to be asked for."""


Command = tuple[Any, ...]
"""The name of one of the `Commands`, and what it was given."""


class Commands:
    """What can be asked of a driver, wherever it is, from one thread."""

    def send(self, command: Command) -> None:
        """Pass a command on to the driver."""
        raise NotImplementedError

    @property
    def halt(self) -> Halt:
        """What has the driver abandon the step in progress."""
        raise NotImplementedError

    def load(self, experiment: Experiment) -> None:
        """Replace the race by a new one of this experiment; the step in progress is abandoned where it can be."""
        self.send(("load", experiment, self.halt.call()))

    def begin(self) -> None:
        """Start, or go on after a pause or stop."""
        self.send(("begin",))

    def pause(self) -> None:
        """Stop after the step in progress; nothing of it is lost."""
        self.send(("pause",))

    def step(self) -> None:
        """One step of every live run, then pause."""
        self.send(("step",))

    def stop(self) -> None:
        """Stop now: the step in progress is abandoned where it can be."""
        self.send(("stop", self.halt.call()))

    def edit(self, run: int, path: str, value: Any) -> None:
        """Change one setting of a run from its next step on."""
        self.send(("edit", run, path, value))

    def watch(self, matrices: frozenset[str]) -> None:
        """Have the spectra of these matrices recorded too, by their names."""
        self.send(("watch", matrices))

    def set_steps(self, steps: int) -> None:
        """Change how many steps each run may take."""
        self.send(("set_steps", steps))

    def set_turns(self, turns: Turns) -> None:
        """Change who is next."""
        self.send(("set_turns", turns))


class Driver:
    """Takes the steps of a race. Commands are queued and carried out between two steps, in order.

    A call of `halt` abandons the step in progress wherever its solver looks at the cancel function; in the middle of
    one dense factorization it waits for the end of it. `race_of` makes the race of an experiment.
    """

    def __init__(self, tell: Listener, halt: Halt, race_of: Callable[[Experiment], Race] = Experiment.race) -> None:
        self.race: Race | None = None
        self.halt = halt
        self.loads = 0
        """How many races there have been."""
        self._state: DriveState = "empty"
        self._tell = tell
        self._race_of = race_of
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._closing = False

    # From any thread.

    def send(self, command: Command) -> None:
        """Queue a command."""
        self._queue.put(command)

    def close(self) -> None:
        """Have `run` return, after the step in progress."""
        self._closing = True
        self.halt.call()
        self._queue.put(("pause",))

    # In the thread that drives.

    def run(self) -> None:
        """Do what is asked until `close`."""
        while not self._closing:
            try:
                self._turn()
            except Cancelled:
                continue
            except Exception as error:
                self._set_state("paused" if self.race else "empty")
                self._tell.on_error(f"{type(error).__name__}: {error}", traceback.format_exc())

    def _turn(self) -> None:
        """Carry out one command if there is one; else take a step, or sleep until a command comes."""
        try:
            name, *given = self._queue.get(block=self._rests)
        except queue.Empty:
            self._advance()
        else:
            getattr(self, f"_{name}")(*given)
        self._tell.on_turn(self._rests)

    @property
    def _rests(self) -> bool:
        """Whether it waits for a command."""
        return self._state != "running" or self.halt()

    def _advance(self) -> None:
        assert self.race is not None
        run = self.race.advance(self.halt)
        if run is None:
            self._set_state("finished")
        elif not run.live:
            self._tell.on_end(run)
            if not self.race.live:
                self._set_state("finished")

    def _load(self, experiment: Experiment, call: int) -> None:
        self.halt.obey(call)
        before = self._state if self.race else "empty"
        self._set_state("loading")
        try:
            race = self._race_of(experiment)
            race.begin()
        except Exception as error:
            self._set_state("paused" if before == "running" else before)
            self._tell.on_refusal(experiment, error)
            return
        self.race = race
        self.loads += 1
        self._tell.on_load(experiment, race)
        self._set_state("ready")

    def _begin(self) -> None:
        if self.race is not None:
            self._set_state("running" if self.race.live else "finished")

    def _pause(self) -> None:
        if self._state == "running":
            self._set_state("paused")

    def _step(self) -> None:
        if self.race is None:
            return
        self._set_state("running")
        for run in self.race.live:
            run_before = run.step
            while run.live and run.step == run_before and not self.halt():
                self.race.advance_run(run, self.halt)
            if not run.live:
                self._tell.on_end(run)
        self._set_state("paused" if self.race.live else "finished")

    def _stop(self, call: int) -> None:
        self.halt.obey(call)
        if self.race is not None and self._state in ("running", "paused", "ready"):
            self.race.stop()
            self._set_state("stopped")

    def _edit(self, number: int, path: str, value: Any) -> None:
        if self.race is not None:
            self.race.runs[number].edit(path, value)

    def _fork(self, load: int, number: int, branch: Branch, delta: Tensor, damping: float, matrix: str) -> None:
        """Put a fork of a run into the race of that load, if it still is the one; see `Run.fork`."""
        if self.race is None or load != self.loads:
            return
        fork = self.race.fork_at(self.race.runs[number], branch, delta, damping, matrix)
        self._tell.on_fork(fork)
        if self._state != "running":
            self._set_state("paused" if self.race.live else "finished")

    def _watch(self, matrices: frozenset[str]) -> None:
        if self.race is not None:
            self.race.spectra.watched = matrices

    def _set_steps(self, steps: int) -> None:
        if self.race is not None:
            self.race.set_steps(steps)
            if self._state == "finished" and self.race.live:
                self._set_state("paused")

    def _set_turns(self, turns: Turns) -> None:
        if self.race is not None:
            self.race.turns = turns

    def _set_state(self, state: DriveState) -> None:
        if state != self._state:
            self._state = state
            self._tell.on_state(state)

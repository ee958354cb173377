"""The two long-lived threads beside the window: the racer has steps taken, the analyst answers questions about them.

Both are told what to do through a queue and tell the window through signals, none of them per step.
"""

from __future__ import annotations

import itertools
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from PySide6.QtCore import QThread, Signal
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.runs.driver import Command, Commands, Driver, DriveState, Halt, Held
from ngexplorer.runs.experiment import Experiment
from ngexplorer.runs.record import Lineup, Record
from ngexplorer.runs.remote import Remote, Workplace

_SHARE = 0.1
"""Of the time that answers take while runs go on: the window draws meanwhile, and may not wait for the interpreter."""

_LEAST_REST, _LOOK = 0.005, 0.05
"""Seconds: a rest is no shorter, and in a longer one it looks so often whether the runs have ended."""


class Racer(QThread, Commands):
    """The thread that has the steps taken: by a driver in this very thread, or by one in a process of its own, from
    which it hears. Either does what is asked between two steps, in order.

    `stop` and `load` also abandon the step in progress wherever its solver looks at the cancel function; in the middle
    of one dense factorization they wait for the end of it, and `stopping` is true meanwhile.
    """

    race_loaded = Signal(object, object)
    """An Experiment, and the new Lineup of it, which stands ready, its first rows written."""
    load_failed = Signal(object, object)
    """The Experiment that will not come, and the error: a SettingError where one of its settings cannot be."""
    run_ended = Signal(object)
    """The Record of a run that diverged, failed or finished."""
    run_forked = Signal(object)
    """That of a new run of the race, its first step taken."""
    state_changed = Signal(str)
    broke = Signal(str, str)
    """A message and a traceback: an error of the program itself."""

    def __init__(self, work: Workplace | None = None) -> None:
        super().__init__()
        self.setObjectName("racer")
        self.race: Lineup[Any] | None = None
        self.state: DriveState = "empty"
        self._driver = Driver(self, Halt(Held(), Held())) if work is None else Remote(self, work)

    # Asked by the window, from its own thread.

    def send(self, command: Command) -> None:
        self._driver.send(command)

    @property
    def halt(self) -> Halt:
        return self._driver.halt

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for and the step in progress has not ended yet."""
        return self.halt()

    @property
    def pid(self) -> int | None:
        """The system's number of the process in which steps are taken; None: it is this one."""
        return self._driver.pid if isinstance(self._driver, Remote) else None

    def fork(self, run: Record, step: int, delta: Tensor, damping: float, matrix: str) -> None:
        """Put a fork of a run into the race; see `Run.fork`. Raises ValueError where θ of that step is not kept."""
        if self.race is not None and run in self.race.runs:
            number, branch = self.race.runs.index(run), run.history.branch(step)
            self.send(("fork", self._driver.loads, number, branch, delta, damping, matrix))

    def close(self) -> None:
        """Ask the thread to end; `wait()` for it."""
        self._driver.close()

    # In its own thread.

    def run(self) -> None:
        self._driver.run()

    def on_load(self, experiment: Experiment, race: Lineup[Any]) -> None:
        self.race = race
        self.race_loaded.emit(experiment, race)

    def on_refusal(self, experiment: Experiment, error: Exception) -> None:
        self.load_failed.emit(experiment, error)

    def on_end(self, run: Record) -> None:
        self.run_ended.emit(run)

    def on_fork(self, run: Record) -> None:
        self.run_forked.emit(run)

    def on_state(self, state: DriveState) -> None:
        self.state = state
        self.state_changed.emit(state)

    def on_error(self, message: str, detail: str) -> None:
        self.broke.emit(message, detail)

    def on_turn(self, rests: bool) -> None:
        """The window looks for itself."""


@dataclass(frozen=True)
class _Question:
    key: str
    generation: int
    work: Callable[[Cancel], Iterator[Any]]
    at_once: bool


class Analyst(QThread):
    """Answers the latest question of each kind; an older one of that kind is abandoned.

    A question is a function of a cancel function that yields answers, coarse first. A new one has its first answer
    as soon as the work under way asks whether it is cancelled, and before it goes on; those under way take turns:
    nobody's finest keeps another's coarsest waiting. While `busy` says that runs go on, it rests most of the time, at
    the same places, but for the first answer to a question that is to be answered at once: that rest comes after it.
    """

    answered = Signal(str, int, object)
    """The question's key, its generation, and an answer."""
    broke = Signal(str, str)

    def __init__(self, busy: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.setObjectName("analyst")
        self._busy = busy
        self._awake_since = 0.0
        self._generations = itertools.count(1)
        self._latest: dict[str, int] = {}
        self._waiting: dict[str, _Question] = {}
        self._under_way: deque[tuple[_Question, Iterator[Any]]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._working = False

    def ask(self, key: str, work: Callable[[Cancel], Iterator[Any]], *, at_once: bool = False) -> int:
        """Ask, `at_once` where a person has nothing of it before their eyes yet; returns the question's generation, by
        which its answers are known."""
        with self._changed:
            question = _Question(key, next(self._generations), work, at_once)
            self._latest[key] = question.generation
            self._waiting[key] = question
            self._changed.notify()
            return question.generation

    def is_latest(self, key: str, generation: int) -> bool:
        """Whether no newer question of that kind was asked: an answer to an older one is to be dropped."""
        return self._latest.get(key) == generation

    @property
    def idle(self) -> bool:
        """Whether there is nothing asked and unanswered."""
        with self._changed:
            return not self._waiting and not self._working

    def close(self) -> None:
        """Ask the thread to end; `wait()` for it."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def run(self) -> None:
        # Two torch threads beside the racer's would spin for the same cores.
        torch.set_num_threads(1)
        under_way = self._under_way
        while True:
            with self._changed:
                self._working = bool(under_way)
                while not self._waiting and not under_way and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                if not under_way:
                    self._awake_since = perf_counter()
                self._working = True
            self._take_up()
            if under_way:
                question, answers = under_way.popleft()
                if self._answer(question, answers):
                    under_way.append((question, answers))

    def _take_up(self) -> None:
        """Give every new question its first answer."""
        with self._changed:
            fresh = list(self._waiting.values())
            self._waiting.clear()
        for question in fresh:
            answers = self._begun(question)
            if self._answer(question, answers):
                self._under_way.append((question, answers))

    def _begun(self, question: _Question) -> Iterator[Any]:
        """The answers to a question, whose work begins when the first of them is asked for."""
        rests = not question.at_once

        def over() -> bool:
            return self._closing or not self.is_latest(question.key, question.generation)

        def cancelled() -> bool:
            if over():
                return True
            rest = (perf_counter() - self._awake_since) * (1 / _SHARE - 1)
            if rests and rest > _LEAST_REST:
                self._rest(rest, over)
            if self._waiting:
                with torch.enable_grad():  # whatever the work at hand has switched off
                    self._take_up()
            return over()

        for answer in question.work(cancelled):
            rests = True
            yield answer

    def _rest(self, seconds: float, over: Callable[[], bool]) -> None:
        """Sleep so long, as long as runs go on, the work is still wanted, and nothing new is asked."""
        until = perf_counter() + seconds
        with self._changed:
            while self._busy() and not over() and not self._waiting and (left := until - perf_counter()) > 0:
                self._changed.wait(min(left, _LOOK))
        self._awake_since = perf_counter()

    def _answer(self, question: _Question, answers: Iterator[Any]) -> bool:
        """Pass on one answer; returns whether there may be more."""
        try:
            if self._closing or not self.is_latest(question.key, question.generation):
                return False
            answer = next(answers)
            if self._closing or not self.is_latest(question.key, question.generation):
                return False
            self.answered.emit(question.key, question.generation, answer)
            return True
        except (Cancelled, StopIteration):
            return False
        except Exception as error:
            self.broke.emit(f"{type(error).__name__}: {error}", traceback.format_exc())
            return False

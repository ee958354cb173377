"""A question that a view puts to the analyst: where it has changed, at leisure while a race goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from PySide6.QtCore import QObject, Signal

from ngexplorer.cancellation import Cancel
from ngexplorer.gui.session import Session

_REST = 10
"""While a race goes on, the analyst rests so many times as long as the last answer took it."""
_LEAST = 1.0
"""And so many seconds at least."""

Work = Callable[[Cancel], Iterator[Any]]


class Inquiry(QObject):
    """One kind of question. An answer to an older one, or about the race before, is dropped."""

    answered = Signal(object)
    """An answer to the latest question."""

    def __init__(self, session: Session, key: str) -> None:
        super().__init__()
        self._session, self._key = session, key
        self._asked: Any = None
        self._race = 0
        self._generation = 0
        self._again_at = 0.0
        self._last: object = None
        """The work that was asked for last, while it is under way or waiting."""
        session.analyst.answered.connect(self._hear)
        session.race_changed.connect(self._new_race)

    def ask(self, question: Any, work: Work) -> None:
        """Ask, unless that is what was asked last, or the race that goes on should have its rest. Called at every
        frame, with what the answer depends on and a function that gives it, coarse first. Where there is nothing to see
        yet it is asked at once, whatever goes on."""
        session = self._session
        if question == self._asked:
            return
        first = self._asked is None
        if not first and session.state == "running" and (monotonic() < self._again_at or not session.analyst.idle):
            return
        self._asked = question

        def timed(cancel: Cancel) -> Iterator[Any]:
            took, answers = 0.0, work(cancel)
            try:
                while True:
                    began = monotonic()
                    answer = next(answers, None)
                    took += monotonic() - began
                    if answer is None:
                        return
                    yield answer
            finally:
                self._again_at = monotonic() + max(_LEAST, _REST * took)
                if self._last is work:
                    self._last = None

        self._again_at, self._last = monotonic() + _LEAST, work
        self._generation = session.analyst.ask(self._key, timed, at_once=first)

    @property
    def under_way(self) -> bool:
        """Whether the analyst has not finished with what was asked last."""
        return self._last is not None

    def forget(self) -> None:
        """Let go of what was asked: it is asked anew, and an answer on its way is dropped."""
        self._asked, self._generation, self._last = None, 0, None

    def _new_race(self) -> None:
        if self._race != self._session.generation:
            self._race = self._session.generation
            self.forget()

    def _hear(self, key: str, generation: int, answer: Any) -> None:
        if key == self._key and generation == self._generation:
            self.answered.emit(answer)

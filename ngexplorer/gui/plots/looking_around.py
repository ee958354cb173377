"""What a run sees from where it stands, asked of the analyst while the race rests, and what became of the question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from PySide6.QtCore import QObject, Signal

from ngexplorer.analysis import neighbourhood as around
from ngexplorer.analysis.neighbourhood import Neighbourhood
from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives import Point

PATIENCE = 8.0
"""Seconds that it may take without being asked for by a button."""
_QUESTION, _LANDING = "local model", "local landing"


class LookingAround(QObject):
    """One question at a time, from one step of one run; answers about another one are dropped."""

    changed = Signal()
    """There is an answer, or a reason why there is none."""
    arrived = Signal()
    """There is another neighbourhood, or more of it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.found: Neighbourhood | None = None
        self.reason = ""
        """Why there is nothing to see"""
        self.costly = 0.0
        """Seconds that it would take, where that is too long to begin unasked; else 0"""
        self.share = 0.0
        """How far the work at hand is"""
        self.loss: float | None = None
        """What comes of the step that was asked about last, once that is known"""
        self.moved = False
        """Whether the next answer is about another place than the one before"""
        self._asked: Any = None
        self._permitted: Any = None
        self._wanted: Any = None
        self._generation = self._landing = 0
        self._point: tuple[Any, Point] | None = None
        """The point that was looked at last, with all that was computed there; the analyst's alone."""
        session.analyst.answered.connect(self._answered)

    def forget(self) -> None:
        """Of a new race nothing is known, and what is on its way is about the one before."""
        self.found = self.loss = self._asked = self._permitted = self._wanted = self._point = None
        self.reason, self.costly, self.share = "", 0.0, 0.0
        self._generation = self._landing = 0

    @property
    def settled(self) -> bool:
        """Whether all that was asked is answered."""
        whole = self.found is not None and self.found.done == 1 and self.loss is not None
        return (whole or bool(self.reason or self.costly)) and self._session.analyst.idle

    def ask(self, shown: Shown, of: str, aspect: float) -> None:
        """Look from the run's current step, along the path of a matrix, for a picture of that aspect, unless that was
        asked already or the race is on, which it would slow down."""
        session, run = self._session, shown.run
        if session.state in ("running", "loading") or not len(shown.history):
            return
        number = session.runs.index(shown)
        _, at = shown.history.parameters(session.step_of(shown))
        place = (session.generation, number, of, at)
        question = (place, aspect, run.optimizer, len(shown.history) > at + 1)
        if question == self._asked:
            return
        cost = around.seconds(run.objective)
        if cost > PATIENCE and self._permitted != place:
            if self._wanted != place:
                self._wanted, self.costly, self.reason = place, cost, ""
                self.found = self.loss = self._asked = None
                self._generation = 0
            return
        before = None if self._asked is None else self._asked[0]
        if before is None or before[:3] != place[:3]:
            self.found = self.loss = None  # of another run or matrix: it would be taken for this one's
        self.moved = self.moved or before != place
        self._asked, self._wanted = question, place
        self.reason, self.costly, self.share = "", 0.0, 0.0

        def answers(cancel: Cancel) -> Iterator[Any]:
            try:
                stand = around.standpoint(run, at)
                if self._point is None or self._point[0] != (run, at):
                    theta = torch.as_tensor(stand.theta).to(run.objective.initial_parameters)
                    self._point = ((run, at), run.objective.at(theta))
                point = self._point[1]
                point.watch = Watch(cancel, self._tell)
                yield from around.look_around(stand, point, of, aspect)
            except (ValueError, ArithmeticError, torch.linalg.LinAlgError) as error:
                yield str(error)

        self._generation = session.analyst.ask(_QUESTION, answers)

    def permit(self) -> None:
        """Begin, however long it takes."""
        self._permitted = self._wanted
        self.changed.emit()

    def ask_landing(self, here: Neighbourhood, damping: float) -> None:
        """Ask what comes of δ(λ)."""
        self.loss = None
        if self._session.state not in ("running", "loading"):
            self._landing = self._session.analyst.ask(_LANDING, lambda cancel: around.landing(here, damping, cancel))

    def _tell(self, share: float) -> None:
        self.share = share

    def _answered(self, key: str, generation: int, answer: Any) -> None:
        if key == _LANDING and generation == self._landing:
            self.loss = answer
            self.changed.emit()
        elif key == _QUESTION and generation == self._generation:
            if isinstance(answer, str):
                self.found, self.reason = None, answer
                self.changed.emit()
            else:
                self.found = answer
                self.arrived.emit()

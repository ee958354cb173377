"""Spectra between those that a race has recorded, asked of the analyst at saved snapshots while the race rests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from PySide6.QtCore import QObject, Signal

from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.curvature.base import Curvature
from ngexplorer.gui.plots.inquiry import Inquiry
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs import probes
from ngexplorer.runs.spectrum import Spectrum

_MOST, _MOST_DENSITIES = 32, 8
"""At so many steps along a run, and at so many where a spectrum is a density, which takes longer; and at its last."""


class SpectraBetween(QObject):
    """Coarse first: at the start, half way, at the quarters. What was found of a race is kept as long as it."""

    arrived = Signal()
    """There is one more."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._found: dict[tuple[int, str], dict[int, Spectrum]] = {}
        """By the number of the run and the matrix, then by the step."""
        self._race = session.generation
        self._asked: Any = None
        self._remaining = Remaining()
        self.inquiry = Inquiry(session, "spectra between")
        self.inquiry.answered.connect(self._hear)
        session.race_changed.connect(self._new_race)

    def found(self, shown: Shown, matrix: str) -> list[Spectrum]:
        """Those of a run's matrix, in the order in which they came."""
        return list(self._found.get((shown.number, matrix), {}).values())

    @property
    def words(self) -> str:
        """How long it will still take, where that is worth telling."""
        return self._remaining.words if self.inquiry.under_way else ""

    def ask(self, shown: Shown, matrix: str) -> None:
        """Look for a run's spectra of a matrix through all its steps, unless that was asked last or the race is on."""
        session, history = self._session, shown.history
        if session.state in ("running", "loading") or not len(history):
            return
        place = (shown.number, matrix)
        recorded = {spectrum.step for spectrum in list(history.spectra) if spectrum.matrix == matrix}
        question = (session.generation, place, shown.run.step, len(recorded))
        if question == self._asked:
            return
        self._asked = question
        objective = shown.run.objective
        part: Any = shown.run.optimizer.curvature
        kind: type[Curvature] = part.kind if part.__struct_config__.tag == matrix else probes.MATRICES[matrix]
        snapshots = history.snapshots.until(shown.run.step, _MOST if probes.exact(objective) else _MOST_DENSITIES)
        # The places that many twos divide come first: they lie the furthest apart.
        order = sorted(range(len(snapshots)), key=lambda at: (at & -at) or len(snapshots), reverse=True)
        known = recorded | self._found.get(place, {}).keys()
        wanted = [snapshots[at] for at in order if snapshots[at][0] not in known]
        dampings = {step: history.value("damping", min(step + 1, len(history) - 1)) for step, _ in wanted}
        remaining = self._remaining = Remaining()

        def answers(cancel: Cancel) -> Iterator[Any]:
            for done, (step, theta) in enumerate(wanted, 1):
                point = objective.at(torch.as_tensor(theta).to(objective.initial_parameters))
                point.watch = Watch(cancel)
                # Where θ is not finite there is none, which is no reason to leave out the others.
                with suppress(ValueError, ArithmeticError, torch.linalg.LinAlgError):
                    yield place, probes.look(point, kind, step, dampings[step])
                remaining.tell(done / len(wanted))

        self.inquiry.ask(question, answers)

    def _hear(self, answer: Any) -> None:
        place, spectrum = answer
        self._found.setdefault(place, {})[spectrum.step] = spectrum
        self.arrived.emit()

    def _new_race(self) -> None:
        if self._race != self._session.generation:
            self._race = self._session.generation
            self._found.clear()

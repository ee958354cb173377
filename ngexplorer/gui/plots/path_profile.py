"""The profile of a run's path: the true loss along it, and the loss that the plane shows under it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ngexplorer.analysis.planes import Array, Plane
from ngexplorer.analysis.profiles import Profile, profile
from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.plots.axes import Frame, compact, logarithm
from ngexplorer.gui.plots.chosen_plane import stacked
from ngexplorer.gui.plots.lines import Line, Lines, pen
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs.history import History

_QUESTION = "trajectory profile"
_POINTS, _RUNNING = 200, 50
"""At most so many points of the path are looked at; while runs go on the processor is theirs."""
_PAUSE = 1.5
"""Seconds between two looks at the path while runs go on."""
_LEAST = QSize(160, 72)
"""The smallest plot in which something can be seen, pixels."""

_MEANING = (
    "The loss along the run's path, and the loss at the points of the plane that are nearest to it:\n"
    "what the picture shows under the path. Where they part, the picture says little of the run."
)


class PathProfile(QWidget):
    """A small plot, its words above it, and what it asks for."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.frame = Frame(session.theme)
        self.frame.setMinimumSize(_LEAST)
        self.frame.count_along(True)
        self.frame.view.setMouseEnabled(x=False, y=False)
        self.words = Elided()
        self.words.setObjectName("muted")
        self.words.setFont(themes.font(12))
        self.lines = Lines()
        self.frame.addItem(self.lines, ignoreBounds=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.words)
        column.addWidget(self.frame, 1)
        self.found: Profile | None = None
        self.steps: list[int] = []
        self._of: tuple[History, Plane] | None = None
        self._asked: Any = None
        self._asked_at = -math.inf
        self._generation = 0
        self.halted = threading.Event()
        """Set where what is being computed is not wanted any more."""

    def rest(self) -> None:
        """Compute nothing more."""
        self.halted.set()
        self._asked = None

    def forget(self) -> None:
        """Drop what belongs to another race."""
        self.found, self._of, self._asked, self._generation = None, None, None, 0
        self.halted.set()

    def ask(self, shown: Shown, plane: Plane) -> None:
        """Have the losses along a run's path computed, up to its latest step."""
        running = self.session.state == "running"
        path = shown.history.snapshots.until(shown.run.step, _RUNNING if running else _POINTS)
        last = path[-1][0] if path else 0
        same = self._asked is not None and self._asked[0] is shown.history and self._asked[1] is plane
        rests = running and monotonic() - self._asked_at < _PAUSE
        if not path or rests or (same and self._asked[2:] == (len(path), last)):
            return
        first = self._of is None or self._of[0] is not shown.history
        self._asked_at = monotonic()
        self._asked = (shown.history, plane, len(path), last)
        self.halted.set()
        halted = self.halted = threading.Event()
        objective = shown.run.objective

        def answers(cancel: Cancel) -> Iterator[tuple[History, Plane, list[int], Profile]]:
            steps = [step for step, _ in path]
            for found in profile(objective, plane, stacked(path), lambda: cancel() or halted.is_set()):
                yield shown.history, plane, steps, found

        self._generation = self.session.analyst.ask(_QUESTION, answers, at_once=first)

    def take(self, key: str, generation: int, answer: Any) -> bool:
        """Take an answer; whether it was one to this."""
        if key != _QUESTION or generation != self._generation:
            return False
        history, plane, self.steps, self.found = answer
        self._of = (history, plane)
        return True

    def knows(self, shown: Shown, plane: Plane) -> Profile | None:
        """What is known of a run's path on a plane."""
        same = self._of is not None and self._of[0] is shown.history and self._of[1] is plane
        return self.found if same else None

    def draw(self, shown: Shown, plane: Plane, at: int) -> None:
        """Draw what is known of a run's path on a plane, marked at a step."""
        # While runs go on the plane is fitted anew so often that its profile is always a little behind.
        found = self.found if self._of is not None and self._of[0] is shown.history else None
        if found is None:
            self.lines.show_lines([])
            self.words.setText(f"Loss along the path of {shown.label}…")
            return
        known = ~np.isnan(found.loss) | ~np.isnan(found.plane_loss)
        steps, true, beside = np.array(self.steps, float)[known], found.loss[known], found.plane_loss[known]
        log = _wide(np.concatenate((true, beside)))
        self.frame.set_log(y=log)
        heights = [logarithm(values) if log else values for values in (true, beside)]
        theme = self.session.theme
        colour = self.session.line_colour(shown)
        here = np.searchsorted(steps, at, side="right") - 1
        dots = np.array([[steps[here], heights[0][here]]]) if here >= 0 else None
        self.lines.show_lines(
            [
                Line(steps, heights[1], pen(QColor(theme.text), 1.2, Qt.PenStyle.DotLine)),
                Line(steps, heights[0], pen(colour, 1.8), dots, below=steps[true <= 0] if log else None),
            ]
        )
        values = np.concatenate(heights)
        values = values[np.isfinite(values)]
        if len(values):
            self.frame.release()
            self.frame.fit(0.0, max(float(steps[-1]), 1.0), float(values.min()), float(values.max()), growing=False)
        behind = "" if self.knows(shown, plane) is not None else " a moment ago"
        self.words.setText(f"— true ┄ plane{behind}: {self._apart()}")
        self.words.setToolTip(f"{shown.label}. {_MEANING}")

    def _apart(self) -> str:
        """By how much the two differ at most, and where."""
        assert self.found is not None
        gaps = np.abs(self.found.plane_loss - self.found.loss)
        if np.isnan(gaps).all():
            return "…"
        worst = int(np.nanargmax(gaps))
        gap = float(gaps[worst])
        scale = max(float(np.nanmax(np.abs(self.found.loss))), 1e-300)
        if gap <= 1e-9 * scale:
            return "the same"
        return f"≤ {compact(gap)} apart (step {self.steps[worst]})"


def _wide(losses: Array) -> bool:
    """Whether losses go over more than a decade, none of them negative: a logarithmic axis shows them all."""
    above = losses[losses > 0]
    return bool(len(above) and (losses >= 0).all() and losses.max() > 10 * losses.min())

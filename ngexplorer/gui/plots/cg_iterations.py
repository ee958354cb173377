"""What conjugate gradient went through in a step: the quadratic model's value and the residual, by iteration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ngexplorer.analysis.cg_iterations import Iterations
from ngexplorer.analysis.step_iterations import step_iterations
from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import caption
from ngexplorer.gui.plots.axes import Frame, logarithm
from ngexplorer.gui.plots.lines import Line, Lines, pen
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.pictured import Pictured
from ngexplorer.gui.plots.view import more_button
from ngexplorer.gui.session import Session, Shown

_HEIGHT = 104
_QUESTION = "cg iterations"
_NAMES = ("M(d) − M(0), with damping and – – without", "‖(B + λI)d + ∇h‖ / ‖∇h‖")


class CGIterations(QWidget, Pictured):
    """Two curves over the same iterations, the model above the residual, and a mark where the solver stopped."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.iterations: Iterations | None = None
        """Of the step that is shown, as far as they are known."""
        self._shown: tuple[Shown, int] | None = None
        self._asked: Any = None
        self._generation = 0
        self._colour = themes.SKY
        self.note = QLabel()
        self.note.setObjectName("muted")
        self.note.setFont(themes.font(11))
        self.note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(themes.GRID // 2)
        button, menu = more_button(session, "Pictures of the iterations")
        self.add_pictures(menu)
        head = QHBoxLayout()
        head.addWidget(caption("Conjugate gradient"), 1)
        head.addWidget(button)
        self.more = button
        column.addLayout(head)
        column.addWidget(self.note)
        self._frames = [Frame(session.theme), Frame(session.theme)]
        self.lines = [Lines(), Lines()]
        self.titles: list[QLabel] = []
        for frame, lines, name in zip(self.frames, self.lines, _NAMES, strict=True):
            title = QLabel(name)
            title.setObjectName("muted")
            title.setFont(themes.font(11))
            column.addWidget(title)
            column.addWidget(frame)
            frame.setFixedHeight(_HEIGHT)
            frame.addItem(lines, ignoreBounds=True)
            frame.count_along(True)
            frame.setMouseEnabled(False, False)
            self.titles.append(title)
        self.frames[1].set_log(y=True)
        session.analyst.answered.connect(self._answered)
        session.theme_changed.connect(self._restyle)

    def show_step(self, shown: Shown, number: int) -> None:
        """Draw the iterations of a run's step: they are asked for where the race rests, and drawn as they come."""
        session = self.session
        question = (session.generation, session.runs.index(shown), number)
        self._colour, self._shown = shown.colour, (shown, number)
        if question == self._asked:
            return
        self._asked, self.iterations, self._generation = None, None, 0
        if session.state in ("running", "loading"):
            self._say("Its iterations are gone through again once the race rests.")
            return
        self._asked = question
        self._say("Going through its iterations again…", waiting=True)
        run = shown.run
        objective, optimizer, history = run.objective, run.optimizer_of(number), run.history

        def answers(cancel: Cancel) -> Iterator[Iterations | str]:
            try:
                yield from step_iterations(objective, optimizer, history, number, Watch(cancel))
            except ValueError as error:
                yield f"The iterations cannot be gone through again: {error}."

        self._generation = session.analyst.ask(_QUESTION, answers)

    def _answered(self, key: str, generation: int, answer: Any) -> None:
        if key != _QUESTION or generation != self._generation:
            return
        if isinstance(answer, str):
            self._say(answer)
            return
        self.iterations = answer
        self.draw()

    def _say(self, text: str, *, waiting: bool = False) -> None:
        """What to read where there is nothing to draw; while waiting, the empty plots keep their place."""
        self.note.setText(text)
        for lines in self.lines:
            lines.show_lines([])
        widgets: list[QWidget] = [*self.frames, *self.titles]
        for widget in widgets:
            widget.setVisible(waiting)
        self.more.setEnabled(False)

    def draw(self) -> None:
        """Draw the iterations, as far as they are known."""
        found, theme = self.iterations, self.session.theme
        if found is None:
            return
        widgets: list[QWidget] = [*self.frames, *self.titles]
        for widget in widgets:
            widget.setVisible(True)
        self.more.setEnabled(True)
        count = len(found.models) - 1
        self.note.setText(f"{count} iterations, stopped by {found.reason}" if found.reason else f"{count} iterations…")
        along = np.arange(count + 1, dtype=float)
        colour = themes.line_colour(self._colour, theme)
        residuals = logarithm(found.residuals)
        curves = (
            [
                Line(along, found.models, pen(colour, 1.8)),
                Line(along, found.undamped, pen(colour, 1.2, Qt.PenStyle.DashLine)),
            ],
            [Line(along, residuals, pen(colour, 1.8))],
        )
        heights = (np.concatenate((found.models, found.undamped)), residuals)
        for frame, lines, drawn, height in zip(self.frames, self.lines, curves, heights, strict=True):
            finite = height[np.isfinite(height)]
            low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
            if high - low < 1e-12 * max(abs(high), 1e-300):
                low, high = low - 0.5, high + 0.5
            edge = 0.08 * (high - low)
            stop = []
            if found.stop is not None:
                ends = np.array([low - edge, high + edge])
                stop = [Line(np.full(2, float(found.stop)), ends, pen(QColor(theme.marker), 1, Qt.PenStyle.DashLine))]
            lines.show_lines([*stop, *drawn])
            frame.release()
            frame.fill(-0.02 * count, max(1.02 * count, 1.0), low - edge, high + edge, square=False)

    def _restyle(self) -> None:
        for frame in self.frames:
            frame.dress(self.session.theme)
        self.draw()

    # Pictures.

    @property
    def frames(self) -> list[Frame]:
        return self._frames

    @property
    def caption(self) -> str:
        if self._shown is None:
            return "Conjugate gradient"
        shown, number = self._shown
        return f"Conjugate gradient in step {number:,} of {shown.label} · {self.note.text()}"

    @property
    def entries(self) -> list[Entry]:
        colour = themes.line_colour(self._colour, self.session.theme)
        return [
            Entry("with damping", colour, Qt.PenStyle.SolidLine),
            Entry("without damping", colour, Qt.PenStyle.DashLine),
        ]

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        return [("iteration", "M(d) − M(0)"), ("iteration", _NAMES[1])]

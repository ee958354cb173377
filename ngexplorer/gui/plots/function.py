"""The model's function at the current time: decisions, fits, single cases, or its steps as distances of distributions,
whichever fits the objective."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from PySide6.QtGui import QColor

from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots import step_lengths
from ngexplorer.gui.plots.function_modes import MODES, Canvas, Look, Mode
from ngexplorer.gui.plots.inquiry import Inquiry
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.plots.view import View, more_button
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives import Objective
from ngexplorer.objectives.landscapes import LandscapeNetwork

_TITLES = (*(mode.title for mode in MODES), step_lengths.TITLE)
_SNAPSHOTS = 100_000


class FunctionView(View):
    """One run's function, in the first of the ways that fit its objective until a person chooses another of them."""

    behind = "spectrum"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Function")
        self.run = RunChoice(session, "Run whose function is shown")
        self.mode = Choice(list(enumerate(_TITLES)))
        self.mode.setAccessibleName("What is shown of the function")
        button, menu = more_button(session, "Pictures of the function")
        self.add_pictures(menu)
        # Its controls leave the head no room for words.
        self.head.removeWidget(self.subtitle)
        self.head.addStretch(1)
        self.head.addStrut(26)
        self.title.ensurePolished()  # only then its type is known
        self.title.setMinimumWidth(self.title.sizeHint().width())
        for widget in (self.run, self.mode, button):
            self.head.addWidget(widget)
        self.column.insertWidget(1, self.subtitle)
        self.canvas = Canvas(self.frame)
        self.answer: Any = None
        self.at = 0
        """The step that the answer is of."""
        self._refusals: list[str] = []
        self._drawn_mode = -1
        self.run.changed.connect(self._another_run)
        self.mode.activated.connect(self._refit)
        self.inquiry = Inquiry(session, "function")
        self.inquiry.answered.connect(self._answered)

    # What is shown.

    @property
    def chosen(self) -> Mode | None:
        """The way to look at the function; None: at the steps between distributions, if at anything."""
        number = self.mode.currentIndex()
        return MODES[number] if number < len(MODES) else None

    @property
    def _image(self) -> tuple[int, int] | None:
        raced = self.session.raced
        return None if raced is None else raced.data.traits.image

    @property
    def fits(self) -> bool:
        """Whether what is chosen can be shown of this objective."""
        return bool(self._refusals) and not self._refusals[self.mode.currentIndex()]

    def _another_run(self) -> None:
        """Another run, perhaps of another objective: offer what fits it."""
        shown = self.run.chosen
        self.answer = None
        self.inquiry.forget()
        self._refusals = [] if shown is None else self._examined(shown.run.objective)
        if self._refusals:
            self.mode.refuse([reason or None for reason in self._refusals])
            fitting = [number for number, reason in enumerate(self._refusals) if not reason]
            if fitting and self.mode.currentIndex() not in fitting:
                self.mode.setCurrentIndex(fitting[0])
        self._refit()

    def _examined(self, objective: Objective) -> list[str]:
        if isinstance(objective.model, LandscapeNetwork):
            of_function = ["A test function has no inputs to draw it over"] * len(MODES)
        else:
            of_function = [mode.refusal(objective, self._image) for mode in MODES]
        return [*of_function, step_lengths.refusal(objective)]

    def _refit(self) -> None:
        self.answer = None
        self.inquiry.forget()
        self.frame.release()
        self.invalidate()

    def _ask(self) -> None:
        shown, session = self.run.chosen, self.session
        if shown is None or not self.fits or not self.seen or session.state == "loading":
            return
        if not len(shown.history.snapshots):
            return
        running = session.state == "running"
        place = (session.generation, self.run.number, self.mode.currentIndex(), running)
        objective, mode, history = shown.run.objective, self.chosen, shown.history
        if mode is None:
            if len(history) < 2:
                return
            path = history.snapshots.until(shown.run.step, _SNAPSHOTS)

            def measured(cancel: Cancel) -> Iterator[Any]:
                for answer in step_lengths.lengths(objective, path, cancel, coarse=running):
                    yield path[-1][0], answer

            if len(path) > 1:
                self.inquiry.ask((*place, path[-1][0]), measured)
            return
        theta, step = history.parameters(session.step_of(shown))

        def answers(cancel: Cancel) -> Iterator[Any]:
            point = objective.at(torch.as_tensor(theta).to(objective.initial_parameters), Watch(cancel))
            for answer in mode.answers(point, running):
                yield step, answer

        self.inquiry.ask((*place, step), answers)

    def _answered(self, answer: Any) -> None:
        self.at, self.answer = answer
        self.invalidate()

    def fingerprint(self) -> Any:
        self._ask()
        shown = self.run.chosen
        step = self.session.step_of(shown) if shown is not None and self.chosen is None else 0
        return (id(self.answer), step, self.session.state, self.width() // 16, self.height() // 16)

    # Drawing.

    def draw(self) -> None:
        shown, answer = self.run.chosen, self.answer
        drawable = shown is not None and answer is not None and self.fits
        self.say("" if drawable else self._why_empty(shown))
        if not drawable or shown is None:
            self.canvas.clear()
            self.subtitle.setText("")
            return
        number, mode, theme = self.mode.currentIndex(), self.chosen, self.session.theme
        if number != self._drawn_mode:
            self._drawn_mode = number
            self.canvas.clear()
            self.frame.set_log(y=mode is None)
            self.frame.count_along(mode is None)
        colour = themes.line_colour(shown.colour, theme)
        if mode is None:
            step = self.session.step_of(shown)
            said = step_lengths.draw(self.frame, self.canvas.lines, answer, step, colour, theme)
            self._say_of(f"step {step:,}", said)
            return
        self.frame.show_axes(mode.axes)
        said = mode.draw(self.canvas, shown.run.objective, answer, Look(self._image, colour, theme))
        self._say_of(f"step {self.at:,}", said)

    def _say_of(self, place: str, said: str) -> None:
        self.subtitle.setText(f"{place} · {said}")

    def _why_empty(self, shown: Shown | None) -> str:
        session = self.session
        if shown is None:
            return "Loading the data…" if session.state == "loading" else "No run yet"
        if not self.fits:
            return self._nothing_fits()
        if self.chosen is None and len(shown.history) < 2:
            return "The first step is still to come"
        return "Looking at the model…"

    def _nothing_fits(self) -> str:
        reasons = list(dict.fromkeys(reason for reason in self._refusals if reason))
        if all(self._refusals):
            return "Nothing can be drawn of this objective's function.\n" + "\n".join(f"{why}." for why in reasons)
        return f"{self._refusals[self.mode.currentIndex()]}."

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        return [("step", "KL and ½δᵀFδ in nats a case, ‖δ‖") if self.chosen is None else self.chosen.named]

    @property
    def entries(self) -> list[Entry]:
        shown = self.run.chosen
        if shown is None:
            return []
        return [Entry(shown.label, QColor(themes.line_colour(shown.colour, self.session.theme)), shown.style)]

    @property
    def caption(self) -> str:
        return f"{self.mode.currentText()} · {self.subtitle.text()}"

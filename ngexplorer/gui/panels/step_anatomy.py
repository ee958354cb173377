"""Step anatomy: the step of a run at the current time, in words and numbers, from its record alone."""

from __future__ import annotations

import html
import math
import re
from bisect import bisect_left, bisect_right
from time import monotonic
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QToolButton, QVBoxLayout, QWidget

from ngexplorer.analysis.step_anatomy import anatomy, formulas, record
from ngexplorer.analysis.step_iterations import used
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.cg_iterations import CGIterations
from ngexplorer.gui.plots.curves import title_of
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.session import Session, Shown
from ngexplorer.optimizers import Optimizer, Rejection, Step, parts

_LIVE = 0.15
"""Seconds between two steps that are shown while a race goes on: faster than that nobody reads."""
_MARTENS = "Martens 2020, "
_DIGITS = r"[−+]?\d[\d,]*(?:\.\d+)?(?:e[−+]?\d+)?\b"
_NUMBER = re.compile(rf"(?:ρ\u00a0=\u00a0)?(?<![\w.]){_DIGITS}(?: → {_DIGITS})?")


class StepAnatomy(QFrame):
    """What was promised and what came, whether the model is trusted for it, which trials were rejected and why, and
    each number with its formula."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.run = RunChoice(session, "Run whose step is taken apart", modelled=True)
        self.place = QLabel()
        self.place.setObjectName("muted")
        self.place.setFont(themes.font(12))
        self.earlier = self._jump("Go back to the step before that rejected a trial")
        self.later = self._jump("Go on to the next step that rejected a trial")
        self.origin = self._jump("")
        self.origin.clicked.connect(lambda: self._go(self._taken_from))
        self._taken_from: int | None = None
        """The step before the one that is shown: where it was taken."""
        self.earlier.clicked.connect(lambda: self._go(self._rejecting[0]))
        self.later.clicked.connect(lambda: self._go(self._rejecting[1]))
        self._rejecting: tuple[int | None, int | None] = (None, None)
        """The nearest steps before and after this one that rejected a trial."""
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.trials = Trials()
        self.facts = Facts()
        self.iterations = CGIterations(session)
        self.source = QLabel("§ of Martens 2020, “New insights and perspectives on the natural gradient method”")
        self.source.setObjectName("muted")
        self.source.setFont(themes.font(11))
        self.source.setWordWrap(True)
        place = QHBoxLayout()
        place.setSpacing(2)
        place.addWidget(self.place, 1)
        place.addWidget(self.origin)
        place.addWidget(self.earlier)
        place.addWidget(self.later)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(themes.GRID)
        column.addWidget(self.run)
        column.addLayout(place)
        for widget in (self.words, self.trials, self.facts, self.source, self.iterations):
            column.addWidget(widget)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inside)
        around = QVBoxLayout(self)
        around.setContentsMargins(12, 2, 4, 8)
        around.addWidget(scroll)
        self._drawn: Any = None
        self._drawn_at = -math.inf
        session.theme_changed.connect(self._dress)
        self._dress()

    def _jump(self, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName("quiet")
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setIconSize(QSize(14, 14))
        return button

    def _dress(self) -> None:
        theme = self.session.theme
        buttons = ((self.origin, "search"), (self.earlier, "chevron-left"), (self.later, "chevron-right"))
        for button, name in buttons:
            button.setIcon(themes.icon(name, theme.text if button.isEnabled() else theme.hairline))

    def _go(self, step: int | None) -> None:
        if step is not None:
            self.session.set_time(step)

    def pull(self) -> None:
        """Show the current step, if another one is shown and any of it can be seen."""
        session = self.session
        if self.visibleRegion().isEmpty():
            return
        shown = self.run.chosen
        running = session.state == "running"
        if running and session.time is None and monotonic() - self._drawn_at < _LIVE:
            return
        history = None if shown is None else shown.history
        now = (
            session.generation,
            session.theme.name,
            session.state if not running else "",
            self.run.number,
            0 if shown is None else session.step_of(shown),
            0 if history is None else (len(history.rejections), len(history.events), len(history) > 0),
        )
        if now == self._drawn:
            return
        self._drawn, self._drawn_at = now, monotonic()
        self._draw(shown)

    def _draw(self, shown: Shown | None) -> None:
        number = 0 if shown is None else self.session.step_of(shown)
        self._place(shown, number)
        taken = shown is not None and number > 0
        self.source.setVisible(taken)
        if shown is None or not taken:
            self.words.setText(self._paragraphs(self._before(shown), self._ending(shown, number)))
            for widget in (self.trials, self.facts, self.iterations):
                widget.hide()
            return
        step, optimizer = record(shown.history, number), shown.run.optimizer_of(number)
        said = list(anatomy(step, optimizer, number).words)
        said += [
            f"took {compact(1e3 * step.step_seconds)} ms, the work of {_gradients(step.step_gradient_equivalents)}"
        ]
        said += [
            f"before it, a setting was changed: {event.message}"
            for event in shown.history.events
            if event.kind == "edit" and event.step == number - 1
        ]
        self.words.setText(self._paragraphs(said, self._ending(shown, number)))
        self.trials.show_trials(shown.history.rejections.get(number, ()), step, optimizer)
        self.facts.show_step(step, optimizer)
        self.iterations.setVisible(used(step))
        if used(step):
            self.iterations.show_step(shown, number)

    def _place(self, shown: Shown | None, number: int) -> None:
        """Which step it is, and the ways to those that rejected trials."""
        rejecting = [] if shown is None else list(shown.history.rejections)
        before, after = bisect_left(rejecting, number), bisect_right(rejecting, number)
        self._rejecting = (
            rejecting[before - 1] if before else None,
            rejecting[after] if after < len(rejecting) else None,
        )
        for button, step in zip((self.earlier, self.later), self._rejecting, strict=True):
            button.setEnabled(step is not None)
            button.setVisible(bool(rejecting))
        self._taken_from = number - 1 if number > 0 else None
        tip = f"Go to step {number - 1:,}, from where this one was taken: the local model shows it there"
        self.origin.setToolTip(tip)
        self.origin.setAccessibleName(tip)
        self.origin.setVisible(number > 0)
        self._dress()
        count = len(rejecting)
        rejected = f" · {count:,} step{'s' * (count != 1)} with rejected trials" if count else ""
        self.place.setText(f"step {number:,}{rejected}" if shown is not None else "")

    def _before(self, shown: Shown | None) -> list[str]:
        """What to say while there is no step to speak of."""
        if shown is None:
            return ["loading the data…" if self.session.state == "loading" else "no run yet"]
        return ["this is where it starts: the first step is taken apart once it is taken"]

    def _ending(self, shown: Shown | None, number: int) -> list[str]:
        """How the run ended, at its last step."""
        if shown is None or number < shown.run.step:
            return []
        return [event.message for event in shown.history.events if event.kind in ("diverged", "failed")]

    def _paragraphs(self, said: list[str], ending: list[str]) -> str:
        """One line for each thing that is said, its numbers in bold, rejections and the end in colours of their own."""
        theme = self.session.theme
        lines = []
        for text in said:
            marked = _NUMBER.sub(
                lambda found: f"<b>{found.group()}</b>", html.escape(_minus(text).replace("ρ = ", "ρ\u00a0=\u00a0"))
            )
            warned = "rejected" in text or text.startswith(("no step", "the loss is not finite"))
            lines.append(_coloured(_sentence(marked), theme.warning) if warned else _sentence(marked))
        lines += [_coloured(_sentence(html.escape(text)), theme.error) for text in ending]
        return "".join(f"<p style='margin: 0 0 4px 0'>{line}</p>" for line in lines)


class Facts(QFrame):
    """The numbers of a step, right-aligned, each over the formula it comes from and where that stands."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(10, 8, 10, 6)
        self._grid.setHorizontalSpacing(themes.GRID)
        self._grid.setVerticalSpacing(0)
        self._grid.setColumnStretch(0, 1)
        self._rows: dict[str, tuple[QLabel, QLabel, QLabel]] = {}
        self._of: Optimizer | None = None
        self._filled: set[str] = set()
        """What this optimizer has been seen to fill in: the others are left out, and these shown where they are NaN."""

    def show_step(self, step: Step, optimizer: Optimizer) -> None:
        """Fill it in."""
        if optimizer != self._of:
            self._of, self._filled = optimizer, set()
        found = formulas(optimizer)
        self._filled |= {name for name in found if not math.isnan(getattr(step, name))}
        for name, (formula, source) in found.items():
            row = self._rows.get(name) or self._made(name)
            title, number, below = row
            below.setText(f"{formula}  ·  {source.removeprefix(_MARTENS)}")
            number.setText(compact(getattr(step, name)))
            for label in row:
                label.setToolTip(f"{title.text()} = {number.text()}\n{formula}\n{source}")
        for name, row in self._rows.items():
            for label in row:
                label.setVisible(name in self._filled and name in found)
        self.show()

    def texts(self) -> dict[str, str]:
        """What can be read, by the names of the columns."""
        return {name: row[1].text() for name, row in self._rows.items() if not row[1].isHidden()}

    def _made(self, name: str) -> tuple[QLabel, QLabel, QLabel]:
        title, number, below = QLabel(title_of(name)), QLabel(), QLabel()
        number.setAccessibleName(title.text())
        number.setAlignment(Qt.AlignmentFlag.AlignRight)
        for label in (title, number):
            label.setFont(themes.font(12))
        below.setObjectName("muted")
        below.setFont(themes.font(11))
        below.setWordWrap(True)
        below.setContentsMargins(0, 0, 0, 6)
        at = 2 * len(self._rows)
        self._grid.addWidget(title, at, 0)
        self._grid.addWidget(number, at, 1)
        self._grid.addWidget(below, at + 1, 0, 1, 2)
        self._rows[name] = (title, number, below)
        return self._rows[name]


class Trials(QFrame):
    """The trials of a step that rejected some: what damped each, what it promised and what came, and what became of
    it."""

    _TITLES = ("promised", "got", "ρ")

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(10, 8, 10, 8)
        self._grid.setHorizontalSpacing(themes.GRID)
        self._grid.setVerticalSpacing(1)
        for column in range(4):
            self._grid.setColumnStretch(column, 1)
        self._labels: list[QLabel] = []
        self.hide()

    def show_trials(self, rejections: tuple[Rejection, ...], step: Step, optimizer: Optimizer) -> None:
        """Fill it in; nothing is shown of a step that rejected none."""
        for label in self._labels:
            label.setParent(None)
        self._labels = []
        self.setVisible(bool(rejections))
        if not rejections:
            return
        rule = optimizer.damping
        symbol = "Δ" if isinstance(rule, parts.TrustRegion) else "w" if isinstance(rule, parts.Cubic) else "λ"
        for column, title in enumerate((symbol, *self._TITLES)):
            self._add(title, 0, column, muted=True)
        for row, trial in enumerate(rejections):
            numbers = (trial.damping, trial.predicted_change, trial.change, trial.reduction_ratio)
            self._add_row(2 * row + 1, [*map(compact, numbers)], f"rejected: {trial.reason}")
        if not step.outcome.startswith("no step"):
            change = step.loss_after - step.loss_before
            damping = compact(step.damping) if symbol == "λ" else ""
            came = (step.predicted_change, change, step.reduction_ratio)
            self._add_row(2 * len(rejections) + 1, [damping, *map(compact, came)], "accepted")

    def _add_row(self, row: int, texts: list[str], verdict: str) -> None:
        for column, text in enumerate(texts):
            self._add(text, row, column)
        below = self._add(verdict, row + 1, 0, muted=True, across=4)
        below.setContentsMargins(0, 0, 0, 4)

    def _add(self, text: str, row: int, column: int, *, muted: bool = False, across: int = 1) -> QLabel:
        label = QLabel(text)
        label.setFont(themes.font(11 if muted else 12))
        if muted:
            label.setObjectName("muted")
        label.setAlignment(Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(label, row, column, 1, across)
        self._labels.append(label)
        return label


def _minus(text: str) -> str:
    """The minus signs of exponents as true ones."""
    return re.sub(r"(?<=\de)-(?=\d)", "−", text)


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a symbol."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def _coloured(text: str, colour: str) -> str:
    return f"<span style='color: {QColor(colour).name()}'>{text}</span>"


def _gradients(count: float) -> str:
    return "one gradient" if count == 1 else f"{count:.3g} gradients"

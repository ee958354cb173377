"""The local model: what a run sees from where it stands, and where the damping path leads from there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import contourpy
import numpy as np
import torch
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QPushButton, QSlider

from ngexplorer.analysis import neighbourhood as around
from ngexplorer.analysis.kinds import KINDS
from ngexplorer.analysis.local_model import Quadratic
from ngexplorer.analysis.neighbourhood import Neighbourhood
from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.along_path import AlongPath
from ngexplorer.gui.plots.arrows import Arrow, ArrowItem
from ngexplorer.gui.plots.axes import Frame, compact
from ngexplorer.gui.plots.chips import Chips
from ngexplorer.gui.plots.handle import Handle
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.spectrum import COLOURS
from ngexplorer.gui.plots.trajectory import Contours, contour_levels
from ngexplorer.gui.plots.view import View, more_button
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives import Objective, Point

_PLACES = 1000
"""Places of the slider."""
_GRID = 49
"""Points of a model along each axis, for its contours."""
_PATH = 160
"""Points of the path's line."""
_WIDE = 1.5
"""Width over height of the panel from which the strips stand beside the plane, not below it."""
_PATIENCE = 8.0
"""Seconds that all of it may take without being asked for by a button."""
_QUESTION, _LANDING = "local model", "local landing"

_MODELS = {
    "hessian": ("H", "the model with the Hessian"),
    "gauss-newton": ("G", "the model with the Gauss-Newton matrix"),
    "fisher": ("F", "the model with the Fisher matrix"),
    "empirical-fisher": ("F̄", "the model with the empirical Fisher matrix"),
    "kfac": ("K-FAC", "the model with the K-FAC matrix, labels in exact expectation"),
}
_STEPS = {
    "gradient-descent": ("−∇h", "minus the gradient"),
    "newton": ("Newton", "the step with the Hessian and the run's λ"),
    "gauss-newton": ("GGN", "the step with the Gauss-Newton matrix and the run's λ"),
    "natural-gradient": ("Natural", "the natural gradient's step, with the run's λ"),
    "natural-gradient-empirical": ("Empirical", "the step with the empirical Fisher matrix and the run's λ"),
    "kfac": ("K-FAC", "the step with the K-FAC matrix and its factored damping, the run's λ"),
    "momentum": ("Momentum", "what momentum adds to the run's step"),
    "taken": ("Its step", "the step that the run took from here"),
}
_STEP_COLOURS = {
    "gradient-descent": themes.GREY,
    "newton": COLOURS["hessian"],
    "gauss-newton": COLOURS["gauss-newton"],
    "natural-gradient": COLOURS["fisher"],
    "natural-gradient-empirical": COLOURS["empirical-fisher"],
    "kfac": COLOURS["kfac"],
    "momentum": themes.BLUE,
}
_TITLES = {"": "Path of its own matrix"} | {name: f"Path of {text}" for name, (text, _) in _MODELS.items()}


@dataclass
class _Looked:
    """The point that was looked at last, with all that was computed there; the analyst's alone."""

    where: Any = None
    point: Point | None = None


class LocalModelView(View):
    """At the current step of one run: contours of the loss and of the quadratic models on a plane, the trust region,
    the damping path with a λ to move along it, what comes along it, and the steps of other methods."""

    behind = "trajectory"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Local model")
        self.run = Choice([(None, "No run yet")])
        self.run.setAccessibleName("Run whose local model is shown")
        self.run.picked.connect(lambda _: self._turn())
        self.matrix = Choice([(name, title) for name, title in _TITLES.items()])
        self.matrix.setAccessibleName("Matrix of the damping path")
        self.matrix.picked.connect(lambda _: self._turn())
        self.of = ""
        button, menu = more_button(session, "Pictures of the local model")
        self.add_pictures(menu)
        for widget in (self.run, self.matrix, button):
            self.head.addWidget(widget)
        self.chips = Chips(
            {
                "Models": {f"model {name}": words for name, words in _MODELS.items()},
                "Steps": {f"step {name}": words for name, words in _STEPS.items()},
            }
        )
        for name in ("model hessian", "step empirical"):
            if name in self.chips.chips:
                self.chips.chips[name].setChecked(True)
        for name in _STEPS:
            self.chips.chips[f"step {name}"].setChecked(name != "natural-gradient-empirical")
        self.chips.changed.connect(self.invalidate)
        self.column.insertWidget(1, self.chips)

        self.contours, self.lines, self.arrows, self.point = Contours(), Lines(), ArrowItem(session.theme), Handle()
        for item in (self.contours, self.lines, self.arrows, self.point):
            self.frame.addItem(item, ignoreBounds=True)
        self.point.dragged.connect(self._dragged)
        self.frame.setAccessibleName("Plane around the current parameters")
        self.along = AlongPath(session.theme)
        self.along.moved.connect(self._moved_along)
        self.body = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self.body.setSpacing(themes.GRID)
        self.column.removeWidget(self.frame)
        self.body.addWidget(self.frame, 3)
        self.body.addWidget(self.along, 2)
        self.column.addLayout(self.body, 1)
        self.column.addLayout(self._controls())
        self.look = QPushButton("Look here", self.frame)
        self.look.setObjectName("small")
        self.look.clicked.connect(self._permit)
        self.look.hide()

        self.found: Neighbourhood | None = None
        self.damping = math.nan
        """The λ chosen on the path"""
        self.loss: float | None = None
        """What comes of the step with it, once that is known"""
        self._where: Any = None
        """Generation, run and step that `found` is of"""
        self._asked: Any = None
        self._permitted: Any = None
        self._costly = 0.0
        self._generation = self._landing = 0
        self._reason = ""
        self._share = 0.0
        self._looked = _Looked()
        self._along_drawn: Any = None
        session.analyst.answered.connect(self._answered)
        session.race_changed.connect(self._fill)
        session.shown_changed.connect(self.invalidate)

    def _controls(self) -> QHBoxLayout:
        self.value = QLabel("λ")
        self.value.setFont(themes.font(12))
        self.value.setMinimumWidth(72)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _PLACES)
        self.slider.setPageStep(_PLACES // 10)
        self.slider.setMinimumWidth(120)
        self.slider.setAccessibleName("Damping λ, from Newton's step to gradient descent's direction")
        self.slider.setToolTip(
            "λ of the point on the damping path, on a logarithmic scale: from Newton's step, on the "
            "left, to a short one down the gradient"
        )
        self.slider.valueChanged.connect(self._slid)
        self.numbers = Elided()
        self.numbers.setFont(themes.font(12))
        self.back = QPushButton("Run's λ")
        self.back.setToolTip("Back to the λ that the run's own damping rule has here")
        self.back.clicked.connect(self._to_own)
        self.take = QPushButton("Take this step instead")
        self.take.setToolTip(
            "A new run with this one's past, which takes δ(λ) here and goes on with that λ. It is part "
            "of this race, not of the file; Reset ends it"
        )
        self.take.clicked.connect(self.fork)
        row = QHBoxLayout()
        row.setSpacing(themes.GRID)
        row.addWidget(self.value)
        row.addWidget(self.slider, 2)
        row.addWidget(self.numbers, 3)
        for button in (self.back, self.take):
            button.setObjectName("small")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            row.addWidget(button)
        return row

    # What is looked at.

    @property
    def chosen(self) -> Shown | None:
        """The run that is looked from."""
        runs = self.session.runs
        place = self.run.currentIndex()
        return runs[place] if 0 <= place < len(runs) else None

    @property
    def frames(self) -> list[Frame]:
        return [self.frame, *self.along.frames]

    def choose(self, number: int, of: str = "") -> None:
        """Look from one run, along the path of a matrix (empty: its own)."""
        self.run.setCurrentIndex(number)
        self.matrix.setCurrentIndex(list(_TITLES).index(of))
        self._turn()

    def _turn(self) -> None:
        self.of = list(_TITLES)[max(0, self.matrix.currentIndex())]
        self.frame.release()
        self.invalidate()

    def _fill(self) -> None:
        """Name the runs there are; of a new race, look from its first one that has a matrix."""
        session = self.session
        labels = [shown.label for shown in session.runs]
        new = self._where is not None and self._where[0] != session.generation
        if [self.run.itemText(i) for i in range(self.run.count())] != labels:
            place, known = self.run.currentIndex(), self.run.count()
            self.run.clear()
            self.run.addItems(labels)
            second = [i for i, shown in enumerate(session.runs) if shown.run.optimizer.second_order]
            self.run.setCurrentIndex(place if not new and 0 < known <= len(labels) and self._asked else [*second, 0][0])
            self.frame.release()
        if new or (self._asked is not None and self._asked[0][0] != session.generation):
            self._forget()

    def _forget(self) -> None:
        self.found = self._where = self._asked = self._permitted = self.loss = None
        self._generation = self._landing = 0  # an answer on its way is about the race before
        self._looked = _Looked()
        self._reason = ""
        self.damping = math.nan
        self.frame.release()

    # Asking.

    def fingerprint(self) -> Any:
        self._ask()
        shown, session = self.chosen, self.session
        at = (session.step_of(shown), shown.colour) if shown is not None else None
        return (id(self.found), self.damping, self.loss, at, session.state, self._reason, round(self._share, 2))

    @property
    def settled(self) -> bool:
        """Whether the picture is of all there is."""
        whole = self.found is not None and self.found.done == 1 and self.loss is not None
        return (whole or bool(self._reason)) and self.session.analyst.idle

    def _ask(self) -> None:
        """Have the analyst look from where the run stands; only while the race rests, which it would slow down."""
        session, shown = self.session, self.chosen
        if shown is None or session.state in ("running", "loading") or not self.seen or not len(shown.history):
            return
        run, number = shown.run, session.runs.index(shown)
        _, at = run.history.parameters(session.step_of(shown))
        where = (session.generation, number, at)
        question = (where, self.of, self._aspect(), run.optimizer, len(run.history) > at + 1)
        if question == self._asked:
            return
        cost = around.seconds(run.objective)
        if cost > _PATIENCE and self._permitted != (where, self.of):
            self._costly, self._reason = cost, "costly"
            self._where, self.found, self.loss = where, None, None
            return
        fresh = self._asked is None or (where, self.of) != self._asked[:2]
        self._asked, self._reason, self._share = question, "", 0.0
        if fresh:
            self.damping = math.nan
        self._where, self._waiting = where, fresh
        looked, of, aspect = self._looked, self.of, question[2]

        def answers(cancel: Cancel) -> Iterator[Any]:
            watch = Watch(cancel, self._progress)
            stand = around.standpoint(run, at)
            if looked.where != where or looked.point is None:
                looked.where, looked.point = where, _point(run.objective, stand.theta)
            looked.point.watch = watch
            try:
                yield from around.look_around(stand, looked.point, of, aspect)
            except (ValueError, ArithmeticError, torch.linalg.LinAlgError) as error:
                yield str(error)

        self._generation = session.analyst.ask(_QUESTION, answers)

    def _progress(self, share: float) -> None:
        self._share = share

    def _aspect(self) -> float:
        box = self.frame.view.boundingRect()
        return round(min(max(box.width() / max(box.height(), 1.0), 0.25), 6.0) / 0.05) * 0.05

    def _permit(self) -> None:
        if self._where is not None:
            self._permitted = (self._where, self.of)
            self._reason = ""
            self.invalidate()

    def _answered(self, key: str, generation: int, answer: Any) -> None:
        if key == _LANDING and generation == self._landing:
            damping, loss = answer
            if damping == self.damping:
                self.loss = loss
                self.invalidate()
        elif key == _QUESTION and generation == self._generation:
            if isinstance(answer, str):
                self.found, self._reason = None, answer
            else:
                self.found = answer
                if math.isnan(self.damping) or self._following:
                    self._to_own()
                else:
                    self._place()
            self.invalidate()

    # λ.

    @property
    def _following(self) -> bool:
        """Whether λ is still the run's, as far as that was known."""
        return self._follows

    _follows = True

    def set_damping(self, damping: float) -> None:
        """Move along the path to a λ, or to its nearest end."""
        if self.found is None:
            return
        here = self.found
        first, last = float(here.path.dampings[0]), float(here.path.dampings[-1])
        self._follows = False
        self.damping = damping if here.path.solution.floor < damping <= last else min(max(damping, first), last)
        self._place()

    def _to_own(self) -> None:
        """The run's own λ, where it has one on the path; else the one with the lowest loss."""
        here = self.found
        if here is None:
            return
        best = float(here.path.dampings[here.path.best])
        self.set_damping(best if math.isnan(here.own) else here.own)
        self._follows = True

    def _place(self) -> None:
        """Put the slider to λ, and ask what comes of it."""
        here = self.found
        assert here is not None
        blocked = self.slider.blockSignals(True)
        self.slider.setValue(round(_PLACES * here.share_of(self.damping)))
        self.slider.blockSignals(blocked)
        self.loss = None
        damping = self.damping
        if self.session.state not in ("running", "loading"):
            self._landing = self.session.analyst.ask(_LANDING, lambda cancel: around.landing(here, damping, cancel))
        self.invalidate()

    def _slid(self, place: int) -> None:
        if self.found is not None:
            self.set_damping(self.found.damping_at(place / _PLACES))

    def _moved_along(self, exponent: float) -> None:
        if self.found is not None:
            self.set_damping(self.found.path.solution.floor + 10.0**exponent)

    def _dragged(self, to: QPointF) -> None:
        """Go to the λ whose place on the plane is nearest to the pointer's."""
        if self.found is not None:
            shares = np.linspace(0, 1, _PLACES + 1)
            places = self.found.places(np.array([self.found.damping_at(share) for share in shares]))
            nearest = int(np.argmin(np.square(places - (to.x(), to.y())).sum(1)))
            self.set_damping(self.found.damping_at(shares[nearest]))

    def fork(self) -> None:
        """Take δ(λ) here, in a new run."""
        here, shown = self.found, self.chosen
        if here is not None and shown is not None and here.path.solution.floor < self.damping:
            self.session.fork(shown, here.stand.step, here.step(self.damping), self.damping, f"the {here.kind}")

    # Drawing.

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        beside = self.width() > _WIDE * self.height()
        self.body.setDirection(QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom)
        self.empty.setGeometry(self.frame.rect())
        size = self.look.sizeHint()
        self.look.move(self.frame.width() // 2 - size.width() // 2, self.frame.height() // 2 + 20)

    def _restyle(self) -> None:
        super()._restyle()
        self._along_drawn = None

    def draw(self) -> None:
        here, theme = self.found, self.session.theme
        self._dress_chips()
        present = here is not None
        for widget in (self.slider, self.back, self.take):
            widget.setEnabled(present)
        self.look.setVisible(self._reason == "costly")
        self.along.show_axes(present)
        self.point.setVisible(present)
        if here is None:
            for lines in (self.lines,):
                lines.show_lines([])
            self.contours.clear()
            self.arrows.show_arrows((0.0, 0.0), [], theme)
            self.along.clear()
            self._along_drawn = None
            self._say_why()
            return
        self.say("")
        self._draw_plane(here)
        drawn = (id(here), theme.name, self.along.size())
        colour = self._colour
        if drawn != self._along_drawn:
            self._along_drawn = drawn
            self.along.draw(here, self.damping, colour, theme)
        else:
            self.along.mark(here, self.damping, theme)
        self._write(here)

    @property
    def _colour(self) -> QColor:
        shown = self.chosen
        return themes.line_colour(shown.colour if shown is not None else self.session.theme.text, self.session.theme)

    def _say_why(self) -> None:
        state = self.session.state
        self.subtitle.setText("")
        self.value.setText("λ")
        self.numbers.setText("")
        if self._reason == "costly":
            self.say(f"To look around here takes about {_duration(self._costly)} on this model\n\n")
        elif self._reason:
            self.say(f"No local model here: {self._reason}")
        elif state == "loading":
            self.say("Loading the data…")
        elif self.chosen is None:
            self.say("No run yet")
        elif state == "running":
            self.say("The local model comes when the race rests")
        else:
            share = f" {100 * self._share:.0f} %" if self._share else ""
            self.say(f"Looking around…{share}")

    def _draw_plane(self, here: Neighbourhood) -> None:
        theme = self.session.theme
        self.frame.fill(*here.window, square=True)
        levels = None
        if here.surface is not None:
            self.contours.show_surface(here.surface, theme)
            levels = _levels(here.surface.values, here.path.loss)
        else:
            self.contours.clear()
        lines = []
        if levels is not None:
            for name, model in here.models.items():
                if self.chips.is_on(f"model {name}"):
                    colour = themes.line_colour(COLOURS[name], theme)
                    lines.append(_contour_line(model, here, levels, pen(colour, 1.2)))
        marker = themes.line_colour(theme.marker, theme)
        region = here.region(self.damping) if self.damping > here.path.solution.floor else None
        if region is not None:
            lines.append(Line(region[:, 0], region[:, 1], pen(marker, 1.2, Qt.PenStyle.DashLine)))
        shares = np.linspace(0, 1, _PATH)
        path = here.places(np.array([here.damping_at(share) for share in shares]))
        own = None
        if here.own > here.path.solution.floor:
            own = here.places(np.array([here.own]))
        path = np.concatenate((path, here.centre[None]))
        lines.append(Line(path[:, 0], path[:, 1], pen(marker, 2.2), dots=here.centre[None], rings=own))
        self.lines.show_lines(lines)
        self.arrows.show_arrows(tuple(here.centre), self._arrows(here), theme)
        at = here.places(np.array([max(self.damping, float(here.path.dampings[0]))]))[0]
        self.point.setPos(float(at[0]), float(at[1]))
        self.point.dress(QColor(theme.accent), QColor(theme.panel))

    def _arrows(self, here: Neighbourhood) -> list[Arrow]:
        theme = self.session.theme
        found: dict[str, Any] = {} if here.arrows is None else here.arrows.project(here.plane)
        if here.stand.taken is not None:
            found["taken"] = here.plane.axes @ here.stand.taken
        drawn = []
        for name, (text, _) in _STEPS.items():
            if name in found and self.chips.is_on(f"step {name}"):
                colour = QColor(theme.text) if name == "taken" else themes.line_colour(_STEP_COLOURS[name], theme)
                drawn.append(Arrow(float(found[name][0]), float(found[name][1]), text, colour))
        return drawn

    def _dress_chips(self) -> None:
        here, theme = self.found, self.session.theme
        refused = {} if here is None else {f"model {name}": why for name, why in here.refused.items()}
        if here is not None and here.arrows is not None:
            refused |= {f"step {name}": why for name, why in here.arrows.refused.items()}
            if "momentum" not in here.arrows.steps:
                refused["step momentum"] = "this run has none here"
        if here is not None and here.stand.taken is None:
            refused["step taken"] = "it has not been taken yet, or its parameters are not kept"
        self.chips.refuse(refused)
        colours = {f"model {name}": themes.line_colour(COLOURS[name], theme) for name in _MODELS}
        colours |= {f"step {name}": themes.line_colour(colour, theme) for name, colour in _STEP_COLOURS.items()}
        colours["step taken"] = QColor(theme.text)
        self.chips.dress(colours, QColor(theme.muted))
        reasons = [None if here is None else here.refused.get(name) for name in KINDS]
        self.matrix.refuse([None, *reasons])

    def _write(self, here: Neighbourhood) -> None:
        """The numbers of the chosen λ, and what the picture is of."""
        path = here.path
        self.value.setText(f"λ {compact(self.damping)}")
        if self.damping > path.solution.floor:
            promise, length = here.promise(self.damping), here.length(self.damping)
            came = self.loss
            change = math.nan if came is None else came - path.loss
            ratio = change / promise if promise else math.nan
            norm = "‖δ‖" if here.euclidean else "‖δ‖_B"
            self.numbers.setText(
                f"ρ {compact(ratio)} · promised {_signed(promise)}, came {_signed(change)} · {norm} {compact(length)}"
            )
        else:
            self.numbers.setText(f"no minimum there: λmin is {compact(-path.solution.floor)}")
        shown, session = self.chosen, self.session
        wanted = session.step_of(shown) if shown is not None else here.stand.step
        parts = [f"step {here.stand.step}"]
        if wanted != here.stand.step:
            resting = session.state not in ("running", "loading")
            parts = [
                f"step {here.stand.step}, the nearest one kept"
                if resting
                else f"step {here.stand.step}; pause to look at the present one"
            ]
        parts.append(f"plane of {here.spanned}")
        if here.done < 1:
            parts.append("looking closer…")
        off = self._off_plane(here)
        if off >= 0.005:
            parts.append(f"{100 * off:.0f} % of δ(λ) is off it")
        self.subtitle.setText(" · ".join(parts))
        self.subtitle.setToolTip(self._explanation(here))

    def _off_plane(self, here: Neighbourhood) -> float:
        """The share of δ(λ)'s length that does not lie in the plane."""
        if not self.damping > here.path.solution.floor:
            return 0.0
        solution = here.path.solution
        at = np.array([self.damping])
        inside = float(np.square(here.places(at)[0] - here.centre).sum())
        whole = float(solution.norms(at)[0]) ** 2
        return math.sqrt(max(0.0, 1 - inside / whole)) if whole > 0 else 0.0

    def _explanation(self, here: Neighbourhood) -> str:
        bound = "‖δ‖ ≤ ‖δ(λ)‖, as its damping has it" if here.euclidean else "‖δ‖ ≤ ‖δ(λ)‖ in the norm of its matrix"
        lines = [
            self.subtitle.text(),
            f"Damping path and λ of the {here.kind}; the dashed line is where the trust region {bound} ends.",
            "Shaded: the loss. Lines: the models, at the same heights. Arrows are shortened where they say × a share.",
        ]
        if not math.isnan(here.damped):
            lines.append(f"Steps with λ = {compact(here.damped)}.")
        return "\n".join(lines)

    @property
    def entries(self) -> list[Entry]:
        """Of the picture's legend: models, steps and the path."""
        theme, here = self.session.theme, self.found
        if here is None:
            return []
        entries = [Entry("damping path δ(λ)", themes.line_colour(theme.marker, theme), Qt.PenStyle.SolidLine)]
        entries.append(Entry("trust region", themes.line_colour(theme.marker, theme), Qt.PenStyle.DashLine))
        for name, (text, _) in _MODELS.items():
            if self.chips.is_on(f"model {name}") and name in here.models:
                colour = themes.line_colour(COLOURS[name], theme)
                entries.append(Entry(f"model with {text}", colour, Qt.PenStyle.SolidLine))
        return entries


def _point(objective: Objective, theta: Any) -> Point:
    return objective.at(torch.as_tensor(theta).to(objective.initial_parameters))


def _levels(values: Array, loss: float) -> Array:
    """Heights at which the models are drawn: every second contour of the loss, the height of θ itself, and some below
    the lowest, where only a model goes."""
    finite = values[np.isfinite(values)]
    shared = contour_levels(np.where(np.isfinite(values), values, finite.max(initial=loss)))
    low = float(shared[0])
    gap = max(loss - low, 1e-12 * max(abs(loss), 1e-300))
    return np.unique(np.concatenate((shared[1::2], [loss], low - gap * np.array([0.25, 1.0, 3.0]))))


def _contour_line(model: Quadratic, here: Neighbourhood, levels: Array, colour: Any) -> Line:
    """A model's contours at those heights, all in one line that NaN breaks."""
    window = here.surface.window if here.surface is not None else here.window
    xs, ys = np.linspace(*window[:2], _GRID), np.linspace(*window[2:], _GRID)
    generator = contourpy.contour_generator(
        xs, ys, model.on_grid(xs, ys), line_type=contourpy.LineType.ChunkCombinedNan
    )
    pieces = []
    for level in levels:
        found: Any = generator.lines(float(level))[0][0]
        if found is not None:
            pieces += [found, np.full((1, 2), np.nan)]
    points = np.concatenate(pieces) if pieces else np.empty((0, 2))
    return Line(points[:, 0], points[:, 1], colour)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + compact(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

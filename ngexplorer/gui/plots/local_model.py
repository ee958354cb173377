"""The local model: what a run sees from where it stands, and where the damping path leads from there."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout

from ngexplorer.analysis.neighbourhood import Neighbourhood
from ngexplorer.curvature.kinds import KINDS
from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots import local_words
from ngexplorer.gui.plots.along_path import AlongPath
from ngexplorer.gui.plots.axes import Frame, compact
from ngexplorer.gui.plots.chips import Chips
from ngexplorer.gui.plots.local_plane import MODELS, STEPS, LocalPlane, colours
from ngexplorer.gui.plots.looking_around import LookingAround
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.view import View, more_button
from ngexplorer.gui.session import Session, Shown

_PLACES = 1000
"""Places of the slider."""
_WIDE = 1.5
"""Width over height of the panel from which the path's numbers stand beside the plane, not below it."""
_BELOW = QPoint(0, 20)
"""From the middle of the plane to the button there."""
_AT_FIRST = {
    "model hessian",
    "model gauss-newton",
    *(f"step {name}" for name in STEPS if name != "natural-gradient-empirical"),
}
"""Chips that are on at first: more would cover each other."""
_PATHS = {"": "Path of its own matrix"} | {name: f"Path of {text}" for name, (text, _) in MODELS.items()}


class LocalModelView(View):
    """At the current step of one run: contours of the loss and of the quadratic models on a plane, the trust region,
    the damping path with a λ to move along it, what comes along it, and the steps of other methods."""

    behind = "trajectory"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Local model")
        self.run = Choice([(None, "No run yet")])
        self.run.setAccessibleName("Run whose local model is shown")
        self.matrix = Choice(list(_PATHS.items()))
        self.matrix.setAccessibleName("Matrix of the damping path")
        button, menu = more_button(session, "Pictures of the local model")
        self.add_pictures(menu)
        for choice in (self.run, self.matrix):
            choice.picked.connect(lambda _: self._turn())
        for widget in (self.run, self.matrix, button):
            self.head.addWidget(widget)
        self.chips = Chips(
            {
                "Models": {f"model {name}": words for name, words in MODELS.items()},
                "Steps": {f"step {name}": words for name, words in STEPS.items()},
            }
        )
        for name, chip in self.chips.chips.items():
            chip.setChecked(name in _AT_FIRST)
        self.chips.changed.connect(self.invalidate)
        self._lay_out()
        self.look = QPushButton("Look around", self.frame)
        self.look.setObjectName("small")
        self.look.hide()

        self.damping = math.nan
        """The λ chosen on the path"""
        self._follows = True
        """Whether that is the run's own, as far as it is known yet"""
        self._generation = 0
        self._along_drawn: Any = None
        self.looking = LookingAround(session)
        self.looking.changed.connect(self.invalidate)
        self.looking.arrived.connect(self._arrived)
        self.look.clicked.connect(self.looking.permit)
        session.race_changed.connect(self._fill)

    def _lay_out(self) -> None:
        """The plane, and beside it the path's numbers with the slider below them."""
        self.column.removeWidget(self.frame)
        self.plane = LocalPlane(self.frame, self.session.theme)
        self.plane.moved.connect(self.set_damping)
        self.along = AlongPath(self.session.theme)
        self.along.moved.connect(self.set_damping)
        self.numbers = Elided()
        self.numbers.setFont(themes.font(12))
        self.cut, self.hindrances = Elided(), Elided()
        self.cut.setToolTip(local_words.CUT)
        for label, name in ((self.cut, "muted"), (self.hindrances, "hint")):
            label.setObjectName(name)
            label.setFont(themes.font(12))
        path = QVBoxLayout()
        path.setSpacing(2)
        path.addWidget(self.chips)  # here, so that the plane has all of the height
        path.addWidget(self.numbers)
        path.addWidget(self.cut)
        path.addWidget(self.hindrances)
        path.addWidget(self.along, 1)
        path.addLayout(self._controls())
        self._path = path
        self.body = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self.body.setSpacing(themes.GRID)
        self.body.addWidget(self.frame, 3)
        self.body.addLayout(path, 2)
        self.column.addLayout(self.body, 1)

    def _controls(self) -> QHBoxLayout:
        self.value = QLabel("λ")
        self.value.setFont(themes.font(12))
        self.value.setMinimumWidth(72)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _PLACES)
        self.slider.setPageStep(_PLACES // 10)
        self.slider.setMinimumWidth(72)
        self.slider.setAccessibleName("Damping λ, from Newton's step to a short one down the gradient")
        self.slider.setToolTip(
            "λ of the point on the damping path, on a logarithmic scale: from Newton's step, on the left, to a short "
            "one down the gradient"
        )
        self.slider.valueChanged.connect(self._slid)
        self.back = QPushButton("Own λ")
        self.back.setToolTip("Back to the λ that the run's own damping rule has here")
        self.back.clicked.connect(self.follow)
        self.take = QPushButton("Take this step instead")
        self.take.setToolTip(
            "A new run with this one's past, which takes δ(λ) here and goes on with that λ. It is part of this race, "
            "not of the file; Reset ends it"
        )
        self.take.clicked.connect(self.fork)
        row = QHBoxLayout()
        row.setSpacing(themes.GRID)
        row.addWidget(self.value)
        row.addWidget(self.slider, 1)
        for button in (self.back, self.take):
            button.setObjectName("small")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            row.addWidget(button)
        return row

    # What is looked at.

    @property
    def found(self) -> Neighbourhood | None:
        """What is known of the place that is shown."""
        return self.looking.found

    @property
    def chosen(self) -> Shown | None:
        """The run that is looked from."""
        runs = self.session.runs
        place = self.run.currentIndex()
        return runs[place] if 0 <= place < len(runs) else None

    @property
    def of(self) -> str:
        """The matrix of the damping path by its name; empty: the run's own."""
        return list(_PATHS)[max(0, self.matrix.currentIndex())]

    @property
    def settled(self) -> bool:
        """Whether the picture is of all there is."""
        return self.looking.settled

    @property
    def frames(self) -> list[Frame]:
        return [self.frame, *self.along.frames]

    def choose(self, number: int, of: str = "") -> None:
        """Look from one run, along the path of a matrix (empty: its own)."""
        self.run.setCurrentIndex(number)
        self.matrix.setCurrentIndex(list(_PATHS).index(of))
        self._turn()

    def _turn(self) -> None:
        self.frame.release()
        self.invalidate()

    def _fill(self) -> None:
        """Name the runs there are; of a new race, look from the first one that has a matrix."""
        session = self.session
        labels = [shown.label for shown in session.runs]
        new = self._generation != session.generation
        if new or [self.run.itemText(i) for i in range(self.run.count())] != labels:
            place = self.run.currentIndex()
            self.run.offer(labels)
            second = [i for i, shown in enumerate(session.runs) if shown.run.optimizer.second_order]
            self.run.setCurrentIndex([*second, 0][0] if new else place)
        if new:
            self._generation = session.generation
            self.looking.forget()
            self.damping, self._follows = math.nan, True
            self.frame.release()

    def fingerprint(self) -> Any:
        shown, session, looking = self.chosen, self.session, self.looking
        if shown is None:
            return None
        if self.seen:
            looking.ask(shown, self.of, self._aspect())
        here = looking.found
        step = "" if here is None else self._step_in_words(here)  # the same at every step of a race that is on
        known = (here, looking.loss, looking.reason, looking.costly, round(looking.share, 2))
        return (known, self.damping, step, shown.colour, session.state)

    def _aspect(self) -> float:
        """Width over height of the plane's picture, to a twentieth."""
        box = self.frame.view.boundingRect()
        return round(20 * min(max(box.width() / max(box.height(), 1.0), 0.25), 6.0)) / 20

    # λ.

    def _arrived(self) -> None:
        if self.looking.moved:
            self.looking.moved, self._follows = False, True  # from another place λ is the run's own again
        if self._follows:
            self.follow()
        else:
            self.set_damping(self.damping)

    def set_damping(self, damping: float) -> None:
        """Move along the path to a λ, or to its nearest end."""
        here = self.found
        if here is None:
            return
        first, last = float(here.path.dampings[0]), float(here.path.dampings[-1])
        self.damping = damping if here.path.solution.floor < damping <= last else min(max(damping, first), last)
        self._follows = False
        blocked = self.slider.blockSignals(True)
        self.slider.setValue(round(_PLACES * here.share_of(self.damping)))
        self.slider.blockSignals(blocked)
        self.looking.ask_landing(here, self.damping)
        self.invalidate()

    def follow(self) -> None:
        """The run's own λ, where it has one; else the one with the lowest loss."""
        here = self.found
        if here is not None:
            self.set_damping(float(here.path.dampings[here.path.best]) if math.isnan(here.own) else here.own)
            self._follows = True

    def _slid(self, place: int) -> None:
        if self.found is not None:
            self.set_damping(self.found.damping_at(place / _PLACES))

    def fork(self) -> None:
        """Take δ(λ) here, in a new run."""
        here, shown = self.found, self.chosen
        if here is not None and shown is not None:
            self.session.fork(shown, here.stand.step, here.step(self.damping), self.damping, f"the {here.kind}")

    # Drawing.

    def minimumSizeHint(self) -> QSize:
        """With its parts beside each other, as they are where it is low: one above the other, behind a tab or not, they
        would keep the others from their height."""
        whole, body = super().minimumSizeHint(), self.body.minimumSize()
        plane, path = self.frame.minimumSize(), self._path.minimumSize()
        around = self.column.contentsMargins()
        width = plane.width() + self.body.spacing() + path.width() + around.left() + around.right() + 2
        return QSize(max(width, whole.width()), whole.height() - body.height() + max(plane.height(), path.height()))

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        beside = self.width() > _WIDE * self.height()
        self.body.setDirection(QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom)

    def _restyle(self) -> None:
        super()._restyle()
        self._along_drawn = None

    def draw(self) -> None:
        here, theme = self.found, self.session.theme
        self._dress_chips(here)
        for widget in (self.slider, self.back, self.take):
            widget.setEnabled(here is not None)
        self.along.show_axes(here is not None)
        if here is None:
            self.plane.clear()
            self.along.clear()
            self._along_drawn = None
            self._say_why()
            return
        self.say("")
        self.look.hide()
        self.plane.draw(here, self.damping, self.chips, theme)
        shown = self.chosen
        colour = themes.line_colour(shown.colour if shown is not None else theme.text, theme)
        drawn = (here, theme.name, colour.name(), self.along.size())
        if drawn != self._along_drawn:
            self._along_drawn = drawn
            self.along.draw(here, colour, theme)
        self.along.mark(here, self.damping, theme)
        self._write(here)

    def _say_why(self) -> None:
        """Why there is nothing to see."""
        looking, state = self.looking, self.session.state
        for label in (self.subtitle, self.numbers, self.cut, self.hindrances):
            label.setText("")
        self.value.setText("λ")
        self.empty.setGeometry(self.frame.rect())
        self.look.setVisible(bool(looking.costly))
        if looking.costly:
            self.say(f"To look around here takes about {_duration(looking.costly)}\n\n")
            self.look.move(self.frame.rect().center() - self.look.rect().center() + _BELOW)
        elif looking.reason:
            self.say(f"No local model here: {looking.reason}")
        elif state == "loading" or self.chosen is None:
            self.say("Loading the data…" if state == "loading" else "No run yet")
        elif state == "running":
            self.say("The local model comes when the race rests")
        else:
            self.say("Looking around…" + (f" {100 * looking.share:.0f} %" if looking.share else ""))

    def _dress_chips(self, here: Neighbourhood | None) -> None:
        refused: dict[str, str] = {}
        if here is not None:
            refused |= {f"model {name}": why for name, why in here.refused.items()}
            if here.stand.taken is None:
                refused["step taken"] = "it has not been taken yet, or where it led is not kept"
            if here.arrows is not None:
                refused |= {f"step {name}": why for name, why in here.arrows.refused.items()}
                if "momentum" not in here.arrows.steps:
                    refused["step momentum"] = "this run has none here"
        self.chips.refuse(refused)
        self.chips.dress(colours(self.session.theme), self.session.theme)
        self.matrix.refuse([None, *(refused.get(f"model {name}") for name in KINDS)])

    def _write(self, here: Neighbourhood) -> None:
        """The numbers of the chosen λ, and what the picture is of."""
        self.value.setText(f"λ {compact(self.damping)}")
        self.numbers.setText(local_words.numbers(here, self.damping, self.looking.loss))
        self.cut.setText(local_words.cut(here, self.damping))
        self.hindrances.setText(local_words.hindrances(here))
        self.hindrances.setToolTip(local_words.hindered(here))
        self.hindrances.setVisible(bool(self.hindrances.text()))
        words = [
            self._step_in_words(here),
            f"plane of {here.spanned}",
            "looking closer…" if here.done < 1 else "",
            local_words.off_plane(here, self.damping),
        ]
        self.subtitle.setText(" · ".join(filter(None, words)))
        self.subtitle.setToolTip("\n".join([self.subtitle.text(), *local_words.explanation(here)]))

    def _step_in_words(self, here: Neighbourhood) -> str:
        shown, step = self.chosen, here.stand.step
        if shown is None or self.session.step_of(shown) == step:
            return f"step {step}"
        on = self.session.state in ("running", "loading")
        return f"step {step}, {'pause to look from the present one' if on else 'the nearest one kept'}"

    @property
    def caption(self) -> str:
        shown = self.chosen
        words = "Local model" if shown is None else f"Local model of {shown.label}"
        return " · ".join(filter(None, (words, self.subtitle.text(), self.value.text(), self.numbers.text())))

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        plane = ("", "") if self.found is None else local_words.axes(self.found)
        indefinite = self.found is not None and self.found.path.solution.floor > 0
        damping = "damping λ, from −λmin up" if indefinite else "damping λ"
        strips = self.along.frames
        above = {
            self.along.upper: "loss at θ + δ(λ), and as the model promises it (– –)",
            self.along.lower: "reduction ratio ρ",
        }
        return [plane, *((damping if strip is strips[-1] else "", above[strip]) for strip in strips)]

    @property
    def entries(self) -> list[Entry]:
        theme, here, solid = self.session.theme, self.found, Qt.PenStyle.SolidLine
        if here is None:
            return []
        marker = themes.line_colour(theme.marker, theme)
        shades = colours(theme)
        entries = [Entry("δ(λ)", marker, solid), Entry("trust region", marker, Qt.PenStyle.DashLine)]
        for name, (text, _) in MODELS.items():
            if self.chips.is_on(f"model {name}") and name in here.models:
                entries.append(Entry(f"model with {text}", shades[f"model {name}"], solid))
        return entries


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

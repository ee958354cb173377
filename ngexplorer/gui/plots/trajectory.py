"""Trajectories: every run's path over the loss on a plane that a person chooses, and where on it the runs start."""

from __future__ import annotations

import math
from time import monotonic
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QAction, QColor
from PySide6.QtWidgets import QBoxLayout, QToolButton

from ngexplorer.analysis.planes import Plane, Surface, Window
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots import chosen_plane
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.basins import BasinsLayer
from ngexplorer.gui.plots.chosen_plane import BY_NAME, Material, Seen, Unseen
from ngexplorer.gui.plots.ground import Ground
from ngexplorer.gui.plots.lines import Line, Lines, bounds, pen
from ngexplorer.gui.plots.other_parameters import OtherParameters
from ngexplorer.gui.plots.path_profile import PathProfile
from ngexplorer.gui.plots.paths import Projections, holding
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.plane_choice import PlaneChoice, use
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.plots.start import Start
from ngexplorer.gui.plots.view import View, more_button
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives.landscapes import Landscape, LandscapeNetwork
from ngexplorer.runs.experiment import Experiment

_PAUSE = 1.5
"""Seconds between two looks at the loss while runs go on."""
_CALM = 0.25
"""Seconds between two looks while a person scrubs through a race at rest, unless the last one has been answered."""
_REACH = 20
"""How far beyond its window a test function's paths are followed; a fitted plane's follow at the next fit anyway."""
_WIDE = 660
"""Pixels from which the head has room for its switches; they are in the menu too."""
_NARROW = 440
"""And for its title beside the choices."""
_QUESTION = "trajectory"


class TrajectoryView(View):
    """Paths up to the current time, a dot where each run is now, over the loss on a plane, and how much of them the
    plane shows."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Trajectory")
        self.run = RunChoice(session, "The run whose point, step, profile and basins are looked at")
        self.run.changed.connect(self._another_run)
        self.plane = PlaneChoice(session, self.run, self)
        self.plane.changed.connect(self._another_picture)
        self.relief = self._switch("Relief", "Shaded relief in place of contours")
        self.profile = self._switch("Profile", "The loss along the run's path, true and as the plane has it")
        self.basins = self._switch("Basins", "Where the run's method ends from many starts, of two parameters")
        self.elsewhere = self._switch(
            "Other parameters", "The run's method with its steps taken in a Gaussian's other parameters"
        )
        button, menu = more_button(session, "Plane, relief, profile, basins, other parameters, pictures")
        self.plane.add_to(menu)
        menu.addActions([self.relief, self.profile, self.basins, self.elsewhere])
        menu.addSeparator()
        self.add_pictures(menu)
        self._switches = [self._button(action) for action in (self.relief, self.profile, self.basins, self.elsewhere)]
        for widget in (self.plane.list, self.run, *self._switches, button):
            self.head.addWidget(widget)
        # What is hidden where there is little room must not ask for it.
        for widget in (self.title, *self._switches):
            widget.setMinimumWidth(1)
        self.head.addStrut(26)  # as high as that of the curves below it
        # Its controls leave the head no room for words.
        self.head.removeWidget(self.subtitle)
        self.head.insertStretch(1, 1)
        self.column.insertWidget(1, self.subtitle)

        self.ground = Ground(session, self.frame)
        self.attraction = BasinsLayer(session, self.frame)
        self.lines = Lines()
        self.others = OtherParameters(session, self.frame)
        for item in (self.attraction.image, self.others.lines, self.lines):
            self.frame.addItem(item, ignoreBounds=True)
        self.start = Start(self.frame, self)
        self.start.at_once = lambda: session.untouched and not self.frame.free
        self.start.moved.connect(session.start_at)
        self.path_profile = PathProfile(session)
        self.path_profile.hide()
        self.column.removeWidget(self.frame)
        self._plots = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._plots.setSpacing(themes.GRID)
        self._plots.addWidget(self.frame, 5)
        self._plots.addWidget(self.path_profile, 2)
        self.column.addLayout(self._plots, 1)

        self.pictured: Seen | None = None
        self.unseen: Unseen | None = None
        self._window: Window | None = None
        """What is shown: the surface's window, or a wider one where a path has left that since."""
        self._paths = Projections()
        self._asked: Any = None
        self._asked_at = -math.inf
        self._generation = 0
        self._remaining = Remaining()
        self._allowed: Any = None
        """What `_allow` last put in use: it is asked at every picture."""
        self._of: Experiment | None = None
        session.analyst.answered.connect(self._answered)
        session.race_changed.connect(self._new_race)
        session.state_changed.connect(self.invalidate)
        session.shown_changed.connect(self.invalidate)
        session.experiment_changed.connect(self.invalidate)

    # Controls.

    def _switch(self, text: str, tip: str) -> QAction:
        action = QAction(text, self)
        action.setToolTip(tip)
        action.setCheckable(True)
        action.toggled.connect(self._switched)
        return action

    def _button(self, action: QAction) -> QToolButton:
        button = QToolButton()
        button.setObjectName("toggle")
        button.setFont(themes.font(12))
        button.setDefaultAction(action)
        button.setAccessibleName(action.toolTip())
        return button

    @property
    def offered(self) -> list[tuple[str, QAction, str, str]]:
        """What it can do, for the palette: key, action, group, and what it does in words."""
        found = [
            (f"plane-{name}", action, "Trajectory on", action.toolTip()) for name, action in self.plane.actions.items()
        ]
        found += [
            (f"trajectory-{name}", action, "Trajectory", action.toolTip())
            for name, action in (
                ("relief", self.relief),
                ("profile", self.profile),
                ("basins", self.basins),
                ("elsewhere", self.elsewhere),
                ("redraw", self.plane.redraw),
                ("keep", self.plane.keep),
                ("release", self.plane.release),
            )
        ]
        words = "Of a test function: the runs start anew from there"
        return found + [(f"start-{name}", action, "Trajectory", words) for name, action in self.start.actions.items()]

    def choose(self, name: str) -> None:
        """Look at the loss on another plane."""
        self.plane.choose(name)

    @property
    def kind(self) -> str:
        """The plane that is looked at."""
        return self.plane.kind

    def _allow(self) -> None:
        """Put in use what can be had now; what cannot says why."""
        of_plane = self.plane.allow()
        elsewhere = self.others.refusal(self.run.chosen)
        allowed = (self._flat, self.landscape is not None, elsewhere)
        if not of_plane and allowed == self._allowed:
            return
        self._allowed = allowed
        flat = "" if self._flat else "Only on the plane of an objective's two parameters"
        use(self.basins, flat)
        use(self.elsewhere, elsewhere or flat)
        self._show_switches()
        start = flat if self.landscape is not None else "Only of a test function of two parameters"
        for action in self.start.actions.values():
            use(action, start)

    def _switched(self) -> None:
        self.path_profile.setVisible(self.profile.isChecked())
        if not self.profile.isChecked():
            self.path_profile.rest()
        if not self.basins.isChecked():
            self.attraction.hide()
        if not self.elsewhere.isChecked():
            self.others.hide()
        self.invalidate()

    def _another_run(self) -> None:
        self.attraction.put_away()
        self.others.forget()
        if BY_NAME[self.kind].local or self.kind == "checkpoints":
            self._another_picture()
        self.invalidate()

    def _another_picture(self) -> None:
        self._window = None
        self._asked_at = -math.inf
        self.unseen = None
        self.frame.release()
        self.invalidate()

    def _show_switches(self) -> None:
        """In the head, where there is room for them: the rarest only where it can be had."""
        for button in self._switches:
            rare = button.defaultAction() is self.elsewhere and not self.elsewhere.isEnabled()
            button.setVisible(self.width() >= _WIDE and not rare)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._show_switches()
        self.title.setVisible(self.width() >= _NARROW)
        beside = self.width() > 2 * self.height()
        self._plots.setDirection(
            QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom  # where there is more room
        )

    # What is asked of the analyst.

    @property
    def landscape(self) -> LandscapeNetwork | None:
        """The test function that is raced on, if it is one."""
        return self.plane.landscape

    @property
    def surface(self) -> Surface | None:
        """The loss on the plane, as far as it is known."""
        return None if self.pictured is None else self.pictured.surface

    @property
    def _flat(self) -> bool:
        """Whether the plane is that of the objective's only two parameters."""
        return self.kind == "parameters"

    def fingerprint(self) -> Any:
        self._ask()
        told = (
            self._remaining.words,
            self.attraction.words if self.basins.isChecked() else "",
            id(self.others.found) if self.elsewhere.isChecked() else 0,
        )
        return (tuple(len(shown.history) for shown in self.session.runs), self.session.time, id(self.pictured), told)

    @property
    def settled(self) -> bool:
        """Whether the picture is of all there is: nothing new to ask, nothing unanswered."""
        asked = self._asked == self._question() or not self.session.measures
        return asked and self.session.analyst.idle and (self.pictured is None or self._complete(self.pictured))

    def _complete(self, pictured: Seen) -> bool:
        """Whether the loss is known as finely as it will be, and so is what is shown beside it."""
        shown, known = self.run.chosen, None
        if shown is not None:
            known = self.path_profile.knows(shown, pictured.surface.plane)
        profile = not self.profile.isChecked() or (known is not None and known.done == 1)
        known_all = pictured.kind == self.kind and pictured.surface.done == 1
        if self.relief.isChecked() and self.ground.relief_of(pictured.surface) is None:
            return False
        if self.elsewhere.isChecked() and self.elsewhere.isEnabled() and not self.others.finished:
            return False
        return known_all and profile and (not self.basins.isChecked() or not self._flat or self.attraction.finished)

    def _question(self) -> Any:
        """What the plane and surface depend on."""
        kind, session, shown = self.kind, self.session, self.run.chosen
        which: tuple[Any, ...] = (session.generation, kind)
        if kind == "parameters" and self.landscape is not None:
            return (*which, self._window or self.landscape.window)
        which = (*which, self.plane.of_kind, round(self._aspect(), 1), session.state == "running")
        if BY_NAME[kind].local and shown is not None:
            return (*which, self.run.number, session.step_of(shown))
        paths = tuple((shown.contender, len(shown.history)) for shown in session.measures)
        return (*which, paths)

    def _aspect(self) -> float:
        """Width over height of the picture."""
        box = self.frame.view.boundingRect()
        return min(max(box.width() / max(box.height(), 1.0), 0.25), 8.0)

    def _ask(self) -> None:
        """Have the plane placed and the loss computed on it, if that is due."""
        race, shown = self.session.race, self.run.chosen
        if race is None or shown is None or not self.session.measures or not len(shown.history.snapshots):
            return
        question = self._question()
        if question != self._asked and self._due(question):
            self._asked, self._asked_at = question, monotonic()
            remaining = self._remaining = Remaining()
            kind, material = self.kind, self._material(shown)
            # While runs go on the processor is theirs: the finest grid comes when they rest.
            sizes = (17, 33) if self.session.state == "running" else (17, 33, 65)
            first = self.pictured is None or self.pictured.kind != kind
            self._generation = self.session.analyst.ask(
                _QUESTION,
                lambda cancel: chosen_plane.seen(kind, material, sizes, cancel, remaining.tell),
                at_once=first,
            )
        if self.pictured is None or self.pictured.kind != self.kind:
            return
        surface = self.pictured.surface
        if self.relief.isChecked():
            self.ground.ask(surface)
        if self.profile.isChecked() and surface.done == 1:
            self.path_profile.ask(shown, surface.plane)
        if self.basins.isChecked() and self._flat and surface.done == 1:
            self.attraction.ask(shown, surface.window)
        if self.elsewhere.isChecked() and self.elsewhere.isEnabled() and self._flat:
            self.others.ask(shown)

    def _due(self, question: Any) -> bool:
        """Whether it is time to ask: at once of another race or plane; of more steps after a rest."""
        if self._asked is None or self._asked[:3] != question[:3]:
            return True
        if BY_NAME[self.kind].local and self.session.state != "running":
            return monotonic() - self._asked_at > _CALM or self.session.analyst.idle
        return monotonic() - self._asked_at >= _PAUSE and self.session.analyst.idle

    def _material(self, shown: Shown) -> Material:
        """What planes are made of. Put together over there: it is a lot of memory to move between two frames."""
        session, landscape = self.session, self.landscape
        measures = session.measures
        steps = shown.history.snapshots
        until = steps.until(session.step_of(shown), max(len(steps), 1))
        whole = steps.until(shown.run.step, max(len(steps), 1))
        losses = shown.history.column("loss", 0, shown.run.step + 1)
        best, at = shown.history.parameters(int(np.nanargmin(losses)) if np.isfinite(losses).any() else 0)
        return Material(
            objective=shown.run.objective,
            paths=[one.history.snapshots.until(one.run.step, chosen_plane.POINTS) for one in measures],
            aspect=self._aspect(),
            window=None if landscape is None else self._window or landscape.window,
            label=shown.label,
            here=until[-1],
            before=until[-2] if len(until) > 1 else None,
            start=whole[0],
            best=(at, best),
            middle=whole[len(whole) // 2],
            end=whole[-1],
            optimizer=shown.run.optimizer,
            ends=[(one.label, one.history.snapshots.until(one.run.step, 1)[-1]) for one in self.plane.ends],
            kept=self.plane.kept,
            draw=self.plane.draw,
        )

    def _answered(self, key: str, generation: int, answer: Any) -> None:
        if key == _QUESTION and generation == self._generation:
            if isinstance(answer, Unseen):
                self.unseen, self.pictured = answer, None
            else:
                if self.pictured is None or answer.surface.plane is not self.pictured.surface.plane:
                    if answer.kind != "parameters":
                        self._window = None
                    if self.pictured is not None and self.pictured.kind != answer.kind:
                        self.frame.release()
                self.unseen, self.pictured = None, answer
            self.invalidate()
        elif any(part.take(key, generation, answer) for part in (self.ground, self.path_profile, self.attraction)):
            self.invalidate()

    def _new_race(self) -> None:
        self._allow()
        if self._asked is None or self._asked[0] != self.session.generation:
            # Where only the start has moved, the landscape stays in sight until it is there anew.
            if not self._same_ground():
                self.pictured = None
                self.attraction.forget()
            self.others.forget()
            self.unseen = self._window = None
            self._generation = 0  # an answer on its way is about the race before
            self.path_profile.forget()
            self.frame.release()
            self._of = self.session.raced

    def _same_ground(self) -> bool:
        """Whether this race is on the landscape of the one before, and nothing is seen but that."""
        before, now = self._of, self.session.raced
        if before is None or now is None or self.pictured is None or self.pictured.kind != "parameters":
            return False
        of_loss = [(raced.loss, raced.weight_decay, raced.dtype) for raced in (before, now)]
        return of_loss[0] == of_loss[1] and isinstance(now.data, Landscape) and now.data.same_ground(before.data)

    # Drawing.

    @property
    def frames(self) -> list[Frame]:
        return [self.frame, self.path_profile.frame] if self.profile.isChecked() else [self.frame]

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        kind = BY_NAME[self.kind if self.pictured is None else self.pictured.kind]
        return [(kind.across, kind.up), ("step", "loss along the path")][: len(self.frames)]

    @property
    def entries(self) -> list[Entry]:
        shown = self.run.chosen
        if shown is None or not self.profile.isChecked():
            return super().entries
        below = Entry(f"{shown.label} on the plane", QColor(self.session.theme.text), Qt.PenStyle.DotLine)
        return [*super().entries, below]

    def draw(self) -> None:
        self._allow()
        seen = self.pictured if self.unseen is None else None
        if seen is None:
            self._draw_nothing()
            return
        self.say("")
        self.ground.draw(seen.surface, self.relief.isChecked())
        plane = seen.surface.plane
        measures = self.session.measures
        lines, boxes, off_plane = [], [], 0.0
        for shown in self.session.in_order:
            if not len(shown.history):
                continue
            places = self._paths.on(plane, shown.history, self.session.step_of(shown))
            xy = places[:, :2]
            distance, length = places[-1, 2:]
            off_plane = max(off_plane, distance / length if length > 0 else 0.0)
            colour = self.session.line_colour(shown)
            lines.append(Line(xy[:, 0], xy[:, 1], pen(colour, 1.8, shown.style), xy[[0, -1]] if len(xy) > 1 else xy))
            if shown in measures:
                boxes.append(self._reached(shown, lines[-1], plane))
        if len(seen.marks):
            lines.append(Line(np.empty(0), np.empty(0), pen(self.session.theme.text), rings=seen.marks))
        self.lines.show_lines(lines)
        boxes.append(self._draw_over(seen))
        self._draw_window(seen, boxes)
        self._draw_start(seen)
        shown_run = self.run.chosen
        if shown_run is not None and self.profile.isChecked():
            self.path_profile.draw(shown_run, plane, self.session.step_of(shown_run))
        self._subtitle(seen, off_plane)

    def _draw_over(self, seen: Seen) -> QRectF:
        """Basins and the method's paths in other parameters, where they are asked for; returns where those go."""
        shown, flat = self.run.chosen, seen.kind == "parameters"
        area = self.frame.view.sceneBoundingRect()
        if shown is not None and flat and self.basins.isChecked():
            self.attraction.draw(shown.label, area)
        else:
            self.attraction.image.hide()
            self.attraction.legend.hide()
        if shown is not None and flat and self.elsewhere.isChecked() and self.elsewhere.isEnabled():
            if self.attraction.legend.isVisible():
                area = area.adjusted(0, self.attraction.legend.height() + 8, 0, 0)
            return self.others.draw(shown, area)
        self.others.hide()
        return QRectF()

    def _draw_nothing(self) -> None:
        self.lines.show_lines([])
        self.ground.clear()
        self.attraction.image.hide()
        self.attraction.legend.hide()
        self.others.hide()
        self.start.show(None, (0.0, 1.0, 0.0, 1.0))
        loading = "Loading the data…" if self.session.state == "loading" else "No run yet"
        computing = "Computing the landscape…" if self.session.runs else loading
        self.say(self.unseen.reason if self.unseen is not None else computing)
        self.subtitle.setText("")
        self.subtitle.setToolTip("")

    def _draw_window(self, seen: Seen, boxes: list[QRectF]) -> None:
        """Show the plane's window, wider where paths have left it."""
        if BY_NAME[seen.kind].local:
            self._window = seen.shown
        elif self.landscape is not None and seen.kind == "parameters":
            self._window = holding(self._window, self.landscape.window, boxes, _REACH)
        else:
            self._window = holding(self._window, seen.shown, boxes, 1e9)
        square = self.landscape is None or seen.kind != "parameters"
        self.frame.fill(*self._window, square=square)

    def _draw_start(self, seen: Seen) -> None:
        """The handle at the start of the set-up, where there is one to move."""
        data, loss = self.session.experiment.data, self.session.experiment.loss
        self.start.dress(self.session.theme)
        if self.landscape is None or seen.kind != "parameters" or not isinstance(data, Landscape):
            self.start.show(None, seen.shown)
            return
        if isinstance(loss, type(data.loss)):
            x, y = data.network(loss).position.tolist()
            self.start.show((x, y), self.landscape.window)

    def _reached(self, shown: Shown, line: Line, plane: Plane) -> QRectF:
        """Where a run's path goes, past the current time too: the window does not follow the timeline."""
        if self.session.time is None:
            return bounds([line])
        return self._paths.whole(plane, shown.history)

    def _subtitle(self, seen: Seen, off_plane: float) -> None:
        parts = [f"step {self.session.time}" if self.session.time is not None else ""]
        parts.append(self._remaining.words)
        if seen.kind != self.kind:
            parts.append("computing the plane…")
        if self.basins.isChecked() and self._flat:
            parts.append(self.attraction.words)
        if self.elsewhere.isChecked() and self.elsewhere.isEnabled():
            parts.append(self.others.words)
        all_of_it = seen.surface.plane.axes.shape[1] == 2
        if all_of_it:
            parts.append(seen.words)
            if self.start.on:
                parts.append("click to start elsewhere")
        elif not self.session.latest and seen.kind == "principal":
            parts.append("no steps yet")
        else:
            parts.append(_shares(seen, off_plane))
        text = " · ".join(filter(None, parts))
        if text != self.subtitle.text():
            self.subtitle.setText(text)
        kinds = "\nThe loss is " + ("a shaded relief" if self.relief.isChecked() else "log-spaced contours") + "."
        residual = "\nThe residual is a run's distance from the plane over that from its centre."
        self.subtitle.setToolTip(text + kinds + ("" if all_of_it else residual))


def _shares(seen: Seen, off_plane: float) -> str:
    """What the plane is, how much of the paths' variance it has, and how far from it they are."""
    if math.isnan(seen.explained[0]):
        return seen.words
    first, second = (f"{100 * share:.0f} %" for share in seen.explained)
    if seen.kind == "principal":
        words = f"{seen.words}: {first} + {second} of their variance"
    else:
        words = f"{seen.words} · {first} + {second} of all variance"
    return f"{words} · off-plane residual ≤ {100 * off_plane:.0f} %"

"""The choice of the plane on which a trajectory is drawn, and of the steps and directions that span it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots import chosen_plane
from ngexplorer.gui.plots.chosen_plane import KINDS, Snapshot
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.session import Session, Shown
from ngexplorer.objectives.landscapes import LandscapeNetwork

_MOST = 3
"""So many steps span a plane."""


class PlaneChoice(QObject):
    """A list of the planes, the same as actions, and what else is chosen of them; what cannot be had says why."""

    changed = Signal()
    """Another plane is to be looked at."""

    def __init__(self, session: Session, run: RunChoice, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._run = session, run
        self.list = Choice([(kind.name, kind.title) for kind in KINDS], [kind.help for kind in KINDS])
        self.list.setAccessibleName("Plane on which the loss is shown")
        self.list.setToolTip("The plane on which the loss is shown")
        self.list.picked.connect(self.choose)
        self.chosen: str | None = None
        """The plane that a person chose; None: the two parameters of a test function, else the paths' own."""
        self._group = QActionGroup(self)
        self.actions = {kind.name: self._plane_action(kind) for kind in KINDS}
        self.redraw = self._action("Other random directions", "Draw two other directions", self._draw_others)
        self.keep = self._action(
            "Keep this step for the plane",
            "The plane goes through the step of the run that is shown now, and through the two kept before it",
            self._keep,
        )
        self.release = self._action(
            "Start, best and end again", "Let go of the steps that were kept for the plane", self._release
        )
        self.draw = 0
        """Which random directions are drawn."""
        self._kept: list[tuple[int, int]] = []
        """Runs by their numbers and steps of them that a person wants the plane to go through, the latest last."""
        self._race = session.generation
        self._allowed: Any = None
        """What `allow` last put in use: it is asked at every picture."""
        session.race_changed.connect(self._new_race)

    def _action(self, text: str, tip: str, does: Any) -> QAction:
        action = QAction(text, self)
        action.setToolTip(tip)
        action.triggered.connect(lambda _=False: does())
        return action

    def _plane_action(self, kind: chosen_plane.Kind) -> QAction:
        action = self._action(kind.title, kind.help, lambda: self.choose(kind.name))
        action.setCheckable(True)
        self._group.addAction(action)
        return action

    def add_to(self, menu: QMenu) -> None:
        """A submenu of the planes, and what is chosen of some of them."""
        menu.addMenu("Plane").addActions(list(self.actions.values()))
        menu.addActions([self.keep, self.release, self.redraw])

    # What is chosen.

    def choose(self, name: str) -> None:
        """Look at the loss on another plane."""
        self.chosen = name
        self.changed.emit()

    @property
    def kind(self) -> str:
        """The plane that is looked at: the chosen one where there is one, else the usual one."""
        usual = "principal" if self.landscape is None else "parameters"
        return self.chosen if self.chosen is not None and self.refusal(self.chosen) is None else usual

    def refusal(self, kind: str) -> str | None:
        """Why that plane cannot be had now; None if it can."""
        shown = self._run.chosen
        if shown is None:
            return None
        return chosen_plane.refusal(kind, shown.run.objective, shown.run.optimizer, len(self._session.measures))

    @property
    def landscape(self) -> LandscapeNetwork | None:
        """The test function that is raced on, if it is one."""
        race = self._session.race
        if race is None or not race.runs:
            return None
        model = race.runs[0].objective.model
        return model if isinstance(model, LandscapeNetwork) else None

    @property
    def ends(self) -> list[Shown]:
        """The runs through whose ends a plane goes: those that stand out first."""
        session = self._session
        return sorted(session.measures, key=lambda shown: not session.stands_out(shown))[:_MOST]

    @property
    def kept(self) -> list[tuple[str, Snapshot]]:
        """The steps that a person wants the plane to go through, each with the run's name."""
        runs, found = self._session.runs, list[tuple[str, Snapshot]]()
        for number, step in self._kept:
            theta, at = runs[number].history.parameters(step)
            found.append((runs[number].label, (at, theta)))
        return found

    @property
    def of_kind(self) -> Any:
        """What the plane of the present kind depends on, beside the paths."""
        if self.kind == "checkpoints":
            return (self._run.number, tuple(self._kept))
        if self.kind == "ends":
            return tuple(shown.number for shown in self.ends)
        return self.draw if self.kind == "random" else None

    def _keep(self) -> None:
        shown = self._run.chosen
        if shown is None or shown.number >= len(self._session.runs) or not len(shown.history):
            return
        _, step = shown.history.parameters(self._session.step_of(shown))
        here = (shown.number, step)
        self._kept = [*(one for one in self._kept if one != here), here][-_MOST:]
        self.choose("checkpoints")

    def _release(self) -> None:
        self._kept = []
        self.choose("checkpoints")

    def _draw_others(self) -> None:
        self.draw += 1
        self.changed.emit()

    def _new_race(self) -> None:
        if self._race != self._session.generation:
            self._race, self._kept = self._session.generation, []

    # What is in use.

    def allow(self) -> bool:
        """Put in use what can be had now; what cannot says why. Returns whether anything has changed."""
        reasons, kind = [self.refusal(one.name) for one in KINDS], self.kind
        allowed = (reasons, kind, bool(self._kept), self._run.chosen is None)
        if allowed == self._allowed:
            return False
        self._allowed = allowed
        self.list.refuse(reasons)
        self.list.show_value(kind)
        for action, reason in zip(self.actions.values(), reasons, strict=True):
            use(action, reason or "")
        self.actions[kind].setChecked(True)
        use(self.redraw, "" if kind == "random" else "Only for random directions")
        use(self.keep, "No run yet" if self._run.chosen is None else "")
        use(self.release, "" if self._kept else "No step is kept: the plane goes through start, best and end")
        return True


def use(action: QAction, why_not: str) -> None:
    """Put an action in use, or out of use with a reason."""
    action.setEnabled(not why_not)
    action.setProperty("why_not", why_not)

"""The single model behind every view: the set-up, the race and its runs, what is shown, and one current time."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QDeadlineTimer, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QColor
from torch import Tensor

from ngexplorer.gui import theme as themes
from ngexplorer.gui.worker import Analyst, Racer
from ngexplorer.objectives.landscapes import Landscape
from ngexplorer.objectives.landscapes.base import Place
from ngexplorer.runs.experiment import Experiment
from ngexplorer.runs.export import rows_of, write_csv
from ngexplorer.runs.extremes import Extremes
from ngexplorer.runs.history import COLUMNS, History
from ngexplorer.runs.race import distinct
from ngexplorer.runs.record import Lineup, Record
from ngexplorer.runs.remote import Workplace
from ngexplorer.settings import SettingError

_FAINT = 0.2
"""How strongly a run is drawn beside one that is highlighted."""
# A set-up that is being typed is loaded once it has rested so long, milliseconds.
_REST = 250


@dataclass(frozen=True)
class Shown:
    """A run as every view shows it."""

    run: Record
    number: int
    """Its place among the runs."""
    contender: int
    """Its optimizer's place in the set-up."""
    colour: str
    style: Qt.PenStyle
    seeds: int = 1
    """With how many seeds its optimizer runs."""

    @property
    def history(self) -> History:
        return self.run.history

    @property
    def label(self) -> str:
        """What it is called, its seed too where its optimizer runs with several."""
        return self.run.label if self.seeds == 1 else f"{self.run.label}, seed {self.history.seed}"


@dataclass(frozen=True)
class Group:
    """Runs that differ in the seed alone, drawn as one: their median and quartiles."""

    members: tuple[Shown, ...]

    @property
    def label(self) -> str:
        return self.members[0].run.label

    @property
    def colour(self) -> str:
        return self.members[0].colour


@dataclass(frozen=True)
class Notice:
    """Something a person should know; `detail` is one click away."""

    message: str
    detail: str = ""
    error: bool = True
    of_race: bool = False
    """Whether it is about the race under way, and means nothing once there is another."""


class Session(QObject):
    """Views read this and nothing else, and pull from the histories of `runs`; nothing here runs per step."""

    opened = Signal()
    """Another experiment takes the place of the set-up; `experiment_changed` follows."""
    experiment_changed = Signal()
    race_changed = Signal()
    """A new race, or a changed colour or label."""
    state_changed = Signal(str)
    time_changed = Signal()
    shown_changed = Signal()
    """Runs are hidden or shown, or stand out from the others."""
    theme_changed = Signal()
    noticed = Signal(object)
    setting_refused = Signal(str, str)
    """Path and reason of a setting that cannot be; the path is empty once all is well."""

    def __init__(self, experiment: Experiment, theme: themes.Theme, work: Workplace | None = None) -> None:
        """`work` is a process for the steps to be taken in; None: they are taken in a thread of this one."""
        super().__init__()
        self.experiment = experiment
        self.theme = theme
        self.race: Lineup[Any] | None = None
        self.runs: list[Shown] = []
        self.time: int | None = None
        """The step that every view shows; None is the latest, live."""
        self.stale = False
        """Whether the set-up has changed in a way that only a reset applies."""
        self.generation = 0
        """Grows with each new race, so that a view knows to forget the last one."""
        self.highlighted: frozenset[int] = frozenset()
        """The runs that stand out, by their numbers; the others are faint. None of them: no run is."""
        self._hidden: set[int] = set()
        self._extremes: dict[tuple[History, str], Extremes] = {}
        self._measured: tuple[list[Any], list[Shown]] = ([], [])
        """The `measures`, and what they were found for."""
        self._loading: Experiment | None = None
        """What the racer was last asked to load, until it is there."""
        self._loaded: Experiment | None = None
        self.racer = Racer(work)
        self.analyst = Analyst(busy=lambda: self.racer.state == "running")
        self.racer.race_loaded.connect(self._race_loaded)
        self.racer.load_failed.connect(self._load_failed)
        self.racer.run_ended.connect(self._run_ended)
        self.racer.run_forked.connect(self._run_forked)
        self.racer.state_changed.connect(self.state_changed)
        for worker in (self.racer, self.analyst):
            worker.broke.connect(self._broke)
        self._rest = QTimer(self, singleShot=True, interval=_REST)
        self._rest.timeout.connect(self.reset)

    def open(self) -> None:
        """Start the threads and load the set-up."""
        self.racer.start()
        self.analyst.start()
        self.reset()

    def close(self) -> None:
        """Ask both threads to end."""
        self._rest.stop()
        self.racer.close()
        self.analyst.close()

    def wait(self, milliseconds: int | None = None) -> bool:
        """Wait for the threads, so long at most (None: as long as it takes); whether both have ended."""
        forever = QDeadlineTimer(QDeadlineTimer.ForeverConstant.Forever)
        deadline = forever if milliseconds is None else QDeadlineTimer(milliseconds)
        return self.racer.wait(deadline) and self.analyst.wait(deadline)

    # The race.

    @property
    def state(self) -> str:
        return self.racer.state

    @property
    def raced(self) -> Experiment | None:
        """The set-up of the race under way."""
        return self._loaded

    @property
    def untouched(self) -> bool:
        """Whether no step has been taken yet."""
        return self.race is None or (self.state != "running" and all(run.step == 0 for run in self.race.runs))

    def toggle(self) -> None:
        """Start, or pause."""
        if self.state == "running":
            self.racer.pause()
        else:
            self._stop_resting()
            self.racer.begin()

    def step(self) -> None:
        """One step of every run."""
        self._stop_resting()
        self.racer.step()

    def _stop_resting(self) -> None:
        """What starts is what the set-up shows, however short ago it was typed."""
        if self._rest.isActive():
            self.reset()

    def reset(self) -> None:
        """A new race from the set-up as it now is."""
        self._rest.stop()
        self._loading = self.experiment
        self.racer.load(self.experiment)

    def fork(self, shown: Shown, step: int, delta: Tensor, damping: float, matrix: str) -> None:
        """A new run that has another's past up to a step and takes δ(λ) there. It belongs to this race, not to the
        set-up: no file has it, and a reset ends it."""
        try:
            self.racer.fork(shown.run, step, delta, damping, matrix)
        except ValueError as error:  # the parameters there have been thinned out since
            self.noticed.emit(Notice(str(error)))

    def watch(self, matrices: frozenset[str]) -> None:
        """Have the race record the spectra of these matrices too, by their names."""
        self.racer.watch(matrices)

    # The set-up.

    def change(self, experiment: Experiment) -> None:
        """Take a new set-up. What can be is applied to the running race; for the rest a reset is needed."""
        before, self.experiment = self.experiment, experiment
        if experiment == before:
            return
        self.experiment_changed.emit()
        if self.untouched or self._loading is not None:
            self._rest.start()
            return
        assert self._loaded is not None
        self._apply_live(before, experiment)
        self.stale = _structure(experiment) != _structure(self._loaded)
        self._dress()

    def open_experiment(self, experiment: Experiment) -> None:
        """Replace the set-up and the race."""
        self.experiment = experiment
        self.opened.emit()
        self.experiment_changed.emit()
        self.reset()

    def start_at(self, place: Place) -> None:
        """Start every run of a test function at another place: a change of the set-up like any other, and a new race of
        it at once, which goes on where one was going on. Where there is no start, says why."""
        data = self.experiment.data
        if not isinstance(data, Landscape):
            return
        try:
            moved = data.started_at(place, self.experiment.loss)
        except SettingError as error:
            self.noticed.emit(Notice(f"no run can start there: {error.reason}"))
            return
        running = self.state == "running"
        self.change(msgspec.structs.replace(self.experiment, data=moved))
        self.reset()
        if running:
            self.racer.begin()

    def _apply_live(self, before: Experiment, after: Experiment) -> None:
        if after.steps != before.steps:
            self.racer.set_steps(after.steps)
        if after.turns != before.turns:
            self.racer.set_turns(after.turns)
        if len(before.runs) != len(after.runs):
            return
        for number, shown in enumerate(self.runs):
            if shown.contender >= len(after.runs) or shown.run.origin is not None:
                continue
            old, new = (msgspec.to_builtins(e.runs[shown.contender].optimizer) for e in (before, after))
            for path, value in _edits(old, new):
                self.racer.edit(number, path, value)

    def _race_loaded(self, experiment: Experiment, race: Lineup[Any]) -> None:
        self._loaded, self.race = experiment, race
        if experiment is self._loading:
            self._loading = None
        self.stale = _structure(self.experiment) != _structure(self._loaded)
        self.time = None
        self._hidden.clear()
        self.highlighted = frozenset()
        self._extremes.clear()
        self.generation += 1
        self.setting_refused.emit("", "")
        self._dress()
        for run in race.runs:
            if run.state == "failed":
                self._run_ended(run)

    def _run_forked(self, run: Record) -> None:
        if self.race is None or run not in self.race.runs:
            return
        self._dress()
        event = next(event for event in reversed(run.history.events) if event.kind == "fork")
        self.noticed.emit(Notice(f"New run “{run.label}”, {event.message}", error=False, of_race=True))
        if not run.live:
            self._run_ended(run)

    def _load_failed(self, experiment: Experiment, error: Exception) -> None:
        """Tell why; while another set-up is loading, what was wrong with this one matters no more."""
        latest = experiment is self._loading
        if latest:
            self._loading = None
        if not isinstance(error, SettingError):
            detail = "".join(traceback.format_exception(error))
            self.noticed.emit(Notice(f"{type(error).__name__}: {error}", detail))
        elif latest:
            self.setting_refused.emit(error.path, error.reason)

    def _broke(self, message: str, detail: str) -> None:
        self.noticed.emit(Notice(message, detail))

    def _dress(self) -> None:
        """Give every run the colour, line style and label of its place in the set-up, and forks their own."""
        assert self.race is not None
        assert self._loaded is not None
        names, racing_names = (
            [contender.optimizer.name for contender in experiment.runs]
            for experiment in (self.experiment, self._loaded)
        )
        # What the set-up says of other runs says nothing of these.
        source, names = (self.experiment, names) if names == racing_names else (self._loaded, racing_names)
        runs = list(self.race.runs)
        forks = [run for run in runs if run.origin is not None]
        names = names + [fork.optimizer.name for fork in forks]
        colours = themes.colours(names, [contender.colour for contender in source.runs] + [None] * len(forks))
        labels = source.labels()
        # The racer puts forks behind all others, each behind the run it parted from.
        self.runs = []
        for number, run in enumerate(runs):
            if run.origin is None:
                place = contender = self._loaded.entries[number][0]
                run.label = run.history.label = labels[place]
                seeds = len(self._loaded.all_seeds)
            else:
                place, seeds = len(labels), 1
                parted = self.runs[runs.index(run.origin.run)]
                contender = parted.contender
                run.label = run.history.label = distinct(f"{parted.label} {run.origin.suffix}", labels)
                labels.append(run.label)
            style = themes.STYLES[place % len(themes.STYLES)]
            self.runs.append(Shown(run, number, contender, colours[place], style, seeds))
        self.race_changed.emit()

    def _run_ended(self, run: Record) -> None:
        label = next((shown.label for shown in self.runs if shown.run is run), run.label)
        for event in run.history.events:
            if event.kind in ("failed", "diverged"):
                words = f"{label} {_ending(event.kind, event.message)}"
                self.noticed.emit(Notice(words, event.detail, of_race=True))

    # What is shown.

    def is_hidden(self, number: int) -> bool:
        return number in self._hidden

    def set_hidden(self, number: int, hidden: bool) -> None:
        """Show or hide a run in every plot."""
        (self._hidden.add if hidden else self._hidden.discard)(number)
        self.shown_changed.emit()

    def highlight(self, numbers: Iterable[int]) -> None:
        """Let these runs stand out in every view; none of them: all alike."""
        if (chosen := frozenset(numbers)) != self.highlighted:
            self.highlighted = chosen
            self.shown_changed.emit()

    def stands_out(self, shown: Shown) -> bool:
        """Whether no other run is highlighted in its stead."""
        return not self.highlighted or shown.number in self.highlighted

    def line_colour(self, shown: Shown | Group) -> QColor:
        """The colour of a run's lines and dots in this theme; see-through where other runs are highlighted."""
        colour = QColor(themes.line_colour(shown.colour, self.theme))
        members = shown.members if isinstance(shown, Group) else (shown,)
        if not all(map(self.stands_out, members)):
            colour.setAlphaF(_FAINT)
        return colour

    @property
    def families(self) -> list[Group]:
        """The runs of each optimizer together, one for every seed; each fork by itself."""
        found: dict[tuple[int, int], list[Shown]] = {}
        for shown in self.runs:
            fork = 0 if shown.run.origin is None else shown.number
            found.setdefault((shown.contender, fork), []).append(shown)
        return [Group(tuple(members)) for members in found.values()]

    @property
    def visible_families(self) -> list[Group]:
        """Those of which any run is visible."""
        return [family for family in self.families if not all(self.is_hidden(shown.number) for shown in family.members)]

    @property
    def visible(self) -> list[Shown]:
        return [shown for number, shown in enumerate(self.runs) if number not in self._hidden]

    @property
    def in_order(self) -> list[Shown]:
        """The visible runs in the order in which they are drawn: above the others those that stand out."""
        return sorted(self.visible, key=self.stands_out)

    @property
    def measures(self) -> list[Shown]:
        """The visible runs by which a view chooses its scale: those that diverged or went astray only where there are
        no others, since beside them nothing else can be seen."""
        visible = [shown for shown in self.visible if len(shown.history)]
        key = [(shown, len(shown.history), shown.run.state) for shown in visible]
        if key != self._measured[0]:  # asked several times a picture
            self._measured = (key, [shown for shown in visible if not shown.run.astray] or visible)
        return self._measured[1]

    def groups(self, runs: list[Shown]) -> list[Group]:
        """Those of the runs that differ in the seed alone, by their optimizers. One that diverged or failed has no part
        in a median: it stands for itself."""
        sound = [shown for shown in runs if shown.run.state not in ("diverged", "failed")]
        families = [tuple(shown for shown in family.members if shown in sound) for family in self.families]
        return [Group(members) for members in families if len(members) > 1]

    def extremes(self, shown: Shown, column: str) -> Extremes:
        """Where that column of a run is lowest and highest: one for all views, which grows as they ask it to."""
        key = (shown.history, column)
        if key not in self._extremes:
            self._extremes[key] = Extremes(shown.history, column)
        return self._extremes[key]

    @property
    def latest(self) -> int:
        """The furthest step of any run."""
        return max((shown.run.step for shown in self.runs), default=0)

    def step_of(self, shown: Shown) -> int:
        """The step of a run that is shown now: the current time, or its last step if it has not come so far."""
        return shown.run.step if self.time is None else min(self.time, shown.run.step)

    def set_time(self, step: int | None) -> None:
        """Scrub to a step; None follows the latest."""
        if step != self.time:
            self.time = step
            self.time_changed.emit()

    def set_theme(self, theme: themes.Theme) -> None:
        """Change the appearance."""
        self.theme = theme
        self.theme_changed.emit()

    def export_csv(
        self,
        path: str | Path,
        runs: list[Shown] | None = None,
        columns: Sequence[str] = COLUMNS,
        steps: tuple[int, int] | None = None,
    ) -> bool:
        """Write runs (None: all) to a CSV, at all steps or from the first to the last one; tells of a failure, and
        returns whether it went well."""
        histories = [shown.history for shown in (self.runs if runs is None else runs)]
        try:
            write_csv(histories, path, columns, steps)
        except OSError as error:
            self.noticed.emit(Notice(str(error)))
            return False
        rows = sum(rows_of(history, steps) for history in histories)
        self.noticed.emit(Notice(f"Exported {rows:,} rows to {path}", error=False))
        return True


def _ending(kind: str, message: str) -> str:
    return message if kind == "diverged" else f"failed: {message}"


def _structure(experiment: Experiment) -> Any:
    """What of a set-up only a new race can apply: all but the names, colours, settings of parts, steps and turns."""
    raw = msgspec.to_builtins(experiment)
    for key in ("title", "steps", "turns"):
        raw.pop(key)
    for run in raw["runs"]:
        run.pop("label")
        run.pop("colour")
        optimizer = run["optimizer"]
        run["optimizer"] = {k: v["name"] for k, v in optimizer.items() if isinstance(v, dict)}
    return raw


def _edits(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any]]:
    """The settings of an optimizer that differ, where its parts are the same ones."""
    found = []
    for key, value in new.items():
        if isinstance(value, dict):
            if value["name"] == old[key]["name"]:
                found += [(f"{key}.{inner}", v) for inner, v in value.items() if v != old[key][inner]]
        elif value != old[key]:
            found.append((key, value))
    return found

"""What the runs table says: how every run stands at the current time, and when it came to the target loss; runs that
differ in the seed alone are one row that unfolds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QSize, Qt

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.session import Group, Session, Shown
from ngexplorer.runs.compare import standing

ROW = 22
"""Pixels: the height of a row."""

COLUMNS = (
    ("Run", ""),
    ("State", ""),
    ("Step", "The step shown"),
    ("Loss", "Training loss at that step"),
    ("Best", "Lowest training loss up to that step"),
    ("Metric", "On the validation cases where there are some"),
    ("Seconds", "Seconds of compute up to that step"),
    ("Steps/s", "Steps a second of its own compute, over the last 20"),
    ("Steps to", "Steps to the target loss"),
    ("Seconds to", "Seconds of compute to the target loss"),
    ("Gradients to", "Gradient equivalents to the target loss"),
)
SPEED, TO_TARGET = 7, 8
"""The column of the speed; from the other one on they are about the target."""

Index = QModelIndex | QPersistentModelIndex

_ROLES = frozenset(
    (
        Qt.ItemDataRole.DisplayRole,
        Qt.ItemDataRole.TextAlignmentRole,
        Qt.ItemDataRole.SizeHintRole,
        Qt.ItemDataRole.DecorationRole,
        Qt.ItemDataRole.ForegroundRole,
        Qt.ItemDataRole.ToolTipRole,
    )
)
"""What the model has an answer to."""


def _numbers(session: Session, shown: Shown, target: float | None) -> list[float]:
    """What stands in the columns after the state; NaN where there is nothing."""
    step, history = session.step_of(shown), shown.history
    losses = session.extremes(shown, "loss")
    losses.grow()
    stands = standing(losses, step, target)
    there = [history.value(name, step) if len(history) else None for name in ("metric", "seconds")]
    recent = history.column("step_seconds", max(1, step - 19), step + 1)
    mean = float(recent.mean()) if len(recent) else 0.0
    reached = (stands.target_step, stands.target_seconds, stands.target_gradients)
    found = (step, stands.final, stands.best, *there, 1 / mean if mean > 0 else None, *reached)
    return [np.nan if number is None else float(number) for number in found]


def _together(numbers: list[list[float]]) -> list[float]:
    """The medians of several runs. One that has not come to the target will, if ever, come later than all that have;
    of other columns what is missing is left out."""
    if len(numbers) == 1:
        return numbers[0]
    table = np.array(numbers)
    late = np.where(np.isnan(table), np.inf, table)[:, TO_TARGET - 2 :]
    medians = [
        float(np.median(column[~np.isnan(column)])) if not np.isnan(column).all() else np.nan for column in table.T
    ]
    medians[TO_TARGET - 2 :] = [float(value) if np.isfinite(value) else np.nan for value in np.median(late, axis=0)]
    return medians


def _written(column: int, number: float) -> str:
    if number != number:
        return "–"
    if column in (2, TO_TARGET):
        return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"
    if column == SPEED:
        return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
    return compact(number)


class RunsModel(QAbstractItemModel):
    """A row for each optimizer, and under it one for each of its seeds where there are several; texts are computed at
    each pull."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.target: float | None = None
        """The loss that runs are timed to."""
        self.families: list[Group] = []
        self.texts: list[list[str]] = []
        """Of each optimizer's row."""
        self._below: list[list[list[str]]] = []
        self._spreads: list[list[str]] = []
        self._shape: Any = None
        session.race_changed.connect(self._renew)

    def pull(self) -> None:
        """Read the runs, and tell of what changed."""
        for place, family in enumerate(self.families):
            numbers = [_numbers(self.session, shown, self.target) for shown in family.members]
            states = [self._state(shown) for shown in family.members]
            several = len(family.members) > 1
            below = [
                [f"seed {shown.history.seed}", state, *(_written(i, x) for i, x in enumerate(found, 2))]
                for shown, state, found in zip(family.members, states, numbers, strict=True)
                if several
            ]
            words = (
                ", ".join(f"{n} {state}" for state, n in Counter(states).items()) if len(set(states)) > 1 else states[0]
            )
            medians = [_written(i, x) for i, x in enumerate(_together(numbers), 2)]
            if several and self.target is not None:
                reached = sum(found[TO_TARGET - 2] == found[TO_TARGET - 2] for found in numbers)
                if 0 < reached < len(numbers):
                    medians[TO_TARGET - 2] += f" ({reached} of {len(numbers)})"
            name = f"{family.label} · {len(family.members)} seeds" if several else family.label
            texts = [name, words, *medians]
            if texts != self.texts[place]:
                self.texts[place] = texts
                self.dataChanged.emit(self.index(place, 0), self.index(place, len(COLUMNS) - 1))
            if below != self._below[place]:
                self._below[place] = below
                parent = self.index(place, 0)
                last = self.index(len(below) - 1, len(COLUMNS) - 1, parent)
                self.dataChanged.emit(self.index(0, 0, parent), last)
            self._spreads[place] = _spreads(numbers) if several else []

    def _state(self, shown: Shown) -> str:
        run = shown.run
        if run.state == "diverged":
            return next((e.message.split(":")[0] for e in run.history.events if e.kind == "diverged"), "diverged")
        paused = self.session.state in ("paused", "stopped") and run.state == "running"
        return self.session.state if paused else run.state

    def _renew(self) -> None:
        """Take the runs as they now are; only another race takes the rows away."""
        self.families = self.session.families
        shape = (self.session.generation, [len(family.members) for family in self.families])
        if shape != self._shape:
            self.beginResetModel()
            self._shape = shape
            self.texts = [[""] * len(COLUMNS) for _ in self.families]
            several = [family.members if len(family.members) > 1 else () for family in self.families]
            self._below = [[[""] * len(COLUMNS) for _ in members] for members in several]
            self._spreads = [[] for _ in self.families]
            self.endResetModel()
        self.pull()
        if self.families:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.families) - 1, len(COLUMNS) - 1))

    def shown_at(self, index: Index) -> tuple[Shown, ...]:
        """The runs of a row."""
        row, family = index.row(), index.internalId()
        return (self.families[family - 1].members[row],) if family else self.families[row].members

    # What Qt asks of a model.

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]  # QObject has another one of that name
        place = index.internalId() if index.isValid() else 0
        return self.createIndex(place - 1, 0, 0) if place else QModelIndex()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        if not parent.isValid():
            return len(self.families)
        return 0 if parent.internalId() or parent.column() else len(self._below[parent.row()])

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._metric() if COLUMNS[section][0] == "Metric" else COLUMNS[section][0]
        if role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[section][1]
        return _alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def _metric(self) -> str:
        runs = self.session.runs
        return runs[0].run.objective.loss.metric_name.capitalize() if runs else "Metric"

    def data(self, index: Index, role: int = 0) -> Any:
        if role not in _ROLES:  # most of what Qt asks of each cell that it paints
            return None
        # The identifier is that of `index`: a parent is known without making one.
        theme, column, family = self.session.theme, index.column(), index.internalId()
        members = self.shown_at(index)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                rows = self._below[family - 1] if family else self.texts
                return rows[index.row()][column]
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.SizeHintRole:
                return QSize(0, ROW)
            case Qt.ItemDataRole.DecorationRole if column == 0 and not family:
                return themes.dot(themes.line_colour(members[0].colour, theme), 10)
            case Qt.ItemDataRole.ForegroundRole if column == 0:
                return themes.readable(members[0].colour, theme)
            case Qt.ItemDataRole.ForegroundRole if column == 1:
                ended = any(shown.run.state in ("failed", "diverged") for shown in members)
                return themes.readable(theme.error, theme) if ended else None
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(index, members)
        return None

    def _tip(self, index: Index, members: tuple[Shown, ...]) -> str | None:
        """Of a group's number its quartiles; of any other cell what happened to the run."""
        spreads = [] if index.internalId() else self._spreads[index.row()]
        if spreads and index.column() >= 2:
            return f"Median of {len(members)} seeds; quartiles {spreads[index.column() - 2]}"
        events = [(shown, event) for shown in members for event in shown.history.events[-8:]]
        told = [
            f"{f'seed {shown.history.seed}, ' if len(members) > 1 else ''}step {event.step:,}: {event.message}"
            for shown, event in events[-12:]
        ]
        return "\n".join(told) or None

    def as_text(self) -> str:
        """The whole table with its heads, cells parted by tabs, as spreadsheets take it."""
        several = any(self._below)
        shown = [i for i in range(len(COLUMNS)) if i < TO_TARGET or self.target is not None]
        heads = [self.headerData(i, Qt.Orientation.Horizontal) for i in shown]
        heads = [f"{head} {self.target:g}" if i >= TO_TARGET else head for i, head in zip(shown, heads, strict=True)]
        rows = [[*heads[:1], *(["Seed"] if several else []), *heads[1:]]]
        for family, texts, below in zip(self.families, self.texts, self._below, strict=True):
            rows.append([family.label, *(["median"] if several else []), *(texts[i] for i in shown[1:])])
            for member, cells in zip(family.members, below, strict=False):
                rows.append([family.label, str(member.history.seed), *(cells[i] for i in shown[1:])])
        return "\n".join("\t".join(row) for row in rows) + "\n"


def _spreads(numbers: list[list[float]]) -> list[str]:
    """Of each column the quartiles, in words."""
    table = np.array(numbers)
    table[:, TO_TARGET - 2 :] = np.where(np.isnan(table), np.inf, table)[:, TO_TARGET - 2 :]
    found = []
    for i, column in enumerate(table.T, 2):
        known = np.sort(column[~np.isnan(column)])
        ends = [known[round(share * (len(known) - 1))] for share in (0.25, 0.75)] if len(known) else [np.nan] * 2
        low, high = ("never" if end == np.inf else _written(i, end) for end in ends)
        found.append(f"{low} to {high}")
    return found


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column < 2 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter

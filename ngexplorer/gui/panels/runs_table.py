"""The runs table: how every run stands, at the current time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.session import Session, Shown

_ROW = 22
_USUAL_ROWS = 8
_DOT_ROOM, _PADDING = 16, 24
"""Pixels: the height of a row; what the dot before a name takes, and the room on both sides of a text."""

Index = QModelIndex | QPersistentModelIndex


def _best(shown: Shown, step: int) -> str:
    losses = shown.history.column("loss")[: step + 1]
    return compact(float(losses.min())) if len(losses) else "–"


def _speed(shown: Shown, step: int) -> str:
    recent = shown.history.column("step_seconds")[max(1, step - 19) : step + 1]
    mean = float(recent.mean()) if len(recent) else 0.0
    return f"{1 / mean:,.3g}" if mean > 0 else "–"


def _column(name: str) -> Callable[[Shown, int], str]:
    def text(shown: Shown, step: int) -> str:
        return compact(shown.history.row(step)[name]) if len(shown.history) else "–"

    return text


COLUMNS: tuple[tuple[str, str, Callable[[Shown, int], str]], ...] = (
    ("Run", "", lambda shown, step: shown.label),
    ("State", "", lambda shown, step: _state(shown)),
    ("Step", "The step shown", lambda shown, step: f"{step:,}"),
    ("Loss", "Training loss at that step", _column("loss")),
    ("Best", "Lowest training loss up to that step", _best),
    ("Metric", "On the validation cases where there are some", _column("metric")),
    ("Seconds", "Seconds of compute up to that step", _column("seconds")),
    ("Steps/s", "Steps a second of its own compute, over the last 20", _speed),
)


def _state(shown: Shown) -> str:
    run = shown.run
    if run.state == "diverged":
        return next((e.message.split(":")[0] for e in run.history.events if e.kind == "diverged"), "diverged")
    return run.state


class RunsModel(QAbstractTableModel):
    """A row a run, its texts computed at each pull."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.texts: list[list[str]] = []
        session.race_changed.connect(self._reset)

    def pull(self) -> None:
        """Read the runs, and tell of what changed."""
        session = self.session
        if len(self.texts) != len(session.runs):
            self._reset()
        for i, shown in enumerate(session.runs):
            step = session.step_of(shown)
            texts = [text(shown, step) for _, _, text in COLUMNS]
            if session.state in ("paused", "stopped") and texts[1] == "running":
                texts[1] = session.state
            if texts != self.texts[i]:
                self.texts[i] = texts
                self.dataChanged.emit(self.index(i, 0), self.index(i, len(COLUMNS) - 1))

    def _reset(self) -> None:
        self.beginResetModel()
        self.texts = [[""] * len(COLUMNS) for _ in self.session.runs]
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.texts)

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
        shown = self.session.runs[index.row()]
        theme = self.session.theme
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self.texts[index.row()][index.column()]
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(index.column())
            case Qt.ItemDataRole.DecorationRole if index.column() == 0:
                return themes.dot(themes.line_colour(shown.colour, theme), 10)
            case Qt.ItemDataRole.ForegroundRole if index.column() == 0:
                return themes.readable(shown.colour, theme)
            case Qt.ItemDataRole.ForegroundRole if index.column() == 1 and shown.run.state in ("failed", "diverged"):
                return themes.readable(theme.error, theme)
            case Qt.ItemDataRole.ToolTipRole if shown.history.events:
                return "\n".join(f"step {e.step}: {e.message}" for e in shown.history.events[-8:])
        return None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column < 2 else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class RunsTable(QTableView):
    """The table, its rows close together, numbers right-aligned; never taller than its rows."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.runs = RunsModel(session)
        self.setModel(self.runs)
        self.setAccessibleName("Runs")
        self.setFont(themes.font(12))
        self.setIconSize(QSize(10, 10))
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(_ROW)
        self.verticalHeader().setDefaultSectionSize(_ROW)
        header = self.horizontalHeader()
        header.setFont(themes.font(12))
        header.setHighlightSections(False)
        header.setFixedHeight(_ROW + 2)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for column in (0, 1):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        session.race_changed.connect(self._fit)
        session.experiment_changed.connect(self._fit)
        self._fit()

    def pull(self) -> None:
        self.runs.pull()

    def height_within(self, height: int) -> int:
        """The height of as many whole rows as there is room for, one at least, and no more than of a usual race."""
        rows = max((height - self._height(0)) // _ROW, 1)
        return self._height(min(rows, self._rows, _USUAL_ROWS))

    @property
    def _rows(self) -> int:
        """How many runs there are, or will be once the data are loaded."""
        return len(self.session.runs) or sum(contender.enabled for contender in self.session.experiment.runs)

    def _height(self, rows: int) -> int:
        return self.horizontalHeader().height() + rows * _ROW

    def _fit(self) -> None:
        """Give the names and states the room they need, and the table the height of its rows."""
        labels = [shown.label for shown in self.session.runs]
        words = ((labels, _DOT_ROOM), (["diverged at step 10,000"], 0))
        for column, (texts, more) in enumerate(words):
            widest = max(map(self.fontMetrics().horizontalAdvance, texts), default=0)
            self.setColumnWidth(column, min(max(widest + more + _PADDING, 96), 260))
        self.setMinimumHeight(self._height(1))
        self.setMaximumHeight(self._height(max(self._rows, 1)))

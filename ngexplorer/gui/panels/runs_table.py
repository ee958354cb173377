"""The runs table: a row for each run, what is chosen there stands out in every view; and the loss runs are timed to."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSize, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QMouseEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Entry, mark_invalid
from ngexplorer.gui.panels.runs_model import COLUMNS, ROW, SPEED, TO_TARGET, Index, RunsModel
from ngexplorer.gui.session import Session

_USUAL_ROWS = 8
_DOT_ROOM, _PADDING, _FOLD_ROOM = 16, 24, 16
"""Pixels: what the dot before a name takes, the room on both sides of a text, and that of the arrow which unfolds a
row."""
_STATE, _STEP, _STEP_ROOM = 1, 2, 56
"""The columns of the state and the step, and the pixels that it gets in a narrow table."""
_WIDE = 1120
"""Pixels from which there is room for all columns."""


class _Cells(QStyledItemDelegate):
    """Cells whose texts keep their colour in a row that is chosen."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        colour = index.data(Qt.ItemDataRole.ForegroundRole) or option.palette.color(QPalette.ColorRole.Text)
        option.palette.setColor(QPalette.ColorRole.HighlightedText, colour)


class RunsTable(QTreeView):
    """The table, its rows close together, numbers right-aligned; never taller than its rows. The rows that are chosen
    stand out in every view."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.runs = RunsModel(session)
        self._states: list[str] = []
        """What is said of each run's state; a narrow table has no more room for it than it takes."""
        self.setModel(self.runs)
        self.setAccessibleName("Runs")
        self.setToolTip("A click on a run lets it stand out in every view, another one all alike")
        self.setFont(themes.font(12))
        self.setIconSize(QSize(10, 10))
        self.setUniformRowHeights(True)
        self.setItemDelegate(_Cells(self))
        self.setIndentation(_FOLD_ROOM)
        header = self.header()
        header.setFont(themes.font(12))
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setFixedHeight(ROW + 2)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for column in (0, 1):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.selectionModel().selectionChanged.connect(self._chosen)
        session.race_changed.connect(self._fit)
        session.experiment_changed.connect(self._fit)
        session.shown_changed.connect(self._follow)
        self.expanded.connect(self._fit)
        self.collapsed.connect(self._fit)
        self.set_target(None)
        self._fit()

    def pull(self) -> None:
        self.runs.pull()
        states = [texts[_STATE] for texts in self.runs.texts]
        if states != self._states:
            self._states = states
            self._fit()

    def set_target(self, loss: float | None) -> None:
        """Say when every run came to that loss; None: of no loss."""
        self.runs.target = loss
        for column in range(TO_TARGET, len(COLUMNS)):
            self.setColumnHidden(column, loss is None)
        self._make_room()
        self.pull()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """Where the columns of the target would be too narrow, do without the one that is missed least."""
        narrow = self.runs.target is not None and self.width() < _WIDE
        self.setColumnHidden(SPEED, narrow)
        mode = QHeaderView.ResizeMode
        self.header().setSectionResizeMode(_STEP, mode.Fixed if narrow else mode.Stretch)
        self.setColumnWidth(_STEP, _STEP_ROOM)

    def copy(self) -> None:
        """Put the table on the clipboard, as spreadsheets take it."""
        self.pull()
        QGuiApplication.clipboard().setText(self.runs.as_text())

    # What is chosen stands out.

    def _chosen(self) -> None:
        rows = self.selectionModel().selectedRows()
        self.session.highlight(shown.number for row in rows for shown in self.runs.shown_at(row))

    def _follow(self) -> None:
        """Choose the rows of what stands out, by whatever it was made to."""
        rows = self.selectionModel().selectedRows()
        if {shown.number for row in rows for shown in self.runs.shown_at(row)} == self.session.highlighted:
            return
        chosen = QItemSelection()
        for place, family in enumerate(self.runs.families):
            index = self.runs.index(place, 0)
            inside = [i for i, shown in enumerate(family.members) if shown.number in self.session.highlighted]
            whole = len(inside) == len(family.members)
            for row in [index] if whole else [self.runs.index(i, 0, index) for i in inside]:
                chosen.select(row, row)
        how = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(chosen, how.ClearAndSelect | how.Rows)
        for index in chosen.indexes()[:1]:
            self.scrollTo(index)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click on the only row that is chosen lets it go again."""
        index = self.indexAt(event.position().toPoint())
        plain = event.button() == Qt.MouseButton.LeftButton and not event.modifiers()
        inside = index.isValid() and event.position().x() >= self.visualRect(index.siblingAtColumn(0)).left()
        alone = len(self.selectionModel().selectedRows()) == 1 and self.selectionModel().isSelected(index)
        if plain and inside and alone:
            self.clearSelection()
            return
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        super().keyPressEvent(event)

    # Its size.

    def height_within(self, height: int) -> int:
        """The height of as many whole rows as there is room for, one at least, and no more than of a usual race."""
        rows = max((height - self._height(0)) // ROW, 1)
        return self._height(min(rows, self._rows, _USUAL_ROWS))

    @property
    def _rows(self) -> int:
        """How many rows can be seen, or will be once the data are loaded."""
        if not self.session.runs:
            return sum(contender.enabled for contender in self.session.experiment.runs)
        unfolded = [
            len(family.members) for i, family in enumerate(self.runs.families) if self.isExpanded(self.runs.index(i, 0))
        ]
        return len(self.runs.families) + sum(unfolded)

    def _height(self, rows: int) -> int:
        return self.header().height() + rows * ROW

    def _fit(self) -> None:
        """Give the names and states the room they need, and the table the height of its rows."""
        several = any(len(family.members) > 1 for family in self.runs.families)
        self.setRootIsDecorated(several)
        labels = [texts[0] for texts in self.runs.texts]
        states = ["diverged at step 10,000"] if self.width() >= _WIDE else self._states
        words = ((labels, _DOT_ROOM + several * _FOLD_ROOM, 96), (states, 0, 76))
        for column, (texts, more, least) in enumerate(words):
            widest = max(map(self.fontMetrics().horizontalAdvance, texts), default=0)
            self.setColumnWidth(column, min(max(widest + more + _PADDING, least), 260))
        self.setMinimumHeight(self._height(1))
        self.setMaximumHeight(self._height(max(self._rows, 1)))


class Target(QWidget):
    """Where a person types the loss to which the table times the runs; empty: to none."""

    def __init__(self, table: RunsTable) -> None:
        super().__init__()
        self._table = table
        label = QLabel("Target loss")
        label.setObjectName("muted")
        label.setFont(themes.font(12))
        self.entry = Entry()
        self.entry.setFont(themes.font(12))
        self.entry.setFixedWidth(64)
        self.entry.setPlaceholderText("none")
        self.entry.setAccessibleName("Target loss")
        self.entry.editingFinished.connect(self._typed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(themes.GRID)
        row.addWidget(label)
        row.addWidget(self.entry)
        self._typed()

    def take_focus(self) -> None:
        """Take the keyboard, to type."""
        self.entry.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.entry.selectAll()

    def _typed(self) -> None:
        text = self.entry.text().strip()
        try:
            loss = float(text) if text else None
        except ValueError:
            loss = np.nan
        good = loss is None or bool(np.isfinite(loss))
        tip = "The table says when every run came to this loss" + ("" if good else "\nA number is needed, or nothing")
        self.entry.setToolTip(tip)
        mark_invalid(self.entry, not good)
        if good:
            self.entry.setModified(False)
            self.entry.show_text(text)
            self._table.set_target(loss)

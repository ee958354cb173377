"""How the window's height is shared: the plots above, the runs table below."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QFrame, QSplitter, QVBoxLayout, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.panels.runs_table import RunsTable


class Room(QSplitter):
    """The table gets as many whole rows as the plots leave it room for, until a person moves the handle."""

    def __init__(self, upper: QWidget, timeline: QWidget, table: RunsTable) -> None:
        super().__init__(Qt.Orientation.Vertical)
        self.setHandleWidth(themes.GRID)
        self.setChildrenCollapsible(False)
        self._upper, self._table = upper, table
        self._lower = QFrame()
        self._lower.setObjectName("panel")
        column = QVBoxLayout(self._lower)
        column.setContentsMargins(12, 6, 12, 8)
        column.setSpacing(4)
        column.setSizeConstraint(QVBoxLayout.SizeConstraint.SetMinAndMaxSize)
        column.addWidget(timeline)
        column.addWidget(table)
        self.addWidget(upper)
        self.addWidget(self._lower)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self._chosen = False
        self.splitterMoved.connect(self._choose)

    def _choose(self) -> None:
        self._chosen = True

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._share()

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._share()
        return done

    def _share(self) -> None:
        if self._chosen:
            return
        around = self._lower.minimumSizeHint().height() - self._table.minimumHeight()
        height = self.height() - self.handleWidth()
        table = self._table.height_within(height - self._upper.minimumSizeHint().height() - around)
        wanted = [height - around - table, around + table]
        if self.sizes() != wanted:
            self.setSizes(wanted)

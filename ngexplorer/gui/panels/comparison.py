"""What sets two optimizers apart: a table of only the settings that differ."""

from __future__ import annotations

from typing import Any

import msgspec
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.declared import titles
from ngexplorer.gui.session import Group, Session
from ngexplorer.optimizers import Optimizer
from ngexplorer.runs.compare import differences

_ROW, _PADDING, _WIDEST = 24, 48, 220
"""Pixels: the height of a row, the room around a cell's text, a dot's included, and the most that a text gets."""


class Comparison(QDialog):
    """Two optimizers as they now are, side by side."""

    def __init__(self, first: Group, second: Group, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare settings")
        optimizers = [group.members[0].run.optimizer for group in (first, second)]
        self.heads = ["Setting", first.label, second.label]
        self.rows = [[_title(path, optimizers), _said(a), _said(b)] for path, a, b in differences(*optimizers)]
        words = QLabel(
            "They have the same settings, every one."
            if not self.rows
            else f"{len(self.rows)} settings differ; the others are the same."
            if len(self.rows) > 1
            else "One setting differs; the others are the same."
        )
        words.setObjectName("muted")
        table = self.table = QTreeWidget()
        table.setAccessibleName("Settings that differ")
        table.setRootIsDecorated(False)
        table.setUniformRowHeights(True)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setHeaderLabels(self.heads)
        for cells in self.rows:
            item = QTreeWidgetItem(cells)
            item.setSizeHint(0, QSize(0, _ROW))
            table.addTopLevelItem(item)
        head = table.headerItem()
        for column, group in enumerate((first, second), 1):
            head.setForeground(column, themes.readable(group.colour, session.theme))
            head.setIcon(column, themes.dot(themes.line_colour(group.colour, session.theme), 10))
        for column, texts in enumerate(zip(self.heads, *self.rows, strict=True)):
            widest = max(map(table.fontMetrics().horizontalAdvance, texts))
            table.setColumnWidth(column, min(widest, _WIDEST) + _PADDING)
        table.header().setStretchLastSection(True)
        table.setVisible(bool(self.rows))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        copy.setEnabled(bool(self.rows))
        copy.clicked.connect(self.copy)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (words, table, buttons):
            layout.addWidget(widget)
        if not self.rows:
            layout.insertStretch(1)
        self.resize(560, min(140 + _ROW * (len(self.rows) + 2), 480))
        buttons.button(QDialogButtonBox.StandardButton.Close).setFocus(Qt.FocusReason.TabFocusReason)

    def copy(self) -> None:
        """Put the table on the clipboard, as spreadsheets take it."""
        lines = ["\t".join(row) for row in (self.heads, *self.rows)]
        QGuiApplication.clipboard().setText("\n".join(lines) + "\n")


def _title(path: str, optimizers: list[Optimizer]) -> str:
    """What the set-up calls the setting: "Damping · Initial"."""
    raw = next((raw for raw in map(msgspec.to_builtins, optimizers) if _holds(raw, path)), None)
    return " · ".join(titles(Optimizer, raw, path)) or path


def _holds(raw: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(raw, dict) or name not in raw:
            return False
        raw = raw[name]
    return True


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace("-", " ")

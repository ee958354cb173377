"""The command palette: every action by a few letters of its name, with the keyboard alone."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.actions import Actions
from ngexplorer.gui.elided import Elided

_SIZE = QSize(560, 400)
_ROW = 32
_KEYS = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -8, Qt.Key.Key_PageDown: 8}


def score(typed: str, name: str) -> float | None:
    """How well a name holds the letters typed, in their order; None where it does not. Runs of letters and beginnings
    of words count for more, and of two equal ones the shorter name."""
    letters, inside = typed.lower().replace(" ", ""), name.lower()
    best: float | None = None
    for start in [i for i, letter in enumerate(inside) if letters[:1] in (letter, "")]:
        at, found = start - 1, 0.0
        for letter in letters:
            before, at = at, inside.find(letter, at + 1)
            if at < 0:
                break
            begins = at == 0 or not inside[at - 1].isalnum()
            found += 1 + 2 * begins + 1.5 * (at == before + 1 and before >= start)
        else:
            best = max(found, best or 0.0)
    return None if best is None else best - 0.01 * len(name)


class Palette(QDialog):
    """A line to type in and the actions that fit, the best one chosen; Enter carries it out. What is out of use is
    grey and says why."""

    def __init__(self, actions: Actions, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Dialog | Qt.WindowType.FramelessWindowHint)
        self.setObjectName("palette")
        self.setWindowTitle("Find an action")
        self._actions = list(actions.listed())
        self.line = QLineEdit()
        self.line.setPlaceholderText("Find an action…")
        self.line.setAccessibleName("Letters of the action's name")
        self.line.installEventFilter(self)
        self.line.textChanged.connect(self._search)
        self.found = QListWidget()
        self.found.setAccessibleName("Actions")
        self.found.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.found.itemClicked.connect(lambda _: self._carry_out())
        self.nothing = QLabel("No action has these letters")
        self.nothing.setObjectName("muted")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(themes.GRID, themes.GRID, themes.GRID, themes.GRID)
        for widget in (self.line, self.found, self.nothing):
            layout.addWidget(widget)
        self.resize(_SIZE.boundedTo(parent.size()))
        corner = parent.mapToGlobal(parent.rect().topLeft())
        self.move(corner.x() + (parent.width() - self.width()) // 2, corner.y() + 56)
        self._search("")

    def chosen(self) -> QAction | None:
        """The action that Enter carries out."""
        row = self.found.currentRow()
        return self._shown[row] if row >= 0 else None

    def names(self) -> list[str]:
        """What is listed, best first."""
        return self._names

    def _search(self, typed: str) -> None:
        scored = [(score(typed, name), name, action) for name, action in self._actions]
        fitting = [
            (points - (0 if action.isEnabled() else 2), name, action)
            for points, name, action in scored
            if points is not None
        ]
        if typed.strip():
            fitting.sort(key=lambda one: -one[0])
        self._shown = [action for _, _, action in fitting]
        self._names = [name for _, name, _ in fitting]
        self.found.clear()
        for _, name, action in fitting:
            item = QListWidgetItem()
            item.setSizeHint(QSize(0, _ROW))
            item.setToolTip(action.toolTip())
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{name}. {action.toolTip()}")
            self.found.addItem(item)
            self.found.setItemWidget(item, _row(name, action))
        self.found.setCurrentRow(0 if fitting else -1)
        self.found.setVisible(bool(fitting))
        self.nothing.setVisible(not fitting)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The line keeps the keyboard; up, down and Enter are the list's."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            key = Qt.Key(event.key())
            if key in _KEYS and self.found.count():
                row = self.found.currentRow() + _KEYS[key]
                self.found.setCurrentRow(min(max(row, 0), self.found.count() - 1))
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._carry_out()
                return True
        return super().eventFilter(watched, event)

    def _carry_out(self) -> None:
        action = self.chosen()
        if action is None or not action.isEnabled():
            return
        self.accept()
        action.trigger()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self.line.setFocus()


def _row(name: str, action: QAction) -> QWidget:
    """The name, why it is out of use where it is, and its keys."""
    row = QWidget()
    row.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    layout = QHBoxLayout(row)
    layout.setContentsMargins(themes.GRID, 0, themes.GRID, 0)
    label = QLabel(name + ("  ✓" if action.isChecked() else ""))
    label.setObjectName("" if action.isEnabled() else "muted")
    layout.addWidget(label)
    why_not = Elided(action.property("why_not") or "")
    why_not.setObjectName("muted")
    layout.addWidget(why_not, 1)
    keys = QLabel(action.shortcut().toString(QKeySequence.SequenceFormat.NativeText))
    keys.setObjectName("muted")
    layout.addWidget(keys)
    return row

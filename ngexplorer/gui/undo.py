"""Undo and redo of the set-up."""

from __future__ import annotations

from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal

from ngexplorer.gui.declared import titles
from ngexplorer.gui.session import Session
from ngexplorer.runs.experiment import Experiment


class Undo(QObject):
    """Every set-up since the experiment was opened, and which of them is the present one."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._start()
        session.opened.connect(self._start)
        session.experiment_changed.connect(self._record)

    def _start(self) -> None:
        self._found = [self._session.experiment]
        self._at = 0
        self.changed.emit()

    def _record(self) -> None:
        if self._session.experiment != self._found[self._at]:
            self._found[self._at + 1 :] = [self._session.experiment]
            self._at += 1
        self.changed.emit()

    @property
    def undone(self) -> str:
        """What undo would take back; empty where there is nothing."""
        return difference(self._found[self._at - 1], self._found[self._at]) if self._at else ""

    @property
    def redone(self) -> str:
        """What redo would make again; empty where there is nothing."""
        more = self._at + 1 < len(self._found)
        return difference(self._found[self._at], self._found[self._at + 1]) if more else ""

    def undo(self) -> None:
        if self._at:
            self._go(self._at - 1)

    def redo(self) -> None:
        if self._at + 1 < len(self._found):
            self._go(self._at + 1)

    def _go(self, at: int) -> None:
        self._at = at
        self._session.change(self._found[at])


def difference(before: Experiment, after: Experiment) -> str:
    """In a few words what differs between two set-ups: "learning rate of Adam"."""
    raw = msgspec.to_builtins(after)
    path = _first_difference(msgspec.to_builtins(before), raw, "") or "title"
    if not path.startswith("runs["):
        return "optimizers" if path == "runs" else titles(Experiment, raw, path)[-1].lower()
    number = int(path[5 : path.index("]")])
    words = titles(Experiment, raw, path)
    return f"{words[-1].lower()} of {after.labels()[number]}"


def _first_difference(before: Any, after: Any, path: str) -> str:
    """The path of the first value that differs; of lists of unequal length, and of other parts, the whole."""
    if before == after:
        return ""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        if before.get("name") != after.get("name") and path:
            return path
        first = next(key for key in after if before[key] != after[key])
        return _first_difference(before[first], after[first], f"{path}.{first}".lstrip("."))
    if path == "runs" and len(before) == len(after):
        i = next(i for i in range(len(after)) if before[i] != after[i])
        return _first_difference(before[i], after[i], f"runs[{i}]")
    return path

"""The status bar: where it is computed, how fast, how long a picture takes, and what it weighs."""

from __future__ import annotations

import contextlib
from time import monotonic

import psutil
from PySide6.QtWidgets import QLabel, QStatusBar

from ngexplorer.gui import theme as themes
from ngexplorer.gui.session import Session

_HEIGHT = 3 * themes.GRID
_MEANINGS = {
    "device": "Where it is computed, and the type of every number",
    "speed": "Steps a second, of all runs together",
    "frame": "Time that one picture of the window takes, of the 33 ms there are",
    "recorded": "Steps recorded, of all runs together",
    "memory": "Memory of the whole program",
}


class Status:
    """The numbers at the right end of a window's status bar."""

    def __init__(self, session: Session, bar: QStatusBar) -> None:
        self._session = session
        self._frame_seconds = 0.0
        self._speed_from = (monotonic(), 0)
        self._speed = 0.0
        bar.setSizeGripEnabled(False)
        bar.setFixedHeight(_HEIGHT)
        self._labels = {name: QLabel() for name in _MEANINGS}
        for name, label in self._labels.items():
            label.setToolTip(_MEANINGS[name])
            label.setAccessibleName(_MEANINGS[name])
            bar.addPermanentWidget(label)

    def took(self, seconds: float) -> None:
        """Count in what a frame took, the latest ones for more."""
        self._frame_seconds += 0.1 * (seconds - self._frame_seconds)

    def look(self) -> None:
        """Say how things stand."""
        session = self._session
        steps = sum(shown.run.step for shown in session.runs)
        now = monotonic()
        at, before = self._speed_from
        if now - at >= 1.0:
            self._speed = max(0, steps - before) / (now - at)
            self._speed_from = (now, steps)
        said = {
            "device": f"{session.experiment.device} · {session.experiment.dtype}",
            "speed": f"{self._speed:,.0f} steps/s" if session.state == "running" else "",
            "frame": f"frame {1000 * self._frame_seconds:.0f} ms",
            "recorded": f"{steps:,} steps recorded",
            "memory": f"{_resident(session.racer.pid) / 2**20:,.0f} MB",
        }
        for name, text in said.items():
            self._labels[name].setText(text)


def _resident(other: int | None) -> int:
    """Bytes of memory of this process, and of the other one in which steps are taken, while it is there."""
    found: int = psutil.Process().memory_info().rss
    with contextlib.suppress(psutil.Error):
        found += psutil.Process(other).memory_info().rss if other else 0
    return found

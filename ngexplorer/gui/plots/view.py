"""What every plot panel is: a title, controls, a frame to draw in, and a refresh that is cheap when nothing changed."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout

from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.session import Session

_LEAST = QSize(200, 140)
"""The smallest picture in which something can be seen, its axes included, pixels."""


class View(QFrame):
    """A panel with a plot. The window calls `pull` at 30 Hz while it can be seen; `draw` runs only where the
    `fingerprint` of what it would draw has changed."""

    def __init__(self, session: Session, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.title = QLabel(title)
        self.title.setObjectName("title")
        self.subtitle = Elided()
        self.subtitle.setObjectName("muted")
        self.subtitle.setFont(themes.font(12))
        self.head = QHBoxLayout()
        self.head.setSpacing(themes.GRID)
        self.head.addWidget(self.title)
        self.head.addWidget(self.subtitle, 1)
        self.frame = Frame(session.theme)
        self.frame.setMinimumSize(_LEAST)
        self.frame.zoomed.connect(self.invalidate)
        self.empty = QLabel(self.frame)
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(12, 8, 12, 8)
        self.column.setSpacing(4)
        self.column.addLayout(self.head)
        self.column.addWidget(self.frame, 1)
        self._drawn: Any = None
        session.theme_changed.connect(self._restyle)
        session.race_changed.connect(self.invalidate)
        session.state_changed.connect(self._rested)

    def fingerprint(self) -> Any:
        """What the picture depends on; equal values mean an equal picture."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw the present state."""
        raise NotImplementedError

    def pull(self) -> bool:
        """Draw if something changed; returns whether it did."""
        now = (self.session.generation, self.session.theme.name, self.fingerprint())
        if now == self._drawn:
            return False
        self._drawn = now
        self.draw()
        return True

    def invalidate(self) -> None:
        """Draw at the next pull, whatever changed."""
        self._drawn = None

    def say(self, text: str) -> None:
        """What to show where there is nothing to draw; an empty text shows the plot."""
        self.empty.setText(text)
        self.empty.setVisible(bool(text))
        self.frame.show_axes(not text)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.empty.setGeometry(self.frame.rect())

    def _rested(self, state: str) -> None:
        """Once nothing moves, fit what is drawn closely: room to grow is for growing."""
        if state != "running" and not self.frame.free:
            self.frame.release()
            self.invalidate()

    def _restyle(self) -> None:
        self.frame.dress(self.session.theme)
        self.invalidate()


def toggle(text: str, tip: str, *, on: bool = False) -> QToolButton:
    """A small button that stays in."""
    button = QToolButton()
    button.setObjectName("toggle")
    button.setFont(themes.font(12))
    button.setText(text)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setCheckable(True)
    button.setChecked(on)
    return button

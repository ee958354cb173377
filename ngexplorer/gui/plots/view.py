"""What every plot panel is: a title, controls, a frame to draw in, and a refresh that is cheap when nothing changed."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QVBoxLayout

from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.plots.axes import Axis, Frame
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.pictured import Pictured
from ngexplorer.gui.session import Session

LEAST = QSize(200, 132)
"""The smallest picture in which something can be seen, its axes included, pixels."""
_APART = 0.085
"""Seconds between two pictures of a plot that no one points at, as long as only the runs go on: every third frame.
What the window takes of the interpreter, the runs lose."""


class View(QFrame, Pictured):
    """A panel with a plot. The window calls `pull` at 30 Hz while it can be seen; `draw` runs only where the
    `fingerprint` of what it would draw has changed."""

    behind = ""
    """The name of the view that it shares its place with at first, as a tab behind it; none: it has its own."""
    tab = ""
    """What is written on its tab, where that is less than its title: tabs stand beside each other."""

    def __init__(self, session: Session, title: str, left: Axis | None = None) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.title = Elided(title)
        self.title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.title.setObjectName("title")
        self.subtitle = Elided()
        self.subtitle.setObjectName("muted")
        self.subtitle.setFont(themes.font(12))
        self.head = QHBoxLayout()
        self.head.setSpacing(themes.GRID)
        self.head.addWidget(self.title)
        self.head.addWidget(self.subtitle, 1)
        self.frame = Frame(session.theme, left)
        self.frame.setMinimumSize(LEAST)
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
        self._drawing = 0.0
        self._drawn_at, self._drawn_time = 0.0, session.time
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
        session = self.session
        now = (session.generation, session.theme.name, session.highlighted, self.fingerprint())
        if now == self._drawn:
            return False
        self._drawn = now
        began = perf_counter()
        self.draw()
        self._drawn_at, self._drawn_time = perf_counter(), self.session.time
        self._drawing += 0.2 * (self._drawn_at - began - self._drawing)
        return True

    @property
    def can_wait(self) -> bool:
        """Whether it was drawn a moment ago, and since then only the runs have gone on."""
        session = self.session
        moved = self._drawn is None or session.time != self._drawn_time or session.state != "running"
        return not moved and perf_counter() - self._drawn_at < _APART

    @property
    def cost(self) -> float:
        """About how many seconds one picture takes, its painting included."""
        return self._drawing + sum(frame.painting for frame in self.frames)

    @property
    def seen(self) -> bool:
        """Whether any of it is on the screen."""
        return self.isVisible() and not self.visibleRegion().isEmpty()

    def invalidate(self) -> None:
        """Draw at the next pull, whatever changed."""
        self._drawn = None

    def say(self, text: str) -> None:
        """What to show where there is nothing to draw; an empty text shows the plot."""
        self.empty.setText(text)
        self.empty.setVisible(bool(text))
        self.frame.show_axes(not text)

    @property
    def entries_of_menu(self) -> list[QAction]:
        """What can be asked of it beside its controls, for the palette too."""
        return [action for action in self.menu.actions() if not action.isSeparator() and action.menu() is None]

    # Pictures.

    @property
    def frames(self) -> list[Frame]:
        """Its plots, from top to bottom."""
        return [self.frame]

    @property
    def caption(self) -> str:
        """What a picture of it is called."""
        return " · ".join(filter(None, (self.title.text(), self.subtitle.text())))

    @property
    def entries(self) -> list[Entry]:
        """What the legend of a picture names."""
        theme, families = self.session.theme, self.session.visible_families
        return [Entry(f.label, themes.line_colour(f.colour, theme), f.members[0].style) for f in families]

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.empty.setGeometry(self.frame.rect())

    def _rested(self, state: str) -> None:
        """Once nothing moves, fit what is drawn closely: room to grow is for growing."""
        if state != "running" and not self.frame.free:
            self.frame.release()
            self.invalidate()

    def _restyle(self) -> None:
        for frame in self.frames:
            frame.dress(self.session.theme)
        self.invalidate()


def more_button(session: Session, tip: str) -> tuple[QToolButton, QMenu]:
    """A small button with three dots, and its menu of what is not needed at every moment."""
    button = QToolButton()
    button.setObjectName("quiet")
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def dress() -> None:
        button.setIcon(themes.icon("more", session.theme.muted))

    session.theme_changed.connect(dress)
    dress()
    menu = QMenu(button)
    button.setMenu(menu)
    return button, menu


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

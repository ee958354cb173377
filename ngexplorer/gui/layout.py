"""Where the panels are: docks around a grid of plots, which a person arranges and finds again the next time."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QRect, QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMainWindow,
    QSizePolicy,
    QTabBar,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.panels.runs_table import RunsTable
from ngexplorer.gui.plots.view import View
from ngexplorer.gui.preferences import Preferences

VERSION = 4
"""Of the saved state: another one is not read."""
_LEFT, _RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
_TOP, _BOTTOM = Qt.DockWidgetArea.TopDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
_ACROSS, _DOWN = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
_SETUP_WIDTH = 320
_ASKED_SHARE = 0.275
"""Of a roomy window's width, for a panel that someone asks for: a page of the tour has no need to scroll then."""
_ROOMY = 1400
"""Pixels: the width of a window from which on the explanations stand beside the plots at first."""
_HEAD, _LOW_HEAD = (12, 6, 2, 2), (12, 2, 2, 0)
_AROUND_PLOT, _AROUND_LOW_PLOT = (12, 2, 12, 8), (12, 2, 12, 4)
_AROUND_TABLE, _AROUND_LOW_TABLE = (12, 2, 12, 8), (12, 0, 12, 4)
"""Pixels left, above, right and below: usually, and in a low window."""
_NESTED = (
    QMainWindow.DockOption.AnimatedDocks
    | QMainWindow.DockOption.AllowNestedDocks
    | QMainWindow.DockOption.AllowTabbedDocks
)


class Panel(QDockWidget):
    """A panel that can be moved by its head, closed, and opened again from the View menu."""

    def __init__(
        self,
        name: str,
        title: str,
        content: QWidget,
        head: QLayout | QWidget | None = None,
        behind: str = "",
        *,
        asked_for: bool = False,
    ) -> None:
        super().__init__(title)
        self.behind = behind
        """The name of the panel that it shares its place with at first, behind it."""
        self.asked_for = asked_for
        """Whether it is closed until someone asks for it."""
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setAllowedAreas(Qt.DockWidgetArea.AllDockWidgetAreas)
        self.close_button = QToolButton()
        self.close_button.setObjectName("quiet")
        self.close_button.setIconSize(QSize(12, 12))
        self.close_button.setToolTip("Close this panel; the View menu opens it again")
        self.close_button.setAccessibleName(f"Close {title}")
        self.close_button.clicked.connect(self.close)
        bar = QFrame()
        bar.setObjectName("head")
        bar.setToolTip("Drag to move this panel, double-click to detach it")
        row = self._bar = QHBoxLayout(bar)
        row.setContentsMargins(*_HEAD)
        row.setSpacing(0)
        if head is None:
            label = QLabel(title)
            label.setObjectName("title")
            row.addWidget(label, 1)
        elif isinstance(head, QWidget):
            row.addWidget(head, 1)
        else:
            row.addLayout(head, 1)
        row.addWidget(self.close_button)
        content.setProperty("docked", True)
        self.setTitleBarWidget(bar)
        self.setWidget(content)
        # Opened, it stands in front of those that it shares its place with.
        self.toggleViewAction().triggered.connect(lambda opened: self.raise_() if opened else None)

    def take_focus(self) -> None:
        """Give the keyboard to the first thing in it that takes it."""
        self.raise_()
        inside = [w for w in self.findChildren(QWidget) if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
        ready = [w for w in inside if w.isVisible() and w.isEnabled() and w is not self.close_button]
        (ready or [self.close_button])[0].setFocus(Qt.FocusReason.TabFocusReason)

    def tighten(self, low: bool) -> None:
        """Have the head take less height in a low window."""
        self._bar.setContentsMargins(*(_LOW_HEAD if low else _HEAD))

    def dress(self, theme: themes.Theme) -> None:
        """Take the colours of a theme."""
        self.close_button.setIcon(themes.icon("close", theme.muted))


class PlotGrid(QMainWindow):
    """The plots, each a panel; they stay among themselves, so that the panels around keep their size."""

    def __init__(self, views: list[View]) -> None:
        super().__init__()
        self.setWindowFlags(Qt.WindowType.Widget)
        self.setObjectName("plots")
        self.setDockOptions(_NESTED)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.panels: list[Panel] = []
        self._columns = [view.column for view in views]
        for view in views:
            head = view.head
            view.column.removeItem(head)
            head.setParent(None)
            view.column.setContentsMargins(*_AROUND_PLOT)
            for frame in view.frames:
                frame.setAccessibleName(f"{view.title.text()}, plot")
            panel = Panel(view.title.text().lower(), view.title.text(), view, head, behind=view.behind)
            if view.tab:
                panel.setWindowTitle(view.tab)
                panel.toggleViewAction().setText(view.title.text())
            self.panels.append(panel)
            self.addDockWidget(_TOP, panel)

    def tighten(self, low: bool) -> None:
        """Leave less room around the plots in a low window."""
        for column in self._columns:
            column.setContentsMargins(*(_AROUND_LOW_PLOT if low else _AROUND_PLOT))

    def arrange(self, how: str) -> None:
        """All plots as a "grid" (the first one over the others, each with those behind it that belong to it), in a
        "row" of the same, or as "tabs"."""
        first = self.panels[0]
        front = [first] if how == "tabs" else [panel for panel in self.panels if not panel.behind]
        for panel in self.panels:
            panel.setFloating(False)
            self.removeDockWidget(panel)
        self.addDockWidget(_TOP, first)
        for before, panel in pairwise(front):
            below = how == "grid" and before is first
            self.splitDockWidget(before, panel, _DOWN if below else _ACROSS)
        named = {panel.objectName(): panel for panel in front}
        for panel in self.panels:
            if panel not in front:
                self.tabifyDockWidget(named.get(panel.behind, first), panel)
            panel.show()
        for panel in front:
            panel.raise_()
        if how == "grid":
            self.resizeDocks(front[:2], [self.height() // 2] * 2, _DOWN)
        row = front[1:] if how == "grid" else front
        self.resizeDocks(row, [self.width() // len(row)] * len(row), _ACROSS)


class Arrangement:
    """The panels of a window: set-up on the left, plots in the middle, explanations on the right, timeline and runs
    below."""

    def __init__(
        self,
        window: QMainWindow,
        setup: QWidget,
        views: list[View],
        explanations: list[Panel],
        timeline: QWidget,
        table: RunsTable,
    ) -> None:
        self._window, self._table = window, table
        window.setDockOptions(_NESTED)
        window.setContentsMargins(themes.GRID, 0, themes.GRID, 0)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        window.setCorner(
            Qt.Corner.BottomRightCorner, _RIGHT
        )  # a page of text needs the height more than a table the width
        self.plots = PlotGrid(views)
        window.setCentralWidget(self.plots)
        self.setup = Panel("setup", "Set-up", setup)
        self._around_table = _framed(table)
        self.runs = Panel("runs", "Timeline and runs", self._around_table, timeline)
        self.explanations = explanations
        self.panels = [self.setup, *self.plots.panels, *explanations, self.runs]
        self.rows_chosen = False
        """Whether a person has chosen the height of the runs table; until then it follows its rows."""
        self._settled = False
        self.reset()

    def reset(self) -> None:
        """Every panel where it was at first."""
        for area, panel in ((_LEFT, self.setup), (_BOTTOM, self.runs)):
            panel.setFloating(False)
            self._window.addDockWidget(area, panel)
            panel.show()
        self._place_explanations([])
        self._widen()
        self.plots.arrange("grid")
        self.rows_chosen = False
        self.share()

    def _place_explanations(self, opened: list[Panel]) -> None:
        """On the right, one behind the other, where the window has room for them beside the plots; else they are closed
        but for those that someone has `opened`, and the View menu opens them in the place of the set-up."""
        first = self.explanations[0]
        for panel in self.explanations:
            panel.setFloating(False)
            self._window.removeDockWidget(panel)
            if self._roomy and panel is first:
                self._window.addDockWidget(_RIGHT, panel)
            else:
                self._window.tabifyDockWidget(first if self._roomy else self.setup, panel)
            panel.setVisible(panel in opened or (self._roomy and not panel.asked_for))
            if panel in opened:
                panel.raise_()

    @property
    def _roomy(self) -> bool:
        """Whether the explanations fit in beside the plots."""
        return self._window.width() >= _ROOMY

    def _widen(self) -> None:
        self._window.resizeDocks([self.setup], [_SETUP_WIDTH], _ACROSS)
        asked = any(panel.asked_for and not panel.isHidden() for panel in self.explanations)
        width = round(_ASKED_SHARE * self._window.width()) if asked else _SETUP_WIDTH
        self._window.resizeDocks(self.explanations, [width] * len(self.explanations), _ACROSS)

    def settle(self) -> None:
        """Share the room out once it is known: at the first showing, where no layout was restored."""
        if not self._settled:
            self._settled = True
            self._place_explanations([panel for panel in self.explanations if panel.asked_for and not panel.isHidden()])
            self._widen()
            self.plots.arrange("grid")
            self.share()

    def open(self, panel: Panel) -> None:
        """Open a panel that someone asks for: in front of the other explanations, with room to read, or where there is
        none beside the plots, in the place of the set-up, behind a tab of each."""
        asked = panel.isHidden() and not panel.isFloating()
        if asked and not self._roomy:
            self._window.tabifyDockWidget(self.setup, panel)
        panel.show()
        panel.raise_()
        if asked and self._roomy:
            # What the plots leave room for is known once they are laid out for what they show then.
            QTimer.singleShot(0, self._window, self._widen)

    def tighten(self, low: bool) -> None:
        """In a low window leave less room around everything: what there is belongs to the plots and the runs."""
        for panel in self.panels:
            panel.tighten(low)
        self.plots.tighten(low)
        around = self._around_table.layout()
        assert around is not None
        around.setContentsMargins(*(_AROUND_LOW_TABLE if low else _AROUND_TABLE))

    def share(self) -> None:
        """Give the table as many whole rows as the plots leave it room for, until a person chooses a height."""
        if self.rows_chosen or self.runs.isFloating() or self.runs.isHidden():
            return
        self._window.resizeDocks([self.runs], [self._wanted()], _DOWN)

    def _wanted(self) -> int:
        around = self.runs.minimumSizeHint().height() - self._table.minimumHeight()
        room = self.plots.height() + self.runs.height()
        return around + self._table.height_within(room - self.plots.minimumSizeHint().height() - around)

    def released(self) -> None:
        """A person let go of a boundary: where that moved the table's, its height is theirs."""
        if not self.rows_chosen and not self.runs.isFloating() and abs(self.runs.height() - self._wanted()) > 2:
            self.rows_chosen = True

    def panel(self, content: QWidget) -> Panel:
        """The panel around a widget."""
        return next(panel for panel in self.panels if panel.widget() is content)

    def next(self, after: QWidget | None, by: int) -> Panel | None:
        """The visible panel that comes `by` places after the one that holds a widget."""
        seen = [panel for panel in self.panels if not panel.visibleRegion().isEmpty()]
        held = [i for i, panel in enumerate(seen) if after is not None and panel.isAncestorOf(after)]
        if not seen:
            return None
        return seen[(held[0] + by) % len(seen)] if held else seen[0 if by > 0 else -1]

    def save(self, preferences: Preferences) -> None:
        """Write down where everything is."""
        preferences.keep_state("layout/window", self._window.saveGeometry())
        preferences.keep_state("layout/panels", self._window.saveState(VERSION))
        preferences.keep_state("layout/plots", self.plots.saveState(VERSION))
        preferences.rows_chosen = self.rows_chosen

    def restore(self, preferences: Preferences) -> None:
        """Put everything where it was, and what would be off the screen back onto it; all as at first where the state
        is of another version or damaged."""
        window, panels, plots = (preferences.state(f"layout/{part}") for part in ("window", "panels", "plots"))
        if window.isEmpty():
            return
        self._window.restoreGeometry(window)
        self._settled, self.rows_chosen = True, preferences.rows_chosen
        whole = self._window.restoreState(panels, VERSION) and self.plots.restoreState(plots, VERSION)
        if not whole:
            self.reset()
        for main in (self._window, self.plots):
            # The bars of tabs that there are no more stay on the screen; those in use are shown with the window.
            for bar in main.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
                bar.hide()
        for one in (self._window, *(panel for panel in self.panels if panel.isFloating())):
            _bring_back(one)

    def dress(self, theme: themes.Theme) -> None:
        for panel in self.panels:
            panel.dress(theme)


def _framed(table: QWidget) -> QFrame:
    frame = QFrame()
    frame.setObjectName("panel")
    column = QVBoxLayout(frame)
    column.setContentsMargins(*_AROUND_TABLE)
    column.addWidget(table)
    return frame


def _bring_back(widget: QWidget) -> None:
    """Move a window so that a good part of it, its upper edge too, is on a screen."""
    screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
    frame = widget.geometry()
    grip = QRect(frame.topLeft(), QSize(frame.width(), 32))
    if any(screen.intersected(grip).width() >= 96 and screen.contains(grip.center()) for screen in screens):
        return
    home = screens[0]
    widget.move(home.topLeft())

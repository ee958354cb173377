"""The guide through the window: the tour's stops with their experiments and layouts, and the start page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QAction

from ngexplorer.gui.session import Notice
from ngexplorer.gui.start import StartPage
from ngexplorer.settings import SettingError, unknown_name
from ngexplorer.tour import STOPS
from ngexplorer.tour.stop import Layout

if TYPE_CHECKING:
    from ngexplorer.gui.main_window import MainWindow


class Guide:
    """Opens stops of the tour, and the start page over the plots."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self.panel = window.tour
        self.panel.wanted.connect(self.open)
        self.start = StartPage(window)
        stops = window.actions_.menu["Help"].addMenu("Sto&ps of the tour")
        window.actions_.menu["Help"].insertMenu(window.actions_["report"], stops)
        for number, stop in enumerate(STOPS, 1):
            action = QAction(f"{number}  {stop.title}", window)
            action.triggered.connect(lambda _=False, number=number: self.open(number))
            stops.addAction(action)
            window.actions_.take(f"tour-{stop.name}", action, "Tour", "Open this stop: its page and its experiment")
        self._allow()

    def open(self, number: int) -> None:
        """Go to a stop: load its experiment, once what would be lost has been seen to, and show it."""
        try:
            experiment = STOPS[number - 1].experiment()
        except SettingError as error:
            self._window.session.noticed.emit(Notice(str(error)))
            return
        if self._window.document.replace(experiment):
            self._window.document.changed.emit()
            self.show(number)

    def show(self, number: int) -> None:
        """Show a stop's page, and arrange the plots for its experiment, which is loaded already."""
        self._window.presenter.leave()
        self.start.hide()
        self.panel.show_stop(number)
        self._window.arrangement.open(self._window.arrangement.panel(self.panel))
        try:
            self.arrange(STOPS[number - 1].layout)
        except SettingError as error:
            self._window.session.noticed.emit(Notice(str(error)))
        self._allow()

    def arrange(self, layout: Layout) -> None:
        """Bring the views that a layout names to the front, and have the curves draw its columns. Raises SettingError
        for a view that there is not."""
        window = self._window
        panels = {panel.objectName().replace(" ", "-"): panel for panel in window.arrangement.plots.panels}
        for name in layout.front:
            if name not in panels:
                raise SettingError("layout.front", unknown_name("view", name, list(panels)))
        window.curves.show_columns(layout.columns, layout.axis, layout.linear)
        for name in layout.front:
            panels[name].show()
            panels[name].raise_()

    def go_on(self) -> None:
        """Take the tour, or go on with it where a person left."""
        self.open(self.panel.number)

    def next(self) -> None:
        self.open(self.panel.number + 1)

    def previous(self) -> None:
        self.open(self.panel.number - 1)

    def _allow(self) -> None:
        actions, number = self._window.actions_, self.panel.number
        actions.allow("next-stop", "" if number < len(STOPS) else "This is the last stop")
        actions.allow("previous-stop", "" if number > 1 else "This is the first stop")

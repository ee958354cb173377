"""Presenter mode: one plot in large type, for a projector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray

from ngexplorer.gui import theme as themes
from ngexplorer.gui.layout import VERSION
from ngexplorer.gui.plots.lines import Lines
from ngexplorer.gui.plots.view import View

if TYPE_CHECKING:
    from ngexplorer.gui.main_window import MainWindow

_THICKER = 2.0
"""How many times as thick as usual lines are."""
_TEXT, _TITLE = 20, 26
_AXES = (84, 44)
"""Pixels: the type, that of the title, and the room for the numbers of the left and the lower axis."""


class Presenter:
    """Hides everything but one plot, and puts it back."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._shown = 0
        self._before: tuple[QByteArray, QByteArray] | None = None
        """Where the panels were; None outside presenter mode."""
        window.session.theme_changed.connect(self._dress)
        self._allow()

    @property
    def on(self) -> bool:
        return self._before is not None

    @property
    def view(self) -> View:
        """The plot that is shown, or will be."""
        return self._window.views[self._shown]

    def toggle(self) -> None:
        (self.leave if self.on else self.enter)()

    def enter(self) -> None:
        """Show the plot that has the keyboard or the pointer, else the first one."""
        window, arrangement = self._window, self._window.arrangement
        focused = window.focusWidget()
        panels = arrangement.plots.panels
        keyboard = [i for i, panel in enumerate(panels) if focused is not None and panel.isAncestorOf(focused)]
        pointer = [i for i, view in enumerate(window.views) if view.underMouse()]
        self._shown = [*keyboard, *pointer, 0][0]
        self._before = (window.saveState(VERSION), arrangement.plots.saveState(VERSION))
        for panel in (arrangement.setup, *arrangement.explanations, arrangement.runs):
            panel.hide()
        window.statusBar().hide()
        self._show()

    def next(self) -> None:
        """Show the next plot."""
        if self.on:
            self._small()
            self._shown = (self._shown + 1) % len(self._window.views)
            self._show()

    def leave(self) -> None:
        """Put everything back."""
        if self._before is None:
            return
        window, plots = self._before
        self._before = None
        self._small()
        self._window.statusBar().show()
        self._window.restoreState(window, VERSION)
        self._window.arrangement.plots.restoreState(plots, VERSION)
        self._allow()

    def _show(self) -> None:
        for i, panel in enumerate(self._window.arrangement.plots.panels):
            panel.setFloating(False)
            panel.setVisible(i == self._shown)
        panel = self._window.arrangement.plots.panels[self._shown]
        panel.setStyleSheet(
            f"QWidget {{ font-size: {_TEXT}px; }} QLabel#title {{ font-size: {_TITLE}px; font-weight: 600; }}"
            f"QComboBox {{ min-height: {_TEXT + 8}px; }}"
        )
        self._dress()
        self._allow()

    def _dress(self) -> None:
        if not self.on:
            return
        for frame in self.view.frames:
            for side in ("left", "bottom"):
                frame.item.getAxis(side).setStyle(tickFont=themes.font(_TEXT))
            frame.item.getAxis("left").setWidth(_AXES[0])
            frame.item.getAxis("bottom").setHeight(_AXES[1])
        self._draw_lines(_THICKER)
        self.view.invalidate()

    def _draw_lines(self, scale: float) -> None:
        for frame in self.view.frames:
            for item in frame.item.items:
                if isinstance(item, Lines):
                    item.scale_of_pens = scale

    def _small(self) -> None:
        """The plot in its usual type again."""
        self._window.arrangement.plots.panels[self._shown].setStyleSheet("")
        for frame in self.view.frames:
            frame.dress(self._window.session.theme)
        self._draw_lines(1.0)
        self.view.invalidate()

    def _allow(self) -> None:
        actions = self._window.actions_
        actions["presenter"].setChecked(self.on)
        actions.allow("next-plot", "" if self.on else "Only in presenter mode (F5)")

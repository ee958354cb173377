"""Choosing where the runs on a landscape start: by a click, by dragging the start, by keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QAction, QColor, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from ngexplorer.analysis.planes import Window
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame, compact
from ngexplorer.gui.plots.lines import pen

HINT = "Click: start the runs there. Drag the ring: move the start. Shift+click: at once, whatever has been raced."
_NUDGE = 0.02
"""Of the window: how far a key moves the start."""
_FINE = 2000
"""A start is rounded to about so many places along the window: numbers that a person would type."""
_RING = 15
"""Pixels: the handle's diameter."""
_KEYS = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)}
_OVERRIDE = QEvent.Type.ShortcutOverride
_ANSWERS = (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter)

Place = tuple[float, float]


class StartHandle(pg.TargetItem):
    """A ring around the start, to be dragged."""

    def __init__(self) -> None:
        super().__init__(size=_RING, symbol="o", movable=True)
        self.setToolTip("Where the runs start: drag it, and they start anew from where it is dropped")
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setZValue(10)
        self._theme: themes.Theme | None = None

    def dress(self, theme: themes.Theme) -> None:
        """Take the colours of a theme."""
        if theme is self._theme:
            return
        self._theme = theme
        self.setPen(pen(theme.text, 1.6))
        self.setHoverPen(pen(theme.marker, 2.4))
        hollow, full = QColor(theme.text), QColor(theme.marker)
        hollow.setAlphaF(0.08)
        full.setAlphaF(0.25)
        self.setBrush(hollow)
        self.setHoverBrush(full)


class Offer(QPushButton):
    """A small button at the place of a click: Enter or another click takes it, Escape lets it go."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("small")
        self.setFont(themes.font(12))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.hide()

    def event(self, event: QEvent) -> bool:
        """Escape is this button's while it has the keyboard, and not the race's."""
        if isinstance(event, QKeyEvent) and event.type() == _OVERRIDE and event.key() in _ANSWERS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


class Start(QObject):
    """The handle, the offer and the keys; says where a person wants the runs to start."""

    moved = Signal(object)
    """A place, (x, y)."""

    def __init__(self, frame: Frame, parent: QWidget) -> None:
        super().__init__(parent)
        self._frame = frame
        self.handle = StartHandle()
        self.handle.sigPositionChangeFinished.connect(self._dropped)
        frame.addItem(self.handle, ignoreBounds=True)
        self.offer = Offer(frame)
        self.offer.clicked.connect(self._taken)
        self.actions = {name: self._action(name, *by) for name, by in _KEYS.items()}
        self._offered: Place = (0.0, 0.0)
        self._window: Window = (0.0, 1.0, 0.0, 1.0)
        self.at_once: Callable[[], bool] = bool
        """Whether a click starts there without asking: nothing would be lost."""
        frame.scene().sigMouseClicked.connect(self._clicked)
        self.show(None, self._window)

    @property
    def on(self) -> bool:
        """Whether a start can be chosen."""
        return self.handle.isVisible()

    @property
    def dragged(self) -> bool:
        """Whether the handle is in a person's hand."""
        return bool(self.handle.moving)

    def show(self, place: Place | None, window: Window) -> None:
        """Show the start in a window of the landscape; None: there is none to choose."""
        self._window = window
        if place is None:
            self.offer.hide()
        elif not self.dragged:
            self.handle.setPos(*place)
        if self.on == (place is not None):
            return
        self.handle.setVisible(place is not None)
        self._frame.viewport().setCursor(Qt.CursorShape.CrossCursor if place else Qt.CursorShape.ArrowCursor)
        self._frame.setToolTip(HINT if place else "")

    def dress(self, theme: themes.Theme) -> None:
        self.handle.dress(theme)

    def rounded(self, x: float, y: float) -> Place:
        """A place in as few digits as the window can tell apart."""
        left, right, low, high = self._window

        def short(value: float, width: float) -> float:
            return round(value, max(0, math.ceil(-math.log10(max(width, 1e-300) / _FINE)))) + 0.0

        return (short(x, right - left), short(y, high - low))

    def menu(self, place: Place) -> QMenu:
        """What a right click offers."""
        menu = QMenu(self._frame)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(f"Start here: {_written(place)}").triggered.connect(lambda: self.moved.emit(place))
        return menu

    def _clicked(self, event: Any) -> None:
        under = self._frame.scene().items(event.scenePos())
        if not self.on or self._frame.view not in under or self.handle in under:
            return
        if event.double():
            self.offer.hide()
            return
        if event.isAccepted():
            return
        where = self._frame.view.mapSceneToView(event.scenePos())
        place = self.rounded(where.x(), where.y())
        if event.button() == Qt.MouseButton.RightButton:
            self.menu(place).popup(event.screenPos().toPoint())
        elif event.button() == Qt.MouseButton.LeftButton:
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or self.at_once():
                self.offer.hide()
                self.moved.emit(place)
            else:
                self._make_offer(place, event.scenePos())

    def _make_offer(self, place: Place, scene: QPointF) -> None:
        self._offered = place
        self.offer.setText(f"Start here: {_written(place)}")
        self.offer.setAccessibleName(self.offer.text())
        self.offer.adjustSize()
        at = self._frame.mapFromScene(scene)
        area = self._frame.rect().adjusted(0, 0, -self.offer.width(), -self.offer.height())
        self.offer.move(min(at.x() + 8, area.right()), max(at.y() - self.offer.height() - 8, 0))
        self.offer.show()
        self.offer.setFocus()

    def _taken(self) -> None:
        self.offer.hide()
        self.moved.emit(self._offered)

    def _dropped(self) -> None:
        at = self.handle.pos()
        self.moved.emit(self.rounded(at.x(), at.y()))

    def _action(self, name: str, across: int, up: int) -> QAction:
        action = QAction(f"Move the start {name}", self)
        action.setShortcut(QKeySequence(f"Alt+Shift+{name.capitalize()}"))
        action.triggered.connect(lambda _=False: self._nudge(across, up))
        return action

    def _nudge(self, across: int, up: int) -> None:
        left, right, low, high = self._window
        at = self.handle.pos()
        place = at.x() + across * _NUDGE * (right - left), at.y() + up * _NUDGE * (high - low)
        self.handle.setPos(*self.rounded(*place))
        self.moved.emit(self.rounded(*place))


def _written(place: Place) -> str:
    return f"({compact(place[0])}, {compact(place[1])})"

"""A point that a person drags with the mouse."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen

from ngexplorer.gui.plots.guarded import guarded

_RADIUS, _REACH = 6.0, 12.0
"""Pixels: of the disc, and from its middle to where it can still be caught."""


class Handle(pg.GraphicsObject):
    """A disc at a place of the plot. It says where it is dragged to; whether it goes there is for others to decide."""

    dragged = Signal(QPointF)
    """A place of the plot."""

    def __init__(self) -> None:
        super().__init__()
        self._colour, self._edge = QColor(), QColor()
        self.setCursor(Qt.CursorShape.SizeAllCursor)
        self.setAcceptHoverEvents(True)
        self._hovered = False
        self.setZValue(10)

    def dress(self, colour: QColor, edge: QColor) -> None:
        self._colour, self._edge = colour, edge
        self.update()

    def boundingRect(self) -> QRectF:
        across, up = (_REACH * (size or 0.0) for size in self.pixelSize())
        return QRectF(-across, -up, 2 * across, 2 * up)

    def viewTransformChanged(self) -> None:
        super().viewTransformChanged()
        self.prepareGeometryChange()

    @guarded
    def paint(self, painter: QPainter, *_: Any) -> None:
        before, to_scene = painter.worldTransform(), self.sceneTransform()
        middle = to_scene.map(QPointF(0, 0))
        painter.setWorldTransform(to_scene.inverted()[0] * before)  # round, whatever the scales of the axes
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._edge, 2))
        painter.setBrush(self._colour)
        radius = _RADIUS + (1 if self._hovered else 0)
        painter.drawEllipse(middle, radius, radius)
        painter.setWorldTransform(before)

    def hoverEvent(self, event: Any) -> None:
        """pyqtgraph's: claim drags that begin here, before the plot pans."""
        self._hovered = not event.isExit() and event.acceptDrags(Qt.MouseButton.LeftButton)
        self.update()

    def mouseDragEvent(self, event: Any) -> None:
        """pyqtgraph's."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        event.accept()
        view = self.getViewBox()
        if view is not None:
            self.dragged.emit(view.mapSceneToView(event.scenePos()))

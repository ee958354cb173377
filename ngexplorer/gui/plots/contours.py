"""Contours of a surface: bands between log-spaced levels, with hairlines between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import contourpy
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPolygonF

from ngexplorer.analysis.planes import Surface
from ngexplorer.analysis.relief import contour_levels, finite
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.guarded import guarded
from ngexplorer.gui.plots.lines import pen


def ground_colours(theme: themes.Theme) -> tuple[QColor, QColor]:
    """What a surface is coloured with where it is lowest, and where it is highest."""
    return QColor("#31506b" if theme.name == "dark" else "#a9c4dc"), QColor(theme.panel)


class Contours(pg.GraphicsObject):
    """Bands of the loss between log-spaced levels, each a shade lighter or darker, with a hairline between them."""

    def __init__(self) -> None:
        super().__init__()
        self._bands: list[tuple[QPainterPath, QColor]] = []
        self._edges: list[QPolygonF] = []
        self._edge = pen("#000000", 1)
        self._bounds = QRectF()
        # Paths move over them at every frame; they themselves seldom change.
        self.setCacheMode(self.CacheMode.DeviceCoordinateCache)

    def clear(self) -> None:
        self.prepareGeometryChange()
        self._bands, self._edges, self._bounds = [], [], QRectF()
        self.update()

    @property
    def levels(self) -> int:
        """How many bands are drawn."""
        return len(self._bands)

    def show_surface(self, surface: Surface, theme: themes.Theme) -> None:
        """Contour a surface; the lowest band is the most strongly coloured."""
        self.prepareGeometryChange()
        values = finite(surface.values)
        levels = contour_levels(values)
        generator = contourpy.contour_generator(
            surface.xs,
            surface.ys,
            values,
            fill_type=contourpy.FillType.OuterOffset,
            line_type=contourpy.LineType.Separate,
        )
        low, high = ground_colours(theme)
        self._bands, self._edges = [], []
        for i, (lower, upper) in enumerate(pairwise(levels)):
            share = i / max(len(levels) - 2, 1)
            filled: Any = generator.filled(lower, upper)
            self._bands.append((_band(filled), themes.mixed(low, high, share)))
            if i:
                edges: Any = generator.lines(lower)
                self._edges += [pg.functions.arrayToQPolygonF(line[:, 0], line[:, 1]) for line in edges]
        self._edge = pen(theme.muted, 0.7, alpha=0.45)
        left, right, bottom, top = surface.window
        self._bounds = QRectF(left, bottom, right - left, top - bottom)
        self.update()

    def boundingRect(self) -> QRectF:
        return self._bounds

    @guarded
    def paint(self, painter: QPainter, *_: Any) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(pg.mkPen(None))
        for path, colour in self._bands:
            painter.setBrush(colour)
            painter.drawPath(path)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(pg.mkBrush(None))
        painter.setPen(self._edge)
        for polygon in self._edges:
            painter.drawPolyline(polygon)


def _band(filled: Any) -> QPainterPath:
    """contourpy's polygons with holes as one path."""
    path = QPainterPath()
    for points, offsets in zip(*filled, strict=True):
        for start, end in pairwise(offsets):
            path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points[start:end]]))
    return path

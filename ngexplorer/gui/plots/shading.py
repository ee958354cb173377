"""Images over a window of the plane: the shaded relief of a surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter

from ngexplorer.analysis.planes import Window
from ngexplorer.analysis.relief import Relief
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.contours import ground_colours
from ngexplorer.gui.plots.guarded import guarded

_CONTRAST = {"dark": (0.4, 0.7), "light": (0.9, 0.45)}
"""How much of the way to white a slope in full light goes, and to black one in full shade: paths stay legible."""


_DEPTH = 2.5
"""The power of the height by which it is coloured: valleys are narrow."""


class NodeImage(pg.ImageItem):
    """An image whose pixels stand at the nodes of a grid, the first row lowest; the window goes through the middles of
    those at its edges."""

    def __init__(self, *, smooth: bool) -> None:
        super().__init__(axisOrder="row-major")
        self._smooth = smooth

    def show_nodes(self, colours: Any, window: Window) -> None:
        """Draw colours (J, I, 4), uint8, at the nodes of a grid over a window."""
        rows, columns = colours.shape[:2]
        left, right, low, high = window
        across, up = (right - left) / (columns - 1), (high - low) / (rows - 1)
        self.setImage(colours, autoLevels=False)
        self.setRect(QRectF(left - across / 2, low - up / 2, right - left + across, high - low + up))

    @guarded
    def paint(self, painter: QPainter, *arguments: Any) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._smooth)
        super().paint(painter, *arguments)


def relief_colours(relief: Relief, theme: themes.Theme) -> Any:
    """The colours of a relief, (K, K, 4) uint8: those of the contours' bands by height, lighter in the light and darker
    in the shade."""
    low, high = map(_rgb, ground_colours(theme))
    ground = low + relief.heights[..., None] ** _DEPTH * (high - low)
    lit = (relief.light - relief.level)[..., None]
    light, shade = _CONTRAST[theme.name]
    toward = np.where(lit > 0, light * lit / (1 - relief.level), -shade * lit / relief.level)
    colours = ground + toward * (np.where(lit > 0, 255.0, 0.0) - ground)
    opaque = np.full((*relief.light.shape, 1), 255.0)
    return np.concatenate((np.clip(colours, 0, 255), opaque), -1).round().astype(np.uint8)


def _rgb(colour: QColor) -> Any:
    return np.array((colour.red(), colour.green(), colour.blue()), dtype=np.float64)

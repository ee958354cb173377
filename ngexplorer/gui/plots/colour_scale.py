"""A diverging colour scale with zero in its middle: what numbers become on it, and a bar that tells."""

from __future__ import annotations

import math
from typing import Any

import cmap
import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.session import Session

DECADES = 4
"""So many below the largest entry the logarithmic colours reach."""


class Scale(QWidget):
    """The colours and what they stand for."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._extent, self._log = 0.0, True
        self.setFixedHeight(30)

    def show_extent(self, extent: float, log: bool) -> None:
        """From −extent to extent."""
        self._extent, self._log = extent, log
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._session.theme
        table = shades(theme)
        bar = QRectF(0, 0, self.width(), 10)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for share in np.linspace(0, 1, 33):
            gradient.setColorAt(float(share), QColor(*map(int, table[round(share * 255)])))
        painter.fillRect(bar, gradient)
        painter.setPen(QColor(theme.hairline))
        painter.drawRect(bar.adjusted(0, 0, -1, -1))
        painter.setPen(QColor(theme.muted))
        painter.setFont(themes.font(11))
        words = QRectF(0, 13, self.width(), 16)
        end = short(self._extent)
        for text, side in ((f"−{end}", "Left"), ("0", "HCenter"), (end, "Right")):
            painter.drawText(words, Qt.AlignmentFlag[f"Align{side}"], text)
        near, metrics = f"−{short(self._extent * 10.0 ** (-DECADES / 2))}", painter.fontMetrics()
        fits = metrics.horizontalAdvance(f"−{end} ") + metrics.horizontalAdvance(near) / 2 < 0.25 * self.width()
        if self._log and fits:
            for share, text in ((0.25, near), (0.75, near[1:])):
                room = QRectF(words.width() * share - 40, 13, 80, 16)
                painter.drawText(room, Qt.AlignmentFlag.AlignHCenter, text)
        painter.end()


def placed(values: NDArray[np.floating[Any]], extent: float, *, log: bool) -> NDArray[np.float64]:
    """Where on the colour scale numbers stand, −1 to 1: by their size, or its logarithm down to so many decades below
    the extent, where all smaller ones are zero."""
    shares = np.asarray(values, dtype=np.float64) / extent if extent > 0 else np.zeros(values.shape)
    if not log:
        return shares
    with np.errstate(divide="ignore"):
        heights = 1 + np.log10(np.abs(shares)) / DECADES
    return np.sign(shares) * np.clip(heights, 0, 1)


def shades(theme: themes.Theme) -> NDArray[np.ubyte]:
    """256 colours from the most negative to the most positive number, zero as dark or light as the theme (Crameri's
    berlin and vik)."""
    name = "crameri:berlin" if theme.name == "dark" else "crameri:vik"
    table: NDArray[np.ubyte] = np.round(255 * np.asarray(cmap.Colormap(name).lut(256))[:, :3]).astype(np.ubyte)
    return table


def short(value: float) -> str:
    """A number in two digits."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    text = f"{value:.2g}" if 1e-3 <= value < 100 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return text.replace("-", "−")

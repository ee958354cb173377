"""A plot on paper: as it stands, in light colours on white, at print size, with its title and legend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QBuffer, QMarginsF, QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen
from PySide6.QtSvg import QSvgGenerator

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.portable_svg import cut_out, portable
from ngexplorer.runs.files import require_writable

SCREEN, PRINT = 96.0, 300.0
"""Dots an inch: what a pixel of the screen is taken for, and what a picture is printed with."""
_MARGIN, _LINE, _SAMPLE = 12.0, 18.0, 22.0
"""Pixels: around everything, the height of a line of text, the length of a legend's sample."""
_WRAPPED = int(Qt.TextFlag.TextWordWrap)


@dataclass(frozen=True)
class Entry:
    """A line of the legend."""

    label: str
    colour: QColor
    style: Qt.PenStyle


class Picture:
    """What is to be drawn: a title, frames one below the other, each with what stands along its axes, and a legend."""

    def __init__(
        self, title: str, frames: Sequence[Frame], axes: Sequence[tuple[str, str]], legend: list[Entry]
    ) -> None:
        """`axes`: of each frame what stands below its horizontal and above its vertical axis, nothing where empty."""
        self._title, self._frames, self._axes, self._entries = title, frames, axes, legend
        self._font = themes.font(12)
        width = max(frame.width() for frame in frames) + 2 * _MARGIN
        self._places = self._legend(width)
        rows = (self._places[-1].y() + _LINE if self._places else 0.0) + 6
        words = QFontMetricsF(themes.font(13)).boundingRect(QRectF(0, 0, width - 2 * _MARGIN, 1e4), _WRAPPED, title)
        self._heading = words.height() + 6
        named = _LINE * sum(bool(name) for names in axes for name in names)
        height = sum(frame.height() for frame in frames) + named + self._heading + rows + 2 * _MARGIN
        self.size = QSizeF(width, height)

    def _legend(self, width: float) -> list[QPointF]:
        """Where each sample and name begin, row by row, from the legend's own corner."""
        metrics, x, y = QFontMetricsF(self._font), 0.0, 0.0
        places: list[QPointF] = []
        for entry in self._entries:
            taken = _SAMPLE + 6 + metrics.horizontalAdvance(entry.label) + 16
            if x and x + taken > width - 2 * _MARGIN:
                x, y = 0.0, y + _LINE
            places.append(QPointF(x, y))
            x += taken
        return places

    def paint(self, painter: QPainter, *, drawing: bool = False) -> None:
        """Draw it all in pixels of the screen; as a drawing, in which a painter cannot cut off at the edges of a plot,
        its axes and what lies between them one after the other."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(QRectF(QPointF(0, 0), self.size), QColor("#ffffff"))
        painter.setPen(QColor(themes.LIGHT.text))
        painter.setFont(themes.font(13))
        y = _MARGIN
        painter.drawText(QRectF(_MARGIN, y, self.size.width() - 2 * _MARGIN, self._heading), _WRAPPED, self._title)
        y += self._heading
        for frame, (below, above) in zip(self._frames, self._axes, strict=True):
            y += self._write(painter, above, y, frame, Qt.AlignmentFlag.AlignLeft)
            target = QRectF(_MARGIN, y, frame.width(), frame.height())
            if drawing:
                area = frame.view.sceneBoundingRect().translated(target.topLeft())
                with frame.only(axes=True):
                    _render(frame, painter, target)
                with frame.only(axes=False), cut_out(painter, area):
                    _render(frame, painter, target)
            else:
                _render(frame, painter, target)
            y += frame.height() + self._write(painter, below, y + frame.height(), frame, Qt.AlignmentFlag.AlignHCenter)
        painter.setFont(self._font)
        corner = QPointF(_MARGIN, y + 6)
        for entry, place in zip(self._entries, self._places, strict=True):
            at = corner + place
            painter.setPen(QPen(entry.colour, 2, entry.style))
            painter.drawLine(at + QPointF(0, _LINE / 2), at + QPointF(_SAMPLE, _LINE / 2))
            painter.setPen(QColor(themes.LIGHT.text))
            painter.drawText(at + QPointF(_SAMPLE + 6, _LINE / 2 + 4), entry.label)

    def _write(self, painter: QPainter, words: str, y: float, frame: Frame, alignment: Qt.AlignmentFlag) -> float:
        """Write what stands along an axis; returns the height that it takes."""
        if not words:
            return 0.0
        painter.setPen(QColor(themes.LIGHT.muted))
        painter.setFont(self._font)
        painter.drawText(QRectF(_MARGIN, y, frame.width(), _LINE), alignment | Qt.AlignmentFlag.AlignVCenter, words)
        return _LINE

    def image(self) -> QImage:
        """At print resolution."""
        scale = PRINT / SCREEN
        image = QImage((self.size * scale).toSize(), QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.white)  # the last column and row too, which it may cover in part only
        painter = QPainter(image)
        painter.scale(scale, scale)
        self.paint(painter)
        painter.end()
        # Not before: Qt would scale the axes, which are recorded pictures, by the ratio of resolutions once more.
        image.setDotsPerMeterX(round(PRINT / 0.0254))
        image.setDotsPerMeterY(round(PRINT / 0.0254))
        return image

    def write(self, path: Path) -> None:
        """Write a .png or .svg file, whole or not at all. Raises OSError."""
        if path.suffix.lower() not in (".png", ".svg"):
            raise OSError(f"cannot write {path}: a picture's name has to end in .png or .svg")
        require_writable(path)
        drawn = self.svg().encode() if path.suffix.lower() == ".svg" else self._as_png()
        unfinished = path.with_name(f".{path.stem}.part{path.suffix}")
        try:
            unfinished.write_bytes(drawn)
            os.replace(unfinished, path)
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror}") from None
        finally:
            unfinished.unlink(missing_ok=True)

    # Drawn in memory first: Qt does not say why a file could not be written, of an SVG not even that.

    def _as_png(self) -> bytes:
        drawn = QBuffer()
        drawn.open(QBuffer.OpenModeFlag.WriteOnly)
        self.image().save(drawn, "PNG")
        return bytes(drawn.data().data())

    def svg(self) -> str:
        """As a drawing that needs no typeface."""
        drawn, generator = QBuffer(), QSvgGenerator()
        drawn.open(QBuffer.OpenModeFlag.WriteOnly)
        generator.setOutputDevice(drawn)
        generator.setResolution(round(SCREEN))
        generator.setSize(QSize(round(self.size.width()), round(self.size.height())))
        generator.setViewBox(QRectF(QPointF(0, 0), self.size).marginsAdded(QMarginsF()))
        generator.setTitle(self._title)
        painter = QPainter(generator)
        self.paint(painter, drawing=True)
        painter.end()
        return portable(drawn.data().data().decode())


def _render(frame: Frame, painter: QPainter, target: QRectF) -> None:
    frame.render(painter, target, frame.viewport().rect(), Qt.AspectRatioMode.IgnoreAspectRatio)

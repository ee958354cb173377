"""A small picture of the data: images as they are, points of one or two inputs as points, and how much there is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.session import Session

_HEIGHT = 64
_POINTS = 300
"""At most so many cases are drawn."""


class Preview(QWidget):
    """The cases that the race trains on."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._generation = 0
        self.picture = _Picture(session)
        self.words = QLabel()
        self.words.setObjectName("muted")
        self.words.setFont(themes.font(11))
        self.words.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(themes.GRID // 2)
        column.addWidget(self.picture)
        column.addWidget(self.words)
        self.hide()
        session.race_changed.connect(self._show)
        session.theme_changed.connect(self.picture.update)

    def _show(self) -> None:
        session = self._session
        if session.generation == self._generation or session.raced is None or session.race is None:
            return
        self._generation = session.generation
        data = session.raced.data
        self.setVisible(not data.landscape and bool(session.race.runs))
        if data.landscape or not session.race.runs:
            return
        traits, objective = data.traits, session.race.runs[0].objective
        held = objective.validation
        cases = f"{objective.cases:,} cases" + (f", {held.cases:,} more to validate" if held is not None else "")
        self.words.setText(f"{cases} · {traits.features:,} inputs · {traits.described}")
        inputs = objective.inputs[:_POINTS].double().cpu().numpy().reshape(-1, traits.features)
        targets = objective.targets[:_POINTS].double().cpu().numpy()
        self.picture.show_cases(inputs, targets, traits.image)
        self.picture.setVisible(traits.image is not None or traits.features <= 2)
        self.picture.setAccessibleName(f"Picture of the data: {self.words.text()}")


class _Picture(QWidget):
    """Some cases, drawn."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._inputs: NDArray[Any] = np.empty((0, 0))
        self._targets: NDArray[Any] = np.empty(0)
        self._image: tuple[int, int] | None = None
        self.setFixedHeight(_HEIGHT)

    def sizeHint(self) -> QSize:
        return QSize(200, _HEIGHT)

    def show_cases(self, inputs: NDArray[Any], targets: NDArray[Any], image: tuple[int, int] | None) -> None:
        """Inputs (N, D) and targets (N,) or (N, K); image is (height, width) where the inputs are pixels."""
        self._inputs, self._targets, self._image = inputs, targets.reshape(len(targets), -1), image
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._image is not None:
            self._draw_images(painter, *self._image)
        elif self._inputs.size:
            self._draw_points(painter)

    def _draw_images(self, painter: QPainter, height: int, width: int) -> None:
        gap, side = 4, _HEIGHT // 2 - 2
        across = side * width / height
        columns = int((self.width() + gap) // (across + gap))
        # A few pixels that are seldom inked are far out once the inputs are standardized.
        low, high = np.percentile(self._inputs, (2, 98))
        pixels = (255 * np.clip((self._inputs - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)
        for i, case in enumerate(pixels[: 2 * columns]):
            picture = QImage(case.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
            row, column = divmod(i, columns)
            painter.drawImage(QRectF(column * (across + gap), row * (side + gap), across, side), picture)

    def _draw_points(self, painter: QPainter) -> None:
        theme = self._session.theme
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        two = self._inputs.shape[1] > 1
        xs, ys = self._inputs[:, 0], self._inputs[:, 1] if two else self._targets[:, 0]
        classes = _classes(self._targets) if two else np.zeros(len(xs), dtype=int)
        low, high = np.array([xs.min(), ys.min()]), np.array([xs.max(), ys.max()])
        size = np.maximum(high - low, 1e-12)
        room = np.array([self.width() - 8, self.height() - 8])
        # In a plane a unit is as long on both axes.
        scale = np.full(2, (room / size).min()) if two else room / size
        left, top = 4 + (room - size * scale) / 2
        for x, y, kind in zip(xs, ys, classes, strict=True):
            painter.setBrush(themes.line_colour(themes.PALETTE[kind % len(themes.PALETTE)], theme))
            painter.drawEllipse(QPointF(left + (x - low[0]) * scale[0], top + (high[1] - y) * scale[1]), 2, 2)


def _classes(targets: NDArray[Any]) -> NDArray[np.intp]:
    """The class of each case: the largest column of several, or the number in the only one."""
    found = targets.argmax(1) if targets.shape[1] > 1 else (targets[:, 0] - targets[:, 0].min()).round()
    return found.astype(np.intp)

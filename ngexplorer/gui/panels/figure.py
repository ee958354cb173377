"""The figure of a tour's page: charts and fields one below the other, and the number that a person slides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame, compact, logarithm
from ngexplorer.gui.plots.contours import Contours
from ngexplorer.gui.plots.lines import Line, Lines, pen
from ngexplorer.gui.session import Session
from ngexplorer.tour.figure import Array, Chart, Curve, Drawing, Field, Figure

_QUESTION = "tour figure"
_LEAST, _MOST = 168, 320
"""Pixels of a plot's height with its axes"""
_HEAD = 0.3
"""Of a step's length: of its arrow's head"""


class FigureView(QWidget):
    """A figure, measured by the analyst when someone looks at it and whenever its dial is moved; the latest wins."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._figure: Figure | None = None
        self._generation = 0
        self._due = False
        """Whether it has to be measured when someone comes to see it."""
        self._halted = threading.Event()
        self.drawings: tuple[Drawing, ...] = ()
        """What was measured last."""
        self.plots: list[_Plot] = []
        self.caption = QLabel()
        self.caption.setObjectName("muted")
        self.caption.setFont(themes.font(12))
        self.caption.setWordWrap(True)
        self.name, self.value = QLabel(), QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.valueChanged.connect(self._slid)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.value.setFixedWidth(40)
        self.dial = QWidget()
        row = QHBoxLayout(self.dial)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(themes.GRID)
        row.addWidget(self.name)
        row.addWidget(self.slider, 1)
        row.addWidget(self.value)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, themes.GRID)
        self._column.setSpacing(4)
        self._column.addWidget(self.dial)
        self._column.addWidget(self.caption)
        session.analyst.answered.connect(self._answered)
        session.theme_changed.connect(self._draw)

    def show_figure(self, figure: Figure | None) -> None:
        """Show a stop's figure, from where its dial stands at first; None: there is none."""
        self.halt()
        self._figure, self.drawings = figure, ()
        self._draw()
        self._due = figure is not None
        if figure is None:
            return
        self.caption.setText(figure.caption)
        self.dial.setVisible(figure.dial is not None)
        if figure.dial is not None:
            self.name.setText(figure.dial.name)
            self.slider.setAccessibleName(figure.dial.name)
            self.slider.blockSignals(True)
            self.slider.setRange(0, figure.dial.parts)
            self.slider.setPageStep(max(1, figure.dial.parts // 5))
            self.slider.setValue(figure.dial.first)
            self.slider.blockSignals(False)
        if self.isVisible():
            self._ask()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._due:
            self._ask()

    def halt(self) -> None:
        """Measure no more."""
        self._halted.set()
        self._generation = 0

    @property
    def settled(self) -> bool:
        """Whether what is drawn is what the dial says, where someone looks at it."""
        return self._generation == 0

    def _slid(self) -> None:
        self._ask()

    def _ask(self) -> None:
        figure, value = self._figure, 0.0
        assert figure is not None
        self._due = False
        if figure.dial is not None:
            value = figure.dial.value(self.slider.value())
            self.value.setText(compact(round(value, 4)))
        self._halted.set()
        halted = self._halted = threading.Event()

        def answers(cancel: Cancel) -> Iterator[tuple[Drawing, ...]]:
            yield figure.draw(value, lambda: cancel() or halted.is_set())

        self._generation = self._session.analyst.ask(_QUESTION, answers)

    def _answered(self, key: str, generation: int, answer: Any) -> None:
        if key == _QUESTION and generation == self._generation:
            self._generation = 0
            self.drawings = answer
            self._draw()

    def _draw(self) -> None:
        for plot in self.plots[len(self.drawings) :]:
            self._column.removeWidget(plot)
            plot.hide()
            plot.deleteLater()
        del self.plots[len(self.drawings) :]
        while len(self.plots) < len(self.drawings):
            plot = _Plot(self._session)
            self._column.insertWidget(len(self.plots), plot)
            self.plots.append(plot)
        for plot, drawing in zip(self.plots, self.drawings, strict=True):
            plot.show_drawing(drawing)


class _Plot(QWidget):
    """One of its drawings, with the names of what it shows."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.frame = Frame(session.theme)
        self.frame.setMinimumHeight(_LEAST)
        self.frame.setMaximumHeight(_MOST)
        self.frame.view.setMouseEnabled(x=False, y=False)
        self.frame.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.contours, self.lines = Contours(), Lines()
        for item in (self.contours, self.lines):
            self.frame.addItem(item, ignoreBounds=True)
        self.words = QLabel()
        self.words.setFont(themes.font(12))
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.words)
        column.addWidget(self.frame)

    def show_drawing(self, drawing: Drawing) -> None:
        self.frame.dress(self._session.theme)
        self.frame.release()
        if isinstance(drawing, Field):
            self._show_field(drawing)
        else:
            self._show_chart(drawing)
        self.frame.setAccessibleName(f"{drawing.title}: {drawing.across}")

    def _show_field(self, field: Field) -> None:
        theme = self._session.theme
        self.contours.show_surface(field.surface, theme)
        self.lines.show_lines([_arrows(field, QColor(theme.text))])
        self.frame.fill(*field.surface.window, square=False)
        self.words.setText(f"<b>{field.title}</b> · {field.across}")

    def _show_chart(self, chart: Chart) -> None:
        theme = self._session.theme
        self.contours.clear()
        shown = [_line(curve, chart, _colour(curve, theme)) for curve in chart.curves]
        self.lines.show_lines(shown)
        self.frame.set_log(y=chart.log_y)
        self.frame.item.getAxis("bottom").setLogMode(x=chart.log_x)
        x, y = (np.concatenate([getattr(line, side) for line in shown]) for side in "xy")
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        self.frame.fit(float(x.min()), float(x.max()), float(y.min()), float(y.max()), growing=False)
        names = [
            f'<span style="color: {themes.readable(_colour(curve, theme).name(), theme).name()}">'
            f"{'┄' if curve.dashed else '—'}&nbsp;{_unbroken(curve.label)}</span>"
            for curve in chart.curves
            if curve.label
        ]
        self.words.setText(f"<b>{chart.title}</b> by {chart.across} &nbsp; " + " &nbsp; ".join(names))


def _unbroken(label: str) -> str:
    """A name that stays on one line of rich text: a line may break at a space, after a slash and after a hyphen."""
    return label.replace(" ", "&nbsp;").replace("/", "/\u2060").replace("-", "-\u2060")


def _colour(curve: Curve, theme: themes.Theme) -> QColor:
    if curve.colour < 0:
        return QColor(theme.muted)
    return QColor(themes.line_colour(themes.PALETTE[curve.colour], theme))


def _line(curve: Curve, chart: Chart, colour: QColor) -> Line:
    x = logarithm(curve.x) if chart.log_x else curve.x
    y = logarithm(curve.y) if chart.log_y else curve.y
    if curve.error is not None:
        ends = [curve.y - curve.error, curve.y + curve.error]
        low, high = (logarithm(end) if chart.log_y else end for end in ends)
        return Line(*_bars(x, low, high), pen(colour, 1.4), np.stack((x, y), 1), dot=2.5)
    style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
    return Line(x, y, pen(colour, 1.4, style), np.stack((x, y), 1) if curve.mark else None, dot=2.0)


def _bars(x: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Upright lines with gaps between them."""
    gap = np.full_like(x, np.nan)
    return np.stack((x, x, gap), 1).ravel(), np.stack((low, high, gap), 1).ravel()


def _arrows(field: Field, colour: QColor) -> Line:
    """Every step with its head, as one line with gaps; a dot where it begins."""
    tips = field.starts + field.steps
    back = -_HEAD * field.steps
    aside = 0.6 * np.stack((-back[:, 1], back[:, 0]), 1)
    gap = np.full_like(tips, np.nan)
    places = np.stack((field.starts, tips, tips + back + aside, tips, tips + back - aside, gap), 1).reshape(-1, 2)
    return Line(places[:, 0], places[:, 1], pen(colour, 1.0), field.starts, dot=1.2)

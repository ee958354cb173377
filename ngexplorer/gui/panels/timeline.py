"""The timeline: one current time for every view, dragged back and forth, played back or live, with what happened
marked on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSlider,
    QStyle,
    QStyleOptionSlider,
    QToolButton,
    QToolTip,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Entry, mark_invalid
from ngexplorer.gui.plots.view import toggle
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs.history import Event

_KINDS = ("edit", "fork", "diverged", "failed")
"""What is jumped to; probes that failed changed nothing."""
_BINS = 1024
_NEAR = 5
"""Pixels within which a click or the pointer means a mark."""
_SPEED = 20.0
"""Steps a second of a first playing back."""


@dataclass(frozen=True)
class Mark:
    """Something that happened to a run at a step."""

    step: int
    kind: str
    words: str
    colour: str


def _whose(shown: Shown, event: Event) -> str:
    """An edit is made to an optimizer with all its seeds; whatever else happens, to one run."""
    return shown.run.label if event.kind == "edit" else shown.label


class Rejections:
    """At which steps trials were rejected, as finely as a slider can show: memory does not grow with the steps."""

    def __init__(self) -> None:
        self.size = 1
        """Steps of a bin."""
        self._bins = np.zeros(_BINS, dtype=bool)

    def add(self, steps: NDArray[np.int64]) -> None:
        if not len(steps):
            return
        while steps.max() >= self.size * _BINS:
            self.size *= 2
            self._bins = np.concatenate((self._bins.reshape(-1, 2).any(1), np.zeros(_BINS // 2, dtype=bool)))
        self._bins[steps // self.size] = True

    @property
    def steps(self) -> list[int]:
        """The first step of every bin that has some."""
        return [int(place) * self.size for place in np.flatnonzero(self._bins)]


class Track(QSlider):
    """A slider whose groove a click goes to, and over it the marks of what happened."""

    def __init__(self, session: Session) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._session = session
        self.marks: list[Mark] = []
        self.rejections: list[int] = []
        self.setMouseTracking(True)
        self.setMinimumHeight(24)

    def show_marks(self, marks: list[Mark], rejections: list[int]) -> None:
        if (marks, rejections) != (self.marks, self.rejections):
            self.marks, self.rejections = marks, rejections
            self.update()

    def place(self, step: int) -> float:
        """Where a step is, in pixels."""
        left, room = self._groove()
        return left + room * step / max(self.maximum(), 1)

    def _groove(self) -> tuple[float, float]:
        """Where the middle of the handle is at the first step, and how far it can go."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        control, style = QStyle.ComplexControl.CC_Slider, self.style()
        handle = style.subControlRect(control, option, QStyle.SubControl.SC_SliderHandle, self).width()
        groove = style.subControlRect(control, option, QStyle.SubControl.SC_SliderGroove, self)
        return groove.left() + handle / 2, float(groove.width() - handle)

    def near(self, x: float) -> list[Mark]:
        """The marks at that place, the nearest first."""
        found = [mark for mark in self.marks if abs(self.place(mark.step) - x) <= _NEAR]
        return sorted(found, key=lambda mark: abs(self.place(mark.step) - x))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to where the click is, or to the mark there; and drag on from it."""
        if event.button() == Qt.MouseButton.LeftButton:
            x = event.position().x()
            left, room = self._groove()
            marks = self.near(x) if event.position().y() < self.height() / 2 - 3 else []
            self.setValue(marks[0].step if marks else round((x - left) / max(room, 1) * self.maximum()))
            if marks:
                event.accept()
                return
        super().mousePressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            marks = self.near(event.pos().x())
            if marks:
                words = "\n".join(f"step {mark.step:,}: {mark.words}" for mark in marks[:8])
                QToolTip.showText(event.globalPos(), words, self)
                return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter, theme = QPainter(self), self._session.theme
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.height() / 2
        faint = QColor(theme.muted)
        faint.setAlphaF(0.7)
        painter.setPen(QPen(faint, 1))
        for x in sorted({round(self.place(step)) + 0.5 for step in self.rejections}):
            painter.drawLine(QPointF(x, middle + 5), QPointF(x, middle + 9))
        for mark in self.marks:
            x, top = self.place(mark.step), middle - 11
            colour = themes.line_colour(mark.colour, theme)
            painter.setPen(QPen(colour, 1.6))
            if mark.kind == "fork":  # two ways from one
                for end in (QPointF(x - 3, top), QPointF(x + 3, top)):
                    painter.drawLine(QPointF(x, top + 7), end)
            elif mark.kind == "edit":
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(colour)
                corners = ((-4, 0), (4, 0), (0, 6))
                painter.drawPolygon(QPolygonF([QPointF(x + right, top + down) for right, down in corners]))
            else:
                painter.drawLine(QPointF(x - 3, top), QPointF(x + 3, top + 6))
                painter.drawLine(QPointF(x - 3, top + 6), QPointF(x + 3, top))


class Timeline(QWidget):
    """A slider over the steps taken. At its end, or with the Live button, the views follow the latest step."""

    told = Signal(str)
    """What happened at the step that was jumped to."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.playing = False
        self._from = (0.0, 0)
        """When playing began, and at which step."""
        self._generation = -1
        self._read: list[int] = []
        """So many rows of each run have been looked at for rejected trials."""
        self._rejections = Rejections()
        self.previous = self._button("previous", "To what happened before: an edit, a failure")
        self.play = self._button("play", "Play back from here")
        self.next = self._button("next", "To what happened next: an edit, a failure")
        self.label = QLabel("step 0")
        self.label.setFont(themes.font(12))
        self.label.setMinimumWidth(72)
        self.slider = Track(session)
        self.slider.setRange(0, 0)
        self.slider.setEnabled(False)
        self.slider.setAccessibleName("Timeline: the step that every view shows")
        self.slider.setToolTip("Drag back to see an earlier step in every view; the runs go on")
        self.slider.valueChanged.connect(self._moved)
        self.end = QLabel("0")
        self.end.setObjectName("muted")
        self.end.setFont(themes.font(12))
        self.speed = Entry()
        self.speed.setFont(themes.font(12))
        self.speed.setFixedWidth(48)
        self.speed.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.speed.setAccessibleName("Steps a second of playing back")
        self.speed.show_text(f"{_SPEED:g}")
        self.speed.editingFinished.connect(self._paced)
        self._pace = _SPEED
        unit = QLabel("steps/s")
        unit.setObjectName("muted")
        unit.setFont(themes.font(12))
        self.live: QToolButton = toggle("Live", "Follow the latest step", on=True)
        self.live.clicked.connect(lambda: session.set_time(None))
        self.previous.clicked.connect(lambda: self.jump(-1))
        self.next.clicked.connect(lambda: self.jump(1))
        self.play.clicked.connect(self.play_back)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(themes.GRID)
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        for button in (self.previous, self.play, self.next):
            buttons.addWidget(button)
        layout.addLayout(buttons)
        layout.addWidget(self.speed)
        layout.addWidget(unit)
        layout.addSpacing(themes.GRID)
        for widget, stretch in ((self.label, 0), (self.slider, 1), (self.end, 0), (self.live, 0)):
            layout.addWidget(widget, stretch)
        self._paced()
        session.time_changed.connect(self._show)
        session.race_changed.connect(self.look)
        session.theme_changed.connect(self._dress)
        self._dress()

    def _button(self, icon: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName("quiet")
        button.setProperty("icon_name", icon)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _dress(self) -> None:
        names = (("previous", self.previous), ("pause" if self.playing else "play", self.play), ("next", self.next))
        for name, button in names:
            button.setIcon(themes.icon(name, self.session.theme.muted))
        self.slider.update()

    def pull(self) -> None:
        """Follow the runs, or go on playing."""
        if self.playing:
            self._play_on()
        self._show()

    def _show(self) -> None:
        latest, time = self.session.latest, self.session.time
        blocked = self.slider.blockSignals(True)
        self.slider.setRange(0, latest)
        self.slider.setPageStep(max(1, latest // 10))
        self.slider.setEnabled(latest > 0)
        self.slider.setValue(latest if time is None else time)
        self.slider.blockSignals(blocked)
        self.label.setText(f"step {latest if time is None else time:,}")
        self.end.setText(f"{latest:,}")
        self.live.setChecked(time is None)
        self.play.setEnabled(latest > 0)

    def _moved(self, step: int) -> None:
        self._from = (monotonic(), step)
        self.session.set_time(None if step == self.slider.maximum() else step)

    # What happened.

    def look(self) -> None:
        """Find what has happened since it was last looked for."""
        session = self.session
        if self._generation != session.generation:
            self._generation, self._read, self._rejections = session.generation, [0] * len(session.runs), Rejections()
            self._stop_playing()
        for shown in session.runs[len(self._read) :]:  # forks, whose past the others have told of
            self._read.append(shown.run.origin.step + 1 if shown.run.origin is not None else 0)
        for number, shown in enumerate(session.runs):
            since, length = self._read[number], len(shown.history)
            if length > since and shown.run.optimizer.second_order:
                rejected = shown.history.column("rejected_trials", since, length)
                self._rejections.add(since + np.flatnonzero(rejected > 0))
            self._read[number] = length
        marks = [
            Mark(event.step, event.kind, f"{_whose(shown, event)}: {event.message}", shown.colour)
            for shown in session.runs
            for event in shown.history.events
            if event.kind in _KINDS
        ]
        marks = list({(mark.step, mark.words): mark for mark in marks}.values())
        self.slider.show_marks(sorted(marks, key=lambda mark: mark.step), self._rejections.steps)
        for button in (self.previous, self.next):
            button.setEnabled(bool(marks))
        self.pull()

    def jump(self, by: int) -> None:
        """To the next thing that happened, or the one before; beyond the last one to the latest step, before the first
        one to the start."""
        session = self.session
        now = session.latest if session.time is None else session.time
        steps = sorted({min(mark.step, session.latest) for mark in self.slider.marks})
        ahead = [step for step in steps if step > now] if by > 0 else [step for step in steps[::-1] if step < now]
        self._stop_playing()
        to = ahead[0] if ahead else session.latest if by > 0 else 0
        session.set_time(to if ahead or by < 0 else None)
        words = [mark.words for mark in self.slider.marks if min(mark.step, session.latest) == to]
        self.told.emit(f"step {to:,} · {' · '.join(words)}" if words else "")

    # Playing back.

    def play_back(self) -> None:
        """Play from the current time, from the start where that is the latest; or pause."""
        if self.playing:
            self._stop_playing()
            return
        session = self.session
        if not session.latest:
            return
        start = 0 if session.time is None or session.time >= session.latest else session.time
        self.playing = True
        self._from = (monotonic(), start)
        session.set_time(start)
        self._name_play()

    def _play_on(self) -> None:
        began, start = self._from
        step = start + int((monotonic() - began) * self._pace)
        if step < self.session.latest:
            self.session.set_time(step)
        else:
            self._stop_playing()
            self.session.set_time(None)

    def _stop_playing(self) -> None:
        if self.playing:
            self.playing = False
            self._name_play()

    def _name_play(self) -> None:
        words = "Pause the playing back" if self.playing else "Play back from here"
        self.play.setToolTip(words)
        self.play.setAccessibleName(words)
        self._dress()

    def _paced(self) -> None:
        """Take the speed that is typed, if it is one."""
        try:
            pace = float(self.speed.text().replace(",", ""))
        except ValueError:
            pace = math.nan
        good = 0 < pace < math.inf
        if good:
            now = self.session.latest if self.session.time is None else self.session.time
            self._pace, self._from = pace, (monotonic(), now)
            self.speed.setModified(False)
            self.speed.show_text(self.speed.text())
        self.speed.setToolTip("Steps a second of playing back" + ("" if good else "\nA number above 0 is needed"))
        mark_invalid(self.speed, not good)

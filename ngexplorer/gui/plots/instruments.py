"""Instruments for researchers: one of them along all visible runs, as a probe recorded it or looked at when asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QColor, QKeyEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel

from ngexplorer.analysis.instruments import looks, through
from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.cosine_table import CosineTable
from ngexplorer.gui.plots.inquiry import Inquiry
from ngexplorer.gui.plots.instrument_lines import (
    AGAINST,
    Trace,
    above,
    against,
    drawn,
    layer_traces,
    logarithmic,
    reasons,
)
from ngexplorer.gui.plots.lines import Line, Lines, bounds, pen
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.readout import Readout
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.plots.view import LEAST, View, more_button
from ngexplorer.gui.session import Notice, Session, Shown
from ngexplorer.objectives.by_layers import layers_of
from ngexplorer.optimizers import parts
from ngexplorer.runs.export import write_readings
from ngexplorer.runs.instruments import INSTRUMENTS, STEPS, Instrument, cosine_matrix, step_title
from ngexplorer.runs.readings import Reading, latest, series

_TABLE = "table"
"""All cosines at the current step, in place of one of them against the steps."""
_HIDDEN = ("batch", "in_use", "since")
"""Numbers that others are held against, which are not chosen by themselves."""
_TALL = 220
"""Pixels of height from which there is room for a line on what is missing; the tool tip has it anyway."""
_SYMBOLS = ("δ", "−∇h", "H", "G", "F", "F̄", "K")
_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
"""Move the cross-hair."""


class InstrumentsView(View):
    """What a chosen instrument reads: recorded by a probe, or else asked of the analyst, here first and then along
    each run, coarse to fine, while the runs rest."""

    behind = "spectrum"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Instruments")
        self.run = RunChoice(session, "Run that the instrument looks at")
        self.what = Choice(
            [(one.name, one.title) for one in INSTRUMENTS.values()], [one.formula for one in INSTRUMENTS.values()]
        )
        self.what.setAccessibleName("Instrument")
        self.what.setToolTip("Instrument")
        self.number = Choice([("", "–")])
        self.number.setAccessibleName("Number that is drawn")
        self.number.setToolTip("Which of its numbers is drawn")
        # Its controls leave the head no room for words.
        self.head.removeWidget(self.subtitle)
        self.head.addStretch(1)
        self.head.addStrut(26)
        self.head.addWidget(self.run)
        self.head.addWidget(self._more())
        choices = QHBoxLayout()
        choices.setSpacing(themes.GRID)
        for widget in (self.what, self.number):
            choices.addWidget(widget)
        choices.addStretch(1)
        self.column.insertLayout(1, choices)
        self.column.insertWidget(2, self.subtitle)
        self.missing = Elided()
        self.missing.setObjectName("muted")
        self.missing.setFont(themes.font(12))
        self.missing.hide()
        self.column.insertWidget(3, self.missing)
        self.names = QLabel()
        self.names.setFont(themes.font(11))
        self.names.hide()
        self.column.insertWidget(4, self.names)
        self.frame.setMinimumHeight(LEAST.height() - 44)  # the choices and words take rows that others have not
        self.frame.count_along(True)
        self.lines = Lines()
        self.table = CosineTable(session.theme)
        self.hair = pg.InfiniteLine(angle=90)
        self.hair.hide()
        for item in (self.lines, self.table, self.hair):
            self.frame.addItem(item, ignoreBounds=True)
        self.readout = Readout(self.frame)
        self.frame.scene().sigMouseMoved.connect(self._hover)
        self.frame.scene().sigMouseClicked.connect(self._clicked)
        for watched in (self.frame, self.frame.viewport()):
            watched.installEventFilter(self)
        self.traces: list[Trace] = []
        self._known: dict[tuple[int, str], dict[int, Reading]] = {}
        """What was looked at of each run through each instrument, by its step."""
        self._looked = 0
        self._race = session.generation
        self._remaining: Remaining | None = None
        self.inquiry = Inquiry(session, "instruments")
        self.inquiry.answered.connect(self._answered)
        self.run.changed.connect(self._refit)
        self.what.activated.connect(self._another)
        self.number.activated.connect(self._refit)
        session.race_changed.connect(self._new_race)
        session.shown_changed.connect(self.invalidate)
        self._another()

    def _more(self) -> Any:
        button, menu = more_button(self.session, "Pictures and readings of the instruments")
        menu.addAction("Save readings as CSV…").triggered.connect(self.ask_and_export)
        menu.addSeparator()
        self.add_pictures(menu)
        self.more = button
        return button

    # What is chosen.

    @property
    def instrument(self) -> Instrument:
        return list(INSTRUMENTS.values())[self.what.currentIndex()]

    @property
    def number_name(self) -> str:
        """The number that is drawn, or that of the table of all."""
        return self._numbers[self.number.currentIndex()]

    def choose(self, instrument: str, number: str = "") -> None:
        """Look through that instrument, at that number of it or at its first."""
        self.what.setCurrentIndex(list(INSTRUMENTS).index(instrument))
        self._another()
        if number:
            self.number.setCurrentIndex(self._numbers.index(number))
            self._refit()

    def _another(self) -> None:
        """Another instrument: offer its numbers."""
        instrument = self.instrument
        offered = [(name, title) for name, title in instrument.numbers.items() if name not in _HIDDEN]
        if instrument.name == "cosines":
            offered.insert(0, (_TABLE, "All at this step"))
        self._numbers = [name for name, _ in offered]
        self.number.offer([title for _, title in offered])
        self.number.setVisible(len(offered) > 1)
        self._refit()

    @property
    def _of_one(self) -> bool:
        """Whether one run alone is looked at."""
        return self.instrument.by_layer or self.number_name == _TABLE

    @property
    def _runs(self) -> list[Shown]:
        chosen = self.run.chosen
        if self._of_one:
            return [] if chosen is None else [chosen]
        return self.session.in_order

    def _refit(self) -> None:
        self.run.setVisible(self._of_one)
        self._put_away()
        self.frame.release()
        self.invalidate()

    def _new_race(self) -> None:
        if self._race != self.session.generation:
            self._race = self.session.generation
            self._known, self._remaining = {}, None
            self._refit()

    # What is read.

    def readings(self, shown: Shown) -> list[Reading]:
        """Of the chosen instrument along a run, in the order of their steps: those of its probe, or else of looks."""
        recorded = shown.history.readings.of(self.instrument.name)
        known = self._known.get((shown.number, self.instrument.name), {})
        return recorded or [known[step] for step in sorted(known)]

    def _ask(self) -> None:
        session, name = self.session, self.instrument.name
        running = session.state == "running"
        if session.state == "loading" or not self.seen or (running and name == "eigenspaces"):
            return
        runs = [
            shown for shown in self._runs if len(shown.history.snapshots) and not len(shown.history.readings.of(name))
        ]
        heres = [shown.history.parameters(session.step_of(shown))[1] for shown in runs]
        # Eigenspaces are compared with each other: a look here would have no other beside it.
        first = [None] * len(runs) if name == "eigenspaces" else heres
        lasts = [shown.run.step for shown in runs]
        place = (session.generation, name, tuple(shown.number for shown in runs))
        question = (*place, running, tuple(first), () if running else tuple(lasts))
        known = {shown.number: dict(self._known.get((shown.number, name), {})) for shown in runs}
        remaining = Remaining()

        def answers(cancel: Cancel) -> Iterator[tuple[int, Reading]]:
            asked = []
            for shown, here, last in zip(runs, first, lasts, strict=True):
                steps = [here] if running and here is not None else looks(shown.run, here, last)
                have = known[shown.number] if name != "eigenspaces" else {}
                asked.append((shown.run, [step for step in steps if not _final(have.get(step), step, last)]))
            self._remaining = remaining
            for look in through(asked, name, cancel):
                remaining.tell(look.done)
                yield runs[look.place].number, look.reading

        self.inquiry.ask(question, answers)

    def _answered(self, answer: Any) -> None:
        number, reading = answer
        self._known.setdefault((number, reading.instrument), {})[reading.step] = reading
        self._looked += 1
        self.invalidate()

    def fingerprint(self) -> Any:
        self._ask()
        session = self.session
        recorded = tuple(len(shown.history.readings) for shown in session.runs)
        words = "" if self._remaining is None or not self.inquiry.under_way else self._remaining.words
        steps = tuple(session.step_of(shown) for shown in self._runs) if session.time is not None else ()
        return (
            self._looked,
            recorded,
            steps,
            session.state,
            words,
            self.inquiry.under_way,
            self.width() // 16,
            self.height() // 16,
        )

    # Drawing.

    def draw(self) -> None:
        self.traces = []
        lines: list[Line] = []
        runs = self._runs
        table = self.number_name == _TABLE
        if table:
            self._draw_table(runs)
        elif self.instrument.by_layer:
            lines = self._lines_by_layer(runs)
        else:
            lines = self._lines_of_runs(runs)
        self.lines.show_lines(lines)
        if not table:
            self.table.show_cosines(np.empty((0, 0)), [], [], self.session.theme)
            self._fit(lines)
        there = bool(len(self.table.values)) if table else any(np.isfinite(line.y).any() for line in lines)
        self.say("" if there else self._why_empty(runs))
        self.frame.show_axes(there and not table)
        self._name()
        self._words(runs, there)

    def _trace(self, shown: Shown, number: str) -> Trace:
        steps, values = series(self.readings(shown), number)
        colour = self.session.line_colour(shown)
        return Trace(shown.label, shown.colour, colour, shown.style, steps, values)

    def _lines_of_runs(self, runs: list[Shown]) -> list[Line]:
        number, log, lines = self.number_name, logarithmic(self.instrument, self.number_name), list[Line]()
        held = AGAINST.get(number)
        for shown in runs:
            trace = self._trace(shown, number)
            if not np.isfinite(trace.values).any():
                continue
            self.traces.append(trace)
            if held is not None:
                other = self._trace(shown, held)
                lines.append(against(other, log))
                if held == "in_use" and isinstance(shown.run.optimizer.curvature, parts.Identity):
                    lines += above(trace, other, QColor(self.session.theme.error))
            lines += drawn(trace, self.session.step_of(shown), log)
        return [*lines, *self._time(lines)]

    def _lines_by_layer(self, runs: list[Shown]) -> list[Line]:
        lines: list[Line] = []
        for shown in runs:
            names = [f"layer {layer.name}" for layer in layers_of(shown.run.objective)]
            found = layer_traces(self.readings(shown), self.number_name, names, self.session.theme)
            self.traces = [trace for trace in found if np.isfinite(trace.values).any()]
            log = logarithmic(self.instrument, self.number_name)
            for trace in self.traces:
                lines += drawn(trace, self.session.step_of(shown), log)
        return [*lines, *self._time(lines)]

    def _time(self, lines: list[Line]) -> list[Line]:
        """The current time, upright through all that is drawn."""
        around = bounds(lines)
        if self.session.time is None or around.isNull():
            return []
        room = max(around.height(), 1.0)
        ends = np.array([around.top() - room, around.bottom() + room])
        return [Line(np.full(2, float(self.session.time)), ends, pen(self.session.theme.marker, 1))]

    def _draw_table(self, runs: list[Shown]) -> None:
        reading = self._here(runs)
        values = np.empty((0, 0)) if reading is None else cosine_matrix(reading)
        names = [step_title(name) for name in STEPS]
        self.table.show_cosines(values, names, list(_SYMBOLS), self.session.theme)
        self.frame.fill(0.0, 1.0, 0.0, 1.0, square=False)

    def _here(self, runs: list[Shown]) -> Reading | None:
        """The reading that stands for the current step: the latest until then."""
        for shown in runs:
            return latest(self.readings(shown), self.session.step_of(shown))
        return None

    def _fit(self, lines: list[Line]) -> None:
        log = logarithmic(self.instrument, self.number_name)
        self.frame.set_log(y=log)
        measured = bounds([line for line in lines if line.pen.color() != QColor(self.session.theme.marker)])
        if measured.isNull():
            return
        low, high = measured.top(), measured.bottom()
        if not log:
            low, high = min(low, 0.0), max(high, 1.0)
        elif high - low < 0.3:  # of one look, or of what stays, a decade's third is in sight
            low, high = low - 0.15, high + 0.15
        if self.session.state != "running" and not self.inquiry.under_way and not self.frame.free:
            self.frame.release()  # all looks are there: whichever came first chose the range
        self.frame.fit(0.0, max(measured.right(), 1.0), low, high, growing=self.session.state == "running")

    def _name(self) -> None:
        """Say which colour is which layer, of as many as there is room for."""
        named = self.instrument.by_layer and bool(self.traces)
        self.names.setVisible(named)
        if not named:
            return
        metrics, room, told = self.names.fontMetrics(), self.width() - 80, list[str]()
        for trace in self.traces:
            room -= metrics.horizontalAdvance(f"■ {trace.label}  ")
            if room < 0:
                told.append(f'<span style="color:{self.session.theme.muted}">… {len(self.traces):,} layers</span>')
                break
            told.append(
                f'<span style="color:{trace.shade.name()}">■</span> '
                f'<span style="color:{self.session.theme.muted}">{trace.label}</span>'
            )
        self.names.setText(" &nbsp; ".join(told))
        self.names.setToolTip("\n".join(trace.label for trace in self.traces))

    def _words(self, runs: list[Shown], there: bool) -> None:
        instrument = self.instrument
        parts_ = [instrument.formula, instrument.source]
        if there and self.number_name == _TABLE and (reading := self._here(runs)) is not None:
            parts_.insert(0, f"step {reading.step:,}")
        if self.inquiry.under_way and self._remaining is not None:
            parts_.insert(0, self._remaining.words)
        self.subtitle.setText(" · ".join(filter(None, parts_)))
        said = self._missing(runs) if there else ""
        self.missing.setText(said)
        self.missing.setToolTip(said.replace("; ", "\n"))
        self.missing.setVisible(bool(said) and self.height() >= _TALL)
        self.subtitle.setToolTip(
            "\n".join(
                filter(
                    None, (instrument.formula, instrument.source, said, self._source(runs), _HELD.get(instrument.name))
                )
            )
        )

    def _source(self, runs: list[Shown]) -> str:
        """Whether a probe recorded what is drawn."""
        recorded = [shown for shown in runs if len(shown.history.readings.of(self.instrument.name))]
        if not recorded:
            return "Looked at now; a schedule in the set-up's probes records it"
        return "Recorded by its probe" + (
            "" if len(recorded) == len(runs) else f" of {len(recorded)} runs of {len(runs)}"
        )

    def _missing(self, runs: list[Shown]) -> str:
        """Why something is missing, once for all runs of which it is."""
        found: dict[str, list[str]] = {}
        for shown in runs:
            why = reasons(self.readings(shown), self.session.step_of(shown), self.number_name)
            if why and not why.startswith("the first look"):
                found.setdefault(why, []).append(shown.label)
        if len(runs) == 1 or (len(found) == 1 and len(next(iter(found.values()))) == len(runs)):
            return "; ".join(found)
        return "; ".join(f"{', '.join(labels)}: {why}" for why, labels in found.items())

    def _why_empty(self, runs: list[Shown]) -> str:
        session = self.session
        if not session.runs:
            return "Loading the data…" if session.state == "loading" else "No run yet"
        if not runs:
            return "Every run is switched off in the legend"
        read = [reading for shown in runs for reading in self.readings(shown)]
        if session.state == "running" and not read:
            return "It is looked at once the runs rest, or as its probe's schedule says"
        if self.inquiry.under_way or not read:
            return "Looking through the instrument…"
        if self.instrument.name == "eigenspaces" and session.latest == 0:
            return "There is one look; the first steps are still to come"
        return self._missing(runs) or "There is nothing to read here"

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        if self.number_name == _TABLE:
            return [("", "")]
        return [("step", f"{self.instrument.title}: {self.instrument.numbers[self.number_name]}")]

    @property
    def entries(self) -> list[Entry]:
        if self.number_name == _TABLE:
            return []
        if self.instrument.by_layer:
            return [Entry(trace.label, trace.shade, trace.style) for trace in self.traces]
        held = AGAINST.get(self.number_name)
        muted = QColor(self.session.theme.muted)
        beside = [Entry(self.instrument.numbers[held].lower(), muted, Qt.PenStyle.DotLine)] if held else []
        return [*super().entries, *beside]

    @property
    def caption(self) -> str:
        of = f" of {self.run.currentText()}" if self._of_one else ""
        number = "" if self.number.currentText() in ("", "–") else f": {self.number.currentText()}"
        return f"{self.instrument.title}{number}{of} · {self.instrument.formula} · {self.instrument.source}"

    # Readings as a file.

    def ask_and_export(self) -> None:
        """Ask for a file and write all readings of all runs to it."""
        name, _ = QFileDialog.getSaveFileName(self, "Save readings", "readings.csv", "CSV (*.csv)")
        if name:
            self.export(Path(name))

    def export(self, path: Path) -> bool:
        """Write what was recorded or looked at of every run; tells of a failure, and returns whether it went well."""
        runs = []
        for shown in self.session.runs:
            recorded = list(shown.history.readings)
            probed = {reading.instrument for reading in recorded}
            for (number, name), known in self._known.items():
                if number == shown.number and name not in probed:
                    recorded += [known[step] for step in sorted(known)]
            runs.append((shown.history, recorded))
        try:
            write_readings(runs, path)
        except OSError as error:
            self.session.noticed.emit(Notice(str(error)))
            return False
        total = sum(len(readings) for _, readings in runs)
        self.session.noticed.emit(Notice(f"Saved {total:,} readings to {path}", error=False))
        return True

    # The cross-hair, and the cells of the table.

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._put_away()
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            by = _KEYS.get(Qt.Key(event.key()))
            if by is not None and not event.modifiers() and self.traces:
                self._move_hair(by)
                return True
        return super().eventFilter(watched, event)

    def _put_away(self) -> None:
        self.hair.hide()
        self.readout.hide()

    def _move_hair(self, by: int) -> None:
        """The cross-hair by the keyboard, a step or a hundredth of the picture to the side; out of the middle."""
        left, right = self.frame.view.viewRange()[0]
        x = self.hair.value() if self.hair.isVisible() else (left + right) / 2
        x = min(max(round(x) + by * max(1, round((right - left) / 100)), max(left, 0.0)), right)
        area = self.frame.view.sceneBoundingRect()
        self._read_at(x, QPointF(self.frame.view.mapViewToScene(QPointF(x, 0.0)).x(), area.center().y()))

    def _hover(self, position: QPointF) -> None:
        if not self.traces or not self.frame.view.sceneBoundingRect().contains(position):
            self._put_away()
            return
        self._read_at(self.frame.view.mapSceneToView(position).x(), position)

    def _read_at(self, x: float, position: QPointF) -> None:
        """Show what had been read of every line at x."""
        self.hair.setPen(pen(self.session.theme.muted, 1, Qt.PenStyle.DashLine))
        self.hair.setPos(x)
        self.hair.show()
        step, held = max(0, round(x)), AGAINST.get(self.number_name)
        columns = [self.number.currentText() or self.instrument.title]
        rows = [(trace, [trace.at(step)]) for trace in self.traces]
        if held is not None:
            columns.append(self.instrument.numbers[held])
            others = {trace.label: trace for trace in (self._trace(shown, held) for shown in self._runs)}
            rows = [(trace, [*values, others[trace.label].at(step)]) for trace, values in rows]
        self.readout.show_rows(f"step {step:,}", columns, rows, self.session.theme)
        self.readout.show()
        self.readout.place(position, self.frame.view.sceneBoundingRect())

    def _clicked(self, event: Any) -> None:
        """A cell of the table: that pair against the steps."""
        cell = self.table.cell_at(event.scenePos()) if self.number_name == _TABLE else None
        if cell is not None and cell[0] != cell[1]:
            a, b = (STEPS[place] for place in sorted(cell))
            self.choose("cosines", f"{a} / {b}")


_HELD = {
    "noise_scale": "Dotted: how many cases the gradient in use is over",
    "largest_rate": "Dotted: the rate in use; shaded where that of plain gradient steps is above.\n"
    "Steps that a matrix or an adaptive method scales are not bound by it",
}
"""What an instrument's number is held against"""


def _final(reading: Reading | None, step: int, last: int) -> bool:
    """Whether a reading stays as it is: one at the end of a run knows no step from there until the run goes on."""
    return reading is not None and (step < last or "no step" not in reading.reason)

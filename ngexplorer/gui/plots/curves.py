"""Curves: any recorded column against step, seconds or gradients, in panels that share their horizontal axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QActionGroup, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.axes import Frame, compact, logarithm
from ngexplorer.gui.plots.curve_panel import Curve, Panel, title_of
from ngexplorer.gui.plots.legend import Legend
from ngexplorer.gui.plots.lines import Array, Line, bounds, pen
from ngexplorer.gui.plots.readout import Readout
from ngexplorer.gui.plots.view import LEAST, View, more_button, toggle
from ngexplorer.gui.session import Group, Session, Shown
from ngexplorer.runs.extremes import Extremes, row_at
from ngexplorer.runs.history import LEADING, NUMBERS
from ngexplorer.runs.series import quartiles, smoothed

_NAMES = {"step": "step", "seconds": "seconds of compute", "gradient_equivalents": "gradient equivalents"}
"""Of the horizontal axes, on paper."""
AXES = (
    ("step", "by step"),
    ("seconds", "by seconds of compute"),
    ("gradient_equivalents", "by gradient equivalents"),
)
_FUTURE = 0.28
"""How strongly what lies after the current time is drawn."""
_SMOOTHING = (1, 5, 25, 100)
"""Over so many steps a mean may be taken."""
_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
"""Move the cross-hair."""
_ROOM = 0.6
"""Of a plot's height at most, for the table of what lies between the cursors."""
_WIDE = 440
"""Pixels from which all controls have room beside each other."""


def _of_seeds(groups: list[Group]) -> str:
    """What the line of a group is."""
    return f"median and quartiles of {max(len(group.members) for group in groups)} seeds"


class CurvesView(View):
    """Every run's numbers; the part after the current time is faint, and a dot marks the current step."""

    def __init__(self, session: Session, column: str = "loss") -> None:
        super().__init__(session, "Curves")
        self.head.removeWidget(self.title)  # the choice of the column stands in its place
        self.title.hide()
        self.axis = Choice(list(AXES))
        self.axis.setAccessibleName("Horizontal axis of the loss curves")
        self.axis.setToolTip("What the curves are drawn against")
        self.training = toggle("Training", "Show the training loss", on=True)
        self.validation = toggle("Validation", "Show the validation loss, as thin lines", on=True)
        self.panels: list[Panel] = []
        self.smoothing = 1
        self.banded = self.best = True
        self.compared = False
        """Whether the cursors A and B are out."""
        self._astray = False
        """Whether they stand where another horizontal axis had them."""
        self.between = Readout(self.frame)
        self._corner = 0
        """Where that stands: top right, top left, bottom right or bottom left."""
        self._add(Panel(self.frame, column))
        first = self.panels[0]
        self.lines, self.note, self.hair, self.readout, self.log = (
            first.lines,
            first.note,
            first.hair,
            first.readout,
            first.log,
        )
        self.head.insertWidget(0, first.choice)
        for control in (self.axis, self._more()):
            self.head.addWidget(control)
        self.axis.activated.connect(self._change_axis)
        for button in (self.training, self.validation):
            button.clicked.connect(self._release)
        self.legend = Legend(session)
        beside = QHBoxLayout()
        beside.setSpacing(themes.GRID // 2)
        beside.addWidget(self.legend, 1)
        for control in (self.training, self.validation, self.log):
            beside.addWidget(control, 0, Qt.AlignmentFlag.AlignTop)
        self.column.insertLayout(1, beside)
        self._read = session.generation
        session.race_changed.connect(self._new_race)
        session.shown_changed.connect(self.invalidate)
        self._arrange()

    # Panels.

    def _add(self, panel: Panel) -> None:
        self.panels.append(panel)
        panel.choice.activated.connect(self._chosen)
        panel.log.clicked.connect(self._release)
        panel.frame.zoomed.connect(lambda: self._follow(panel))
        panel.frame.scene().sigMouseMoved.connect(lambda position: self._hover(position, panel))
        panel.frame.view.sigXRangeChanged.connect(lambda _, window: self._align(window))
        panel.frame.viewport().installEventFilter(self)
        panel.frame.installEventFilter(self)
        for number, cursor in enumerate(panel.cursors):
            cursor.sigPositionChanged.connect(lambda line, number=number: self._drag(number, line.value()))

    def add_panel(self, column: str = "gradient_norm") -> Panel:
        """Another plot below, which shares the horizontal axis."""
        frame = Frame(self.session.theme)
        frame.setMinimumSize(LEAST.width(), LEAST.height() * 2 // 3)
        panel = Panel(frame, column)
        panel.row = QWidget()
        row = QHBoxLayout(panel.row)
        row.setContentsMargins(0, 0, 0, 0)
        close = QToolButton()
        close.setObjectName("quiet")
        close.setIcon(themes.icon("close", self.session.theme.muted))
        close.setToolTip("Remove this panel")
        close.setAccessibleName(f"Remove the panel of {title_of(column).lower()}")
        close.clicked.connect(lambda: self.remove_panel(panel))
        row.addWidget(panel.choice)
        row.addStretch(1)
        row.addWidget(panel.log)
        row.addWidget(close)
        self.column.addWidget(panel.row)
        self.column.addWidget(frame, 1)
        self._add(panel)
        for cursor, other in zip(panel.cursors, self.panels[0].cursors, strict=True):
            cursor.setValue(other.value())
            cursor.setVisible(self.compared)
        self._release()
        return panel

    def remove_panel(self, panel: Panel) -> None:
        """Take an added plot away."""
        self.panels.remove(panel)
        assert panel.row is not None
        for widget in (panel.row, panel.frame):
            self.column.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._release()

    def show_columns(self, columns: Sequence[str], axis: str, linear: Sequence[str] = ()) -> None:
        """Draw these columns, one a panel, against "step", "seconds" or "gradient_equivalents"; on linear axes those in
        `linear`, the others on their usual ones."""
        for panel in self.panels[len(columns) :]:
            self.remove_panel(panel)
        for number, column in enumerate(columns):
            if number == len(self.panels):
                self.add_panel(column)
            self.panels[number].show_column(column)
            if column in linear:
                self.panels[number].log.setChecked(False)
        self.axis.setCurrentIndex([name for name, _ in AXES].index(axis))
        self._arrange()
        self._change_axis()

    def _change_axis(self) -> None:
        self._astray = self.compared
        self._release()

    def _chosen(self) -> None:
        for panel in self.panels:
            if self.sender() is panel.choice:
                panel.show_column(panel.column)
        self._arrange()
        self._release()

    def _arrange(self) -> None:
        """Only the loss is there twice, in training and in validation; where the head is narrow, the menu has both."""
        for button in (self.training, self.validation):
            button.setVisible(self.panels[0].column == "loss" and self.width() >= _WIDE)

    def _more(self) -> QToolButton:
        """What is not needed at every moment."""
        button, menu = more_button(self.session, "Smoothing, seeds, cursors, panels, pictures")
        for toggle_button in (self.training, self.validation):
            action = menu.addAction(f"{toggle_button.text()} loss")
            action.setCheckable(True)
            action.setChecked(True)
            action.triggered.connect(toggle_button.click)
            toggle_button.toggled.connect(action.setChecked)
        menu.addSeparator()
        group = QActionGroup(menu)
        for window in _SMOOTHING:
            action = menu.addAction("As recorded" if window == 1 else f"Mean of {window} steps")
            action.setCheckable(True)
            action.setChecked(window == 1)
            action.triggered.connect(lambda _, window=window: self._smooth(window))
            group.addAction(action)
        menu.addSeparator()
        for text, name in (("Median and quartiles over seeds", "banded"), ("Ring around the best loss", "best")):
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(True)
            action.toggled.connect(lambda on, name=name: (setattr(self, name, on), self.invalidate()))
        cursors = menu.addAction("Cursors A and B")
        cursors.setCheckable(True)
        cursors.toggled.connect(self.compare)
        menu.addSeparator()
        menu.addAction("Add a panel below").triggered.connect(lambda: self.add_panel())
        menu.addAction("Fit (Home, or a double click)").triggered.connect(self._release)
        menu.addSeparator()
        self.add_pictures(menu)
        self.more = button
        return button

    def _smooth(self, window: int) -> None:
        self.smoothing = window
        self.invalidate()

    @property
    def frames(self) -> list[Frame]:
        return [panel.frame for panel in self.panels]

    @property
    def caption(self) -> str:
        what = ", ".join(title_of(panel.column) for panel in self.panels)
        return " · ".join(filter(None, (f"{what} {AXES[self.axis.currentIndex()][1]}", self.subtitle.text())))

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        along = _NAMES[AXES[self.axis.currentIndex()][0]]
        return [(along if panel is self.panels[-1] else "", title_of(panel.column)) for panel in self.panels]

    # Drawing.

    def fingerprint(self) -> Any:
        return (
            tuple(len(shown.history) for shown in self.session.runs),
            self.session.time,
            self.axis.currentIndex(),
            self.width(),
        )

    def draw(self) -> None:
        runs = [shown for shown in self.session.in_order if len(shown.history)]
        self._subtitle()
        for panel in self.panels:
            self._draw_panel(panel, runs)
        self.say(self._why_empty(runs))
        if self._astray:
            self._spread_cursors()
        self._compare()

    def _draw_panel(self, panel: Panel, runs: list[Shown]) -> None:
        panel.outgrown = self._outgrown(panel, runs)
        groups = self.session.groups(runs) if self.banded else []
        lines_of: dict[Shown, list[Line]] = {}
        for group in sorted(groups, key=lambda group: all(map(self.session.stands_out, group.members))):
            lines_of |= dict.fromkeys(group.members, self._group_lines(panel, group))
        lines = [line for found in {id(found): found for found in lines_of.values()}.values() for line in found]
        for shown in runs:
            if shown not in lines_of:
                lines += lines_of.setdefault(shown, self._lines_of(panel, shown))
            elif self._alone(shown, groups):
                lines += self._lines_of(panel, shown)
        panel.lines.show_lines(lines)
        panel.frame.set_log(y=panel.log.isChecked())
        panel.frame.count_along(self.axis.currentIndex() == 0)
        panel.note_down(self._words_in_plot(groups), any(line.below is not None and len(line.below) for line in lines))
        panel.place_note()
        muted = self.session.theme.muted
        panel.hair.setPen(pen(muted, 1, Qt.PenStyle.DashLine))
        for cursor in panel.cursors:
            cursor.setPen(pen(self.session.theme.marker, 1.2))
            cursor.label.setColor(self.session.theme.text)
        measured = bounds([line for shown in self.session.measures for line in lines_of.get(shown, [])])
        if not measured.isNull():
            right = max(measured.right(), self._least())
            # Sixteen decades are what float64 can tell apart; what lies below is there for whoever zooms in.
            low = max(measured.top(), measured.bottom() - 16) if panel.log.isChecked() else measured.top()
            panel.frame.fit(0.0, right, low, measured.bottom())

    def _outgrown(self, panel: Panel, runs: list[Shown]) -> bool:
        """Whether a run has come a pixel further than the lines show, or they have to be exact: at rest, and where
        someone has zoomed in. All are made anew together, since one that changes has the whole plot stroked again."""
        if self.session.state != "running" or panel.frame.free:
            return True
        for shown in runs:
            for _, column, _, _ in self._wanted(panel):
                known = panel.known.get(self.session.extremes(shown, column))
                length = len(shown.history)
                if known is None or (length - known[0][1]) * panel.frame.width() > length:
                    return True
        return False

    def _alone(self, shown: Shown, groups: list[Group]) -> bool:
        """Whether a run is to be seen over the median of its group: it stands out, and others of that do not."""
        members = next(group.members for group in groups if shown in group.members)
        return self.session.stands_out(shown) and not all(map(self.session.stands_out, members))

    def _least(self) -> float:
        """How far the picture reaches at least: before the first steps, to the tenth."""
        return float(min(10, self.session.experiment.steps)) if self.axis.currentIndex() == 0 else 1e-3

    def _wanted(self, panel: Panel) -> list[tuple[str, str, float, float]]:
        """What a panel shows of each run: a word for it, its column, width and strength."""
        if panel.column != "loss":
            return [(title_of(panel.column).lower(), panel.column, 1.6, 1.0)]
        if panel is not self.panels[0]:
            return [("training", "loss", 1.6, 1.0)]
        both = (
            (self.training, ("training", "loss", 1.8, 1.0)),
            (self.validation, ("validation", "validation_loss", 1.0, 0.75)),
        )
        return [what for button, what in both if button.isChecked()]

    def _lines_of(self, panel: Panel, shown: Shown) -> list[Line]:
        step, colour = self.session.step_of(shown), self.session.line_colour(shown)
        lines: list[Line] = []
        for _, column, width, alpha in self._wanted(panel):
            extremes = self.session.extremes(shown, column)
            if not extremes.grow():
                self.invalidate()  # the rest is read at the next frames
            curve = self._curve(panel, shown, extremes)
            if curve is None:
                continue
            at = min(step, extremes.read - 1)
            x, _ = dot = self._place(panel, shown, column, at)
            rings = dots = None
            if column == panel.column:
                dots = np.array([dot])
                best = extremes.lowest(step + 1) if self.best and column == "loss" and self.smoothing == 1 else None
                if best is not None and best < step:
                    rings = np.array([self._place(panel, shown, column, best)])
            ended = x >= curve.x[-1]
            drawn, after = (pen(colour, width, shown.style, strength) for strength in (alpha, alpha * _FUTURE))
            until = None if ended else x
            lines.append(Line(curve.x, curve.y, drawn, dots, rings=rings, below=curve.below, until=until, after=after))
        return lines

    def _curve(self, panel: Panel, shown: Shown, extremes: Extremes) -> Curve | None:
        """What can be seen of a column, which is not read again as long as there is nothing new; None where there is
        nothing but NaN."""
        x_name = AXES[self.axis.currentIndex()][0]
        first, last = self._rows_in_view(panel, shown, extremes.read)
        wanted, column = max(panel.frame.width() // 2, 200), extremes.column
        key = (first, last, wanted, x_name, self.smoothing, panel.log.isChecked())
        known = panel.known.get(extremes)
        if known is not None and (known[0] == key or (not panel.outgrown and known[0][2:] == key[2:])):
            return known[1]
        rows = extremes.chosen(first, last, wanted)
        history, curve = shown.history, None
        if len(rows):
            whole = self.smoothing == 1
            raw = history.values(column, rows) if whole else smoothed(history, column, rows, self.smoothing)
            if not np.isnan(raw).all():
                x = rows.astype(np.float64) if x_name == "step" else history.values(x_name, rows)
                below = x[raw <= 0] if panel.log.isChecked() else None
                curve = Curve(x, self._scaled(panel, raw), below)
        panel.known[extremes] = (key, curve)
        return curve

    def _place(self, panel: Panel, shown: Shown, column: str, row: int) -> tuple[float, float]:
        """Where a row stands in the picture."""
        x_name, history = AXES[self.axis.currentIndex()][0], shown.history
        value = history.value(column, row)
        if self.smoothing > 1:
            value = float(smoothed(history, column, np.array([row]), self.smoothing)[0])
        if panel.log.isChecked():
            value = math.log10(value) if value > 0 else math.nan
        return float(row) if x_name == "step" else history.value(x_name, row), value

    def _rows_in_view(self, panel: Panel, shown: Shown, read: int) -> tuple[int, int]:
        """First and last row that can be seen; all as long as no one has zoomed in."""
        if not panel.frame.free:
            return 0, read
        left, right = panel.frame.view.viewRange()[0]
        x_name = AXES[self.axis.currentIndex()][0]
        first, last = (row_at(shown.history, x_name, x) for x in (left, right))
        return max(first, 0), min(last + 2, read)

    @property
    def visible_steps(self) -> tuple[int, int]:
        """The first and the last step of any visible run within the picture's sides."""
        left, right = self.frame.view.viewRange()[0]
        x_name = AXES[self.axis.currentIndex()][0]
        histories = [shown.history for shown in self.session.visible if len(shown.history)]
        ends = [(row_at(history, x_name, left), row_at(history, x_name, right)) for history in histories]
        first = min((before + 1 if before >= 0 and left > 0 else 0 for before, _ in ends), default=0)
        return first, max((last for _, last in ends), default=-1)

    def _group_lines(self, panel: Panel, group: Group) -> list[Line]:
        x_name = AXES[self.axis.currentIndex()][0]
        colour = self.session.line_colour(group)
        histories = [shown.history for shown in group.members]
        lines = []
        for _, column, width, alpha in self._wanted(panel):
            found = quartiles(histories, x_name, column, 400, self.smoothing)
            if np.isnan(found.median).all():
                continue
            low, median, high = (self._scaled(panel, values) for values in (found.low, found.median, found.high))
            style = group.members[0].style
            below = found.x[found.median <= 0] if panel.log.isChecked() else None
            band = (low, high) if column == panel.column else None
            lines.append(Line(found.x, median, pen(colour, width, style, alpha), below=below, band=band))
        return lines

    def _scaled(self, panel: Panel, values: Array) -> Array:
        return logarithm(values) if panel.log.isChecked() else values

    def _why_empty(self, runs: list[Shown]) -> str:
        if not self.session.runs:
            return "Loading the data…" if self.session.state == "loading" else "No run yet"
        if not runs:
            return "Every run is switched off in the legend"
        if not self._wanted(self.panels[0]):
            return "Neither training nor validation loss is switched on"
        if self.panels[0].column not in LEADING and not self.lines.shown:
            return f"No run has recorded its {title_of(self.panels[0].column).lower()} yet"
        return ""

    def _subtitle(self) -> None:
        time, parts = self.session.time, []
        if time is not None:
            parts.append(f"step {time}")
        if self.smoothing > 1:
            parts.append(f"mean of {self.smoothing} steps")
        if self.banded and (groups := self.session.groups(self.session.visible)):
            parts.append(_of_seeds(groups))
        self.subtitle.setText(" · ".join(parts))

    def _words_in_plot(self, groups: list[Group]) -> list[str]:
        """What is not as it was recorded: a mean always, a median where the head has no room to say it."""
        words = [f"mean of {self.smoothing} steps"] if self.smoothing > 1 else []
        return [*words, _of_seeds(groups)] if groups and self.subtitle.shown != self.subtitle.text() else words

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._arrange()

    # The cross-hair.

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._put_away()
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Home:
                self._release()
                return True
            if event.key() in _KEYS and not event.modifiers() and self.session.runs:
                self._move_hair(_KEYS[Qt.Key(event.key())], next(p for p in self.panels if watched in p.watched))
                return True
        return super().eventFilter(watched, event)

    def _move_hair(self, by: int, panel: Panel) -> None:
        """The cross-hair by the keyboard: a step to the side, or a hundredth of the picture; out of the middle."""
        left, right = panel.frame.view.viewRange()[0]
        among_steps = AXES[self.axis.currentIndex()][0] == "step"
        stride = max(1.0, round((right - left) / 100)) if among_steps else (right - left) / 100
        x = panel.hair.value() if panel.hair.isVisible() else (left + right) / 2
        x = min(max((round(x) if among_steps else x) + by * stride, max(left, 0.0)), right)
        area = panel.frame.view.sceneBoundingRect()
        place = panel.frame.view.mapViewToScene(QPointF(x, 0.0)).x()
        self._hover(QPointF(min(max(place, area.left() + 1), area.right() - 1), area.center().y()), panel, x)

    def _put_away(self) -> None:
        for panel in self.panels:
            panel.hair.hide()
            panel.readout.hide()

    def _new_race(self) -> None:
        """What was read of another race is no longer there."""
        if self._read != self.session.generation:
            self._read = self.session.generation
            self._put_away()
            for panel in self.panels:
                panel.known.clear()

    def _hover(self, position: QPointF, panel: Panel, x: float | None = None) -> None:
        """Read what is there, or exactly at x where that is given."""
        inside = panel.frame.view.sceneBoundingRect().contains(position) and bool(self.session.runs)
        for other in self.panels:
            other.hair.setVisible(inside)
        panel.readout.setVisible(inside)
        if not inside:
            return
        x = panel.frame.view.mapSceneToView(position).x() if x is None else x
        for other in self.panels:
            other.hair.setPos(x)
        y = panel.frame.view.mapSceneToView(position).y()
        self.read_at(x, panel, 10.0**y if panel.log.isChecked() else y)
        panel.readout.raise_()
        panel.readout.place(position, panel.frame.view.sceneBoundingRect())

    def _said(self, x: float) -> str:
        name = AXES[self.axis.currentIndex()][0]
        return (
            f"step {max(0, round(x))}"
            if name == "step"
            else f"{compact(x)} {'s' if name == 'seconds' else 'gradients'}"
        )

    def read_at(self, x: float, panel: Panel | None = None, near: float | None = None) -> None:
        """Show what every visible run had reached at x; of more than there is room for, those nearest to a value."""
        panel = panel or self.panels[0]
        wanted = self._wanted(panel)
        rows = []
        for shown in self._read_as():
            row = self._row_at(shown, x)
            if row is not None:
                rows.append((shown, [row[column] for _, column, _, _ in wanted]))
        words, room = [word for word, *_ in wanted], panel.frame.view.sceneBoundingRect().height()
        panel.readout.show_rows(self._said(x), words, rows, self.session.theme, room, near)

    def _read_as(self) -> list[Shown | Group]:
        """What has a row of numbers: the runs, those that are drawn as a group together."""
        groups = self.session.groups(self.session.visible) if self.banded else []
        of = {shown: group for group in groups for shown in group.members}
        return list(dict.fromkeys(of.get(shown, shown) for shown in self.session.visible))

    def _row_at(self, shown: Shown | Group, x: float) -> dict[str, Any] | None:
        """What a run had reached at x, or a group at the median; None before its start."""
        if isinstance(shown, Group):
            rows = [row for member in shown.members if (row := self._row_at(member, x)) is not None]
            medians = np.median([[row[name] for name in NUMBERS] for row in rows], axis=0) if rows else None
            return None if medians is None else dict(zip(NUMBERS, medians.tolist(), strict=True))
        name = AXES[self.axis.currentIndex()][0]
        if not len(shown.history) or x < -0.5:
            return None
        at = round(x) if name == "step" else row_at(shown.history, name, x)
        return shown.history.row(max(0, at)) if at >= 0 else None

    # The cursors A and B.

    def compare(self, on: bool) -> None:
        """Bring out two cursors, at a third and two thirds of the picture, or put them away."""
        self.compared = on
        for panel in self.panels:
            for cursor in panel.cursors:
                cursor.setVisible(on)
        self._spread_cursors()
        self._compare()

    def _spread_cursors(self) -> None:
        self._astray = False
        left, right = self.frame.view.viewRange()[0]
        for number in range(2):
            self._move_cursor(number, left + (number + 1) / 3 * (right - left))

    def _drag(self, number: int, x: float) -> None:
        self._move_cursor(number, x)
        self._compare()

    def _move_cursor(self, number: int, x: float) -> None:
        for panel in self.panels:
            if panel.cursors[number].value() != x:
                panel.cursors[number].setValue(x)

    def _compare(self) -> None:
        """Say what every run had at A and at B, and the difference."""
        self.between.setVisible(self.compared)
        if not self.compared:
            return
        panel = self.panels[0]
        a, b = (cursor.value() for cursor in panel.cursors)
        rows = []
        for shown in self._read_as():
            ends = [self._row_at(shown, x) for x in (a, b)]
            if all(end is not None for end in ends) and self._wanted(panel):
                column = self._wanted(panel)[0][1]
                first, second = (end[column] for end in ends if end is not None)
                rows.append((shown, [first, second, second - first]))
        heads = [f"A: {self._said(a)}", f"B: {self._said(b)}", "B − A"]
        area = self.frame.view.sceneBoundingRect()
        self.between.show_rows("", heads, rows, self.session.theme, _ROOM * area.height())
        self.between.raise_()
        self.between.move(*self._clear_corner(self.between.size(), area))

    def _clear_corner(self, size: QSize, area: QRectF) -> tuple[int, int]:
        """The corner of the plot where a table of that size covers the least of the curves; the last one as long as no
        other is much better."""
        lines, view = self.lines.shown, self.frame.view
        xs = np.concatenate([np.empty(0), *(line.x for line in lines)])
        ys = np.concatenate([np.empty(0), *(line.y for line in lines)])
        covered, corners = [], []
        for below in (False, True):
            for rightward in (True, False):
                left = area.right() - size.width() - 4 if rightward else area.left() + 4
                top = area.bottom() - size.height() - 4 if below else area.top() + 4
                ends = view.mapSceneToView(QRectF(QPointF(left, top), QSizeF(size))).boundingRect()
                inside = (xs >= ends.left()) & (xs <= ends.right()) & (ys >= ends.top()) & (ys <= ends.bottom())
                covered.append(int(inside.sum()))
                corners.append((int(left), int(top)))
        if covered[self._corner] > 1.5 * min(covered) + 5:
            self._corner = covered.index(min(covered))
        return corners[self._corner]

    def _follow(self, panel: Panel) -> None:
        """Panels share what a person chose along the horizontal axis, and what they let go."""
        if not panel.frame.free:
            self._release()
            return
        for other in self.panels:
            other.frame.free = True
        self.invalidate()

    def _align(self, window: tuple[float, float]) -> None:
        """The same stretch of the horizontal axis in every panel."""
        for panel in self.panels:
            if tuple(panel.frame.view.viewRange()[0]) != tuple(window):
                panel.frame.view.setXRange(*window, padding=0)

    def _release(self) -> None:
        for panel in self.panels:
            panel.frame.release()
        self.invalidate()

"""Loss curves: training and validation loss against step, seconds or gradients, with a cross-hair that reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QToolButton, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.flow import FlowLayout
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.axes import compact, logarithm
from ngexplorer.gui.plots.lines import Array, Line, Lines, bounds, pen, thinned
from ngexplorer.gui.plots.view import View, toggle
from ngexplorer.gui.session import Session, Shown

AXES = (
    ("step", "by step"),
    ("seconds", "by seconds of compute"),
    ("gradient_equivalents", "by gradient equivalents"),
)
_FUTURE = 0.28
"""How strongly what lies after the current time is drawn."""


class CurvesView(View):
    """Every run's loss; the part after the current time is faint, and a dot marks the current step."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Loss")
        self.axis = Choice(list(AXES))
        self.axis.setAccessibleName("Horizontal axis of the loss curves")
        self.axis.setToolTip("What the curves are drawn against")
        self.training = toggle("Training", "Show the training loss", on=True)
        self.validation = toggle("Validation", "Show the validation loss, as thin lines", on=True)
        self.log = toggle("Log", "Logarithmic loss axis", on=True)
        self.axis.activated.connect(self._release)
        for button in (self.training, self.validation, self.log):
            button.clicked.connect(self._release)
        for control in (self.axis, self.training, self.validation, self.log):
            self.head.addWidget(control)
        self.legend = Legend(session)
        self.column.insertWidget(1, self.legend)
        self.lines = Lines()
        self.frame.addItem(self.lines, ignoreBounds=True)
        self.note = QLabel("a loss of zero or less lies below every log axis", self.frame)
        self.note.setObjectName("muted")
        self.note.setFont(themes.font(11))
        self.note.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.note.hide()
        self.hair = pg.InfiniteLine(angle=90)
        self.hair.hide()
        self.frame.addItem(self.hair, ignoreBounds=True)
        self.readout = Readout(self.frame)
        self.frame.scene().sigMouseMoved.connect(self._hover)
        self.frame.viewport().installEventFilter(self)
        self._read = session.generation
        session.race_changed.connect(self._new_race)
        session.shown_changed.connect(self.invalidate)

    def fingerprint(self) -> Any:
        return (
            tuple(len(shown.history) for shown in self.session.runs),
            self.session.time,
            self.axis.currentIndex(),
            self.width(),
        )

    def draw(self) -> None:
        runs = [shown for shown in self.session.visible if len(shown.history)]
        lines_of = {shown: self._lines_of(shown) for shown in runs}
        lines = [line for shown in runs for line in lines_of[shown]]
        self.lines.show_lines(lines)
        self.frame.set_log(y=self.log.isChecked())
        self.frame.count_along(self.axis.currentIndex() == 0)
        self.hair.setPen(pen(self.session.theme.muted, 1, Qt.PenStyle.DashLine))
        measured = bounds([line for shown in self.session.measures for line in lines_of[shown]])
        if not measured.isNull():
            right = max(measured.right(), self._least())
            # Sixteen decades are what float64 can tell apart; what lies below is there for whoever zooms in.
            low = max(measured.top(), measured.bottom() - 16) if self.log.isChecked() else measured.top()
            self.frame.fit(0.0, right, low, measured.bottom())
        self.say(self._why_empty(runs))
        self._subtitle()

    def _least(self) -> float:
        """How far the picture reaches at least: before the first steps, to the tenth."""
        return float(min(10, self.session.experiment.steps)) if self.axis.currentIndex() == 0 else 1e-3

    def _lines_of(self, shown: Shown) -> list[Line]:
        history, step = shown.history, self.session.step_of(shown)
        x_name = AXES[self.axis.currentIndex()][0]
        colour = themes.line_colour(shown.colour, self.session.theme)
        lines: list[Line] = []
        wanted = ((self.training, "loss", 1.8, 1.0), (self.validation, "validation_loss", 1.0, 0.75))
        for button, column, width, alpha in wanted:
            if not button.isChecked():
                continue
            x, y = _matched(history.column(x_name), self._scaled(history.column(column)))
            if not np.isfinite(y).any():
                continue
            pixels = max(self.frame.width(), 200)
            if step < len(x) - 1:
                lines.append(
                    Line(*thinned(x[step:], y[step:], pixels), pen(colour, width, shown.style, alpha * _FUTURE))
                )
            dots = np.array([[x[min(step, len(x) - 1)], y[min(step, len(y) - 1)]]]) if column == "loss" else None
            past = slice(0, step + 1)
            lines.append(Line(*thinned(x[past], y[past], pixels), pen(colour, width, shown.style, alpha), dots))
        return lines

    def _scaled(self, values: Array) -> Array:
        return logarithm(values) if self.log.isChecked() else values

    def _why_empty(self, runs: list[Shown]) -> str:
        if not self.session.runs:
            return "Loading the data…" if self.session.state == "loading" else "No run yet"
        if not runs:
            return "Every run is switched off in the legend"
        if not (self.training.isChecked() or self.validation.isChecked()):
            return "Neither training nor validation loss is switched on"
        return ""

    def _subtitle(self) -> None:
        self.subtitle.setText(f"step {self.session.time}" if self.session.time is not None else "")
        zeros = any((shown.history.column("loss") <= 0).any() for shown in self.session.visible)
        self.note.setVisible(self.log.isChecked() and zeros)
        self._place_note()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._place_note()

    def _place_note(self) -> None:
        """Where curves seldom are: at the lower end of the axis."""
        self.note.adjustSize()
        area = self.frame.view.sceneBoundingRect()
        self.note.move(int(area.left()) + 8, int(area.bottom()) - self.note.height() - 4)

    # The cross-hair.

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._put_away()
        return super().eventFilter(watched, event)

    def _put_away(self) -> None:
        self.hair.hide()
        self.readout.hide()

    def _new_race(self) -> None:
        """What was read of another race is no longer there."""
        if self._read != self.session.generation:
            self._read = self.session.generation
            self._put_away()

    def _hover(self, position: QPointF) -> None:
        inside = self.frame.view.sceneBoundingRect().contains(position) and bool(self.session.runs)
        self.hair.setVisible(inside)
        self.readout.setVisible(inside)
        if not inside:
            return
        x = self.frame.view.mapSceneToView(position).x()
        self.hair.setPos(x)
        self.read_at(x)
        self.readout.place(position, self.frame.view.sceneBoundingRect())

    def read_at(self, x: float) -> None:
        """Show what every visible run had reached at x."""
        name = AXES[self.axis.currentIndex()][0]
        head = (
            f"step {max(0, round(x))}"
            if name == "step"
            else f"{compact(x)} {'s' if name == 'seconds' else 'gradients'}"
        )
        wanted = ((self.training, "loss"), (self.validation, "validation_loss"))
        columns = {button.text().lower(): column for button, column in wanted if button.isChecked()}
        rows = []
        for shown in self.session.visible:
            history = shown.history
            xs = history.column(name)
            if not len(xs) or x < xs[0] - 0.5:
                continue
            at = round(x) if name == "step" else int(np.searchsorted(xs, x, side="right")) - 1
            row = history.row(max(0, at))
            rows.append((shown, [row[column] for column in columns.values()]))
        self.readout.show_rows(head, list(columns), rows, self.session.theme)

    def _release(self) -> None:
        self.frame.release()
        self.invalidate()


def _matched(x: Array, y: Array) -> tuple[Array, Array]:
    """Two columns read one after the other may differ by rows that came between."""
    length = min(len(x), len(y))
    return x[:length], y[:length]


class Legend(QWidget):
    """A chip for each run, which switches it on and off in every plot; without its name where there are too many."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.chips: list[QToolButton] = []
        self._flow = FlowLayout(self, spacing=0)
        session.race_changed.connect(self._fill)
        session.theme_changed.connect(self._dress)
        session.shown_changed.connect(self._dress)

    def _fill(self) -> None:
        self._flow.clear()
        self.chips = []
        for number, shown in enumerate(self.session.runs):
            chip = QToolButton()
            chip.setObjectName("chip")
            chip.setText(shown.label)
            chip.setFont(themes.font(12))
            chip.setIconSize(QSize(10, 10))
            chip.setCheckable(True)
            chip.setToolTip(f"{shown.label}: show or hide it in every plot")
            chip.setAccessibleName(f"Show {shown.label}")
            chip.clicked.connect(lambda on, number=number: self.session.set_hidden(number, not on))
            self.chips.append(chip)
            self._flow.addWidget(chip)
            chip.show()  # what is not shown yet takes no room
        self._dress()
        self._arrange()

    def _dress(self) -> None:
        for number, (chip, shown) in enumerate(zip(self.chips, self.session.runs, strict=True)):
            hidden = self.session.is_hidden(number)
            colour = themes.line_colour(shown.colour, self.session.theme)
            chip.setIcon(themes.dot(colour, 10, filled=not hidden))
            chip.setChecked(not hidden)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            QTimer.singleShot(0, self, self._arrange)  # once the chips have their type too

    def _arrange(self) -> None:
        """Take the height that the chips need at this width: with their names, if those fit in two rows."""
        for names in (True, False):
            for chip in self.chips:
                text = chip.fontMetrics().horizontalAdvance(chip.text())
                chip.setFixedWidth(text + 24 if names else 20)
                beside, alone = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly
                chip.setToolButtonStyle(beside if names else alone)
            if self._flow.rows(self.width()) <= 2:
                break
        self.setFixedHeight(self._flow.heightForWidth(self.width()))


class Readout(QFrame):
    """The numbers at the cross-hair, one line a run."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("readout")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(8, 5, 8, 5)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(1)
        self._labels: dict[tuple[int, int], QLabel] = {}
        self.hide()

    def show_rows(
        self, head: str, columns: list[str], rows: list[tuple[Shown, list[float]]], theme: themes.Theme
    ) -> None:
        """Fill in the table: a run and its numbers, without the columns where no run has any."""
        cells: dict[tuple[int, int], tuple[str, str]] = {(0, 0): (head, theme.muted)}
        kept = [j for j in range(len(columns)) if not rows or any(not np.isnan(numbers[j]) for _, numbers in rows)]
        for column, j in enumerate(kept, 1):
            cells[0, column] = (columns[j], theme.muted)
            for i, (_, numbers) in enumerate(rows, 1):
                cells[i, column] = (compact(numbers[j]), theme.text)
        for i, (shown, _) in enumerate(rows, 1):
            cells[i, 0] = (shown.label, themes.readable(shown.colour, theme).name())
        for place in self._labels.keys() - cells.keys():
            self._labels[place].hide()
        for place, (text, colour) in cells.items():
            label = self._labels.get(place) or self._made(place)
            label.setText(text)
            label.setStyleSheet(f"color: {colour};")
            label.show()
        self.adjustSize()

    def texts(self) -> list[str]:
        """What is written, row by row: for a reader that cannot see."""
        return [label.text() for _, label in sorted(self._labels.items()) if not label.isHidden()]

    def place(self, position: QPointF, area: QRectF) -> None:
        """Beside the cursor, on the side where there is more room, and never over the axes."""
        rightward = position.x() < area.center().x()
        left = position.x() + 14 if rightward else position.x() - 14 - self.width()
        left = max(min(left, area.right() - self.width()), area.left())
        top = max(min(position.y() - self.height() / 2, area.bottom() - self.height()), area.top())
        self.move(int(left), int(top))

    def _made(self, place: tuple[int, int]) -> QLabel:
        label = QLabel()
        label.setFont(themes.font(11))
        if place[1]:
            label.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(label, *place)
        self._labels[place] = label
        return label

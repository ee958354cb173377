"""One plot of the curves: which column it draws, its frame with what lies over it, and the controls of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyqtgraph as pg
from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QLabel, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.axes import Frame
from ngexplorer.gui.plots.lines import Array, Lines
from ngexplorer.gui.plots.readout import Readout
from ngexplorer.gui.plots.view import toggle
from ngexplorer.runs.extremes import Extremes
from ngexplorer.runs.history import NUMBERS, STEP_FIELDS

_LINEAR = (
    *("metric", "momentum", "learning_rate", "rejected_trials", "solver_iterations", "reduction_ratio"),
    *(name for name in NUMBERS if name.startswith("angle")),
)
"""Columns that are usually looked at on a linear axis."""
_SIGNED = ("predicted_change", "predicted_change_damped", "curvature_along_step", "lowest_eigenvalue")
_HELPS = {field.encode_name: field.type.__metadata__[0].description for field in STEP_FIELDS}


def title_of(column: str) -> str:
    """A column's name as people read it."""
    return column.replace("_", " ").capitalize()


def _columns() -> tuple[list[tuple[str, str]], list[str]]:
    """The columns to choose from, and what each of them is."""
    names = [name for name in NUMBERS if name not in ("step", "loss_before", "loss_after", "validation_loss")]
    return [(name, title_of(name)) for name in names], [_HELPS.get(name, "") for name in names]


class Curve(NamedTuple):
    """A column as it is drawn, and where along x it has no logarithm."""

    x: Array
    y: Array
    below: Array | None


class Panel(QObject):
    """One plot of a column: its frame, and the controls of its own."""

    def __init__(self, frame: Frame, column: str) -> None:
        super().__init__(frame)
        self.frame = frame
        options, helps = _columns()
        self.choice = Choice(options, helps)
        self.choice.setAccessibleName("Column that is drawn")
        self.choice.setToolTip("Which recorded number is drawn")
        self.choice.setCurrentIndex([name for name, _ in options].index(column))
        self._names = [name for name, _ in options]
        self.log = toggle("Log", "Logarithmic vertical axis", on=column not in (*_LINEAR, *_SIGNED))
        self.lines = Lines()
        frame.addItem(self.lines, ignoreBounds=True)
        frame.view.setMouseMode(pg.ViewBox.RectMode)
        self.note = QLabel(frame)
        self.note.setObjectName("muted")
        self.note.setFont(themes.font(11))
        self.note.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.note.hide()
        frame.view.sigResized.connect(lambda _: self.place_note())
        self.hair = pg.InfiniteLine(angle=90)
        self.hair.hide()
        frame.addItem(self.hair, ignoreBounds=True)
        self.readout = Readout(frame)
        self.cursors = [
            pg.InfiniteLine(angle=90, movable=True, label=name, labelOpts={"position": 0.94, "movable": False})
            for name in "AB"
        ]
        for cursor in self.cursors:
            cursor.hide()
            frame.addItem(cursor, ignoreBounds=True)
        self.known: dict[Extremes, tuple[Any, Curve | None]] = {}
        """What is drawn of each column of each run, and what it was read for."""
        self.outgrown = True
        """Whether that has to be read anew."""
        self.row: QWidget | None = None
        """Its controls, where they are not the view's own."""

    @property
    def watched(self) -> tuple[QObject, QObject]:
        """What the keys of this plot come to."""
        return self.frame, self.frame.viewport()

    @property
    def column(self) -> str:
        return self._names[self.choice.currentIndex()]

    def show_column(self, column: str) -> None:
        """Draw that column, on the axis that it is usually looked at on."""
        self.choice.setCurrentIndex(self._names.index(column))
        self.log.setChecked(column not in (*_LINEAR, *_SIGNED))

    def note_down(self, words: list[str], below: bool) -> None:
        """Say in the plot itself what is not as it was recorded, and what cannot be seen."""
        self.note.setText(" · ".join([*words, *(["▽ zero or less: below every log axis"] if below else [])]))
        self.note.setVisible(bool(self.note.text()))

    def place_note(self) -> None:
        """Where curves seldom are: at the lower end of the axis."""
        self.note.adjustSize()
        area = self.frame.view.sceneBoundingRect()
        self.note.move(int(area.left()) + 8, int(area.bottom()) - self.note.height() - 10)

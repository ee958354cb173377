"""What of the runs goes into a CSV: which runs, which columns, and which steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import caption
from ngexplorer.gui.plots.curve_panel import title_of
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs.export import rows_of
from ngexplorer.runs.history import COLUMNS

Take = Callable[[list[Shown], Sequence[str], tuple[int, int] | None], None]


class Export(QDialog):
    """Asks what to write; all of it at first. `visible` are the first and last step that the curves show."""

    def __init__(self, session: Session, visible: tuple[int, int], take: Take, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export CSV")
        self._runs, self._visible, self._take = list(session.runs), visible, take
        self.runs = _Choices("Runs", [shown.label for shown in self._runs])
        for item, shown in zip(self.runs.items, self._runs, strict=True):
            item.setIcon(themes.dot(themes.line_colour(shown.colour, session.theme), 10))
        self.columns = _Choices("Columns", [title_of(name) for name in COLUMNS])
        self.all_steps = QRadioButton("All steps")
        self.all_steps.setChecked(True)
        first, last = visible
        self.some_steps = QRadioButton(f"What the curves show: steps {first:,} to {last:,}")
        self.some_steps.setEnabled(last >= first)
        self.amount = QLabel()
        self.amount.setObjectName("muted")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = buttons.addButton("Export…", QDialogButtonBox.ButtonRole.AcceptRole)
        self.go.setObjectName("primary")
        self.go.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        lists = QHBoxLayout()
        lists.setSpacing(2 * themes.GRID)
        for choices in (self.runs, self.columns):
            lists.addWidget(choices)
            choices.list.itemChanged.connect(self._count)
        for button in (self.all_steps, self.some_steps):
            button.toggled.connect(self._count)
        last_row = QHBoxLayout()
        last_row.addWidget(self.amount, 1)
        last_row.addWidget(buttons)
        layout = QVBoxLayout(self)
        layout.setSpacing(themes.GRID)
        layout.addLayout(lists, 1)
        layout.addWidget(caption("Steps"))
        layout.addWidget(self.all_steps)
        layout.addWidget(self.some_steps)
        layout.addLayout(last_row)
        self.resize(560, 480)
        self._count()
        self.accepted.connect(self._give)
        self.go.setFocus(Qt.FocusReason.OtherFocusReason)

    @property
    def steps(self) -> tuple[int, int] | None:
        """The first and last one; None: all."""
        return self._visible if self.some_steps.isChecked() else None

    def _count(self) -> None:
        """Say how much it will be."""
        rows = sum(rows_of(self._runs[i].history, self.steps) for i in self.runs.chosen)
        self.amount.setText(f"{rows:,} rows of {3 + len(self.columns.chosen)} columns")
        self.go.setEnabled(rows > 0 and bool(self.columns.chosen))

    def _give(self) -> None:
        self._take([self._runs[i] for i in self.runs.chosen], [COLUMNS[i] for i in self.columns.chosen], self.steps)


class _Choices(QWidget):
    """A list to tick, with two buttons for all and none of it."""

    def __init__(self, title: str, names: list[str]) -> None:
        super().__init__()
        self.list = QListWidget()
        self.list.setAccessibleName(title)
        self.items = [QListWidgetItem(name, self.list) for name in names]
        self.tick(True)
        head = QHBoxLayout()
        head.addWidget(caption(title), 1)
        for text, on in (("All", True), ("None", False)):
            button = QPushButton(text)
            button.setObjectName("small")
            button.setAutoDefault(False)
            button.setAccessibleName(f"{title}: {text.lower()}")
            button.clicked.connect(lambda _=False, on=on: self.tick(on))
            head.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(head)
        column.addWidget(self.list)

    def tick(self, on: bool) -> None:
        for item in self.items:
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    @property
    def chosen(self) -> list[int]:
        return [i for i, item in enumerate(self.items) if item.checkState() == Qt.CheckState.Checked]

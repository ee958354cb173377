"""The start page: what a person who opens the window for the first time can do, over the plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QRect, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from ngexplorer import resource_files
from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.runs import experiment as experiments
from ngexplorer.tour import STOPS

if TYPE_CHECKING:
    from ngexplorer.gui.main_window import MainWindow

_WIDTH = 560
_RECENT = 4
"""At most so many files are listed here; the menu has more."""


class StartPage(QFrame):
    """In the plots' place until a race is on or something is opened; the set-up beside it is ready to race."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setObjectName("start")
        self._window = window
        self.hide()
        self.close_button = QToolButton()
        self.close_button.setObjectName("quiet")
        self.close_button.setToolTip("Close this page; the Help menu opens it again")
        self.close_button.setAccessibleName("Close the start page")
        self.close_button.clicked.connect(self.hide)
        self._column = QVBoxLayout()
        self._column.setSpacing(4)
        middle = QWidget()
        middle.setMaximumWidth(_WIDTH)
        middle.setLayout(self._column)
        inside = QWidget()
        row = QHBoxLayout(inside)
        row.setContentsMargins(24, 0, 24, 24)
        row.addStretch(1)
        row.addWidget(middle, 8)
        row.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 8, 8, 8)
        whole.setSpacing(0)
        whole.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignRight)
        whole.addWidget(scroll, 1)
        self.race = QPushButton()
        self.race.setObjectName("primary")
        self.race.clicked.connect(window.session.toggle)
        self.tour = QPushButton("Take the tour")
        self.tour.clicked.connect(window.actions_["tour"].trigger)
        self.file = QPushButton("Open a file…")
        self.file.clicked.connect(window.actions_["open"].trigger)
        window.arrangement.plots.installEventFilter(self)
        window.session.state_changed.connect(self._state_changed)
        window.session.opened.connect(self.hide)
        window.session.theme_changed.connect(self._dress)

    def open(self) -> None:
        """Show it, with the recent files and the progress of the tour as they are now."""
        self._fill()
        self._dress()
        self._cover()
        self.show()
        self.raise_()
        self.race.setFocus()

    def _fill(self) -> None:
        while (item := self._column.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None and widget not in (self.race, self.tour, self.file):
                widget.deleteLater()
        window = self._window
        self._column.addStretch(1)
        self._column.addWidget(_said("NG Explorer", 26, heading=True))
        words = "Race natural gradient, Gauss-Newton and Newton against first-order methods, and see what they see."
        self._column.addWidget(_said(words, 14))
        self._column.addSpacing(2 * themes.GRID)
        row = QHBoxLayout()
        row.setSpacing(themes.GRID)
        self.race.setText("Race")
        self.race.setAccessibleName(f"Race: {window.session.experiment.title}")
        for button in (self.race, self.tour, self.file):
            button.setMinimumHeight(32)
            row.addWidget(button)
        row.addStretch(1)
        buttons = QWidget()
        buttons.setLayout(row)
        row.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(buttons)
        self._column.addSpacing(themes.GRID // 2)
        seen = len(window.preferences.tour_seen)
        progress = f"{seen} of its {len(STOPS)} stops seen" if seen else f"{len(STOPS)} stops"
        words = (
            f"Race starts “{window.session.experiment.title}”. The tour walks through Martens (2020), “New insights "
            f"and perspectives on the natural gradient method”: {progress}."
        )
        self._column.addWidget(_said(words, 12))
        self._section("Open an example")
        for name in resource_files.experiment_names():
            experiment = experiments.read(resource_files.EXPERIMENTS / f"{name}.toml")
            self._entry(f"example-{name}", experiment.title, f"{len(experiment.runs)} runs")
        recent = [path for path in window.preferences.recent if path.exists()][:_RECENT]
        if recent:
            self._section("Recent")
        for path in recent:
            self._entry(f"recent-{path}", path.name, str(path.parent))
        self._column.addStretch(2)

    def _section(self, title: str) -> None:
        self._column.addSpacing(2 * themes.GRID)
        label = QLabel(title)
        label.setObjectName("caption")
        label.setFont(themes.caption_font())
        self._column.addWidget(label)

    def _entry(self, key: str, title: str, about: str) -> None:
        """A row that carries out one of the window's actions."""
        entry = QPushButton()
        entry.setObjectName("entry")
        entry.setAccessibleName(f"{title}. {about}")
        entry.setMinimumHeight(32)
        entry.clicked.connect(lambda: self._window.actions_[key].trigger())
        row = QHBoxLayout(entry)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(2 * themes.GRID)
        name, words = QLabel(title), Elided(about)
        words.setObjectName("muted")
        words.setFont(themes.font(12))
        words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for label in (name, words):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        row.addWidget(name)
        row.addWidget(words, 1)
        self._column.addWidget(entry)

    def _state_changed(self, state: str) -> None:
        if state == "running":
            self.hide()

    def _dress(self) -> None:
        theme = self._window.session.theme
        self.close_button.setIcon(themes.icon("close", theme.muted))
        self.race.setIcon(themes.icon("play", theme.on_accent))

    def _cover(self) -> None:
        """Lie where the plots are."""
        plots = self._window.arrangement.plots
        self.setGeometry(QRect(plots.mapTo(self._window, plots.rect().topLeft()), plots.size()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move) and not self.isHidden():
            self._cover()
        return super().eventFilter(watched, event)


def _said(text: str, pixels: int, *, heading: bool = False) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setFont(themes.font(pixels, QFont.Weight.DemiBold if heading else QFont.Weight.Normal))
    if not heading:
        label.setObjectName("muted")
    return label

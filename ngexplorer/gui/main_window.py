"""The main window: set-up on the left, plots in the middle, timeline and runs below, one pull timer for all."""

from __future__ import annotations

from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import psutil
from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenuBar,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ngexplorer import __version__, resource_files
from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.panels.notices import Notices
from ngexplorer.gui.panels.runs_table import RunsTable
from ngexplorer.gui.panels.setup import SetupPanel
from ngexplorer.gui.panels.timeline import Timeline
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.stage import Stage
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.gui.plots.view import View
from ngexplorer.gui.room import Room
from ngexplorer.gui.session import Notice, Session
from ngexplorer.runs import experiment as experiments
from ngexplorer.settings import SettingError

_FRAME = 33
"""Milliseconds between two pulls."""
_SLOW = 0.25
"""Seconds between two looks at the table's and the status bar's numbers."""
_ANSWER = 100
"""Milliseconds after which an unanswered stop is explained."""

_USUAL, _LEAST = QSize(1600, 1000), QSize(1024, 640)
_AROUND = QSize(16, 48)
"""Pixels: the window's size where the screen has room for it, the least, and what its frame and title bar take."""

_PRESSED = (QAbstractButton, QComboBox)


class MainWindow(QMainWindow):
    """The window around one session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._apply_theme()  # before there are widgets to dress again
        self.setWindowTitle("NG Explorer")
        self.setWindowIcon(themes.icon("ngexplorer", "", 64))
        self.setMinimumSize(_LEAST)
        self.resize(_USUAL.boundedTo(self.screen().availableGeometry().size() - _AROUND).expandedTo(_LEAST))
        # A click where there is nothing to type leaves the editor, and the keys are the window's again.
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocus()

        self.setup = SetupPanel(session)
        self.trajectory = TrajectoryView(session)
        self.curves = CurvesView(session)
        self.spectrum = SpectrumView(session)
        self.timeline = Timeline(session)
        self.table = RunsTable(session)
        self.notices = Notices(session)
        self.views: list[View] = [self.trajectory, self.curves, self.spectrum]
        self.stage = Stage(self.views)
        self._folder = Path()
        """Where a file was last opened or written."""
        self._unused: QPushButton | None = None
        """The button that had the keyboard focus when it went out of use."""
        self._slow_at = 0.0
        self._frame_seconds = 0.0
        self._speed_from = (monotonic(), 0)
        self._speed = 0.0

        self._make_actions()
        self.setCentralWidget(self._arranged())
        self._make_status()

        session.state_changed.connect(self._show_state)
        session.experiment_changed.connect(lambda: self.title.setText(session.experiment.title))
        session.race_changed.connect(lambda: self._show_state(session.state))
        session.theme_changed.connect(self._dress)
        self._explain = QTimer(self, singleShot=True, interval=_ANSWER)
        self._explain.timeout.connect(self._explain_stop)
        self._timer = QTimer(self, interval=_FRAME)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.pull)
        self._timer.start()
        self._show_icons()

    # Layout.

    def _arranged(self) -> QWidget:
        gap = themes.GRID
        lower = _split(Qt.Orientation.Horizontal, self.curves, self.spectrum, sizes=(560, 560))
        plots = _split(Qt.Orientation.Vertical, self.trajectory, lower, sizes=(400, 400))
        self.setup.setMinimumWidth(304)
        upper = _split(Qt.Orientation.Horizontal, self.setup, plots, sizes=(320, 1260))
        upper.setStretchFactor(0, 0)
        upper.setStretchFactor(1, 1)
        outer = QWidget()
        layout = QVBoxLayout(outer)
        layout.setContentsMargins(gap, gap, gap, 0)
        layout.setSpacing(gap)
        layout.addLayout(self._header())
        layout.addWidget(self.notices)
        layout.addWidget(Room(upper, self.timeline, self.table), 1)
        return outer

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.notices.leave_room(event.size().height())

    def _header(self) -> QHBoxLayout:
        name = QLabel("NG Explorer")
        name.setObjectName("application")
        self.title = Elided()
        self.title.setObjectName("muted")
        self.state_label = QLabel()
        self.state_label.setObjectName("muted")
        row = QHBoxLayout()
        row.setSpacing(themes.GRID)
        row.addWidget(name)
        row.addWidget(self.menus)
        row.addWidget(self.title, 1)
        row.addWidget(self.state_label)
        self.buttons: dict[str, QPushButton] = {}
        for key, action in self.race_actions.items():
            button = QPushButton(action.text())
            button.setToolTip(f"{action.toolTip()} ({action.shortcut().toString()})")
            button.setAccessibleName(action.text())
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(action.trigger)
            self.buttons[key] = button
            row.addWidget(button)
        self.buttons["race"].setObjectName("primary")
        self.buttons["race"].setMinimumWidth(88)
        return row

    def _make_actions(self) -> None:
        session = self.session
        # In the header's row, to leave the height to the plots.
        self.menus = QMenuBar()
        self.menus.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        file = self.menus.addMenu("File")
        self._action(file, "Open experiment…", "Ctrl+O", "Open an experiment from a TOML file", self.open_file)
        self._action(file, "Save experiment as…", "Ctrl+S", "Write the set-up to a TOML file", self.save_file)
        shipped = file.addMenu("Experiments")
        for name in resource_files.experiment_names():
            path = resource_files.EXPERIMENTS / f"{name}.toml"
            title = experiments.read(path).title
            shipped.addAction(title, lambda path=path: self.open_experiment(path))
        file.addSeparator()
        self.export_action = self._action(
            file, "Export CSV…", "Ctrl+E", "Write every run and step to one CSV file", self.export_csv
        )
        file.addSeparator()
        self._action(file, "Quit", "Ctrl+Q", "Stop the runs and close the window", self.close)
        race = self.menus.addMenu("Race")
        self.race_actions = {
            "race": self._action(race, "Race", "Space", "Start, go on or pause", session.toggle),
            "step": self._action(race, "Step", ".", "One step of every run", session.step),
            "stop": self._action(race, "Stop", "Esc", "Stop now; Space goes on", self.stop),
            "reset": self._action(race, "Reset", "Ctrl+R", "Start over with the set-up as it is now", session.reset),
        }
        view = self.menus.addMenu("View")
        self._action(view, "Follow the latest step", "Ctrl+L", "Leave the past", lambda: session.set_time(None))
        self._action(view, "Dark or light", "Ctrl+T", "Change the appearance", self.switch_theme)
        about = self.menus.addMenu("Help")
        self._action(about, "About NG Explorer", "", "What this is", self.about)

    def _action(self, menu: Any, text: str, shortcut: str, tip: str, do: Any) -> QAction:
        action = QAction(text, self)
        action.setToolTip(tip)
        action.setStatusTip(tip)
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        action.triggered.connect(lambda _=False: do())
        menu.addAction(action)
        self.addAction(action)
        return action

    def _make_status(self) -> None:
        self.status: dict[str, QLabel] = {}
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        for name in ("device", "speed", "frame", "recorded", "memory"):
            self.status[name] = QLabel()
            bar.addPermanentWidget(self.status[name])

    # Pulling.

    def pull(self) -> None:
        """One frame: draw the visible plots that changed, the one under the pointer first, within the budget."""
        began = perf_counter()
        self.stage.frame()
        self.timeline.pull()
        if monotonic() - self._slow_at > _SLOW:
            self._slow_at = monotonic()
            self.table.pull()
            self._show_numbers()
        self._frame_seconds += 0.1 * (perf_counter() - began - self._frame_seconds)

    def settle(self) -> None:
        """Draw everything as it now is, whatever the budget."""
        for view in self.views:
            view.pull()
        self.timeline.pull()
        self.table.pull()
        self._show_numbers()

    def _show_numbers(self) -> None:
        session = self.session
        steps = sum(shown.run.step for shown in session.runs)
        now = monotonic()
        at, before = self._speed_from
        if now - at >= 1.0:
            self._speed = max(0, steps - before) / (now - at)
            self._speed_from = (now, steps)
        self.status["speed"].setText(f"{self._speed:,.0f} steps/s" if session.state == "running" else "")
        self.status["frame"].setText(f"frame {1000 * self._frame_seconds:.0f} ms")
        self.status["recorded"].setText(f"{steps:,} steps recorded")
        self.status["memory"].setText(f"{psutil.Process().memory_info().rss / 2**20:,.0f} MB")
        self.status["device"].setText(f"{session.experiment.device} · {session.experiment.dtype}")

    def _show_state(self, state: str) -> None:
        session = self.session
        self.title.setText(session.experiment.title)
        words = {"empty": "", "loading": "loading the data…", "ready": "ready: Space starts", "running": ""}
        self.state_label.setText(words.get(state, state))
        running = state == "running"
        race = self.race_actions["race"]
        race.setText("Pause" if running else "Race")
        self.buttons["race"].setText("Pause" if running else "Race")
        live = session.race is not None and bool(session.race.live)
        able = {
            "race": live and state != "loading",
            "step": live and state not in ("running", "loading"),
            "stop": state in ("running", "paused") and live,
            "reset": state not in ("empty", "loading"),
        }
        for key, enabled in able.items():
            self.race_actions[key].setEnabled(enabled)
            self._enable(self.buttons[key], enabled)
        colour = session.theme.on_accent if race.isEnabled() else session.theme.muted
        self.buttons["race"].setIcon(themes.icon("pause" if running else "play", colour))
        self.export_action.setEnabled(bool(session.runs))
        if state != "running":
            self.table.pull()

    def _enable(self, button: QPushButton, enabled: bool) -> None:
        """Keep the keyboard focus for a button that goes out of use: Qt would give it to the next one, and whoever
        steps with the space bar would stop or reset."""
        if not enabled and self.focusWidget() is button:
            self._unused = button
            self.setFocus()
        button.setEnabled(enabled)
        if enabled and self._unused is button:
            self._unused = None
            if self.focusWidget() is self:
                button.setFocus()

    def _dress(self) -> None:
        self._apply_theme()
        self._show_icons()

    def _apply_theme(self) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        themes.apply(self.session.theme, application)

    def _show_icons(self) -> None:
        theme = self.session.theme
        for key, name in (("step", "step"), ("stop", "stop"), ("reset", "reset")):
            self.buttons[key].setIcon(themes.icon(name, theme.text))
        self._show_state(self.session.state)

    # What a person asks for.

    def event(self, event: QEvent) -> bool:
        """The space bar presses what has the keyboard focus, where that can be pressed; elsewhere it is the race's."""
        pressed = event.type() == QEvent.Type.ShortcutOverride and isinstance(self.focusWidget(), _PRESSED)
        if pressed and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space:
            event.accept()
            return True
        return super().event(event)

    def stop(self) -> None:
        """Stop the race, and say so where that has to wait for the step in progress."""
        self.session.racer.stop()
        self._explain.start()

    def _explain_stop(self) -> None:
        if self.session.racer.stopping:
            self.state_label.setText("stopping after this step…")

    def switch_theme(self) -> None:
        self.session.set_theme(themes.LIGHT if self.session.theme is themes.DARK else themes.DARK)

    def open_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open experiment", str(self._folder), "Experiments (*.toml)")
        if name:
            self._folder = Path(name).parent
            self.open_experiment(Path(name))

    def open_experiment(self, path: Path) -> None:
        """Open an experiment file; what is wrong with it is said in a notice, and the present one stays."""
        try:
            experiment = experiments.read(path)
            experiment.check()
        except SettingError as error:
            self.session.noticed.emit(Notice(str(error)))
            return
        self.session.open_experiment(experiment)

    def save_file(self) -> None:
        name = self._new_file("Save experiment", "experiment.toml", "Experiments (*.toml)")
        if not name:
            return
        try:
            experiments.write(self.session.experiment, name)
        except OSError as error:
            self.session.noticed.emit(Notice(str(error)))

    def export_csv(self) -> None:
        name = self._new_file("Export CSV", "runs.csv", "CSV (*.csv)")
        if name:
            self.session.export_csv(name)

    def _new_file(self, title: str, usual: str, kinds: str) -> str:
        """Ask for a file to write, in the folder of the last one; empty where the person thinks better of it."""
        name, _ = QFileDialog.getSaveFileName(self, title, str(self._folder / usual), kinds)
        if name:
            self._folder = Path(name).parent
        return name

    def about(self) -> None:
        QMessageBox.about(
            self,
            "About NG Explorer",
            f"<b>NG Explorer {__version__}</b><p>A laboratory for second-order optimization, after J. Martens, "
            "“New insights and perspectives on the natural gradient method”, JMLR 21:146, 2020.</p><p>MIT licence.</p>",
        )

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop both threads and wait for them; where that takes long, say what for."""
        self._timer.stop()
        self.session.close()
        if not self.session.wait(200):
            self.state_label.setText("closing after this step…")
            self.state_label.repaint()
            self.session.wait()
        event.accept()


def _split(orientation: Qt.Orientation, *widgets: QWidget, sizes: tuple[int, ...]) -> QSplitter:
    splitter = QSplitter(orientation)
    splitter.setHandleWidth(themes.GRID)
    splitter.setChildrenCollapsible(False)
    for widget in widgets:
        splitter.addWidget(widget)
    splitter.setSizes(list(sizes))
    return splitter

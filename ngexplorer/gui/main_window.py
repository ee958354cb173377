"""The main window: panels around a grid of plots, every action in reach, one pull timer for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ngexplorer import __version__, resource_files
from ngexplorer.gui import theme as themes
from ngexplorer.gui.actions import Actions
from ngexplorer.gui.document import Document, dropped
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.guide import Guide
from ngexplorer.gui.layout import Arrangement, Panel
from ngexplorer.gui.opening import LEAST, sized
from ngexplorer.gui.palette import Palette
from ngexplorer.gui.panels.comparison import Comparison
from ngexplorer.gui.panels.export import Export
from ngexplorer.gui.panels.notices import Notices
from ngexplorer.gui.panels.runs_table import RunsTable, Target
from ngexplorer.gui.panels.setup import SetupPanel
from ngexplorer.gui.panels.step_anatomy import StepAnatomy
from ngexplorer.gui.panels.timeline import Timeline
from ngexplorer.gui.panels.tour import TourPanel
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.function import FunctionView
from ngexplorer.gui.plots.instruments import InstrumentsView
from ngexplorer.gui.plots.local_model import LocalModelView
from ngexplorer.gui.plots.matrices import MatricesView
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.gui.plots.stage import Stage
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.gui.plots.view import View
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.presenter import Presenter
from ngexplorer.gui.report import report
from ngexplorer.gui.session import Group, Notice, Session, Shown
from ngexplorer.gui.status import Status
from ngexplorer.gui.undo import Undo
from ngexplorer.optimizers.catalog import recipes
from ngexplorer.runs import experiment as experiments

_FRAME = 33
"""Milliseconds between two pulls."""
_SLOW, _TIMELINE = 0.25, 0.1
"""Seconds between two looks at the table's and the status bar's numbers, and at how far the runs are."""
_ANSWER = 100
"""Milliseconds after which an unanswered stop is explained."""

_LOW = 800
"""Pixels: in a window that is not as high everything stands closer together."""
_NARROW = 1200
"""Pixels: a window that is not as wide leaves the program's name to its frame, and the room to the experiment's."""
_SETUP_WIDTH = 312
"""Pixels: with less the names of the set-up cannot be read."""

_PRESSED = (QAbstractButton, QComboBox)


class MainWindow(QMainWindow):
    """The window around one session."""

    def __init__(self, session: Session, preferences: Preferences | None = None, path: Path | None = None) -> None:
        super().__init__()
        self.session = session
        self.preferences = preferences or Preferences()
        self._apply_theme()  # before there are widgets to dress again
        self.setWindowIcon(themes.icon("ngexplorer", "", 64))
        self.setMinimumSize(LEAST)
        sized(self)
        # A click where there is nothing to type leaves the editor, and the keys are the window's again.
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAcceptDrops(True)
        self.setFocus()

        self.setup = SetupPanel(session)
        self.setup.setMinimumWidth(_SETUP_WIDTH)
        self.trajectory = TrajectoryView(session)
        self.curves = CurvesView(session)
        self.spectrum = SpectrumView(session)
        self.timeline = Timeline(session)
        self.timeline.told.connect(self._tell)
        self.table = RunsTable(session)
        self.target = Target(self.table)
        self.notices = Notices(session)
        self.anatomy = StepAnatomy(session)
        self.tour = TourPanel(session, self.preferences)
        self.local_model = LocalModelView(session)
        self.matrices = MatricesView(session)
        self.function = FunctionView(session)
        self.instruments = InstrumentsView(session)
        self.views: list[View] = [
            self.trajectory,
            self.curves,
            self.spectrum,
            SpectrumTimeView(session),
            self.local_model,
            self.matrices,
            self.function,
            self.instruments,
        ]
        self.stage = Stage(self.views, (self.anatomy.pull, self._pull_timeline, self._pull_numbers))
        self.document = Document(session, self.preferences, self, path)
        self.undo = Undo(session)
        self._unused: QPushButton | None = None
        """The button that had the keyboard focus when it went out of use."""
        self._slow_at = self._timeline_at = 0.0

        self._make_actions()
        self.setMenuWidget(self._header())
        explanations = [
            Panel("step anatomy", "Step anatomy", self.anatomy),
            Panel("tour", "Tour", self.tour, self.tour.head, asked_for=True),
        ]
        self.arrangement = Arrangement(self, self.setup, self.views, explanations, self._timeline_head(), self.table)
        self.presenter = Presenter(self)
        self.guide = Guide(self)
        self._list_panels()
        self.status = Status(session, self.statusBar())
        for key in ("duplicate", "settings", "alike", "copy-table"):
            self.table.addAction(self.actions_[key])
        self._allow_comparing()

        session.state_changed.connect(self._show_state)
        session.shown_changed.connect(self._allow_comparing)
        session.race_changed.connect(self._allow_comparing)
        # Methods of a widget, which end with it; a lambda would outlive the window.
        session.race_changed.connect(self._show_race)
        session.experiment_changed.connect(self._share)
        session.theme_changed.connect(self._dress)
        self.document.changed.connect(self._show_document)
        self.undo.changed.connect(self._show_undo)
        self._explain = QTimer(self, singleShot=True, interval=_ANSWER)
        self._explain.timeout.connect(self._explain_stop)
        self._timer = QTimer(self, interval=_FRAME)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.stage.frame)
        self._timer.start()
        self._dress()
        self._show_document()
        self._show_undo()
        self.arrangement.restore(self.preferences)

    # Layout.

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        low = event.size().height() < _LOW
        self.notices.settle(self, self._around_header, low)
        margin = themes.GRID // 2 if low else themes.GRID
        self._around_header.setContentsMargins(0, margin, 0, margin)
        self._name.setVisible(event.size().width() >= _NARROW)
        self.arrangement.tighten(low)
        QTimer.singleShot(0, self, self.arrangement.share)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        QTimer.singleShot(0, self, self.arrangement.settle)

    def _timeline_head(self) -> QWidget:
        """The timeline, and beside it the loss that the table below times runs to."""
        head = QWidget()
        row = QHBoxLayout(head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 * themes.GRID)
        row.addWidget(self.timeline, 1)
        row.addWidget(self.target)
        return head

    def _header(self) -> QWidget:
        self.title = Elided()
        self.title.setObjectName("muted")
        self.state_label = QLabel()
        self.state_label.setObjectName("muted")
        row = QHBoxLayout()
        row.setSpacing(themes.GRID)
        self._name = QLabel("NG Explorer")
        self._name.setObjectName("application")
        row.addWidget(self._name)
        # The menus stand in the header's row, to leave the height to the plots.
        self.actions_.menus.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row.addWidget(self.menus)
        row.addWidget(self.title, 1)
        row.addWidget(self.state_label)
        self.buttons: dict[str, QPushButton] = {}
        for key, action in self.race_actions.items():
            button = QPushButton(action.text().replace("&", ""))
            button.setToolTip(f"{action.toolTip()} ({action.shortcut().toString()})")
            button.setAccessibleName(button.text())
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(action.trigger)
            self.buttons[key] = button
            row.addWidget(button)
        self.buttons["race"].setObjectName("primary")
        self.buttons["race"].setMinimumWidth(88)
        header = QWidget()
        layout = self._around_header = QVBoxLayout(header)
        layout.setSpacing(themes.GRID)
        layout.addLayout(row)
        layout.addWidget(self.notices)
        return header

    def _make_actions(self) -> None:
        session = self.session
        self.actions_ = Actions(
            self,
            {
                "open": self.open_file,
                "save": self.document.save,
                "save-as": self.document.save_as,
                "export": self.export_csv,
                "quit": self.close,
                "undo": self.undo.undo,
                "redo": self.undo.redo,
                "add": lambda: self.setup.add.showMenu(),
                "palette": self.find_action,
                "race": session.toggle,
                "step": session.step,
                "stop": self.stop,
                "reset": session.reset,
                "live": lambda: session.set_time(None),
                "play-back": self.timeline.play_back,
                "previous-event": lambda: self.timeline.jump(-1),
                "next-event": lambda: self.timeline.jump(1),
                "duplicate": self.duplicate,
                "settings": self.compare_settings,
                "alike": lambda: session.highlight([]),
                "target": self.target.take_focus,
                "copy-table": self.copy_table,
                "grid": lambda: self.arrangement.plots.arrange("grid"),
                "row": lambda: self.arrangement.plots.arrange("row"),
                "tabs": lambda: self.arrangement.plots.arrange("tabs"),
                "reset-layout": self.reset_layout,
                "next-panel": lambda: self._to_panel(1),
                "previous-panel": lambda: self._to_panel(-1),
                "presenter": lambda: self.presenter.toggle(),
                "next-plot": lambda: self.presenter.next(),
                "system": lambda: self.choose_appearance("system"),
                "dark": lambda: self.choose_appearance("dark"),
                "light": lambda: self.choose_appearance("light"),
                "switch-theme": self.switch_theme,
                "start": lambda: self.guide.start.open(),
                "tour": lambda: self.guide.go_on(),
                "next-stop": lambda: self.guide.next(),
                "previous-stop": lambda: self.guide.previous(),
                "report": self.copy_report,
                "about": self.about,
            },
        )
        self.menus = self.actions_.menus
        self.menus.setAccessibleName("Menus")
        self.race_actions = {key: self.actions_[key] for key in ("race", "step", "stop", "reset")}
        self.export_action = self.actions_["export"]
        first = self.actions_["save"]
        file = self.actions_.menu["File"]
        shipped = file.addMenu("E&xamples")
        self.recent = file.addMenu("&Recent files")
        for menu in (shipped, self.recent):
            file.insertMenu(first, menu)
        file.insertSeparator(first)
        for name in resource_files.experiment_names():
            path = resource_files.EXPERIMENTS / f"{name}.toml"
            action = shipped.addAction(experiments.read(path).title)
            action.triggered.connect(lambda _=False, path=path: self.open_experiment(path))
            self.actions_.take(
                f"example-{name}", action, "Example", "Open this experiment, which came with the program"
            )
        for name, (title, _) in recipes().items():
            action = QAction(title, self)
            action.triggered.connect(lambda _=False, name=name: self.setup.add_optimizer(name))
            self.actions_.take(f"add-{name}", action, "Add optimizer", "Put it into the race")

        for key, action, group, tip in self.trajectory.offered:
            self.actions_.take(key, action, group, tip)
        known = {action for _, action in self.actions_.listed()}
        for view in self.views:
            for action in view.entries_of_menu:
                if action not in known:
                    title = view.title.text()
                    self.actions_.take(f"{title}: {action.text()}", action, title, action.toolTip())

    def _list_panels(self) -> None:
        """Every panel in the View menu, to close it and open it again."""
        menu = self.actions_.menu["View"]
        panels = menu.addMenu("&Panels")
        menu.insertMenu(self.actions_["grid"], panels)
        for i, panel in enumerate(self.arrangement.panels):
            action = panel.toggleViewAction()
            if i < 9:  # one digit a panel
                action.setShortcut(f"Ctrl+{i + 1}")
            panels.addAction(action)
            self.actions_.take(f"panel-{panel.objectName()}", action, "Panel", "Open or close this panel")

    def _list_recent(self) -> None:
        for key in [key for key in self.actions_.keys if key.startswith("recent-")]:
            self.actions_.drop(key)
        self.recent.clear()
        for path in self.preferences.recent:
            action = self.recent.addAction(path.name)
            action.triggered.connect(lambda _=False, path=path: self.open_experiment(path))
            self.actions_.take(f"recent-{path}", action, "Recent file", str(path))
        self.recent.setEnabled(not self.recent.isEmpty())

    # Pulling.

    def _pull_timeline(self) -> None:
        now = monotonic()
        if now - self._timeline_at > _TIMELINE:
            self._timeline_at = now
            self.timeline.pull()

    def _pull_numbers(self) -> None:
        self.status.took(self.stage.seconds)
        now = monotonic()
        if now - self._slow_at > _SLOW:
            self._slow_at = now
            self.timeline.look()
            self.table.pull()
            self.status.look()

    def settle(self) -> None:
        """Draw everything as it now is, whatever the budget."""
        for view in self.views:
            view.pull()
        self.timeline.look()
        self.anatomy.pull()
        self.table.pull()
        self.status.look()

    def _show_race(self) -> None:
        self._show_state(self.session.state)
        self._share()

    def _share(self) -> None:
        self.arrangement.share()

    def _show_state(self, state: str) -> None:
        session = self.session
        words = {"empty": "", "loading": "loading…", "ready": "Space starts", "running": ""}
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
        why = {"loading": "The data are being loaded", "empty": "No race is loaded"}.get(state, "")
        reasons = {
            "race": why or "No run can take another step; Reset starts over",
            "step": why or ("The race is on" if running else "No run can take another step; Reset starts over"),
            "stop": why or "Nothing is running",
            "reset": why,
        }
        for key, enabled in able.items():
            self.actions_.allow(key, "" if enabled else reasons[key])
            self._enable(self.buttons[key], enabled)
        colour = session.theme.on_accent if race.isEnabled() else session.theme.muted
        self.buttons["race"].setIcon(themes.icon("pause" if running else "play", colour))
        self.actions_.allow("export", "" if session.runs else "There is no run to export yet")
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
        theme = self.session.theme
        self.actions_.dress(theme)
        self.arrangement.dress(theme)
        for key, name in (("step", "step"), ("stop", "stop"), ("reset", "reset")):
            self.buttons[key].setIcon(themes.icon(name, theme.text))
        self.actions_[self.preferences.appearance].setChecked(True)
        self._show_state(self.session.state)

    def _apply_theme(self) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        themes.apply(self.session.theme, application)

    def _show_document(self) -> None:
        """The experiment's title, the file it is in, and whether that has all changes."""
        path, title = self.document.path, self.session.experiment.title
        name = title if path is None else f"{title} · {path.name}"
        self.title.setText(f"{name} •" if self.document.modified else name)
        self.title.setToolTip(str(path or "") + ("\nThere are changes that are not saved" * self.document.modified))
        self.setWindowTitle(f"{name}[*] – NG Explorer")
        self.setWindowModified(self.document.modified)
        saved = not self.document.modified and path is not None
        self.actions_.allow("save", "All changes are saved" if saved else "")
        self._list_recent()

    def _show_undo(self) -> None:
        for key, word, what in (("undo", "&Undo", self.undo.undone), ("redo", "&Redo", self.undo.redone)):
            self.actions_[key].setText(f"{word}: {what}" if what else word)
            self.actions_.allow(key, "" if what else f"Nothing to {key}")

    # What a person asks for.

    def event(self, event: QEvent) -> bool:
        """The space bar presses what has the keyboard focus, where that can be pressed; elsewhere it is the race's."""
        pressed = event.type() == QEvent.Type.ShortcutOverride and isinstance(self.focusWidget(), _PRESSED)
        if pressed and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Space:
            event.accept()
            return True
        done = super().event(event)
        if event.type() == QEvent.Type.MouseButtonRelease:
            self.arrangement.released()
        elif event.type() == QEvent.Type.LayoutRequest and self.isVisible():
            self.arrangement.share()
        return done

    def stop(self) -> None:
        """Stop the race, and say so where that has to wait for the step in progress."""
        self.session.racer.stop()
        self._explain.start()

    def _explain_stop(self) -> None:
        if self.session.racer.stopping:
            self.state_label.setText("stopping after this step…")

    def find_action(self) -> None:
        """Open the command palette."""
        palette = Palette(self.actions_, self)
        palette.finished.connect(palette.deleteLater)
        palette.open()

    def reset_layout(self) -> None:
        """Every panel back to where it was at first, and out of presenter mode."""
        self.presenter.leave()
        self.arrangement.reset()

    def _to_panel(self, by: int) -> None:
        panel = self.arrangement.next(self.focusWidget(), by)
        if panel is not None:
            panel.take_focus()

    def choose_appearance(self, name: str) -> None:
        """ "system", "dark" or "light", remembered."""
        self.preferences.appearance = name
        self.actions_[name].setChecked(True)
        self.session.set_theme(themes.chosen(name))

    def follow_system(self) -> None:
        """The desktop has changed between dark and light."""
        if self.preferences.appearance == "system":
            self.session.set_theme(themes.system_theme())

    def switch_theme(self) -> None:
        self.choose_appearance("light" if self.session.theme is themes.DARK else "dark")

    def open_file(self) -> None:
        self.document.ask_and_open()

    def open_experiment(self, path: Path) -> None:
        """Open an experiment file; what is wrong with it is said in a notice, and the present one stays."""
        self.document.open(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the experiment file that is dropped; say why where it is none."""
        event.acceptProposedAction()
        path, why_not = dropped([Path(url.toLocalFile()) for url in event.mimeData().urls()])
        if path is None:
            self.session.noticed.emit(Notice(why_not))
        else:
            self.open_experiment(path)

    def export_csv(self) -> None:
        """Ask what to export, then where to."""
        dialog = Export(self.session, self.curves.visible_steps, self._export, self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _export(self, runs: list[Shown], columns: Sequence[str], steps: tuple[int, int] | None) -> None:
        name = self.document.new_file("Export CSV", "runs.csv", "CSV (*.csv)")
        if name:
            self.session.export_csv(name, runs, columns, steps)

    # Comparing.

    @property
    def _compared(self) -> list[Group]:
        """The optimizers that stand out, with all or some of their seeds."""
        chosen = self.session.highlighted
        return [family for family in self.session.families if any(s.number in chosen for s in family.members)]

    def _allow_comparing(self) -> None:
        chosen = len(self._compared)
        where = "click on {} in the runs table, or with Ctrl in the legend"
        self.actions_.allow("alike", "" if chosen else "No run is highlighted")
        self.actions_.allow("duplicate", "" if chosen == 1 else "Highlight one run: " + where.format("it"))
        self.actions_.allow("settings", "" if chosen == 2 else "Highlight two runs: " + where.format("both (Ctrl)"))

    def duplicate(self) -> None:
        """Put a copy of the optimizer that stands out beside it, open to be changed."""
        (family,) = self._compared
        self.arrangement.setup.show()
        self.setup.duplicate(family.members[0].contender)

    def compare_settings(self) -> None:
        """Show in what the two optimizers that stand out differ."""
        first, second = self._compared
        dialog = Comparison(first, second, self.session, self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def copy_table(self) -> None:
        self.table.copy()
        self.session.noticed.emit(Notice("The table is on the clipboard", error=False))

    def _tell(self, what: str) -> None:
        self.statusBar().showMessage(what)

    def copy_report(self) -> None:
        """Put the report on the clipboard."""
        QGuiApplication.clipboard().setText(report(self.session))
        self.session.noticed.emit(Notice("The report is on the clipboard", error=False))

    def about(self) -> None:
        QMessageBox.about(
            self,
            "About NG Explorer",
            f"<b>NG Explorer {__version__}</b><p>A laboratory for second-order optimization, after J. Martens, "
            "“New insights and perspectives on the natural gradient method”, JMLR 21:146, 2020.</p><p>MIT licence.</p>",
        )

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about changes that would be lost; then stop both threads and wait for them, and where that takes long,
        say what for."""
        if not self.document.may_go():
            event.ignore()
            return
        self.presenter.leave()
        self.arrangement.save(self.preferences)
        self._timer.stop()
        self.session.close()
        if not self.session.wait(200):
            self.state_label.setText("closing after this step…")
            self.state_label.repaint()
            self.session.wait()
        event.accept()

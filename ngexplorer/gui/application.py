"""Starting the application, with a window on the screen or rendered to a picture.

What computes is imported by the functions that need it: behind the first picture, not before it.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from ngexplorer.gui import theme as themes
from ngexplorer.gui.apart import Process
from ngexplorer.gui.cycles import collected_here
from ngexplorer.gui.opening import Opening
from ngexplorer.gui.preferences import Preferences, usual_path

if TYPE_CHECKING:
    from ngexplorer.gui.main_window import MainWindow
    from ngexplorer.gui.session import Session
    from ngexplorer.runs.experiment import Experiment
    from ngexplorer.tour import Stop

# With Python's 5 ms a loop of short torch calls keeps the window waiting: frames late by 70 ms at the 99th percentile.
_SWITCH_INTERVAL = 1e-4


def prepare(instead: str = "") -> QApplication:
    """The one QApplication, with fonts and the interpreter's settings that a live window needs. `instead`: what to do
    where there is no display."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    application = QApplication.instance() or _started(instead)
    assert isinstance(application, QApplication)
    application.setApplicationName("ngexplorer")
    application.setApplicationDisplayName("NG Explorer")
    themes.load_fonts()
    return application


def keep_what_is_imported() -> None:
    """Spare the collector of cycles the modules: going through all of torch holds up the window and the runs for
    0.1 s, each time it comes around."""
    gc.freeze()


def _started(instead: str) -> QApplication:
    """A new QApplication. Where Qt cannot open a window it would abort with a paragraph: one line and status 2."""
    said: list[str] = []

    def hear(kind: QtMsgType, _: object, text: str) -> None:
        said.append(" ".join(text.split()))
        if kind == QtMsgType.QtFatalMsg:
            reason = "; ".join(one.removeprefix("qt.qpa.plugin: ").rstrip(".") for one in said[:-1] or said)
            hint = f"; {instead}" if instead else ""
            sys.stderr.write(f"ngexplorer: the window cannot be opened: {reason}{hint}\n")
            sys.stderr.flush()
            os._exit(2)

    before = qInstallMessageHandler(hear)
    application = QApplication(sys.argv[:1])
    qInstallMessageHandler(before)
    for text in said:
        sys.stderr.write(f"{text}\n")
    return application


def explore(path: Path, *, chosen: bool = True) -> int:
    """Open the window on an experiment; returns when it is closed. Where a person has not chosen it and is here for the
    first time, the start page lies over the plots. Raises SettingError for a file that cannot be."""

    def read() -> Experiment:
        from ngexplorer.runs import experiment as experiments

        return experiments.read(path)

    return _open(read, path, lambda window: None if chosen else _welcome(window))


def take_tour(number: int, stop: Stop) -> int:
    """Open the window at a stop of the tour, by its number; returns when it is closed. Raises SettingError."""
    instead = f"`ngexplorer tour {number} --text` prints the page, `ngexplorer verify {number}` checks it"
    return _open(stop.experiment, None, lambda window: window.guide.show(number), instead)


def _welcome(window: MainWindow) -> None:
    if not window.preferences.started:
        window.guide.start.open()


def _open(
    read: Callable[[], Experiment], path: Path | None, prepared: Callable[[MainWindow], None], instead: str = ""
) -> int:
    """Open the window on what `read` returns, do something with it before its race is loaded, and return when it is
    closed."""
    application = prepare(instead)
    preferences = Preferences(usual_path())
    theme = themes.chosen(preferences.appearance)
    themes.apply(theme, application)
    opening = Opening(preferences, theme)
    steps = Process()  # which imports what computes beside this one
    if not opening.wait():
        steps.end()
        return 0
    from ngexplorer.gui.main_window import MainWindow
    from ngexplorer.gui.session import Session

    keep_what_is_imported()
    experiment = read()
    experiment.check()
    session = Session(experiment, theme, steps)
    window = MainWindow(session, preferences, path)
    application.styleHints().colorSchemeChanged.connect(lambda _: window.follow_system())
    report_exceptions(session)
    window.show()
    application.processEvents()  # the panels settle before any of them is brought to the front
    prepared(window)
    preferences.remember_start()
    opening.close()
    with collected_here(lambda: session.state == "running"):
        session.open()
        status = application.exec()
    _take_down(window)
    return status


def shot(experiment: Experiment, path: Path, *, size: tuple[int, int], theme: str, stop: int = 0) -> None:
    """Render the window to a PNG once the experiment has run, whatever the screen; with the page and the layout of the
    tour's stop of that number, if it is one's. Raises OSError, and whatever kept the experiment from loading:
    SettingError for a setting that cannot be."""
    from ngexplorer.gui.main_window import MainWindow
    from ngexplorer.gui.session import Session
    from ngexplorer.runs.files import require_writable

    require_writable(path)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = prepare()
    session = Session(experiment, themes.LIGHT if theme == "light" else themes.DARK)
    window = MainWindow(session)
    window.resize(*size)
    window.show()
    if stop:
        application.processEvents()  # the panels settle before any of them is brought to the front
        window.guide.show(stop)
    failed: list[Exception] = []
    session.racer.load_failed.connect(lambda _, error: failed.append(error))
    with collected_here():
        session.open()
        session.racer.begin()
        asking = [view for view in (window.trajectory, window.local_model) if view.seen]
        _wait(
            lambda: (
                bool(failed)
                or (session.state == "finished" and all(view.settled for view in asking) and window.tour.settled)
            )
        )
        application.processEvents()  # the last answers are under way
        window.settle()
        picture = window.grab()
        window.close()
    _take_down(window)
    if failed:
        raise failed[0]
    # Qt chooses the format by the name, so the unfinished file has to end the same way.
    unfinished = path.with_name(f".{path.stem}.part{path.suffix}")
    if not picture.save(str(unfinished)):
        unfinished.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}: a picture's name has to end in .png")
    os.replace(unfinished, path)


def _take_down(window: MainWindow) -> None:
    """Delete the window while Qt is whole: at the interpreter's exit its scenes would go in no order, and crash."""
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def _wait(done: Callable[[], bool]) -> None:
    """Let events happen until `done`, asking now and then; asleep in between, so that the threads get on."""
    loop = QEventLoop()
    timer = QTimer(interval=20)
    timer.timeout.connect(lambda: done() and loop.quit())
    timer.start()
    loop.exec()


def report_exceptions(session: Session) -> None:
    """Show what no one caught, in the window and on stderr: PySide6 swallows what a slot raises."""

    def show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        print(text, file=sys.stderr)
        from ngexplorer.gui.session import Notice

        session.noticed.emit(Notice(f"{kind.__name__}: {error}", text))

    sys.excepthook = show
    threading.excepthook = lambda args: show(args.exc_type, args.exc_value, args.exc_traceback)

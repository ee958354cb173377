"""What only a screen with a window manager can show, in a process of its own: frames, docking, resizing, the clipboard,
files dragged in from elsewhere, and how many dots a pixel has. The mouse and the keys are the X server's.

`test_desktop.py` starts it there; each line it prints is one thing that was seen to be so.
"""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PySide6.QtCore import QDeadlineTimer, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QSizeGrip

from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Field
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.opening import LEAST
from ngexplorer.gui.session import Session
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Contender, Experiment

PATIENCE = 60_000
"""Milliseconds."""

PASTE = """
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
image = QGuiApplication.clipboard().image()
print(f"{image.width()}x{image.height()}" if not image.isNull() else QGuiApplication.clipboard().text())
"""
COPY = """
import sys
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
QGuiApplication.clipboard().setText(sys.argv[1])
print("copied", flush=True)
application.exec()
"""
FOLDER = """
import sys
from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication, QLabel

class File(QLabel):
    def mouseMoveEvent(self, event):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(sys.argv[1])])
        drag = QDrag(self)
        drag.setMimeData(data)
        drag.exec(Qt.DropAction.CopyAction)

application = QApplication([])
file = File("a file")
file.setWindowFlags(Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint)
file.setGeometry(0, 0, 120, 60)
file.show()
QTimer.singleShot(500, lambda: print("shown", flush=True))
application.exec()
"""


def until(fact, what):
    deadline = QDeadlineTimer(PATIENCE)
    while not fact():
        assert not deadline.hasExpired(), what
        QTest.qWait(20)


def rests():
    """Give the window manager and Qt a moment."""
    QTest.qWait(250)


def finished(process, what):
    """Wait for another program, and go on answering it meanwhile."""
    until(lambda: process.poll() is not None, what)
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    return said.strip()


def python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def another_program(code, *arguments):
    """Something else on the screen, from when it says a word."""
    process = python(code, *arguments)
    try:
        assert process.stdout.readline(), process.stderr.read()
        yield
    finally:
        process.kill()
        process.communicate()


def hand(*words):
    """What a person's hand does: the words of xdotool."""
    command = ["xdotool", *map(str, words)]
    finished(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), f"{words} is done")


def dots(point):
    """Where on the screen a point of Qt's is."""
    ratio = QGuiApplication.primaryScreen().devicePixelRatio()
    return [round(ratio * point.x()), round(ratio * point.y())]


def drags(start, end):
    """Press, move bit by bit, and let go; points of the whole screen."""
    words = ["mousemove", *dots(start), "sleep", 0.1, "mousedown", 1]
    for i in range(1, 13):
        words += ["sleep", 0.03, "mousemove", *dots(start + (end - start) * i / 12)]
    hand(*words, "sleep", 0.8, "mouseup", 1)
    rests()


def resizes(window, width, height):
    window.resize(width, height)
    until(lambda: (window.width(), window.height()) == (width, height), "resized")
    rests()


def centre(widget):
    return widget.mapToGlobal(widget.rect().center())


def grip(panel):
    """A place of a panel's head where there is nothing to press."""
    return panel.titleBarWidget().mapToGlobal(QPoint(6, 5))


def frames(window):
    until(lambda: window.frameGeometry().height() > window.geometry().height() + 8, "a title bar")


def resizing(window):
    window.showMaximized()
    screen = window.screen().availableGeometry()
    until(lambda: window.width() >= screen.width() - 10 and window.isMaximized(), "it fills the screen")
    plots = window.arrangement.plots
    wide = plots.width()
    window.showNormal()
    until(lambda: window.width() < screen.width() - 100 and plots.width() < wide, "and back, the plots with it")
    rests()

    before = window.size()
    drags(window.frameGeometry().bottomRight() - QPoint(2, 2), window.frameGeometry().bottomRight() + QPoint(40, 30))
    until(lambda: window.width() > before.width() + 20 and window.height() > before.height() + 10, "a corner is drawn")
    drags(window.frameGeometry().bottomRight() - QPoint(2, 2), window.frameGeometry().topLeft() + QPoint(300, 300))
    until(lambda: window.width() < before.width(), "and pushed in")
    assert (window.width(), window.height()) == (LEAST.width(), LEAST.height()), "no further than all can be read"
    assert not window.findChildren(QSizeGrip)

    resizes(window, 1480, 760)
    setup = window.arrangement.setup
    boundary = setup.mapToGlobal(QPoint(setup.width() + 3, setup.height() // 2))
    before = setup.width()
    drags(boundary, boundary + QPoint(60, 0))
    until(lambda: setup.width() > before + 40, "a boundary between panels is drawn")
    drags(setup.mapToGlobal(QPoint(setup.width() + 3, setup.height() // 2)), boundary)
    until(lambda: abs(setup.width() - before) < 8, "and back")


def docking(window):
    plots = window.arrangement.plots
    trajectory, curves = plots.panels[:2]
    outside = window.frameGeometry().topRight() + QPoint(60, 120)
    drags(grip(curves), outside)
    until(lambda: curves.isFloating() and curves.isVisible(), "drawn out of the window it is a window")
    assert curves.isWindow() and not window.frameGeometry().contains(grip(curves))

    drags(grip(curves), centre(trajectory))
    until(lambda: not curves.isFloating(), "drawn back in it is a panel")
    assert trajectory in plots.tabifiedDockWidgets(curves), "over another one: a tab of it"
    until(lambda: not curves.visibleRegion().isEmpty(), "and in front")

    drags(grip(curves), outside)
    until(curves.isFloating, "drawn out again")
    right = trajectory.mapToGlobal(QPoint(trajectory.width() - 12, trajectory.height() // 2))
    drags(grip(curves), right)
    until(lambda: not curves.isFloating(), "drawn to an edge it is a panel")
    assert trajectory not in plots.tabifiedDockWidgets(curves)
    until(lambda: not trajectory.visibleRegion().isEmpty(), "the other one is seen too")
    assert curves.x() >= trajectory.x() + trajectory.width(), "beside it"

    inside = curves.geometry()
    hand("mousemove", *dots(grip(curves)), "click", "--repeat", 2, "--delay", 60, 1)
    until(curves.isFloating, "a double click detaches a panel")
    rests()
    hand("mousemove", *dots(grip(curves)), "click", "--repeat", 2, "--delay", 60, 1)
    until(lambda: not curves.isFloating(), "another one puts it back")
    until(lambda: (curves.geometry().topLeft() - inside.topLeft()).manhattanLength() < 60, "to where it was")
    window.actions_["reset-layout"].trigger()
    rests()


def clipboard(window):
    window.activateWindow()
    until(window.isActiveWindow, "the window is active again")
    hand("key", "ctrl+shift+c")
    until(window.notices.strips, "a word that it was copied")
    # The text is asked of this process by the other one, so it has to go on meanwhile.
    pasted = finished(python(PASTE), "another program pastes the table")
    assert pasted.startswith("Run\tState\tStep\tLoss") and "\nNewton\tfinished\t5\t" in pasted, pasted

    window.curves.copy()
    width, height = map(int, finished(python(PASTE), "another program pastes a plot").split("x"))
    assert width >= 3 * window.curves.frame.width() and height > width / 8, "at the size of print"

    (field,) = (f for f in window.setup.findChildren(Field) if f.editor.accessibleName() == "Weight decay")
    with another_program(COPY, "0.25"):
        field.editor.setFocus()
        hand("key", "ctrl+a", "key", "ctrl+v", "key", "Return")
        until(lambda: window.session.experiment.weight_decay == 0.25, "what another program copied is pasted")


def dropping(window, path):
    window.document.forget_changes()
    experiments.write(window.session.experiment, path)
    path.write_text(path.read_text().replace("steps = 5", "steps = 77"))
    with another_program(FOLDER, path):
        drags(QPoint(40, 30), centre(window.trajectory))
        until(lambda: window.session.experiment.steps == 77, "a file that is dropped is opened")
    assert window.document.path == path
    until(lambda: window.session.state == "ready", "and loaded")


def every_dot(window, ratio):
    """All is drawn at every dot that the screen has: nothing is blown up."""
    assert window.devicePixelRatio() == ratio
    window.settle()
    hand("mousemove", 0, 0)
    rests()
    taken = window.screen().grabWindow(window.winId()).toImage().convertToFormat(QImage.Format.Format_RGB32)
    assert (taken.width(), taken.height()) == (ratio * window.width(), ratio * window.height())
    shades = np.frombuffer(taken.constBits(), np.uint8).reshape(taken.height(), taken.width(), 4)[..., :3].mean(2)
    blocks = shades.reshape(window.height(), ratio, window.width(), ratio)
    uneven = np.ptp(blocks, axis=(1, 3)) > 24
    across = np.abs(np.diff(shades, axis=1)) > 24
    assert across.mean() > 0.01, "there is something to see"
    assert ratio == 1 or uneven.mean() > 0.01, "text and lines are crisp"


def main(ratio, folder):
    qt = application.prepare()
    assert QGuiApplication.platformName() == "xcb"
    runs = tuple(Contender(optimizer=make(name)) for name in ("gradient-descent", "newton"))
    experiment = Experiment(
        title="A test", data=Rosenbrock(), model=LandscapeModel(), loss=SquaredError(), steps=5, runs=runs
    )
    themes.apply(themes.DARK, qt)
    window = MainWindow(Session(experiment, themes.DARK))
    window.resize(1100, 700)
    window.move(60, 60)
    window.show()
    window.session.open()
    until(lambda: window.session.state == "ready" and window.isActiveWindow(), "the window comes up")
    until(lambda: window.buttons["race"].isEnabled(), "there is something to race")
    hand("key", "space")
    until(lambda: window.session.state == "finished", "the race ends")

    frames(window)
    print("framed")
    every_dot(window, ratio)
    print("sharp")
    resizing(window)
    print("resized")
    docking(window)
    print("docked")
    clipboard(window)
    print("pasted")
    dropping(window, folder / "dropped.toml")
    print("dropped")

    window.document.forget_changes()
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    window.close()
    application._take_down(window)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

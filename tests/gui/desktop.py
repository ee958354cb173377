"""What only a screen with a window manager can show, in a process of its own: frames, docking, resizing, the clipboard.

`test_desktop.py` starts it there; each line it prints is one thing that was seen to be so.
"""

import subprocess
import sys

from PySide6.QtCore import QDeadlineTimer, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.session import Session
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender, Experiment

PATIENCE = 20_000
"""Milliseconds."""

PASTE = """
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
print(QGuiApplication.clipboard().text())
"""


def until(fact, what):
    deadline = QDeadlineTimer(PATIENCE)
    while not fact():
        assert not deadline.hasExpired(), what
        QTest.qWait(20)


def main():
    qt = application.prepare()
    assert QGuiApplication.platformName() == "xcb"
    runs = tuple(Contender(optimizer=make(name)) for name in ("gradient-descent", "newton"))
    experiment = Experiment(
        title="A test", data=Rosenbrock(), model=LandscapeModel(), loss=SquaredError(), steps=5, runs=runs
    )
    themes.apply(themes.DARK, qt)
    window = MainWindow(Session(experiment, themes.DARK))
    window.resize(1100, 700)
    window.show()
    window.session.open()
    until(lambda: window.session.state == "ready" and window.isActiveWindow(), "the window comes up")
    until(lambda: window.buttons["race"].isEnabled(), "there is something to race")
    QTest.keyClick(window, Qt.Key.Key_Space)
    until(lambda: window.session.state == "finished", "the race ends")

    until(lambda: window.frameGeometry().height() > window.geometry().height() + 8, "a title bar")
    print("framed")

    window.showMaximized()
    until(lambda: window.width() >= 1270 and window.isMaximized(), "it fills the screen")
    plots = window.arrangement.plots
    until(lambda: plots.width() > 900, "the plots grow with it")
    window.showNormal()
    until(lambda: window.width() < 1200, "and back")
    print("resized")

    panel = plots.panels[1]
    bar, inside = panel.titleBarWidget(), plots.panels[1].geometry()
    grip = QPoint(bar.width() // 2, 4)
    QTest.mouseDClick(bar, Qt.MouseButton.LeftButton, pos=grip)
    until(lambda: panel.isFloating() and panel.isVisible(), "a double click detaches a panel")
    assert panel.isWindow() and QTest.qWaitForWindowExposed(panel, PATIENCE)
    bar = panel.titleBarWidget()
    QTest.mouseDClick(bar, Qt.MouseButton.LeftButton, pos=grip)
    until(lambda: not panel.isFloating(), "another one puts it back")
    until(lambda: (panel.geometry().topLeft() - inside.topLeft()).manhattanLength() < 60, "to where it was")
    print("docked")

    window.activateWindow()
    until(window.isActiveWindow, "the window is active again")
    window.actions_["copy-table"].trigger()
    # The text is asked of this process by the other one, so it has to go on meanwhile.
    other = subprocess.Popen([sys.executable, "-c", PASTE], stdout=subprocess.PIPE, text=True)
    until(lambda: other.poll() is not None, "another program pastes")
    pasted = other.communicate()[0]
    assert pasted.startswith("Run\tState\tStep\tLoss") and "\nNewton\tfinished\t5\t" in pasted, pasted
    print("pasted")

    window.document.forget_changes()
    window.close()
    application._take_down(window)


if __name__ == "__main__":
    main()

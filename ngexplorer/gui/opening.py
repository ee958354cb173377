"""The first picture: an empty window, there within a second, while what computes is imported behind it."""

from __future__ import annotations

from importlib import import_module
from threading import Thread

from PySide6.QtCore import QEventLoop, QSize, Qt, QTimer
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.preferences import Preferences

USUAL, LEAST = QSize(1600, 1000), QSize(1024, 640)
"""A window's size where the screen has room for it, and the least, pixels."""
AROUND = QSize(16, 48)
"""Pixels that its frame and title bar take."""
_BEHIND = ("ngexplorer.runs.experiment", "ngexplorer.analysis")
"""Everything that takes long to import, torch foremost."""


def sized(window: QWidget) -> None:
    """Give a window its size, as far as the screen has room."""
    window.resize(USUAL.boundedTo(window.screen().availableGeometry().size() - AROUND).expandedTo(LEAST))


class Opening(QWidget):
    """As large as the window that will take its place, and where that was the last time."""

    def __init__(self, preferences: Preferences, theme: themes.Theme) -> None:
        super().__init__()
        self.setWindowTitle("NG Explorer")
        self.setWindowIcon(themes.icon("ngexplorer", "", 64))
        name, muted = QLabel("NG Explorer"), QLabel("Opening…")
        name.setObjectName("application")
        muted.setObjectName("muted")
        column = QVBoxLayout(self)
        column.addStretch(1)
        for label in (name, muted):
            column.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        self.setStyleSheet(f"Opening {{ background: {theme.window}; }}")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        sized(self)
        place = preferences.state("layout/window")
        if not place.isEmpty():
            self.restoreGeometry(place)

    def wait(self) -> bool:
        """Be there until all is imported; whether a person has not closed it meanwhile. Raises what went wrong."""
        errors: list[BaseException] = []

        def work() -> None:
            try:
                for name in _BEHIND:
                    import_module(name)
            except BaseException as error:
                errors.append(error)

        self.show()
        thread = Thread(target=work, name="imports")
        loop, look = QEventLoop(), QTimer(interval=10)
        look.timeout.connect(lambda: thread.is_alive() or loop.quit())
        # Painted first: an import holds the interpreter for long.
        QTimer.singleShot(0, self, thread.start)
        QTimer.singleShot(0, self, look.start)
        loop.exec()
        if thread.ident is not None:
            thread.join()
        if errors:
            raise errors[0]
        return self.isVisible()

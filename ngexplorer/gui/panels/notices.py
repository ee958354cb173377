"""Notices: a strip that says what happened, its details one click away."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.report import report
from ngexplorer.gui.session import Notice, Session

_MOST = 4
_FROM, _EACH = 720, 80
"""A window has room for one notice for every so many pixels by which it is higher than so many."""
_USUAL, _LOW = (12, 2, 6, 2), (12, 0, 6, 0)
"""Pixels left, above, right and below what a strip says: usually, and in a low window."""
_LOW_BUTTON, _ANY = 20, 16_777_215
"""Pixels: so high at most is a button of a strip in a low window, and in others (Qt's own bound)."""
_PASSING = 8_000
"""Milliseconds for which good news stays."""


class Notices(QWidget):
    """The latest few notices, newest below; each stays until it is dismissed, good news for a while. Those that a
    window has no room for wait behind the newest, which says how many they are. A low window has no height to spare: it
    is shown over the status bar there, else in its place of a layout."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._room = _MOST
        self._low = False
        self._generation = session.generation
        self.hide()
        session.noticed.connect(self.add)
        session.race_changed.connect(self._race_changed)
        session.theme_changed.connect(self._dress)

    def add(self, notice: Notice) -> None:
        """Show a notice, unless the same one stands there."""
        strips = self.strips()
        if any(strip.notice == notice for strip in strips):
            return
        if len(strips) >= _MOST:
            self.dismiss(strips[0])
        strip = Strip(notice, self.session)
        strip.close_button.clicked.connect(lambda: self.dismiss(strip))
        strip.tighten(self._low)
        self._column.addWidget(strip)
        self._show()
        if not notice.error:
            QTimer.singleShot(_PASSING, strip, lambda: self.dismiss(strip))

    def strips(self) -> list[Strip]:
        widgets = (self._column.itemAt(i).widget() for i in range(self._column.count()))
        return [widget for widget in widgets if isinstance(widget, Strip)]

    def dismiss(self, strip: Strip) -> None:
        self._column.removeWidget(strip)
        strip.hide()
        strip.deleteLater()
        self._show()

    def settle(self, window: QWidget, place: QLayout, low: bool) -> None:
        """Take the place that a window, low or not, has for notices, and show no more at once than it has room for."""
        self._room = 1 if low else min(max((window.height() - _FROM) // _EACH, 1), _MOST)
        if low != self._low:
            self._low = low
            for strip in self.strips():
                strip.tighten(low)
            if low:
                place.removeWidget(self)
                self.setParent(window)
            else:
                place.addWidget(self)
        self._show()

    def _lie_over(self, window: QWidget) -> None:
        """Lie over the lower edge of a window, where its status bar is."""
        height, margin = self._column.sizeHint().height(), themes.GRID
        self.setGeometry(margin, window.height() - height, window.width() - 2 * margin, height)
        self.raise_()

    def _race_changed(self) -> None:
        """Forget what was said of another race."""
        if self._generation != self.session.generation:
            self._generation = self.session.generation
            for strip in self.strips():
                if strip.notice.of_race:
                    self.dismiss(strip)

    def _dress(self) -> None:
        for strip in self.strips():
            strip.dress(self.session.theme)

    def _show(self) -> None:
        strips = self.strips()
        waiting = max(len(strips) - self._room, 0)
        for i, strip in enumerate(strips):
            strip.setVisible(i >= waiting)
            strip.count(waiting if i == len(strips) - 1 else 0)
        self.setVisible(bool(strips))
        if self._low:
            self._lie_over(self.parentWidget())


class Strip(QFrame):
    """One notice, in one line."""

    def __init__(self, notice: Notice, session: Session) -> None:
        super().__init__()
        self.setObjectName("notice")
        self.notice = notice
        self._session = session
        self.mark = QLabel()
        self.text = Elided(" ".join(notice.message.split()))
        self.waiting = QLabel()
        self.waiting.setObjectName("muted")
        self.details = QPushButton("Details…")
        self.details.setObjectName("small")
        self.details.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.details.setVisible(bool(notice.detail))
        self.details.clicked.connect(self.show_details)
        self.close_button = QToolButton()
        self.close_button.setObjectName("quiet")
        self.close_button.setToolTip("Dismiss")
        self.close_button.setAccessibleName("Dismiss this notice")
        layout = self._row = QHBoxLayout(self)
        layout.setContentsMargins(*_USUAL)
        layout.addWidget(self.mark)
        layout.addWidget(self.text, 1)
        for widget in (self.waiting, self.details, self.close_button):
            layout.addWidget(widget)
        self.count(0)
        self.dress(session.theme)

    def dress(self, theme: themes.Theme) -> None:
        """Take the colours of a theme."""
        name, colour = ("warning", theme.error) if self.notice.error else ("info", theme.accent)
        self.mark.setPixmap(themes.icon(name, colour).pixmap(16, 16))
        self.close_button.setIcon(themes.icon("close", theme.muted))

    def tighten(self, low: bool) -> None:
        """Take less height in a low window."""
        self._row.setContentsMargins(*(_LOW if low else _USUAL))
        for button in (self.details, self.close_button):
            button.setMaximumHeight(_LOW_BUTTON if low else _ANY)

    def count(self, waiting: int) -> None:
        """Say how many older notices are to come."""
        self.waiting.setText(f"{waiting} earlier" if waiting else "")
        self.waiting.setVisible(bool(waiting))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.details.setVisible(bool(self.notice.detail) or self.text.shown != self.text.text())

    def show_details(self) -> None:
        """Open the whole text in a window of its own."""
        dialog = QDialog(self.window())
        dialog.setWindowTitle("Details")
        dialog.resize(720, 420)
        text = QPlainTextEdit("\n\n".join(part for part in (self.notice.message, self.notice.detail) if part))
        text.setReadOnly(True)
        text.setAccessibleName("Details of the notice")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QApplication.clipboard().setText(text.toPlainText()))
        whole = buttons.addButton("Copy report", QDialogButtonBox.ButtonRole.ActionRole)
        whole.setToolTip("With versions, device, screens and the set-up, to send with a question")
        whole.clicked.connect(lambda: QApplication.clipboard().setText(report(self._session, text.toPlainText())))
        buttons.rejected.connect(dialog.reject)
        layout = QVBoxLayout(dialog)
        layout.addWidget(text)
        layout.addWidget(buttons)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

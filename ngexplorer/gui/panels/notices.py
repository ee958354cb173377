"""Notices: a strip that says what happened, its details one click away."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.session import Notice, Session

_MOST = 4
_PASSING = 8_000
"""Milliseconds for which good news stays."""


class Notices(QWidget):
    """The latest few notices, newest below; each stays until it is dismissed, good news for a while."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.hide()
        session.noticed.connect(self.add)

    def add(self, notice: Notice) -> None:
        """Show a notice, unless the same one stands there."""
        strips = self.strips()
        if any(strip.notice == notice for strip in strips):
            return
        if len(strips) >= _MOST:
            self.dismiss(strips[0])
        strip = Strip(notice, self.session.theme)
        strip.close_button.clicked.connect(lambda: self.dismiss(strip))
        self._column.addWidget(strip)
        self.show()
        if not notice.error:
            QTimer.singleShot(_PASSING, strip, lambda: self.dismiss(strip))

    def strips(self) -> list[Strip]:
        widgets = (self._column.itemAt(i).widget() for i in range(self._column.count()))
        return [widget for widget in widgets if isinstance(widget, Strip)]

    def dismiss(self, strip: Strip) -> None:
        self._column.removeWidget(strip)
        strip.hide()
        strip.deleteLater()
        self.setVisible(bool(self.strips()))


class Strip(QFrame):
    """One notice."""

    def __init__(self, notice: Notice, theme: themes.Theme) -> None:
        super().__init__()
        self.setObjectName("notice")
        self.notice = notice
        colour = theme.error if notice.error else theme.accent
        mark = QLabel()
        mark.setPixmap(themes.icon("warning" if notice.error else "info", colour).pixmap(16, 16))
        text = QLabel(notice.message)
        text.setWordWrap(True)
        self.details = QPushButton("Details…")
        self.details.setVisible(bool(notice.detail))
        self.details.clicked.connect(self.show_details)
        self.close_button = QToolButton()
        self.close_button.setObjectName("quiet")
        self.close_button.setIcon(themes.icon("close", theme.muted))
        self.close_button.setToolTip("Dismiss")
        self.close_button.setAccessibleName("Dismiss this notice")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 6, 4)
        layout.addWidget(mark)
        layout.addWidget(text, 1)
        layout.addWidget(self.details)
        layout.addWidget(self.close_button)

    def show_details(self) -> None:
        """Open the whole text in a window of its own."""
        dialog = QDialog(self.window())
        dialog.setWindowTitle("Details")
        dialog.resize(720, 420)
        text = QPlainTextEdit(f"{self.notice.message}\n\n{self.notice.detail}")
        text.setReadOnly(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QApplication.clipboard().setText(text.toPlainText()))
        buttons.rejected.connect(dialog.reject)
        layout = QVBoxLayout(dialog)
        layout.addWidget(text)
        layout.addWidget(buttons)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

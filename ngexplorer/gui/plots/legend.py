"""The legend: a chip for each optimizer, which switches its runs on and off in every plot, or lets them stand out."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QToolButton, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.flow import FlowLayout
from ngexplorer.gui.session import Group, Session


class Legend(QWidget):
    """A chip for each optimizer: a click switches its runs on and off in every plot, one with Ctrl lets them stand out
    and the others fade. Without its name where there are too many."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.chips: list[QToolButton] = []
        self._flow = FlowLayout(self, spacing=0)
        session.race_changed.connect(self._fill)
        session.theme_changed.connect(self._dress)
        session.shown_changed.connect(self._dress)
        self._fill()

    def _fill(self) -> None:
        self._flow.clear()
        self.chips = []
        for family in self.session.families:
            chip = QToolButton()
            chip.setObjectName("chip")
            chip.setText(family.label)
            chip.setFont(themes.font(12))
            chip.setIconSize(QSize(10, 10))
            chip.setCheckable(True)
            chip.setToolTip(
                f"{family.label}: show or hide it in every plot\nCtrl and click: let it stand out, or all alike"
            )
            chip.setAccessibleName(f"Show {family.label}")
            chip.clicked.connect(lambda on, family=family: self._clicked(family, on))
            self.chips.append(chip)
            self._flow.addWidget(chip)
            chip.show()  # what is not shown yet takes no room
        self._dress()
        self._arrange()

    def _dress(self) -> None:
        session = self.session
        for chip, family in zip(self.chips, session.families, strict=True):
            hidden = all(session.is_hidden(shown.number) for shown in family.members)
            faint = not any(map(session.stands_out, family.members))
            colour = themes.line_colour(family.colour, session.theme)
            chip.setIcon(themes.dot(colour, 10, filled=not hidden))
            chip.setChecked(not hidden)
            if bool(chip.property("faint")) != faint:
                chip.setProperty("faint", faint)
                chip.style().unpolish(chip)
                chip.style().polish(chip)

    def _clicked(self, family: Group, on: bool) -> None:
        """Show or hide its runs; with Ctrl, let them stand out, or all alike where they did."""
        session, numbers = self.session, [shown.number for shown in family.members]
        if QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            session.highlight([] if session.highlighted == frozenset(numbers) else numbers)
            self._dress()
            return
        for number in numbers:
            session.set_hidden(number, not on)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            QTimer.singleShot(0, self, self._arrange)  # once the chips have their type too

    def _arrange(self) -> None:
        """Take the height that the chips need at this width: with their names, if those fit in two rows."""
        for names in (True, False):
            for chip in self.chips:
                text = chip.fontMetrics().horizontalAdvance(chip.text())
                chip.setFixedWidth(text + 24 if names else 20)
                beside, alone = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly
                chip.setToolButtonStyle(beside if names else alone)
            if self._flow.rows(self.width()) <= 2:
                break
        self.setFixedHeight(self._flow.heightForWidth(self.width()))

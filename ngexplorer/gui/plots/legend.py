"""The legend: a chip for each run, which switches it on and off in every plot."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtWidgets import QToolButton, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.flow import FlowLayout
from ngexplorer.gui.session import Session


class Legend(QWidget):
    """A chip for each run, which switches it on and off in every plot; without its name where there are too many."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.chips: list[QToolButton] = []
        self._flow = FlowLayout(self, spacing=0)
        session.race_changed.connect(self._fill)
        session.theme_changed.connect(self._dress)
        session.shown_changed.connect(self._dress)

    def _fill(self) -> None:
        self._flow.clear()
        self.chips = []
        for number, shown in enumerate(self.session.runs):
            chip = QToolButton()
            chip.setObjectName("chip")
            chip.setText(shown.label)
            chip.setFont(themes.font(12))
            chip.setIconSize(QSize(10, 10))
            chip.setCheckable(True)
            chip.setToolTip(f"{shown.label}: show or hide it in every plot")
            chip.setAccessibleName(f"Show {shown.label}")
            chip.clicked.connect(lambda on, number=number: self.session.set_hidden(number, not on))
            self.chips.append(chip)
            self._flow.addWidget(chip)
            chip.show()  # what is not shown yet takes no room
        self._dress()
        self._arrange()

    def _dress(self) -> None:
        for number, (chip, shown) in enumerate(zip(self.chips, self.session.runs, strict=True)):
            hidden = self.session.is_hidden(number)
            colour = themes.line_colour(shown.colour, self.session.theme)
            chip.setIcon(themes.dot(colour, 10, filled=not hidden))
            chip.setChecked(not hidden)

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

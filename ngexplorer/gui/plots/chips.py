"""Chips that switch parts of one plot on and off: its legend, where each part has a colour; greyed, with the reason,
where there is no such thing."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QToolButton, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.flow import FlowLayout

_GAP = 10
"""Pixels after a caption, or in its place where there is no room for it."""


class Chips(QWidget):
    """Groups of chips in rows that break where the width ends."""

    changed = Signal()

    def __init__(self, groups: dict[str, dict[str, tuple[str, str]]]) -> None:
        """The groups by their captions; in each the text and the tool tip of every chip by its name."""
        super().__init__()
        self._flow = FlowLayout(self, spacing=0)
        self._tips: dict[str, str] = {}
        self._why: dict[str, str] = {}
        self._dressed: Any = None
        self.chips: dict[str, QToolButton] = {}
        self._captions: dict[str, QLabel] = {}
        for caption, chips in groups.items():
            label = QLabel(caption)
            label.setObjectName("muted")
            label.setFont(themes.font(12))
            self._captions[caption] = label
            self._flow.addWidget(label)
            for name, (text, tip) in chips.items():
                self._flow.addWidget(self._made(name, text, tip))

    def _made(self, name: str, text: str, tip: str) -> QToolButton:
        chip = QToolButton()
        chip.setObjectName("chip")
        chip.setText(text)
        chip.setFont(themes.font(12))
        chip.setIconSize(QSize(10, 10))
        chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        chip.setCheckable(True)
        chip.setToolTip(tip)
        chip.setAccessibleName(f"Show {tip}")
        chip.clicked.connect(self.changed)
        self._tips[name] = tip
        self.chips[name] = chip
        return chip

    def is_on(self, name: str) -> bool:
        """Whether a part is switched on and there is such a thing."""
        return self.chips[name].isChecked() and not self._why.get(name)

    def switch(self, name: str, on: bool) -> None:
        """As a click would, but only where that changes something."""
        if self.chips[name].isChecked() != on:
            self.chips[name].setChecked(on)
            self.changed.emit()

    def refuse(self, why: dict[str, str]) -> None:
        """Grey out the chips of which there is a reason for it, which their tool tip tells."""
        if why == self._why:
            return
        self._why = why
        for name, chip in self.chips.items():
            chip.setEnabled(name not in why)
            tip = self._tips[name]
            chip.setToolTip(f"{tip}: {why[name]}" if name in why else tip)

    def dress(self, colours: dict[str, QColor], theme: themes.Theme) -> None:
        """Show the colours, as a ring where a part is off."""
        now = (theme.name, [self.is_on(name) for name in self.chips], list(self._why))
        if now == self._dressed:
            return
        self._dressed = now
        for name, chip in self.chips.items():
            on = self.is_on(name)
            chip.setIcon(themes.dot(QColor(theme.muted) if name in self._why else colours[name], 10, filled=on))
        self._arrange()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            QTimer.singleShot(0, self, self._arrange)  # once the chips have their type too

    def _arrange(self) -> None:
        """Take the height that the chips need at this width: closer to each other, without captions, where that saves
        a row."""
        for around, captioned in ((24, True), (18, False)):
            for chip in self.chips.values():
                chip.setFixedWidth(chip.fontMetrics().horizontalAdvance(chip.text()) + around)
            for caption, label in self._captions.items():
                label.setText(caption if captioned else "")
                label.setFixedHeight(max(chip.sizeHint().height() for chip in self.chips.values()))
                label.setFixedWidth(label.fontMetrics().horizontalAdvance(caption) + _GAP if captioned else _GAP)
            if self._flow.rows(self.width()) <= 1:
                break
        self.setFixedHeight(self._flow.heightForWidth(self.width()))

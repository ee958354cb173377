"""The timeline: one current time for every view, dragged back and forth or live."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.view import toggle
from ngexplorer.gui.session import Session


class Timeline(QWidget):
    """A slider over the steps taken. At its end, or with the Live button, the views follow the latest step."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.label = QLabel("step 0")
        self.label.setFont(themes.font(12))
        self.label.setMinimumWidth(72)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 0)
        self.slider.setEnabled(False)
        self.slider.setAccessibleName("Timeline: the step that every view shows")
        self.slider.setToolTip("Drag back to see an earlier step in every view; the runs go on")
        self.slider.valueChanged.connect(self._moved)
        self.end = QLabel("0")
        self.end.setObjectName("muted")
        self.end.setFont(themes.font(12))
        self.live: QToolButton = toggle("Live", "Follow the latest step", on=True)
        self.live.clicked.connect(lambda: session.set_time(None))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(themes.GRID)
        for widget, stretch in ((self.label, 0), (self.slider, 1), (self.end, 0), (self.live, 0)):
            layout.addWidget(widget, stretch)
        session.time_changed.connect(self.pull)
        session.race_changed.connect(self.pull)

    def pull(self) -> None:
        """Follow the runs."""
        latest, time = self.session.latest, self.session.time
        blocked = self.slider.blockSignals(True)
        self.slider.setRange(0, latest)
        self.slider.setPageStep(max(1, latest // 10))
        self.slider.setEnabled(latest > 0)
        self.slider.setValue(latest if time is None else time)
        self.slider.blockSignals(blocked)
        self.label.setText(f"step {latest if time is None else time:,}")
        self.end.setText(f"{latest:,}")
        self.live.setChecked(time is None)

    def _moved(self, step: int) -> None:
        self.session.set_time(None if step == self.slider.maximum() else step)

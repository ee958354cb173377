"""The tour: a page a stop, the checks of what it claims, and how far a person has come."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import (
    QAbstractSlider,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.page import Page
from ngexplorer.gui.panels.figure import FigureView
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.session import Session
from ngexplorer.tour import STOPS, Check, Stop
from ngexplorer.tour.checks import Claim, written

_Slider = QAbstractSlider.SliderAction
_QUESTION = "tour"
_BELOW = re.compile(r"(?<![A-Za-z])([A-Za-zα-ω])_([A-Za-zα-ω])")
_ABOVE = re.compile(r"\^(?:\(((?:[^()]|\([^()]*\))*)\)|([−+]?\w))")
_LEAST = 280
"""Pixels: with less, formulas break."""
_PAGE, _FIGURE, _CHECKS = range(3)
"""Its parts, behind a tab each."""
_BESIDE_BAR = 8
"""Pixels between what is scrolled and its bar."""
_MARK = 14
_DOT = 3.0
"""The radius of a stop's dot, pixels."""


class TourPanel(QFrame):
    """One stop at a time. It asks for another stop by `wanted`, and shows what it is told to."""

    wanted = Signal(int)
    """The number of the stop that a person wants to go to, from 1."""

    def __init__(self, session: Session, preferences: Preferences) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setMinimumWidth(_LEAST)
        self.session, self._preferences = session, preferences
        self.number = preferences.tour_stop(len(STOPS))
        self.checks: dict[str, Check] = {}
        """What was measured in this run of the program, by the claims' names."""
        self._left: list[Claim] = []
        self._generation = 0
        self._halted = threading.Event()
        """Set where the claim under way is not wanted any more."""
        self.rows: list[CheckRow] = []

        self.choice = Choice([(n, f"{n}  {stop.title}") for n, stop in enumerate(STOPS, 1)])
        self.choice.setAccessibleName("Stop of the tour")
        self.choice.setMinimumContentsLength(8)
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.choice.activated.connect(lambda row: self._want(row + 1))
        self.previous = self._arrow("Previous stop", -1)
        self.next = self._arrow("Next stop", 1)
        self.dots = Dots(self)
        name = QLabel("Tour")
        name.setObjectName("title")
        self.head = QWidget()
        """The way from stop to stop, for the head of whatever the panel stands in"""
        ways = QHBoxLayout(self.head)
        ways.setContentsMargins(0, 0, 0, 0)
        ways.setSpacing(4)
        ways.addWidget(name)
        ways.addSpacing(themes.GRID)
        ways.addWidget(self.previous)
        ways.addWidget(self.choice, 1)
        ways.addWidget(self.next)

        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setFont(themes.font(17, QFont.Weight.DemiBold))
        self.source = QLabel()
        self.source.setObjectName("muted")
        self.source.setFont(themes.font(12))
        self.source.setWordWrap(True)
        self.page = Page(session)
        self.figure = FigureView(session)
        self.again = QPushButton("Set up again")
        self.again.setObjectName("small")
        self.again.setToolTip("Load this stop's experiment and arrange the plots for it")
        self.again.clicked.connect(lambda: self._want(self.number))
        self.forward = QPushButton("Next stop")
        self.forward.setObjectName("small")
        self.forward.clicked.connect(lambda: self._want(self.number + 1))
        ends = QHBoxLayout()
        ends.addWidget(self.again)
        ends.addStretch(1)
        ends.addWidget(self.forward)

        self.verdict = QLabel()
        self.verdict.setObjectName("muted")
        self.verdict.setFont(themes.font(12))
        self.verdict.setWordWrap(True)
        self.measure = QPushButton("Measure")
        self.measure.setObjectName("small")
        self.measure.clicked.connect(self._measure_or_stop)
        verdict = QHBoxLayout()
        verdict.setSpacing(themes.GRID)
        verdict.addWidget(self.verdict, 1)
        verdict.addWidget(self.measure)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(3)
        self.progress.setAccessibleName("Checks measured")
        self.list = QVBoxLayout()
        self.list.setSpacing(10)

        self.area = _scrolled(self.title, self.source, self.page)
        self.parts = QStackedWidget()
        for area in (self.area, _scrolled(self.figure), _scrolled(verdict, self.progress, self.list)):
            self.parts.addWidget(area)
        self.tabs = QTabBar(expanding=False)
        self.tabs.setAccessibleName("Page, figure and checks of the stop")
        for part in ("Page", "Figure", "Checks"):
            self.tabs.addTab(part)
        self.tabs.currentChanged.connect(self.parts.setCurrentIndex)

        whole = QVBoxLayout(self)
        whole.setContentsMargins(12, 2, 12 - _BESIDE_BAR, 8)
        whole.setSpacing(4)
        above = QVBoxLayout()
        above.setSpacing(4)
        above.addWidget(self.head)
        above.addWidget(self.dots)
        above.addWidget(self.tabs)
        for part in (above, ends):
            part.setContentsMargins(0, 0, _BESIDE_BAR, 0)
        whole.addLayout(above)
        whole.addWidget(self.parts, 1)
        whole.addLayout(ends)

        session.analyst.answered.connect(self._answered)
        session.theme_changed.connect(self._dress)
        self._dress()

    def showEvent(self, event: QShowEvent) -> None:
        """Who finds the panel open sees the page that they left."""
        super().showEvent(event)
        if not self.rows:
            self.show_stop(self.number, seen=False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The page keys scroll whatever part is in front, wherever in the panel the focus is."""
        way = {Qt.Key.Key_PageUp: _Slider.SliderPageStepSub, Qt.Key.Key_PageDown: _Slider.SliderPageStepAdd}
        if event.key() not in way:
            super().keyPressEvent(event)
            return
        area = self.parts.currentWidget()
        assert isinstance(area, QScrollArea)
        area.verticalScrollBar().triggerAction(way[Qt.Key(event.key())])

    def _arrow(self, name: str, by: int) -> QToolButton:
        button = QToolButton()
        button.setObjectName("quiet")
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.clicked.connect(lambda: self._want(self.number + by))
        return button

    @property
    def stop(self) -> Stop:
        return STOPS[self.number - 1]

    @property
    def seen(self) -> list[str]:
        """The names of the stops that were opened, today or before."""
        return self._preferences.tour_seen

    def _want(self, number: int) -> None:
        self.choice.setCurrentIndex(self.number - 1)  # the window says whether it comes to that
        if 1 <= number <= len(STOPS):
            self.wanted.emit(number)

    def show_stop(self, number: int, *, seen: bool = True) -> None:
        """Show a stop's page and its checks, with what was measured of them before."""
        self.halt()
        self.number = number
        if seen:
            self._preferences.see_stop(number, self.stop.name)
        self.choice.setCurrentIndex(number - 1)
        seen_ones = self.seen
        for n, stop in enumerate(STOPS, 1):
            self.choice.setItemText(n - 1, f"{n}  {stop.title}" + "  ✓" * (stop.name in seen_ones))
        self.dots.setAccessibleName(f"Stop {number} of {len(STOPS)}, {len(seen_ones)} seen")
        self.previous.setEnabled(number > 1)
        self.next.setEnabled(number < len(STOPS))
        self.forward.setVisible(number < len(STOPS))
        self.title.setText(self.stop.title)
        self.source.setText(f"Martens 2020, {self.stop.source.rstrip('.')}")
        self.page.show_text(self.stop.body)
        self.tabs.setCurrentIndex(_PAGE)
        self.tabs.setTabVisible(_FIGURE, self.stop.figure is not None)
        self.figure.show_figure(self.stop.figure)
        for row in self.rows:
            self.list.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = [CheckRow(claim, self.session) for claim in self.stop.claims]
        for row in self.rows:
            self.list.addWidget(row)
            row.show_check(self.checks.get(row.claim.name))
        for area in self.parts.findChildren(QScrollArea):
            area.verticalScrollBar().setValue(0)
        self.dots.update()
        self._count()

    # Checks.

    @property
    def measuring(self) -> bool:
        return bool(self._left)

    @property
    def settled(self) -> bool:
        """Whether its figure is what its dial says."""
        return self.figure.settled

    def _measure_or_stop(self) -> None:
        if self.measuring:
            self.halt()
        else:
            self.begin()

    def begin(self) -> None:
        """Measure every claim of this stop, one after another, on the analyst's thread."""
        for row in self.rows:
            self.checks.pop(row.claim.name, None)
            row.show_check(None)
        self._left = [row.claim for row in self.rows]
        self._ask()

    def halt(self) -> None:
        """Measure no more; the claim under way is let go."""
        self._left, self._generation = [], 0
        self._halted.set()
        for row in self.rows:
            row.show_check(self.checks.get(row.claim.name))
        self._count()

    def _ask(self) -> None:
        # One claim a question, so that what the plots ask comes in between.
        claim = self._left[0]
        halted = self._halted = threading.Event()

        def answers(cancel: Cancel) -> Iterator[Check]:
            yield claim.check(lambda: cancel() or halted.is_set())

        self._generation = self.session.analyst.ask(_QUESTION, answers)
        row = next(row for row in self.rows if row.claim is claim)
        row.wait()
        self._count()

    def _answered(self, key: str, generation: int, check: Check) -> None:
        if key != _QUESTION or generation != self._generation or not self._left:
            return
        claim = self._left.pop(0)
        self.checks[claim.name] = check
        next(row for row in self.rows if row.claim is claim).show_check(check)
        if self._left:
            self._ask()
        else:
            self._count()

    def _count(self) -> None:
        found = [self.checks[claim.name] for claim in self.stop.claims if claim.name in self.checks]
        right, wrong, left = (sum(check.passed is verdict for check in found) for verdict in (True, False, None))
        words = [f"{right} of {len(self.stop.claims)} pass"] if found else [f"{len(self.stop.claims)} claims"]
        words += [f"{wrong} fail"] * bool(wrong) + [f"{left} cannot be checked"] * bool(left)
        self.verdict.setText(", ".join(words))
        self.tabs.setTabText(_CHECKS, f"Checks  {right}/{len(self.stop.claims)}" if found else "Checks")
        self.measure.setText("Stop" if self.measuring else "Measure again" if found else "Measure")
        self.measure.setAccessibleName("Stop measuring" if self.measuring else "Measure what this stop claims")
        self.progress.setMaximum(len(self.stop.claims))
        self.progress.setValue(len(found))
        self.progress.setEnabled(self.measuring)

    def _dress(self) -> None:
        theme = self.session.theme
        self.previous.setIcon(themes.icon("chevron-left", theme.text))
        self.next.setIcon(themes.icon("chevron-right", theme.text))
        for row in self.rows:
            row.dress()
        self.dots.update()


def _scrolled(*content: QWidget | QLayout) -> QScrollArea:
    """Those one below the other, to be scrolled where the panel is too low for them."""
    inside = QWidget()
    column = QVBoxLayout(inside)
    column.setContentsMargins(0, 4, _BESIDE_BAR, 0)
    column.setSpacing(themes.GRID)
    for one in content:
        column.addWidget(one) if isinstance(one, QWidget) else column.addLayout(one)
    column.addStretch(1)
    area = QScrollArea()
    area.setWidget(inside)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area


class CheckRow(QWidget):
    """A claim; once it is measured what was expected, what came out, by how much they differ, and the verdict."""

    def __init__(self, claim: Claim, session: Session) -> None:
        super().__init__()
        self.claim = claim
        self._session = session
        self._check: Check | None = None
        self._waiting = False
        self.mark = QLabel()
        self.mark.setFixedSize(_MARK, 18)
        self.mark.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.name = QLabel(with_scripts(claim.name))
        self.name.setTextFormat(Qt.TextFormat.RichText)
        self.name.setWordWrap(True)
        self.numbers = QLabel()
        self.numbers.setTextFormat(Qt.TextFormat.PlainText)
        self.numbers.setObjectName("muted")
        self.numbers.setFont(themes.font(12))
        self.numbers.setWordWrap(True)
        self.numbers.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        words = QVBoxLayout()
        words.setContentsMargins(0, 0, 0, 0)
        words.setSpacing(1)
        words.addWidget(self.name)
        words.addWidget(self.numbers)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(themes.GRID)
        row.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)

    def wait(self) -> None:
        """Say that it is being measured."""
        self._waiting = True
        self.dress()

    def show_check(self, check: Check | None) -> None:
        self._check, self._waiting = check, False
        self.dress()

    def dress(self) -> None:
        theme, check = self._session.theme, self._check
        passed = None if check is None else check.passed
        if check is None:
            name, colour, said = "ring", theme.accent if self._waiting else theme.muted, "not measured yet"
        else:
            name, colour, said = {
                True: ("check", themes.readable(themes.GREEN, theme).name(), "passes"),
                False: ("close", theme.error, "fails"),
                None: ("minus", theme.warning, "cannot be checked here"),
            }[passed]
        self.mark.setPixmap(themes.icon(name, colour, _MARK).pixmap(_MARK, _MARK))
        self.numbers.setText("measuring…" if self._waiting else self.claim.section if check is None else said_of(check))
        self.numbers.setObjectName("error" if passed is False else "muted")
        self.numbers.style().polish(self.numbers)
        self.setAccessibleName(f"{self.claim.name}: {said}. {self.numbers.text()}")


def with_scripts(text: str) -> str:
    """A claim as rich text: "F_R" and "e^(−t)" with their letters below and above."""
    return _ABOVE.sub(r"<sup>\1\2</sup>", _BELOW.sub(r"\1<sub>\2</sub>", html.escape(text)))


def said_of(check: Check) -> str:
    """A check's numbers in a line or two: expected, measured, and the difference where there is one."""
    if check.passed is None:
        return f"cannot be checked here: {check.why}"
    if check.measured is None:
        return check.why
    sign = "" if check.relation == "=" else f"{check.relation} "
    words = [f"expected {sign}{written(check.expected)}", f"measured {written(check.measured)}"]
    differs = written(check.expected) != written(check.measured) and _any(check.expected)
    if check.difference is not None and check.relation == "=" and (differs or not check.passed):
        words.append(f"off by {written(float(f'{check.difference:.2g}'))}")
    if check.relation == "=" and check.tolerance:
        words.append(f"tolerance {written(check.tolerance)}")
    return " · ".join(words)


def _any(number: float | tuple[float, ...] | None) -> bool:
    """Whether it is anything but zero: a difference from zero is the number itself."""
    return any(number) if isinstance(number, tuple) else bool(number)


class Dots(QWidget):
    """The stops in a row, each a dot: the present one, those seen, those not seen yet. A click goes there."""

    def __init__(self, panel: TourPanel) -> None:
        super().__init__(panel)
        self._panel = panel
        self.setFixedHeight(16)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        return QSize(16 * len(STOPS), 16)

    def place(self, number: int) -> QPointF:
        """Where a stop's dot is."""
        apart = self.width() / len(STOPS)
        return QPointF((number - 0.5) * apart, self.height() / 2)

    def number(self, x: float) -> int:
        """The stop whose dot is nearest."""
        return min(max(int(x / self.width() * len(STOPS)) + 1, 1), len(STOPS))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, theme, seen = QPainter(self), self._panel.session.theme, self._panel.seen
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, stop in enumerate(STOPS, 1):
            here = number == self._panel.number
            colour = QColor(theme.accent if here else theme.muted)
            painter.setPen(QPen(colour, 1.2))
            painter.setBrush(colour if here or stop.name in seen else Qt.BrushStyle.NoBrush)
            painter.drawEllipse(self.place(number), _DOT + here, _DOT + here)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        number = self.number(event.position().x())
        stop = STOPS[number - 1]
        self.setToolTip(f"{number}  {stop.title}" + (", seen" if stop.name in self._panel.seen else ""))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._panel._want(self.number(event.position().x()))

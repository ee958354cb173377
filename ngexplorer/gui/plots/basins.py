"""Basins of attraction over a landscape: where a method ends from many starts, with a legend of the minima."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from ngexplorer.analysis.attraction import DIVERGED, WANDERING, Basins, basins
from ngexplorer.analysis.planes import Window
from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.corner_table import CornerTable, Row
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.plots.shading import NodeImage
from ngexplorer.gui.session import Session, Shown

_QUESTION = "trajectory basins"
_SIZES = (3, 5, 9, 17, 33)
"""Starts along a side: the first picture within a moment, however slow the method is."""
_MOMENT = 0.2
"""Seconds after which other questions have their turn."""
_STRENGTH = 0.38
"""How strongly a basin is coloured."""
_NAMED = 5
"""So many minima are named; the others share a line."""
_ORDER = (themes.SKY, themes.ORANGE, themes.GREEN, themes.PURPLE, themes.BLUE, themes.VERMILION, themes.YELLOW)


class BasinsLayer:
    """The image over the contours, the legend in the corner, and what they ask for while the race rests."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        self.session = session
        self.image = NodeImage(smooth=False)
        self.legend = CornerTable(parent)
        self.found: Basins | None = None
        self.remaining = Remaining()
        self._known: dict[Any, Basins] = {}
        """What is known of each question that was asked of this race: whatever was halted goes on from there."""
        self._asked: Any = None
        self._waiting = False
        """Whether it is being worked on: its last answer has not come yet."""
        self._generation = 0
        self._halted = threading.Event()
        self._drawn: Any = None
        session.state_changed.connect(self._halt)
        self.hide()

    def _halt(self, state: str) -> None:
        """The processor is the race's while that is on."""
        if state == "running":
            self._halted.set()

    def hide(self) -> None:
        """Show nothing and compute nothing."""
        self._halted.set()
        self.image.hide()
        self.legend.hide()

    def forget(self) -> None:
        """Drop what belongs to another landscape."""
        self._known.clear()
        self.put_away()

    def put_away(self) -> None:
        """Keep for later what belongs to another method."""
        self.found, self._generation, self._waiting = None, 0, False
        self.hide()

    def ask(self, shown: Shown, window: Window) -> None:
        """Have a run's optimizer started from all over a window, a moment at a time: others have questions too. Where
        the race is on, that waits."""
        if self.session.state == "running":
            return
        question = (shown.run.optimizer, window, shown.history.seed)
        if question != self._asked or self._halted.is_set():
            self._halted.set()
            self._asked, self._halted, self._waiting = question, threading.Event(), False
            self.found = self._known.get(question)
            self.remaining = Remaining(0.0 if self.found is None else self.found.done)
        if not self._waiting and not self.finished:
            self._waiting = True
            self._generation = self.session.analyst.ask(_QUESTION, self._moment(shown, window))

    def _moment(self, shown: Shown, window: Window) -> Callable[[Cancel], Iterator[Basins | None]]:
        """A question that goes on for a moment from what is known; its last answer is None."""
        objective, optimizer, seed = shown.run.objective, shown.run.optimizer, shown.history.seed
        known, halted, remaining = self.found, self._halted, self.remaining

        def moment(cancel: Cancel) -> Iterator[Basins | None]:
            began = monotonic()
            going = basins(
                objective, optimizer, window, lambda: halted.is_set() or cancel(), _SIZES, seed=seed, known=known
            )
            for answer in going:
                remaining.tell(answer.done)
                yield answer
                if monotonic() - began > _MOMENT:
                    break
            yield None

        return moment

    @property
    def finished(self) -> bool:
        """Whether all starts are known."""
        return self.found is not None and self.found.done >= 1

    def take(self, key: str, generation: int, answer: Any) -> bool:
        """Take an answer; whether it was one to this."""
        if key != _QUESTION or generation != self._generation:
            return False
        if answer is None:
            self._waiting = False
        else:
            self.found = self._known[self._asked] = answer
        return True

    @property
    def words(self) -> str:
        """How far it is."""
        if self.found is None:
            return "basins come when the runs rest" if self.session.state == "running" else "computing the basins…"
        share = f"basins from {len(self.found.xs)} × {len(self.found.ys)} starts"
        return " · ".join(filter(None, (share, self.remaining.words)))

    def draw(self, label: str, area: QRectF) -> None:
        """Draw what is known of the method of that name in a plot that has that place on the panel."""
        found, theme = self.found, self.session.theme
        if found is None:
            self.image.hide()
            self.legend.hide()
            return
        if self._drawn != (id(found), theme.name):
            self._drawn = (id(found), theme.name)
            window = (float(found.xs[0]), float(found.xs[-1]), float(found.ys[0]), float(found.ys[-1]))
            self.image.show_nodes(basin_colours(found, theme), window)
            self.legend.show_rows((f"{label} ends",), _rows(found, theme), theme)
        self.image.show()
        self.legend.stand_in(area)


def colour_of(basin: int, theme: themes.Theme) -> QColor:
    """The colour of the starts that end in that place; grey of those that do not come to rest, dark of those that
    diverge."""
    if basin == DIVERGED:
        return QColor("#000000")
    if basin < 0 or basin >= len(_ORDER):
        return QColor(theme.muted)
    return QColor(_ORDER[basin])


def basin_colours(found: Basins, theme: themes.Theme) -> Any:
    """The colours of the starts, (J, I, 4) uint8; nothing where nothing is known."""
    cells = found.filled
    colours = np.zeros((*cells.shape, 4), dtype=np.uint8)
    for basin in np.unique(cells).tolist():
        if basin >= WANDERING or basin == DIVERGED:
            colour = colour_of(basin, theme)
            strength = 0.0 if basin == WANDERING else _STRENGTH
            colours[cells == basin] = (colour.red(), colour.green(), colour.blue(), round(255 * strength))
    return colours


def _rows(found: Basins, theme: themes.Theme) -> list[Row]:
    """What the legend says: a colour, the place, and what share of the starts ends there."""

    def shade(basin: int) -> QColor:
        return themes.mixed(QColor(theme.panel), colour_of(basin, theme), 0.75)

    order = sorted(range(len(found.places)), key=found.share, reverse=True)
    rows: list[Row] = []
    for basin in order[:_NAMED]:
        x, y = (compact(round(float(value), 3) + 0.0) for value in found.places[basin])
        rows.append((shade(basin), (f"({x}, {y})  h = {_loss(found, basin)}", _percent(found.share(basin)))))
    rest = sum(found.share(basin) for basin in order[_NAMED:])
    if rest:
        rows.append((None, (f"{len(order) - _NAMED} other places", _percent(rest))))
    for basin, words in ((DIVERGED, "diverges"), (WANDERING, "not at rest yet")):
        if found.share(basin):
            rows.append((shade(basin) if basin == DIVERGED else None, (words, _percent(found.share(basin)))))
    return rows


def _loss(found: Basins, basin: int) -> str:
    value = found.loss(basin)
    return "0" if abs(value) < 1e-10 else compact(value)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""The same method in a Gaussian's other parametrizations, over a landscape: its paths, and how far they are apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from ngexplorer.analysis.other_parameters import Elsewhere, elsewhere, refusal
from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.chosen_plane import stacked
from ngexplorer.gui.plots.corner_table import CornerTable, Row
from ngexplorer.gui.plots.inquiry import Inquiry
from ngexplorer.gui.plots.lines import Line, Lines, bounds, pen
from ngexplorer.gui.session import Session, Shown

_MOST = 500
"""Steps: they are taken anew four times, and further on all methods are at the same place."""
_SAME = 1e-12
"""Nats below which two distributions are one, but for rounding."""
_SHADES = {
    "(μ, v)": themes.ORANGE,
    "(μ, log v)": themes.GREEN,
    "(μ, 1/v)": themes.PURPLE,
    "(μ/v, −1/(2v))": themes.YELLOW,
    "(E y, E y²)": themes.VERMILION,
}


class OtherParameters:
    """Dotted paths and a table in the corner: where the method is in each parametrization at the current step, as
    (μ, v), and the KL of the run from there. Computed while the race rests."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        self.session = session
        self.lines = Lines()
        self.table = CornerTable(parent)
        self.table.hide()
        self.found: tuple[Elsewhere, ...] = ()
        self.inquiry = Inquiry(session, "trajectory in other parameters")
        self.inquiry.answered.connect(self._answered)

    @staticmethod
    def refusal(shown: Shown | None) -> str:
        """Why a run cannot be looked at so; empty where it can."""
        return "" if shown is None else refusal(shown.run.objective)

    def hide(self) -> None:
        """Show nothing."""
        self.lines.show_lines([])
        self.table.hide()

    def forget(self) -> None:
        """Drop what belongs to another run."""
        self.found = ()
        self.inquiry.forget()
        self.hide()

    def ask(self, shown: Shown) -> None:
        """Have a run's optimizer take its steps in the other parameters, once the race rests."""
        if self.session.state in ("running", "loading") or not len(shown.history.snapshots):
            return
        objective, optimizer, seed = shown.run.objective, shown.run.optimizer, shown.history.seed
        last = min(shown.run.step, _MOST)
        path = stacked(shown.history.snapshots.until(last, last + 1))

        def answers(cancel: Cancel) -> Iterator[Any]:
            yield from elsewhere(objective, optimizer, path, cancel, seed)

        self.inquiry.ask((self.session.generation, shown.number, optimizer, last), answers)

    def _answered(self, answer: tuple[Elsewhere, ...]) -> None:
        self.found = answer

    @property
    def finished(self) -> bool:
        """Whether all of them are there."""
        return bool(self.found) and not self.inquiry.under_way

    @property
    def words(self) -> str:
        """What is still to come."""
        if self.found:
            return ""
        return "other parameters come when the runs rest" if self.session.state == "running" else "other parameters…"

    def draw(self, shown: Shown, area: QRectF) -> QRectF:
        """Draw them as of the current step in a plot that has that place on the panel; returns where all of them go."""
        if not self.found:
            self.hide()
            return QRectF()
        theme, step = self.session.theme, self.session.step_of(shown)
        lines, rows, whole = [], [], []
        for one in self.found:
            colour = themes.line_colour(shown.colour if one.own else _SHADES[one.names], theme)
            until = min(step, len(one.path) - 1)
            if not one.own:
                xy = one.path[: until + 1]
                style = pen(colour, 1.6, Qt.PenStyle.DotLine)
                lines.append(Line(xy[:, 0], xy[:, 1], style, xy[-1:], rings=xy[1:2]))
                whole.append(Line(one.path[:, 0], one.path[:, 1], style))
            rows.append(_row(one, step, colour))
        self.lines.show_lines(lines)
        self.table.show_rows((f"Step {min(step, _MOST)} in", "(μ, v)", "KL, nats"), rows, theme)
        self.table.stand_in(area)
        return bounds(whole)


def _row(one: Elsewhere, step: int, colour: QColor) -> Row:
    """Where a parametrization's path is at a step, and how far from the run."""
    step = min(step, _MOST)
    if step >= len(one.path):
        return colour, (one.names, "no way on", f"after {len(one.path) - 1}")
    mean, variance = (compact(float(np.round(value, 4))) for value in one.moments[step])
    apart = float(one.apart[step])
    told = "the run" if one.own else "the same" if apart < _SAME else compact(apart)
    return colour, (one.names, f"({mean}, {variance})", told)

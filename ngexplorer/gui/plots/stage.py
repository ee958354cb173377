"""Which plot draws when: the one under the pointer at every frame, the others in turns as far as time goes."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from ngexplorer.gui.plots.view import View

BUDGET = 0.010
"""Seconds of each frame that drawing may take, painting included: the rest is for input, and for the runs."""


class Stage:
    """The views of a window, of which only those that can be seen are drawn, and cost anything."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = list(views)
        self._waiting = list(views)
        """All but the one under the pointer, the longest unserved first."""

    def frame(self) -> None:
        """Draw what changed, within the budget; what is left over comes first at the next frame."""
        began = perf_counter()
        under = next((view for view in self.views if view.seen and view.underMouse()), None)
        spent = under.cost if under is not None and under.pull() else 0.0
        served = []
        for view in self._waiting:
            if view is under or view.can_wait or not view.seen:
                continue
            # One at least: a view that costs more than a frame has would never be drawn.
            if served and max(spent, perf_counter() - began) + view.cost > BUDGET:
                break
            served.append(view)
            if view.pull():
                spent += view.cost
        self._waiting = [view for view in self._waiting if view not in served] + served

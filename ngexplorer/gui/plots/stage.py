"""What draws when: the plot under the pointer at every frame, the others in turns as far as time goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from PySide6.QtCore import QTimer

from ngexplorer.gui.plots.view import View

BUDGET = 0.022
"""Seconds of each frame that drawing may take, painting included: the rest is for all else that the window does."""


class Stage:
    """The views of a window, of which only those that can be seen are drawn, and cost anything.

    Each picture has a turn of the event loop to itself, so that input waits for one of them, not for all of a frame;
    and so has each piece of what is done `beside` them, at every frame.
    """

    def __init__(self, views: Sequence[View], beside: Sequence[Callable[[], Any]] = ()) -> None:
        self.views = list(views)
        self.beside = beside
        self.seconds = 0.0
        """How long the last frame took, painting and what else happened meanwhile included."""
        self._waiting = list(views)
        """All but the one under the pointer, the longest unserved first."""
        self._frame: Iterator[None] | None = None
        """What is left to do of the frame under way."""
        self._due = False
        """Whether the next frame should have begun meanwhile."""
        self._timer: QTimer | None = None

    def frame(self) -> None:
        """Begin a frame, or have it begin once the one under way is over: draw what changed, within the budget; what is
        left over comes first at the next frame."""
        self._due = self._frame is not None
        if self._frame is None:
            self._frame = self._pictures()
            self._turn()

    @property
    def idle(self) -> bool:
        """Whether no frame is under way."""
        return self._frame is None

    def _turn(self) -> None:
        """The next picture of the frame: painted, and what has happened meanwhile answered, before the one after."""
        assert self._frame is not None
        pictures, self._frame = self._frame, None  # a picture that cannot be drawn ends its frame, not those after it
        if next(pictures, self) is not self:
            self._frame = pictures
        elif self._due:
            self._frame, self._due = self._pictures(), False
        if self._frame is not None:
            self._later()

    def _later(self) -> None:
        """Take the next turn once the events that have come are dealt with, painting among them: a timer's comes after
        them, where a call put off by `singleShot(0)` would come before the painting."""
        if self._timer is None:
            self._timer = QTimer(self.views[0], singleShot=True, interval=0)
            self._timer.timeout.connect(self._turn)
        self._timer.start()

    def _pictures(self) -> Iterator[None]:
        """Draw the pictures of one frame, each when it is asked for."""
        under = next((view for view in self.views if view.seen and view.underMouse()), None)
        began, spent, served = perf_counter(), 0.0, 0
        if under is not None and under.pull():
            spent = under.cost
            yield
        for view in list(self._waiting):
            if view is under or view.can_wait or not view.seen:
                continue
            # One at least: a view that costs more than a frame has would never be drawn.
            if served and max(spent, perf_counter() - began) + view.cost > BUDGET:
                break
            served += 1
            self._waiting.remove(view)
            self._waiting.append(view)
            if view.pull():
                spent += view.cost
                yield
        for work in self.beside:
            work()
            yield
        self.seconds = perf_counter() - began

"""A figure of a page: curves, dots with error bars and fields of steps, measured in this very run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ngexplorer.analysis.planes import Surface, Window, coordinate_plane, surface
from ngexplorer.cancellation import Cancel, never
from ngexplorer.objectives import Objective
from ngexplorer.tour.checks import asking, stopped

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One thing seen along an axis, (N,) each."""

    label: str
    colour: int
    """Which of the window's colours, from 0; those of one colour belong together"""
    x: Array
    y: Array
    error: Array | None = None
    """Half the length of its error bars; with them it is dots that no line joins"""
    dashed: bool = False
    mark: bool = False
    """Whether its points are dots on the line"""


@dataclass(frozen=True)
class Chart:
    """Curves over one axis; on an axis of logarithms what is not above 0 is left out."""

    title: str
    across: str
    """What is along the horizontal axis"""
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Field:
    """Steps from the points of a grid, over the contours of what they go down."""

    title: str
    across: str
    surface: Surface
    """What is under them"""
    starts: Array
    """(K, 2)"""
    steps: Array
    """(K, 2), as they are drawn: the longest as long as there is room for"""


def heights(objective: Objective, window: Window) -> Surface:
    """An objective of two parameters over a window of them."""
    (found,) = surface(objective, coordinate_plane(), window, stopped, (33,))
    return found


Drawing = Chart | Field


@dataclass(frozen=True)
class Dial:
    """A number that a person slides, from `low` to `high` in equal parts; the figure is drawn anew."""

    name: str
    low: float
    high: float
    start: float
    parts: int

    def value(self, part: int) -> float:
        """What stands there, from 0 to `parts`."""
        return self.low + (self.high - self.low) * part / self.parts

    @property
    def first(self) -> int:
        """The part at the start."""
        return round((self.start - self.low) / (self.high - self.low) * self.parts)


@dataclass(frozen=True)
class Figure:
    """What a page shows beside its text."""

    caption: str
    dial: Dial | None
    measure: Callable[[float], tuple[Drawing, ...]]
    """What it is at a value of the dial, 0 where there is none; its loops ask `checks.stopped`"""

    def draw(self, value: float, cancel: Cancel = never) -> tuple[Drawing, ...]:
        """Measure what it shows. Raises Cancelled where `cancel` says so."""
        with asking(cancel):
            return self.measure(value)

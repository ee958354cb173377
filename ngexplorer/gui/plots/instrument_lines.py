"""What instruments read along runs, as lines: of one number of every run, or of every layer of one run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from ngexplorer.analysis.instruments import stretches_above
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import logarithm
from ngexplorer.gui.plots.lines import Array, Line, pen
from ngexplorer.runs.instruments import LINEAR, Instrument
from ngexplorer.runs.readings import Reading, latest, series

AGAINST = {"simple": "batch", "critical": "batch", "largest": "in_use"}
"""Beside which number another one of the same instrument is drawn"""
_LOOK, _MANY = 1.9, 60
"""The radius of a look's dot, pixels; where there are more of them they have none."""
_FUTURE = 0.28
"""How strongly what lies after the current time is drawn."""


@dataclass(frozen=True)
class Trace:
    """A line to draw: what it is called, its colour and style, and what was read along it."""

    label: str
    colour: str
    shade: QColor
    style: Qt.PenStyle
    steps: Array
    values: Array
    """(n,) of the steps, NaN where there is none"""

    def at(self, step: int) -> float:
        """The latest value at or before a step; NaN before the first."""
        place = int(np.searchsorted(self.steps, step, side="right")) - 1
        return float(self.values[place]) if place >= 0 else float("nan")


def logarithmic(instrument: Instrument, number: str) -> bool:
    """Whether a number stands on a logarithmic axis."""
    return instrument.logarithmic and number not in LINEAR


def layer_traces(readings: list[Reading], number: str, layers: list[str], theme: themes.Theme) -> list[Trace]:
    """A trace for each layer of one run."""
    whole = [reading for reading in readings if reading.values.shape[1] == len(layers)]
    steps, values = series(whole, number)
    traces = []
    for place, name in enumerate(layers if len(steps) else []):
        colour = themes.PALETTE[place % len(themes.PALETTE)]
        style = themes.STYLES[place // len(themes.PALETTE) % len(themes.STYLES)]
        traces.append(Trace(name, colour, themes.line_colour(colour, theme), style, steps, values[:, place]))
    return traces


def drawn(trace: Trace, step: int, log: bool) -> list[Line]:
    """A trace up to the step that is shown, faint after it, with a dot at the latest look and small ones at others."""
    heights = logarithm(trace.values) if log else trace.values
    places = np.stack((trace.steps, heights), 1)[np.isfinite(heights)]
    small = places if len(places) <= _MANY else np.empty((0, 2))
    past = places[:, 0] <= step
    faint = QColor(trace.shade)
    faint.setAlphaF(_FUTURE * faint.alphaF())
    later = bool(len(trace.steps)) and step < trace.steps[-1]
    line = Line(
        trace.steps,
        heights,
        pen(trace.shade, 1.6, trace.style),
        small[past] if len(small) else None,
        _LOOK,
        until=float(step) if later else None,
        after=pen(faint, 1.6, trace.style) if later else None,
    )
    after = Line(np.empty(0), np.empty(0), pen(faint), small[~past] if len(small) else None, _LOOK)
    mark = Line(np.empty(0), np.empty(0), pen(trace.shade), places[past][-1:])
    return [line, after, mark]


def against(trace: Trace, log: bool) -> Line:
    """What a number is held against: thin and dotted."""
    heights = logarithm(trace.values) if log else trace.values
    return Line(trace.steps, heights, pen(trace.shade, 1.0, Qt.PenStyle.DotLine))


def above(limit: Trace, used: Trace, colour: QColor) -> list[Line]:
    """The stretches where a rate in use stands above the largest stable one, shaded; both on a logarithmic axis."""
    found = stretches_above(limit.steps, logarithm(used.values), logarithm(limit.values))
    return [Line(x, low, pen(colour, 0.0, alpha=0.9), band=(low, high)) for x, low, high in found]


def reasons(readings: list[Reading], step: int, number: str) -> str:
    """Why something is missing in the latest reading at a step, or in the first one after it; of the cosine of two
    steps that are there, nothing is."""
    found = latest(readings, step) or (readings[0] if readings else None)
    if found is None or (found.instrument == "cosines" and number in found.names and np.isfinite(found[number])):
        return ""
    return found.reason

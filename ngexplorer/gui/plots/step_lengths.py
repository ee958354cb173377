"""A run's steps in the space of distributions: the KL of each beside its length in θ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from ngexplorer.analysis.distribution_space import Distances, distances
from ngexplorer.analysis.planes import Array
from ngexplorer.cancellation import Cancel
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame, compact, logarithm
from ngexplorer.gui.plots.lines import Line, Lines, pen
from ngexplorer.objectives import Objective

TITLE = "Steps in KL"
MOST, _FEW = 200, 40
"""At most so many steps of a run are measured, evenly spaced; while a race goes on."""

Lengths = tuple[NDArray[np.int64], Distances]
"""The steps that the lengths are of, (T,), and the lengths, those not measured NaN."""


def refusal(objective: Objective) -> str:
    """Why the steps have no length in the space of distributions; empty if they have."""
    loss = objective.loss
    return "" if loss.density else f"{loss.title} is not the negative log of a density: there are no distributions"


def lengths(
    objective: Objective, path: list[tuple[int, NDArray[Any]]], cancel: Cancel, *, coarse: bool
) -> Iterator[Lengths]:
    """Of the steps between the snapshots of a run, which are its steps as long as all are kept."""
    count = len(path) - 1
    chosen = np.unique(np.linspace(0, count - 1, min(count, _FEW if coarse else MOST)).round().astype(np.int64))
    steps = np.array([step for step, _ in path[1:]], dtype=np.int64)
    for found in distances(objective, [theta for _, theta in path], cancel, chosen):
        yield steps, found


def draw(frame: Frame, lines: Lines, answer: Lengths, step: int, colour: QColor, theme: themes.Theme) -> str:
    """Three curves on one logarithmic axis; returns what they say of the step."""
    steps, found = answer
    along = steps.astype(float)
    known = np.isfinite(found.divergences)

    def line(values: Array, style: Any) -> Line:
        return Line(along[known], logarithm(values[known]), style)

    curves = [
        line(found.euclidean, pen(theme.muted, 1.4, Qt.PenStyle.DotLine)),
        line(found.quadratic, pen(colour, 1.4, Qt.PenStyle.DashLine)),
        line(found.divergences, pen(colour, 1.8)),
    ]
    heights = np.concatenate([curve.y[np.isfinite(curve.y)] for curve in curves])
    if not len(heights):
        lines.show_lines([])
        return "no step has moved yet"
    low, high = float(heights.min()), float(heights.max())
    room = 0.06 * max(high - low, 1.0)
    hair = Line(np.full(2, float(step)), np.array([low - room, high + room]), pen(theme.marker, 1))
    lines.show_lines([hair, *curves])
    frame.fit(0.0, float(max(steps[-1], 1)), low - room, high + room, growing=False)
    at = int(np.searchsorted(steps, step))
    if at < len(steps) and steps[at] == step and known[at]:
        kl, metric, length = (compact(float(v[at])) for v in (found.divergences, found.quadratic, found.euclidean))
        return f"KL {kl} nats — · ½δᵀFδ {metric} – – · ‖δ‖ {length} ···"
    return "— KL, nats a case · – – ½δᵀFδ · ··· ‖δ‖"

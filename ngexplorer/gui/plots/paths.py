"""Paths on a plane: projected once, and a window that has room for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF

from ngexplorer.analysis.planes import Array, Plane, Window
from ngexplorer.gui.plots import chosen_plane
from ngexplorer.gui.plots.axes import holds
from ngexplorer.runs.history import History

_NOWHERE = (np.empty(0, np.int64), np.empty((0, 4)))


class Projections:
    """Where the points of the runs' paths are on a plane, of which only what was not asked before is computed."""

    def __init__(self) -> None:
        self._plane: Plane | None = None
        self._places: dict[History, tuple[NDArray[np.int64], Array]] = {}
        """Their steps, ascending, and the points."""
        self._boxes: dict[History, tuple[int, QRectF]] = {}
        """The step that each had come to, and where all of its path goes."""

    def on(self, plane: Plane, history: History, step: int) -> Array:
        """A run's path up to a step: x, y, distance from the plane and from its centre, (T, 4)."""
        if self._plane is not plane:
            self._plane, self._places, self._boxes = plane, {}, {}
        steps, rows = self._places.get(history, _NOWHERE)
        path = history.snapshots.until(step, chosen_plane.POINTS)
        wanted = np.fromiter((at for at, _ in path), np.int64, len(path))
        new = ~np.isin(wanted, steps, assume_unique=True)
        if new.any():
            thetas = chosen_plane.stacked([path[i] for i in np.flatnonzero(new)])
            xy, distance = plane.project(thetas)
            length = np.linalg.norm(thetas - plane.origin, axis=1)
            steps = np.concatenate((steps, wanted[new]))
            order = np.argsort(steps)
            rows = np.concatenate((rows, np.column_stack((xy, distance, length))))[order]
            steps = steps[order]
            self._places[history] = steps, rows
        return rows[np.searchsorted(steps, wanted)]

    def whole(self, plane: Plane, history: History) -> QRectF:
        """Where on the plane all of a run's path goes."""
        step = len(history) - 1
        known = self._boxes.get(history) if self._plane is plane else None
        if known is None or known[0] != step:
            places = self.on(plane, history, step)[:, :2]
            places = places[np.isfinite(places).all(1)]
            box = QRectF()
            if len(places):
                (left, low), (right, high) = places.min(0).tolist(), places.max(0).tolist()
                box = QRectF(left, low, max(right - left, 1e-300), max(high - low, 1e-300))
            known = self._boxes[history] = (step, box)
        return known[1]


def holding(shown: Window | None, usual: Window, boxes: list[QRectF], reach: float) -> Window:
    """A window that holds the usual one and the paths in `boxes`: the one that is shown as long as it does and they are
    not lost in it, else one with room to grow where they leave the usual one. Paths that go further from that than
    `reach` times its size are let go."""
    left, right, low, high = wanted = usual
    far_x, far_y = reach * (right - left), reach * (high - low)
    near = QRectF(left - far_x, low - far_y, 2 * far_x + right - left, 2 * far_y + high - low)
    for box in boxes:
        if near.contains(box):
            x, y = (wanted[0], wanted[1], box.left(), box.right()), (wanted[2], wanted[3], box.top(), box.bottom())
            wanted = (min(x), max(x), min(y), max(y))
    if wanted == usual:
        return usual
    if shown is not None and holds(shown, wanted):
        return shown
    across, up = 0.25 * (wanted[1] - wanted[0]), 0.25 * (wanted[3] - wanted[2])
    return (
        wanted[0] - (across if wanted[0] < left else 0.0),
        wanted[1] + (across if wanted[1] > right else 0.0),
        wanted[2] - (up if wanted[2] < low else 0.0),
        wanted[3] + (up if wanted[3] > high else 0.0),
    )

"""Paths on a plane: projected once, and a window that has room for them."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF

from ngexplorer.analysis.planes import Array, Plane, Window
from ngexplorer.gui.plots import chosen_plane
from ngexplorer.gui.plots.axes import holds
from ngexplorer.runs.history import History


class Projections:
    """Where the points of the runs' paths are on a plane, of which only what was not asked before is computed."""

    def __init__(self) -> None:
        self._plane: Plane | None = None
        self._places: dict[History, dict[int, Array]] = {}

    def on(self, plane: Plane, history: History, step: int) -> Array:
        """A run's path up to a step: x, y, distance from the plane and from its centre, (T, 4)."""
        if self._plane is not plane:
            self._plane, self._places = plane, {}
        known = self._places.setdefault(history, {})
        path = history.snapshots.until(step, chosen_plane.POINTS)
        new = [(at, theta) for at, theta in path if at not in known]
        if new:
            thetas = chosen_plane.stacked(new)
            xy, distance = plane.project(thetas)
            length = np.linalg.norm(thetas - plane.origin, axis=1)
            rows = np.column_stack((xy, distance, length))
            known.update(zip((at for at, _ in new), rows, strict=True))
        return np.stack([known[at] for at, _ in path])


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

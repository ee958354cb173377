"""Planes in parameter space, and the loss on them: what a trajectory view shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.objectives import Objective

Array = NDArray[np.float64]
Window = tuple[float, float, float, float]
"""x from, x to, y from, y to, in coordinates of the plane."""


@dataclass(frozen=True)
class Plane:
    """θ = origin + a·axes[0] + b·axes[1]: origin (P,), axes (2, P) orthonormal.

    `explained` holds the share of the paths' variance along each axis; NaN where the plane is no fit.
    """

    origin: Array
    axes: Array
    explained: tuple[float, float]

    def project(self, thetas: Array) -> tuple[Array, Array]:
        """Coordinates (T, 2) of points (T, P) in the plane, and their distances from it, (T,)."""
        offsets = thetas - self.origin
        coordinates = offsets @ self.axes.T
        # ‖offset‖² − ‖coordinates‖² would cancel for points near the plane.
        residuals = np.linalg.norm(offsets - coordinates @ self.axes, axis=1)
        return coordinates, residuals


def coordinate_plane() -> Plane:
    """The plane of an objective that has just two parameters: the parameters themselves."""
    return Plane(np.zeros(2), np.eye(2), (float("nan"), float("nan")))


def principal_plane(paths: Sequence[Array]) -> Plane:
    """The plane of the first two principal components of all points (T_i, P) of the paths, through their mean.

    Points of the paths weigh alike. With fewer than two directions of variance the missing axes are completed by
    coordinate directions. Raises ValueError without any point.
    """
    points = np.concatenate([np.asarray(path, dtype=np.float64) for path in paths if len(path)] or [np.empty((0, 0))])
    if not len(points):
        raise ValueError("paths: no points; a plane needs at least one")
    origin = points.mean(0)
    centred = points - origin
    # The Gram matrix, (T, T): there are fewer points than parameters, or hardly more.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    total = max(float(values.sum()), 0.0)
    axes: list[Array] = []
    shares = []
    for i in (-1, -2):
        enough = len(values) >= -i and values[i] > 1e-12 * max(total, 1e-300)
        axis = centred.T @ vectors[:, i] if enough else np.zeros_like(origin)
        axes.append(_completed(axis, axes))
        shares.append(float(values[i]) / total if enough else 0.0)
    return Plane(origin, np.stack(axes), (shares[0], shares[1]))


def _completed(axis: Array, before: list[Array]) -> Array:
    """`axis` made orthonormal to those before it; a coordinate direction where nothing of it is left."""
    for candidate in (axis, *np.eye(len(axis))[: len(before) + 1]):
        rest = candidate - sum((np.dot(candidate, b) * b for b in before), np.zeros_like(axis))
        length = float(np.linalg.norm(rest))
        if length > 1e-9 * max(float(np.linalg.norm(candidate)), 1e-300):
            return rest / length
    raise ValueError("a plane needs at least two parameters")


def window_around(points: Array, aspect: float, margin: float, least: float = 1e-6) -> Window:
    """The smallest window of width = aspect · height that holds the points (T, 2) with that share of room around, and
    reaches `least` from its centre at least."""
    low, high = points.min(0), points.max(0)
    centre, half = (low + high) / 2, np.maximum((high - low) / 2, least) * (1 + margin)
    half = np.maximum(half, (half[1] * aspect, half[0] / aspect))
    left, right = float(centre[0] - half[0]), float(centre[0] + half[0])
    return (left, right, float(centre[1] - half[1]), float(centre[1] + half[1]))


@dataclass(frozen=True)
class Surface:
    """The loss h on a grid of the plane: values[j, i] at (xs[i], ys[j])."""

    plane: Plane
    xs: Array
    ys: Array
    values: Array

    @property
    def window(self) -> Window:
        return (float(self.xs[0]), float(self.xs[-1]), float(self.ys[0]), float(self.ys[-1]))


def surface(
    objective: Objective, plane: Plane, window: Window, cancel: Cancel, sizes: Sequence[int] = (17, 33, 65)
) -> Iterator[Surface]:
    """h on finer and finer grids of a window of the plane, the first one within a moment.

    Each size is one less than twice the next minus one (17, 33, 65), so a finer grid holds the coarser one and only
    its new points are evaluated. Raises Cancelled.
    """
    known: Array | None = None
    origin, axes = (torch.as_tensor(a).to(objective.initial_parameters) for a in (plane.origin, plane.axes))
    for size in sizes:
        xs, ys = np.linspace(*window[:2], size), np.linspace(*window[2:], size)
        values = np.full((size, size), np.nan)
        if known is not None:
            values[::2, ::2] = known
        for j, y in enumerate(ys):
            row: list[Any] = []
            missing = np.flatnonzero(np.isnan(values[j])) if known is not None and j % 2 == 0 else np.arange(size)
            for i in missing:
                if cancel():
                    raise Cancelled
                row.append(objective.value(origin + xs[i] * axes[0] + y * axes[1]))
            if row:
                values[j, missing] = torch.stack(row).double().cpu().numpy()
        known = values
        yield Surface(plane, xs, ys, values)

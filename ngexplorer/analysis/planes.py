"""Planes in parameter space, and the loss on them: what a trajectory view shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.analysis.evaluation import losses, operations
from ngexplorer.cancellation import Cancel, Progress, unseen
from ngexplorer.objectives import Objective

Array = NDArray[np.float64]
Window = tuple[float, float, float, float]
"""x from, x to, y from, y to, in coordinates of the plane."""


@dataclass(frozen=True)
class Plane:
    """θ = origin + a·axes[0] + b·axes[1]: origin (P,), axes (2, P) orthonormal.

    `explained` holds the share of the paths' variance along each axis; NaN where the plane is no fit. `unit` is the
    length in θ of the directions that the plane was made of, where they have one: a scale to look at it by.
    """

    origin: Array
    axes: Array
    explained: tuple[float, float] = (float("nan"), float("nan"))
    unit: float = 1.0

    def project(self, thetas: Array) -> tuple[Array, Array]:
        """Coordinates (T, 2) of points (T, P) in the plane, and their distances from it, (T,)."""
        offsets = thetas - self.origin
        coordinates = offsets @ self.axes.T
        # ‖offset‖² − ‖coordinates‖² would cancel for points near the plane.
        residuals = np.linalg.norm(offsets - coordinates @ self.axes, axis=1)
        return coordinates, residuals

    def points(self, coordinates: Array) -> Array:
        """The points (T, P) at coordinates (T, 2)."""
        return self.origin + coordinates @ self.axes

    def explains(self, thetas: Array) -> tuple[float, float]:
        """The share of the variance of points (T, P) around their mean that lies along each axis; NaN where they do not
        vary."""
        centred = thetas - thetas.mean(0)
        total = float(np.square(centred).sum())
        along = np.square(centred @ self.axes.T).sum(0)
        return (float(along[0]) / total, float(along[1]) / total) if total > 0 else (float("nan"), float("nan"))


def coordinate_plane() -> Plane:
    """The plane of an objective that has just two parameters: the parameters themselves."""
    return Plane(np.zeros(2), np.eye(2))


def spanned_plane(origin: Array, first: Array, second: Array) -> Plane:
    """The plane through a point (P,) along two directions (P,): a step and the gradient, say, or two eigenvectors.

    The first axis is the first direction, the second what the other has at right angles to it. A direction that is
    zero, or parallel to the other, is replaced by a coordinate direction; `unit` is the longer one's length.
    """
    axes: list[Array] = []
    for direction in (first, second):
        axes.append(_completed(np.asarray(direction, dtype=np.float64), axes))
    longest = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
    return Plane(np.asarray(origin, dtype=np.float64), np.stack(axes), unit=longest or 1.0)


def plane_through(points: Array) -> Plane:
    """The plane through three points (3, P), its origin their mean, its first axis from the first to the second. Raises
    ValueError for another number of them."""
    if len(points) != 3:
        raise ValueError(f"points: {len(points)}; a plane goes through 3")
    first, second, third = np.asarray(points, dtype=np.float64)
    plane = spanned_plane((first + second + third) / 3, second - first, third - first)
    return replace(plane, explained=plane.explains(np.stack((first, second, third))))


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
    for candidate in (axis, *np.eye(len(before) + 1, len(axis))):
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
    """The loss h on a grid of the plane: values[j, i] at (xs[i], ys[j]); `done` is the share of the work asked for that
    has been done with it, from 0 to 1."""

    plane: Plane
    xs: Array
    ys: Array
    values: Array
    done: float = 1.0

    @property
    def window(self) -> Window:
        return (float(self.xs[0]), float(self.xs[-1]), float(self.ys[0]), float(self.ys[-1]))


_FIRST = 9e8
"""Floating-point operations of a first picture, in double precision: a tenth of a second at the pace of small matrices
on one core, and no more than a quarter where that core is shared."""


def surface(
    objective: Objective,
    plane: Plane,
    window: Window,
    cancel: Cancel,
    sizes: Sequence[int] = (17, 33, 65),
    progress: Progress = unseen,
) -> Iterator[Surface]:
    """h on finer and finer grids of a window of the plane, the first one within a moment.

    Each size is one less than twice the next minus one (17, 33, 65), so a finer grid holds the coarser one and only
    its new points are evaluated. Where the first would take longer than that moment, coarser ones come before it.
    `progress` is told the share of all points that is done. Raises Cancelled.
    """
    cost = operations(objective) * objective.initial_parameters.element_size() / 8
    sizes = (*_before(sizes[0], cost), *sizes)
    origin, axes = (torch.as_tensor(a, dtype=torch.float64) for a in (plane.origin, plane.axes))
    known: Array | None = None
    for size in sizes:
        xs, ys = np.linspace(*window[:2], size), np.linspace(*window[2:], size)
        values = np.full((size, size), np.nan)
        new = np.ones((size, size), dtype=bool)
        if known is not None:
            values[::2, ::2], new[::2, ::2] = known, False
        rows, columns = np.nonzero(new)
        coordinates = torch.as_tensor(np.stack((xs[columns], ys[rows]), 1))
        before, count = size**2 - len(rows), sizes[-1] ** 2

        def points(some: slice, coordinates: Tensor = coordinates) -> Tensor:
            return (origin + coordinates[some] @ axes).to(objective.initial_parameters)

        def tell(share: float, before: int = before, new: int = len(rows), count: int = count) -> None:
            progress((before + share * new) / count)

        values[rows, columns] = losses(objective, points, len(rows), cancel, tell)
        known = values
        yield Surface(plane, xs, ys, values, size**2 / count)


def _before(size: int, cost: float) -> list[int]:
    """Coarser grids before the one of that size, down to the first whose points of that cost take a moment, or 3."""
    coarser: list[int] = []
    while size > 3 and size % 2 and size**2 * cost > _FIRST:
        size = (size + 1) // 2
        coarser.insert(0, size)
    return coarser

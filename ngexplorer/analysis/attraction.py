"""Basins of attraction: where an optimizer ends from many starts on a landscape of two parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ngexplorer.analysis.planes import Array, Window
from ngexplorer.cancellation import Cancel
from ngexplorer.curvature import IndefiniteError
from ngexplorer.objectives import Objective
from ngexplorer.optimizers import Optimizer

UNKNOWN, DIVERGED, WANDERING = -3, -2, -1
"""What stands in `Basins.basin` where no run has been made yet, where one diverged or left every bound, and where one
had not come to rest after its last step."""

_AT_REST = 1e-2
"""Of the window's size: ends so close together are one place."""
_GRADIENT = 1e-7
"""Of the largest gradient on the way: below it, a run has come to rest."""


@dataclass(frozen=True)
class Basins:
    """Ends of runs from a grid of starts, at (xs[i], ys[j]).

    ends: (J, I, 2), NaN where unknown or diverged. basin: (J, I), the index in `places` of where the run came to rest,
    or UNKNOWN, DIVERGED, WANDERING. steps: how many it took, (J, I). losses: h at the end, (J, I). places: (K, 2), in
    the order in which they were found. `done`: the share of all starts that is known.
    """

    xs: Array
    ys: Array
    ends: Array
    basin: NDArray[np.int64]
    steps: NDArray[np.int64]
    losses: Array
    places: Array
    done: float


def basins(
    objective: Objective,
    optimizer: Optimizer,
    window: Window,
    cancel: Cancel,
    sizes: Sequence[int] = (9, 17, 33),
    steps: int = 300,
    seed: int = 0,
) -> Iterator[Basins]:
    """Run an optimizer from every point of finer and finer grids of starts, at most so many steps each; an answer comes
    with every row of starts.

    A run is at rest where its gradient has fallen to 1e-7 of its largest: in a minimum, or wherever else a method
    that is drawn to it may stand. Raises ValueError unless there are two parameters, and Cancelled, which is asked for
    within each step too.
    """
    if objective.parameters != 2:
        raise ValueError(f"objective: {objective.parameters} parameters; starts on a plane need 2")
    size_of_window = max(window[1] - window[0], window[3] - window[2])
    places: list[Array] = []
    known: Basins | None = None
    for size in sizes:
        xs, ys = np.linspace(*window[:2], size), np.linspace(*window[2:], size)
        ends, losses = np.full((size, size, 2), np.nan), np.full((size, size), np.nan)
        basin, taken = np.full((size, size), UNKNOWN), np.zeros((size, size), dtype=np.int64)
        if known is not None:
            for whole, part in ((ends, known.ends), (losses, known.losses), (basin, known.basin), (taken, known.steps)):
                whole[::2, ::2] = part
        for j, y in enumerate(ys):
            for i in np.flatnonzero(basin[j] == UNKNOWN):
                end = _run(objective, optimizer, (float(xs[i]), float(y)), size_of_window, steps, seed, cancel)
                ends[j, i], losses[j, i], taken[j, i] = end.place, end.loss, end.steps
                basin[j, i] = _nearest(end, places, _AT_REST * size_of_window)
            done = float((basin != UNKNOWN).sum()) / sizes[-1] ** 2
            found = np.array(places).reshape(-1, 2)
            known = Basins(xs, ys, ends.copy(), basin.copy(), taken.copy(), losses.copy(), found, done)
            yield known


@dataclass(frozen=True)
class _End:
    place: tuple[float, float]
    loss: float
    steps: int
    state: int
    """0 where it came to rest, or DIVERGED, or WANDERING"""


def _run(
    objective: Objective,
    optimizer: Optimizer,
    start: tuple[float, float],
    size: float,
    steps: int,
    seed: int,
    cancel: Cancel,
) -> _End:
    """One run from one start."""
    theta = torch.tensor(start).to(objective.initial_parameters)
    nowhere = (math.nan, math.nan)
    stepper = optimizer.start(objective, theta, seed)
    if not math.isfinite(float(stepper.point.value)):
        return _End(nowhere, math.nan, 0, DIVERGED)
    steepest, state, taken = 0.0, WANDERING, 0
    for _ in range(steps):
        try:
            step = stepper.step(cancel)
        except (IndefiniteError, torch.linalg.LinAlgError):
            break  # the method has no way on from here
        taken += 1
        if not math.isfinite(step.loss_after):
            return _End(nowhere, math.nan, taken, DIVERGED)
        gradient = float(torch.linalg.vector_norm(stepper.point.gradient))
        steepest = max(steepest, step.gradient_norm, gradient)
        if gradient <= _GRADIENT * steepest:
            state = 0
            break
    x, y = stepper.point.theta.tolist()
    if max(abs(x - start[0]), abs(y - start[1])) > 1e3 * size:
        return _End(nowhere, math.nan, taken, DIVERGED)
    return _End((x, y), float(stepper.point.value), taken, state)


def _nearest(end: _End, places: list[Array], reach: float) -> int:
    """The index of the place where a run came to rest, a new one where there is none so near."""
    if end.state < 0:
        return end.state
    here = np.array(end.place)
    for k, place in enumerate(places):
        if float(np.linalg.norm(here - place)) <= reach:
            return k
    places.append(here)
    return len(places) - 1

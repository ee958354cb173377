"""Basins of attraction: where an optimizer ends from many starts on a landscape of two parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

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
_OFTEN = 0.2
"""Seconds after which an answer comes within a row of starts too."""
_GRADIENT = 1e-7
"""Of the gradient that is usual in the window: below it, a run has come to rest."""


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

    @property
    def filled(self) -> NDArray[np.int64]:
        """`basin`, with what the coarser grid says of the place where a start is not known yet, (J, I)."""
        j, i = np.indices(self.basin.shape)
        coarser = self.basin[j - j % 2, i - i % 2]
        return np.where(self.basin == UNKNOWN, coarser, self.basin)

    def share(self, basin: int) -> float:
        """The share of the known starts that end there."""
        known = self.basin != UNKNOWN
        return float((self.basin == basin).sum() / max(known.sum(), 1))

    def loss(self, basin: int) -> float:
        """The lowest loss at the ends of that basin; NaN where there is none."""
        found = self.losses[self.basin == basin]
        return float(found.min()) if len(found) else math.nan


def basins(
    objective: Objective,
    optimizer: Optimizer,
    window: Window,
    cancel: Cancel,
    sizes: Sequence[int] = (9, 17, 33),
    steps: int = 300,
    seed: int = 0,
    known: Basins | None = None,
) -> Iterator[Basins]:
    """Run an optimizer from every point of finer and finer grids of starts, at most so many steps each; an answer comes
    with every row of starts, and within a slow row every fifth of a second.

    known: an answer of the same question, from which to go on: no start that it knows is run again.
    A run is at rest where its gradient has fallen to 1e-7 of what is usual in the window: in a minimum, or in a saddle
    point that draws the method. Raises ValueError unless there are two parameters, and Cancelled, which is asked for
    within each step too.
    """
    if objective.parameters != 2:
        raise ValueError(f"objective: {objective.parameters} parameters; starts on a plane need 2")
    width = max(window[1] - window[0], window[3] - window[2])
    still = _GRADIENT * _usual_gradient(objective, window)
    places: list[Array] = [] if known is None else list(known.places)
    for size in sizes:
        if known is not None and size < len(known.xs):
            continue
        xs, ys = np.linspace(*window[:2], size), np.linspace(*window[2:], size)
        ends, losses = np.full((size, size, 2), np.nan), np.full((size, size), np.nan)
        basin, taken = np.full((size, size), UNKNOWN), np.zeros((size, size), dtype=np.int64)
        if known is not None:
            stride = (size - 1) // (len(known.xs) - 1)
            for whole, part in ((ends, known.ends), (losses, known.losses), (basin, known.basin), (taken, known.steps)):
                whole[::stride, ::stride] = part
        told = monotonic()
        for j, y in enumerate(ys):
            unknown = np.flatnonzero(basin[j] == UNKNOWN)
            for i in unknown:
                end = _run(objective, optimizer, (float(xs[i]), float(y)), width, still, steps, seed, cancel)
                ends[j, i], losses[j, i], taken[j, i] = end.place, end.loss, end.steps
                basin[j, i] = _nearest(end, places, _AT_REST * width)
                if i == unknown[-1] or monotonic() - told > _OFTEN:
                    done = float((basin != UNKNOWN).sum()) / sizes[-1] ** 2
                    found = np.array(places).reshape(-1, 2)
                    known = Basins(xs, ys, ends.copy(), basin.copy(), taken.copy(), losses.copy(), found, done)
                    told = monotonic()
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
    width: float,
    still: float,
    steps: int,
    seed: int,
    cancel: Cancel,
) -> _End:
    """One run from one start, until its gradient is no longer than `still`."""
    theta = torch.tensor(start).to(objective.initial_parameters)
    nowhere = (math.nan, math.nan)
    stepper = optimizer.start(objective, theta, seed)
    if not math.isfinite(float(stepper.point.value)):
        return _End(nowhere, math.nan, 0, DIVERGED)
    state, taken = WANDERING, 0
    for _ in range(steps):
        try:
            step = stepper.step(cancel)
        except (IndefiniteError, torch.linalg.LinAlgError):
            break  # the method has no way on from here
        taken += 1
        if not math.isfinite(step.loss_after):
            return _End(nowhere, math.nan, taken, DIVERGED)
        if float(torch.linalg.vector_norm(stepper.point.gradient)) <= still:
            state = 0
            break
    x, y = stepper.point.theta.tolist()
    if max(abs(x - start[0]), abs(y - start[1])) > 1e3 * width:
        return _End(nowhere, math.nan, taken, DIVERGED)
    return _End((x, y), float(stepper.point.value), taken, state)


def _usual_gradient(objective: Objective, window: Window) -> float:
    """The median of ‖∇h‖ on a grid of 3 × 3 points."""
    starts = [(x, y) for x in np.linspace(*window[:2], 3) for y in np.linspace(*window[2:], 3)]
    thetas = [torch.tensor(start).to(objective.initial_parameters) for start in starts]
    norms = np.array([float(torch.linalg.vector_norm(objective.gradient(theta))) for theta in thetas])
    finite = norms[np.isfinite(norms)]
    return float(np.median(finite)) if len(finite) else 0.0


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

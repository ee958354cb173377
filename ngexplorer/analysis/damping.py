"""The damping path: where δ(λ) = −(B + λI)⁻¹g lands for every λ from Newton's step (λ → 0) to gradient descent's
direction (λ → ∞), what the quadratic model promises there, and what comes (Martens 2020, §10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ngexplorer.analysis.evaluation import losses
from ngexplorer.analysis.planes import Array
from ngexplorer.analysis.shifted_solutions import Shifted, shifted
from ngexplorer.curvature import Curvature

_LEAST, _MOST = 1e-6, 1e3
"""Between these multiples of |λ|max above its floor, λ goes from a step that is all but Newton's to one that is all but
gradient descent's."""
_ROUNDING = 1e3
"""And it is at least so many units of |λ|max's last place above it: eigenvalues are known no better, and a step with
less damping would be made of their rounding."""
_SIZES = (9, 17, 33, 65)


@dataclass(frozen=True)
class DampingPath:
    """The path at L values of λ, ascending; all but `solution` are (L,) arrays.

    solution: δ(λ) for any λ, in closed form. norms: ‖δ‖. promised: M(δ) − M(0) without the damping,
    promised_damped: with ½λ‖δ‖². losses: h(θ + δ), loss: h(θ). angles: between δ and −g, in degrees. residuals:
    ‖(B + λI)δ + g‖/‖g‖, zero where the solution is exact. `done` is the share of the work asked for.
    """

    solution: Shifted
    dampings: Array
    norms: Array
    promised: Array
    promised_damped: Array
    loss: float
    losses: Array
    angles: Array
    residuals: Array
    done: float

    @property
    def changes(self) -> Array:
        """h(θ + δ) − h(θ), (L,)."""
        return self.losses - self.loss

    @property
    def ratios(self) -> Array:
        """ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0)) of the undamped model, (L,); NaN where it promises nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.promised == 0, np.nan, self.changes / self.promised)

    @property
    def damped_ratios(self) -> Array:
        """ρ of the damped model, (L,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.promised_damped == 0, np.nan, self.changes / self.promised_damped)

    @property
    def best(self) -> int:
        """The index of the λ with the lowest loss."""
        return int(np.argmin(np.where(np.isfinite(self.losses), self.losses, np.inf)))


def damping_path(matrix: Curvature, dampings: Array | None = None) -> Iterator[DampingPath]:
    """The damping path of a matrix from its point, coarse first: nine values of λ in a small Krylov space, then better
    solutions, then more values.

    dampings: λ to look at, ascending, (L,). None: evenly spaced in log(λ − floor), where the floor is 0 for a positive
    semi-definite B and −λmin for an indefinite one: below it M has no minimum to go to. Nothing is looked at there, and
    given values at or below the floor are left out. Watched by the point. Raises ValueError where the gradient is zero
    or no λ is left, and Cancelled.
    """
    sizes = _SIZES if dampings is None else (len(dampings),)
    path: DampingPath | None = None
    gradient = matrix.point.gradient
    least = max(_LEAST, _ROUNDING * torch.finfo(gradient.dtype).eps)
    for found in shifted(matrix, gradient, least):
        path = _evaluated(matrix, found, _chosen(found, dampings, sizes[0], least), None, sizes[0] / sizes[-1] / 2)
        yield path
    assert path is not None
    for size in sizes[1:]:
        path = _evaluated(matrix, path.solution, _chosen(path.solution, None, size, least), path, size / sizes[-1])
        yield path
    if path.done < 1:
        yield replace(path, done=1.0)


def _chosen(solution: Shifted, dampings: Array | None, size: int, least: float) -> Array:
    """λ to look at: `size` of them, evenly spaced in the logarithm above the floor, or those given above it."""
    if dampings is None:
        return solution.floor + solution.scale * np.geomspace(least, _MOST, size)
    above = np.sort(np.asarray(dampings, dtype=np.float64))
    above = above[above + solution.values[0] > 0]
    if not len(above):
        raise ValueError(f"dampings: none above {solution.floor:g}, where the damped model has a minimum")
    return above


def _evaluated(
    matrix: Curvature, solution: Shifted, dampings: Array, before: DampingPath | None, done: float
) -> DampingPath:
    """The path there; losses of every second λ are those of the path before, where it has half as many."""
    point = matrix.point
    values = np.full(len(dampings), np.nan)
    missing = np.arange(len(dampings))
    if before is not None:
        values[::2], missing = before.losses, missing[1::2]

    def points(some: slice) -> Tensor:
        moved = solution.steps(dampings[missing[some]])
        return point.theta + moved.to(point.theta)

    with point.watch.telling() as tell:
        values[missing] = losses(point.objective, points, len(missing), point.watch.cancel, tell)
    norms = solution.norms(dampings)
    damped = solution.damped_promises(dampings)
    # gᵀδ = 2 (M_damped(δ) − M(0)).
    cosines = np.clip(-2 * damped / (norms * np.linalg.norm(solution.inside)), -1, 1)
    return DampingPath(
        solution,
        dampings,
        norms,
        solution.promises(dampings),
        damped,
        float(point.value),
        values,
        np.degrees(np.arccos(cosines)),
        solution.residuals(dampings),
        done,
    )

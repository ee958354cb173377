"""What lies around a θ of a run: the loss and its quadratic models on a plane, the damping path, where a trust region
ends, and the steps of other methods (Martens 2020, §7 and §10)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ngexplorer.analysis.damping import DampingPath, damping_path
from ngexplorer.analysis.damping_filter import filtering
from ngexplorer.analysis.evaluation import losses, operations
from ngexplorer.analysis.local_model import Quadratic, quadratic_model, square_norm
from ngexplorer.analysis.method_steps import Arrows, arrows
from ngexplorer.analysis.momentum_part import momentum_part
from ngexplorer.analysis.own_damping import own_damping
from ngexplorer.analysis.planes import (
    Array,
    Plane,
    Surface,
    Window,
    coordinate_plane,
    spanned_plane,
    surface,
    window_around,
)
from ngexplorer.cancellation import Cancel
from ngexplorer.curvature import Curvature
from ngexplorer.curvature.kinds import KINDS, curvatures
from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import Optimizer, parts
from ngexplorer.runs import Run

_REMEMBERED = 60
"""Of the steps before, so many: 0.9⁶⁰ of what Nesterov's momentum carries is older."""
_PARALLEL = 0.01
"""Sine of the angle below which two directions do not span a plane that is worth looking at."""
_LONG = 4.0
"""Beside what the path shows, steps longer than so many times its own are not what the window is for."""
_MARGIN, _BEYOND = 0.1, 0.15
"""Room around what is to be seen, and how far the surface reaches beyond, as shares of the extent."""
_PACE = 1.2e10
"""Floating-point operations a second, about, of small matrices on one core."""


@dataclass(frozen=True)
class Standpoint:
    """Where a run stands at a step, and what is known of its step from there."""

    objective: Objective
    optimizer: Optimizer
    step: int
    theta: NDArray[np.floating]
    """(P,)"""
    taken: Array | None
    """The step it took from there, (P,), if it has and both ends are kept"""
    damping: float
    """The λ of that step; NaN where it has not been taken or there is none"""
    control: float
    """What its rule would damp its next step with: λ, Δ or M; NaN where that is over"""
    carried: Array | None
    """What momentum adds to it, (P,), if anything"""
    draw: int
    """The seed of what the run draws for that step"""
    rejected: tuple[float, ...] = ()
    """The λ of the trials that it rejected before it took that step; of rules that choose λ alone"""


def standpoint(run: Run, step: int) -> Standpoint:
    """Of a run at a step, of which the parameters are kept (`history.parameters` says which are). Safe beside the
    thread that the run goes on in. Raises ValueError for another step."""
    snapshots = run.history.snapshots

    def kept(at: int) -> Array | None:
        theta, there = snapshots.nearest(at)
        return theta.astype(np.float64) if there == at else None

    theta, at = snapshots.nearest(step)
    if at != step:
        raise ValueError(f"step {step}: its parameters are not kept; the nearest are those of step {at}")
    gone = len(run.history) > step + 1
    ahead = kept(step + 1) if gone else None
    row = run.history.row(step + 1) if gone else None
    path = [kept(at) for at in range(max(0, step - _REMEMBERED), step + 1)]
    before: list[Array] = []
    for one, other in pairwise(path):
        before = [*before, other - one] if one is not None and other is not None else []
    optimizer = run.optimizer_of(step + 1) if gone else run.optimizer
    mu = float(row["momentum"]) if row else math.nan
    return Standpoint(
        objective=run.objective,
        optimizer=optimizer,
        step=step,
        theta=theta,
        taken=None if ahead is None else ahead - theta,
        damping=float(row["damping"]) if row else math.nan,
        control=math.nan if gone else run.damping,
        carried=momentum_part(optimizer, before, None if math.isnan(mu) else mu),
        draw=run.history.seed * 1_000_003 + step + 1,
        rejected=_rejected(run, optimizer, step + 1),
    )


def _rejected(run: Run, optimizer: Optimizer, step: int) -> tuple[float, ...]:
    if isinstance(optimizer.damping, parts.TrustRegion | parts.Cubic):  # what they try is Δ or a weight
        return ()
    return tuple(trial.damping for trial in run.history.rejections.get(step, ()))


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The plane and what is seen on it; what is None or missing is still to come, `done` the share that is there."""

    stand: Standpoint
    matrix: Curvature
    """B of the damping path"""
    plane: Plane
    spanned: str
    """What the plane was made of, in words"""
    window: Window
    """What to look at; the surface reaches a little beyond"""
    path: DampingPath
    seen: Array
    """The path's eigenvectors seen from the plane's axes, (m, 2)"""
    own: float
    """The run's λ on the path; NaN where it has none"""
    metric: Quadratic
    """‖δ‖²_C on the plane, of the norm C in which the run's rule bounds a step: I, or B where it does not damp"""
    models: dict[str, Quadratic] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why there is no such matrix, by its name"""
    surface: Surface | None = None
    arrows: Arrows | None = None
    damped: float = math.nan
    """The λ of the arrows: the run's own, or where it has none the best of the path"""
    done: float = 0.0

    @property
    def centre(self) -> Array:
        """θ on the plane, (2,)."""
        return self.plane.project(self.stand.theta[None].astype(np.float64))[0][0]

    @property
    def euclidean(self) -> bool:
        """Whether a step is bounded in ‖δ‖, not in ‖δ‖_B."""
        return not _in_own_norm(self.stand.optimizer)

    @property
    def kind(self) -> str:
        """What B is, in words."""
        return self.matrix.title

    # λ along the path: shares from 0 at Newton's end to 1 at gradient descent's.

    def damping_at(self, share: float) -> float:
        """λ there: evenly spaced in log(λ − floor)."""
        floor, first, last = self._ends
        return floor + float(first * (last / first) ** share)

    def share_of(self, damping: float) -> float:
        """Where a λ lies, from 0 to 1."""
        floor, first, last = self._ends
        above = max(damping - floor, first)
        return float(min(1.0, math.log(above / first) / math.log(last / first)))

    @property
    def _ends(self) -> tuple[float, float, float]:
        floor = self.path.solution.floor
        return floor, float(self.path.dampings[0] - floor), float(self.path.dampings[-1] - floor)

    def places(self, dampings: Array) -> Array:
        """Where θ + δ(λ) lies on the plane, (L, 2)."""
        return self.centre + self.path.solution.shares(dampings) @ self.seen

    def step(self, damping: float) -> torch.Tensor:
        """δ(λ), (P,)."""
        return self.path.solution.steps(np.array([damping]))[0]

    def promise(self, damping: float) -> float:
        """M(δ(λ)) − M(0) of the model that the run's ρ is of."""
        solution, at = self.path.solution, np.array([damping])
        return float((solution.damped_promises(at) if self._damped else solution.promises(at))[0])

    @property
    def promised(self) -> Array:
        """The same at the path's λ, (L,)."""
        return self.path.promised_damped if self._damped else self.path.promised

    @property
    def ratios(self) -> Array:
        """ρ there, (L,)."""
        return self.path.damped_ratios if self._damped else self.path.ratios

    @property
    def _damped(self) -> bool:
        rule = self.stand.optimizer.damping
        return isinstance(rule, parts.LevenbergMarquardt) and rule.model == "damped"

    def cut(self, damping: float) -> float:
        """The share of ‖∇h‖² along eigenvectors with λ_i ≤ λ, which the damping keeps from Newton's step."""
        return 1 - filtering(self.path.solution, damping).kept

    def length(self, damping: float) -> float:
        """‖δ(λ)‖, or ‖δ(λ)‖_B where the run's rule does not damp."""
        shares = self.path.solution.shares(np.array([damping]))[0]
        weights = 1.0 if self.euclidean else self.path.solution.values
        return math.sqrt(max(0.0, float(np.sum(weights * shares**2))))

    def region(self, damping: float) -> Array | None:
        """The end of the trust region that δ(λ) is the best step of, as a closed line on the plane; None where its norm
        is none there."""
        return self.metric.level(self.length(damping) ** 2)


def _in_own_norm(optimizer: Optimizer) -> bool:
    return optimizer.second_order and isinstance(optimizer.damping, parts.Undamped)


def look_around(stand: Standpoint, point: Point, of: str, aspect: float) -> Iterator[Neighbourhood]:
    """All that is seen from a standpoint, coarse first; `point` is its θ, looked at, and watches the work.

    of: the matrix of the damping path by its name among `KINDS`; empty: the run's own, of a method without one the
    Hessian. aspect: the width of the picture over its height. Raises ValueError where the gradient is zero or the
    objective has no such matrix, and Cancelled.
    """
    watch = point.watch
    found = curvatures(point)
    matrix = _chosen(stand, point, of)
    here: Neighbourhood | None = None
    for path in damping_path(matrix):
        own = _own(stand, path)
        if here is None or here.done == 0:
            plane, spanned = _plane(stand, point, path)
            metric = square_norm(plane, point, matrix if _in_own_norm(stand.optimizer) else None)
            window = _window(stand, plane, path, own, aspect)
        seen = (path.solution.vectors.T.double().cpu() @ torch.as_tensor(plane.axes.T)).numpy()
        here = Neighbourhood(
            stand, matrix, plane, spanned, window, path, seen, own, metric, refused=dict(found.refused)
        )
        yield here
    assert here is not None
    sizes = (17, 33) if operations(stand.objective) * 65**2 > 0.5 * _PACE else (17, 33, 65)
    coarse = surface(stand.objective, plane, _wider(window), watch.cancel, sizes)
    here = replace(here, surface=next(coarse), done=0.4)
    yield here
    for name, one in found.found.items():
        watch.check()
        here = replace(here, models=here.models | {name: quadratic_model(plane, one)})
    yield replace(here, done=0.5)
    damping = here.own if here.own > path.solution.floor else float(path.dampings[path.best])
    carried = None if stand.carried is None else torch.as_tensor(stand.carried).to(point.theta)
    here = replace(here, arrows=arrows(point, damping, carried), done=0.8)
    here = replace(here, damped=damping)
    yield here
    for finer in coarse:
        here = replace(here, surface=finer, done=0.8 + 0.2 * finer.done)
        yield here
    yield replace(here, done=1.0)


def landing(here: Neighbourhood, damping: float, cancel: Cancel) -> Iterator[float]:
    """h(θ + δ(λ)): what comes of the step with that damping."""
    theta = torch.as_tensor(here.stand.theta)
    moved = (theta + here.step(damping).to(theta))[None].to(here.stand.objective.initial_parameters)
    yield float(losses(here.stand.objective, lambda some: moved[some], 1, cancel)[0])


def seconds(objective: Objective) -> float:
    """About how long all of it takes, on one core: the products with B, the systems of the arrows, and the surface."""
    parameters = objective.parameters
    if objective.structured and parameters <= 1500:
        return (30 * parameters**3 + 5 * parameters * objective.gradient_flops * 2 / 3) / (10 * _PACE)
    gradients = 2 * 256 + 300 + 33**2 / 3
    return gradients * objective.gradient_flops / _PACE


def _chosen(stand: Standpoint, point: Point, of: str) -> Curvature:
    part: Any = stand.optimizer.curvature
    if of:
        return KINDS[of](stand.objective, point)
    if isinstance(part, parts.Matrix):
        return part.at(point, stand.draw)
    return KINDS["kfac" if isinstance(part, parts.Kronecker) else "hessian"](stand.objective, point)


def _own(stand: Standpoint, path: DampingPath) -> float:
    if not stand.optimizer.second_order:
        return math.nan
    if not math.isnan(stand.damping):
        return stand.damping
    if math.isnan(stand.control):
        return math.nan
    return own_damping(stand.optimizer.damping, stand.control, path.solution)


def _plane(stand: Standpoint, point: Point, path: DampingPath) -> tuple[Plane, str]:
    """The plane to look at, and what it is in words."""
    if stand.objective.parameters == 2:
        return coordinate_plane(), "its two parameters"
    gradient = point.gradient.double().cpu().numpy()
    newton = path.solution.steps(path.dampings[:1])[0].double().cpu().numpy()
    best = path.solution.steps(path.dampings[path.best : path.best + 1])[0].double().cpu().numpy()
    candidates = [
        (stand.taken, "the step and the gradient"),
        (best, "the best step of the path and the gradient"),
        (newton, "Newton's end of the path and the gradient"),
    ]
    origin = stand.theta.astype(np.float64)
    for step, words in candidates:
        if step is not None and _apart(step, gradient):
            return spanned_plane(origin, step, gradient), words
    return spanned_plane(origin, gradient, newton), "the gradient, along which every step lies"


def _apart(one: Array, other: Array) -> bool:
    """Whether two directions span a plane."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float(one @ other) / lengths if lengths > 0 else 1.0
    return math.sqrt(max(0.0, 1 - cosine**2)) > _PARALLEL


def _window(stand: Standpoint, plane: Plane, path: DampingPath, own: float, aspect: float) -> Window:
    """Around θ, the run's step, the trust region of its λ (else of the best λ), and as much of the path as is not much
    longer."""
    solution, best = path.solution, float(path.dampings[path.best])
    base = own if own > solution.floor else best
    radius = float(solution.norms(np.array([max(base, float(path.dampings[0]))]))[0])
    offset = stand.theta.astype(np.float64) - plane.origin
    centre = plane.axes @ offset
    points = [centre + radius * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])]
    points.append(centre + solution.project(plane.axes, path.dampings[path.norms <= 1.6 * radius]))
    if stand.taken is not None and float(np.linalg.norm(stand.taken)) <= _LONG * radius:
        points.append(centre + (plane.axes @ stand.taken)[None])
    return window_around(np.concatenate(points), aspect, _MARGIN, 1e-12)


def _wider(window: Window) -> Window:
    left, right, low, high = window
    across, up = _BEYOND * (right - left), _BEYOND * (high - low)
    return (left - across, right + across, low - up, high + up)

"""The planes that a person can look at the loss on: what each goes through, and what it needs to be there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ngexplorer.analysis import filter_normalised, local_planes, planes
from ngexplorer.analysis.planes import Array, Plane, Surface, Window
from ngexplorer.cancellation import Cancel, Progress, Watch
from ngexplorer.curvature import Curvature, Hessian
from ngexplorer.gui.plots.axes import compact
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.landscapes import LandscapeNetwork
from ngexplorer.optimizers import Optimizer, parts

POINTS = 400
"""At most so many points of a path are drawn, and about so many of all paths together fit a plane."""
_MARGIN, _BEYOND = 0.2, 0.45
"""Room around the paths in a window, as a share of their extent: what is shown, what is computed."""
_AROUND = 1.5
"""How far a window around one point reaches, in lengths of what its plane is made of."""

Snapshot = tuple[int, Any]
"""A step, and θ there, (P,)."""


@dataclass(frozen=True)
class Kind:
    """A plane to choose."""

    name: str
    title: str
    help: str
    across: str
    up: str
    """What its axes are."""
    local: bool = False
    """Whether it is a plane through one point of a run: its window stays there, wherever the paths go."""


KINDS = (
    Kind("parameters", "Two parameters", "The two parameters themselves", "first parameter", "second parameter"),
    Kind(
        "principal",
        "Principal components",
        "The plane that holds most of the variance of all visible paths",
        "first principal component",
        "second principal component",
    ),
    Kind(
        "random",
        "Random directions",
        "Two random filter-normalised directions around where the run is",
        "first random direction",
        "second random direction",
        local=True,
    ),
    Kind(
        "step",
        "Step and gradient",
        "The run's last step across, the gradient it was taken from up",
        "along the step",
        "along the gradient, as far as it is at right angles to the step",
        local=True,
    ),
    Kind(
        "hessian",
        "Eigenvectors of H",
        "The Hessian's largest and smallest eigenvalue where the run is",
        "eigenvector of the largest eigenvalue of H",
        "eigenvector of its smallest eigenvalue",
        local=True,
    ),
    Kind(
        "in-use",
        "Eigenvectors in use",
        "The two largest eigenvalues of the matrix that the run uses",
        "eigenvector of the largest eigenvalue of the matrix in use",
        "eigenvector of its second eigenvalue",
        local=True,
    ),
    Kind(
        "ends",
        "Three ends",
        "Through the ends of three visible runs, those that are highlighted first",
        "from the first end to the second",
        "towards the third, at right angles to that",
    ),
    Kind(
        "checkpoints",
        "Three checkpoints",
        "Through the steps kept for it, else the run's start, best and end",
        "from the first checkpoint to the second",
        "towards the third, at right angles to that",
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Material:
    """What planes are made of: the paths that a window has to hold, and what is known of the run that is looked at."""

    objective: Objective
    paths: list[list[Snapshot]]
    aspect: float
    """Width over height of the picture."""
    window: Window | None
    """Of a test function."""
    label: str
    """Of the run that is looked at, as are those below."""
    here: Snapshot
    """At the current time."""
    before: Snapshot | None
    """The snapshot before `here`: the step in between is the last one."""
    start: Snapshot
    best: Snapshot
    middle: Snapshot
    end: Snapshot
    optimizer: Optimizer
    ends: list[tuple[str, Snapshot]]
    """The ends of three runs."""
    kept: list[tuple[str, Snapshot]] = field(default_factory=list)
    """The steps that a person wants a plane to go through, three at most, each with its run's name."""
    draw: int = 0
    """Which random directions are drawn."""


@dataclass(frozen=True)
class Seen:
    """The loss on a plane, as far as it is known."""

    kind: str
    surface: Surface
    shown: Window
    """What is shown at first: what is computed around it is for paths that leave it."""
    words: str
    """What the plane is."""
    explained: tuple[float, float]
    """The share of the paths' variance along each axis; NaN where there is none."""
    marks: Array
    """Points that the plane was made of, (K, 2)."""


@dataclass(frozen=True)
class Unseen:
    """Why there is no such plane now."""

    kind: str
    reason: str


@dataclass(frozen=True)
class _Placed:
    plane: Plane
    window: Window
    words: str
    shown: Window | None = None
    marks: Array = field(default_factory=lambda: np.empty((0, 2)))


def refusal(kind: str, objective: Objective, optimizer: Optimizer, visible: int) -> str | None:
    """Why that plane cannot be had of an objective, a run's optimizer, and so many visible runs; None if it can."""
    if kind == "parameters" and objective.parameters != 2:
        return f"This objective has {objective.parameters:,} parameters; the plane of two needs two"
    if kind == "random" and not any(p.ndim > 1 for p in objective.model.parameters()):
        return "This model has no weights with filters to normalise by"
    if kind == "in-use" and not isinstance(optimizer.curvature, parts.Matrix | parts.Kronecker):
        return f"{optimizer.curvature.title} is no matrix of the objective: this run uses none"
    if kind == "ends" and visible < 3:
        return f"Three visible runs are needed; there {'is' if visible == 1 else 'are'} {visible}"
    return None


def seen(
    kind: str, material: Material, sizes: tuple[int, ...], cancel: Cancel, progress: Progress
) -> Iterator[Seen | Unseen]:
    """The loss on that plane, coarse first, then finer."""
    try:
        placed = _PLACES[kind](material, cancel)
    except (ValueError, MemoryError) as error:
        yield Unseen(kind, str(error))
        return
    explained = placed.plane.explains(np.concatenate([stacked(path) for path in material.paths]))
    if kind == "parameters":
        sizes = (33, 65, 129)
    for surface in planes.surface(material.objective, placed.plane, placed.window, cancel, sizes, progress):
        yield Seen(kind, surface, placed.shown or placed.window, placed.words, explained, placed.marks)


def stacked(path: list[Snapshot]) -> Array:
    """The θ of snapshots, (T, P) float64."""
    return np.stack([theta for _, theta in path]).astype(np.float64)


def inner(window: Window) -> Window:
    """The part of a window around paths that is shown at first: what is around it is for paths that leave it."""
    left, right, low, high = window
    across, up = (
        (end - start) * (1 - (1 + _MARGIN) / (1 + _BEYOND)) / 2 for start, end in ((left, right), (low, high))
    )
    return (left + across, right - across, low + up, high - up)


# The planes, one by one.


def _parameters(material: Material, _: Cancel) -> _Placed:
    plane = planes.coordinate_plane()
    if material.window is None:
        return replace(_around_paths(material, plane, "its two parameters"), plane=plane)
    assert isinstance(material.objective.model, LandscapeNetwork)
    return _Placed(plane, material.window, f"{material.objective.model.title} · its two parameters")


def _principal(material: Material, _: Cancel) -> _Placed:
    paths = [stacked(path) for path in material.paths]
    # The plane takes a share of the points, the window all that are drawn: a short way out is seen too.
    stride = max(1, math.ceil(sum(map(len, paths)) / POINTS))
    plane = planes.principal_plane([path[::-stride] for path in paths])
    return _around_paths(material, plane, "principal plane of the paths")


def _random(material: Material, _: Cancel) -> _Placed:
    step, theta = material.here
    plane = filter_normalised.filter_normalised_plane(material.objective, np.asarray(theta), material.draw)
    words = f"random filter-normalised directions around {material.label} at step {step}"
    return _Placed(plane, _around_point(plane, material.aspect, 1.0), words)


def _step(material: Material, cancel: Cancel) -> _Placed:
    if material.before is None:
        raise ValueError(f"{material.label} has taken no step yet")
    (at, before), (step, theta) = material.before, material.here
    delta = torch.as_tensor(np.asarray(theta) - np.asarray(before)).to(material.objective.initial_parameters)
    plane = local_planes.step_plane(_point(material, before, cancel), delta)
    ends = np.array([[0.0, 0.0], [plane.unit, 0.0]])
    which = f"step {step}" if step == at + 1 else f"steps {at + 1}–{step}"
    words = f"{material.label}: {which} across, the gradient before it up"
    return _Placed(plane, planes.window_around(ends, material.aspect, 1.0, plane.unit / 2), words, marks=ends)


def _hessian(material: Material, cancel: Cancel) -> _Placed:
    return _eigenvectors(material, Hessian(material.objective, _point(material, material.here[1], cancel)), "H")


def _in_use(material: Material, cancel: Cancel) -> _Placed:
    point, part = _point(material, material.here[1], cancel), material.optimizer.curvature
    if isinstance(part, parts.Matrix):
        return _eigenvectors(material, part.at(point, 0), part.title)
    assert isinstance(part, parts.Kronecker)
    return _eigenvectors(material, part.kind(point.objective, point, labels="exact"), part.title)


def _eigenvectors(material: Material, matrix: Curvature, title: str) -> _Placed:
    found = local_planes.eigenvector_plane(matrix)
    across, up = map(compact, found.eigenvalues)
    words = f"eigenvectors of {title}, {material.label} step {material.here[0]}: λ = {across} across, {up} up"
    return _Placed(found.plane, _around_point(found.plane, material.aspect, _AROUND), words)


def _ends(material: Material, _: Cancel) -> _Placed:
    labels = [label for label, _ in material.ends]
    return _through(material, [end for _, end in material.ends], f"through the ends of {_listed(labels)}")


def _checkpoints(material: Material, _: Cancel) -> _Placed:
    if material.kept:
        return _through_kept(material)
    start, best, end = material.start, material.best, material.end
    if best[0] in (start[0], end[0]):  # where a run ends in its best, the plane goes through its middle
        words = f"through {material.label}'s start, step {material.middle[0]} and its best, step {best[0]}"
        return _through(material, [start, material.middle, end], words)
    return _through(material, [start, best, end], f"through {material.label}'s start, best (step {best[0]}) and end")


def _through_kept(material: Material) -> _Placed:
    """Through the kept steps, and where they are fewer than three through what is known of the run."""
    others = [(material.label, one) for one in (material.start, material.end, material.best, material.middle)]
    three: dict[tuple[str, int], Snapshot] = {}
    for label, (step, theta) in [*material.kept, *others]:
        three.setdefault((label, step), (step, theta))
    chosen = list(three.items())[:3]
    if len(chosen) < 3:
        raise ValueError(f"{material.label} has too few steps: a plane goes through three")
    return _through(material, [at for _, at in chosen], f"through {_steps([place for place, _ in chosen])}")


def _steps(places: list[tuple[str, int]]) -> str:
    """Steps in words, those of one run together: "Newton steps 0, 3 and Adam step 8"."""
    found: dict[str, list[str]] = {}
    for label, step in places:
        found.setdefault(label, []).append(f"{step:,}")
    return _listed([f"{label} step{'s' * (len(at) > 1)} {', '.join(at)}" for label, at in found.items()])


_PLACES: dict[str, Callable[[Material, Cancel], _Placed]] = {
    "parameters": _parameters,
    "principal": _principal,
    "random": _random,
    "step": _step,
    "hessian": _hessian,
    "in-use": _in_use,
    "ends": _ends,
    "checkpoints": _checkpoints,
}


def _point(material: Material, theta: Any, cancel: Cancel) -> Point:
    here = torch.as_tensor(np.asarray(theta)).to(material.objective.initial_parameters)
    return material.objective.at(here, Watch(cancel))


def _around_point(plane: Plane, aspect: float, reach: float) -> Window:
    """As large as a square that reaches so many units from the point."""
    half = reach * plane.unit
    return planes.window_around(np.zeros((1, 2)), aspect, 0.0, half / max(math.sqrt(aspect), 1 / math.sqrt(aspect)))


def _through(material: Material, three: list[Snapshot], words: str) -> _Placed:
    plane = planes.plane_through(stacked(three))
    marks, _ = plane.project(stacked(three))
    return replace(_around_paths(material, plane, words), marks=marks)


def _around_paths(material: Material, plane: Plane, words: str) -> _Placed:
    coordinates = np.concatenate([plane.project(stacked(path))[0] for path in material.paths])
    # While all stand where they started there is no length to go by but that of θ itself.
    least = 1e-6 if np.ptp(coordinates, axis=0).any() else 0.1 * max(float(np.linalg.norm(plane.origin)), 1.0)
    window = planes.window_around(coordinates, material.aspect, _BEYOND, least)
    return _Placed(plane, window, words, inner(window))


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))

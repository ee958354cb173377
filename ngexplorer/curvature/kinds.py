"""The curvature matrices to look at side by side, and why some of them do not exist for an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ngexplorer.curvature import KFAC, Curvature, EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.objectives import Objective, Point

# K-FAC with the exact expectation over labels: what is compared is the approximation and not a draw of labels.
KINDS: dict[str, Callable[[Objective, Point], Curvature]] = {
    "hessian": Hessian,
    "gauss-newton": GaussNewton,
    "fisher": Fisher,
    "empirical-fisher": EmpiricalFisher,
    "kfac": lambda objective, point: KFAC(objective, point, labels="exact"),
}


@dataclass(frozen=True)
class Curvatures:
    """The matrices that exist at a point, by name, and of the others why they do not."""

    found: dict[str, Curvature]
    refused: dict[str, str]


def curvatures(point: Point) -> Curvatures:
    """H, G, F, F̄ and K-FAC (labels in exact expectation) at a point; nothing is computed yet."""
    found, refused = {}, {}
    for name, make in KINDS.items():
        try:
            found[name] = make(point.objective, point)
        except ValueError as error:
            refused[name] = str(error)
    return Curvatures(found, refused)

"""How the objective bends: the curvature matrices, one a file."""

from typing import TypeVar

from ngexplorer.curvature.base import Curvature, IndefiniteError
from ngexplorer.curvature.fisher import Fisher
from ngexplorer.curvature.gauss_newton import GaussNewton
from ngexplorer.curvature.hessian import Hessian
from ngexplorer.objectives import Point

C = TypeVar("C", bound=Curvature)


def matrix_at(point: Point, kind: type[C]) -> C:
    """The matrix of that kind at a point, made once: solver, probe and step record share its dense form."""
    if kind not in point.cache:
        point.cache[kind] = kind(point.objective, point)
    found: C = point.cache[kind]
    return found


__all__ = ["Curvature", "Fisher", "GaussNewton", "Hessian", "IndefiniteError", "matrix_at"]

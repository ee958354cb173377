"""Planes through one θ along what is known there: the step and the gradient, or two eigenvectors of a matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ngexplorer.analysis.planes import Array, Plane, spanned_plane
from ngexplorer.curvature import Curvature, Hessian
from ngexplorer.objectives import Point

_SMALL = 300
_TOLERANCE = 1e-3
_LEAST = 0.05
"""Of ‖θ‖: in a minimum of no loss, too, something is to be seen around it."""


def step_plane(point: Point, step: Tensor) -> Plane:
    """The plane through θ along a step δ (P,), its first axis, and the gradient ∇h(θ); `unit` is ‖δ‖. Raises ValueError
    for a step of no length."""
    length = float(torch.linalg.vector_norm(step))
    if not length > 0:
        raise ValueError("step: it has no length, and no direction")
    return replace(spanned_plane(_array(point.theta), _array(step), _array(point.gradient)), unit=length)


@dataclass(frozen=True)
class Eigenplane:
    """The plane through θ along two eigenvectors of B, and their eigenvalues."""

    plane: Plane
    eigenvalues: tuple[float, float]


def eigenvector_plane(matrix: Curvature) -> Eigenplane:
    """Along the eigenvectors of the largest and the smallest eigenvalue of the Hessian, which may be negative; of
    another matrix along those of its two largest, for the smallest is zero, or next to it, in many directions.

    Of the dense matrix up to 300 parameters, else by Lanczos to residuals of 1e-3 of the eigenvalue. Each vector's
    largest entry is positive. `unit` is the geometric mean of √(2h/|λ|), where the quadratic term is as large as the
    loss, each between a twentieth of ‖θ‖ (or of 1, where that is more) and all of it. Watched by the matrix's point.
    """
    values, vectors = _pairs(matrix, extremes=isinstance(matrix, Hessian))
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    vectors = vectors * largest.sign()
    plane = spanned_plane(_array(matrix.point.theta), _array(vectors[:, 0]), _array(vectors[:, 1]))
    most = max(float(torch.linalg.vector_norm(matrix.point.theta)), 1.0)
    twice = 2 * max(abs(float(matrix.point.value)), 1e-12)
    reaches = [np.clip(np.sqrt(twice / max(abs(value), 1e-300)), _LEAST * most, most) for value in values.tolist()]
    first, second = values.tolist()
    return Eigenplane(replace(plane, unit=float(np.sqrt(reaches[0] * reaches[1]))), (first, second))


def _pairs(matrix: Curvature, extremes: bool) -> tuple[Tensor, Tensor]:
    """Two eigenvalues (2,) and eigenvectors (P, 2): the extremes, or the largest ones."""
    if matrix.objective.parameters <= _SMALL:
        values, vectors = matrix.eigenpairs()
        chosen = [-1, 0 if extremes else -2]
        return values[chosen], vectors[:, chosen]
    if not extremes:
        top = matrix.top_eigenpairs(2, which="largest", tolerance=_TOLERANCE)
        return top.values, top.vectors
    ends = [matrix.top_eigenpairs(1, which=which, tolerance=_TOLERANCE) for which in ("largest", "smallest")]
    return torch.cat([end.values for end in ends]), torch.cat([end.vectors for end in ends], 1)


def _array(vector: Tensor) -> Array:
    found: Array = vector.detach().double().cpu().numpy()
    return found

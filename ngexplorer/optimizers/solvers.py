"""Solving (B + λI) d = −g: by Cholesky, or by conjugate gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.curvature import Curvature, IndefiniteError
from ngexplorer.optimizers import parts

# How many iterations conjugate gradient runs between two looks at its residual: each look waits for the device.
_BETWEEN_LOOKS = 5


@dataclass(frozen=True)
class Solution:
    """d with (B + λI) d = −g + residual, (P,); `residual` is None where it is zero to rounding.

    failed: a scalar tensor that is not 0 where B + λI is not positive definite, read with the trial; None: it is.
    """

    direction: Tensor
    residual: Tensor | None
    iterations: float
    reason: str
    failed: Tensor | None = None


def solve(matrix: Curvature, gradient: Tensor, damping: float, solver: parts.Solver, cancel: Cancel) -> Solution:
    """Solve for the direction; raises IndefiniteError where B + λI is not positive definite."""
    if isinstance(solver, parts.Auto):
        largest = solver.largest_dense if matrix.objective.structured else solver.largest_by_products
        dense = len(gradient) <= largest
        solver = parts.Cholesky() if dense else parts.ConjugateGradient()
    if isinstance(solver, parts.Cholesky):
        return _by_cholesky(matrix, gradient, damping)
    return _by_conjugate_gradient(matrix, gradient, damping, solver, cancel)


def _by_cholesky(matrix: Curvature, gradient: Tensor, damping: float) -> Solution:
    factor, failed = matrix.cholesky(damping)
    direction = torch.cholesky_solve(-gradient[:, None], factor)[:, 0]
    return Solution(direction, None, float("nan"), "cholesky", failed)


def _by_conjugate_gradient(
    matrix: Curvature, gradient: Tensor, damping: float, settings: parts.ConjugateGradient, cancel: Cancel
) -> Solution:
    """From d = 0. The residual is kept by the recursion r ← r + a(B + λI)p and read every few iterations."""
    direction = torch.zeros_like(gradient)
    residual = gradient.clone()
    search = -residual
    square = residual.dot(residual)
    lowest = torch.full_like(square, torch.inf)
    goal = settings.tolerance**2 * float(square)
    if goal == 0:
        return Solution(direction, residual, 0, "conjugate gradient: the gradient is zero")
    for iteration in range(1, settings.iterations + 1):
        if cancel():
            raise Cancelled
        product = matrix @ search + damping * search
        bend = search.dot(product)
        # Below the goal it stands still until it is looked at: past it, rounding is all that is left to divide by.
        going = square > goal
        lowest = torch.where(going, torch.minimum(lowest, bend / search.dot(search)), lowest)
        rate = torch.where(going, square / bend, 0.0)
        direction = direction + rate * search
        residual = residual + rate * product
        before, square = square, residual.dot(residual)
        search = torch.where(going, square / before * search - residual, search)
        if iteration % _BETWEEN_LOOKS == 0 or iteration == settings.iterations:
            left, curvature = torch.stack((square, lowest)).tolist()
            if not curvature > 0:
                raise IndefiniteError(matrix.title, damping, curvature - damping, exact=False)
            if left <= goal:
                return Solution(direction, residual, iteration, "conjugate gradient: residual below the tolerance")
    return Solution(direction, residual, settings.iterations, "conjugate gradient: iterations used up")

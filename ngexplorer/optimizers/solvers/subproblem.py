"""Minimizing the quadratic model in a ball, and with a cube of the step beside it: more than one linear system."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.curvature import Curvature
from ngexplorer.optimizers.solvers.solution import Solution

Array = NDArray[np.float64]

_TOLERANCE = 1e-12
_ITERATIONS = 200


def in_ball(matrix: Curvature, gradient: Tensor, radius: float) -> Solution:
    """min gᵀδ + ½δᵀBδ over ‖δ‖ ≤ Δ, exactly: Newton's step where B is positive definite and the step inside, else by
    the secular equation in the eigenbasis (Moré and Sorensen 1983)."""
    inside_already = _newton(matrix, gradient, radius)
    if inside_already is not None:
        return inside_already
    values, inside, vectors = _eigenbasis(matrix, gradient)
    # Directions that neither bend nor slope, to rounding, are left alone.
    least = len(values) * torch.finfo(vectors.dtype).eps
    idle = np.abs(values) <= least * np.abs(values).max()
    if float(np.linalg.norm(inside[idle])) > least * float(np.linalg.norm(inside)):
        idle = np.zeros_like(idle)
    if bool((values[~idle] > 0).all()):
        newton = np.where(idle, 0.0, -inside / np.where(idle, 1.0, values))
        if float(np.linalg.norm(newton)) <= radius:
            return _solution(vectors, newton, 0.0, values, "trust region: inside", boundary=False)
    shift, step = _on_sphere(values, inside, lambda lam: radius, float(np.linalg.norm(inside)) / radius)
    return _solution(vectors, step, shift, values, "trust region: on the boundary", boundary=True)


def _newton(matrix: Curvature, gradient: Tensor, radius: float) -> Solution | None:
    """−B⁻¹g by Cholesky, a small part of an eigendecomposition's work, unless it is no minimum in the ball or lost in
    rounding."""
    factor, failed = matrix.cholesky(0.0)
    step = torch.cholesky_solve(-gradient[:, None], factor)[:, 0]
    pivots = factor.diagonal().square()
    wrong, long, least, most = torch.stack((failed.to(step.dtype), step.dot(step), pivots.min(), pivots.max())).tolist()
    sound = wrong == 0 and least > len(step) * torch.finfo(step.dtype).eps * most
    if not sound or not math.sqrt(long) <= radius:
        return None
    return Solution(step, 0.0, "trust region: inside", product=-gradient)


def with_cube(matrix: Curvature, gradient: Tensor, weight: float) -> Solution:
    """min gᵀδ + ½δᵀBδ + M/6 ‖δ‖³: (B + λI)δ = −g with λ = ½M‖δ‖ and B + λI ⪰ 0 (Nesterov and Polyak 2006)."""
    values, inside, vectors = _eigenbasis(matrix, gradient)
    enough = math.sqrt(0.5 * weight * float(np.linalg.norm(inside)))
    shift, step = _on_sphere(values, inside, lambda lam: 2 * lam / weight, enough)
    return _solution(vectors, step, shift, values, "cubic", boundary=False)


def _eigenbasis(matrix: Curvature, gradient: Tensor) -> tuple[Array, Array, Tensor]:
    """Λ and Qᵀg in float64 on the host, and Q."""
    values, vectors = matrix.eigenpairs()
    read = torch.stack((values, vectors.T @ gradient)).double().cpu().numpy()
    return read[0], read[1], vectors


@np.errstate(over="ignore")  # a step too long for a float is longer than any radius
def _on_sphere(values: Array, inside: Array, radius: Callable[[float], float], enough: float) -> tuple[float, Array]:
    """λ ≥ max(0, −λmin) and p(λ) = −(Λ + λ)⁻¹Qᵀg with ‖p(λ)‖ = radius(λ), a function that does not fall with λ; in the
    eigenbasis. In the hard case, where g has nothing along λmin's eigenvectors, one of those is added.

    enough: so much above max(0, −λmin), λ has ‖p(λ)‖ ≤ ‖g‖/enough ≤ radius(λ)."""
    least = max(0.0, -float(values[0]))
    scale = max(float(np.abs(values).max()), 1e-300)

    def step(shift: float) -> Array:
        bottom = values + shift
        # 0/0 is a direction that the gradient has no part in.
        return np.where(inside == 0, 0.0, -inside / np.where(bottom == 0, 1e-300, bottom))

    nearest = least * (1 + 1e-14) + scale * 1e-14 if least else 0.0
    p = step(nearest)
    if not float(np.linalg.norm(p)) >= radius(nearest):
        # Even the longest step falls short: only along an eigenvector of λmin can it be made long enough.
        lowest = np.abs(values - values[0]) <= 1e-12 * scale
        p = np.where(lowest, 0.0, step(least))
        missing = max(radius(least) ** 2 - float(p @ p), 0.0)
        along = -math.copysign(1.0, float(inside[0])) if inside[0] else 1.0
        p[0] = along * math.sqrt(missing)
        return least, p
    low, high = nearest, nearest + enough
    for _ in range(_ITERATIONS):
        middle = math.sqrt(low * high) if low > 0 and high > 4 * low else 0.5 * (low + high)
        if float(np.linalg.norm(step(middle))) > radius(middle):
            low = middle
        else:
            high = middle
        if high - low <= _TOLERANCE * high:
            break
    return high, step(high)


def _solution(vectors: Tensor, step: Array, shift: float, values: Array, reason: str, *, boundary: bool) -> Solution:
    like = vectors[:, 0]
    inside = torch.as_tensor(step, device="cpu").to(like)
    curved = torch.as_tensor(values * step, device="cpu").to(like)
    return Solution(
        vectors @ inside, shift, reason, product=vectors @ curved, boundary=boundary, lowest=float(values[0])
    )


def steihaug(matrix: Curvature, gradient: Tensor, radius: float, iterations: int, cancel: Cancel) -> Solution:
    """Conjugate gradient until the residual is small, the boundary is crossed, or the curvature is negative (Steihaug
    1983); tolerance min(½, √‖g‖)‖g‖. ‖δ‖ grows with every iteration."""
    length = float(torch.linalg.vector_norm(gradient))
    if length == 0:
        zero = torch.zeros_like(gradient)
        return _steihaug_solution(zero, zero, gradient, 0, "the gradient is zero", False, math.nan)
    tolerance = min(0.5, math.sqrt(length)) * length
    direction, product = torch.zeros_like(gradient), torch.zeros_like(gradient)
    residual, search = gradient.clone(), -gradient
    square = length**2
    lowest = math.nan
    for iteration in range(1, iterations + 1):
        if cancel():
            raise Cancelled
        curved = matrix @ search
        bend, long, cross, norm = torch.stack(
            (search.dot(curved), search.dot(search), direction.dot(search), direction.dot(direction))
        ).tolist()
        if bend <= 0:
            lowest = bend / long
            way = _to_boundary(long, cross, norm, radius)
            return _steihaug_solution(
                direction + way * search,
                product + way * curved,
                gradient,
                iteration,
                "negative curvature",
                True,
                lowest,
            )
        rate = square / bend
        if norm + 2 * rate * cross + rate**2 * long >= radius**2:
            way = _to_boundary(long, cross, norm, radius)
            return _steihaug_solution(
                direction + way * search, product + way * curved, gradient, iteration, "on the boundary", True, lowest
            )
        direction, product = direction + rate * search, product + rate * curved
        residual = residual + rate * curved
        after = float(residual.dot(residual))
        if math.sqrt(after) < tolerance:
            return _steihaug_solution(
                direction, product, gradient, iteration, "residual below the tolerance", False, lowest
            )
        search = after / square * search - residual
        square = after
    return _steihaug_solution(direction, product, gradient, iterations, "iterations used up", False, lowest)


def _to_boundary(long: float, cross: float, norm: float, radius: float) -> float:
    """τ ≥ 0 with ‖d + τp‖ = Δ."""
    root = math.sqrt(max(cross**2 + long * (radius**2 - norm), 0.0))
    return (root - cross) / long


def _steihaug_solution(
    direction: Tensor, product: Tensor, gradient: Tensor, iterations: int, reason: str, boundary: bool, lowest: float
) -> Solution:
    """On the boundary no λ makes the step solve a damped system."""
    return Solution(
        direction,
        math.nan if boundary else 0.0,
        f"Steihaug: {reason}",
        residual=product + gradient,
        product=product,
        iterations=iterations,
        boundary=boundary,
        lowest=lowest,
    )

"""The quadratic model M(δ) = h + gᵀδ + ½δᵀBδ on a plane, and trust regions there (Martens 2020, §7 and §10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ngexplorer.analysis.planes import Array, Plane
from ngexplorer.curvature import Curvature
from ngexplorer.objectives import Point


@dataclass(frozen=True)
class Quadratic:
    """q(x) = constant + slopeᵀx + ½xᵀ bend x of coordinates x in a plane: slope (2,), bend (2, 2) symmetric."""

    constant: float
    slope: Array
    bend: Array

    def on_grid(self, xs: Array, ys: Array) -> Array:
        """q at (xs[i], ys[j]), (J, I)."""
        x, y = np.meshgrid(xs, ys)
        (a, b), (_, d) = self.bend
        return self.constant + self.slope[0] * x + self.slope[1] * y + 0.5 * (a * x * x + 2 * b * x * y + d * y * y)

    @property
    def curvatures(self) -> Array:
        """The eigenvalues of `bend`, ascending, (2,): below zero where q falls without end."""
        return np.linalg.eigvalsh(self.bend).astype(np.float64)

    @property
    def minimum(self) -> Array | None:
        """Where q is lowest, (2,), or None where it has no single lowest point."""
        values = self.curvatures
        if not values[0] > 1e-14 * abs(values[1]):
            return None
        return -np.linalg.solve(self.bend, self.slope).astype(np.float64)

    def level(self, height: float, points: int = 129) -> Array | None:
        """The ellipse q = height as a closed line, (points, 2); None where there is none: q is not bowl-shaped or
        nowhere so low."""
        centre = self.minimum
        if centre is None:
            return None
        left = height - (self.constant + 0.5 * float(self.slope @ centre))
        if left < 0:
            return None
        values, vectors = np.linalg.eigh(self.bend)
        turn = np.linspace(0, 2 * np.pi, points)
        circle = np.stack((np.cos(turn), np.sin(turn)), 1)
        return centre + circle * np.sqrt(2 * left / values) @ vectors.T


def square_norm(plane: Plane, point: Point, matrix: Curvature | None, damping: float = 0.0) -> Quadratic:
    """‖δ‖²_C = δᵀCδ with C = B + damping·I (without a matrix C = I) for δ from θ to the plane's points.

    Its `level(radius²)` is where a trust region ‖δ‖_C ≤ radius ends on the plane; δᵀFδ is twice the KL divergence of
    the model's distributions, to second order (Martens 2020, §6).
    """
    offset = torch.as_tensor(plane.origin) - point.theta.double().cpu()
    span = torch.cat((offset[:, None], torch.as_tensor(plane.axes.T)), 1)
    metric = span.T @ span
    if matrix is not None:
        product = matrix @ span.to(point.theta)
        metric = span.T @ product.double().cpu() + damping * metric
    c = metric.numpy()
    return Quadratic(float(c[0, 0]), c[0, 1:] + c[1:, 0], c[1:, 1:] + c[1:, 1:].T)


def quadratic_model(plane: Plane, matrix: Curvature, damping: float = 0.0) -> Quadratic:
    """M(δ) = h + gᵀδ + ½δᵀ(B + damping·I)δ on the plane, δ counted from the matrix's point θ, which need not lie in
    the plane. Three products with B."""
    point = matrix.point
    square = square_norm(plane, point, matrix, damping)
    gradient = point.gradient.double().cpu().numpy()
    offset = plane.origin - point.theta.double().cpu().numpy()
    return Quadratic(
        float(point.value) + float(gradient @ offset) + 0.5 * square.constant,
        plane.axes @ gradient + 0.5 * square.slope,
        0.5 * square.bend,
    )

"""How far the empirical Fisher F̄ is from the Fisher F: they part as the residuals stop being the model's own noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ngexplorer.analysis.subspaces import Overlap, overlap, top_eigenspace
from ngexplorer.curvature import EmpiricalFisher, Fisher
from ngexplorer.objectives import Point


@dataclass(frozen=True)
class FisherGap:
    """F̄ beside F at one point, both without weight decay's ηI.

    distance: ‖F̄ − F‖_F/‖F‖_F. trace_ratio: tr F̄ / tr F. cosine: of the two as vectors, tr(F̄F)/(‖F̄‖‖F‖), which no
    rescaling changes. top: principal angles between their k top eigenspaces. step_cosine: between F̄'s and F's damped
    natural gradients.
    """

    distance: float
    trace_ratio: float
    cosine: float
    top: Overlap
    step_cosine: float


def fisher_gap(point: Point, damping: float, k: int = 10) -> FisherGap:
    """F̄ against F from their dense matrices (Martens 2020, §11; Kunstner, Balles and Hennig 2019). Watched by the
    point. Raises ValueError for a loss without a density, TooLargeError, and IndefiniteError where it needs damping."""
    objective = point.objective
    exact, empirical = Fisher(objective, point), EmpiricalFisher(objective, point)
    decay = torch.zeros_like(exact.dense())
    objective.add_penalty(point.theta, decay, False)
    f, e = exact.dense() - decay, empirical.dense() - decay
    k = min(k, len(f))
    steps = [matrix.solve(point.gradient, damping) for matrix in (exact, empirical)]
    lengths = [torch.linalg.vector_norm(step) for step in steps]
    norm = torch.linalg.matrix_norm
    return FisherGap(
        float(norm(e - f) / norm(f)),
        float(e.trace() / f.trace()),
        float((e * f).sum() / (norm(e) * norm(f))),
        overlap(top_eigenspace(empirical, k), top_eigenspace(exact, k)),
        float(steps[0].dot(steps[1]) / (lengths[0] * lengths[1])),
    )

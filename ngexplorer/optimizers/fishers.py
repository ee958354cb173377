"""How far the empirical Fisher F̄ is from the Fisher F: they part as the residuals stop being the model's own noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ngexplorer.curvature import EmpiricalFisher, Fisher
from ngexplorer.curvature.exactness import largest_exact
from ngexplorer.curvature.lanczos import random_signs
from ngexplorer.curvature.subspaces import Overlap, overlap, top_eigenspace
from ngexplorer.objectives import Point
from ngexplorer.optimizers.method_steps import damped_step

_PROBES, _AT_ONCE = 64, 16


@dataclass(frozen=True)
class FisherGap:
    """F̄ beside F at one point, both without weight decay's ηI.

    distance: ‖F̄ − F‖_F/‖F‖_F. trace_ratio: tr F̄ / tr F. cosine: of the two as vectors, tr(F̄F)/(‖F̄‖‖F‖), which no
    rescaling changes; these three from the dense matrices where `exact`, else estimated with 64 random vectors, a tenth
    of themselves or so off. top: principal angles between their k top eigenspaces. step_cosine: between F̄'s and F's
    damped natural gradients.
    """

    distance: float
    trace_ratio: float
    cosine: float
    exact: bool
    top: Overlap
    step_cosine: float


def fisher_gap(point: Point, damping: float, k: int = 10) -> FisherGap:
    """F̄ against F (Martens 2020, §11; Kunstner, Balles and Hennig 2019). Watched by the point. Raises ValueError for a
    loss without a density, and IndefiniteError where it needs damping."""
    objective = point.objective
    fisher, empirical = Fisher(objective, point), EmpiricalFisher(objective, point)
    k = min(k, objective.parameters)
    # With the identity as V, or random signs with E[vvᵀ] = I: tr(AᵀB) = E[(Av)ᵀ(Bv)], tr A = E[vᵀAv] (Hutchinson 1989).
    exact = objective.parameters <= largest_exact(objective)
    v, f, e = _whole(fisher, empirical) if exact else _drawn(fisher, empirical)
    one, other = (damped_step(matrix, damping) for matrix in (fisher, empirical))
    norm = torch.linalg.vector_norm
    return FisherGap(
        distance=float(norm(e - f) / norm(f)),
        trace_ratio=float((v * e).sum() / (v * f).sum()),
        cosine=float((e * f).sum() / (norm(e) * norm(f))),
        exact=exact,
        top=overlap(top_eigenspace(empirical, k), top_eigenspace(fisher, k)),
        step_cosine=float(one.dot(other) / (norm(one) * norm(other))),
    )


def _whole(fisher: Fisher, empirical: EmpiricalFisher) -> tuple[Tensor, Tensor, Tensor]:
    """I, F and F̄, (P, P) each."""
    point = fisher.point
    identity = torch.eye(len(point.theta), dtype=point.theta.dtype, device=point.theta.device)
    decay = torch.zeros_like(identity)
    point.objective.add_penalty(point.theta, decay, False)
    return identity, fisher.dense() - decay, empirical.dense() - decay


def _drawn(fisher: Fisher, empirical: EmpiricalFisher) -> tuple[Tensor, Tensor, Tensor]:
    """Random signs V, FV and F̄V, (P, probes) each."""
    point = fisher.point
    signs = random_signs(len(point.theta), _PROBES, 0, point.theta)
    products: tuple[list[Tensor], list[Tensor]] = ([], [])
    for some in point.watch.over(signs.split(_AT_ONCE, 1)):
        decay = point.objective.penalty_product(point.theta, some, False)
        for matrix, found in zip((fisher, empirical), products, strict=True):
            found.append(matrix @ some - decay)
    return signs, torch.cat(products[0], 1), torch.cat(products[1], 1)

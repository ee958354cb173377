"""Solving with (1/N) Σ Jᵀ S Sᵀ J + λI in the space of the samples, where there are fewer of them than parameters."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.curvature.base import lost_in_rounding
from ngexplorer.curvature.layers import gram_by_layers
from ngexplorer.objectives import Point


def gram(point: Point, root: Tensor) -> Tensor:
    """K = J̃J̃ᵀ for J̃ = SᵀJ/√N of n = N·R rows, (n, n): by the layers' own Gram matrices where they allow, else by J̃."""
    if point.objective.gradients_by_layers:
        return gram_by_layers(point, root) / len(point.outputs)
    rows = point.rows(root)
    return rows @ rows.T / len(point.outputs)


def solve_gradient(point: Point, root: Tensor, whitened: Tensor, damping: float) -> Tensor:
    """(J̃ᵀJ̃ + ηI + λI)⁻¹ ∇h, (P,), λ = `damping` > 0.

    root: S (N, C, R). whitened: r with S r = ∂L/∂z of each case, (N, R). Since the loss's part of the gradient is
    J̃ᵀr/√N, it is J̃ᵀ(K + (λ + η)I)⁻¹ r/√N (push-through): good in float32 too, where Woodbury's formula cancels. That is
    used for the penalty's part ηθ alone.

    Raises torch.linalg.LinAlgError where K + (λ + η)I is not positive definite to rounding.
    """
    objective, n = point.objective, len(point.outputs)
    total = damping + objective.weight_decay
    matrix = gram(point, root)
    matrix.diagonal().add_(total)
    point.count_flops(len(matrix) ** 3 / 3)
    factor = torch.linalg.cholesky(matrix)
    if factor.dtype == torch.float32 and bool(lost_in_rounding(factor)):
        raise torch.linalg.LinAlgError(
            "linalg.cholesky: a pivot is rounding beside the largest; more damping is needed"
        )

    def pulled(right: Tensor) -> Tensor:
        """J̃ᵀ K⁻¹ right for right (N, R)."""
        solved = torch.cholesky_solve(right.reshape(-1, 1), factor).view(right.shape)
        return point.vjp((root @ solved[:, :, None])[:, :, 0]) / n**0.5

    solution = pulled(whitened / n**0.5)
    if objective.weight_decay:
        decay = objective.weight_decay * point.theta
        moved = (point.jvp(decay)[:, None] @ root)[:, 0] / n**0.5
        solution = solution + (decay - pulled(moved)) / total
    return solution

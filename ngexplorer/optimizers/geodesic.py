"""The Christoffel symbols of the Fisher metric, contracted with one direction twice."""

from __future__ import annotations

import torch
from torch import Tensor

from ngexplorer.objectives import Objective, Point


def christoffel(point: Point, direction: Tensor) -> Tensor:
    """Γ(δ, δ) = (D_δF)δ − ½∇_θ(δᵀFδ), first kind, (P,): of F = (1/N) Σ Jᵀ F_R J, F_R's dependence on z included.

    (D_δF)δ is the derivative along δ of F(θ)δ = ½∇_w q(θ, w) at w = δ, with q(θ, w) = wᵀF(θ)w.
    """
    objective = point.objective

    def square(theta: Tensor, w: Tensor) -> Tensor:
        looked = torch.func.jvp(lambda t: _outputs(objective, t), (theta,), (w,))
        outputs, moved = looked[0], looked[1]
        return (moved * objective.loss.fisher_map(outputs)(moved)).sum() / len(outputs)

    def times(theta: Tensor) -> Tensor:
        return 0.5 * torch.func.grad(lambda w: square(theta, w))(direction)

    along = torch.func.jvp(times, (point.theta,), (direction,))[1]
    slope = torch.func.grad(lambda t: square(t, direction))(point.theta)
    return along - 0.5 * slope


def _outputs(objective: Objective, theta: Tensor) -> Tensor:
    """z by torch's own functions, which can be differentiated in any order."""
    trained = [(name, p) for name, p in objective.model.named_parameters() if p.requires_grad]
    parts = theta.split([p.numel() for _, p in trained])
    views = {name: part.view(p.shape) for (name, p), part in zip(trained, parts, strict=True)}
    inputs = objective.inputs
    positional = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    named = inputs if isinstance(inputs, dict) else {}
    outputs: Tensor = torch.func.functional_call(objective.model, views, positional, named)
    return outputs if outputs.ndim == 2 else outputs.flatten(0, 1)

"""A point θ of an objective, looked at once: one forward pass, and everything asked of it afterwards."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ngexplorer.objectives.objective import Objective

# A forward pass costs one third of a gradient; J v costs two (a product for a layer's input and one for its weights),
# Jᵀu two, and the Hessian's second-order term four more.
FORWARD, TANGENT, ADJOINT, SECOND = 1 / 3, 2 / 3, 2 / 3, 4 / 3


class Point:
    """h and its derivatives at one θ. Each is computed when first asked for, from the same forward pass.

    `work` counts what has been spent here, in gradients of the whole objective (one forward and backward pass).
    """

    def __init__(self, objective: Objective, theta: Tensor) -> None:
        self.objective = objective
        self.theta = theta
        self.work = FORWARD
        self.cache: dict[Any, Tensor] = {}
        """Where the curvature matrices keep what they have computed at this θ."""
        self._pass = objective.network.run(theta, objective.inputs)

    @property
    def outputs(self) -> Tensor:
        """z = f(x, θ), (N, C)."""
        return self._pass.outputs

    @cached_property
    def value(self) -> Tensor:
        """h(θ) = (1/N) Σ L(y, z) + ½η‖θ‖², a scalar tensor."""
        objective = self.objective
        return objective.loss.per_case(self.outputs, objective.targets).mean() + objective.penalty(self.theta)

    @cached_property
    def output_gradient(self) -> Tensor:
        """∂L/∂z of each case, (N, C)."""
        return self.objective.loss.gradient(self.outputs, self.objective.targets)

    @cached_property
    def gradient(self) -> Tensor:
        """∇h(θ) = (1/N) Σ Jᵀ ∂L/∂z + ηθ, (P,)."""
        self.work += 1 - FORWARD
        return self._pass.vjp(self.output_gradient) / len(self.outputs) + self.objective.weight_decay * self.theta

    @cached_property
    def metric(self) -> Tensor:
        """The loss's metric on the training cases, a scalar tensor."""
        return self.objective.loss.metric(self.outputs, self.objective.targets)

    def jvp(self, v: Tensor) -> Tensor:
        """J v of each case, (P,) → (N, C)."""
        self.work += TANGENT
        return self._pass.jvp(v)

    def vjp(self, u: Tensor) -> Tensor:
        """Σ_n J_nᵀ u_n, (N, C) → (P,)."""
        self.work += ADJOINT
        return self._pass.vjp(u)

    def output_curvature_product(self, v: Tensor) -> Tensor:
        """(1/N) Σ_n Σ_j ∂L/∂z_nj ∇²f_j v, (P,): what the Hessian has and the Gauss-Newton matrix leaves out."""
        self.work += SECOND
        return self._pass.second_order(self.output_gradient, v) / len(self.outputs)

    def dense(self, middle: Tensor, second_order: bool) -> Tensor:
        """(1/N) Σ_n Jᵀ M J for M (N, C, C), and with the Hessian's second-order term if asked: (P, P)."""
        u = self.output_gradient if second_order else None
        matrix, flops = self._pass.dense(middle, u)
        products = len(self.theta) * (TANGENT + ADJOINT + (SECOND if second_order else 0))
        self.work += products if flops != flops else flops / self.objective.gradient_flops
        return matrix / len(self.outputs)

    def count_flops(self, flops: float) -> None:
        """Count linear algebra done for this point (a factorization, say), in floating-point operations."""
        self.work += flops / self.objective.gradient_flops

    def __repr__(self) -> str:
        return f"Point(θ of {len(self.theta)}, ‖θ‖ = {float(torch.linalg.vector_norm(self.theta)):.4g})"

"""An objective in other coordinates: h(γ) = (1/N) Σ L(y, f(x, θ(γ))) + ½η‖θ(γ)‖², everything else as for any other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ngexplorer.cancellation import Watch
from ngexplorer.objectives.networks.base import Inputs, Network, Pass, Push, Statistics
from ngexplorer.objectives.objective import Objective
from ngexplorer.objectives.reparametrizations.base import Reparametrization


def reparametrized(objective: Objective, change: Reparametrization) -> ReparametrizedObjective:
    """The objective as a function of γ, beginning where it began. Raises ValueError for a start outside the map's
    range, or a map of another number of parameters."""
    return ReparametrizedObjective(objective, change)


class ReparametrizedObjective(Objective):
    """An objective whose parameters are γ, with θ = θ(γ) those of the `original`.

    Weight decay stays ½η‖θ‖², a function of the original's parameters: its gradient in γ is ηDᵀθ, and its
    curvature ηDᵀD, to which the Hessian adds η Σ θ_k ∇²θ_k. So B_γ = DᵀB_θD for the Gauss-Newton and Fisher matrices,
    and for the Hessian of an affine map.

    twin: an objective on γ that computes the same by a network of its own, where there is one; otherwise the original's
    network stands behind the map.
    """

    def __init__(self, original: Objective, change: Reparametrization, twin: Objective | None = None) -> None:
        start = original.initial_parameters
        if change.parameters not in (None, len(start)):
            raise ValueError(f"change: {change.title} takes {change.parameters} parameters; there are {len(start)}")
        change = change.to(start)
        gamma = change.inverse(start)
        if not bool(torch.isfinite(gamma).all()):
            raise ValueError(f"change: the initial parameters have no place in {change.title}")
        # All that does not depend on the coordinates, cases and loss above all, is as checked there.
        self.__dict__.update((twin or original).__dict__)
        self.original, self.change = original, change
        self.initial_parameters = gamma
        if twin is None:
            for known in ("layers", "affine_refusal"):  # what the original has been asked is another model's answer
                self.__dict__.pop(known, None)
            self.model = ReparametrizedModule(original.model, change, gamma)
            self.network = ReparametrizedNetwork(original.network, change)
            held = original.validation
            self.validation = None if held is None else ReparametrizedObjective(held, change)

    def to_theta(self, path: Tensor) -> Tensor:
        """A trajectory of γ, (..., P), as one of θ."""
        return self.change.forward(path)

    @property
    def plain_penalty(self) -> bool:
        return not self.weight_decay

    def penalty(self, theta: Tensor) -> Tensor | float:
        """½η‖θ(γ)‖²."""
        return self.original.penalty(self.change.forward(theta))

    def penalty_gradient(self, theta: Tensor) -> Tensor | float:
        """ηDᵀθ(γ), (P,)."""
        return self.change.vjp(theta, self._slope(theta)) if self.weight_decay else 0.0

    def penalty_product(self, theta: Tensor, vectors: Tensor, second_order: bool) -> Tensor | float:
        """ηDᵀD v, the Gauss-Newton part, and with `second_order` + η Σ θ_k ∇²θ_k v, for v (P,) or (P, K)."""
        if not self.weight_decay:
            return 0.0
        change = self.change
        rows = vectors.mT if vectors.ndim == 2 else vectors
        moved = change.jvp(theta, rows)
        inner = self.original.penalty_product(
            change.forward(theta), moved.mT if moved.ndim == 2 else moved, second_order
        )
        assert isinstance(inner, Tensor)
        product = change.vjp(theta, inner.mT if inner.ndim == 2 else inner)
        if second_order:
            product = product + change.second(theta, self._slope(theta), rows)
        return product.mT if product.ndim == 2 else product

    def add_penalty(self, theta: Tensor, matrix: Tensor, second_order: bool) -> None:
        if self.weight_decay:
            eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
            matrix += self.penalty_product(theta, eye, second_order)

    def _slope(self, theta: Tensor) -> Tensor:
        """The gradient of the original's penalty at θ(γ)."""
        slope = self.original.penalty_gradient(self.change.forward(theta))
        assert isinstance(slope, Tensor)
        return slope


class ReparametrizedModule(nn.Module):
    """A module behind a map: its only parameter is γ, and the inner module's own parameters are not used."""

    def __init__(self, inner: nn.Module, change: Reparametrization, gamma: Tensor) -> None:
        super().__init__()
        # In a tuple, so that the inner parameters are not also this module's.
        self._inner = (inner,)
        self.change = change
        self.coordinates = nn.Parameter(gamma.clone())

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        (inner,) = self._inner
        trained = {name: p for name, p in inner.named_parameters() if p.requires_grad}
        theta = self.change.forward(self.coordinates)
        parts = theta.split([p.numel() for p in trained.values()])
        views = {name: part.view(p.shape) for (name, p), part in zip(trained.items(), parts, strict=True)}
        outputs: Tensor = torch.func.functional_call(inner, views, inputs, named)
        return outputs


class ReparametrizedNetwork:
    """z = f(x, θ(γ)), by the inner network's own derivatives and the map's."""

    def __init__(self, inner: Network, change: Reparametrization) -> None:
        self.inner, self.change = inner, change

    def run(self, theta: Tensor, inputs: Inputs) -> ReparametrizedPass:
        return ReparametrizedPass(self.change, theta, self.inner.run(self.change.forward(theta), inputs))

    def evaluate(self, theta: Tensor, inputs: Inputs) -> Tensor:
        return self.inner.evaluate(self.change.forward(theta), inputs)

    structured = False

    @property
    def single(self) -> bool:
        return self.inner.single

    def bytes_per_case(self, theta: Tensor, inputs: Inputs) -> float:
        return self.inner.bytes_per_case(self.change.forward(theta), inputs)


class ReparametrizedPass(Pass):
    """One forward pass at γ: the inner one at θ(γ), its J made JD by the map."""

    def __init__(self, change: Reparametrization, gamma: Tensor, inner: Pass) -> None:
        self.change, self.theta, self.inner = change, gamma, inner
        self.outputs = inner.outputs

    def vjp(self, u: Tensor) -> Tensor:
        return self.change.vjp(self.theta, self.inner.vjp(u))

    def jvp(self, rows: Tensor) -> Tensor:
        return self.inner.jvp(self.change.jvp(self.theta, rows))

    def product(self, rows: Tensor, push: Push | None, u: Tensor | None) -> Tensor:
        """Dᵀ(…)D v, and with u the map's own bend, Σ (Jᵀu)_k ∇²θ_k v."""
        product = self.inner.product(self.change.jvp(self.theta, rows), push, u)
        product = self.change.vjp(self.theta, product)
        if u is not None:
            product = product + self.change.second(self.theta, self.inner.vjp(u), rows)
        return product

    def outer_product(self, u: Tensor, rows: Tensor) -> Tensor:
        product = self.inner.outer_product(u, self.change.jvp(self.theta, rows))
        return self.change.vjp(self.theta, product)

    def rows(self, root: Tensor) -> Tensor:
        return self.change.vjp(self.theta, self.inner.rows(root))

    def dense(self, middle: Tensor, u: Tensor | None, watch: Watch) -> tuple[Tensor, float]:
        matrix, flops = self.inner.dense(middle, u, watch)
        # Dᵀ on each row of a symmetric B makes BD, and on each row of its transpose, DᵀB, makes DᵀBD.
        matrix = self.change.vjp(self.theta, self.change.vjp(self.theta, matrix).T)
        if u is not None:
            eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
            matrix = matrix + self.change.second(self.theta, self.inner.vjp(u), eye)
        return (matrix + matrix.T) / 2, flops

    def statistics(self, u: Tensor) -> list[Statistics]:
        raise ValueError("model: a map stands between its parameters and its layers; K-FAC needs layers of their own")

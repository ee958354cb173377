"""What a reparametrization is: a smooth invertible map γ → θ with its first two derivatives, and how two compose."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor


class Reparametrization:
    """θ = θ(γ), with D = ∂θ/∂γ, written out and without a loop over parameters.

    `forward` and `inverse` take any number of points at once, (..., P). Derivatives are taken at one γ, (P,), along
    directions in rows, (..., P). `parameters` is the only P it takes, None where any will do. Nothing here checks the
    domain: outside of it results are NaN, or such that the loss there is.
    """

    title: str
    parameters: int | None = None

    def forward(self, gamma: Tensor) -> Tensor:
        """θ(γ)."""
        raise NotImplementedError

    def inverse(self, theta: Tensor) -> Tensor:
        """γ with θ(γ) = θ."""
        raise NotImplementedError

    def jvp(self, gamma: Tensor, v: Tensor) -> Tensor:
        """D v for v (..., P)."""
        raise NotImplementedError

    def vjp(self, gamma: Tensor, w: Tensor) -> Tensor:
        """Dᵀ w for w (..., P)."""
        raise NotImplementedError

    def second(self, gamma: Tensor, w: Tensor, v: Tensor) -> Tensor:
        """Σ_k w_k ∇²θ_k v, for w (P,) and v (..., P): how Dᵀw changes along v."""
        raise NotImplementedError

    def to(self, like: Tensor) -> Self:
        """The same map on the device and dtype of `like`."""
        return self

    def then(self, outer: Reparametrization) -> Reparametrization:
        """γ → outer(self(γ)). Raises ValueError for maps of different P."""
        return Composed(self, outer)

    def __matmul__(self, inner: Reparametrization) -> Reparametrization:
        """As for matrices, the right one comes first: (outer @ inner)(γ) = outer(inner(γ))."""
        return Composed(inner, self)


class Composed(Reparametrization):
    """γ → outer(inner(γ)): D = D_o D_i, and Σ w_k ∇²θ_k = D_iᵀ (Σ w_k ∇²outer_k) D_i + Σ (D_oᵀw)_j ∇²inner_j."""

    def __init__(self, inner: Reparametrization, outer: Reparametrization) -> None:
        if None not in (inner.parameters, outer.parameters) and inner.parameters != outer.parameters:
            raise ValueError(
                f"maps: {inner.title} takes {inner.parameters} parameters and {outer.title} {outer.parameters}; "
                "maps of as many are accepted"
            )
        self.inner, self.outer = inner, outer
        self.title = f"{inner.title}, then {outer.title}"
        self.parameters = inner.parameters if outer.parameters is None else outer.parameters

    def forward(self, gamma: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(gamma))

    def inverse(self, theta: Tensor) -> Tensor:
        return self.inner.inverse(self.outer.inverse(theta))

    def jvp(self, gamma: Tensor, v: Tensor) -> Tensor:
        return self.outer.jvp(self.inner.forward(gamma), self.inner.jvp(gamma, v))

    def vjp(self, gamma: Tensor, w: Tensor) -> Tensor:
        return self.inner.vjp(gamma, self.outer.vjp(self.inner.forward(gamma), w))

    def second(self, gamma: Tensor, w: Tensor, v: Tensor) -> Tensor:
        middle = self.inner.forward(gamma)
        bent_outside = self.inner.vjp(gamma, self.outer.second(middle, w, self.inner.jvp(gamma, v)))
        return bent_outside + self.inner.second(gamma, self.outer.vjp(middle, w), v)

    def to(self, like: Tensor) -> Composed:
        return Composed(self.inner.to(like), self.outer.to(like))


class LinearReparametrization(Reparametrization):
    """θ = A γ + b: D = A everywhere, and nothing bends."""

    def linear(self, v: Tensor) -> Tensor:
        """A v."""
        raise NotImplementedError

    def adjoint(self, w: Tensor) -> Tensor:
        """Aᵀ w."""
        raise NotImplementedError

    def forward(self, gamma: Tensor) -> Tensor:
        return self.linear(gamma)

    def jvp(self, gamma: Tensor, v: Tensor) -> Tensor:
        return self.linear(v)

    def vjp(self, gamma: Tensor, w: Tensor) -> Tensor:
        return self.adjoint(w)

    def second(self, gamma: Tensor, w: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(v)

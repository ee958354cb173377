"""A point θ of an objective, looked at once: one forward pass, and everything asked of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ngexplorer.cancellation import UNWATCHED, Watch
from ngexplorer.objectives.networks import Pass, Statistics, taken

if TYPE_CHECKING:
    from ngexplorer.objectives.objective import Objective


class Costs(NamedTuple):
    """What each kind of work costs, in gradients."""

    forward: float
    tangent: float
    """J v"""
    adjoint: float
    """Jᵀu"""
    second: float
    """The Hessian's second-order term"""
    outer: float
    """Σ gₙgₙᵀ v"""
    back: float
    """What of Jᵀu goes back through the layers alone"""


# Of a gradient's three products a layer, a forward pass is one; J v takes two (for what enters the layer and for its
# weights), Jᵀu two, the Hessian's second-order term two more, and a product with Σ gₙgₙᵀ only two in all.
DEEP = Costs(forward=1 / 3, tangent=2 / 3, adjoint=2 / 3, second=2 / 3, outer=2 / 3, back=1 / 3)
# A single layer has nothing that moves entering it, and nothing to send back: two products make a gradient.
SINGLE = Costs(forward=1 / 2, tangent=1 / 2, adjoint=1 / 2, second=0.0, outer=1.0, back=0.0)

RowPush = Callable[[Tensor, slice], Tensor]
"""A symmetric linear map of directions (rows, K, C) of the outputs at those rows."""


class Point:
    """h and its derivatives at one θ. Each is computed when first asked for, from the same forward pass.

    The forward pass is kept where all cases fit in one chunk; else every question goes through the cases in chunks, so
    that memory stays bounded. `work` counts what has been spent here, in gradients of the whole objective (one forward
    and backward pass). `watch` may stop long work (Cancelled) and is told how far it is.
    """

    def __init__(self, objective: Objective, theta: Tensor, watch: Watch = UNWATCHED) -> None:
        self.objective = objective
        self.theta = theta
        self.watch = watch
        self.costs = costs = SINGLE if objective.network.single else DEEP
        self.work = costs.forward
        self.cache: dict[Any, Any] = {}
        """Where the curvature matrices keep what they have computed at this θ."""
        self._kept: Pass | None = None
        network, chunks = objective.network, objective.chunks
        if len(chunks) == 1:
            self._kept = network.run(theta, objective.inputs)
            self.outputs = self._kept.outputs
        else:
            parts = [network.evaluate(theta, taken(objective.inputs, at)) for at in watch.over(chunks)]
            self.outputs = torch.cat(parts)
        self._rows = self.outputs.shape[0]

    outputs: Tensor
    """z = f(x, θ), (N, C); outputs at T positions of a case are N·T rows"""

    def _passes(self) -> Iterator[tuple[slice, Pass]]:
        """A forward pass of every chunk, with the rows of the outputs that it makes."""
        if self._kept is not None:
            self.watch.check()
            yield slice(0, self._rows), self._kept
            return
        objective = self.objective
        per_case = self._rows // objective.cases
        self.work += self.costs.forward
        for at in self.watch.over(objective.chunks):
            rows = slice(at.start * per_case, at.stop * per_case)
            yield rows, objective.network.run(self.theta, taken(objective.inputs, at))

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
        self.work += 1 - self.costs.forward - self.costs.adjoint
        return self.vjp(self.output_gradient) / self._rows + self.objective.penalty_gradient(self.theta)

    @cached_property
    def metric(self) -> Tensor:
        """The loss's metric on the training cases, a scalar tensor."""
        return self.objective.loss.metric(self.outputs, self.objective.targets)

    def _slopes(self, rows: slice) -> Tensor:
        """∂L/∂z of some rows; of all of them the same tensor each time, so that a pass may keep its backward sweep."""
        return _taken(self.output_gradient, rows)

    def jvp(self, v: Tensor) -> Tensor:
        """J v of each case, (P,) → (N, C)."""
        self.work += self.costs.tangent
        return torch.cat([run.jvp(v[None])[:, 0] for _, run in self._passes()])

    def vjp(self, u: Tensor) -> Tensor:
        """Σ_n J_nᵀ u_n, (N, C) → (P,)."""
        self.work += self.costs.adjoint
        return _summed(run.vjp(_taken(u, rows)) for rows, run in self._passes())

    def _product_cost(self, second_order: bool) -> float:
        costs = self.costs
        return costs.tangent + costs.adjoint + (costs.second if second_order else 0.0)

    def product(self, vectors: Tensor, push: RowPush | None, second_order: bool) -> Tensor:
        """(1/N) Σ_n (Jᵀ M J + Σ_j ∂L/∂z_nj ∇²f_j) v with M = `push` (None: 0), the second term if asked: (P,) → (P,),
        or K at once, (P, K) → (P, K)."""
        rows_of = vectors[None] if vectors.ndim == 1 else vectors.T.contiguous()
        self.work += len(rows_of) * self._product_cost(second_order)

        def one(rows: slice, run: Pass) -> Tensor:
            u = self._slopes(rows) if second_order else None
            pushed = None if push is None else lambda moved: push(moved, rows)
            some_at_a_time = rows_of.split(self.objective.directions_at_once)
            return torch.cat([run.product(some, pushed, u) for some in some_at_a_time])

        total = _summed(one(rows, run) for rows, run in self._passes()) / self._rows
        return total[0] if vectors.ndim == 1 else total.T

    def inner(self, vectors: Tensor, push: RowPush) -> Tensor:
        """(1/N) Σ_n (J v)ᵀ M (J w) for all pairs of K directions, M = `push`: (P, K) → (K, K). Forward only, which is
        half of what their products take (Martens and Grosse 2015, appendix C)."""
        rows_of = vectors.T.contiguous()
        self.work += len(rows_of) * self.costs.tangent

        def one(rows: slice, run: Pass) -> Tensor:
            moved = run.jvp(rows_of)
            pushed = push(moved, rows)
            # One matrix product: einsum takes six times as long over two strided axes.
            return moved.transpose(0, 1).flatten(1) @ pushed.transpose(0, 1).flatten(1).T

        return _summed(one(rows, run) for rows, run in self._passes()) / len(self.outputs)

    def outer_product(self, u: Tensor, vectors: Tensor) -> Tensor:
        """(1/N) Σ_n g_n g_nᵀ v with g_n = J_nᵀ u_n for u (N, C): (P,) → (P,) or (P, K) → (P, K)."""
        rows_of = vectors[None] if vectors.ndim == 1 else vectors.T.contiguous()
        self.work += len(rows_of) * self.costs.outer
        total = _summed(run.outer_product(_taken(u, rows), rows_of) for rows, run in self._passes())
        total = total / self._rows
        return total[0] if vectors.ndim == 1 else total.T

    def dense(self, middle: Tensor, second_order: bool) -> Tensor:
        """(1/N) Σ_n Jᵀ M J for M (N, C, C), and with the Hessian's second-order term if asked: (P, P)."""
        products = len(self.theta) * self._product_cost(second_order)

        def one(rows: slice, run: Pass) -> Tensor:
            matrix, flops = run.dense(_taken(middle, rows), self._slopes(rows) if second_order else None, self.watch)
            share = (rows.stop - rows.start) / self._rows
            self.work += products * share if flops != flops else flops / self.objective.gradient_flops
            return matrix

        return _summed(one(rows, run) for rows, run in self._passes()).div_(self._rows)

    def statistics(self, u: Tensor) -> Iterator[list[Statistics]]:
        """What enters each layer, and the gradients of uᵀz with respect to its sums for u (N, K, C), chunk by chunk.
        Raises ValueError for a model with parameters elsewhere than in Linear and Conv2d layers."""
        self.work += u.shape[1] * self.costs.back
        for rows, run in self._passes():
            yield run.statistics(u[rows])

    def rows(self, root: Tensor) -> Tensor:
        """SᵀJ for S (N, C, R): (N·R, P), unscaled."""
        self.work += root.shape[2] * self.costs.adjoint
        return torch.cat([run.rows(root[rows]) for rows, run in self._passes()])

    def mark(self) -> tuple[float, dict[Any, Any], set[str]]:
        """What has been computed here so far, for `restore`."""
        return self.work, dict(self.cache), set(self.__dict__)

    def restore(self, mark: tuple[float, dict[Any, Any], set[str]]) -> None:
        """Forget all that was computed since."""
        self.work, self.cache, names = mark
        for name in set(self.__dict__) - names:
            del self.__dict__[name]

    def count_flops(self, flops: float) -> None:
        """Count linear algebra done for this point (a factorization, say), in floating-point operations."""
        self.work += flops / self.objective.gradient_flops

    def __repr__(self) -> str:
        return f"Point(θ of {len(self.theta)}, ‖θ‖ = {float(torch.linalg.vector_norm(self.theta)):.4g})"


def _taken(cases: Tensor, rows: slice) -> Tensor:
    """Some rows of (N, …), and the same tensor where they are all."""
    return cases if rows.stop - rows.start == cases.shape[0] else cases[rows]


def _summed(parts: Iterator[Tensor]) -> Tensor:
    """The sum of tensors of which there is at least one, adding in place from the second on."""
    total = next(parts)
    for part in parts:
        total += part
    return total

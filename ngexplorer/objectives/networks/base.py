"""What a network is to an objective: a function of one flat θ, and one forward pass of it that answers for J."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ngexplorer.cancellation import Watch

Inputs = Tensor | tuple[Any, ...] | dict[str, Any]
"""What a module is called with: one tensor, or a tuple or dict of tensors, whose first dimension is the cases."""

Push = Callable[[Tensor], Tensor]
"""A symmetric linear map of directions of the outputs, row by row: (N, K, C) → (N, K, C), K directions at once."""

# So many numbers of a batch of products are kept at once: 64 MB in float64.
_AT_ONCE = 8_000_000


@dataclass(frozen=True)
class Affine:
    """A Linear or Conv2d layer, and where its weight and bias stand in θ.

    Its weight is (outputs, inputs) row-major in θ; a convolution's inputs are its channels times its kernel.
    """

    name: str
    outputs: int
    inputs: int
    weight_at: slice
    bias_at: slice | None


@dataclass(frozen=True)
class Statistics:
    """What K-FAC and its kin need of one layer: what enters it, position by position, `entering` (N, T, inputs), and
    the gradients with respect to its sums, `deltas` (N, K, T, outputs)."""

    layer: Affine
    entering: Tensor
    deltas: Tensor


class Pass:
    """One forward pass at one θ. All products sum over the rows of outputs; nothing is averaged.

    Directions in θ are rows too: K of them are (K, P).
    """

    theta: Tensor
    outputs: Tensor
    """z = f(x, θ), (N, C), without a graph"""

    def vjp(self, u: Tensor) -> Tensor:
        """Jᵀu summed over cases for u (N, C) → (P,)."""
        raise NotImplementedError

    def jvp(self, rows: Tensor) -> Tensor:
        """Jv for v (K, P) → (N, K, C)."""
        raise NotImplementedError

    def product(self, rows: Tensor, push: Push | None, u: Tensor | None) -> Tensor:
        """Σ_n Jᵀ M J v, M being `push`, plus Σ_nj u_nj ∇²f_j v where u (N, C) is given: (K, P) → (K, P)."""
        raise NotImplementedError

    def outer_product(self, u: Tensor, rows: Tensor) -> Tensor:
        """Σ_n (Jᵀu)_n (Jᵀu)_nᵀ v for u (N, C): (K, P) → (K, P)."""
        return self.product(rows, lambda moved: (moved @ u[:, :, None]) * u[:, None, :], None)

    def statistics(self, u: Tensor) -> list[Statistics]:
        """Of every layer, the gradients being those of uᵀz for u (N, K, C). Raises ValueError for a network with
        parameters elsewhere than in Linear and Conv2d layers."""
        raise NotImplementedError

    def rows(self, root: Tensor) -> Tensor:
        """SᵀJ for S (N, C, R): (N·R, P)."""
        raise NotImplementedError

    def dense(self, middle: Tensor, u: Tensor | None, watch: Watch) -> tuple[Tensor, float]:
        """Σ_n Jᵀ M J for M (N, C, C), plus Σ_nj u_nj ∇²f_j where u is given: (P, P), and the flops it took, NaN where
        they were not counted. Here by P products, some at a time."""
        size = len(self.theta)
        at_once = max(1, min(size, 64, _AT_ONCE // max(8 * self.outputs.numel(), size)))
        result = torch.empty(size, size, dtype=self.theta.dtype, device=self.theta.device)
        for start in watch.over(range(0, size, at_once)):
            stop = min(start + at_once, size)
            rows = torch.zeros(stop - start, size, dtype=self.theta.dtype, device=self.theta.device)
            rows[:, start:stop].fill_diagonal_(1)
            result[start:stop] = self.product(rows, lambda moved: moved @ middle, u)
        return (result + result.T) / 2, float("nan")


class Network(Protocol):
    """A function of inputs and θ (P,)."""

    @property
    def structured(self) -> bool:
        """Whether dense matrices come from the structure of its layers, and not from P products."""
        ...

    @property
    def single(self) -> bool:
        """Whether it is known to have parameters in its first layer alone, before which nothing is sent back."""
        ...

    def run(self, theta: Tensor, inputs: Inputs) -> Pass:
        """One forward pass, kept for every question about it."""
        ...

    def evaluate(self, theta: Tensor, inputs: Inputs) -> Tensor:
        """z alone, (N, C): nothing is kept."""
        ...

    def bytes_per_case(self, theta: Tensor, inputs: Inputs) -> float:
        """About how much memory a kept pass takes for one case, measured on these."""
        ...


def cases_of(inputs: Inputs) -> int:
    """N, the length of the first dimension of every tensor; raises ValueError where they differ."""
    lengths = {len(t) for t in tensors_of(inputs)}
    if len(lengths) != 1:
        raise ValueError(f"inputs: tensors of {sorted(lengths)} cases; one number of cases is accepted")
    return lengths.pop()


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """Every tensor of the inputs, none of which may be anything else; raises ValueError."""
    values = [inputs] if isinstance(inputs, Tensor) else list(inputs.values() if isinstance(inputs, dict) else inputs)
    if not values or not all(isinstance(v, Tensor) and v.ndim for v in values):
        kinds = ", ".join(type(v).__name__ for v in values) or "nothing"
        raise ValueError(f"inputs: {kinds}; a tensor with one row a case, or a tuple or dict of them, is accepted")
    return values


def mapped(inputs: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The inputs with a function applied to every tensor."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    if isinstance(inputs, dict):
        return {key: function(value) for key, value in inputs.items()}
    return tuple(function(value) for value in inputs)


def taken(inputs: Any, at: Any) -> Any:
    """The inputs of some cases: a slice or indices of the first dimension."""
    return mapped(inputs, lambda t: t[at])


def check_outputs(outputs: Any) -> None:
    """Raise ValueError for what cannot be a network's outputs."""
    if not isinstance(outputs, Tensor):
        raise ValueError(
            f"model: it returns a {type(outputs).__name__}; one tensor of outputs is accepted (wrap the module in one "
            "that chooses)"
        )
    if outputs.ndim not in (2, 3):
        raise ValueError(
            f"model: outputs of shape {tuple(outputs.shape)}; (cases, outputs) or (cases, positions, outputs) "
            "is accepted"
        )


def is_plain(module: nn.Conv2d) -> bool:
    """Whether a convolution is the usual one: one group, zero padding given in numbers."""
    return module.groups == 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)


def copied(model: nn.Module) -> nn.Module:
    """A copy of the module, its own from here on. What it keeps of an earlier graph (the weight of an old weight_norm)
    is copied without the graph, which torch would refuse to copy."""
    kept = [value for module in model.modules() for value in vars(module).values()]
    memo: dict[int, object] = {
        id(value): value.detach().clone() for value in kept if isinstance(value, Tensor) and not value.is_leaf
    }
    return copy.deepcopy(model, memo)

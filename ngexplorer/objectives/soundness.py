"""What a module has to be to serve as a network, tried on a few cases: a function of θ and one case, smooth enough."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ngexplorer.objectives.networks import GeneralNetwork, Inputs, cases_of, taken

_DRAWS = 3
"""A finite difference across a kink of ReLU disagrees by chance; a wrong derivative disagrees every time."""
_LARGEST_COPY = 5_000_000
"""Up to so many parameters a module is tried in double precision."""


def examine(network: GeneralNetwork, theta: Tensor, few: Inputs) -> str | None:
    """Why the module's Hessian would be wrong, or None if it is right.

    Raises ValueError for a module that is no function of θ and one case, or whose gradient is none.
    """
    _require_a_function(network, theta, few)
    network, theta, few = _in_double_precision(network, theta, few)
    exact = theta.dtype == torch.float64
    epsilon, tolerance = (1e-6, 1e-4) if exact else (1e-2, 0.1)
    reason: str | None = None
    for draw in range(_DRAWS):
        trial = _Trial(network, theta, few, draw, epsilon, tolerance)
        reason = trial.first_order()
        if reason is None:
            break
    if reason is not None:
        raise ValueError(f"model: {reason}; a module whose derivatives autograd gets right is accepted")
    for draw in range(_DRAWS):
        reason = _Trial(network, theta, few, draw, epsilon, tolerance).second_order()
        if reason is None:
            return None
    return reason


def _require_a_function(network: GeneralNetwork, theta: Tensor, few: Inputs) -> None:
    """Raise ValueError where outputs change from pass to pass, or with the other cases of the batch."""
    buffers = {name: buffer.clone() for name, buffer in network.module.named_buffers()}
    outputs = network.evaluate(theta, few)
    for name, buffer in network.module.named_buffers():
        if not torch.equal(buffer, buffers[name]):
            network.module.get_buffer(name).copy_(buffers[name])
            raise ValueError(
                f"model: a pass changes its buffer '{name}', as batch normalization does in training mode; a module in "
                "evaluation mode (model.eval()) is accepted"
            )
    if not _near(network.evaluate(theta, few), outputs):
        raise ValueError(
            "model: two passes over the same inputs differ, as with dropout in training mode; a module in evaluation "
            "mode (model.eval()) is accepted"
        )
    half = cases_of(few) // 2
    if half and not _near(
        network.evaluate(theta, taken(few, slice(0, half))), outputs[: len(outputs) * half // cases_of(few)]
    ):
        raise ValueError(
            "model: a case's outputs depend on the other cases of the batch, as with batch normalization in training "
            "mode; a module that looks at each case alone is accepted"
        )


def _near(actual: Tensor, expected: Tensor) -> bool:
    """Equal up to the order of summation."""
    tolerance = 1e3 * torch.finfo(expected.dtype).eps
    return actual.shape == expected.shape and torch.allclose(
        actual, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()), equal_nan=True
    )


def _in_double_precision(network: GeneralNetwork, theta: Tensor, few: Inputs) -> tuple[GeneralNetwork, Tensor, Inputs]:
    """The same in float64 where the module can be, so that finite differences say more."""
    if theta.dtype == torch.float64 or len(theta) > _LARGEST_COPY or theta.device.type == "mps":
        return network, theta, few

    def double(t: Tensor) -> Tensor:
        return t.double() if t.is_floating_point() else t

    try:
        wide = GeneralNetwork(copy.deepcopy(network.module).double())
        if isinstance(few, Tensor):
            inputs: Inputs = double(few)
        elif isinstance(few, dict):
            inputs = {key: double(value) for key, value in few.items()}
        else:
            inputs = tuple(double(value) for value in few)
        wide.evaluate(theta.double(), inputs)
    except RuntimeError:  # a module that names its own dtype
        return network, theta, few
    return wide, theta.double(), inputs


class _Trial:
    """Random directions at a random θ near the start, where zeros would hide a fault."""

    def __init__(
        self, network: GeneralNetwork, theta: Tensor, few: Inputs, draw: int, epsilon: float, tolerance: float
    ) -> None:
        generator = torch.Generator(device="cpu").manual_seed(draw)

        def normal(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator, dtype=torch.float64, device="cpu").to(like)

        self.network, self.few, self.epsilon, self.tolerance = network, few, epsilon, tolerance
        scale = float(theta.square().mean().sqrt())
        self.theta = theta + 0.1 * max(scale, 0.1) * normal(theta)
        self.run = network.run(self.theta, few)
        self.u = normal(self.run.outputs)
        self.v, self.w = (normal(theta) * max(scale, 0.1) for _ in range(2))

    def _disagree(self, one: Tensor, other: Tensor, least: float) -> bool:
        error = float(torch.linalg.vector_norm(one - other))
        return not error <= self.tolerance * max(float(torch.linalg.vector_norm(other)), least)

    def _slope(self, of: str) -> Tensor:
        """A central difference along v of the outputs, or of Jᵀu."""
        forward, backward = self.theta + self.epsilon * self.v, self.theta - self.epsilon * self.v
        if of == "outputs":
            ends = (self.network.evaluate(forward, self.few), self.network.evaluate(backward, self.few))
        else:
            ends = (self.network.run(forward, self.few).vjp(self.u), self.network.run(backward, self.few).vjp(self.u))
        return (ends[0] - ends[1]) / (2 * self.epsilon)

    def first_order(self) -> str | None:
        """Why J cannot be trusted."""
        try:
            moved, pulled = self.run.jvp(self.v[None])[:, 0], self.run.vjp(self.u)
        except (RuntimeError, NotImplementedError) as error:
            return f"it cannot be differentiated twice, which products with J need ({str(error).splitlines()[0]})"
        one, other = (self.u * moved).sum(), pulled.dot(self.v)
        size = float(torch.linalg.vector_norm(pulled) * torch.linalg.vector_norm(self.v))
        if self._disagree(one, other, size):
            return "J v and Jᵀu contradict each other, so some operation's second derivative is wrong"
        if self._disagree(moved, self._slope("outputs"), 1e-6 * float(torch.linalg.vector_norm(self.run.outputs))):
            return "its gradient is not the slope of its outputs"
        return None

    def second_order(self) -> str | None:
        """Why Σ u ∇²f v cannot be trusted."""
        try:
            rows = torch.stack((self.v, self.w))
            along_v, along_w = self.run.product(rows, None, self.u)
        except (RuntimeError, NotImplementedError) as error:
            return f"the model cannot be differentiated twice ({str(error).splitlines()[0]})"
        size = 1e-3 * float(torch.linalg.vector_norm(self.run.vjp(self.u)))
        if self._disagree(along_v.dot(self.w), along_w.dot(self.v), size * float(torch.linalg.vector_norm(self.w))):
            return "the model's second derivatives are not symmetric: uᵀHv ≠ vᵀHu"
        if self._disagree(along_v, self._slope("pulled"), size):
            return "the model's second derivatives are not the slope of its gradient"
        return None

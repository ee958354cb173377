"""What a module has to be to serve as a network, tried on a few cases: a function of θ and one case, smooth enough."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ngexplorer.objectives.networks import GeneralNetwork, Inputs, cases_of, mapped, taken, tensors_of

_DRAWS = 3
"""A finite difference across a kink of ReLU disagrees by chance; a wrong derivative disagrees every time."""
_LARGEST_COPY = 5_000_000
"""Up to so many parameters a module is tried in double precision."""


def examine(network: GeneralNetwork, theta: Tensor, few: Inputs) -> str | None:
    """Why the module's Hessian would be wrong, or None if it is right.

    Raises ValueError for a module that is no function of θ and one case, or whose gradient is none.
    """
    _require_a_function(network, theta, few)
    narrow = theta.dtype != torch.float64
    network, theta, few = _in_double_precision(network, theta, few)
    if theta.dtype != torch.float64:
        settings = [(1e-2, 0.1)] * _DRAWS
    else:  # a float32 module may well round to float32 inside, whatever it is given
        settings = [(1e-6, 1e-4)] * _DRAWS + [(1e-3, 1e-2)] * (_DRAWS if narrow else 0)

    def tried(order: str) -> str | None:
        """Why every draw fails, or None."""
        reason: str | None = None
        for draw, (epsilon, tolerance) in enumerate(settings):
            trial = _Trial(network, theta, few, draw, epsilon, tolerance)
            reason = trial.first_order() if order == "first" else trial.second_order()
            if reason is None:
                return None
        return reason

    try:
        reason = tried("first")
    except RuntimeError as error:
        reason = f"it cannot be differentiated ({_first_line(error)})"
    if reason is not None:
        raise ValueError(f"model: {reason}; a module whose derivatives autograd gets right is accepted")
    return tried("second")


def _require_a_function(network: GeneralNetwork, theta: Tensor, few: Inputs) -> None:
    """Raise ValueError where outputs change from pass to pass or with the other cases of the batch, or a pass changes
    what it was given."""
    buffers = {name: buffer.clone() for name, buffer in network.module.named_buffers()}
    given = [theta, *tensors_of(few)]
    versions, random = [t._version for t in given], _random_state(theta.device)
    outputs = network.evaluate(theta, few)
    for name, buffer in network.module.named_buffers():
        if not torch.equal(buffer, buffers[name]):
            network.module.get_buffer(name).copy_(buffers[name])
            raise ValueError(
                f"model: a pass changes its buffer '{name}', as batch normalization does in training mode; a module in "
                "evaluation mode (model.eval()) is accepted"
            )
    # By version: a change made twice, as by ReLU(inplace=True), leaves the same numbers.
    if [t._version for t in given] != versions:
        what = "parameters" if theta._version != versions[0] else "inputs"
        raise ValueError(
            f"model: a pass changes its {what} in place; a module that leaves what it is given alone is accepted"
        )
    # By the generator's state: dropout that is rare enough changes nothing in most passes.
    if not torch.equal(_random_state(theta.device), random) or not _near(network.evaluate(theta, few), outputs):
        raise ValueError(
            "model: two passes over the same inputs differ, as with dropout in training mode; a module in evaluation "
            "mode (model.eval()) is accepted"
        )
    _require_cases_apart(network, theta, few, outputs)


def _require_cases_apart(network: GeneralNetwork, theta: Tensor, few: Inputs, outputs: Tensor) -> None:
    """Raise ValueError where a case's outputs are not what it gives with fewer cases beside it, or with none.

    Half of the batch alone would not show that a case looks at those before it, as in an LSTM that takes the cases for
    its time steps (batch_first=False).
    """
    cases = cases_of(few)
    each = len(outputs) // cases
    for part in [slice(0, cases // 2), *(slice(i, i + 1) for i in range(cases))]:
        if part.stop == part.start:
            continue
        try:
            alone = network.evaluate(theta, taken(few, part))
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            count = part.stop - part.start
            raise ValueError(
                f"model: it takes {cases} cases and not {count} ({_first_line(error)}); a module that looks at each "
                "case alone is accepted"
            ) from error
        if not _near(alone, outputs[part.start * each : part.stop * each]):
            raise ValueError(
                "model: a case's outputs depend on the other cases of the batch, as with batch normalization in "
                "training mode, or recurrent layers and attention without batch_first=True; a module that looks at "
                "each case alone is accepted"
            )


def _random_state(device: torch.device) -> Tensor:
    """The state of the generator that modules on this device draw from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
        inputs = mapped(few, double)
        wide.evaluate(theta.double(), inputs)
    except (RuntimeError, ValueError, TypeError):  # a module that names its own dtype
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
            return f"it cannot be differentiated twice, which products with J need ({_first_line(error)})"
        one, other = (self.u * moved).sum(), pulled.dot(self.v)
        size = float(torch.linalg.vector_norm(pulled) * torch.linalg.vector_norm(self.v))
        if self._disagree(one, other, size):
            return "J v and Jᵀu contradict each other, so some operation's second derivative is wrong or missing"
        if self._disagree(moved, self._slope("outputs"), 1e-6 * float(torch.linalg.vector_norm(self.run.outputs))):
            return f"its gradient is not the slope of its outputs, to {self.tolerance:g} of it"
        return None

    def second_order(self) -> str | None:
        """Why Σ u ∇²f v cannot be trusted."""
        try:
            rows = torch.stack((self.v, self.w))
            along_v, along_w = self.run.product(rows, None, self.u)
        except (RuntimeError, NotImplementedError) as error:
            return f"the model cannot be differentiated twice ({_first_line(error)})"
        size = 1e-3 * float(torch.linalg.vector_norm(self.run.vjp(self.u)))
        if self._disagree(along_v.dot(self.w), along_w.dot(self.v), size * float(torch.linalg.vector_norm(self.w))):
            return "the model's second derivatives are not symmetric: uᵀHv ≠ vᵀHu"
        if self._disagree(along_v, self._slope("pulled"), size):
            return "the model's second derivatives are not the slope of its gradient"
        return None

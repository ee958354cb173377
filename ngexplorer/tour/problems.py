"""Small problems that the stops measure on, all of them drawn from a seed in float64."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.tour.checks import stopped


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Numbers from N(0, 1) of that shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(*numbers: float) -> Tensor:
    """These numbers, (n,)."""
    return torch.tensor(numbers, dtype=torch.float64)


def mlp(*widths: int, activation: type[nn.Module] = nn.Tanh, bias: bool = True, seed: int = 0) -> nn.Sequential:
    """Linear layers of those widths with an activation between them; weights from N(0, 1/n), biases from N(0, ¼)."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        if layers:
            layers.append(activation())
        layer = nn.Linear(before, after, bias=bias, dtype=torch.float64)
        nn.init.normal_(layer.weight, std=before**-0.5, generator=generator)
        if layer.bias is not None:
            nn.init.normal_(layer.bias, std=0.5, generator=generator)
        layers.append(layer)
    return nn.Sequential(*layers)


class Output(nn.Module):
    """θ itself is the output of every case, so that H_L and F_R of the loss are the matrices in θ."""

    def __init__(self, *theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(tensor(*theta))

    def forward(self, x: Tensor) -> Tensor:
        return self.theta.expand(len(x), -1)


class Behind(nn.Module):
    """A network whose parameters θ = φ(γ) stand behind a map of each by itself; γ is what is trained."""

    def __init__(self, network: nn.Module, value: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._networks = [network]  # a list, so that θ is not registered beside γ
        self._value = value
        self._sizes = [(name, p.shape, p.numel()) for name, p in network.named_parameters()]
        self.gamma = nn.Parameter(back(nn.utils.parameters_to_vector(network.parameters()).detach()))

    def forward(self, x: Tensor) -> Tensor:
        parts = self._value(self.gamma).split([size for *_, size in self._sizes])
        views = {name: part.view(shape) for (name, shape, _), part in zip(self._sizes, parts, strict=True)}
        outputs: Tensor = torch.func.functional_call(self._networks[0], views, (x,))
        return outputs


def classifier(
    *widths: int, cases: int = 20, weight_decay: float = 0.0, activation: type[nn.Module] = nn.Tanh
) -> ngx.Objective:
    """Softmax cross-entropy of a small network on Gaussian inputs with labels that have nothing to do with them."""
    y = torch.randint(widths[-1], (cases,), generator=torch.Generator().manual_seed(1))
    loss = ngx.losses.SoftmaxCrossEntropy()
    return ngx.Objective(mlp(*widths, activation=activation), loss, drawn(cases, widths[0], seed=2), y, weight_decay)


def logistic(*widths: int, cases: int = 40, weight_decay: float = 0.0) -> ngx.Objective:
    """The same with yes-or-no labels."""
    y = torch.randint(2, (cases, 1), generator=torch.Generator().manual_seed(1)).double()
    return ngx.Objective(mlp(*widths), ngx.losses.BernoulliLogits(), drawn(cases, widths[0], seed=2), y, weight_decay)


def regression(
    *widths: int, cases: int = 20, variance: float = 1.0, activation: type[nn.Module] = nn.Tanh
) -> ngx.Objective:
    """Squared error of a small network on Gaussian inputs and targets."""
    loss = ngx.losses.SquaredError(variance=variance)
    return ngx.Objective(
        mlp(*widths, activation=activation), loss, drawn(cases, widths[0], seed=2), drawn(cases, widths[-1], seed=3)
    )


def quadratic(*eigenvalues: float, cases: int = 20) -> ngx.Objective:
    """Least squares of a linear network without bias, the Hessian XᵀX/N with these eigenvalues: h is a quadratic."""
    size, values = len(eigenvalues), tensor(*eigenvalues)
    turned, _ = torch.linalg.qr(drawn(size, size, seed=5))
    rows, _ = torch.linalg.qr(drawn(cases, size, seed=6))
    x = cases**0.5 * rows * values.sqrt() @ turned.T
    return ngx.Objective(mlp(size, 1, bias=False, seed=7), ngx.losses.SquaredError(), x, drawn(cases, 1, seed=8))


def gaussian(parametrization: str) -> ngx.Objective:
    """Maximum likelihood of a Gaussian for two answers ½ and 1½, so ȳ = 1 and s² = ¼, from N(0, 1)."""
    start = {
        "variance": (0.0, 1.0),
        "log-variance": (0.0, 0.0),
        "precision": (0.0, 1.0),
        "natural": (0.0, -0.5),
        "mean": (0.0, 1.0),
    }[parametrization]
    loss = ngx.losses.GaussianNLL(parametrization=parametrization)  # type: ignore[arg-type]
    return ngx.Objective(Output(*start), loss, torch.zeros(2, 1).double(), tensor(0.5, 1.5)[:, None])


def gap(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors' entries, as a share of the largest entry of the second."""
    return float((a - b).abs().max() / b.abs().max())


def walk(optimizer: ngx.optimizers.Optimizer, objective: ngx.Objective, steps: int) -> list[Tensor]:
    """θ after each of some steps."""
    stepper = optimizer.start(objective)
    found = []
    for _ in range(steps):
        stepper.step(stopped)
        found.append(stepper.point.theta)
    return found

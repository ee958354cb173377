"""What the engine's tests share: small objectives, and dense references that torch.func alone computes.

No Qt here: these tests also run where none can be imported (see test_architecture.py).
"""

from dataclasses import dataclass
from itertools import pairwise

import hypothesis
import pytest
import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError

hypothesis.settings.register_profile("ngexplorer", deadline=None, derandomize=True, max_examples=25, database=None)
hypothesis.settings.load_profile("ngexplorer")


def pytest_configure(config):
    # torch.func.hessian brings this up by itself.
    config.addinivalue_line("filterwarnings", "ignore:.torch.jit.script. is deprecated:DeprecationWarning")


def make_mlp(*widths, activation=nn.Tanh, bias=True, final=None, seed=0, dtype=torch.float64):
    """Linear layers of those widths with an activation between them, weights and biases drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for i, (before, after) in enumerate(pairwise(widths)):
        if i:
            layers.append(activation())
        layers.append(nn.Linear(before, after, bias=bias, dtype=dtype))
    if final is not None:
        layers.append(final())
    module = nn.Sequential(*layers)
    draw(module, generator)
    return module


def draw(module, generator):
    """Parameters from N(0, 1/fan-in), biases from N(0, 1/4)."""
    for parameter in module.parameters():
        scale = parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 0.5
        nn.init.normal_(parameter, std=scale, generator=generator)


def make_targets(loss, cases, outputs, seed=1, dtype=torch.float64):
    """Targets that the loss takes, drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(loss, SoftmaxCrossEntropy):
        return torch.randint(outputs, (cases,), generator=generator)
    if isinstance(loss, BernoulliLogits):
        return torch.randint(2, (cases, outputs), generator=generator).to(dtype)
    return torch.randn(cases, outputs, generator=generator, dtype=dtype)


def torch_loss(loss, z, y):
    """The mean over cases of torch's own loss, summed over outputs; −log r up to a constant."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return nn.functional.cross_entropy(z, y)
    if isinstance(loss, BernoulliLogits):
        return nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(z)
    return nn.functional.mse_loss(z, y, reduction="sum") / (2 * loss.variance * len(z))


def model_fisher(loss, z):
    """F_R of one case's outputs z (C,) by summing score scoreᵀ over every label, or from 1/σ² for a Gaussian."""
    if isinstance(loss, SquaredError):
        return torch.eye(len(z), dtype=z.dtype) / loss.variance
    if isinstance(loss, SoftmaxCrossEntropy):
        labels = torch.eye(len(z), dtype=z.dtype)
        p = torch.exp(z) / torch.exp(z).sum()
        return sum(p[i] * torch.outer(p - label, p - label) for i, label in enumerate(labels))
    fisher = torch.zeros(len(z), len(z), dtype=z.dtype)
    q = 1 / (1 + torch.exp(-z))
    for label in torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=z.dtype)] * len(z)).reshape(-1, len(z)):
        chance = torch.where(label > 0, q, 1 - q).prod()
        fisher = fisher + chance * torch.outer(q - label, q - label)
    return fisher


@dataclass(frozen=True)
class Reference:
    """Everything about an objective at one θ, by torch.func and torch's losses, dense."""

    value: Tensor
    gradient: Tensor
    jacobian: Tensor
    """(N, C, P)"""
    hessian: Tensor
    gauss_newton: Tensor
    fisher: Tensor


def refer(objective, theta):
    """The reference at θ; weight decay enters value, gradient and every matrix."""
    module, loss, decay = objective.model, objective.loss, objective.weight_decay
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    names = [name for name, _ in trained]
    shapes = [p.shape for _, p in trained]
    sizes = [p.numel() for _, p in trained]

    def outputs(flat):
        parts = zip(names, flat.split(sizes), shapes, strict=True)
        views = {name: part.reshape(shape) for name, part, shape in parts}
        return torch.func.functional_call(module, views, (objective.inputs,))

    def value(flat):
        return torch_loss(loss, outputs(flat), objective.targets) + 0.5 * decay * (flat * flat).sum()

    def of_outputs(z, i):
        return torch_loss(loss, z[None], objective.targets[i : i + 1])

    z = outputs(theta).detach()
    jacobian = torch.func.jacrev(outputs)(theta).detach()
    bend = torch.stack([torch.func.hessian(of_outputs)(z[i], i) for i in range(len(z))])
    middle = torch.stack([model_fisher(loss, case) for case in z])
    identity = decay * torch.eye(len(theta), dtype=theta.dtype)
    return Reference(
        value=value(theta).detach(),
        gradient=torch.func.grad(value)(theta).detach(),
        jacobian=jacobian,
        # Reverse over reverse: torch.func.hessian's forward over reverse is wrong for LayerNorm (torch 2.13: not even
        # symmetric in the blocks of its weight).
        hessian=torch.func.jacrev(torch.func.grad(value))(theta).detach(),
        gauss_newton=torch.einsum("ncp,ncd,ndq->pq", jacobian, bend, jacobian) / len(z) + identity,
        fisher=torch.einsum("ncp,ncd,ndq->pq", jacobian, middle, jacobian) / len(z) + identity,
    )


@pytest.fixture(scope="session")
def mlp():
    return make_mlp


@pytest.fixture(scope="session")
def targets_for():
    return make_targets


@pytest.fixture(scope="session")
def reference():
    return refer


@pytest.fixture(scope="session")
def fisher_by_labels():
    return model_fisher


@pytest.fixture(scope="session")
def torch_value():
    return torch_loss


@pytest.fixture(scope="session")
def close():
    """Equality to rtol 1e-8, with an absolute tolerance for entries that are zero to rounding."""

    def check(actual, expected, rtol=1e-8, atol=1e-12):
        torch.testing.assert_close(torch.as_tensor(actual), torch.as_tensor(expected), rtol=rtol, atol=atol)

    return check


@pytest.fixture(scope="session")
def objective_of():
    """An objective of a module and a loss on drawn cases."""

    def make(module, loss, *, cases=7, inputs=3, weight_decay=0.0, seed=1, outputs=None):
        like = next(module.parameters())
        x = torch.randn(cases, inputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(like)
        with torch.no_grad():
            outputs = outputs or module(x).shape[1]
        targets = make_targets(loss, cases, outputs, seed + 1, like.dtype)
        return ngx.Objective(module, loss, x, targets, weight_decay)

    return make


@pytest.fixture(scope="session")
def quadratic():
    """An exact quadratic: least squares of a linear network, its Hessian XᵀX/N well conditioned."""

    def make(parameters=4, cases=9, weight_decay=0.0, seed=0, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(cases, parameters, generator=generator, dtype=torch.float64)
        y = torch.randn(cases, 1, generator=generator, dtype=torch.float64)
        module = make_mlp(parameters, 1, bias=False, seed=seed + 1)
        return ngx.Objective(module.to(dtype), SquaredError(), x.to(dtype), y.to(dtype), weight_decay)

    return make


# The zoo: one objective for every shape of network that the engine meets.


class Wrapped(nn.Module):
    """A module that no one can look into: the general path takes it, its θ is the same."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


class TiedAutoencoder(nn.Module):
    """Decoder weights are the encoder's, transposed."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(hidden, inputs, dtype=torch.float64))
        nn.init.normal_(self.weight, std=0.7, generator=torch.Generator().manual_seed(2))

    def forward(self, x):
        return torch.tanh(x @ self.weight.T) @ self.weight


def rosenbrock(x=-1.2, y=1.0):
    data = Rosenbrock(x=x, y=y)
    cases = data.load()
    return ngx.Objective(data.network(data.loss), SquaredError(), cases.inputs, cases.targets)


def deep_linear(mlp):
    """Linear layers with nothing between them."""
    return nn.Sequential(*mlp(3, 2, seed=3), *mlp(2, 4, seed=4), *mlp(4, 2, seed=5))


LAYERED = {
    "linear, softmax": lambda mlp: (mlp(3, 4), SoftmaxCrossEntropy(), 0.1),
    "linear without bias, squared": lambda mlp: (mlp(3, 2, bias=False), SquaredError(variance=0.3), 0.0),
    "tanh, softmax": lambda mlp: (mlp(3, 5, 4), SoftmaxCrossEntropy(), 0.0),
    "tanh without bias, squared": lambda mlp: (mlp(3, 4, 2, bias=False), SquaredError(), 0.2),
    "sigmoid, bernoulli": lambda mlp: (mlp(3, 4, 2, activation=nn.Sigmoid), BernoulliLogits(), 0.0),
    "softplus, squared": lambda mlp: (mlp(3, 4, 1, activation=nn.Softplus), SquaredError(variance=2.0), 0.0),
    "relu, softmax": lambda mlp: (mlp(3, 6, 3, activation=nn.ReLU), SoftmaxCrossEntropy(), 0.0),
    "deep tanh, bernoulli": lambda mlp: (mlp(3, 4, 3, 2, 1), BernoulliLogits(), 0.01),
    "deep relu, squared": lambda mlp: (mlp(3, 5, 4, 3, 2, activation=nn.ReLU), SquaredError(), 0.0),
    "deep sigmoid without bias, softmax": lambda mlp: (
        mlp(3, 4, 2, 3, 3, activation=nn.Sigmoid, bias=False),
        SoftmaxCrossEntropy(),
        0.0,
    ),
    "deep linear, squared": lambda mlp: (deep_linear(mlp), SquaredError(), 0.0),
    "final tanh, squared": lambda mlp: (mlp(3, 4, 2, final=nn.Tanh), SquaredError(), 0.0),
    "final softplus, softmax": lambda mlp: (
        mlp(3, 3, activation=nn.Tanh, final=nn.Softplus),
        SoftmaxCrossEntropy(),
        0.0,
    ),
}

GENERAL = {
    "gelu, softmax": lambda mlp: (mlp(3, 4, 3, activation=nn.GELU), SoftmaxCrossEntropy(), 0.05),
    "tied weights, squared": lambda mlp: (TiedAutoencoder(3, 2), SquaredError(), 0.0),
    "wrapped, bernoulli": lambda mlp: (Wrapped(mlp(3, 4, 2)), BernoulliLogits(), 0.0),
    "layer norm, softmax": lambda mlp: (
        nn.Sequential(mlp(3, 4), nn.LayerNorm(4, dtype=torch.float64), nn.Tanh(), mlp(4, 3)),
        SoftmaxCrossEntropy(),
        0.0,
    ),
}


@pytest.fixture(params=[*LAYERED, *GENERAL, "rosenbrock"])
def zoo(request, mlp, objective_of):
    """Each of them in turn, with the θ to look at."""
    if request.param == "rosenbrock":
        objective = rosenbrock()
    else:
        module, loss, decay = (LAYERED | GENERAL)[request.param](mlp)
        objective = objective_of(module, loss, weight_decay=decay)
    return objective, objective.initial_parameters


@pytest.fixture(params=LAYERED)
def layered(request, mlp, objective_of):
    """Each that takes the layered path, with its twin that takes the general one."""
    module, loss, decay = LAYERED[request.param](mlp)
    return objective_of(module, loss, weight_decay=decay), objective_of(Wrapped(module), loss, weight_decay=decay)


@pytest.fixture(scope="session")
def wrapped():
    return Wrapped


@pytest.fixture(scope="session")
def rosenbrock_at():
    return rosenbrock

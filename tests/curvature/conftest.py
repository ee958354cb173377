"""What the curvature tests share: every loss that has a density, every kind of network, and their dense references.

A reference shares no code with the engine: J is torch.func's, L is −log r of torch.distributions (its derivatives in z
are torch.func's), and F_R is written from the formulas of the theory.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from torch import Tensor, nn
from torch import distributions as D

import ngexplorer as ngx
from ngexplorer.cancellation import UNWATCHED
from ngexplorer.curvature import (
    EKFAC,
    KFAC,
    EmpiricalFisher,
    Fisher,
    GaussNewton,
    Hessian,
    LayerDiagonal,
    MonteCarloFisher,
    base,
    gauss_newton,
)
from ngexplorer.curvature import Diagonal as DiagonalForm
from ngexplorer.curvature.base import Curvature
from ngexplorer.objectives.losses import (
    BernoulliLogits,
    BernoulliProbability,
    Cauchy,
    GaussianNLL,
    Huber,
    Laplace,
    Logistic,
    Loss,
    PoissonLogRate,
    PoissonRate,
    Probit,
    SoftmaxCrossEntropy,
    SoftmaxLogProbabilities,
    SoftmaxProbabilities,
    SquaredError,
    StudentT,
)
from ngexplorer.objectives.residual import Residual

FLOAT = torch.float64
INPUTS = 9
"""Of every network here: a 3 × 3 image for the convolutional one."""


def drawn(*shape, seed=0, dtype=FLOAT):
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=FLOAT).to(dtype)


# Losses: L of one case from its density, and F_R by the theory.


@dataclass(frozen=True)
class Density:
    """A loss, and what there is to know of it without it."""

    loss: Loss
    log: Callable[[Tensor, Tensor], Tensor]
    """log r(y | z) of one case, z (C,) and its y → a scalar"""
    fisher: Callable[[Tensor], Tensor]
    """F_R of one case, z (C,) → (C, C)"""
    targets: str = "real"
    outputs: int = 2

    def labels(self, cases, seed, dtype=FLOAT):
        generator = torch.Generator().manual_seed(seed)
        match self.targets:
            case "class":
                return torch.randint(self.outputs, (cases,), generator=generator)
            case "binary":
                return torch.randint(2, (cases, self.outputs), generator=generator).to(dtype)
            case "counts":
                return torch.randint(4, (cases, self.outputs), generator=generator).to(dtype)
            case "one column":
                return torch.randn(cases, 1, generator=generator, dtype=FLOAT).to(dtype)
        return torch.randn(cases, self.outputs, generator=generator, dtype=FLOAT).to(dtype)


def scaled_identity(information):
    return lambda z: information * torch.eye(len(z), dtype=z.dtype)


def on_diagonal(of):
    return lambda z: torch.diag(of(z))


def law(make):
    """log r of outputs that are independent given z."""
    return lambda z, y: make(z).log_prob(y).sum()


def logistic(z):
    uniform = D.Uniform(torch.zeros((), dtype=z.dtype), torch.ones((), dtype=z.dtype), validate_args=False)
    steps = [D.SigmoidTransform().inv, D.AffineTransform(z, 1.0)]
    return D.TransformedDistribution(uniform, steps, validate_args=False)


def gaussian(name, moments, fisher):
    def log_density(z, y):
        mean, variance = moments(*z)
        return D.Normal(mean, variance.sqrt(), validate_args=False).log_prob(y[0])

    return Density(
        GaussianNLL(parametrization=name), log_density, lambda z: fisher(*moments(*z)), targets="one column", outputs=2
    )


def natural_fisher(m, v):
    return torch.stack([v, 2 * m * v, 2 * m * v, 4 * m**2 * v + 2 * v**2]).view(2, 2)


def probit_fisher(z):
    normal = D.Normal(torch.zeros_like(z), 1.0)
    density, below = normal.log_prob(z).exp(), normal.cdf(z)
    return torch.diag(density**2 / (below * (1 - below)))


HUBER = math.erf(1 / math.sqrt(2)) * math.sqrt(2 * math.pi)
HUBER = HUBER / (HUBER + 2 * math.exp(-0.5))
"""P(|r| ≤ 1) where the density is normal there and exponential beyond: .58518."""

DENSITIES = {
    "squared": Density(
        SquaredError(variance=0.3),
        law(lambda z: D.Normal(z, 0.3**0.5, validate_args=False)),
        scaled_identity(1 / 0.3),
    ),
    "gaussian variance": gaussian(
        "variance", lambda a, b: (a, b), lambda m, v: torch.diag(torch.stack([1 / v, 1 / (2 * v**2)]))
    ),
    "gaussian log-variance": gaussian(
        "log-variance", lambda a, b: (a, b.exp()), lambda m, v: torch.diag(torch.stack([1 / v, v.new_tensor(0.5)]))
    ),
    "gaussian precision": gaussian(
        "precision", lambda a, b: (a, 1 / b), lambda m, v: torch.diag(torch.stack([1 / v, v**2 / 2]))
    ),
    "gaussian natural": gaussian("natural", lambda a, b: (-a / (2 * b), -1 / (2 * b)), natural_fisher),
    # Natural and mean parameters are dual: each one's Fisher is the other's inverse.
    "gaussian mean": gaussian("mean", lambda a, b: (a, b - a**2), lambda m, v: torch.linalg.inv(natural_fisher(m, v))),
    "bernoulli logits": Density(
        BernoulliLogits(),
        law(lambda z: D.Bernoulli(logits=z, validate_args=False)),
        on_diagonal(lambda z: torch.exp(z) / (1 + torch.exp(z)) ** 2),
        "binary",
    ),
    "bernoulli probability": Density(
        BernoulliProbability(),
        law(lambda z: D.Bernoulli(probs=z, validate_args=False)),
        on_diagonal(lambda z: 1 / (z * (1 - z))),
        "binary",
    ),
    "probit": Density(
        Probit(),
        law(lambda z: D.Bernoulli(probs=torch.special.ndtr(z), validate_args=False)),
        probit_fisher,
        "binary",
    ),
    "softmax logits": Density(
        SoftmaxCrossEntropy(),
        lambda z, y: D.Categorical(logits=z, validate_args=False).log_prob(y),
        lambda z: torch.diag(z.softmax(0)) - torch.outer(z.softmax(0), z.softmax(0)),
        "class",
        outputs=3,
    ),
    "softmax probabilities": Density(
        SoftmaxProbabilities(),
        lambda z, y: z.gather(0, y[None])[0].log(),
        on_diagonal(lambda z: 1 / z),
        "class",
        outputs=3,
    ),
    "softmax log-probabilities": Density(
        SoftmaxLogProbabilities(), lambda z, y: z.gather(0, y[None])[0], on_diagonal(torch.exp), "class", outputs=3
    ),
    "poisson log-rate": Density(
        PoissonLogRate(), law(lambda z: D.Poisson(z.exp(), validate_args=False)), on_diagonal(torch.exp), "counts"
    ),
    "poisson rate": Density(
        PoissonRate(), law(lambda z: D.Poisson(z, validate_args=False)), on_diagonal(lambda z: 1 / z), "counts"
    ),
    "laplace": Density(
        Laplace(scale=0.7), law(lambda z: D.Laplace(z, 0.7, validate_args=False)), scaled_identity(1 / 0.49)
    ),
    "student-t": Density(
        StudentT(degrees=4.0, scale=1.3),
        law(lambda z: D.StudentT(4.0, z, 1.3, validate_args=False)),
        scaled_identity(5 / (7 * 1.69)),
    ),
    "cauchy": Density(
        Cauchy(scale=0.8), law(lambda z: D.Cauchy(z, 0.8, validate_args=False)), scaled_identity(1 / (2 * 0.64))
    ),
    "huber": Density(Huber(), lambda z, y: -nn.functional.huber_loss(z, y, reduction="sum"), scaled_identity(HUBER)),
    "logistic": Density(Logistic(), law(logistic), scaled_identity(1 / 3)),
}


# Networks, small enough that dense references take milliseconds.


class Wrapped(nn.Module):
    """A module that no one can look into."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def tied(outputs):
    """The second layer has the first one's weight, and a bias of its own."""
    first, second = (nn.Linear(3, 3, dtype=FLOAT) for _ in range(2))
    second.weight = first.weight
    return [
        nn.Linear(INPUTS, 3, bias=False, dtype=FLOAT),
        first,
        nn.Tanh(),
        second,
        nn.Tanh(),
        nn.Linear(3, outputs, dtype=FLOAT),
    ]


NETWORKS = {
    "mlp": lambda c: [
        nn.Linear(INPUTS, 3, dtype=FLOAT),
        nn.Tanh(),
        nn.Linear(3, 2, bias=False, dtype=FLOAT),
        nn.Sigmoid(),
        nn.Linear(2, c, dtype=FLOAT),
    ],
    "convolutional": lambda c: [
        nn.Unflatten(1, (1, 3, 3)),
        nn.Conv2d(1, 2, 2, stride=2, padding=1, dtype=FLOAT),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(2, c, dtype=FLOAT),
    ],
    "residual": lambda c: [
        nn.Linear(INPUTS, 2, dtype=FLOAT),
        Residual(nn.Sequential(nn.Linear(2, 2, dtype=FLOAT), nn.Softplus())),
        nn.Linear(2, c, dtype=FLOAT),
    ],
    "tied": tied,
    "layer norm": lambda c: [
        nn.Linear(INPUTS, 3, dtype=FLOAT),
        nn.LayerNorm(3, dtype=FLOAT),
        nn.Tanh(),
        nn.Linear(3, c, dtype=FLOAT),
    ],
}
BY_LAYERS = ["mlp", "convolutional", "residual"]
"""Those whose parameters all stand in Linear and Conv2d layers used once: K-FAC takes them."""


def network(name, outputs, seed=0):
    """One of them with parameters drawn from a seed, as a Sequential."""
    module = nn.Sequential(*NETWORKS[name](outputs))
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.5
        nn.init.normal_(parameter, std=scale, generator=generator)
    return module


@dataclass(frozen=True)
class Problem:
    """An objective at its initial θ, with its references."""

    objective: ngx.Objective
    density: Density
    module: nn.Module

    @property
    def theta(self):
        return self.objective.initial_parameters

    def _call(self, flat):
        trained = list(self.module.named_parameters())
        parts = flat.split([p.numel() for _, p in trained])
        views = {name: part.reshape(p.shape) for (name, p), part in zip(trained, parts, strict=True)}
        return torch.func.functional_call(self.module, views, (self.objective.inputs,))

    def value(self, flat):
        """h(θ), differentiable."""
        cases = zip(self._call(flat), self.objective.targets, strict=True)
        losses = [-self.density.log(z, y) for z, y in cases]
        return torch.stack(losses).mean() + 0.5 * self.objective.weight_decay * flat.dot(flat)

    @cached_property
    def outputs(self):
        return self._call(self.theta).detach()

    @cached_property
    def jacobian(self):
        """(N, C, P)"""
        return torch.func.jacrev(self._call)(self.theta).detach()

    @cached_property
    def scores(self):
        """∂L/∂z of each case, (N, C)"""
        return torch.func.vmap(torch.func.grad(lambda z, y: -self.density.log(z, y)))(
            self.outputs, self.objective.targets
        )

    @cached_property
    def gradient(self):
        return self.sandwiched_gradient + self.objective.weight_decay * self.theta

    @property
    def sandwiched_gradient(self):
        return torch.einsum("ncp,nc->p", self.jacobian, self.scores) / len(self.outputs)

    def sandwich(self, middle):
        """(1/N) Σ Jᵀ M J + ηI for M (N, C, C)."""
        identity = torch.eye(len(self.theta), dtype=self.theta.dtype)
        mean = torch.einsum("ncp,ncd,ndq->pq", self.jacobian, middle, self.jacobian) / len(self.outputs)
        return mean + self.objective.weight_decay * identity

    @cached_property
    def hessian(self):
        # Reverse over reverse: torch.func.hessian's forward over reverse is wrong for LayerNorm (torch 2.13).
        return torch.func.jacrev(torch.func.grad(self.value))(self.theta).detach()

    @cached_property
    def gauss_newton(self):
        def bend(z, y):
            return torch.func.jacrev(torch.func.grad(lambda z: -self.density.log(z, y)))(z)

        return self.sandwich(
            torch.stack([bend(z, y) for z, y in zip(self.outputs, self.objective.targets, strict=True)])
        )

    @cached_property
    def fisher(self):
        return self.sandwich(torch.stack([self.density.fisher(z) for z in self.outputs]))

    @cached_property
    def empirical_fisher(self):
        return self.sandwich(self.scores[:, :, None] * self.scores[:, None, :])

    def of_scores(self, scores):
        """The mean of Jᵀ s sᵀ J + ηI over given scores (N, S, C), one by one."""
        return self.sandwich(sum(s[:, :, None] * s[:, None, :] for s in scores.unbind(1)) / scores.shape[1])

    def expected(self, matrix):
        """The dense reference of a Hessian, GaussNewton, Fisher, EmpiricalFisher or MonteCarloFisher."""
        if isinstance(matrix, MonteCarloFisher):
            return self.of_scores(matrix._scores())
        found = {
            Hessian: lambda: self.hessian,
            GaussNewton: lambda: self.gauss_newton,
            Fisher: lambda: self.fisher,
            EmpiricalFisher: lambda: self.empirical_fisher,
        }
        return found[type(matrix)]()


def make_problem(density, name, *, cases=5, weight_decay=0.0, seed=1, chunk=None, wrapped=False, dtype=FLOAT):
    """A density's loss on a network followed by the loss's link, if it has one, and drawn cases."""
    known = DENSITIES[density]
    module = network(name, known.outputs, seed)
    link = known.loss.link()
    if link is not None:
        module = nn.Sequential(*module, link)
    if wrapped:
        module = Wrapped(module)
    x, y = drawn(cases, INPUTS, seed=seed + 1, dtype=dtype), known.labels(cases, seed + 2, dtype)
    return Problem(ngx.Objective(module.to(dtype), known.loss, x, y, weight_decay, chunk=chunk), known, module)


# Matrices.

EXACT = {
    "hessian": Hessian,
    "gauss-newton": GaussNewton,
    "fisher": Fisher,
    "empirical-fisher": EmpiricalFisher,
    "monte-carlo-fisher": MonteCarloFisher,
    "monte-carlo-fisher, S = 3": lambda objective, theta: MonteCarloFisher(objective, theta, samples=3, seed=5),
}
"""Those that are (1/N) Σ Jᵀ M J, for whatever network."""

KRONECKER = {
    "kfac": KFAC,
    "kfac exact reduce": lambda o, t: KFAC(o, t, labels="exact", sharing="reduce", tikhonov="exact"),
    "ekfac": EKFAC,
    "ekfac exact": lambda o, t: EKFAC(o, t, labels="exact"),
}

PARTS = {
    "layer-diagonal hessian": lambda o, t: LayerDiagonal(Hessian(o, t)),
    "diagonal gauss-newton": lambda o, t: DiagonalForm(GaussNewton(o, t)),
    "layer-diagonal monte-carlo-fisher": lambda o, t: LayerDiagonal(MonteCarloFisher(o, t)),
    "layer-diagonal kfac": lambda o, t: LayerDiagonal(KFAC(o, t)),
    "diagonal ekfac": lambda o, t: DiagonalForm(EKFAC(o, t)),
}

EVERY = EXACT | KRONECKER | PARTS


class Given(Curvature):
    """Any symmetric matrix as a Curvature, for what is made of products alone."""

    name = title = "given"

    def __init__(self, matrix, point):
        super().__init__(point.objective, point)
        self.matrix = matrix

    @property
    def _key(self):
        return (type(self), id(self))

    def _product(self, vectors):
        return self.matrix @ vectors

    def _dense(self):
        return self.matrix.clone()


@pytest.fixture(scope="session")
def densities():
    return DENSITIES


@pytest.fixture(scope="session")
def problem():
    """Problems by name, each made once."""
    made = {}

    def get(density, name, **settings):
        key = (density, name, *sorted(settings.items()))
        if key not in made:
            made[key] = make_problem(density, name, **settings)
        return made[key]

    return get


@pytest.fixture(params=DENSITIES)
def density_name(request):
    """Every loss with a density in turn."""
    return request.param


@pytest.fixture(params=NETWORKS)
def network_name(request):
    """Every kind of network in turn."""
    return request.param


@pytest.fixture(params=BY_LAYERS)
def layered_name(request):
    """Every kind of network that K-FAC takes."""
    return request.param


@pytest.fixture(params=EXACT)
def exact(request):
    """Every matrix of the form (1/N) Σ Jᵀ M J, as a function of objective and θ."""
    return EXACT[request.param]


@pytest.fixture(params=EVERY)
def matrix_of(request):
    """Every matrix, those of a part included."""
    return EVERY[request.param]


@pytest.fixture(scope="session")
def every_matrix():
    return EVERY


@pytest.fixture(scope="session")
def vectors():
    return drawn


@pytest.fixture(scope="session")
def given():
    """A matrix as a Curvature at a point of an objective with as many parameters."""

    def make(matrix, watch=UNWATCHED):
        size = len(matrix)
        module = nn.Linear(size, 1, bias=False, dtype=matrix.dtype)
        x, y = torch.ones(1, size, dtype=matrix.dtype), torch.zeros(1, 1, dtype=matrix.dtype)
        objective = ngx.Objective(module, SquaredError(), x, y)
        return Given(matrix, objective.at(torch.zeros(size, dtype=matrix.dtype), watch))

    return make


@pytest.fixture
def as_large(monkeypatch):
    """From here on everything counts as too large to factorize."""
    for module in (base, gauss_newton):
        monkeypatch.setattr(module, "LARGEST_FACTORIZED", 0)

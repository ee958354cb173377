"""One table of all losses: where their outputs may be, targets they take, and their density as torch.distributions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import distributions as D

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

N, C = 6, 4


@dataclass(frozen=True)
class Entry:
    """A loss, and what there is to know of it without it."""

    loss: Loss
    log_density: Callable[[Tensor, Tensor], Tensor]
    """log r(y | z), (N, C) and targets → (N,)"""
    kind: str = "real"
    """The targets: "real", "binary", "counts" or "class"."""
    place: Callable[[Tensor], Tensor] = lambda free: free
    """Any numbers (N, C) → outputs that the loss takes."""
    mean_score: Callable[[Tensor], Tensor] = torch.zeros_like
    """E_{y ~ r}[∇_z log r]: 0 wherever r is a density for all z near."""
    regular: bool = True
    """Whether E_{y ~ r}[H_L] = F_R."""
    kinks: tuple[float, ...] = ()
    """The residuals at which the loss is not smooth."""

    @property
    def outputs_a_column(self) -> int:
        return 2 if isinstance(self.loss, GaussianNLL) else 1

    def outputs(self, cases=N, columns=C, seed=3, dtype=torch.float64) -> Tensor:
        """z drawn from a seed, (cases, columns); two a column for GaussianNLL."""
        generator = torch.Generator().manual_seed(seed)
        shape = cases, columns * self.outputs_a_column
        return self.place(1.2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)

    def targets(self, cases=N, columns=C, seed=4, dtype=torch.float64) -> Tensor:
        """Targets that owe nothing to z."""
        generator = torch.Generator().manual_seed(seed)
        shape = cases, columns
        match self.kind:
            case "class":
                return torch.randint(columns, (cases,), generator=generator)
            case "binary":
                return torch.randint(2, shape, generator=generator).to(dtype)
            case "counts":
                return torch.randint(6, shape, generator=generator).to(dtype)
        return 2 * torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    def every_label(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Labels and their probabilities under r(· | z) for one case z (1, C): all there are, or quadrature nodes."""
        one = torch.ones(1, dtype=z.dtype)
        match self.kind:
            case "class":
                labels = torch.arange(z.shape[1])
            case "binary":
                labels = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=z.dtype)] * z.shape[1])
                labels = labels.reshape(-1, z.shape[1])
            case "counts":
                # Beyond 150 the probability of rates up to 30 is below 1e-50.
                labels = torch.arange(151, dtype=z.dtype)[:, None]
            case _:
                labels, one = quadrature(self.centre(z), self.kinks)
        chances = one * self.log_density(z.expand(len(labels), -1), labels).exp()
        return labels, chances

    def centre(self, z: Tensor) -> tuple[float, float]:
        """About where the labels of one column are, and how wide."""
        if not isinstance(self.loss, GaussianNLL):
            return float(z[0, 0]), 1.0
        mean, variance = self.moments(z)
        return float(mean[0, 0]), float(variance[0, 0]) ** 0.5

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return MOMENTS[self.loss.parametrization](*z.chunk(2, 1))


def quadrature(centre: tuple[float, float], kinks: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Nodes (M, 1) and weights (M,) for ∫ f(y) dy over the line: y = m + w tan θ, and Gauss-Legendre for θ between the
    places where f is not smooth. Polynomial tails, too, are smooth in θ."""
    middle, width = centre
    ends = [-math.pi / 2, *(math.atan(kink / width) for kink in kinks), math.pi / 2]
    x, weight = LEGENDRE
    angles = torch.cat([0.5 * (b - a) * x + 0.5 * (a + b) for a, b in pairwise(ends)])
    weights = torch.cat([0.5 * (b - a) * weight for a, b in pairwise(ends)])
    return middle + width * angles.tan()[:, None], weights * width / angles.cos().square()


LEGENDRE = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(400))


# Gaussian: (a, b) ↔ (μ, v), written from the theory and not from the code.

MOMENTS = {
    "variance": lambda a, b: (a, b),
    "log-variance": lambda a, b: (a, torch.exp(b)),
    "precision": lambda a, b: (a, 1 / b),
    "natural": lambda a, b: (-a / (2 * b), -1 / (2 * b)),
    "mean": lambda a, b: (a, b - a * a),
}
OUTPUTS = {
    "variance": lambda m, v: (m, v),
    "log-variance": lambda m, v: (m, torch.log(v)),
    "precision": lambda m, v: (m, 1 / v),
    "natural": lambda m, v: (m / v, -1 / (2 * v)),
    "mean": lambda m, v: (m, m * m + v),
}


def gaussian(parametrization: str) -> Entry:
    def log_density(z, y):
        mean, variance = MOMENTS[parametrization](*z.chunk(2, 1))
        return D.Normal(mean, variance.sqrt(), validate_args=False).log_prob(y).sum(1)

    def place(free):
        mean, log_variance = free.chunk(2, 1)
        return torch.cat(OUTPUTS[parametrization](mean, (0.7 * log_variance).exp()), 1)

    return Entry(GaussianNLL(parametrization=parametrization), log_density, place=place)


def independent(law: Callable[[Tensor], D.Distribution]) -> Callable[[Tensor, Tensor], Tensor]:
    """log r of columns that are independent given z."""
    return lambda z, y: law(z).log_prob(y).sum(1)


def logistic(z: Tensor) -> D.Distribution:
    uniform = D.Uniform(torch.zeros((), dtype=z.dtype), torch.ones((), dtype=z.dtype), validate_args=False)
    steps = [D.SigmoidTransform().inv, D.AffineTransform(z, 1.0)]
    return D.TransformedDistribution(uniform, steps, validate_args=False)


def huber(threshold: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Normal within the threshold, exponential beyond, continuous; Huber 1964, §4."""
    middle = 2 * D.Normal(0.0, 1.0).cdf(torch.tensor(threshold, dtype=torch.float64)) - 1
    total = math.sqrt(2 * math.pi) * float(middle) + 2 / threshold * math.exp(-(threshold**2) / 2)

    def log_density(z, y):
        loss = torch.nn.functional.huber_loss(z, y, reduction="none", delta=threshold)
        return -(loss + math.log(total)).sum(1)

    return log_density


def picked(log_chance: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda z, y: log_chance(z).gather(1, y[:, None])[:, 0]


LOSSES = {
    "squared": Entry(SquaredError(), independent(lambda z: D.Normal(z, 1.0, validate_args=False))),
    "squared, σ² = 0.3": Entry(
        SquaredError(variance=0.3), independent(lambda z: D.Normal(z, 0.3**0.5, validate_args=False))
    ),
    **{f"gaussian, {name}": gaussian(name) for name in MOMENTS},
    "bernoulli, logits": Entry(
        BernoulliLogits(), independent(lambda z: D.Bernoulli(logits=z, validate_args=False)), "binary"
    ),
    "bernoulli, probability": Entry(
        BernoulliProbability(),
        independent(lambda z: D.Bernoulli(probs=z, validate_args=False)),
        "binary",
        place=torch.sigmoid,
    ),
    "probit": Entry(
        Probit(), independent(lambda z: D.Bernoulli(probs=torch.special.ndtr(z), validate_args=False)), "binary"
    ),
    "softmax, logits": Entry(
        SoftmaxCrossEntropy(), lambda z, y: D.Categorical(logits=z, validate_args=False).log_prob(y), "class"
    ),
    "softmax, probabilities": Entry(
        SoftmaxProbabilities(),
        picked(torch.log),
        "class",
        place=lambda free: free.softmax(1),
        mean_score=torch.ones_like,
    ),
    "softmax, log-probabilities": Entry(
        SoftmaxLogProbabilities(),
        picked(lambda z: z),
        "class",
        place=lambda free: free.log_softmax(1),
        mean_score=torch.exp,
        regular=False,
    ),
    "poisson, log-rate": Entry(
        PoissonLogRate(), independent(lambda z: D.Poisson(z.exp(), validate_args=False)), "counts"
    ),
    "poisson, rate": Entry(
        PoissonRate(), independent(lambda z: D.Poisson(z, validate_args=False)), "counts", place=torch.exp
    ),
    "laplace": Entry(
        Laplace(scale=0.7),
        independent(lambda z: D.Laplace(z, 0.7, validate_args=False)),
        regular=False,
        kinks=(0.0,),
    ),
    "student-t": Entry(
        StudentT(degrees=4.0, scale=1.3), independent(lambda z: D.StudentT(4.0, z, 1.3, validate_args=False))
    ),
    "student-t, ν = 2.5": Entry(
        StudentT(degrees=2.5, scale=0.6), independent(lambda z: D.StudentT(2.5, z, 0.6, validate_args=False))
    ),
    "cauchy": Entry(Cauchy(scale=0.8), independent(lambda z: D.Cauchy(z, 0.8, validate_args=False))),
    "huber": Entry(Huber(), huber(1.0), kinks=(-1.0, 1.0)),
    "huber, δ = 1.345": Entry(Huber(threshold=1.345), huber(1.345), kinks=(-1.345, 1.345)),
    "logistic": Entry(Logistic(), independent(logistic)),
}


@pytest.fixture(params=LOSSES)
def entry(request):
    """Every loss in turn."""
    return LOSSES[request.param]


@pytest.fixture(params=[name for name, entry in LOSSES.items() if entry.kind == "real"])
def continuous(request):
    """Every loss whose labels are real numbers."""
    return LOSSES[request.param]


@pytest.fixture(scope="session")
def losses():
    return LOSSES


@pytest.fixture(scope="session")
def normal_as():
    """(μ, v) as a GaussianNLL's outputs and back, (N, 1) each."""
    return OUTPUTS, MOMENTS

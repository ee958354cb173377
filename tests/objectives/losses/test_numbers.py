"""The table of losses, written out row by row, and its numbers."""

import math

import pytest
import torch

from ngexplorer.objectives.losses import (
    Cauchy,
    GaussianNLL,
    Huber,
    Laplace,
    Logistic,
    SoftmaxCrossEntropy,
)


def two_by_two(a, b, c):
    a, b, c = torch.broadcast_tensors(a, b, c)
    return torch.stack([torch.stack([a, b], -1), torch.stack([b, c], -1)], -2)


def normal_density(z):
    return torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def probit_hessian(z, y, r):
    phi, below = normal_density(z), torch.special.ndtr(z)
    one, zero = phi / below, phi / (1 - below)
    return torch.where(y == 1, one * (one + z), zero * (zero - z))


# Of one output (or two) z, target y and residual r = y − z: F_R and H_L; None where H_L is F_R.
SCALARS = {
    "squared, σ² = 0.3": (lambda z: torch.full_like(z, 1 / 0.3), None),
    "bernoulli, logits": (lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)), None),
    "bernoulli, probability": (lambda p: 1 / (p * (1 - p)), lambda p, y, r: y / p**2 + (1 - y) / (1 - p) ** 2),
    "probit": (
        lambda z: normal_density(z) ** 2 / (torch.special.ndtr(z) * (1 - torch.special.ndtr(z))),
        probit_hessian,
    ),
    "poisson, log-rate": (torch.exp, None),
    "poisson, rate": (lambda z: 1 / z, lambda z, y, r: y / z**2),
    "laplace": (lambda z: torch.full_like(z, 1 / 0.7**2), lambda z, y, r: 0 * r),
    "student-t": (
        lambda z: torch.full_like(z, 5 / (7 * 1.3**2)),
        lambda z, y, r: 5 * (4 * 1.3**2 - r**2) / (4 * 1.3**2 + r**2) ** 2,
    ),
    "cauchy": (
        lambda z: torch.full_like(z, 1 / (2 * 0.8**2)),
        lambda z, y, r: 2 * (0.8**2 - r**2) / (0.8**2 + r**2) ** 2,
    ),
    "huber": (None, lambda z, y, r: (r.abs() <= 1).double()),
    "logistic": (lambda z: torch.full_like(z, 1 / 3), lambda z, y, r: 2 * torch.sigmoid(r) * torch.sigmoid(-r)),
}
# The same of (μ, v) and r = y − μ.
GAUSSIANS = {
    "variance": (
        lambda m, v: two_by_two(1 / v, 0 * v, 1 / (2 * v**2)),
        lambda m, v, r: two_by_two(1 / v, r / v**2, r**2 / v**3 - 1 / (2 * v**2)),
    ),
    "log-variance": (
        lambda m, v: two_by_two(1 / v, 0 * v, 0 * v + 0.5),
        lambda m, v, r: two_by_two(1 / v, r / v, r**2 / (2 * v)),
    ),
    "natural": (lambda m, v: two_by_two(v, 2 * m * v, 4 * m**2 * v + 2 * v**2), None),
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_row_of_the_table_of_losses(name, losses, close):
    entry = losses[name]
    z, y = entry.outputs(50), entry.targets(50)
    fisher, hessian = SCALARS[name]
    if fisher is not None:
        close(entry.loss.fisher(z).contiguous(), torch.diag_embed(fisher(z)), rtol=1e-8)
    expected = fisher(z) if hessian is None else hessian(z, y, y - z)
    close(entry.loss.hessian(z, y).contiguous(), torch.diag_embed(expected), rtol=1e-8)


@pytest.fixture
def normal(losses):
    """(z, y, μ, v, r) of a parametrization, one column, 50 cases."""

    def draw(name):
        entry = losses[f"gaussian, {name}"]
        z, y = entry.outputs(50, 1), entry.targets(50, 1)
        mean, variance = entry.moments(z)
        return entry.loss, z, y, mean[:, 0], variance[:, 0], (y - mean)[:, 0]

    return draw


@pytest.mark.parametrize("name", GAUSSIANS)
def test_a_gaussian_row_of_the_table_of_losses(name, normal, close):
    loss, z, y, mean, variance, r = normal(name)
    fisher, hessian = GAUSSIANS[name]
    close(loss.fisher(z), fisher(mean, variance), rtol=1e-8)
    expected = fisher(mean, variance) if hessian is None else hessian(mean, variance, r)
    close(loss.hessian(z, y), expected, rtol=1e-8)


def test_determinants_of_the_gaussian_curvatures(normal, close):
    """(μ, v): −1/(2v³), always indefinite; (μ, log v): −½ r² e^{−2s}; natural: 2v³."""
    for name, expected in {
        "variance": lambda v, r: -1 / (2 * v**3),
        "log-variance": lambda v, r: -(r**2) / (2 * v**2),
        "natural": lambda v, r: 2 * v**3,
    }.items():
        loss, z, y, _, variance, r = normal(name)
        close(torch.linalg.det(loss.hessian(z, y)), expected(variance, r), atol=1e-10)


def test_softmax_curvature_has_the_null_vector_one(losses):
    z = losses["softmax, logits"].outputs()
    assert torch.linalg.vector_norm(SoftmaxCrossEntropy().fisher(z).sum(2)) < 1e-15


@pytest.mark.parametrize(
    ("loss", "expected", "tolerance"),
    [
        (Huber(threshold=1.0), 0.58518, 5e-6),
        (Huber(threshold=1.345), 0.77380, 5e-6),
        (Huber(threshold=40.0), 1.0, 1e-12),
        (Logistic(), 1 / 3, 1e-15),
        (Cauchy(), 0.5, 1e-15),
        (Cauchy(scale=3.0), 1 / 18, 1e-15),
        (Laplace(scale=2.0), 0.25, 1e-15),
    ],
    ids=repr,
)
def test_the_fisher_information_of_a_location(loss, expected, tolerance):
    assert abs(float(loss.fisher(torch.zeros(1, 1, dtype=torch.float64))) - expected) < tolerance


def test_an_outlier_bends_students_t_downward(losses):
    """H_L < 0 exactly where r² > νs²."""
    loss = losses["student-t"].loss
    y = torch.linspace(-6, 6, 101, dtype=torch.float64)[:, None]
    bend = loss.hessian(torch.zeros_like(y), y)[:, 0, 0]
    assert torch.equal(bend < 0, y[:, 0].square() > loss.degrees * loss.scale**2)


@pytest.mark.parametrize(
    ("parametrization", "reached"),
    [
        ("variance", (1, 1.25)),
        ("log-variance", (1, math.exp(0.25))),
        ("precision", (1, 4 / 3)),
        ("natural", (4 / 3, 4 / 3)),
        ("mean", (1, 0.25)),
    ],
)
def test_one_natural_gradient_step_towards_a_normal_sample(parametrization, reached, normal_as, close):
    """E15: α = 1 from N(0, 1), ȳ = 1, s² = ¼; only mean parameters reach the optimum (1, ¼)."""
    outputs, moments = normal_as
    loss = GaussianNLL(parametrization=parametrization)
    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    theta = torch.cat(outputs[parametrization](zero, one), 1)
    y = torch.tensor([[0.5], [1.5]], dtype=torch.float64)
    gradient = loss.gradient(theta.expand(2, -1), y).mean(0)
    theta = theta - torch.linalg.solve(loss.fisher(theta)[0], gradient)
    mean, variance = moments[parametrization](*theta[0])
    close(torch.stack([mean, variance]), torch.tensor(reached, dtype=torch.float64))

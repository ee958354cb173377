"""Problems to optimize, and matrices given by their numbers."""

import pytest
import torch

import ngexplorer as ngx
from ngexplorer.objectives.datasets.planar import TwoMoons
from ngexplorer.objectives.landscapes import Beale, Rosenbrock, Saddle
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError


class Given:
    """A curvature matrix that is its numbers."""

    title = "Given matrix"

    def __init__(self, matrix):
        self.matrix = torch.as_tensor(matrix, dtype=torch.float64)

    def inner(self, vectors):
        return vectors.T @ (self @ vectors)

    def __matmul__(self, v):
        return self.matrix @ v

    def eigenpairs(self):
        return torch.linalg.eigh(self.matrix)

    def cholesky(self, damping):
        return torch.linalg.cholesky_ex(self.matrix + damping * torch.eye(len(self.matrix), dtype=torch.float64))

    @property
    def shape(self):
        return self.matrix.shape


class After:
    """A cancel function that says yes from the given poll on."""

    def __init__(self, polls):
        self.left = polls

    def __call__(self):
        self.left -= 1
        return self.left < 0


def landscape_objective(data):
    cases = data.load()
    return ngx.Objective(data.network(data.loss), data.loss, cases.inputs, cases.targets)


def spectral_objective(mlp, eigenvalues, cases=20, outputs=1, seed=0):
    """Least squares of a linear network, each output's block of the Hessian XᵀX/N with these eigenvalues."""
    eigenvalues = torch.as_tensor(eigenvalues, dtype=torch.float64)
    size, generator = len(eigenvalues), torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    rows, _ = torch.linalg.qr(torch.randn(cases, size, generator=generator, dtype=torch.float64))
    x = cases**0.5 * rows * eigenvalues.sqrt() @ q.T
    y = torch.randn(cases, outputs, generator=generator, dtype=torch.float64)
    return ngx.Objective(mlp(size, outputs, bias=False, seed=seed + 1), SquaredError(), x, y)


PROBLEMS = {
    "quadratic": lambda mlp, draw: spectral_objective(mlp, torch.logspace(-1, 1, 8)),
    "logistic": lambda mlp, draw: draw(mlp(3, 1), BernoulliLogits(), cases=40, weight_decay=0.05),
    "rosenbrock": lambda mlp, draw: landscape_objective(Rosenbrock()),
    "beale": lambda mlp, draw: landscape_objective(Beale()),
    "two moons": lambda mlp, draw: two_moons(mlp),
    "saddle": lambda mlp, draw: landscape_objective(Saddle()),
}


def two_moons(mlp):
    cases = TwoMoons(size=60).load()
    return ngx.Objective(mlp(2, 6, 2), SoftmaxCrossEntropy(), cases.inputs, cases.targets, weight_decay=1e-3)


@pytest.fixture(scope="session")
def problems(mlp, objective_of):
    """Made once: objectives are never changed by a run."""
    return {name: build(mlp, objective_of) for name, build in PROBLEMS.items()}


@pytest.fixture(scope="session")
def given_matrix():
    return Given


@pytest.fixture(scope="session")
def cancel_after():
    return After


@pytest.fixture(scope="session")
def landscape():
    return landscape_objective


@pytest.fixture(scope="session")
def least_squares(mlp):
    def make(eigenvalues, **how):
        return spectral_objective(mlp, eigenvalues, **how)

    return make


@pytest.fixture(scope="session")
def draws():
    """Numbers from N(0, 1), float64, from a seed."""

    def draw(*shape, seed=0):
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    return draw

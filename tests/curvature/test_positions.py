"""Outputs (N, T, C): every position is a case, and each matrix is that of N·T cases."""

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import EKFAC, KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian, MonteCarloFisher
from ngexplorer.objectives.losses import SoftmaxCrossEntropy

N, T = 4, 3


class ByPosition(nn.Module):
    """The same layers at every position, which sees the ones before it by a running mean where asked."""

    def __init__(self, mixing):
        super().__init__()
        self.mixing = mixing
        self.first, self.last = nn.Linear(3, 4).double(), nn.Linear(4, 3).double()

    def forward(self, x):
        h = torch.tanh(self.first(x))
        if self.mixing:
            h = h.cumsum(1) / torch.arange(1, T + 1, dtype=h.dtype)[:, None]
        return self.last(h)


def make(mixing, vectors, chunk=None):
    generator = torch.Generator().manual_seed(0)
    model = ByPosition(mixing)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7, generator=generator)
    y = torch.randint(3, (N, T), generator=generator)
    return ngx.Objective(model, SoftmaxCrossEntropy(), vectors(N, T, 3), y, chunk=chunk)


@pytest.fixture(params=[False, True], ids=["each alone", "mixing"])
def positions(request, vectors):
    return make(request.param, vectors)


def reference(objective):
    """J of all N·T rows, by torch.func, and softmax's p."""
    names = [name for name, _ in objective.model.named_parameters()]
    shapes = [p.shape for p in objective.model.parameters()]
    module = ByPosition(objective.model.mixing)

    def outputs(flat):
        parts = flat.split([s.numel() for s in shapes])
        views = {n: part.reshape(s) for n, part, s in zip(names, parts, shapes, strict=True)}
        return torch.func.functional_call(module, views, (objective.inputs,)).flatten(0, 1)

    theta = objective.initial_parameters
    return torch.func.jacrev(outputs)(theta), outputs(theta).softmax(1)


def expected(objective, matrix):
    jacobian, p = reference(objective)
    if isinstance(matrix, EmpiricalFisher):
        scores = matrix._scores()
        middle = scores.transpose(1, 2) @ scores / scores.shape[1]
    else:
        middle = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    return torch.einsum("ncp,ncd,ndq->pq", jacobian, middle, jacobian) / (N * T)


KINDS = [GaussNewton, Fisher, EmpiricalFisher, MonteCarloFisher]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_matrices_are_means_over_positions(kind, chunk, positions, vectors, close):
    objective = make(positions.model.mixing, vectors, chunk)
    matrix = kind(objective, objective.initial_parameters)
    dense = expected(objective, matrix)
    v = vectors(len(dense), 3)
    close(matrix.dense(), dense)
    close(matrix @ v, dense @ v)


def test_the_hessian_is_the_slope_of_the_gradient(positions, vectors):
    """Central differences, ε = 1e-5: truncation ε²/6·|∇⁴h| and rounding below 1e-8 here."""
    theta = positions.initial_parameters
    hessian = Hessian(positions, theta)
    v = vectors(len(theta)) / len(theta) ** 0.5
    slope = (positions.gradient(theta + 1e-5 * v) - positions.gradient(theta - 1e-5 * v)) / 2e-5
    assert float((hessian @ v - slope).abs().max()) < 1e-8


@pytest.mark.parametrize("kind", KINDS)
def test_the_diagonal_without_the_dense_matrix(kind, positions, close):
    matrix = kind(positions, positions.initial_parameters)
    close(matrix._diagonal(), expected(positions, matrix).diagonal())


def test_solving_in_sample_space(positions, vectors, as_large, close):
    """Two cases: 18 rows, and 31 parameters."""
    few = ngx.Objective(positions.model, SoftmaxCrossEntropy(), positions.inputs[:2], positions.targets.view(N, T)[:2])
    matrix = Fisher(few, few.initial_parameters)
    gradient = few.gradient(few.initial_parameters)
    close(matrix.solve_gradient(0.01), torch.linalg.solve(matrix.dense() + 0.01 * torch.eye(31).double(), gradient))


@pytest.mark.parametrize("labels", ["sampled", "exact", "training"])
def test_ekfac_has_the_trace_of_the_fisher_of_its_labels_or_refuses(labels, positions):
    """E24 where every position is a case; refusing, with what is accepted, is right as well."""
    kind = {"sampled": MonteCarloFisher, "exact": Fisher, "training": EmpiricalFisher}[labels]
    theta = positions.initial_parameters
    try:
        matrix = EKFAC(positions, theta, labels=labels)
    except ValueError as error:
        assert "accepted" in str(error)
        return
    assert float(matrix.trace()) == pytest.approx(float(kind(positions, theta).dense().trace()))


def test_kfac_at_positions_that_stand_alone_is_kfac_of_as_many_cases(vectors, close):
    together = make(False, vectors)
    apart = ngx.Objective(
        nn.Sequential(together.model.first, nn.Tanh(), together.model.last),
        SoftmaxCrossEntropy(),
        together.inputs.flatten(0, 1),
        together.targets,
    )
    theta = together.initial_parameters
    close(KFAC(together, theta, labels="exact").dense(), KFAC(apart, theta, labels="exact").dense())

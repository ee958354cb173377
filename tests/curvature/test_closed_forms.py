"""Matrices that can be written down: no automatic differentiation on either side."""

import math

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import EKFAC, KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian, MonteCarloFisher
from ngexplorer.objectives.losses import (
    BernoulliLogits,
    Laplace,
    PoissonLogRate,
    Probit,
    SoftmaxCrossEntropy,
    SquaredError,
    StudentT,
)

N, D = 8, 3


@pytest.fixture(params=[None, 3], ids=["whole", "chunks"])
def linear(request, vectors):
    """A linear model without bias, its X, Y and θ."""

    def make(loss, outputs, targets, weight_decay=0.0):
        model = nn.Linear(D, outputs, bias=False, dtype=torch.float64)
        model.weight.data = vectors(outputs, D, seed=5)
        objective = ngx.Objective(model, loss, vectors(N, D), targets, weight_decay, chunk=request.param)
        return objective, objective.at(objective.initial_parameters)

    return make


def weighted_second_moment(x, weight):
    """(1/N) Σ w_n x_n x_nᵀ."""
    return torch.stack([w * torch.outer(row, row) for row, w in zip(x, weight, strict=True)]).mean(0)


def test_linear_regression(linear, vectors, close):
    """H = G = F = I/σ² ⊗ XᵀX/N + ηI, and F̄ = (1/N) Σ (r rᵀ/σ⁴) ⊗ x xᵀ."""
    x, y = vectors(N, D), vectors(N, 2, seed=1)
    objective, point = linear(SquaredError(variance=0.4), 2, y, weight_decay=0.3)
    expected = torch.kron(torch.eye(2).double(), x.T @ x / (N * 0.4)) + 0.3 * torch.eye(6).double()
    for kind in (Hessian, GaussNewton, Fisher):
        close(kind(objective, point).dense(), expected)
    for kind in (KFAC, EKFAC):
        close(kind(objective, point, labels="exact").dense(), expected)
    residual = (x @ point.theta.view(2, D).T - y) / 0.4
    outer = torch.stack([torch.kron(torch.outer(r, r), torch.outer(a, a)) for r, a in zip(residual, x, strict=True)])
    close(EmpiricalFisher(objective, point).dense(), outer.mean(0) + 0.3 * torch.eye(6).double())


def test_logistic_regression(linear, vectors, close):
    """H = G = F = (1/N) Σ p(1 − p) x xᵀ, F̄ = (1/N) Σ (p − y)² x xᵀ."""
    x, y = vectors(N, D), (vectors(N, 1, seed=1) > 0).double()
    objective, point = linear(BernoulliLogits(), 1, y)
    p = 1 / (1 + torch.exp(-x @ point.theta))
    for kind in (Hessian, GaussNewton, Fisher):
        close(kind(objective, point).dense(), weighted_second_moment(x, p * (1 - p)))
    close(EmpiricalFisher(objective, point).dense(), weighted_second_moment(x, (p - y[:, 0]).square()))


def test_poisson_regression(linear, vectors, close):
    """H = G = F = (1/N) Σ e^z x xᵀ."""
    x, y = vectors(N, D), torch.arange(N).double()[:, None]
    objective, point = linear(PoissonLogRate(), 1, y)
    for kind in (Hessian, GaussNewton, Fisher):
        close(kind(objective, point).dense(), weighted_second_moment(x, torch.exp(x @ point.theta)))


def test_probit_regression(linear, vectors, close):
    """Fisher scoring is not Newton's method: F = (1/N) Σ φ²/(Φ(1 − Φ)) x xᵀ, H = (1/N) Σ m(m + u) x xᵀ."""
    x, y = vectors(N, D), (vectors(N, 1, seed=1) > 0).double()
    objective, point = linear(Probit(), 1, y)
    z = x @ point.theta
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    below = torch.tensor([0.5 * math.erfc(-float(a) / math.sqrt(2)) for a in z], dtype=torch.float64)
    close(Fisher(objective, point).dense(), weighted_second_moment(x, density**2 / (below * (1 - below))))
    hit = y[:, 0] > 0
    m = torch.where(hit, density / below, density / (1 - below))
    bend = torch.where(hit, m * (m + z), m * (m - z))
    for kind in (Hessian, GaussNewton):
        close(kind(objective, point).dense(), weighted_second_moment(x, bend))


def test_softmax_regression(linear, vectors, close):
    """H = G = F = (1/N) Σ (diag(p) − p pᵀ) ⊗ x xᵀ, F̄ = (1/N) Σ (p − e_y)(p − e_y)ᵀ ⊗ x xᵀ."""
    x, y = vectors(N, D), torch.arange(N) % 4
    objective, point = linear(SoftmaxCrossEntropy(), 4, y)
    e = torch.exp(x @ point.theta.view(4, D).T)
    p = e / e.sum(1, keepdim=True)
    middle = [torch.diag(q) - torch.outer(q, q) for q in p]
    expected = sum(torch.kron(m, torch.outer(a, a)) for m, a in zip(middle, x, strict=True)) / N
    for kind in (Hessian, GaussNewton, Fisher):
        close(kind(objective, point).dense(), expected)
    scores = p - torch.eye(4).double()[y]
    outer = [torch.kron(torch.outer(s, s), torch.outer(a, a)) for s, a in zip(scores, x, strict=True)]
    close(EmpiricalFisher(objective, point).dense(), sum(outer) / N)


def test_students_t_and_laplace_regression(linear, vectors, close):
    """F is that of least squares, scaled; H is negative along outliers for one, and zero for the other."""
    x, y = vectors(N, D), 4 * vectors(N, 1, seed=1)
    objective, point = linear(StudentT(degrees=3.0, scale=0.5), 1, y)
    square = (x @ point.theta - y[:, 0]) ** 2
    close(Fisher(objective, point).dense(), x.T @ x / N * 4 / (6 * 0.25))
    close(Hessian(objective, point).dense(), weighted_second_moment(x, 4 * (0.75 - square) / (0.75 + square) ** 2))
    objective, point = linear(Laplace(scale=2.0), 1, y)
    close(Fisher(objective, point).dense(), x.T @ x / (4 * N))
    close(EmpiricalFisher(objective, point).dense(), x.T @ x / (4 * N))  # every score is ±1/b
    assert not Hessian(objective, point).dense().any()
    assert not GaussNewton(objective, point).dense().any()


def test_every_label_of_laplace_gives_the_same_outer_product(linear, vectors, close):
    """(±1/b)² is 1/b²: the Monte Carlo Fisher of one output is exact with one sample."""
    objective, point = linear(Laplace(scale=2.0), 1, vectors(N, 1))
    for samples in (1, 4):
        close(MonteCarloFisher(objective, point, samples).dense(), Fisher(objective, point).dense())


def test_two_linear_layers_of_one_unit_each(close):
    """h = ½(b a x − y)²: H = [[b²x², x r + a b x²], [·, a²x²]] with r = b a x − y, and G without the r."""
    a, b, x, y = 0.7, -1.3, 2.0, 0.4
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    model[0].weight.data, model[1].weight.data = torch.tensor([[a]]).double(), torch.tensor([[b]]).double()
    objective = ngx.Objective(
        model, SquaredError(), torch.tensor([[x]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64)
    )
    r = b * a * x - y
    theta = torch.tensor([a, b], dtype=torch.float64)
    mixed = a * b * x * x
    gauss_newton = torch.tensor([[b * b * x * x, mixed], [mixed, a * a * x * x]], dtype=torch.float64)
    second = torch.tensor([[0, x * r], [x * r, 0]], dtype=torch.float64)
    close(GaussNewton(objective, theta).dense(), gauss_newton)
    close(Hessian(objective, theta).dense(), gauss_newton + second)
    close(EmpiricalFisher(objective, theta).dense(), gauss_newton * r * r)


def test_one_tanh_unit(close):
    """z = v tanh(w x): z_ww = v φ'' x², z_wv = φ' x, φ' = 1 − φ², φ'' = −2φφ'."""
    w, v, x, y = 0.6, 1.7, 1.2, -0.3
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh(), nn.Linear(1, 1, bias=False)).double()
    objective = ngx.Objective(
        model, SquaredError(), torch.tensor([[x]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64)
    )
    t = math.tanh(w * x)
    slope, bend, r = 1 - t * t, -2 * t * (1 - t * t), v * t - y
    j = torch.tensor([v * slope * x, t], dtype=torch.float64)
    second = torch.tensor([[v * bend * x * x, slope * x], [slope * x, 0]], dtype=torch.float64)
    theta = torch.tensor([w, v], dtype=torch.float64)
    close(GaussNewton(objective, theta).dense(), torch.outer(j, j))
    close(Hessian(objective, theta).dense(), torch.outer(j, j) + r * second)


def test_one_convolution_without_an_activation(vectors, close):
    """z = w·s with s the mean of the patches: H = E[s sᵀ], which K-FAC's 'reduce' is and its 'expand' is not."""
    x = vectors(N, 4)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 1, 4)),
        nn.Conv2d(1, 1, (1, 2), stride=(1, 2), bias=False),
        nn.AvgPool2d((1, 2)),
        nn.Flatten(),
    ).double()
    objective = ngx.Objective(model, SquaredError(), x, vectors(N, 1))
    point = objective.at(objective.initial_parameters)
    patches = x.view(N, 2, 2)
    mean = patches.mean(1)
    for kind in (Hessian, GaussNewton, Fisher):
        close(kind(objective, point).dense(), mean.T @ mean / N)
    # Each of the two positions has the gradient ½: G = 2·¼, A = E[x_t x_tᵀ].
    expanded = 0.5 * torch.einsum("nti,ntj->ij", patches, patches) / (2 * N)
    close(KFAC(objective, point, labels="exact").dense(), expanded)
    # Summed, the gradient is 1: exact here, since it does not depend on the case.
    close(KFAC(objective, point, labels="exact", sharing="reduce").dense(), mean.T @ mean / N)

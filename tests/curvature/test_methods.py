"""Trace, solve, SciPy and the limits of memory: every method of every matrix against its dense form."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import (
    EKFAC,
    KFAC,
    Diagonal,
    EmpiricalFisher,
    Fisher,
    GaussNewton,
    Hessian,
    IndefiniteError,
    LayerDiagonal,
    TooLargeError,
)
from ngexplorer.objectives.losses import Quadratic, SoftmaxCrossEntropy

LOSS, NETWORK = "softmax logits", "mlp"


@pytest.fixture
def matrix(matrix_of, problem):
    case = problem(LOSS, NETWORK, weight_decay=0.1)
    return matrix_of(case.objective, case.theta)


def test_products_and_diagonal_are_those_of_the_dense_form(matrix, vectors, close):
    dense = matrix.dense()
    assert matrix.shape == dense.shape == (len(matrix.point.theta),) * 2
    v, several = vectors(len(dense)), vectors(len(dense), 35)
    close(dense, dense.T)
    close(matrix @ v, dense @ v)
    close(matrix.matvec(v), dense @ v)
    close(matrix @ several, dense @ several)
    close(matrix.matmat(several), dense @ several)
    close(matrix.diagonal(), dense.diagonal())


def test_the_stochastic_trace_is_within_four_standard_errors(matrix):
    """Of 400 probes, whose variance is 2 Σ_{i≠j} B_ij² each (Hutchinson 1989)."""
    dense = matrix.dense()
    exact = dense.trace()
    variance = 2 * (dense - torch.diag(dense.diagonal())).square().sum()
    torch.testing.assert_close(matrix.trace(), exact, rtol=1e-10, atol=0)
    estimate = matrix.trace(probes=400, seed=3)
    assert abs(float(estimate - exact)) <= 4 * float(variance / 400) ** 0.5 + 1e-12 * float(exact.abs())


def test_the_stochastic_traces_own_variance_is_hutchinsons(given, vectors):
    """The mean over 2,000 one-probe estimates is tr B, their variance 2 Σ_{i≠j} B_ij² within 4 standard errors."""
    matrix = vectors(6, 6)
    matrix = matrix + matrix.T
    curvature = given(matrix)
    drawn = torch.stack([curvature.trace(1, seed) for seed in range(2000)])
    variance = 2 * (matrix.square().sum() - matrix.diagonal().square().sum())
    assert abs(float(drawn.mean() - matrix.trace())) <= 4 * float(variance / 2000) ** 0.5
    squares = (drawn - matrix.trace()).square()
    assert abs(float(squares.mean() - variance)) <= 4 * float(squares.std()) / 2000**0.5


def test_probes_come_from_the_seed_however_many_go_at_once(given, vectors, close):
    """Twenty are more than one batch of products."""
    matrix = vectors(6, 6)
    matrix = matrix + matrix.T
    signs = torch.randint(0, 2, (20, 6), generator=torch.Generator().manual_seed(7), dtype=torch.int8)
    v = (2.0 * signs - 1).double().T
    close(given(matrix).trace(20, seed=7), (v * (matrix @ v)).sum() / 20)


# Solving


def positive(matrix):
    """Damping that makes it positive definite by a margin of 0.2."""
    return max(0.0, -float(torch.linalg.eigvalsh(matrix.dense())[0])) + 0.2


def inverse_times(matrix, damping, b):
    dense = matrix.dense()
    return torch.linalg.solve(dense + damping * torch.eye(len(dense), dtype=dense.dtype), b)


def test_solving_inverts_the_damped_matrix(matrix, vectors, close):
    """All but K-FAC, which damps its factors."""
    if type(matrix) is KFAC and matrix.tikhonov == "factored":
        pytest.skip("see test_kronecker.py")
    damping, b = positive(matrix), vectors(len(matrix.point.theta))
    close(matrix.solve(b, damping), inverse_times(matrix, damping, b))
    close(matrix.solve_gradient(damping), inverse_times(matrix, damping, matrix.point.gradient))


def test_solving_by_products_agrees(matrix, vectors, as_large):
    """Conjugate gradient leaves a residual of √ε; layer blocks, diagonals and Kronecker factors need none."""
    if type(matrix) is KFAC and matrix.tikhonov == "factored":
        pytest.skip("see test_kronecker.py")
    damping, b = positive(matrix), vectors(len(matrix.point.theta))
    fresh = type(matrix.point)(matrix.objective, matrix.point.theta)
    matrix.point = fresh
    if hasattr(matrix, "of"):
        matrix.of.point = fresh
    x = matrix.solve(b, damping)
    residual = torch.linalg.vector_norm(matrix @ x + damping * x - b) / torch.linalg.vector_norm(b)
    assert float(residual) <= 2e-8
    torch.testing.assert_close(x, inverse_times(matrix, damping, b), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("damping", [0.0, 0.9])
def test_an_indefinite_matrix_is_refused_by_its_lowest_eigenvalue(damping, given, vectors):
    matrix = given(torch.diag(torch.tensor([3.0, 1.0, -1.0, 2.0], dtype=torch.float64)))
    for form in (matrix, LayerDiagonal(matrix), Diagonal(matrix)):
        with pytest.raises(IndefiniteError, match="lowest eigenvalue is -1; damping above 1 is needed") as caught:
            form.solve(vectors(4), damping)
        assert caught.value.lowest_eigenvalue == pytest.approx(-1)
        assert torch.isfinite(form.solve(vectors(4), 1.1)).all()


def test_conjugate_gradient_refuses_it_by_a_bound_above_the_lowest_eigenvalue(given, vectors, as_large):
    matrix = given(torch.diag(torch.tensor([3.0, 1.0, -1.0, 2.0], dtype=torch.float64)))
    with pytest.raises(IndefiniteError, match="its lowest eigenvalue is at most") as caught:
        matrix.solve(vectors(4), 0.2)
    assert -1 <= caught.value.lowest_eigenvalue <= -0.2
    assert torch.isfinite(matrix.solve(vectors(4), 1.1)).all()


def test_conjugate_gradient_of_nothing_is_nothing(given, as_large):
    assert not given(torch.eye(4).double()).solve(torch.zeros(4, dtype=torch.float64)).any()


def test_conjugate_gradient_that_does_not_converge_says_so(given, vectors, as_large):
    """A Hilbert matrix's condition number is beyond float64 at 14 rows."""
    i = torch.arange(1.0, 15.0, dtype=torch.float64)
    hilbert = 1 / (i[:, None] + i - 1)
    with pytest.raises(ArithmeticError, match=r"residual of .* of ‖b‖ after 14 iterations; more damping than 1e-12"):
        given(hilbert).solve(vectors(14), 1e-12)


# SciPy


def test_scipy_finds_the_same_extreme_eigenvalues(matrix, vectors, close):
    size = len(matrix.point.theta)
    operator = matrix.as_scipy()
    assert operator.shape == (size, size)
    assert operator.dtype == "float64"
    v, several = vectors(size), vectors(size, 3)
    dense = matrix.dense()
    close(torch.as_tensor(operator @ v.numpy()), dense @ v)
    close(torch.as_tensor(operator.T @ v.numpy()), dense @ v)
    close(torch.as_tensor(operator @ several.numpy()), dense @ several)
    found = eigsh(operator, k=2, which="LA", return_eigenvectors=False, v0=v.numpy())
    close(torch.as_tensor(found).sort().values, torch.linalg.eigvalsh(dense)[-2:], rtol=1e-8, atol=1e-10)


def test_scipy_gets_the_objectives_dtype(problem):
    case = problem(LOSS, NETWORK, dtype=torch.float32)
    operator = Fisher(case.objective, case.theta).as_scipy()
    assert operator.dtype == "float32"
    assert (operator @ torch.ones(len(case.theta)).numpy()).dtype == "float32"


# Memory


def wide():
    model = nn.Sequential(nn.Linear(3, 80), nn.Tanh(), nn.Linear(80, 2)).double()
    x, y = torch.ones(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    return ngx.Objective(model, SoftmaxCrossEntropy(), x, y)


def test_a_dense_matrix_that_does_not_fit_is_refused_before_anything_is_computed(every_matrix, monkeypatch, as_large):
    """482 parameters: 1.8 MB, more than half of 2 MB."""
    objective = wide()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**21))
    for name, make in every_matrix.items():
        point = objective.at(objective.initial_parameters)
        matrix, work = make(objective, point), point.work
        with pytest.raises(TooLargeError) as caught:
            matrix.dense()
        text = str(caught.value)
        assert "482 × 482" in text, name
        assert "GB that are free" in text
        for alternative in ("B @ v", "top_eigenpairs", "spectral_density", "solve"):
            assert alternative in text
        if not name.startswith("diagonal"):
            assert matrix.title in text or matrix.of.title in text
        assert point.work == work, name
        assert isinstance(caught.value, MemoryError)
        # What it names instead does work.
        assert torch.isfinite(matrix @ torch.ones(482, dtype=torch.float64)).all()
        assert matrix.top_eigenpairs(1).values.shape == (1,)


def test_the_error_tells_the_size(monkeypatch):
    """Half a million parameters would need 1,862.6 GB."""
    model = nn.Linear(999, 500, dtype=torch.float64)
    x, y = torch.ones(1, 999, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    objective = ngx.Objective(model, SoftmaxCrossEntropy(), x, y)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=16 * 2**30))
    for kind in (Hessian, KFAC, EKFAC, EmpiricalFisher):
        with pytest.raises(
            TooLargeError, match=r"500,000 × 500,000 it takes 1,862\.6 GB, more than half of the 16\.0 GB"
        ):
            kind(objective, objective.initial_parameters).dense()
    with pytest.raises(TooLargeError):
        GaussNewton(objective, objective.initial_parameters).eigenvalues()


def test_what_fits_is_built_whatever_is_free_otherwise(monkeypatch):
    objective = wide()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**22))
    assert Fisher(objective, objective.initial_parameters).dense().shape == (482, 482)


# What is promised of signs


def test_what_is_promised_to_be_positive_semi_definite_is(density_name, network_name, problem, every_matrix):
    """F, F̄ and its estimates always; G where the loss is convex; EKFAC and K-FAC where they exist."""
    case = problem(density_name, network_name)
    promised = ["fisher", "empirical-fisher", "monte-carlo-fisher", "monte-carlo-fisher, S = 3"]
    if case.density.loss.convex:
        promised.append("gauss-newton")
    if case.objective.affine_refusal is None:
        promised += ["kfac", "kfac exact reduce", "ekfac", "ekfac exact"]
    for name in promised:
        dense = every_matrix[name](case.objective, case.theta).dense()
        values = torch.linalg.eigvalsh(dense)
        assert float(values[0]) >= -1e-13 * float(values[-1]) * len(dense), name


def test_gauss_newton_is_indefinite_where_the_loss_is_not_convex(problem):
    """Gaussian with mean and variance: det H_L = −1/(2v³) for every label."""
    case = problem("gaussian variance", "mlp")
    assert float(GaussNewton(case.objective, case.theta).eigenvalues()[0]) < -1e-3


def test_a_quadratic_saddle_has_every_matrix_that_needs_no_density(vectors, close):
    model = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    x = vectors(5, 2)
    objective = ngx.Objective(model, Quadratic(curvatures=(1.0, -2.0)), x, torch.zeros(5, 2).double())
    point = objective.at(objective.initial_parameters)
    expected = torch.block_diag(x.T @ x / 5, -2 * x.T @ x / 5)
    close(GaussNewton(objective, point).dense(), expected)
    close(Hessian(objective, point).dense(), expected)
    close(GaussNewton(objective, point)._diagonal(), expected.diagonal())
    assert EmpiricalFisher(objective, point).dense().shape == (4, 4)
    assert KFAC(objective, point, labels="training").dense().shape == (4, 4)

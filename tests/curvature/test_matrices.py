"""Hessian, Gauss-Newton and Fisher are those of torch.func on the same network, dense and as products."""

import gc
import weakref

import pytest
import torch
from hessian_eigenthings import GGNOperator, HessianOperator, lanczos
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh
from torch import nn

from ngexplorer.curvature import Fisher, GaussNewton, Hessian, IndefiniteError
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.networks import dense as structured
from ngexplorer.objectives.networks.layered import plain_layers

KINDS = [Hessian, GaussNewton, Fisher]
every_matrix = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def expected(reference, kind):
    return {Hessian: reference.hessian, GaussNewton: reference.gauss_newton, Fisher: reference.fisher}[kind]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_matrix
def test_dense_matrices_are_those_of_torch(kind, zoo, reference, close):
    objective, theta = zoo
    close(kind(objective, theta).dense(), expected(reference(objective, theta), kind))


@every_matrix
def test_products_are_those_of_torch(kind, zoo, reference, close):
    objective, theta = zoo
    matrix, dense = kind(objective, theta), expected(reference(objective, theta), kind)
    v, several = drawn(len(theta)), drawn(len(theta), 3, seed=1)
    close(matrix @ v, dense @ v)
    close(matrix.matvec(v), dense @ v)
    close(matrix @ several, dense @ several)
    close(matrix.matmat(several), dense @ several)
    close(matrix.inner(several), several.T @ dense @ several)


@every_matrix
def test_diagonal_trace_and_eigenvalues_are_those_of_the_dense_matrix(kind, zoo, close):
    objective, theta = zoo
    matrix = kind(objective, theta)
    dense = matrix.dense()
    close(matrix.diagonal(), dense.diagonal())
    close(matrix.trace(), dense.trace())
    close(matrix.eigenvalues(), torch.linalg.eigvalsh(dense))
    assert matrix.shape == dense.shape


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@every_matrix
def test_summing_cases_in_chunks_changes_nothing(kind, size, mlp, objective_of, monkeypatch, close):
    objective = objective_of(mlp(3, 4, 3, 2), SoftmaxCrossEntropy(), cases=7)
    theta = objective.initial_parameters
    whole = kind(objective, theta).dense()
    chunks = [slice(at, min(at + size, 7)) for at in range(0, 7, size)]
    monkeypatch.setattr(structured, "_chunks", lambda layers, cases: chunks)
    close(kind(objective, theta).dense(), whole, rtol=1e-12, atol=1e-14)


def test_wide_layers_and_many_cases_are_more_than_one_chunk(mlp, objective_of):
    """Of 8 million numbers; every case is in one of them."""
    objective = objective_of(mlp(3, 600, 2), SquaredError(), cases=100)
    chunks = structured._chunks(plain_layers(objective.at(objective.initial_parameters)._kept.trace), 100)
    assert len(chunks) > 1
    assert [i for chunk in chunks for i in range(chunk.start, chunk.stop)] == list(range(100))


networks = st.tuples(
    st.lists(st.integers(1, 5), min_size=2, max_size=5),
    st.sampled_from([nn.Tanh, nn.Sigmoid, nn.ReLU, nn.Softplus, nn.GELU]),
    st.booleans(),
    st.sampled_from([SquaredError(variance=0.7), BernoulliLogits(), SoftmaxCrossEntropy()]),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 1000),
)


@given(make=networks)
def test_whatever_the_shape_matrices_are_symmetric_and_linear_and_match_their_products(make, mlp, objective_of):
    widths, activation, bias, loss, cases, decay, seed = make
    module = mlp(*widths, activation=activation, bias=bias, seed=seed)
    objective = objective_of(module, loss, cases=cases, inputs=widths[0], weight_decay=decay, seed=seed)
    theta = objective.initial_parameters
    point = objective.at(theta)
    v, w = drawn(2, len(theta), seed=seed)
    for kind in KINDS:
        matrix = kind(objective, point)
        dense = matrix.dense()
        scale = float(dense.abs().max()) + 1e-30
        torch.testing.assert_close(dense, dense.T, rtol=0, atol=1e-13 * scale)
        torch.testing.assert_close(matrix @ v, dense @ v, rtol=1e-8, atol=1e-11 * scale)
        torch.testing.assert_close(matrix @ (2 * v - w), 2 * (matrix @ v) - matrix @ w, rtol=1e-8, atol=1e-11 * scale)
        if kind is not Hessian:
            assert float(matrix.eigenvalues()[0]) >= decay - 1e-12 * scale * len(theta)


@every_matrix
def test_a_product_with_another_shape_is_refused(kind, mlp, objective_of):
    objective = objective_of(mlp(3, 2), SquaredError())
    matrix = kind(objective, objective.initial_parameters)
    with pytest.raises(ValueError, match=rf"v: shape \(9,\); {kind.title} takes \(8,\)"):
        matrix @ torch.zeros(9, dtype=torch.float64)


@every_matrix
def test_solve_inverts_the_damped_matrix(kind, mlp, objective_of, close):
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy())
    matrix = kind(objective, objective.initial_parameters)
    damping = max(0.0, -float(matrix.eigenvalues()[0])) + 0.1
    b = drawn(objective.parameters)
    x = matrix.solve(b, damping=damping)
    close(matrix @ x + damping * x, b, rtol=1e-8, atol=1e-10)


def test_an_indefinite_matrix_is_refused_with_its_lowest_eigenvalue(rosenbrock_at):
    objective = rosenbrock_at(0.0, 1.0)
    hessian = Hessian(objective, objective.initial_parameters)
    # ∂²h/∂x² = 2 − 400(y − 3x²) = −398, ∂²h/∂y² = 200, no mixed term at x = 0.
    with pytest.raises(IndefiniteError, match="Hessian") as caught:
        hessian.solve(drawn(2), damping=397.0)
    assert caught.value.lowest_eigenvalue == pytest.approx(-398, rel=1e-12)
    assert caught.match("its lowest eigenvalue is -398; damping above 398 is needed")
    assert torch.isfinite(hessian.solve(drawn(2), damping=399.0)).all()


@every_matrix
def test_scipy_finds_the_same_extreme_eigenvalues(kind, mlp, objective_of):
    objective = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)
    matrix = kind(objective, objective.initial_parameters)
    largest = eigsh(
        matrix.as_scipy(), k=3, which="LA", return_eigenvectors=False, v0=drawn(objective.parameters).numpy()
    )
    torch.testing.assert_close(torch.tensor(sorted(largest)), matrix.eigenvalues()[-3:], rtol=1e-8, atol=1e-10)


def another_librarys_top_eigenvalues(operator, k):
    result = lanczos(operator, k=k, max_iter=operator.size, tol=1e-12, reorthogonalize=True, which="LM", seed=0)
    return torch.as_tensor(result.eigenvalues).sort().values


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Softplus])
def test_another_library_finds_the_same_top_eigenvalues(activation, mlp, objective_of):
    """hessian-eigenthings shares no code with the engine."""
    objective = objective_of(mlp(3, 6, 3, activation=activation), SoftmaxCrossEntropy(), cases=30)
    theta, model, criterion = objective.initial_parameters, objective.model, nn.functional.cross_entropy
    data = [(objective.inputs, objective.targets)]
    theirs = another_librarys_top_eigenvalues(HessianOperator(model, data, lambda m, b: criterion(m(b[0]), b[1])), 4)
    ours = Hessian(objective, theta).eigenvalues()
    largest = ours[ours.abs().argsort()[-4:]].sort().values
    torch.testing.assert_close(theirs.double(), largest, rtol=1e-8, atol=1e-10)
    operator = GGNOperator(model, data, lambda m, b: m(b[0]), lambda z, b: criterion(z, b[1]))
    theirs = another_librarys_top_eigenvalues(operator, 4)
    torch.testing.assert_close(theirs.double(), GaussNewton(objective, theta).eigenvalues()[-4:], rtol=1e-8, atol=1e-10)


@every_matrix
def test_what_a_kind_of_matrix_has_computed_at_a_point_is_computed_once(kind, mlp, objective_of):
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy())
    point = objective.at(objective.initial_parameters)
    dense, eigenvalues = kind(objective, point).dense(), kind(objective, point).eigenvalues()
    work = point.work
    assert kind(objective, point).dense() is dense
    assert kind(objective, point).eigenvalues() is eigenvalues
    assert point.work == work
    for other in KINDS:
        assert (other(objective, point).dense() is dense) == (other is kind)


def test_a_dense_matrix_is_freed_with_its_point_and_not_by_the_garbage_collector(mlp, objective_of):
    """A P × P matrix a step waits for no collection."""
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy())
    gc.disable()
    try:
        point = objective.at(objective.initial_parameters)
        dense = weakref.ref(Hessian(objective, point).dense())
        assert dense() is not None
        del point
        assert dense() is None
    finally:
        gc.enable()


@every_matrix
def test_a_matrix_of_a_batch_averages_to_that_of_the_whole(kind, mlp, objective_of, close):
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy(), cases=9, weight_decay=0.1)
    theta = objective.initial_parameters
    batches = [objective.batch(torch.arange(2)), objective.batch(torch.arange(2, 9))]
    mean = sum(b.cases * kind(b, theta).dense() for b in batches) / 9
    close(kind(objective, theta).dense(), mean)


def test_float32_matrices_agree_with_float64_to_their_precision(mlp, objective_of):
    double = objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy())
    single = objective_of(mlp(3, 5, 3).float(), SoftmaxCrossEntropy())
    for kind in KINDS:
        exact = kind(double, double.initial_parameters).dense()
        rough = kind(single, single.initial_parameters).dense()
        assert rough.dtype == torch.float32
        torch.testing.assert_close(rough.double(), exact, rtol=1e-4, atol=1e-6)

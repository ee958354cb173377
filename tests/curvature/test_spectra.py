"""Eigenpairs and spectral densities from products alone: exact promises on matrices of known spectrum."""

import math

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import Hessian
from ngexplorer.objectives.losses import SquaredError


def with_spectrum(values, seed=0):
    """A symmetric matrix with these eigenvalues and random eigenvectors."""
    values = torch.as_tensor(values, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64))[0]
    matrix = basis * values @ basis.T
    return (matrix + matrix.T) / 2


SPECTRUM = [-7.0, -3.0, *torch.linspace(-0.5, 2, 76).tolist(), 4.0, 6.0]
"""80 eigenvalues; the largest in magnitude is negative."""

BY = {
    "magnitude": lambda values: values[values.abs().argsort(descending=True)],
    "largest": lambda values: values.sort(descending=True).values,
    "smallest": lambda values: values.sort().values,
}
each_end = pytest.mark.parametrize("which", BY)


def test_signs_are_kept_and_magnitude_comes_first(given, close):
    pairs = given(with_spectrum(SPECTRUM)).top_eigenpairs(3, tolerance=1e-9)
    assert pairs.values.dtype == torch.float64
    close(pairs.values, torch.tensor([-7.0, 6.0, 4.0], dtype=torch.float64))


@each_end
@pytest.mark.parametrize("k", [1, 4])
def test_pairs_are_eigenpairs_with_true_residuals(which, k, given, close):
    matrix = with_spectrum(SPECTRUM)
    pairs = given(matrix).top_eigenpairs(k, which=which, tolerance=1e-9)
    assert pairs.converged
    close(pairs.values, BY[which](torch.linalg.eigvalsh(matrix))[:k])
    close(pairs.vectors.T @ pairs.vectors, torch.eye(k).double(), atol=1e-12)
    errors = torch.linalg.vector_norm(matrix @ pairs.vectors - pairs.vectors * pairs.values, dim=0)
    close(pairs.residuals, errors, rtol=1e-3, atol=1e-12)
    assert bool((errors <= 1.01e-9 * pairs.values.abs()).all())


@each_end
def test_residuals_are_true_before_convergence_too(which, given, close):
    matrix = with_spectrum(SPECTRUM)
    pairs = given(matrix).top_eigenpairs(4, which=which, tolerance=1e-9, iterations=9)
    assert not pairs.converged
    assert pairs.products == 9
    errors = torch.linalg.vector_norm(matrix @ pairs.vectors - pairs.vectors * pairs.values, dim=0)
    close(pairs.residuals, errors)
    assert float(errors.max()) > 1e-3
    # By the residual bound each Ritz value is within its residual of an eigenvalue (Parlett 1980).
    gaps = (pairs.values[:, None] - torch.linalg.eigvalsh(matrix)).abs().min(1).values
    assert bool((gaps <= errors).all())


def test_a_loose_tolerance_takes_fewer_products(given):
    matrix = with_spectrum(SPECTRUM)
    loose, tight = (given(matrix).top_eigenpairs(3, tolerance=t) for t in (1e-1, 1e-9))
    assert loose.converged
    assert tight.converged
    assert loose.products < tight.products < 80


@each_end
def test_all_of_them_can_be_had(which, given, close):
    matrix = with_spectrum(SPECTRUM[:20])
    pairs = given(matrix).top_eigenpairs(20, which=which)
    assert pairs.converged
    close(pairs.values, BY[which](torch.linalg.eigvalsh(matrix)), atol=1e-11)
    close(pairs.vectors * pairs.values @ pairs.vectors.T, matrix, atol=1e-11)


@pytest.mark.parametrize("matrix", [torch.eye(12), 3 * torch.eye(1), torch.zeros(7, 7)], ids=["I", "3", "0"])
def test_a_multiple_of_the_identity_has_its_eigenvalue_as_often_as_asked(matrix, given, close):
    """Every step breaks down; a new direction goes on."""
    matrix = matrix.double()
    for k in (1, len(matrix)):
        pairs = given(matrix).top_eigenpairs(k)
        assert pairs.converged
        close(pairs.values, matrix[0, 0].expand(k))
        close(pairs.vectors.T @ pairs.vectors, torch.eye(k).double())


def test_few_distinct_eigenvalues_are_found_as_often_as_they_stand(given, close):
    """5, 5, 5, −2, −2, 1 …: the Krylov space of one vector is exhausted after three steps."""
    matrix = with_spectrum([5.0] * 3 + [-2.0] * 2 + [1.0] * 40)
    pairs = given(matrix).top_eigenpairs(6)
    close(pairs.values, torch.tensor([5.0, 5, 5, -2, -2, 1], dtype=torch.float64))
    assert pairs.converged


@each_end
def test_repeated_eigenvalues_among_many_others_are_found_as_often_as_they_stand(which, given, close):
    ends = [-9.0, -9.0, -8.0, -7.0] if which == "smallest" else [9.0, 9.0, 8.0, 7.0]
    matrix = with_spectrum([*ends, *torch.linspace(-2, 2, 60).tolist()])
    pairs = given(matrix).top_eigenpairs(3, which=which)
    close(pairs.values, torch.tensor(ends[:3], dtype=torch.float64), rtol=1e-5)


def test_linear_regression_on_three_columns_has_every_eigenvalue_three_times(vectors, close):
    """H = I₃ ⊗ XᵀX/N."""
    x = vectors(200, 30)
    objective = ngx.Objective(nn.Linear(30, 3, bias=False).double(), SquaredError(), x, vectors(200, 3, seed=1))
    pairs = Hessian(objective, objective.initial_parameters).top_eigenpairs(6)
    once = torch.linalg.eigvalsh(x.T @ x / 200).flip(0)
    close(pairs.values, once[:2].repeat_interleave(3), rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_repeated_eigenvalues_near_to_others_are_found_as_often_as_they_stand(seed, given, close):
    matrix = with_spectrum([2.5, 2.5, 2.3, 2.2, *torch.linspace(-2, 2, 300).tolist()])
    pairs = given(matrix).top_eigenpairs(3, seed=seed)
    close(pairs.values, torch.tensor([2.5, 2.5, 2.3], dtype=torch.float64), rtol=1e-5)


def test_linear_regression_on_ten_columns_has_every_eigenvalue_ten_times(vectors, close):
    """H = I₁₀ ⊗ XᵀX/N, XᵀX/N with the eigenvalues of a random matrix."""
    x = vectors(400, 64, seed=1)
    objective = ngx.Objective(nn.Linear(64, 10, bias=False).double(), SquaredError(), x, vectors(400, 10))
    for seed in range(4):
        pairs = Hessian(objective, objective.initial_parameters).top_eigenpairs(5, seed=seed)
        close(pairs.values, torch.linalg.eigvalsh(x.T @ x / 400)[-1].expand(5), rtol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_residuals_of_repeated_eigenvalues_are_true(seed, given, close):
    matrix = with_spectrum([*torch.logspace(0, -3, 40).repeat_interleave(3).tolist()], seed)
    pairs = given(matrix).top_eigenpairs(6, seed=seed)
    errors = torch.linalg.vector_norm(matrix @ pairs.vectors - pairs.vectors * pairs.values, dim=0)
    close(pairs.residuals, errors, rtol=1e-3, atol=1e-12)


def test_no_more_products_than_allowed(given):
    matrix = with_spectrum([9.0, 9.0, 8.0, 7.0, *torch.linspace(-2, 2, 60).tolist()])
    assert given(matrix).top_eigenpairs(3, iterations=30).products <= 30


@pytest.mark.parametrize("k", [0, -1, 81])
def test_k_out_of_range_is_refused(k, given):
    with pytest.raises(ValueError, match=rf"k: {k}; a whole number from 1 to 80 is accepted"):
        given(with_spectrum(SPECTRUM)).top_eigenpairs(k)


def test_an_unknown_end_is_refused(given):
    with pytest.raises(ValueError, match=r"which: 'lowest'; one of magnitude, largest, smallest is accepted"):
        given(torch.eye(3).double()).top_eigenpairs(1, which="lowest")


def test_the_start_comes_from_the_seed(given):
    matrix = given(with_spectrum(SPECTRUM))
    one, same, other = (matrix.top_eigenpairs(2, seed=seed).vectors for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_every_matrix_has_the_eigenpairs_of_its_dense_form(matrix_of, problem, close):
    case = problem("softmax logits", "mlp", weight_decay=0.1)
    matrix = matrix_of(case.objective, case.theta)
    dense = matrix.dense()
    expected = torch.linalg.eigvalsh(dense)
    close(matrix.eigenvalues(), expected, atol=1e-10)
    for which, order in BY.items():
        pairs = matrix.top_eigenpairs(3, which=which, tolerance=1e-9)
        close(dense @ pairs.vectors, pairs.vectors * pairs.values, atol=1e-8)
        # A repeated one may be missed: every value found is one of the spectrum, and the first is the end of it.
        close(pairs.values[0], order(expected)[0], rtol=1e-7, atol=1e-9)


# Stochastic Lanczos quadrature


def probes_of(size, probes, seed):
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(0, 2, (probes, size), generator=generator, dtype=torch.int8)
    return (2.0 * bits - 1).double().T


def test_a_density_has_the_moments_of_its_probes(given, close):
    """vᵀB^j v/P for j < 2·steps, exactly: Gauss quadrature (Golub and Welsch 1969)."""
    matrix = with_spectrum(SPECTRUM) / 7
    density = given(matrix).spectral_density(probes=3, steps=6, seed=4)
    assert density.nodes.shape == density.weights.shape == (3, 6)
    close(density.weights.sum(1), torch.ones(3).double(), rtol=1e-12)
    assert float(density.weights.min()) >= 0
    v = probes_of(80, 3, 4)
    power = v
    for j in range(12):
        close(density.moment(j), (v * power).sum(0).mean() / 80, rtol=1e-10, atol=1e-12)
        power = matrix @ power
    assert abs(float(density.moment(12) - (v * power).sum(0).mean() / 80)) > 1e-6


def test_the_mean_of_moments_over_many_probes_is_the_trace(given):
    """tr(B^j)/P within 4 standard errors over 40 seeds."""
    matrix = with_spectrum(SPECTRUM)
    for j in (1, 2, 3):
        drawn = torch.stack([given(matrix).spectral_density(5, 4, seed).moment(j) for seed in range(40)])
        exact = (torch.as_tensor(SPECTRUM, dtype=torch.float64) ** j).mean()
        assert abs(float(drawn.mean() - exact)) <= 4 * float(drawn.std()) / math.sqrt(40)


def test_as_many_steps_as_parameters_know_every_moment_of_each_probe(given, close):
    matrix = with_spectrum([-1.0, -0.5, 0.2, 0.7, 1.1])
    density = given(matrix).spectral_density(probes=4, steps=50)
    assert density.nodes.shape == (4, 5)
    for nodes in density.nodes:
        close(nodes, torch.linalg.eigvalsh(matrix))
    v = probes_of(5, 4, 0)
    for j in range(25):
        close(density.moment(j), (v * (torch.linalg.matrix_power(matrix, j) @ v)).sum(0).mean() / 5)


def test_an_eigenvalue_found_early_does_not_come_back_as_a_ghost(given, close):
    """Without reorthogonalization the outlier, found to rounding after a few steps, is found again and again."""
    values = torch.tensor([-30.0, *torch.linspace(0, 1, 40).tolist(), 40.0, 100.0], dtype=torch.float64)
    density = given(with_spectrum(values)).spectral_density(probes=3, steps=43)
    for nodes in density.nodes:
        close(nodes, values, atol=1e-9)


def test_a_diagonal_matrixs_signs_weigh_every_eigenvalue_alike(given, close):
    """|vᵀe_i|²/P = 1/P for signs: the density is that of the whole spectrum, from one probe."""
    values = torch.tensor([-2.0, -1.0, 0.5, 1.0, 3.0, 4.0], dtype=torch.float64)
    density = given(torch.diag(values)).spectral_density(probes=1, steps=6)
    close(density.nodes[0], values)
    close(density.weights[0], torch.full((6,), 1 / 6, dtype=torch.float64))


@pytest.mark.parametrize("values", [[2.0] * 9, [0.0] * 9, [3.0] * 4 + [-1.0] * 5], ids=["2I", "0", "two values"])
def test_a_breakdown_leaves_nodes_of_weight_zero(values, given, close):
    matrix = with_spectrum(values)
    density = given(matrix).spectral_density(probes=4, steps=6)
    assert torch.isfinite(density.nodes).all()
    close(density.weights.sum(1), torch.ones(4).double())
    close(density.moment(1), torch.stack([v @ matrix @ v for v in probes_of(9, 4, 0).T]).mean() / 9, atol=1e-12)
    heavy = density.nodes[density.weights > 1e-12]
    for node in heavy:
        assert min(abs(float(node) - value) for value in set(values)) < 1e-10


def test_probes_that_break_down_do_not_disturb_the_others(given, close):
    """(1, 1)/√2 and (1, −1)/√2 are eigenvectors of [[0, 1], [1, 0]]; of its sum with another block some probes break
    down after two steps and others after three."""
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    matrix = torch.block_diag(swap, swap, 5 * torch.eye(2).double())
    probes = probes_of(6, 12, 2)
    density = given(matrix).spectral_density(probes=12, steps=5, seed=2)
    for j in range(10):
        each = (density.weights * density.nodes**j).sum(1)
        close(each, (probes * (torch.linalg.matrix_power(matrix, j) @ probes)).sum(0) / 6, atol=1e-10)


def test_a_smoothed_density_integrates_to_one(given):
    density = given(with_spectrum(SPECTRUM)).spectral_density(probes=4, steps=20)
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    curve = density.smoothed(grid, width=0.3)
    assert float(torch.trapezoid(curve, grid)) == pytest.approx(1, abs=1e-10)
    assert float(torch.trapezoid(curve * grid, grid)) == pytest.approx(float(density.moment(1)), abs=1e-8)
    assert float(curve.min()) >= 0


@pytest.mark.parametrize("settings", [{"probes": 0}, {"steps": 0}, {"probes": -1, "steps": 3}])
def test_no_probes_or_steps_are_refused(settings, given):
    with pytest.raises(ValueError, match=r"probes, steps: .*; whole numbers ≥ 1 are accepted"):
        given(torch.eye(3).double()).spectral_density(**settings)


def test_every_matrix_has_the_density_of_its_dense_form(matrix_of, problem, close):
    case = problem("softmax logits", "mlp", weight_decay=0.1)
    matrix = matrix_of(case.objective, case.theta)
    density = matrix.spectral_density(probes=3, steps=4)
    v, dense = probes_of(len(case.theta), 3, 0), matrix.dense()
    for j in range(8):
        close(density.moment(j), (v * (torch.linalg.matrix_power(dense, j) @ v)).sum(0).mean() / len(v), rtol=1e-7)

"""(B + λI)⁻¹∇h in the space of the samples: the same numbers as the dense solve, and as good in float32."""

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import Fisher, GaussNewton, Hessian, base, gauss_newton, sample_space
from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError

FEW = 2
"""Cases: fewer rows, of 2 or 3 outputs each, than any network here has parameters."""


@pytest.fixture
def routes(monkeypatch):
    """Which ways to J̃J̃ᵀ were gone."""
    gone = []
    by_layers = sample_space.gram_by_layers

    def gram_by_layers(point, root):
        gone.append("layers")
        return by_layers(point, root)

    monkeypatch.setattr(sample_space, "gram_by_layers", gram_by_layers)
    whole = sample_space.solve_gradient

    def solve_gradient(*arguments):
        gone.append("samples")
        return whole(*arguments)

    monkeypatch.setattr(gauss_newton.sample_space, "solve_gradient", solve_gradient)
    return gone


def by_inverse(case, dense, damping):
    return torch.linalg.solve(dense + damping * torch.eye(len(dense), dtype=dense.dtype), case.gradient)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("kind", [Fisher, GaussNewton])
@pytest.mark.parametrize("loss", ["softmax logits", "bernoulli logits", "squared", "poisson log-rate"])
def test_it_is_the_dense_solve(kind, loss, weight_decay, network_name, problem, routes, as_large, close):
    case = problem(loss, network_name, cases=FEW, weight_decay=weight_decay)
    for damping in (1e-3, 1.0):
        found = kind(case.objective, case.theta).solve_gradient(damping)
        close(found, by_inverse(case, case.fisher, damping), rtol=1e-8, atol=1e-10)
    by_layers = ["layers"] if network_name in ("mlp", "convolutional", "residual") else []
    assert routes == ["samples", *by_layers] * 2


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_fisher_of_every_loss_has_its_gradient_in_that_space(
    density_name, weight_decay, problem, routes, as_large, close
):
    """∂L/∂z of the training label is one of the scores that F_R is made of."""
    case = problem(density_name, "mlp", cases=FEW, weight_decay=weight_decay)
    found = Fisher(case.objective, case.theta).solve_gradient(0.01)
    close(found, by_inverse(case, case.fisher, 0.01), rtol=1e-8, atol=1e-10)
    assert "samples" in routes


@pytest.mark.parametrize("loss", ["probit", "laplace", "huber", "softmax log-probabilities"])
def test_the_gauss_newton_matrix_goes_there_only_where_the_gradient_does(loss, problem, routes, as_large):
    """H_L of Laplace is 0, and the gradient is not."""
    case = problem(loss, "mlp", cases=FEW)
    found = GaussNewton(case.objective, case.theta).solve_gradient(0.01)
    torch.testing.assert_close(found, by_inverse(case, case.gauss_newton, 0.01), rtol=1e-6, atol=1e-7)
    assert not routes


def test_in_float32_a_pivot_of_rounding_is_no_pivot(mlp):
    """Ten outputs of five hidden units on 32 cases: K has 320 rows and rank 165 at most. λ + K is either solved with as
    float64 would, or refused; the step is never rounding."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(32, 20, generator=generator)
    targets = torch.randn(32, 10, generator=generator)
    ends = []
    for exponent in range(2, 14):
        damping, found = 10.0**-exponent, []
        for dtype in (torch.float64, torch.float32):
            module = mlp(20, 5, 10, dtype=torch.float64).to(dtype)
            objective = ngx.Objective(module, SquaredError(), inputs.to(dtype), targets.to(dtype))
            matrix = Fisher(objective, objective.initial_parameters)
            try:
                found.append(matrix.solve_in_sample_space(damping).double())
            except torch.linalg.LinAlgError:
                assert dtype == torch.float32
        if len(found) == 2:
            assert float((found[1] - found[0]).norm() / found[0].norm()) < 0.01
        ends.append(len(found) == 2)
    assert ends[0] and not ends[-1]
    assert ends == sorted(ends, reverse=True)


def test_many_cases_few_parameters_or_no_damping_go_another_way(problem, routes, monkeypatch):
    few, many = (problem("softmax logits", "mlp", cases=cases) for cases in (FEW, 20))
    matrix = Fisher(few.objective, few.theta)
    matrix.solve_gradient(0.1)
    assert not routes  # small enough to factorize
    for module in (base, gauss_newton):
        monkeypatch.setattr(module, "LARGEST_FACTORIZED", 0)
    Fisher(many.objective, many.theta).solve_gradient(0.1)
    assert not routes
    Hessian(few.objective, few.theta).solve_gradient(10.0)
    assert not routes
    matrix.solve_gradient(0.1)
    assert routes


@pytest.mark.parametrize("name", ["mlp", "convolutional", "layer norm"])
@pytest.mark.parametrize("loss", ["softmax logits", "bernoulli logits", "squared"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_float32_is_as_good_as_float64_at_little_damping(name, loss, weight_decay, problem, routes, as_large):
    """λ = 1e-3, where Woodbury's formula on g is 295 % wrong in float32."""
    double, single = (
        problem(loss, name, cases=FEW, weight_decay=weight_decay, dtype=dtype)
        for dtype in (torch.float64, torch.float32)
    )
    exact = Fisher(double.objective, double.theta).solve_gradient(1e-3)
    rough = Fisher(single.objective, single.theta).solve_gradient(1e-3)
    assert rough.dtype == torch.float32
    error = torch.linalg.vector_norm(rough.double() - exact) / torch.linalg.vector_norm(exact)
    assert float(error) <= 1e-4
    assert "samples" in routes


@pytest.mark.parametrize("label", [0, 1])
def test_a_label_the_model_thinks_impossible_leaves_no_nan(label, as_large, vectors):
    """p_y = e^−60: r = −e_y/√p_y is large, and its step is finite."""
    model = nn.Linear(4, 3, dtype=torch.float64)
    model.bias.data = torch.tensor([0.0, 60.0, 0.0], dtype=torch.float64)
    objective = ngx.Objective(model, SoftmaxCrossEntropy(), vectors(1, 4), torch.tensor([label]))
    assert torch.isfinite(Fisher(objective, objective.initial_parameters).solve_gradient(1e-3)).all()


def test_chunks_change_nothing(problem, network_name, as_large, close):
    one, other = (problem("softmax logits", network_name, cases=3, chunk=chunk) for chunk in (None, 2))
    expected = Fisher(one.objective, one.theta).solve_gradient(1e-2)
    close(Fisher(other.objective, other.theta).solve_gradient(1e-2), expected, rtol=1e-10)

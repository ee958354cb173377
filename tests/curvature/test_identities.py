"""The identities of the theory that need no optimizer, by their numbers."""

from itertools import combinations, pairwise
from typing import ClassVar

import pytest
import torch
from torch import nn

from ngexplorer.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian, LayerDiagonal, MonteCarloFisher
from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import Digits
from ngexplorer.objectives.losses import (
    BernoulliLogits,
    Loss,
    SoftmaxCrossEntropy,
    SoftmaxLogProbabilities,
    SoftmaxProbabilities,
    SquaredError,
)
from ngexplorer.objectives.models import MLP


def test_fisher_equals_gauss_newton_on_the_digits_classifier():
    """Logits are natural parameters (Martens 2020, §9.2)."""
    objective = assemble(Digits(), MLP(hidden=(16,)), SoftmaxCrossEntropy())
    theta = objective.initial_parameters
    fisher, gauss_newton = Fisher(objective, theta).dense(), GaussNewton(objective, theta).dense()
    assert fisher.shape == (1210, 1210)
    assert float((fisher - gauss_newton).abs().max()) <= 1e-10
    assert float(Hessian(objective, theta).dense().sub(gauss_newton).abs().max()) > 1e-3


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), BernoulliLogits()], ids=lambda loss: type(loss).__name__)
def test_e1_the_hessian_averaged_over_the_models_labels_is_the_fisher(loss, mlp, objective_of, close):
    """Softmax: every label of one case in turn, weighted by its probability; Bernoulli has two for one output."""
    objective = objective_of(mlp(3, 4, 3 if isinstance(loss, SoftmaxCrossEntropy) else 1), loss, cases=1)
    theta = objective.initial_parameters
    p = loss.prediction(objective.outputs(theta))[0]
    labels = [(torch.tensor([i]), p[i]) for i in range(len(p))]
    if isinstance(loss, BernoulliLogits):
        labels = [(torch.tensor([[0.0]]).double(), 1 - p[0]), (torch.tensor([[1.0]]).double(), p[0])]
    mean = sum(
        chance * Hessian(Objective(objective.model, loss, objective.inputs, y), theta).dense() for y, chance in labels
    )
    close(mean, Fisher(objective, theta).dense())


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("bernoulli probability", True),
        ("probit", True),
        ("softmax probabilities", True),
        ("softmax log-probabilities", False),
    ],
)
def test_e1_the_gauss_newton_matrix_averaged_over_the_models_labels_is_the_fisher(name, same, problem, close):
    """E[H_L] = F_R where r is a density for every z near. Not for log-probabilities, which sum to 1 on a surface only:
    L = −z_y is linear, and every one of these matrices is 0. (Nor for Laplace, whose curvature is all in a kink.)"""
    objective, loss = problem(name, "mlp", cases=1).objective, problem(name, "mlp", cases=1).objective.loss
    theta = objective.initial_parameters
    p = loss.prediction(objective.outputs(theta))[0]
    if isinstance(loss, SoftmaxProbabilities | SoftmaxLogProbabilities):
        labels = [(torch.tensor([i]), p[i]) for i in range(len(p))]
    else:
        both = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 2)
        labels = [(y[None], torch.where(y > 0, p, 1 - p).prod()) for y in both]
    assert float(sum(chance for _, chance in labels)) == pytest.approx(1)
    mean = sum(
        chance * GaussNewton(Objective(objective.model, loss, objective.inputs, y), theta).dense()
        for y, chance in labels
    )
    if same:
        close(mean, Fisher(objective, theta).dense())
    else:
        assert not mean.any()
        assert float(Fisher(objective, theta).trace()) > 1e-2
    empirical = sum(
        chance * EmpiricalFisher(Objective(objective.model, loss, objective.inputs, y), theta).dense()
        for y, chance in labels
    )
    close(empirical, Fisher(objective, theta).dense())


def test_e2_the_fisher_is_the_curvature_of_the_kl_divergence(mlp, objective_of):
    """KL(p_θ ‖ p_{θ+δ}) = ½δᵀFδ + O(‖δ‖³): halving δ divides the remainder by about eight."""
    objective = objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy(), cases=20)
    theta = objective.initial_parameters
    delta = torch.randn(len(theta), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    fisher = Fisher(objective, theta)

    def remainder(scale):
        before, after = (torch.log_softmax(objective.outputs(t), 1) for t in (theta, theta + scale * delta))
        divergence = (before.exp() * (before - after)).sum(1).mean()
        return abs(float(divergence - 0.5 * scale**2 * delta.dot(fisher @ delta)))

    assert 6 < remainder(2e-2) / remainder(1e-2) < 10


def test_e2_that_is_exact_for_the_mean_of_a_gaussian(mlp, objective_of):
    """KL = ‖z − z'‖²/(2σ²), and z is linear in θ: the remainder is rounding, however far δ goes."""
    objective = objective_of(mlp(3, 2), SquaredError(variance=0.3), cases=20)
    theta = objective.initial_parameters
    fisher = Fisher(objective, theta)
    for seed in range(3):
        delta = 10 * torch.randn(len(theta), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        moved = objective.outputs(theta + delta) - objective.outputs(theta)
        divergence = float(moved.square().sum(1).mean() / (2 * 0.3))
        assert divergence == pytest.approx(0.5 * float(delta.dot(fisher @ delta)), rel=1e-12)


# E4: where the loss is split from the network.


def of_split(link, loss, mlp, vectors):
    """The same classifier each time: what `link` does is moved from the loss into the network."""
    y = torch.arange(7) % 3
    return Objective(nn.Sequential(*mlp(3, 4, 3), *link), loss, vectors(7, 3), y)


def test_e4_the_split_changes_the_gauss_newton_matrix_and_not_the_fisher(mlp, vectors, close):
    logits = of_split([], SoftmaxCrossEntropy(), mlp, vectors)
    probabilities = of_split([nn.Softmax(1)], SoftmaxProbabilities(), mlp, vectors)
    logs = of_split([nn.LogSoftmax(1)], SoftmaxLogProbabilities(), mlp, vectors)
    theta = logits.initial_parameters
    fisher = Fisher(logits, theta).dense()
    hessian, empirical = Hessian(logits, theta).dense(), EmpiricalFisher(logits, theta).dense()
    for objective in (logits, probabilities, logs):
        close(Fisher(objective, theta).dense(), fisher)
        close(Hessian(objective, theta).dense(), hessian)
        close(EmpiricalFisher(objective, theta).dense(), empirical)
    assert float((GaussNewton(logits, theta).dense() - fisher).abs().max()) <= 1e-15
    assert float((GaussNewton(probabilities, theta).dense() - empirical).abs().max()) <= 1e-14
    assert not GaussNewton(logs, theta).dense().any()
    # All four differ from each other.
    assert min(float((a - b).abs().max()) for a, b in combinations((hessian, fisher, empirical, 0 * fisher), 2)) > 1e-3


class Parameters(nn.Module):
    """θ itself is the output, whatever the inputs."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(theta.clone())

    def forward(self, x):
        return self.theta.expand(len(x), -1)


class WholeNetwork(Loss, frozen=True, kw_only=True, tag="whole-network"):
    """A softmax classifier with all of the network in the loss: its "outputs" are θ, its "targets" cases and labels."""

    title: ClassVar[str] = "Whole network"
    natural: ClassVar[bool] = False
    convex: ClassVar[bool] = False
    module: ClassVar[nn.Module]

    def check(self, y, z):
        pass

    def one(self, theta, y):
        names = [name for name, _ in self.module.named_parameters()]
        shapes = [p.shape for p in self.module.parameters()]
        views = {
            n: part.view(s) for n, part, s in zip(names, theta.split([s.numel() for s in shapes]), shapes, strict=True)
        }
        logits = torch.func.functional_call(self.module, views, (y[None, :-1],))[0]
        return torch.logsumexp(logits, 0) - logits.gather(0, y[-1:].long())[0]

    def per_case(self, z, y):
        return torch.func.vmap(self.one)(z, y)

    def gradient(self, z, y):
        return torch.func.vmap(torch.func.grad(self.one))(z, y)

    def hessian(self, z, y):
        return torch.func.vmap(torch.func.jacrev(torch.func.grad(self.one)))(z, y)

    def fisher(self, z):
        raise NotImplementedError


def test_e4_with_all_of_the_network_in_the_loss_gauss_newton_is_the_hessian(mlp, vectors, close):
    usual = of_split([], SoftmaxCrossEntropy(), mlp, vectors)
    theta = usual.initial_parameters
    WholeNetwork.module = mlp(3, 4, 3)
    y = torch.cat((usual.inputs, usual.targets[:, None].double()), 1)
    whole = Objective(Parameters(theta), WholeNetwork(), usual.inputs, y)
    close(whole.value(theta), usual.value(theta))
    close(GaussNewton(whole, theta).dense(), Hessian(usual, theta).dense())
    close(Hessian(whole, theta).dense(), Hessian(usual, theta).dense())
    assert float((GaussNewton(whole, theta).dense() - GaussNewton(usual, theta).dense()).abs().max()) > 1e-3


@pytest.mark.parametrize("widths", [(3, 4, 2), (3, 4, 3, 2)])
def test_e5_the_layers_own_blocks_of_hessian_and_gauss_newton_agree_for_relu(widths, mlp, objective_of):
    objective = objective_of(mlp(*widths, activation=nn.ReLU), SoftmaxCrossEntropy())
    theta = objective.initial_parameters
    difference = Hessian(objective, theta).dense() - GaussNewton(objective, theta).dense()
    at = 0
    for before, after in pairwise(widths):
        for size in (before * after, after):
            assert float(difference[at : at + size, at : at + size].abs().max()) <= 1e-8
            at += size
    assert at == len(theta)
    assert float(difference.abs().max()) > 1e-3
    blocks = (LayerDiagonal(kind(objective, theta)).dense() for kind in (Hessian, GaussNewton))
    assert float(torch.sub(*blocks).abs().max()) <= 1e-8


@pytest.mark.parametrize("kind", [nn.Tanh, nn.Softplus])
def test_e6_without_residuals_the_hessian_is_the_gauss_newton_matrix(kind, mlp, objective_of, close):
    plain = objective_of(mlp(3, 4, 2, activation=kind), SquaredError())
    theta = plain.initial_parameters
    objective = Objective(plain.model, SquaredError(), plain.inputs, plain.outputs(theta))
    close(Hessian(objective, theta).dense(), GaussNewton(objective, theta).dense())
    assert float((Hessian(plain, theta).dense() - GaussNewton(plain, theta).dense()).abs().max()) > 1e-3
    assert not EmpiricalFisher(objective, theta).dense().any()
    assert float(Fisher(objective, theta).trace()) > 1e-2


def test_e9_the_length_of_the_damped_step_falls_strictly_in_the_damping(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy())
    point = objective.at(objective.initial_parameters)
    fisher = Fisher(objective, point)
    lengths = [torch.linalg.vector_norm(fisher.solve(point.gradient, 10.0**k)) for k in torch.arange(-6, 6.5, 0.5)]
    assert all(longer > shorter for longer, shorter in pairwise(lengths))


def test_a_linear_network_with_natural_parameters_has_its_hessian_equal_to_its_gauss_newton_matrix(
    mlp, objective_of, close
):
    for loss, outputs in ((SoftmaxCrossEntropy(), 3), (BernoulliLogits(), 1), (SquaredError(), 2)):
        objective = objective_of(mlp(3, outputs), loss, weight_decay=0.1)
        theta = objective.initial_parameters
        hessian, gauss_newton, fisher = (k(objective, theta).dense() for k in (Hessian, GaussNewton, Fisher))
        close(hessian, gauss_newton)
        close(hessian, fisher)


def test_softmax_leaves_the_fisher_singular_along_a_shift_of_all_logits(mlp, objective_of):
    objective = objective_of(mlp(3, 4), SoftmaxCrossEntropy(), cases=40)
    eigenvalues = Fisher(objective, objective.initial_parameters).eigenvalues()
    # Adding the same (w, b) to every class changes no probability: 3 + 1 null directions.
    assert eigenvalues[:4].abs().max() < 1e-15
    assert eigenvalues[4] > 1e-4


def test_e12_the_step_scales_with_the_targets_and_against_them_by_the_empirical_fisher(mlp, vectors, close):
    """At θ = 0 the residuals are the targets: F⁻¹g ∝ c, and F̄⁻¹g ∝ c/c² = 1/c."""

    def steps(c):
        objective = Objective(mlp(3, 1, bias=False), SquaredError(), vectors(12, 3), c * vectors(12, 1, seed=1))
        point = objective.at(torch.zeros(3, dtype=torch.float64))
        return [kind(objective, point).solve(point.gradient) for kind in (Fisher, EmpiricalFisher)]

    natural, empirical = steps(1.0)
    for c in (0.1, 3.0, 1000.0):
        scaled = steps(c)
        close(scaled[0], c * natural)
        close(scaled[1], empirical / c)


def test_e13_noise_of_twice_the_models_deviation_makes_the_empirical_fisher_four_times_the_fisher():
    """y = x + 1 + 2·noise, fitted with σ = 1; at the optimum F̄ → 4F within 4 standard errors."""
    n, generator = 200_000, torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, n, 1, generator=generator, dtype=torch.float64)
    objective = Objective(nn.Linear(1, 1).double(), SquaredError(), x, x + 1 + 2 * noise)
    design = torch.cat((x, torch.ones_like(x)), 1)
    theta = torch.linalg.lstsq(design, objective.targets).solution[:, 0]
    point = objective.at(theta)
    assert float(point.gradient.abs().max()) < 1e-12
    fisher, empirical = Fisher(objective, point).dense(), EmpiricalFisher(objective, point).dense()
    terms = (point.output_gradient.square() - 4)[:, :, None] * design[:, :, None] * design[:, None, :]
    error = terms.std(0) / n**0.5
    close_enough = (empirical - 4 * fisher).abs() <= 4 * error
    assert bool(close_enough.all())
    assert float(error.max()) < 0.05
    ratio = empirical.diagonal() / fisher.diagonal()
    assert 3.9 < float(ratio.min()) < float(ratio.max()) < 4.1


def test_e14_the_mean_square_of_a_batchs_gradient_is_not_the_empirical_fishers_diagonal(mlp, objective_of, close):
    """E[ḡ²] = F̄_ii/b + (1 − 1/b)(∇h)²: every batch of three of four cases with replacement."""
    objective = objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy(), cases=4)
    theta = objective.initial_parameters
    diagonal = EmpiricalFisher(objective, theta).diagonal()
    square = objective.gradient(theta).square()
    for b in (1, 2, 3):
        batches = torch.cartesian_prod(*[torch.arange(4)] * b).reshape(-1, b)
        mean = torch.stack([objective.batch(batch).gradient(theta).square() for batch in batches]).mean(0)
        close(mean, diagonal / b + (1 - 1 / b) * square)
    assert float((mean - diagonal).abs().max()) > 1e-3


@pytest.mark.parametrize("name", ["softmax logits", "bernoulli logits", "squared", "student-t", "gaussian variance"])
def test_e18_the_fishers_model_is_a_weighted_least_squares_fit_of_output_changes(name, network_name, problem):
    """M(δ) = ½E‖Jδ + F_R⁺∇_zL‖²_{F_R} − ½E‖∇_zL‖²_{F_R⁺} + h."""
    case = problem(name, network_name)
    objective, point = case.objective, case.objective.at(case.theta)
    middle = objective.loss.fisher(point.outputs)
    inverse = torch.linalg.pinv(middle, hermitian=True)
    wanted = (inverse @ point.output_gradient[:, :, None])[:, :, 0]
    fisher = Fisher(objective, point)

    def weighted(u):
        return 0.5 * torch.einsum("nc,ncd,nd->n", u, middle, u).mean()

    for seed, scale in ((0, 1.0), (1, 0.01), (2, 30.0)):
        delta = scale * torch.randn(len(case.theta), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        model = point.value + point.gradient.dot(delta) + 0.5 * delta.dot(fisher @ delta)
        fit = weighted(point.jvp(delta) + wanted) - weighted(wanted) + point.value
        assert float(model) == pytest.approx(float(fit), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", ["squared", "bernoulli logits", "softmax logits"])
def test_e18_with_more_parameters_than_rows_the_step_is_the_minimum_norm_minimizer(name, problem, as_large):
    """δ = −F⁺∇h makes the outputs go where each case wants them, and no shorter δ does; λ → 0 leads there."""
    case = problem(name, "mlp", cases=2)
    objective, point = case.objective, case.objective.at(case.theta)
    fisher = Fisher(objective, point)
    dense = fisher.dense()
    delta = -torch.linalg.pinv(dense, rtol=1e-9, hermitian=True) @ point.gradient
    middle = objective.loss.fisher(point.outputs)
    left = (middle @ point.jvp(delta)[:, :, None])[:, :, 0] + point.output_gradient
    assert float(left.abs().max()) < 1e-10
    values, basis = torch.linalg.eigh(dense)
    null = basis[:, values < 1e-9 * values[-1]]
    assert null.shape[1] >= len(case.theta) - point.outputs.numel() > 0
    assert float((null.T @ delta).abs().max()) < 1e-9  # any other minimizer has a part in there, and is longer
    found = -fisher.solve_gradient(1e-9)
    assert float(torch.linalg.vector_norm(found - delta)) <= 1e-5 * float(torch.linalg.vector_norm(delta))


def test_the_monte_carlo_fishers_error_falls_as_the_square_root_of_the_samples(problem):
    """‖F̂ − F‖, its root mean square over 60 seeds, for S = 1 … 256: log-log slope −0.5 ± 0.05."""
    case = problem("softmax logits", "mlp")
    point = case.objective.at(case.theta)
    exact = Fisher(case.objective, point).dense()
    sizes = [1, 4, 16, 64, 256]
    errors = []
    for samples in sizes:
        squares = []
        for seed in range(60):
            point.cache.clear()
            estimate = MonteCarloFisher(case.objective, point, samples, seed=1000 * samples + seed).dense()
            squares.append((estimate - exact).square().sum())
        errors.append(torch.stack(squares).mean().sqrt())
    x, y = torch.tensor(sizes).double().log(), torch.stack(errors).log()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
    assert slope == pytest.approx(-0.5, abs=0.05)


@pytest.mark.parametrize(
    "name",
    ["softmax logits", "bernoulli logits", "poisson log-rate", "squared", "gaussian variance", "huber", "laplace"],
)
def test_labels_drawn_from_the_model_average_to_the_fisher(name, problem):
    """F̂ v is F v within 4 standard errors over 400 seeds: nobody's training labels."""
    case = problem(name, "mlp")
    point = case.objective.at(case.theta)
    v = torch.randn(len(case.theta), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = torch.stack([MonteCarloFisher(case.objective, point, seed=seed) @ v for seed in range(400)])
    error = (drawn.mean(0) - Fisher(case.objective, point) @ v).abs()
    assert bool((error <= 4 * drawn.std(0) / 400**0.5).all())
    gap = EmpiricalFisher(case.objective, point) @ v - Fisher(case.objective, point) @ v
    assert float(gap.abs().max()) > 1e-3

"""The identities of the theory that need no optimizer, by their numbers."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from ngexplorer.curvature import Fisher, GaussNewton, Hessian
from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import Digits
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
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


@pytest.mark.parametrize("kind", [nn.Tanh, nn.Softplus])
def test_e6_without_residuals_the_hessian_is_the_gauss_newton_matrix(kind, mlp, objective_of, close):
    plain = objective_of(mlp(3, 4, 2, activation=kind), SquaredError())
    theta = plain.initial_parameters
    objective = Objective(plain.model, SquaredError(), plain.inputs, plain.outputs(theta))
    close(Hessian(objective, theta).dense(), GaussNewton(objective, theta).dense())
    assert float((Hessian(plain, theta).dense() - GaussNewton(plain, theta).dense()).abs().max()) > 1e-3


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

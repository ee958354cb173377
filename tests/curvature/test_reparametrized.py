"""Matrices in other coordinates: B_γ = DᵀB_θD for G, F and F̄, and for the Hessian of an affine map (E17)."""

import pytest
import torch

from ngexplorer.curvature import (
    KFAC,
    EmpiricalFisher,
    Fisher,
    GaussNewton,
    Hessian,
    MonteCarloFisher,
)
from ngexplorer.objectives.reparametrizations import SINH, reparametrized, whitening


@pytest.fixture
def pair(problem, layered_name):
    """An objective and itself in γ, θ = sinh γ elementwise; nothing was asked of it before."""
    case = problem("softmax logits", layered_name, weight_decay=0.2, seed=3)
    original = type(case.objective)(
        case.module, case.objective.loss, case.objective.inputs, case.objective.targets, weight_decay=0.2
    )
    return original, reparametrized(original, SINH)


@pytest.mark.parametrize("kind", [GaussNewton, Fisher, EmpiricalFisher, MonteCarloFisher])
def test_first_order_matrices_transform_by_the_jacobian_of_the_map(kind, pair, vectors, close):
    original, changed = pair
    theta, gamma = original.initial_parameters, changed.initial_parameters
    jacobian = torch.diag(torch.cosh(gamma))
    expected = jacobian @ kind(original, theta).dense() @ jacobian
    matrix = kind(changed, gamma)
    v = vectors(len(gamma), 3)
    close(matrix.dense(), expected)
    close(matrix @ v, expected @ v)
    close(matrix._diagonal(), expected.diagonal())
    close(
        matrix.solve_gradient(0.5),
        torch.linalg.solve(expected + 0.5 * torch.eye(len(v)).to(v), changed.gradient(gamma)),
    )


def test_the_hessian_adds_the_gradient_times_the_maps_curvature(pair, vectors, close):
    original, changed = pair
    theta, gamma = original.initial_parameters, changed.initial_parameters
    jacobian = torch.diag(torch.cosh(gamma))
    expected = jacobian @ Hessian(original, theta).dense() @ jacobian
    expected += torch.diag(original.gradient(theta) * torch.sinh(gamma))
    v = vectors(len(gamma), 3)
    close(Hessian(changed, gamma).dense(), expected)
    close(Hessian(changed, gamma) @ v, expected @ v)


def test_k_fac_needs_layers_of_their_own(pair):
    _, changed = pair
    with pytest.raises(ValueError, match="a map stands between its parameters and its layers"):
        KFAC(changed, changed.initial_parameters)
    assert [(part.start, part.stop) for part in changed.layers] == [(0, changed.parameters)]


def test_whitening_by_the_hessian_makes_it_the_identity(problem, close):
    """θ = B^(−½)γ."""
    case = problem("squared", "mlp", cases=9, weight_decay=0.5)
    matrix = GaussNewton(case.objective, case.theta).dense()
    changed = reparametrized(case.objective, whitening(matrix))
    close(GaussNewton(changed, changed.initial_parameters).dense(), torch.eye(len(matrix)).double(), atol=1e-9)


@pytest.mark.parametrize("what", ["layers", "k-fac", "diagonal", "sample space"])
def test_it_does_not_matter_what_the_original_was_asked_before(what, problem, layered_name, as_large, close):
    original = problem("softmax logits", layered_name, cases=2).objective
    assert original.affine_refusal is None
    assert len(original.layers) > 1
    changed = reparametrized(original, SINH)
    gamma = changed.initial_parameters
    matrix = Fisher(changed, gamma)
    if what == "layers":
        assert len(changed.layers) == 1
    elif what == "k-fac":
        with pytest.raises(ValueError, match="a map stands between"):
            KFAC(changed, gamma)
    elif what == "diagonal":
        close(matrix.diagonal(), matrix.dense().diagonal())
    else:
        damped = matrix.dense() + 0.1 * torch.eye(len(gamma)).double()
        close(matrix.solve_gradient(0.1), torch.linalg.solve(damped, changed.gradient(gamma)))

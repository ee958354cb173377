"""A point's numbers are those of torch.func on the same network, loss and data, for every shape of network."""

import pytest
import torch
from torch import nn

from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.networks import GeneralNetwork, LayeredNetwork


def vectors(like, count, seed=0):
    return torch.randn(count, *like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)


def test_value_and_gradient_are_those_of_torch(zoo, reference, close):
    objective, theta = zoo
    expected = reference(objective, theta)
    point = objective.at(theta)
    close(point.value, expected.value)
    close(point.gradient, expected.gradient)
    close(objective.value(theta), expected.value)
    close(objective.gradient(theta), expected.gradient)


def test_jvp_and_vjp_are_products_with_the_jacobian(zoo, reference, close):
    objective, theta = zoo
    jacobian = reference(objective, theta).jacobian
    point = objective.at(theta)
    for v in vectors(theta, 2):
        close(point.jvp(v), jacobian @ v)
    for u in vectors(point.outputs, 2):
        close(point.vjp(u), torch.einsum("ncp,nc->p", jacobian, u))


def test_jvp_and_vjp_are_adjoint(zoo):
    objective, theta = zoo
    point = objective.at(theta)
    (v,), (u,) = vectors(theta, 1), vectors(point.outputs, 1)
    assert float((point.jvp(v) * u).sum()) == pytest.approx(float(point.vjp(u).dot(v)), rel=1e-12)


def test_gradient_is_the_slope_of_the_value(zoo):
    """Central differences: |error| ≤ ε²/6 max|h'''| + 2·eps·|h|/ε; at ε = 1e-5 both are below 1e-7 (1 + |h|) here."""
    objective, theta = zoo
    epsilon = 1e-5
    scale = 1 + float(objective.value(theta).abs())
    for v in vectors(theta, 3):
        v = v / torch.linalg.vector_norm(v)
        rise = objective.value(theta + epsilon * v) - objective.value(theta - epsilon * v)
        # Rosenbrock's third derivative is up to 12·100·|x| = 1440.
        assert abs(float(rise / (2 * epsilon) - objective.gradient(theta).dot(v))) <= 1e-7 * scale


def test_hessian_products_are_the_slope_of_the_gradient(zoo):
    """Central differences of the gradient, with the bound of the test above (away from kinks)."""
    from ngexplorer.curvature import Hessian

    objective, theta = zoo
    epsilon = 1e-5
    hessian = Hessian(objective, theta)
    for v in vectors(theta, 2):
        v = v / torch.linalg.vector_norm(v)
        rise = objective.gradient(theta + epsilon * v) - objective.gradient(theta - epsilon * v)
        error = torch.linalg.vector_norm(rise / (2 * epsilon) - hessian @ v)
        assert float(error) <= 1e-7 * (1 + float(torch.linalg.vector_norm(objective.gradient(theta))))


def test_layered_and_general_paths_agree(layered):
    fast, slow = layered
    assert isinstance(fast.network, LayeredNetwork)
    assert isinstance(slow.network, GeneralNetwork)
    theta = fast.initial_parameters
    near, far = fast.at(theta), slow.at(theta)
    (v,), (u,) = vectors(theta, 1), vectors(near.outputs, 1)
    middle = fast.loss.hessian(near.outputs, fast.targets)
    pairs = [
        (near.value, far.value),
        (near.outputs, far.outputs),
        (near.gradient, far.gradient),
        (near.jvp(v), far.jvp(v)),
        (near.vjp(u), far.vjp(u)),
        (near.product(v, None, True), far.product(v, None, True)),
        (near.dense(middle, second_order=False), far.dense(middle, second_order=False)),
        (near.dense(middle, second_order=True), far.dense(middle, second_order=True)),
    ]
    for quick, sure in pairs:
        torch.testing.assert_close(quick, sure, rtol=1e-10, atol=1e-12)


def frozen(layer):
    layer.weight.requires_grad_(False)


def hooked(layer):
    layer.register_forward_hook(lambda module, inputs, outputs: 2 * outputs)


def hooked_before(layer):
    layer.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))


def parametrized(layer):
    nn.utils.parametrize.register_parametrization(layer, "weight", nn.Softplus())


@pytest.mark.parametrize("change", [frozen, hooked, hooked_before, parametrized])
def test_a_linear_that_is_not_what_it_seems_takes_the_general_path(change, mlp, objective_of, reference, close):
    module = mlp(3, 3, 2)
    change(module[0])
    objective = objective_of(module, SquaredError())
    assert isinstance(objective.network, GeneralNetwork)
    expected = reference(objective, objective.initial_parameters)
    close(objective.value(objective.initial_parameters), expected.value)
    close(objective.gradient(objective.initial_parameters), expected.gradient)


def test_a_layer_used_twice_takes_the_general_path(mlp, objective_of, reference, close):
    layer = mlp(3, 3)[0]
    objective = objective_of(nn.Sequential(layer, nn.Tanh(), layer), SoftmaxCrossEntropy())
    assert isinstance(objective.network, GeneralNetwork)
    assert objective.parameters == 12
    close(objective.gradient(objective.initial_parameters), reference(objective, objective.initial_parameters).gradient)


@pytest.mark.parametrize("module", [nn.Softplus(beta=2), nn.Softplus(threshold=1), nn.Mish(), nn.Hardtanh()])
def test_an_activation_in_another_form_takes_the_general_path(module, mlp, objective_of, reference, close):
    inner = mlp(3, 3, 2)
    objective = objective_of(nn.Sequential(inner[0], module, inner[2]), SquaredError())
    assert isinstance(objective.network, GeneralNetwork)
    close(objective.gradient(objective.initial_parameters), reference(objective, objective.initial_parameters).gradient)


def test_two_activations_in_a_row_are_both_applied(mlp, objective_of, reference, close):
    inner = mlp(3, 3, 2)
    objective = objective_of(nn.Sequential(inner[0], nn.Tanh(), nn.Sigmoid(), inner[2]), SquaredError())
    close(objective.value(objective.initial_parameters), reference(objective, objective.initial_parameters).value)


def test_the_second_derivative_of_relu_is_zero(mlp, objective_of):
    """So in one hidden layer of ReLU the curvature of f only couples layers (E5, its origin)."""
    objective = objective_of(mlp(3, 4, 2, activation=nn.ReLU), SquaredError())
    point = objective.at(objective.initial_parameters)
    first = torch.zeros_like(objective.initial_parameters)
    first[:16] = 1  # the first layer's weights and biases
    assert point.product(first, None, True)[:16].abs().max() == 0
    assert point.product(first, None, True)[16:].abs().max() > 0


def test_work_is_counted_in_gradients(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 2), SquaredError())
    point = objective.at(objective.initial_parameters)
    assert point.work == pytest.approx(1 / 3)
    for _ in range(2):
        assert point.gradient.shape == (objective.parameters,)
        assert point.work == pytest.approx(1)
    point.jvp(objective.initial_parameters)
    assert point.work == pytest.approx(1 + 2 / 3)


def test_a_gradient_of_a_single_layer_is_two_products(objective_of):
    objective = objective_of(nn.Linear(3, 2).double(), SquaredError())
    assert objective.gradient_flops == pytest.approx(2 * 2 * objective.cases * 3 * 2)
    point = objective.at(objective.initial_parameters)
    assert point.work == pytest.approx(1 / 2)
    assert point.gradient.shape == (objective.parameters,)
    assert point.work == pytest.approx(1)
    point.product(objective.initial_parameters, lambda moved, rows: moved, second_order=True)
    assert point.work == pytest.approx(2)


def test_a_point_is_what_it_was_when_more_is_asked_of_it(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 2), SquaredError())
    point = objective.at(objective.initial_parameters)
    before = point.gradient.clone()
    point.dense(objective.loss.hessian(point.outputs, objective.targets), second_order=True)
    point.vjp(point.outputs)
    assert torch.equal(point.gradient, before)
    assert torch.equal(objective.gradient(objective.initial_parameters), before)

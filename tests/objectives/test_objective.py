"""An objective is a network followed by a loss, as a function of one flat θ."""

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError


def zeros(*shape, dtype=torch.float64):
    return torch.zeros(*shape, dtype=dtype)


def test_theta_is_the_named_parameters_flattened_in_order(mlp, objective_of):
    module = mlp(3, 4, 2)
    objective = objective_of(module, SquaredError())
    flat = torch.cat([p.detach().reshape(-1) for _, p in module.named_parameters()])
    assert torch.equal(objective.initial_parameters, flat)
    assert objective.parameters == 3 * 4 + 4 + 4 * 2 + 2


def test_the_model_is_copied_and_never_changes(mlp, objective_of):
    module = mlp(3, 4, 2)
    objective = objective_of(module, SquaredError())
    kept = [p.detach().clone() for p in module.parameters()]
    ngx.run(objective, ngx.optimizers.make("newton"), steps=3)
    nn.init.zeros_(module[0].weight)
    assert torch.equal(objective.model[0].weight, kept[0])
    assert objective.initial_parameters.ne(0).all()


def test_a_batch_is_the_objective_on_some_cases(mlp, objective_of, close):
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy(), weight_decay=0.3, cases=9)
    theta = objective.initial_parameters
    flops = objective.gradient_flops
    chosen = torch.tensor([4, 0, 7])
    same = ngx.Objective(objective.model, objective.loss, objective.inputs[chosen], objective.targets[chosen], 0.3)
    part = objective.batch(chosen)
    close(part.value(theta), same.value(theta))
    close(part.gradient(theta), same.gradient(theta))
    close(ngx.curvature.Hessian(part, theta).dense(), ngx.curvature.Hessian(same, theta).dense())
    assert part.cases == 3
    assert objective.cases == 9
    assert part.gradient_flops == pytest.approx(flops / 3)


def test_batches_weighted_by_size_average_to_the_whole(mlp, objective_of, close):
    objective = objective_of(mlp(3, 4, 2), SoftmaxCrossEntropy(), cases=9, weight_decay=0.1)
    theta = objective.initial_parameters
    batches = [objective.batch(torch.arange(4)), objective.batch(torch.arange(4, 9))]
    close(sum(b.cases * b.gradient(theta) for b in batches) / 9, objective.gradient(theta))


def test_an_empty_batch_is_refused(mlp, objective_of):
    with pytest.raises(ValueError, match="indices: none; a batch needs at least one case"):
        objective_of(mlp(3, 2), SquaredError()).batch(torch.tensor([], dtype=torch.int64))


def test_weight_decay_adds_half_eta_theta_squared(mlp, objective_of, close):
    module = mlp(3, 4, 2)
    with_decay, without = (objective_of(module, SquaredError(), weight_decay=eta) for eta in (0.7, 0.0))
    theta = without.initial_parameters
    close(with_decay.value(theta), without.value(theta) + 0.35 * theta.dot(theta))
    close(with_decay.gradient(theta), without.gradient(theta) + 0.7 * theta)


def test_the_validation_loss_has_no_weight_decay(mlp, objective_of, close):
    module = mlp(3, 2)
    plain = objective_of(module, SquaredError())
    objective = ngx.Objective(module, SquaredError(), plain.inputs, plain.targets, 5.0, (plain.inputs, plain.targets))
    close(objective.validation.value(plain.initial_parameters), plain.value(plain.initial_parameters))


@pytest.mark.parametrize(
    "theta",
    [zeros(11), zeros(13), zeros(12, 1), zeros(12, dtype=torch.float32), torch.zeros(12, dtype=torch.int64)],
    ids=["short", "long", "matrix", "float32", "int64"],
)
@pytest.mark.parametrize("ask", ["at", "value", "gradient", "outputs"])
def test_a_wrong_theta_is_named_with_what_is_taken(theta, ask, mlp, objective_of):
    objective = objective_of(mlp(3, 3), SquaredError())
    with pytest.raises(ValueError, match="theta: shape") as caught:
        getattr(objective, ask)(theta)
    assert caught.match(r"this objective takes \(12,\), torch.float64 on cpu")


def test_a_theta_with_a_graph_is_taken_without_it(mlp, objective_of):
    objective = objective_of(mlp(3, 3), SquaredError(), weight_decay=1.0)
    theta = objective.initial_parameters.clone().requires_grad_(True)
    assert not objective.value(theta).requires_grad
    assert not objective.gradient(theta).requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_decay": -1.0}, "weight_decay: -1.0; a finite number ≥ 0"),
        ({"weight_decay": float("nan")}, "weight_decay: nan; a finite number ≥ 0"),
        ({"weight_decay": float("inf")}, "weight_decay: inf; a finite number ≥ 0"),
        ({"inputs": zeros(0, 3), "targets": zeros(0, 2)}, "inputs: no cases"),
        ({"inputs": torch.full((5, 3), torch.inf).double()}, "inputs: NaN or infinite"),
        ({"inputs": zeros(5, 4)}, r"inputs: the model does not take \(cases, 4\): "),
        ({"inputs": zeros(5, 2, 3)}, r"targets: shape \(5, 2\); Squared error takes .*\(10, 2\)"),
        ({"chunk": 0}, "chunk: 0; a whole number ≥ 1"),
        ({"inputs": [1, 2]}, "inputs: int, int; a tensor with one row a case"),
        ({"inputs": (zeros(5, 3), zeros(4, 3))}, r"inputs: tensors of \[4, 5\] cases"),
        ({"inputs": torch.zeros(5, 3, device="meta")}, "inputs: on meta; the model is on cpu"),
        ({"targets": torch.zeros(5, 2, device="meta")}, "targets: on meta; the model is on cpu"),
        ({"inputs": zeros(5, 3, dtype=torch.float32)}, "inputs: torch.float32; the model takes torch.float64"),
        ({"targets": zeros(4, 2)}, r"targets: shape \(4, 2\); Squared error takes .*\(5, 2\)"),
        ({"model": nn.Tanh()}, "model: Tanh has no parameters to train"),
        ({"model": nn.Sequential(nn.Linear(3, 2).double(), nn.Flatten(0))}, r"model: outputs of shape \(10,\)"),
        (
            {"model": nn.Sequential(nn.Linear(3, 2).double(), nn.Flatten(0), nn.Unflatten(0, (2, 5)))},
            "model: 2 outputs for 5 cases",
        ),
        ({"validation": (zeros(5, 3), zeros(4, 2))}, r"targets: shape \(4, 2\)"),
    ],
)
def test_wrong_arguments_are_named_with_what_is_accepted(arguments, message):
    given = {"model": nn.Linear(3, 2).double(), "loss": SquaredError(), "inputs": zeros(5, 3), "targets": zeros(5, 2)}
    with pytest.raises(ValueError, match=message):
        ngx.Objective(**(given | arguments))


def test_float32_stays_float32(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 2, dtype=torch.float32), SoftmaxCrossEntropy(), weight_decay=0.1)
    point = objective.at(objective.initial_parameters)
    assert {t.dtype for t in (point.value, point.gradient, point.outputs)} == {torch.float32}
    assert ngx.curvature.Hessian(objective, point).dense().dtype == torch.float32


def test_gradient_flops_are_three_forward_passes(mlp, objective_of):
    objective = objective_of(mlp(3, 4, 2), SquaredError(), cases=50)
    assert objective.gradient_flops == 3 * 2 * 50 * (3 * 4 + 4 * 2)

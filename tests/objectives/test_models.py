"""Models are built from a seed, compute what their equations say, and begin at the scale their settings say."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from ngexplorer.curvature import Hessian
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import Digits, TwoMoons
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.models import (
    MLP,
    Autoencoder,
    Convolutional,
    DeepLinear,
    Linear,
    Recurrent,
    ResidualMLP,
    Transformer,
)
from ngexplorer.objectives.models.base import ACTIVATIONS, Activation
from ngexplorer.objectives.models.initialization import RULES, Initializer
from ngexplorer.objectives.residual import Residual
from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import SettingError, convert

IMAGES = Traits(64, "classes", classes=10, image=(8, 8))
NUMBERS = Traits(5, "classes", classes=3)
MODELS = {
    "linear": Linear(),
    "deep linear": DeepLinear(hidden=(4, 3)),
    "perceptron": MLP(),
    "residual": ResidualMLP(width=6),
    "autoencoder": Autoencoder(hidden=(8, 3)),
    "convolutional": Convolutional(),
    "convolutional, averaging": Convolutional(channels=(3, 4), halving="average", kernel=5),
    "recurrent": Recurrent(),
    "gru": Recurrent(cell="gru", units=6),
    "lstm": Recurrent(cell="lstm", units=6),
    "transformer": Transformer(head_width=4),
}


def build(model, traits=IMAGES, outputs=10, seed=0):
    return model.build(traits, outputs, torch.Generator().manual_seed(seed))


def initializer(rule, activation=None):
    return Initializer(rule, torch.Generator().manual_seed(0), activation)


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def images(cases=7):
    return torch.randn(cases, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# What they compute.


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (Linear(), 650),
        (Linear(bias=False), 640),
        (MLP(), 64 * 16 + 16 + 16 * 10 + 10),
        (DeepLinear(hidden=(4, 3)), 64 * 4 + 4 + 4 * 3 + 3 + 3 * 10 + 10),
        (DeepLinear(hidden=(4, 3), bias=False), 64 * 4 + 4 * 3 + 3 * 10),
        (ResidualMLP(width=8, blocks=2), 64 * 8 + 8 + 4 * (8 * 8 + 8) + 8 * 10 + 10),
        (Convolutional(channels=(4, 8)), (4 * 9 + 4) + (8 * 4 * 9 + 8) + (8 * 2 * 2 * 10 + 10)),
        (Convolutional(channels=(4, 8), halving="average", kernel=5), 4 * 25 + 4 + 8 * 4 * 25 + 8 + 330),
        (Recurrent(units=16), 16 * (8 + 1 + 16) + 170),
        (Recurrent(cell="gru", units=16), 3 * 16 * (8 + 1 + 16) + 170),
        (Recurrent(cell="lstm", units=16), 4 * 16 * (8 + 1 + 16) + 170),
        # Embedding, positions, three norms, attention, perceptron, read-out.
        (Transformer(), 9 * 16 + 8 * 16 + 3 * 32 + (4 * 256 + 16) + (17 * 32 + 33 * 16) + 170),
    ],
    ids=lambda value: None if isinstance(value, int) else type(value).__name__,
)
def test_the_number_of_parameters_is_what_the_widths_say(model, parameters):
    assert len(flat(build(model))) == parameters


def test_an_mlp_has_an_activation_between_its_layers_and_none_at_the_end():
    kinds = [type(layer) for layer in build(MLP(hidden=(4, 3), activation="softplus"))]
    assert kinds == [nn.Linear, nn.Softplus, nn.Linear, nn.Softplus, nn.Linear]


@pytest.mark.parametrize("activation", get_args(Activation))
def test_an_activation_is_the_one_it_is_called(activation):
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    expected = getattr(nn.functional, activation.replace("-", "_"))(x)
    torch.testing.assert_close(ACTIVATIONS[activation]()(x), expected)


def test_a_deep_linear_model_is_the_product_of_its_matrices():
    module = build(DeepLinear(hidden=(4, 3), bias=False))
    product = module[2].weight @ module[1].weight @ module[0].weight
    torch.testing.assert_close(module(images()), images() @ product.T)


def test_a_residual_block_whose_weights_are_zero_is_the_identity():
    block = Residual(build(MLP(hidden=(5,), initialization="zero"), Traits(8, "real"), 8))
    x = images()[:, :8]
    assert torch.equal(block(x), x)


def test_a_residual_perceptron_of_zero_blocks_is_linear():
    module = build(ResidualMLP(width=8, blocks=3))
    for block in module[1:-1]:
        nn.init.zeros_(block.inner[-1].weight)
    torch.testing.assert_close(module(images()), module[-1](module[0](images())))


def test_the_scale_of_a_residual_perceptron_does_not_grow_with_its_depth():
    modules = [build(ResidualMLP(width=64, blocks=blocks, activation="relu")) for blocks in (1, 32)]
    shallow, deep = (float(module(images(50)).detach().std()) for module in modules)
    assert deep < 2 * shallow


def test_an_autoencoder_mirrors_its_widths_and_has_a_linear_code():
    module = build(Autoencoder(hidden=(8, 3)), outputs=64)
    assert [type(layer) for layer in module] == [nn.Linear, nn.Tanh, nn.Linear, nn.Linear, nn.Tanh, nn.Linear]
    assert [layer.out_features for layer in module if isinstance(layer, nn.Linear)] == [8, 3, 8, 64]


def test_an_autoencoder_learns_its_inputs():
    asked = Autoencoder().asked(IMAGES)
    assert (asked.targets, asked.columns, asked.classes) == ("real", 64, None)
    assert Autoencoder().asked(replace(IMAGES, unit_inputs=True)).targets == "unit"
    for data, loss in [(Digits(standardize=False), BernoulliLogits()), (Digits(), SquaredError())]:
        objective = assemble(data, Autoencoder(hidden=(4,)), loss)
        assert torch.equal(objective.targets, objective.inputs)
        assert torch.equal(objective.validation.targets, objective.validation.inputs)


@pytest.mark.parametrize("halving", ["stride", "average"])
@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 3)])
def test_convolutions_take_any_image_and_any_number_of_halvings(halving, size):
    traits = Traits(math.prod(size), "classes", classes=10, image=size)
    module = build(Convolutional(channels=(2, 2, 2, 2, 3), halving=halving), traits)
    assert module(torch.ones(6, traits.features, dtype=torch.float64)).shape == (6, 10)


@pytest.mark.parametrize(("cell", "kind"), [("tanh", nn.RNN), ("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_a_recurrent_net_is_torch_s_over_the_rows(cell, kind):
    module = build(Recurrent(cell=cell, units=6))
    with torch.random.fork_rng(devices=[]):
        oracle = kind(8, 6, batch_first=True, dtype=torch.float64)
    oracle.load_state_dict(
        {
            "weight_ih_l0": module.enter.weight,
            "weight_hh_l0": module.recur.weight,
            "bias_ih_l0": module.enter.bias,
            "bias_hh_l0": torch.zeros_like(module.enter.bias),
        }
    )
    last = oracle(images().view(-1, 8, 8))[0][:, -1]
    torch.testing.assert_close(module(images()), module.read(last), rtol=1e-10, atol=1e-12)


def test_a_transformer_is_torch_s_over_the_rows():
    module = build(Transformer(heads=2, head_width=3))
    attention, perceptron = module.blocks
    norm, attend = attention.inner
    with torch.random.fork_rng(devices=[]):
        oracle = nn.TransformerEncoderLayer(
            6, 2, 12, dropout=0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
        )
    oracle.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([attend.query.weight, attend.key.weight, attend.value.weight]),
            "self_attn.in_proj_bias": torch.zeros(18),
            **{f"self_attn.out_proj.{name}": value for name, value in attend.join.state_dict().items()},
            **{f"norm1.{name}": value for name, value in norm.state_dict().items()},
            **{f"norm2.{name}": value for name, value in perceptron.inner[0].state_dict().items()},
            **{f"linear1.{name}": value for name, value in perceptron.inner[1].state_dict().items()},
            **{f"linear2.{name}": value for name, value in perceptron.inner[3].state_dict().items()},
        }
    )
    tokens = module.embed(images().view(-1, 8, 8)) + module.positions
    expected = module.read(module.norm(oracle(tokens)).mean(1))
    torch.testing.assert_close(module(images()), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("model", [Recurrent(units=3), Transformer(head_width=2)], ids=["recurrent", "transformer"])
def test_numbers_that_are_no_image_are_read_one_by_one(model):
    module = build(model, NUMBERS, 3)
    x = images()[:, :5]
    assert module(x).shape == (7, 3)
    changed = x.clone()
    changed[:, 4] += 1
    assert not torch.allclose(module(x), module(changed))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_derivatives_agree_with_central_differences(model):
    data = Digits(validation=0.9)
    loss = SquaredError() if isinstance(model, Autoencoder) else SoftmaxCrossEntropy()
    objective = assemble(data, model, loss, weight_decay=1e-3)
    draw = torch.Generator().manual_seed(2)
    theta = objective.initial_parameters
    theta = theta + 0.05 * torch.randn(theta.shape, generator=draw, dtype=theta.dtype)
    v = torch.randn(theta.shape, generator=draw, dtype=theta.dtype)
    v, step = v / v.norm(), 1e-4
    slope = (objective.value(theta + step * v) - objective.value(theta - step * v)) / (2 * step)
    assert float(objective.gradient(theta) @ v) == pytest.approx(float(slope), rel=1e-6, abs=1e-8)
    bend = (objective.gradient(theta + step * v) - objective.gradient(theta - step * v)) / (2 * step)
    torch.testing.assert_close(Hessian(objective, theta) @ v, bend, rtol=1e-5, atol=1e-6)


# Which data they take.


@pytest.mark.parametrize(
    ("model", "traits", "reason"),
    [
        (Convolutional(), NUMBERS, "needs images; these inputs are 5 numbers"),
        (Recurrent(), Traits(784, "real"), "reads at most 64 steps; these inputs would be 784"),
        (Transformer(), Traits(784, "real"), "reads at most 64 steps; these inputs would be 784"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_inputs_that_a_model_cannot_read_are_refused(model, traits, reason):
    assert model.refusal(traits) == reason
    assert model.refusal(IMAGES) is None


@pytest.mark.parametrize(
    ("model", "raw", "reason"),
    [
        (Convolutional, {"channels": [4, 1000]}, "channels[1]: 1000 is not accepted; a whole number ≤ 128 is needed"),
        (Convolutional, {"kernel": 4}, "there is no kernel named '4' (there are: 3, 5, 7)"),
        (Transformer, {"layers": 1000}, "layers: 1000 is not accepted; a whole number ≤ 8 is needed"),
        (
            Recurrent,
            {"cell": "grue"},
            "there is no cell named 'grue'; did you mean 'gru'? (there are: tanh, gru, lstm)",
        ),
        (MLP, {"initialization": "xaver"}, "there is no initialization named 'xaver'; did you mean 'xavier'?"),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(model, raw, reason):
    with pytest.raises(SettingError) as caught:
        convert({"name": model.__struct_config__.tag} | raw, model)
    assert reason in str(caught.value)


# How they begin.


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_weights_repeat_from_their_seed_and_no_other_randomness_is_used_up(model):
    before = torch.get_rng_state()
    first, again, other = (flat(build(model, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert torch.equal(first, other) == isinstance(model, Linear)
    assert first.dtype == torch.float64


def test_the_first_experiments_begin_where_they_always_did():
    """A run that someone kept can be repeated: the start is part of the experiment."""
    theta = assemble(Digits(), MLP(hidden=(16,), activation="tanh"), SoftmaxCrossEntropy(), seed=0).initial_parameters
    assert float(theta.sum()) == pytest.approx(3.7572767624740915, rel=1e-12)
    theta = assemble(TwoMoons(), MLP(activation="softplus"), BernoulliLogits(), seed=1).initial_parameters
    assert float(theta.sum()) == pytest.approx(0.43472778556166425, rel=1e-12)


def test_a_linear_model_begins_at_zero():
    assert flat(build(Linear())).abs().max() == 0


@pytest.mark.parametrize(
    ("rule", "activation", "variance"),
    [
        *(("fan-in", activation, 1 / 400) for activation in (None, "tanh", "sigmoid", "softplus")),
        *(("fan-in", activation, 2 / 400) for activation in ("relu", "leaky-relu", "elu", "gelu", "silu")),
        ("lecun", "relu", 1 / 400),
        ("he", "tanh", 2 / 400),
        ("xavier", "relu", 2 / (400 + 300)),
        ("small", "relu", 1e-4),
        ("torch", "relu", 1 / (3 * 400)),
    ],
)
def test_weights_have_the_variance_of_their_initialization(rule, activation, variance):
    layer = initializer(rule, activation).linear(400, 300)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    count = weight.numel()
    # The standard errors of a Gaussian's mean and variance are σ/√n and σ²√(2/n); a uniform's variance has less.
    assert abs(float(weight.mean())) < 4 * (variance / count) ** 0.5
    assert float(weight.var()) == pytest.approx(variance, rel=4 * (2 / count) ** 0.5)
    if rule == "torch":
        assert 0.9 / 20 < bias.abs().max() <= 1 / 20
    else:
        assert bias.abs().max() == 0


@pytest.mark.parametrize(("rule", "variance"), [("fan-in", 1 / 225), ("xavier", 2 / (225 + 1000))])
def test_a_convolution_has_a_kernel_of_inputs_to_each_unit(rule, variance):
    weight = initializer(rule).convolution(9, 40, 5, 1).weight.detach()
    assert float(weight.var()) == pytest.approx(variance, rel=4 * (2 / weight.numel()) ** 0.5)


@pytest.mark.parametrize(("activation", "gain"), [("tanh", 1.0), ("relu", 2**0.5)])
@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (20, 20)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns_times_the_gain(activation, gain, shape):
    weight = initializer("orthogonal", activation).linear(*shape).weight.detach() / gain
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    torch.testing.assert_close(gram, torch.eye(20, dtype=gram.dtype), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("inputs", "incoming"), [(200, 15), (7, 7)])
def test_sparse_weights_are_fifteen_standard_normal_ones_a_unit(inputs, incoming):
    weight = initializer("sparse").linear(inputs, 400).weight.detach()
    assert bool(((weight != 0).sum(1) == incoming).all())
    drawn = weight[weight != 0]
    assert float(drawn.var()) == pytest.approx(1, rel=4 * (2 / len(drawn)) ** 0.5)
    # Every input is as likely as any other: counts are binomial.
    expected = 400 * incoming / inputs
    assert float(((weight != 0).sum(0) - expected).abs().max()) < 6 * expected**0.5


def test_each_gate_of_a_recurrent_net_is_drawn_for_itself():
    module = build(Recurrent(cell="lstm", units=6, initialization="orthogonal"))
    for gate in module.recur.weight.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-12)


def test_an_unknown_initialization_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no initialization named 'xaver'; did you mean 'xavier'\?"):
        build(MLP(initialization="xaver"))


@pytest.mark.parametrize("rule", RULES)
def test_every_model_begins_by_every_rule(rule):
    for model in MODELS.values():
        if "initialization" in model.__struct_fields__:
            module = build(type(model)(initialization=rule))
            assert torch.isfinite(flat(module)).all()
            assert torch.isfinite(module(images())).all()

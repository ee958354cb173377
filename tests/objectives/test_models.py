"""Models are built from a seed and begin at the scale their settings say."""

import pytest
import torch
from torch import nn

from ngexplorer.objectives.models import MLP, Linear
from ngexplorer.objectives.traits import Traits


def build(model, inputs=400, outputs=5, seed=0):
    return model.build(Traits(inputs, "real"), outputs, torch.Generator().manual_seed(seed))


def test_a_linear_model_begins_at_zero():
    module = build(Linear())
    assert [p.abs().max() for p in module.parameters()] == [0, 0]
    assert len(list(build(Linear(bias=False)).parameters())) == 1


@pytest.mark.parametrize(("activation", "gain"), [("tanh", 1), ("sigmoid", 1), ("softplus", 1), ("relu", 2)])
def test_weights_have_variance_gain_over_fan_in_and_biases_are_zero(activation, gain):
    module = build(MLP(hidden=(300,), activation=activation))
    weight = module[0].weight.detach()
    # The standard error of a sample variance is σ²√(2/n).
    assert float(weight.var()) == pytest.approx(gain / 400, rel=4 * (2 / weight.numel()) ** 0.5)
    assert all(layer.bias.abs().max() == 0 for layer in module if isinstance(layer, nn.Linear))


def test_an_mlp_has_an_activation_between_its_layers_and_none_at_the_end():
    kinds = [type(layer) for layer in build(MLP(hidden=(4, 3), activation="softplus"))]
    assert kinds == [nn.Linear, nn.Softplus, nn.Linear, nn.Softplus, nn.Linear]


def test_weights_repeat_from_their_seed():
    first, again, other = (build(MLP(), seed=seed)[0].weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float64

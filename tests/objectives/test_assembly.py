"""Which data, model and loss go together, and what they become."""

import pytest
import torch

from ngexplorer.objectives.assembly import assemble, devices
from ngexplorer.objectives.datasets import BreastCancer, Counts, Curves, Digits, TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import (
    BernoulliLogits,
    BernoulliProbability,
    GaussianNLL,
    PoissonLogRate,
    PoissonRate,
    SoftmaxCrossEntropy,
    SoftmaxLogProbabilities,
    SoftmaxProbabilities,
    SquaredError,
)
from ngexplorer.objectives.models import (
    MLP,
    Autoencoder,
    Convolutional,
    DeepLinear,
    LandscapeModel,
    Linear,
    Recurrent,
    ResidualMLP,
    Transformer,
)
from ngexplorer.settings import SettingError


@pytest.mark.parametrize(
    ("data", "model", "loss", "parameters"),
    [
        (Digits(), MLP(), SoftmaxCrossEntropy(), 64 * 16 + 16 + 16 * 10 + 10),
        (Digits(), Linear(), SquaredError(), 64 * 10 + 10),
        (BreastCancer(), Linear(), BernoulliLogits(), 31),
        (BreastCancer(), Linear(), SoftmaxCrossEntropy(), 62),
        (BreastCancer(), Linear(bias=False), SquaredError(), 30),
        (TwoMoons(), MLP(hidden=(4,)), BernoulliLogits(), 17),
        (Digits(), DeepLinear(hidden=(4,)), SoftmaxCrossEntropy(), 64 * 4 + 4 + 4 * 10 + 10),
        (BreastCancer(), ResidualMLP(width=3, blocks=1), BernoulliLogits(), 30 * 3 + 3 + 2 * 12 + 4),
        (Curves(), Autoencoder(hidden=(3,)), BernoulliLogits(), 784 * 3 + 3 + 3 * 784 + 784),
        (BreastCancer(), Autoencoder(hidden=(5,)), SquaredError(), 30 * 5 + 5 + 5 * 30 + 30),
        (Digits(), Convolutional(channels=(2,)), SoftmaxCrossEntropy(), 2 * 9 + 2 + 2 * 4 * 4 * 10 + 10),
        (TwoMoons(), Recurrent(units=3), BernoulliLogits(), 3 * (1 + 1 + 3) + 4),
        (TwoMoons(), Transformer(heads=1, head_width=2), SquaredError(), 4 + 4 + 3 * 4 + 4 * 4 + 2 + 12 + 10 + 3),
        (Rosenbrock(), LandscapeModel(), SquaredError(), 2),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_that_go_together_make_an_objective(data, model, loss, parameters, dtype):
    objective = assemble(data, model, loss, dtype=dtype, weight_decay=0.1)
    assert objective.parameters == parameters
    assert objective.dtype == getattr(torch, dtype)
    assert torch.isfinite(objective.value(objective.initial_parameters))
    assert objective.weight_decay == 0.1
    if not data.landscape:
        assert torch.isfinite(objective.validation.value(objective.initial_parameters))


@pytest.mark.parametrize(
    ("data", "model", "loss", "path", "reason"),
    [
        (Digits(), MLP(), BernoulliLogits(), "loss", "needs two classes; there are 10"),
        (Rosenbrock(), LandscapeModel(), SoftmaxCrossEntropy(), "loss", "is made for Squared error, not for Softmax"),
        (Rosenbrock(), LandscapeModel(), BernoulliLogits(), "loss", "is made for Squared error, not for Bernoulli"),
        (Rosenbrock(), MLP(), SquaredError(), "model", "brings its own network"),
        (Rosenbrock(), Linear(), SquaredError(), "model", "brings its own network"),
        (
            Digits(),
            LandscapeModel(),
            SoftmaxCrossEntropy(),
            "model",
            "has a network of its own; Handwritten digits needs one",
        ),
        (
            BreastCancer(),
            Convolutional(),
            BernoulliLogits(),
            "model",
            r"Convolutional net needs images; these inputs are 30 numbers \(Breast cancer\)",
        ),
        (
            Digits(),
            Autoencoder(),
            BernoulliLogits(),
            "loss",
            "needs yes-or-no targets; these are real numbers",
        ),
    ],
)
def test_parts_that_do_not_go_together_are_refused_by_name(data, model, loss, path, reason):
    with pytest.raises(SettingError, match=reason) as caught:
        assemble(data, model, loss)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("data", "model", "loss", "split"),
    [
        (Digits(), MLP(), SoftmaxCrossEntropy(), SoftmaxProbabilities()),
        (Digits(), Recurrent(), SoftmaxCrossEntropy(), SoftmaxLogProbabilities()),
        (TwoMoons(), MLP(), BernoulliLogits(), BernoulliProbability()),
        (Counts(), MLP(), PoissonLogRate(), PoissonRate()),
        *(
            (TwoMoons(), Autoencoder(hidden=(1,)), GaussianNLL(), GaussianNLL(parametrization=parametrization))
            for parametrization in ("variance", "precision", "natural", "mean")
        ),
    ],
)
def test_where_the_network_ends_and_the_loss_begins_changes_neither_value_nor_gradient(data, model, loss, split):
    """Martens 2020, §8: what the link does is network in one split and loss in the other; only G tells them apart."""
    usual, other = (assemble(data, model, each, seed=1) for each in (loss, split))
    theta = usual.initial_parameters
    assert torch.equal(theta, other.initial_parameters)
    torch.testing.assert_close(usual.value(theta), other.value(theta))
    torch.testing.assert_close(usual.gradient(theta), other.gradient(theta))


def test_a_device_that_is_not_here_is_refused_with_those_that_are():
    with pytest.raises(SettingError, match=r"device: 'cuda:99' is not on this machine \(there are: cpu"):
        assemble(TwoMoons(), MLP(), BernoulliLogits(), device="cuda:99")
    assert devices()[0] == "cpu"


def test_the_seed_draws_the_weights_and_nothing_else():
    first, again, other = (assemble(TwoMoons(), MLP(), BernoulliLogits(), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.initial_parameters, again.initial_parameters)
    assert not torch.equal(first.initial_parameters, other.initial_parameters)
    assert torch.equal(first.inputs, other.inputs)

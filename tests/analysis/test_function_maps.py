"""What a model's function looks like: regions, fits with their bands, and single cases."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from ngexplorer.analysis.cases import misclassified, reconstructions
from ngexplorer.analysis.decision_regions import decisions
from ngexplorer.analysis.predictive import quantiles
from ngexplorer.analysis.regression import regression_fit
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.objectives.losses import (
    BernoulliLogits,
    Cauchy,
    GaussianNLL,
    Huber,
    Laplace,
    Logistic,
    PoissonLogRate,
    PoissonRate,
    SoftmaxCrossEntropy,
    SquaredError,
    StudentT,
)

# Decision regions.


def test_regions_are_the_models_predictions_on_finer_and_finer_grids(moons):
    point = moons.at(moons.initial_parameters)
    coarse, fine = decisions(point, (-2, 3, -1, 1), sizes=(5, 9))
    np.testing.assert_array_equal(fine.predictions[::2, ::2], coarse.predictions)
    for j, i in ((0, 0), (3, 5), (8, 1)):
        x = torch.tensor([[fine.xs[i], fine.ys[j]]])
        p = torch.sigmoid(moons.model(x.double())).item()
        assert fine.predictions[j, i, 0] == pytest.approx(p, rel=1e-12)
        assert fine.classes[j, i] == (p > 0.5)
    assert coarse.done == 25 / 81 and fine.done == 1


def test_of_several_outputs_the_largest_decides(mlp, objective_of):
    objective = objective_of(mlp(2, 4, 3), SoftmaxCrossEntropy(), inputs=2)
    found = next(decisions(objective.at(objective.initial_parameters), (-2, 2, -2, 2), sizes=(9,)))
    np.testing.assert_allclose(found.predictions.sum(2), 1)
    np.testing.assert_array_equal(found.classes, found.predictions.argmax(2))


def test_regions_need_two_inputs_and_can_be_abandoned(classifier, moons):
    with pytest.raises(ValueError, match="two numbers a case"):
        next(decisions(classifier.at(classifier.initial_parameters), (-1, 1, -1, 1)))
    point = moons.at(moons.initial_parameters)
    point.watch = Watch(lambda: True)
    with pytest.raises(Cancelled):
        next(decisions(point, (-1, 1, -1, 1)))


# Predictive bands.

LOCATION = {
    "normal": (SquaredError(variance=0.49), stats.norm(scale=0.7)),
    "laplace": (Laplace(scale=0.6), stats.laplace(scale=0.6)),
    "student": (StudentT(degrees=3.0, scale=0.8), stats.t(3, scale=0.8)),
    "cauchy": (Cauchy(scale=1.2), stats.cauchy(scale=1.2)),
    "logistic": (Logistic(), stats.logistic()),
}


@pytest.mark.parametrize("name", LOCATION)
def test_quantiles_are_those_of_the_losss_own_density(name):
    loss, law = LOCATION[name]
    levels = np.array([0.05, 0.3, 0.5, 0.9])
    z = torch.tensor([[0.0, 2.0]]).double()
    np.testing.assert_allclose(quantiles(loss, z, levels)[:, 0, 0], law.ppf(levels), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(quantiles(loss, z, levels)[:, 0, 1], 2 + law.ppf(levels), rtol=1e-10)


@pytest.mark.parametrize("threshold", [0.5, 1.345])
def test_hubers_quantiles_have_the_probability_they_say(threshold):
    loss = Huber(threshold=threshold)
    levels = np.array([0.02, 0.2, 0.4, 0.5, 0.75, 0.97])
    found = quantiles(loss, torch.zeros(1, 1).double(), levels)[:, 0, 0]
    grid = np.linspace(-60, 60, 400_001)
    density = np.exp(-loss.value(torch.as_tensor(grid)).numpy())
    cumulative = np.cumsum(density) / density.sum()
    np.testing.assert_allclose(np.interp(found, grid, cumulative), levels, atol=1e-3)


def test_quantiles_of_a_predicted_variance_and_of_counts():
    levels = np.array([0.1, 0.5, 0.9])
    z = torch.tensor([[1.0, np.log(4.0)]]).double()
    np.testing.assert_allclose(quantiles(GaussianNLL(), z, levels)[:, 0, 0], stats.norm(1, 2).ppf(levels))
    rates = torch.tensor([[0.3], [4.0], [50.0]]).double()
    expected = stats.poisson.ppf(levels[:, None, None], rates.numpy())
    np.testing.assert_array_equal(quantiles(PoissonRate(), rates, levels), expected)
    np.testing.assert_array_equal(quantiles(PoissonLogRate(), rates.log(), levels), expected)


@pytest.mark.parametrize("rate", [0.3, 4.0, 50.0])
def test_a_count_at_its_own_cumulative_probability_is_its_quantile(rate):
    """Where rounding of the inverse would give the next count."""
    counts = np.arange(int(rate), int(rate) + 40)
    found = quantiles(PoissonRate(), torch.tensor([[rate]], dtype=torch.float64), special.pdtr(counts, rate))
    certain = special.pdtr(counts, rate) < 1 - 1e-12
    np.testing.assert_array_equal(found[certain, 0, 0], counts[certain])


def test_classes_have_no_band():
    with pytest.raises(ValueError, match="no predictive band"):
        quantiles(SoftmaxCrossEntropy(), torch.zeros(1, 3), np.array([0.5]))


def test_the_band_holds_its_share_of_the_targets(mlp, objective_of):
    objective = objective_of(mlp(1, 3, 1), SquaredError(variance=0.25), inputs=1, cases=5)
    point = objective.at(objective.initial_parameters)
    xs = np.linspace(-2, 2, 11)
    fit = regression_fit(point, xs, coverage=0.9)
    expected = objective.model(torch.as_tensor(xs)[:, None]).detach().numpy()
    np.testing.assert_allclose(fit.mean, expected)
    np.testing.assert_allclose(fit.high - fit.low, 2 * 1.6448536269514722 * 0.5)
    with pytest.raises(ValueError, match="one number a case"):
        two = objective_of(mlp(2, 1), SquaredError(), inputs=2)
        regression_fit(two.at(two.initial_parameters), xs)


def test_a_classifier_of_one_input_has_a_curve_and_no_band(mlp, objective_of):
    objective = objective_of(mlp(1, 1), BernoulliLogits(), inputs=1)
    fit = regression_fit(objective.at(objective.initial_parameters), np.linspace(-1, 1, 5))
    assert ((fit.mean > 0) & (fit.mean < 1)).all() and np.isnan(fit.low).all()


# Single cases.


def test_the_misclassified_are_those_and_the_worst_come_first(digits):
    point = digits.at(digits.initial_parameters)
    found = misclassified(point, most=20)
    p = torch.softmax(point.outputs, 1)
    wrong = p.argmax(1) != digits.targets
    assert found.total == int(wrong.sum()) and len(found.indices) == 20
    assert (found.decided != found.true).all() and (np.diff(found.loss) <= 0).all()
    first = int(found.indices[0])
    worst = -p[torch.arange(len(p)), digits.targets].log()[wrong].min().item()
    assert found.loss[0] == pytest.approx(float(-p[first, digits.targets[first]].log())) and found.loss[0] >= worst
    assert found.probability[0] == pytest.approx(float(p[first].max()))


def test_of_two_classes_one_output_decides(moons):
    point = moons.at(moons.initial_parameters)
    found = misclassified(point)
    p = torch.sigmoid(point.outputs[:, 0])
    assert found.total == int(((p > 0.5) != (moons.targets[:, 0] > 0.5)).sum()) > 0
    assert (found.probability >= 0.5).all()


def test_one_hot_targets_are_classes_too(mlp):
    import ngexplorer as ngx

    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.eye(3, dtype=torch.float64)[torch.arange(12) % 3]
    objective = ngx.Objective(mlp(2, 3), SquaredError(), x, y)
    point = objective.at(objective.initial_parameters)
    assert misclassified(point).total == int((point.outputs.argmax(1) != y.argmax(1)).sum()) > 0


def test_only_classes_can_be_wrong(valley):
    with pytest.raises(ValueError, match="no classes"):
        misclassified(valley.at(valley.initial_parameters))


def test_an_autoencoder_gives_its_inputs_back(mlp):
    import ngexplorer as ngx

    x = torch.rand(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = ngx.Objective(mlp(4, 2, 4), BernoulliLogits(), x, x)
    point = objective.at(objective.initial_parameters)
    found = reconstructions(point, most=3)
    np.testing.assert_array_equal(found.indices, [0, 1, 2])
    np.testing.assert_array_equal(found.inputs, x[:3].numpy())
    np.testing.assert_allclose(found.outputs, torch.sigmoid(point.outputs[:3]).numpy())
    worst = reconstructions(point, most=9, worst=True)
    assert (np.diff(worst.loss) <= 0).all()
    assert float(worst.loss.mean()) == pytest.approx(float(point.value))


def test_what_is_no_autoencoder_has_no_reconstructions(moons):
    with pytest.raises(ValueError, match="only an autoencoder"):
        reconstructions(moons.at(moons.initial_parameters))

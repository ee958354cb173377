"""KL divergences: each closed form against labels drawn from the model, and what they are to second order."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from ngexplorer.analysis.distribution_space import distances
from ngexplorer.analysis.kullback_leibler import closed_form, divergence
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.curvature import Fisher
from ngexplorer.objectives import losses
from ngexplorer.objectives.losses.links import GaussianLink


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(parametrization):
    link = GaussianLink(parametrization)
    return losses.GaussianNLL(parametrization=parametrization), link(drawn(6, 4)), link(drawn(6, 4, seed=1))


Z, W = drawn(6, 3), drawn(6, 3, seed=1)
PAIRS = {
    "squared error": (losses.SquaredError(variance=0.7), Z, W),
    "laplace": (losses.Laplace(scale=0.6), Z, W),
    "cauchy": (losses.Cauchy(scale=0.8), Z, W),
    "logistic": (losses.Logistic(), Z, 3 * W),
    "bernoulli logits": (losses.BernoulliLogits(), Z, W),
    "bernoulli probability": (losses.BernoulliProbability(), torch.sigmoid(Z), torch.sigmoid(W)),
    "probit": (losses.Probit(), Z, W),
    "softmax": (losses.SoftmaxCrossEntropy(), Z, W),
    "softmax probabilities": (losses.SoftmaxProbabilities(), Z.softmax(1), W.softmax(1)),
    "softmax log-probabilities": (losses.SoftmaxLogProbabilities(), Z.log_softmax(1), W.log_softmax(1)),
    "poisson log-rate": (losses.PoissonLogRate(), Z, W),
    "poisson rate": (losses.PoissonRate(), Z.exp(), W.exp()),
    **{f"gaussian {name}": gaussian(name) for name in ("variance", "log-variance", "precision", "natural", "mean")},
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_closed_form_is_the_mean_over_drawn_labels(name):
    """Within 4 standard errors of E_{y ~ r(·|z)}[L(y, z′) − L(y, z)]."""
    loss, z, other = PAIRS[name]
    generator = torch.Generator().manual_seed(7)
    draws = []
    for _ in range(4_000):
        y = loss.sample(z, generator)
        draws.append(loss.per_case(other, y) - loss.per_case(z, y))
    each = torch.stack(draws)
    error = each.std(0) / len(draws) ** 0.5
    found = closed_form(loss, z, other)
    assert ((found - each.mean(0)).abs() <= 4 * error + 1e-12).all()
    assert (found > 0).all()
    torch.testing.assert_close(closed_form(loss, z, z), torch.zeros(6).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_to_second_order_it_is_half_the_fisher_norm(name):
    """KL(z ‖ z + ε u) = ½ε² uᵀF_R u + O(ε³), u along the surface that the network keeps to."""
    loss, z, other = PAIRS[name]
    epsilon = 1e-5
    if name == "softmax log-probabilities":
        moved = (z + epsilon * (other - z)).log_softmax(1)
    else:
        moved = z + epsilon * (other - z)
    u = moved - z
    half = 0.5 * (u * loss.fisher_map(z)(u)).sum(1)
    torch.testing.assert_close(closed_form(loss, z, moved), half, rtol=2e-3, atol=1e-15)


def test_of_two_gaussians_it_is_the_textbooks():
    """KL(N(0, 1) ‖ N(1, 4)) = log 2 + (1 + 1)/8 − ½."""
    z, other = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 4.0]])
    found = divergence(losses.GaussianNLL(parametrization="variance"), z, other)
    assert found.exact and found.value == pytest.approx(np.log(2) + 0.25 - 0.5)


def test_certain_predictions_have_a_finite_divergence_where_they_agree():
    softmax, bernoulli = losses.SoftmaxCrossEntropy(), losses.BernoulliLogits()
    z, other = torch.tensor([[800.0, 0.0]]), torch.tensor([[801.0, 0.0]])
    assert divergence(softmax, z, other).value == pytest.approx(0, abs=1e-12)
    found = divergence(bernoulli, torch.tensor([[800.0]]), torch.tensor([[-10.0]])).value
    assert found == pytest.approx(10 + np.log1p(np.exp(-10)))


@pytest.mark.parametrize("loss", [losses.StudentT(degrees=3.0), losses.Huber()], ids=["student", "huber"])
def test_without_a_closed_form_it_is_an_estimate_that_says_so(loss):
    z, other = drawn(50, 2), drawn(50, 2, seed=1)
    found = divergence(loss, z, other, samples=400)
    assert not found.exact and 0 < found.error < 0.05 * found.value
    # By quadrature: KL = ∫ r(t)[ℓ(t + d) − ℓ(t)] dt of each output, d = z − z′.
    t = torch.linspace(-400, 400, 400_001, dtype=torch.float64)
    density = torch.exp(-loss.value(t))
    density = density / density.sum()
    expected = np.mean(
        [sum(float((density * (loss.value(t + d) - loss.value(t))).sum()) for d in row) for row in z - other]
    )
    assert abs(found.value - expected) < 4 * found.error + 1e-4
    assert divergence(loss, z, other, samples=400).value == found.value, "the same seed, the same labels"


def test_the_standard_error_is_the_spread_over_seeds():
    z, other = drawn(20, 1), drawn(20, 1, seed=1)
    found = [divergence(losses.StudentT(), z, other, samples=50, seed=seed) for seed in range(200)]
    spread = np.std([one.value for one in found])
    assert spread == pytest.approx(np.mean([one.error for one in found]), rel=0.2)


@pytest.mark.parametrize("d", [1e-6, 0.01, 0.049, 0.051, 1.0, 50.0])
def test_the_divergence_of_two_logistics_has_all_its_digits(d):
    """d coth(d/2) − 2, in 40 digits."""
    with localcontext() as context:
        context.prec = 40
        distance = Decimal(d)
        grown = distance.exp()
        expected = float(distance * (grown + 1) / (grown - 1) - 2)
    z = torch.tensor([[0.0]]).double()
    assert divergence(losses.Logistic(), z, z + d).value == pytest.approx(expected, rel=1e-11)


def test_without_a_density_there_is_none():
    with pytest.raises(ValueError, match="no divergence"):
        divergence(losses.Quadratic(), Z[:, :2], W[:, :2])


# Paths.


def test_the_steps_of_a_path_in_both_spaces(classifier, finest):
    start = classifier.initial_parameters.numpy()
    path = start + 1e-3 * np.random.default_rng(0).standard_normal((20, len(start))).cumsum(0)
    found = finest(distances(classifier, path, never))
    np.testing.assert_allclose(found.euclidean, np.linalg.norm(np.diff(path, axis=0), axis=1))
    point, after = (classifier.at(torch.as_tensor(theta)) for theta in path[4:6])
    p, q = point.outputs.softmax(1), after.outputs.softmax(1)
    assert found.divergences[4] == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-6)
    delta = after.theta - point.theta
    without = Fisher(classifier, point).dense() - 0.01 * torch.eye(len(delta), dtype=torch.float64)
    assert found.quadratic[4] == pytest.approx(0.5 * float(delta @ without @ delta), rel=1e-8)
    np.testing.assert_allclose(found.quadratic, found.divergences, rtol=0.05)


def test_a_few_steps_come_first(classifier):
    start = classifier.initial_parameters.numpy()
    path = start + 0.1 * np.arange(34)[:, None]
    answers = list(distances(classifier, path, never))
    assert np.flatnonzero(np.isfinite(answers[0].divergences)).tolist() == [0, 16, 32]
    assert [answer.done for answer in answers] == [3 / 33, 9 / 33, 1.0]
    with pytest.raises(Cancelled):
        next(distances(classifier, path, lambda: True))
    with pytest.raises(ValueError, match="two ends"):
        next(distances(classifier, path[:1], never))

"""F_R and the sampler belong to the density: sums over every label, quadrature, and labels drawn."""

import math

import pytest
import scipy.integrate
import torch

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

SAMPLES = 20_000


def columns(entry):
    """As many as every label can be gone through for."""
    return {"class": 4, "binary": 3}.get(entry.kind, 1)


def mean(chances, parts):
    return torch.tensordot(chances, parts, 1)


def test_the_fisher_is_the_mean_of_score_score_over_every_label(entry, close):
    """Sums for discrete labels, Gauss-Legendre quadrature for real ones."""
    for case in entry.outputs(cases=4, columns=columns(entry)):
        labels, chances = entry.every_label(case[None])
        z = case.expand(len(labels), -1)
        score = -entry.loss.gradient(z, labels)
        close(chances.sum(), torch.tensor(1.0, dtype=case.dtype))
        close(mean(chances, score), entry.mean_score(case), atol=1e-9)
        fisher = entry.loss.fisher(case[None])[0]
        close(mean(chances, score[:, :, None] * score[:, None, :]), fisher.contiguous(), atol=1e-9)


def test_the_mean_hessian_over_every_label_is_the_fisher(entry, close):
    """But for Laplace, all of whose curvature is in a kink, and log-probabilities, which L is linear in: there the mean
    is 0."""
    for case in entry.outputs(cases=4, columns=columns(entry)):
        labels, chances = entry.every_label(case[None])
        average = mean(chances, entry.loss.hessian(case.expand(len(labels), -1), labels))
        fisher = entry.loss.fisher(case[None])[0].contiguous()
        close(average, fisher if entry.regular else torch.zeros_like(fisher), atol=1e-9)
        assert (fisher.diagonal() > 0).all()


def test_the_score_of_sampled_labels_has_the_mean_and_the_fisher_of_the_density(entry):
    case = entry.outputs(cases=1)
    z = case.expand(SAMPLES, -1)
    score = -entry.loss.gradient(z, entry.loss.sample(z, torch.Generator().manual_seed(11)))
    products = score[:, :, None] * score[:, None, :]
    for drawn, expected in ((score, entry.mean_score(case)[0]), (products, entry.loss.fisher(case)[0])):
        error = (drawn.mean(0) - expected).abs()
        assert (error <= 4 * drawn.std(0) / SAMPLES**0.5 + 1e-12).all()


@pytest.mark.parametrize("at", [-2.0, -0.6, 0.3, 1.2])
def test_sampled_labels_lie_below_a_place_as_often_as_the_density_says(continuous, at):
    """scipy's quadrature of the density, and 4 standard errors."""
    z = continuous.outputs(cases=1, columns=1)
    centre, width = continuous.centre(z)
    end = centre + width * at
    labels = continuous.loss.sample(z.expand(SAMPLES, -1), torch.Generator().manual_seed(13))

    def density(y):
        return float(continuous.log_density(z, torch.tensor([[y]], dtype=z.dtype)).exp())

    share, _ = scipy.integrate.quad(density, -math.inf, end, epsabs=1e-6, epsrel=1e-6)
    error = 4 * (share * (1 - share) / SAMPLES) ** 0.5
    assert abs(float((labels <= end).double().mean()) - share) <= error


def test_sampled_labels_repeat_from_the_seed_and_are_targets(entry):
    z = entry.outputs()
    first, again = (entry.loss.sample(z, torch.Generator().manual_seed(5)) for _ in range(2))
    other = entry.loss.sample(z.repeat(20, 1), torch.Generator().manual_seed(6))[: len(z)]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    entry.loss.check(first, z)


def test_sampled_labels_have_the_predicted_mean(entry, losses):
    if entry is losses["cauchy"]:
        pytest.skip("there is no mean")
    case = entry.outputs(cases=1)
    labels = entry.loss.sample(case.expand(SAMPLES, -1), torch.Generator().manual_seed(7))
    prediction = entry.loss.prediction(case)[0]
    if labels.ndim == 1:
        labels = torch.nn.functional.one_hot(labels, case.shape[1]).double()
    assert labels.shape[1:] == prediction.shape
    assert ((labels.mean(0) - prediction).abs() <= 4 * labels.std(0) / SAMPLES**0.5).all()


def test_squared_error_samples_with_its_variance():
    z = torch.zeros(2 * SAMPLES, 1, dtype=torch.float64)
    labels = SquaredError(variance=0.3).sample(z, torch.Generator().manual_seed(8))
    # The variance of a sample variance is 2σ⁴/n.
    assert abs(float(labels.var()) - 0.3) <= 4 * 0.3 * (2 / len(z)) ** 0.5


def test_labels_cannot_carry_a_gradient(entry):
    z = entry.outputs().requires_grad_()
    assert not entry.loss.sample(z, torch.Generator().manual_seed(0)).requires_grad


def test_a_diverged_point_still_has_labels_of_the_right_form(entry):
    for value in (torch.nan, torch.inf, -torch.inf):
        z = torch.full_like(entry.outputs(), value)
        labels = entry.loss.sample(z, torch.Generator().manual_seed(0))
        assert labels.shape == entry.targets().shape


# Where the loss is split from the network (E4): a link leaves the model, and so F, as it is, while G changes.

SPLITS = {
    "bernoulli": (BernoulliProbability(), BernoulliLogits(), "bernoulli, logits"),
    "probabilities": (SoftmaxProbabilities(), SoftmaxCrossEntropy(), "softmax, logits"),
    "log-probabilities": (SoftmaxLogProbabilities(), SoftmaxCrossEntropy(), "softmax, logits"),
    "rate": (PoissonRate(), PoissonLogRate(), "poisson, log-rate"),
    **{
        name: (GaussianNLL(parametrization=name), GaussianNLL(), "gaussian, log-variance")
        for name in ("variance", "precision", "natural", "mean")
    },
}


@pytest.mark.parametrize("split", SPLITS)
def test_a_link_leaves_the_model_and_its_fisher_as_they_are(split, losses, close):
    loss, usual, name = SPLITS[split]
    free, y = losses[name].outputs(), losses[name].targets()
    link = loss.link()
    z = link(free)
    jacobian = torch.stack([torch.func.jacrev(lambda case: link(case[None])[0])(case) for case in free])
    close(jacobian.mT @ loss.fisher(z) @ jacobian, usual.fisher(free), atol=1e-10)
    close(loss.per_case(z, y), usual.per_case(free, y))
    pulled = jacobian.mT @ loss.hessian(z, y) @ jacobian
    assert (pulled - usual.hessian(free, y)).abs().max() > 0.1


def test_losses_that_take_any_numbers_have_no_link(losses):
    linked = {loss.__class__ for loss, _, _ in SPLITS.values()}
    free = [entry.loss for entry in losses.values() if entry.loss.__class__ not in linked]
    assert [loss.link() for loss in free] == [None] * len(free)
    assert GaussianNLL().link() is None


def test_with_probabilities_as_outputs_gauss_newton_is_the_empirical_fisher(losses, close):
    """E4: H_L = ∇L ∇Lᵀ; for log-probabilities H_L = 0, and with them G."""
    entry = losses["softmax, probabilities"]
    z, y = entry.outputs(), entry.targets()
    gradient = entry.loss.gradient(z, y)
    close(entry.loss.hessian(z, y), gradient[:, :, None] * gradient[:, None, :])
    assert (SoftmaxLogProbabilities().hessian(z.log(), y) == 0).all()


def test_the_mean_hessian_over_labels_weighted_by_softmax_is_the_fisher(losses, close):
    """E1, with the Hessian in z of the probabilities' loss: Σ_y p_y e_y e_yᵀ/p_y² = diag(1/p)."""
    p = losses["softmax, probabilities"].outputs(cases=1)
    every = torch.arange(p.shape[1])
    hessians = SoftmaxProbabilities().hessian(p.expand(len(every), -1), every)
    close(torch.einsum("y,ycd->cd", p[0], hessians), SoftmaxProbabilities().fisher(p)[0])

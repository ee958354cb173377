"""Each loss is −log r(y | z): its derivatives, its Fisher, its roots and its labels all belong to that one density."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.traits import Traits

LOSSES = [SquaredError(), SquaredError(variance=0.3), BernoulliLogits(), SoftmaxCrossEntropy()]
N, C = 6, 4

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=["squared", "squared, σ² = 0.3", "bernoulli", "softmax"])


@pytest.fixture
def z():
    return 1.5 * torch.randn(N, C, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@every_loss
def test_the_mean_over_cases_is_torchs_own_loss(loss, z, targets_for, torch_value, close):
    y = targets_for(loss, N, C)
    close(loss.per_case(z, y).mean(), torch_value(loss, z, y))
    assert loss.per_case(z, y).shape == (N,)


def test_the_mean_of_mse_loss_is_a_variance_of_half_the_outputs(z, targets_for, close):
    y = targets_for(SquaredError(), N, C)
    close(SquaredError(variance=C / 2).per_case(z, y).mean(), torch.nn.functional.mse_loss(z, y))
    close(SquaredError(variance=0.5).per_case(z, y).sum(), torch.nn.functional.mse_loss(z, y, reduction="sum"))


@every_loss
def test_gradient_and_hessian_are_those_of_autograd(loss, z, targets_for, torch_value, close):
    y = targets_for(loss, N, C)
    gradient, hessian = loss.gradient(z, y), loss.hessian(z, y)
    for i in range(N):

        def one(case, i=i):
            return torch_value(loss, case[None], y[i : i + 1])

        close(gradient[i], torch.func.grad(one)(z[i]))
        close(hessian[i], torch.func.hessian(one)(z[i]))


@every_loss
def test_natural_parameters_make_the_fisher_the_hessian(loss, z, targets_for, close):
    assert loss.natural
    close(loss.fisher(z), loss.hessian(z, targets_for(loss, N, C)))


@pytest.mark.parametrize("loss", [BernoulliLogits(), SoftmaxCrossEntropy()], ids=lambda loss: type(loss).__name__)
def test_the_fisher_is_the_mean_of_score_score_over_every_label(loss, z, fisher_by_labels, close):
    close(loss.fisher(z), torch.stack([fisher_by_labels(loss, case) for case in z]))


@every_loss
def test_the_fisher_is_the_mean_of_score_score_over_sampled_labels(loss, z):
    samples = 20_000
    generator = torch.Generator().manual_seed(11)
    case = z[:1].expand(samples, C)
    score = loss.gradient(case, loss.sample(case, generator))
    products = score[:, :, None] * score[:, None, :]
    error = (products.mean(0) - loss.fisher(z[:1])[0]).abs()
    assert (error <= 4 * products.std(0) / samples**0.5 + 1e-12).all()


@every_loss
def test_the_score_of_sampled_labels_has_mean_zero(loss, z):
    samples = 20_000
    case = z[:1].expand(samples, C)
    score = loss.gradient(case, loss.sample(case, torch.Generator().manual_seed(12)))
    assert (score.mean(0).abs() <= 4 * score.std(0) / samples**0.5).all()


@every_loss
def test_roots_square_to_their_matrices(loss, z, targets_for, close):
    y = targets_for(loss, N, C)
    fisher_root, hessian_root = loss.fisher_root(z), loss.hessian_root(z, y)
    close(fisher_root @ fisher_root.mT, loss.fisher(z).contiguous())
    close(hessian_root @ hessian_root.mT, loss.hessian(z, y).contiguous())


@every_loss
def test_sampled_labels_repeat_from_the_seed_and_are_targets(loss, z):
    first = loss.sample(z, torch.Generator().manual_seed(5))
    again = loss.sample(z, torch.Generator().manual_seed(5))
    other = loss.sample(z.repeat(20, 1), torch.Generator().manual_seed(6))[:N]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    loss.check(first, z)


@every_loss
def test_sampled_labels_have_the_predicted_mean(loss, z):
    samples = 20_000
    case = z[:1].expand(samples, C)
    labels = loss.sample(case, torch.Generator().manual_seed(7))
    if labels.ndim == 1:
        labels = torch.nn.functional.one_hot(labels, C).double()
    deviation = labels.std(0) / samples**0.5
    assert ((labels.mean(0) - loss.prediction(z)[0]).abs() <= 4 * deviation).all()


def test_squared_error_samples_with_its_variance():
    z = torch.zeros(40_000, 1, dtype=torch.float64)
    labels = SquaredError(variance=0.3).sample(z, torch.Generator().manual_seed(8))
    # The variance of a sample variance is 2σ⁴/n.
    assert abs(float(labels.var()) - 0.3) <= 4 * 0.3 * (2 / 40_000) ** 0.5


@given(scale=st.floats(1, 700), seed=st.integers(0, 100))
def test_extreme_logits_keep_every_number_finite(scale, seed):
    z = scale * torch.randn(5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for loss, y in [
        (BernoulliLogits(), torch.ones(5, 3, dtype=torch.float64)),
        (SoftmaxCrossEntropy(), torch.zeros(5, dtype=torch.int64)),
    ]:
        for part in (loss.per_case(z, y), loss.gradient(z, y), loss.hessian(z, y), loss.fisher_root(z)):
            assert torch.isfinite(part).all()
        assert (loss.per_case(z, y) >= 0).all()


def test_softmax_curvature_has_the_null_vector_one(z):
    assert torch.linalg.vector_norm(SoftmaxCrossEntropy().fisher(z).sum(2)) < 1e-15


def test_metrics_are_what_people_quote():
    z = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], dtype=torch.float64)
    assert float(SoftmaxCrossEntropy().metric(z, torch.tensor([0, 1, 1]))) == pytest.approx(2 / 3)
    assert float(BernoulliLogits().metric(z[:, :1], torch.ones(3, 1).double())) == pytest.approx(2 / 3)
    y = torch.tensor([[1.0], [2.0], [3.0]]).double()
    assert float(SquaredError().metric(y, y)) == 1
    assert float(SquaredError().metric(torch.full_like(y, 2.0), y)) == 0
    assert SquaredError().metric(y, torch.ones_like(y)).isnan()


@pytest.mark.parametrize(
    ("loss", "y", "what", "accepted"),
    [
        (SquaredError(), torch.zeros(N, C + 1), r"targets: shape \(6, 5\)", r"the shape of the outputs, \(6, 4\)"),
        (SquaredError(), torch.full((N, C), torch.nan), "targets: NaN or infinite", "finite numbers"),
        (BernoulliLogits(), torch.zeros(N), r"targets: shape \(6,\)", r"\(6, 4\)"),
        (BernoulliLogits(), torch.full((N, C), 2.0), "targets: values from 2.0 to 2.0", "0 to 1"),
        (SoftmaxCrossEntropy(), torch.zeros(N), r"targets: shape \(6,\), torch.float32", r"\(6,\), torch.int64"),
        (SoftmaxCrossEntropy(), torch.zeros(N - 1, dtype=torch.int64), r"targets: shape \(5,\)", r"\(6,\)"),
        (SoftmaxCrossEntropy(), torch.full((N,), 4), "targets: classes from 4 to 4", "4 outputs take 0 to 3"),
        (SoftmaxCrossEntropy(), torch.full((N,), -1), "targets: classes from -1 to -1", "0 to 3"),
    ],
)
def test_wrong_targets_are_named_with_what_is_accepted(loss, y, what, accepted, z):
    with pytest.raises(ValueError, match=what) as caught:
        loss.check(y, z)
    assert caught.match(accepted)


@every_loss
def test_right_targets_pass(loss, z, targets_for):
    loss.check(targets_for(loss, N, C), z)


REAL = Traits(3, "real", columns=2)


def of_classes(classes):
    return Traits(3, "classes", classes=classes)


@pytest.mark.parametrize(
    ("loss", "traits", "reason"),
    [
        (BernoulliLogits(), REAL, "needs yes-or-no targets; these are real numbers"),
        (BernoulliLogits(), of_classes(10), "needs two classes; there are 10"),
        (SoftmaxCrossEntropy(), REAL, "needs classes; these targets are real numbers"),
        (SquaredError(), REAL, None),
        (SquaredError(), of_classes(10), None),
        (BernoulliLogits(), of_classes(2), None),
        (BernoulliLogits(), Traits(3, "unit", columns=3), None),
        (SoftmaxCrossEntropy(), of_classes(2), None),
    ],
)
def test_a_loss_says_which_data_it_refuses(loss, traits, reason):
    refusal = loss.refusal(traits)
    assert refusal is None if reason is None else reason in refusal


@pytest.mark.parametrize(
    ("loss", "outputs", "encoded"),
    [
        (SoftmaxCrossEntropy(), 3, [0, 2, 1]),
        (SquaredError(), 3, [[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]),
    ],
)
def test_classes_are_encoded_as_the_loss_takes_them(loss, outputs, encoded):
    like = torch.empty(0, dtype=torch.float64)
    y = loss.encode(torch.tensor([0, 2, 1]), of_classes(3), like)
    assert y.tolist() == encoded
    assert loss.outputs(of_classes(3)) == outputs
    loss.check(y, torch.zeros(3, outputs, dtype=torch.float64))


@pytest.mark.parametrize("loss", [SquaredError(), BernoulliLogits()], ids=lambda loss: type(loss).__name__)
def test_two_classes_are_one_column_of_zeros_and_ones(loss):
    y = loss.encode(torch.tensor([0, 1, 1]), of_classes(2), torch.empty(0, dtype=torch.float32))
    assert y.tolist() == [[0.0], [1.0], [1.0]]
    assert y.dtype == torch.float32
    assert loss.outputs(of_classes(2)) == 1


def test_softmax_without_classes_has_no_number_of_outputs():
    with pytest.raises(ValueError, match="needs classes"):
        SoftmaxCrossEntropy().outputs(REAL)

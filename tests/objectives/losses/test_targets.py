"""Which targets a loss takes, what it makes of them, and what it says of others."""

import msgspec
import pytest
import torch

from ngexplorer.objectives.losses import (
    AnyLoss,
    BernoulliLogits,
    BernoulliProbability,
    Cauchy,
    GaussianNLL,
    Huber,
    Laplace,
    Logistic,
    PoissonLogRate,
    PoissonRate,
    Probit,
    Quadratic,
    SoftmaxCrossEntropy,
    SoftmaxLogProbabilities,
    SoftmaxProbabilities,
    SquaredError,
    StudentT,
)
from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import SettingError, convert, members

N, C = 6, 4

REAL = Traits(3, "real", columns=2)
COUNTS = Traits(3, "counts", columns=2)
UNIT = Traits(3, "unit", columns=2)
TWO = Traits(3, "classes", classes=2)
TEN = Traits(3, "classes", classes=10)

LOCATIONS = [Laplace(), StudentT(), Cauchy(), Huber(), Logistic(), GaussianNLL()]


def named(value):
    return type(value).__name__ if isinstance(value, msgspec.Struct) else None


@pytest.fixture
def z():
    return 0.3 + 0.4 * torch.rand(N, C, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_targets_that_fit_pass(entry):
    entry.loss.check(entry.targets(), entry.outputs())


@pytest.mark.parametrize(
    ("loss", "y", "what", "accepted"),
    [
        (SquaredError(), torch.zeros(N, C + 1), r"targets: shape \(6, 5\)", r"the shape of the outputs, \(6, 4\)"),
        (SquaredError(), torch.full((N, C), torch.nan), "targets: NaN or infinite", "finite numbers"),
        (Huber(), torch.zeros(N), r"targets: shape \(6,\)", r"Huber takes the shape of the outputs, \(6, 4\)"),
        (Cauchy(), torch.full((N, C), torch.inf), "targets: NaN or infinite", "Cauchy takes finite numbers"),
        (GaussianNLL(), torch.zeros(N, C), r"targets: shape \(6, 4\)", r"one column for two outputs, \(6, 2\)"),
        (GaussianNLL(), torch.full((N, 2), torch.nan), "targets: NaN or infinite", "finite numbers"),
        (BernoulliLogits(), torch.zeros(N), r"targets: shape \(6,\)", r"\(6, 4\)"),
        (BernoulliLogits(), torch.full((N, C), 2.0), "targets: values from 2.0 to 2.0", "0 to 1"),
        (BernoulliProbability(), torch.full((N, C), -1.0), "targets: values from -1.0 to -1.0", "0 to 1"),
        (Probit(), torch.full((N, C), 2.0), "targets: values from 2.0 to 2.0", "0 to 1"),
        (Probit(), torch.full((N, C), 0.5), "targets: values between 0 and 1", "takes 0 or 1"),
        (SoftmaxCrossEntropy(), torch.zeros(N), r"targets: shape \(6,\), torch.float32", r"\(6,\), torch.int64"),
        (SoftmaxCrossEntropy(), torch.zeros(N - 1, dtype=torch.int64), r"targets: shape \(5,\)", r"\(6,\)"),
        (SoftmaxCrossEntropy(), torch.full((N,), 4), "targets: classes from 4 to 4", "4 outputs take 0 to 3"),
        (SoftmaxProbabilities(), torch.full((N,), -1), "targets: classes from -1 to -1", "0 to 3"),
        (SoftmaxLogProbabilities(), torch.zeros(N, C), r"targets: shape \(6, 4\)", "log-probabilities takes class"),
        (PoissonLogRate(), torch.full((N, C), -2.0), "targets: -2 among them", "log-rate takes whole numbers ≥ 0"),
        (PoissonRate(), torch.full((N, C), 1.5), "targets: 1.5 among them", "takes whole numbers ≥ 0"),
        (PoissonRate(), torch.full((N, C), torch.nan), "targets: NaN", "finite numbers"),
        (Quadratic(curvatures=(1.0,)), torch.zeros(N, 1), "outputs: 4 a case", "of 1 curvatures takes as many"),
        (Quadratic(curvatures=(1.0,) * C), torch.zeros(N, 1), r"targets: shape \(6, 1\)", r"\(6, 4\)"),
    ],
    ids=named,
)
def test_wrong_targets_are_named_with_what_is_accepted(loss, y, what, accepted, z):
    with pytest.raises(ValueError, match=what) as caught:
        loss.check(y, z)
    assert caught.match(accepted)
    assert "\n" not in str(caught.value)


def test_an_odd_number_of_outputs_has_no_means_and_variances():
    with pytest.raises(ValueError, match=r"outputs: 3 a case; .* takes two for each column"):
        GaussianNLL().check(torch.zeros(N, 1), torch.zeros(N, 3))


@pytest.mark.parametrize(
    ("loss", "traits", "reason"),
    [
        *[(SquaredError(), traits, None) for traits in (REAL, COUNTS, UNIT, TWO, TEN)],
        *[(loss, traits, None) for loss in LOCATIONS for traits in (REAL, COUNTS, UNIT)],
        *[(loss, TEN, "needs numbers; these targets are 10 classes") for loss in LOCATIONS],
        *[(loss, TWO, None) for loss in (BernoulliLogits(), BernoulliProbability(), Probit())],
        *[(loss, UNIT, None) for loss in (BernoulliLogits(), BernoulliProbability())],
        (Probit(), UNIT, "needs two classes; these targets are numbers from 0 to 1"),
        (Probit(), TEN, "needs two classes; there are 10"),
        (BernoulliLogits(), REAL, "needs yes-or-no targets; these are real numbers"),
        (BernoulliProbability(), TEN, "needs two classes; there are 10"),
        *[(loss, TWO, None) for loss in (SoftmaxCrossEntropy(), SoftmaxProbabilities(), SoftmaxLogProbabilities())],
        (SoftmaxCrossEntropy(), REAL, "needs classes; these targets are real numbers"),
        (SoftmaxProbabilities(), COUNTS, "needs classes; these targets are counts"),
        *[(loss, COUNTS, None) for loss in (PoissonLogRate(), PoissonRate())],
        (PoissonLogRate(), REAL, "needs counts; these targets are real numbers"),
        (PoissonRate(), TWO, "needs counts; these targets are 2 classes"),
        *[(Quadratic(), traits, "is for test functions") for traits in (REAL, COUNTS, UNIT, TWO, TEN)],
    ],
    ids=named,
)
def test_a_loss_says_which_data_it_refuses(loss, traits, reason):
    assert loss.refusal(traits) == reason


@pytest.mark.parametrize(
    ("loss", "outputs", "encoded"),
    [
        (SoftmaxCrossEntropy(), 3, [0, 2, 1]),
        (SoftmaxProbabilities(), 3, [0, 2, 1]),
        (SquaredError(), 3, [[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]),
    ],
    ids=named,
)
def test_classes_are_encoded_as_the_loss_takes_them(loss, outputs, encoded):
    three = Traits(3, "classes", classes=3)
    y = loss.encode(torch.tensor([0, 2, 1]), three, torch.empty(0, dtype=torch.float64))
    assert y.tolist() == encoded
    assert loss.outputs(three) == outputs
    loss.check(y, torch.zeros(3, outputs, dtype=torch.float64))


@pytest.mark.parametrize("loss", [SquaredError(), BernoulliLogits(), BernoulliProbability(), Probit()], ids=named)
def test_two_classes_are_one_column_of_zeros_and_ones(loss):
    y = loss.encode(torch.tensor([0, 1, 1]), TWO, torch.empty(0, dtype=torch.float32))
    assert y.tolist() == [[0.0], [1.0], [1.0]]
    assert y.dtype == torch.float32
    assert loss.outputs(TWO) == 1


@pytest.mark.parametrize("loss", [*LOCATIONS, SquaredError(), PoissonLogRate(), PoissonRate()], ids=named)
def test_numbers_stay_as_they_are(loss):
    counts = torch.tensor([[1.0, 2.0], [0.0, 7.0]], dtype=torch.float64)
    y = loss.encode(counts, COUNTS, torch.empty(0, dtype=torch.float32))
    assert y.dtype == torch.float32
    assert y.tolist() == counts.tolist()
    outputs = loss.outputs(COUNTS)
    assert outputs == (4 if isinstance(loss, GaussianNLL) else 2)
    loss.check(y, torch.ones(2, outputs))


def test_softmax_without_classes_has_no_number_of_outputs():
    with pytest.raises(ValueError, match="needs classes"):
        SoftmaxCrossEntropy().outputs(REAL)


# Metrics.


def test_metrics_are_what_people_quote():
    z = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]], dtype=torch.float64)
    assert float(SoftmaxCrossEntropy().metric(z, torch.tensor([0, 1, 1]))) == pytest.approx(2 / 3)
    assert float(BernoulliLogits().metric(z[:, :1], torch.ones(3, 1).double())) == pytest.approx(2 / 3)
    assert float(Probit().metric(z[:, :1], torch.ones(3, 1).double())) == pytest.approx(2 / 3)
    y = torch.tensor([[1.0], [2.0], [3.0]]).double()
    for loss in (SquaredError(), Laplace(), Cauchy()):
        assert float(loss.metric(y, y)) == 1
        assert float(loss.metric(torch.full_like(y, 2.0), y)) == 0
        assert loss.metric(y, torch.ones_like(y)).isnan()


def test_the_metric_of_a_gaussian_looks_at_its_mean():
    y = torch.tensor([[1.0], [2.0], [3.0]]).double()
    assert float(GaussianNLL().metric(torch.cat([y, 0 * y + 5], 1), y)) == 1


def test_the_metric_of_counts_is_the_share_of_deviance_explained():
    """1 at the counts themselves, 0 at their mean, and sklearn's d2_tweedie_score between."""
    from sklearn.metrics import d2_tweedie_score

    y = torch.tensor([[0.0], [2.0], [5.0], [1.0]]).double()
    rate = torch.tensor([[0.5], [2.0], [3.0], [2.0]]).double()
    assert float(PoissonRate().metric(y, y)) == pytest.approx(1)
    assert float(PoissonRate().metric(torch.full_like(y, 2.0), y)) == pytest.approx(0)
    expected = d2_tweedie_score(y[:, 0].numpy(), rate[:, 0].numpy(), power=1)
    assert float(PoissonRate().metric(rate, y)) == pytest.approx(expected)
    assert float(PoissonLogRate().metric(rate.log(), y)) == pytest.approx(expected)
    assert PoissonRate().metric(rate, torch.ones_like(y)).isnan()


# Outside the domain.


@pytest.mark.parametrize(
    ("parametrization", "z"),
    [
        ("variance", (0.5, -1.0)),
        ("variance", (0.5, 0.0)),
        ("precision", (0.5, -1.0)),
        ("precision", (0.5, 0.0)),
        ("natural", (0.5, 1.0)),
        ("natural", (0.5, 0.0)),
        ("mean", (2.0, 3.0)),
        ("mean", (2.0, 4.0)),
    ],
)
def test_a_variance_that_is_not_positive_is_a_diverged_point_and_no_exception(parametrization, z):
    loss = GaussianNLL(parametrization=parametrization)
    z, y = torch.tensor([z], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    for part in (loss.per_case(z, y), loss.gradient(z, y), loss.fisher(z), loss.hessian(z, y)):
        assert not torch.isfinite(part).all()


@pytest.mark.parametrize(
    ("loss", "z", "y"),
    [
        (BernoulliProbability(), [[0.0]], [[1.0]]),
        (BernoulliProbability(), [[1.0]], [[0.0]]),
        (BernoulliProbability(), [[-0.1]], [[0.0]]),
        (BernoulliProbability(), [[1.1]], [[1.0]]),
        (SoftmaxProbabilities(), [[0.0, 1.0]], [0]),
        (SoftmaxProbabilities(), [[-0.5, 1.5]], [0]),
        (PoissonRate(), [[0.0]], [[1.0]]),
        (PoissonRate(), [[-1.0]], [[0.0]]),
    ],
    ids=named,
)
def test_what_the_model_rules_out_has_infinite_loss(loss, z, y):
    assert float(loss.per_case(torch.tensor(z).double(), torch.tensor(y))) == torch.inf


@pytest.mark.parametrize(
    ("loss", "z", "y", "value", "slope"),
    [
        (BernoulliProbability(), [[1.0]], [[1.0]], 0, -1),
        (BernoulliProbability(), [[0.0]], [[0.0]], 0, 1),
        (PoissonRate(), [[0.0]], [[0.0]], 0, 1),
    ],
    ids=named,
)
def test_a_saturated_output_that_is_right_has_its_limit(loss, z, y, value, slope):
    z, y = torch.tensor(z).double(), torch.tensor(y).double()
    assert float(loss.per_case(z, y)) == value
    assert float(loss.gradient(z, y)) == slope
    assert torch.isfinite(loss.hessian(z, y)).all()


# The quadratic, which is no density.


def test_a_quadratic_has_its_curvatures_and_no_fisher():
    saddle = Quadratic(curvatures=(1.0, -1.0))
    z = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    y = torch.zeros_like(z)
    saddle.check(y, z)
    assert not saddle.density
    assert float(saddle.per_case(z, y)) == -2.5
    assert saddle.gradient(z, y).tolist() == [[2.0, -3.0]]
    assert saddle.hessian(z, y).tolist() == [[[1.0, 0.0], [0.0, -1.0]]]
    assert saddle.hessian_map(z, y)(z).tolist() == [[2.0, -3.0]]
    generator = torch.Generator().manual_seed(0)
    for refused in (
        lambda: saddle.fisher(z),
        lambda: saddle.fisher_root(z),
        lambda: saddle.fisher_map(z)(z),
        lambda: saddle.sample(z, generator),
    ):
        with pytest.raises(ValueError, match="not the negative log of a density: it has no Fisher matrix and no lab"):
            refused()


def test_a_quadratic_is_convex_by_its_curvatures(close):
    z = torch.ones(2, 2, dtype=torch.float64)
    bowl = Quadratic(curvatures=(4.0, 0.0))
    assert bowl.convex
    root = bowl.hessian_root(z, z)
    close(root @ root.mT, bowl.hessian(z, z))
    assert not Quadratic(curvatures=(4.0, -1e-9)).convex
    with pytest.raises(ValueError, match=r"no real square root, since -2.0 is negative"):
        Quadratic(curvatures=(1.0, -2.0)).hessian_root(z, z)


def test_every_other_loss_is_a_density(entry):
    assert entry.loss.density


# As settings.


def test_every_loss_goes_to_plain_values_and_back(entry):
    assert convert(msgspec.to_builtins(entry.loss), AnyLoss) == entry.loss


def test_the_table_of_these_tests_has_every_loss_with_a_density(losses):
    assert {type(entry.loss) for entry in losses.values()} | {Quadratic} == set(members(AnyLoss))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"name": "laplace", "scale": 0}, "loss.scale: 0 is not accepted; a number > 0 is needed"),
        ({"name": "student-t", "degrees": -1}, "loss.degrees: -1 is not accepted; a number > 0 is needed"),
        ({"name": "quadratic", "curvatures": []}, "loss.curvatures"),
        ({"name": "gaussian-nll", "parametrization": "natrual"}, "did you mean 'natural'?"),
    ],
)
def test_a_wrong_setting_is_named(raw, message):
    with pytest.raises(SettingError) as caught:
        convert(raw, AnyLoss, "loss")
    assert message in str(caught.value)


def test_a_wrong_parametrization_is_named_where_it_is_written():
    with pytest.raises(ValueError, match="no parametrization named 'natrual'; did you mean 'natural'"):
        GaussianNLL(parametrization="natrual")

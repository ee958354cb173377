"""A loss is −log r(y | z): its value, gradient, H_L and products all belong to that one function."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ngexplorer.objectives.losses import (
    BernoulliLogits,
    Cauchy,
    GaussianNLL,
    PoissonLogRate,
    Probit,
    SoftmaxCrossEntropy,
    SquaredError,
    StudentT,
)

MANY = 300


def test_the_loss_is_minus_the_log_of_its_density_up_to_a_constant(entry, close):
    y = entry.targets()
    constant = entry.loss.per_case(entry.outputs(), y) + entry.log_density(entry.outputs(), y)
    for seed in range(3):
        z = entry.outputs(seed=seed)
        assert entry.loss.per_case(z, y).shape == (6,)
        close(entry.loss.per_case(z, y) + entry.log_density(z, y), constant, atol=1e-10)


def test_gradient_and_hessian_are_those_of_autograd(entry, close):
    z, y = entry.outputs(), entry.targets()
    gradient, hessian = entry.loss.gradient(z, y), entry.loss.hessian(z, y)
    for i in range(3):

        def one(case, i=i):
            return entry.loss.per_case(case[None], y[i : i + 1])[0]

        close(gradient[i], torch.func.grad(one)(z[i]))
        close(hessian[i], torch.func.hessian(one)(z[i]), atol=1e-10)


def test_gradient_and_hessian_are_those_of_central_differences_of_the_density(entry):
    """Their error is h²/6 times the third derivative, and rounding's 1e-16/h times the value, h = 1e-5 relative to the
    smallest scale at hand; both stay below 1e-6 of the largest entry here."""
    z, y = entry.outputs(40), entry.targets(40)
    step = 1e-5 * z.abs().clamp(max=1)
    differences, bends = [], []
    for c in range(z.shape[1]):
        h = torch.zeros_like(z)
        h[:, c] = step[:, c]
        rise = entry.log_density(z - h, y) - entry.log_density(z + h, y)
        differences.append(rise / (2 * step[:, c]))
        slope = entry.loss.gradient(z + h, y) - entry.loss.gradient(z - h, y)
        bends.append(slope / (2 * step[:, c : c + 1]))
    gradient, hessian = entry.loss.gradient(z, y), entry.loss.hessian(z, y)
    for actual, expected in ((gradient, torch.stack(differences, 1)), (hessian, torch.stack(bends, 1))):
        scale = actual.flatten(1).abs().amax(1) + 1
        assert ((actual - expected).flatten(1).abs().amax(1) / scale).max() < 1e-6


def test_products_are_those_of_the_dense_matrices(entry, close):
    z, y = entry.outputs(), entry.targets()
    for vectors in ((), (1,), (3,)):
        u = torch.randn(len(z), *vectors, z.shape[1], dtype=z.dtype, generator=torch.Generator().manual_seed(9))
        fisher = torch.einsum("ncd,n...d->n...c", entry.loss.fisher(z), u)
        hessian = torch.einsum("ncd,n...d->n...c", entry.loss.hessian(z, y), u)
        close(entry.loss.fisher_map(z)(u), fisher)
        close(entry.loss.hessian_map(z, y)(u), hessian)


def test_roots_square_to_their_matrices(entry, close):
    z, y = entry.outputs(), entry.targets()
    root = entry.loss.fisher_root(z)
    close(root @ root.mT, entry.loss.fisher(z).contiguous())
    if entry.loss.convex:
        root = entry.loss.hessian_root(z, y)
        close(root @ root.mT, entry.loss.hessian(z, y).contiguous())
    else:
        with pytest.raises(ValueError, match=r"no real square root, since the loss is not convex in z"):
            entry.loss.hessian_root(z, y)


def test_natural_parameters_and_they_alone_make_the_fisher_the_hessian(entry):
    z = entry.outputs(MANY)
    fisher = entry.loss.fisher(z)
    hessians = [entry.loss.hessian(z, entry.targets(MANY, seed=seed)) for seed in (4, 5)]
    if entry.loss.natural:
        assert all(torch.equal(hessian, fisher) for hessian in hessians)
    else:
        assert all((hessian - fisher).abs().max() > 0.1 for hessian in hessians)


def test_a_convex_loss_and_it_alone_bends_upward_everywhere(entry):
    z = entry.outputs(MANY)
    lowest = torch.linalg.eigvalsh(entry.loss.hessian(z, entry.targets(MANY)))[:, 0].min()
    assert lowest >= -1e-12 if entry.loss.convex else lowest < -1e-3


def test_natural_parameters_make_a_loss_convex(entry):
    assert entry.loss.convex or not entry.loss.natural


def test_the_gaussian_is_natural_and_convex_by_its_parametrization():
    natural = {p: GaussianNLL(parametrization=p).natural for p in ("variance", "log-variance", "precision", "mean")}
    assert not any(natural.values())
    assert GaussianNLL(parametrization="natural").natural
    assert GaussianNLL(parametrization="natural").convex


def test_a_case_has_the_matrices_of_its_columns(entry, close):
    """Columns are independent given z, so that matrices couple outputs of one column only."""
    if entry.kind == "class":
        pytest.skip("classes are one column")
    z, y = entry.outputs(), entry.targets()
    columns = y.shape[1]
    whole = {"fisher": entry.loss.fisher(z), "hessian": entry.loss.hessian(z, y)}
    for c in range(columns):
        of_column = z[:, c::columns]
        single = {"fisher": entry.loss.fisher(of_column), "hessian": entry.loss.hessian(of_column, y[:, c : c + 1])}
        for name, matrix in whole.items():
            close(matrix[:, c::columns, c::columns].contiguous(), single[name].contiguous())
    for matrix in whole.values():
        coupled = torch.arange(z.shape[1])[:, None] % columns == torch.arange(z.shape[1]) % columns
        assert (matrix.masked_fill(coupled, 0) == 0).all()


def test_float32_stays_float32_and_agrees(entry):
    z, y = entry.outputs(), entry.targets()
    half, target = z.float(), y if y.dtype == torch.int64 else y.float()
    u, loss = z.cos(), entry.loss
    pairs = {
        "value": (loss.per_case(half, target), loss.per_case(z, y)),
        "gradient": (loss.gradient(half, target), loss.gradient(z, y)),
        "hessian": (loss.hessian(half, target), loss.hessian(z, y)),
        "fisher": (loss.fisher(half), loss.fisher(z)),
        "fisher root": (loss.fisher_root(half), loss.fisher_root(z)),
        "fisher product": (loss.fisher_map(half)(u.float()), loss.fisher_map(z)(u)),
        "hessian product": (loss.hessian_map(half, target)(u.float()), loss.hessian_map(z, y)(u)),
        "prediction": (loss.prediction(half), loss.prediction(z)),
        "metric": (loss.metric(half, target), loss.metric(z, y)),
    }
    for name, (single, double) in pairs.items():
        assert single.dtype == torch.float32, name
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4 * float(double.abs().max()), msg=name)
    labels = loss.sample(half, torch.Generator().manual_seed(0))
    assert labels.dtype == (torch.int64 if entry.kind == "class" else torch.float32)


# Far out.

FREE = [BernoulliLogits(), SoftmaxCrossEntropy(), Probit()]


def corner(loss, z, far):
    """The label that z makes unlikely (`far`) or likely."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return z.argmin(1) if far else z.argmax(1)
    return ((z > 0) != far).to(z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(scale=st.floats(1, 700), seed=st.integers(0, 100))
def test_extreme_outputs_keep_every_number_finite(dtype, scale, seed):
    z = scale * torch.randn(5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
    for loss in FREE:
        for far in (True, False):
            y = corner(loss, z, far)
            for part in (loss.per_case(z, y), loss.gradient(z, y), loss.hessian(z, y), loss.fisher_root(z)):
                assert torch.isfinite(part).all()
            assert (loss.per_case(z, y) >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_log_rates_and_log_variances_keep_every_number_finite(dtype):
    z = torch.tensor([[-30.0, 30.0], [30.0, -30.0], [30.0, 30.0], [-30.0, -30.0]], dtype=dtype)
    labels = [(PoissonLogRate(), torch.full_like(z, 3.0)), (GaussianNLL(), torch.full_like(z[:, :1], 2.0))]
    for loss, y in labels:
        for part in (loss.per_case(z, y), loss.gradient(z, y), loss.hessian(z, y), loss.fisher(z), loss.fisher_root(z)):
            assert torch.isfinite(part).all()


# z, value, −gradient and H_L for y = 1; each z is a float32 number, so that both dtypes are asked the same.
PROBIT_TAILS = [
    (-30.0, 454.3212439563432, 30.033259667433676, 0.9988962284881099),
    (-10.0, 53.23128515051247, 10.098093233962512, 0.9905546221743438),
    (-5.010000228881836, 15.11691298995111, 5.196177764644115, 0.9674115716041887),
    (-4.989999771118164, 15.013180532806654, 5.176831252236091, 0.9671950503528408),
    (5.0, 2.866516129637636e-07, 1.4867199409049056e-06, 7.433601914860711e-06),
]


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_the_tails_of_the_probit_keep_their_digits(dtype, rtol):
    """y = 1; value, −gradient and H_L at z = −30, −10, −5.01, −4.99 and 5, by mpmath with 60 digits."""
    expected = torch.tensor(PROBIT_TAILS, dtype=torch.float64)
    z = expected[:, :1].to(dtype)
    y, loss = torch.ones_like(z), Probit()
    actual = torch.stack([loss.per_case(z, y), -loss.gradient(z, y)[:, 0], loss.hessian(z, y)[:, 0, 0]], 1)
    torch.testing.assert_close(actual.double(), expected[:, 1:], rtol=rtol, atol=0)


def test_a_logit_far_out_keeps_the_digits_of_its_curvature(close):
    z = torch.tensor([[-40.0], [40.0]], dtype=torch.float64)
    close(BernoulliLogits().fisher(z)[:, 0, 0], torch.exp(torch.tensor([-40.0, -40.0]).double()), atol=0)


# Against torch's own.


def test_mse_loss_has_no_half(close):
    z, y = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    close(SquaredError(variance=4 / 2).per_case(z, y).mean(), torch.nn.functional.mse_loss(z, y))
    close(SquaredError(variance=0.5).per_case(z, y).sum(), torch.nn.functional.mse_loss(z, y, reduction="sum"))


def test_cauchy_is_students_t_with_one_degree_of_freedom(close):
    z, y = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cauchy, student = Cauchy(scale=0.7), StudentT(degrees=1.0, scale=0.7)
    for part in ("per_case", "gradient", "hessian"):
        close(getattr(cauchy, part)(z, y), getattr(student, part)(z, y))
    close(cauchy.fisher(z).contiguous(), student.fisher(z).contiguous())

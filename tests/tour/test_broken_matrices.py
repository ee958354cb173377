"""Each curvature matrix is made wrong in turn, and the checks that are about it fail."""

import dataclasses

import pytest
import torch

from ngexplorer.curvature import EKFAC, KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian, MonteCarloFisher
from ngexplorer.tour import STOPS


def another(kind):
    """Another matrix at the same θ in its place."""
    return lambda matrix, dense: kind(matrix.objective, matrix.point.theta)._dense()


def times(factor):
    return lambda matrix, dense: factor * dense


def centred(matrix, dense):
    """The covariance of the gradients in place of their second moment."""
    gradient = matrix.point.vjp(matrix.point.output_gradient) / len(matrix.point.outputs)
    return dense - gradient[:, None] * gradient


def wrong_sign(matrix, dense):
    """G less the second term."""
    return 2 * another(GaussNewton)(matrix, dense) - dense


BROKEN = {
    "the Hessian, 1 % too large": (
        Hessian,
        times(1.01),
        {
            "fisher": ["expected_hessian_of_softmax", "expected_hessian_of_bernoulli"],
            "gauss-newton": ["two_weights_second_term", "hessian_at_the_saddle", "relu_blocks", "without_residuals"],
            "equality": ["split_before_the_network"],
            "newton": ["logistic_newton", "softmax_newton", "quadratic_in_one_step"],
            "damping": ["ratio_on_a_quadratic", "ratio_of_the_damped_model", "indefinite_is_refused"],
            "quadratic-model": ["order_of_the_hessian", "conjugate_gradient"],
            "asymptotics": ["eigenvalues"],
            "saddles": ["newton_jumps_in", "saddle_free", "no_fisher", "cubic_length", "cubic_decrease"],
            "own-model": ["hessian_products"],
        },
    ),
    "the Hessian without its second term": (
        Hessian,
        another(GaussNewton),
        {
            "gauss-newton": ["two_weights_second_term", "hessian_at_the_saddle", "hessian_is_not", "tanh_blocks"],
            "newton": ["hidden_layer"],
            "quadratic-model": ["order_of_the_hessian"],
            "invariance": ["hessian_is_no_metric"],
        },
    ),
    "the Hessian with its second term's sign wrong": (
        Hessian,
        wrong_sign,
        {
            "gauss-newton": ["two_weights_second_term"],
            "equality": ["split_before_the_network"],
            "quadratic-model": ["order_of_the_hessian"],
            "own-model": ["hessian_products"],
        },
    ),
    "Gauss-Newton, 1 % too large": (
        GaussNewton,
        times(1.01),
        {
            "gauss-newton": ["two_weights_gauss_newton", "relu_blocks", "without_residuals"],
            "equality": ["variance_hessian", "natural_hessian", "softmax_logits", "split_at_logits"],
            "newton": ["logistic_gauss_newton"],
            "own-model": ["fisher_is_gauss_newton"],
        },
    ),
    "Gauss-Newton with the second term": (
        GaussNewton,
        another(Hessian),
        {
            "gauss-newton": ["two_weights_gauss_newton", "gauss_newton_at_the_saddle", "gauss_newton_is_positive"],
            "equality": ["split_at_logits", "split_at_probabilities", "split_at_log_probabilities"],
            "quadratic-model": ["order_of_gauss_newton"],
            "invariance": ["gauss_newton_is_a_metric"],
            "twins": ["gauss_newton_units"],
        },
    ),
    "Gauss-Newton with F_R for H_L": (
        GaussNewton,
        another(Fisher),
        {
            "gauss-newton": ["convexity_is_needed"],
            "equality": ["variance_hessian", "log_variance_determinant", "split_at_probabilities"],
        },
    ),
    "the Fisher, 1 % too small": (
        Fisher,
        times(0.99),
        {
            "distribution-space": ["steepest_direction", "divergence_of_a_step", "natural_gradient_shrinks_evenly"],
            "fisher": ["expected_outer_product", "remainder_of_the_divergence", "divergence_of_a_gaussian_mean"],
            "equality": ["variance_fisher", "log_variance_fisher", "natural_fisher", "softmax_log_probabilities"],
            "newton": ["logistic_newton", "logistic_reweighted", "softmax_newton"],
            "damping": ["damped_errors"],
            "empirical-fisher": ["fisher_converges"],
            "invariance": ["mean_parameters", "christoffel"],
            "interpretation": ["softmax_fit", "squared_error_fit", "student_fit", "every_output_gets_there"],
            "asymptotics": ["the_optimizer_makes_the_chain"],
            "kronecker": ["linear_network"],
        },
    ),
    "the Fisher with the training labels": (
        Fisher,
        another(EmpiricalFisher),
        {
            "fisher": ["expected_hessian_of_softmax", "sampled_labels_average_to_the_fisher", "sampling_error"],
            "equality": ["variance_fisher", "split_at_logits"],
            "empirical-fisher": ["fisher_scales_with_the_targets", "noise_quadruples", "apart_on_a_network"],
            "interpretation": ["softmax_fit", "null_space"],
        },
    ),
    "the Fisher with one sampled label": (
        Fisher,
        another(MonteCarloFisher),
        {
            "fisher": ["expected_hessian_of_softmax", "divergence_of_a_gaussian_mean"],
            "interpretation": ["student_fit", "null_space"],
            "kronecker": ["linear_network"],
        },
    ),
    "the Fisher with H_L for F_R": (
        Fisher,
        another(GaussNewton),
        {
            "distribution-space": ["steepest_direction"],
            "equality": ["variance_fisher", "log_variance_fisher", "fisher_does_not_see_the_split"],
            "newton": ["probit_scoring"],
            "invariance": ["mean_parameters", "flow"],
            "interpretation": ["student_fit"],
        },
    ),
    "the empirical Fisher, 1 % too large": (
        EmpiricalFisher,
        times(1.01),
        {
            "fisher": ["expected_outer_product"],
            "equality": ["split_at_probabilities"],
            "diagonal": ["batches_of_one", "batches_of_three"],
        },
    ),
    "the empirical Fisher with the model's labels": (
        EmpiricalFisher,
        another(Fisher),
        {
            "gauss-newton": ["without_residuals_no_empirical_fisher"],
            "equality": ["split_at_probabilities"],
            "empirical-fisher": ["empirical_fisher_scales_against_them", "noise_quadruples", "apart_on_a_network"],
            "diagonal": ["batches_of_one"],
        },
    ),
    "the empirical Fisher about its mean": (
        EmpiricalFisher,
        centred,
        {"fisher": ["expected_outer_product"], "diagonal": ["batches_of_one", "batches_of_three"]},
    ),
    "sampled labels that are the training labels": (
        MonteCarloFisher,
        another(EmpiricalFisher),
        {
            "fisher": ["sampled_labels_average_to_the_fisher", "sampling_error"],
            "kronecker": ["one_case_kfac", "one_case_ekfac"],
        },
    ),
    "sampled labels without division by their number": (
        MonteCarloFisher,
        lambda matrix, dense: matrix.samples * dense,
        {"fisher": ["sampling_error"]},
    ),
    "K-FAC as the whole Fisher": (
        KFAC,
        another(Fisher),
        {"kronecker": ["linear_network", "nearer", "trace_of_kfac", "eigenvalues"]},
    ),
}


def assert_fail(names):
    """Each of the named claims, by stop and function, fails by what it measures, or since what is wrong is refused."""
    claims = {(stop.name, claim.measure.__name__): claim for stop in STOPS for claim in stop.claims}
    checks = {(stop, name): claims[stop, name].check() for stop, some in names.items() for name in some}
    assert {where: check.passed for where, check in checks.items()} == dict.fromkeys(checks, False)
    assert [check.why for check in checks.values() if check.why and not check.why.startswith("IndefiniteError")] == []


@pytest.fixture
def put_in_place(monkeypatch):
    """Put `change(matrix, dense)` in the place of a matrix of exactly this kind, whatever is asked of it."""

    def put(kind, change):
        dense, product = kind._dense, kind._product

        def changed(self):
            return change(self, dense(self)) if type(self) is kind else dense(self)

        monkeypatch.setattr(kind, "_dense", changed)
        monkeypatch.setattr(
            kind, "_product", lambda self, v: changed(self) @ v if type(self) is kind else product(self, v)
        )

    return put


@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_matrix_fails_its_own_checks(name, put_in_place):
    kind, change, names = BROKEN[name]
    put_in_place(kind, change)
    assert_fail(names)


def test_a_wrong_factor_of_kfac_fails_its_own_checks(monkeypatch):
    estimate = KFAC._estimate
    monkeypatch.setattr(KFAC, "_estimate", lambda self: [dataclasses.replace(f, g=1.01 * f.g) for f in estimate(self)])
    names = {"kronecker": ["linear_network", "one_case_kfac"]}
    assert_fail(names)


def test_kfac_whose_bias_is_apart_from_its_weights_is_not_invariant(monkeypatch):
    """E[āāᵀ] without what a and the constant 1 have in common."""
    estimate = KFAC._estimate

    def apart(self):
        found = estimate(self)
        for factors in found:
            factors.a[-1, :-1] = factors.a[:-1, -1] = 0
        return found

    monkeypatch.setattr(KFAC, "_estimate", apart)
    assert_fail({"twins": ["kfac_units", "kfac_inputs"]})


def test_ekfac_with_kfacs_eigenvalues_fails_its_own_checks(monkeypatch):
    monkeypatch.setattr(
        EKFAC,
        "_moments",
        lambda self: [(f.layer, u_g, u_a, torch.outer(d_g, d_a)) for f, (d_g, u_g), (d_a, u_a) in self.bases],
    )
    assert_fail({"kronecker": ["trace"]})


def test_ekfac_too_large_fails_its_own_checks(monkeypatch):
    moments = EKFAC._moments
    monkeypatch.setattr(EKFAC, "_moments", lambda self: [(*basis, 2 * scale) for *basis, scale in moments(self)])
    names = {"kronecker": ["trace", "nearer", "one_case_ekfac"]}
    assert_fail(names)

"""Instruments for researchers, each against brute force or a number known beforehand."""

import math

import numpy as np
import pytest
import torch

from ngexplorer.analysis.damping_filter import filtering
from ngexplorer.analysis.shifted_solutions import shifted
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian, exactness, noise_scale, subspaces
from ngexplorer.curvature.noise_scale import gradient_noise
from ngexplorer.curvature.spectrum_measures import spectrum_measures
from ngexplorer.curvature.subspaces import overlap, top_eigenspace
from ngexplorer.objectives.by_layers import layer_norms
from ngexplorer.optimizers import fishers, parts
from ngexplorer.optimizers.fishers import fisher_gap

# Gradient noise.


def brute_force(objective):
    """tr Σ, B_simple and B_noise from one gradient a case."""
    theta, decay = objective.initial_parameters, objective.weight_decay
    rows = torch.stack([objective.batch(torch.tensor([i])).gradient(theta) for i in range(objective.cases)])
    rows = rows - decay * theta
    sigma = rows.T @ rows / len(rows) - torch.outer(rows.mean(0), rows.mean(0))
    gradient, hessian = objective.gradient(theta), Hessian(objective, theta).dense()
    critical = (hessian @ sigma).trace() / gradient.dot(hessian @ gradient)
    return float(sigma.trace()), float(sigma.trace() / gradient.dot(gradient)), float(critical)


@pytest.mark.parametrize("name", ["classifier", "unseen", "moons"])
def test_the_noise_scale_is_that_of_one_gradient_a_case(name, request, monkeypatch):
    objective = request.getfixturevalue(name)
    monkeypatch.setattr(noise_scale, "_ROWS", 5)
    total, simple, critical = brute_force(objective)
    found = gradient_noise(objective.at(objective.initial_parameters))
    assert found.exact and found.cases == objective.cases
    assert found.total == pytest.approx(total, rel=1e-9) and found.simple == pytest.approx(simple, rel=1e-9)
    bent = Hessian(objective, objective.initial_parameters).dense()
    gradient = objective.gradient(objective.initial_parameters)
    if float(gradient.dot(bent @ gradient)) > 0:
        assert found.critical == pytest.approx(critical, rel=1e-8)
    else:
        assert math.isnan(found.critical)


def test_the_noise_is_what_batches_show(classifier):
    """E‖ḡ_b − ∇h‖² = tr Σ / b over batches of b with replacement: here for b = 1, all of them."""
    theta = classifier.initial_parameters
    found = gradient_noise(classifier.at(theta))
    whole = classifier.gradient(theta)
    singles = [classifier.batch(torch.tensor([i])).gradient(theta) for i in range(classifier.cases)]
    spread = np.mean([float((one - whole).square().sum()) for one in singles])
    assert found.total == pytest.approx(spread)


def test_equal_cases_have_no_noise(mlp, objective_of):
    from ngexplorer.objectives.losses import SquaredError

    objective = objective_of(mlp(3, 2), SquaredError()).batch(torch.tensor([2, 2, 2]))
    found = gradient_noise(objective.at(objective.initial_parameters))
    assert found.simple == pytest.approx(0, abs=1e-12)


def test_of_too_many_numbers_some_cases_are_drawn_and_it_says_so(digits, monkeypatch):
    point = digits.at(digits.initial_parameters)
    monkeypatch.setattr(exactness, "LARGEST_EXACT", 0)  # without the Hessian, which takes longer
    exact = gradient_noise(point)
    monkeypatch.setattr(noise_scale, "_WORK", 400 * digits.parameters)
    some = gradient_noise(point)
    assert exact.exact and not some.exact and some.cases == 400 and math.isnan(some.critical)
    assert some.simple == pytest.approx(exact.simple, rel=0.2)


def test_measuring_noise_is_abandoned(digits):
    with pytest.raises(Cancelled):
        gradient_noise(digits.at(digits.initial_parameters, Watch(lambda: True)))


# Subspaces.


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 30.0, 45.0, 60.0, 90.0])
def test_a_plane_turned_by_an_angle_overlaps_by_its_cosine_squared(degrees):
    """One of two directions turned: angles 0 and φ, overlap (1 + cos² φ)/2."""
    turned = math.radians(degrees)
    one = torch.eye(5, dtype=torch.float64)[:, :2]
    other = one.clone()
    other[1, 1], other[3, 1] = math.cos(turned), math.sin(turned)
    found = overlap(one, other)
    np.testing.assert_allclose(found.angles, [0, degrees], rtol=1e-8, atol=1e-12)
    assert found.overlap == pytest.approx((1 + math.cos(turned) ** 2) / 2)


def test_a_basis_of_the_same_space_overlaps_whole_and_a_random_one_hardly():
    generator = torch.Generator().manual_seed(0)
    one = torch.linalg.qr(torch.randn(400, 4, generator=generator, dtype=torch.float64))[0]
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))[0]
    other = torch.linalg.qr(torch.randn(400, 4, generator=generator, dtype=torch.float64))[0]
    assert overlap(one, one @ turn).overlap == pytest.approx(1)
    assert overlap(one, other).overlap < 0.05


@pytest.mark.parametrize("large", [False, True])
def test_the_top_eigenspace_is_the_dense_matrixs(classifier, monkeypatch, large):
    matrix = GaussNewton(classifier, classifier.initial_parameters)
    vectors = torch.linalg.eigh(matrix.dense())[1]
    if large:
        monkeypatch.setattr(subspaces, "_SMALL", 0)
    assert overlap(top_eigenspace(matrix, 3), vectors[:, -3:]).overlap == pytest.approx(1, abs=1e-5)


# The two Fishers.


def test_the_gap_between_the_fishers_is_that_of_their_dense_matrices(classifier):
    point = classifier.at(classifier.initial_parameters)
    found = fisher_gap(point, damping=0.1, k=3)
    decay = 0.01 * torch.eye(classifier.parameters, dtype=torch.float64)
    f, e = Fisher(classifier, point).dense() - decay, EmpiricalFisher(classifier, point).dense() - decay
    assert found.distance == pytest.approx(float((e - f).norm() / f.norm()))
    assert found.trace_ratio == pytest.approx(float(e.trace() / f.trace()))
    assert found.cosine == pytest.approx(float((e * f).sum() / (e.norm() * f.norm())))
    spaces = [torch.linalg.eigh(matrix)[1][:, -3:] for matrix in (f, e)]
    assert found.top.overlap == pytest.approx(overlap(*spaces).overlap, rel=1e-6)
    steps = [
        torch.linalg.solve(m.dense() + 0.1 * decay / 0.01, point.gradient)
        for m in (Fisher(classifier, point), EmpiricalFisher(classifier, point))
    ]
    assert found.step_cosine == pytest.approx(float(torch.cosine_similarity(*steps, dim=0)))


@pytest.mark.parametrize("name", ["digits", "unseen"])
def test_of_a_large_model_the_gap_is_estimated_and_says_so(name, request, monkeypatch):
    objective = request.getfixturevalue(name)
    exact = fisher_gap(objective.at(objective.initial_parameters), damping=0.1, k=3)
    for largest in ("LARGEST_EXACT", "LARGEST_BY_PRODUCTS"):
        monkeypatch.setattr(exactness, largest, 0)
    monkeypatch.setattr(parts.Auto, "largest_by_products", 0)
    point = objective.at(objective.initial_parameters)
    found = fisher_gap(point, damping=0.1, k=3)
    assert exact.exact and not found.exact
    assert found.distance == pytest.approx(exact.distance, rel=0.2)
    assert found.trace_ratio == pytest.approx(exact.trace_ratio, rel=0.2)
    assert found.cosine == pytest.approx(exact.cosine, abs=0.1)
    assert found.step_cosine == pytest.approx(exact.step_cosine, abs=1e-4)


def test_with_every_unit_vector_for_a_probe_the_estimate_is_exact(unseen, monkeypatch):
    """Weight decay left out of both."""
    exact = fisher_gap(unseen.at(unseen.initial_parameters), damping=0.1, k=3)
    monkeypatch.setattr(exactness, "LARGEST_BY_PRODUCTS", 0)
    monkeypatch.setattr(fishers, "random_signs", lambda size, *_: torch.eye(size, dtype=torch.float64))
    found = fisher_gap(unseen.at(unseen.initial_parameters), damping=0.1, k=3)
    assert not found.exact and found.distance == pytest.approx(exact.distance)
    assert (found.trace_ratio, found.cosine) == pytest.approx((exact.trace_ratio, exact.cosine))


def test_with_labels_that_the_model_itself_would_give_the_two_agree(mlp):
    """F̄ → F as the number of drawn labels grows: targets drawn from the model at θ."""
    import ngexplorer as ngx
    from ngexplorer.objectives.losses import SoftmaxCrossEntropy

    module = mlp(2, 3)
    x = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = SoftmaxCrossEntropy()
    y = loss.sample(module(x).detach(), torch.Generator().manual_seed(1))
    objective = ngx.Objective(module, loss, x, y)
    found = fisher_gap(objective.at(objective.initial_parameters), damping=1e-2, k=2)
    assert found.distance < 0.05 and found.cosine > 0.999 and found.trace_ratio == pytest.approx(1, abs=0.05)


# Layers.


def test_norms_by_layers_add_up(classifier):
    point = classifier.at(classifier.initial_parameters)
    gradient = point.gradient.numpy()
    found = layer_norms(classifier, point.theta.numpy(), -0.5 * gradient, gradient)
    assert math.sqrt((found.gradient**2).sum()) == pytest.approx(np.linalg.norm(gradient))
    np.testing.assert_allclose(found.step, 0.5 * found.gradient)
    np.testing.assert_allclose(found.cosine, 1)
    assert found.parameters[0] == pytest.approx(np.linalg.norm(point.theta.numpy()[:16]))
    np.testing.assert_allclose(found.relative, found.step / found.parameters)


# Spectra.


def test_the_measures_of_a_known_spectrum():
    found = spectrum_measures(np.array([4.0, 1.0, 1.0, -2.0]), damping=3.0)
    assert (found.largest, found.smallest, found.negatives) == (4, -2, 1)
    shares = np.array([4, 1, 1, 2]) / 8
    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert found.stable_rank == pytest.approx((16 + 1 + 1 + 4) / 16)
    assert found.effective_dimension == pytest.approx(4 / 7 + 1 / 4 + 1 / 4)
    assert found.condition == 4 and found.damped_condition == pytest.approx(7 / 1)
    assert found.largest_rate == 0.5 and found.rate_share(0.1) == pytest.approx(0.2)


def test_equal_eigenvalues_have_full_rank_and_condition_one():
    found = spectrum_measures(np.full(6, 3.0))
    assert found.effective_rank == pytest.approx(6) and found.stable_rank == pytest.approx(6)
    assert found.effective_dimension == 6 and found.condition == 1


def test_what_is_zero_to_rounding_is_no_negative_eigenvalue():
    assert spectrum_measures(np.array([1.0, 0.5, -1e-17])).negatives == 0
    assert spectrum_measures(np.array([1.0, 0.5, -1e-9])).negatives == 1
    assert spectrum_measures(np.array([1.0, -1e-9]), epsilon=1.2e-7).negatives == 0
    assert math.isnan(spectrum_measures(np.array([1.0, -1.0])).damped_condition)
    assert spectrum_measures(np.array([-1.0])).largest_rate == math.inf
    assert spectrum_measures(np.zeros(3)).effective_rank == 0
    with pytest.raises(ValueError, match="none"):
        spectrum_measures(np.empty(0))


def test_above_two_over_the_largest_eigenvalue_gradient_descent_diverges(quadratic):
    import ngexplorer as ngx

    objective = quadratic()
    rate = spectrum_measures(Hessian(objective, objective.initial_parameters).eigenvalues().numpy()).largest_rate
    losses = {}
    for share in (0.98, 1.02):
        optimizer = ngx.optimizers.make("gradient-descent", learning_rate=share * rate)
        losses[share] = ngx.run(objective, optimizer, steps=400)["loss"]
    assert losses[0.98][-1] < losses[0.98][200] and losses[1.02][-1] > losses[1.02][200]


# The damping filter.


def test_the_filter_is_what_the_damped_step_keeps_of_newtons(classifier, finest):
    point = classifier.at(classifier.initial_parameters)
    matrix = GaussNewton(classifier, point)
    solution = finest(shifted(matrix, point.gradient))
    found = filtering(solution, 0.05)
    assert found.energy.sum() == pytest.approx(1)
    values, vectors = torch.linalg.eigh(matrix.dense())
    inside = vectors.T @ point.gradient
    np.testing.assert_allclose(found.eigenvalues, values.numpy(), atol=1e-12)
    np.testing.assert_allclose(found.filter, (values / (values + 0.05)).numpy(), atol=1e-10)
    step, newton = solution.steps(np.array([0.05]))[0], -(vectors @ (inside / values))
    expected = (vectors.T @ step / (vectors.T @ newton)).numpy()
    np.testing.assert_allclose(found.filter, expected, rtol=1e-5)
    promised = float(point.gradient.dot(step) + 0.5 * step.dot(matrix @ step))
    assert found.promise.sum() == pytest.approx(promised)
    above = values > 0.05
    assert found.kept == pytest.approx(float(inside[above].square().sum() / inside.square().sum()))
    assert found.cut_directions == int((~above).sum())


def test_more_damping_keeps_less(classifier, finest):
    point = classifier.at(classifier.initial_parameters)
    solution = finest(shifted(GaussNewton(classifier, point), point.gradient))
    kept = [filtering(solution, damping).kept for damping in (1e-4, 0.05, 0.3, 100.0)]
    assert kept == sorted(kept, reverse=True) and kept[0] == pytest.approx(1) and kept[-1] == 0


def test_where_the_damped_curvature_is_not_positive_there_is_no_filter(saddle, finest):
    point = saddle.at(saddle.initial_parameters)
    solution = finest(shifted(Hessian(saddle, point), point.gradient))
    assert np.isnan(filtering(solution, 0.5).filter[0]) and filtering(solution, 2.0).filter[0] == -1

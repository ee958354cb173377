"""K-FAC and EKFAC as optimizers: running averages, inverses that serve for some steps, α and μ from the exact model."""

import pytest
import torch

import ngexplorer as ngx
from ngexplorer import curvature
from ngexplorer.objectives.losses import SoftmaxCrossEntropy, SquaredError
from ngexplorer.optimizers import Optimizer, make, parts

norm = torch.linalg.vector_norm


@pytest.fixture
def classifier(mlp, objective_of):
    return objective_of(mlp(3, 4, 3), SoftmaxCrossEntropy(), cases=30, weight_decay=0.01)


def plain(kind=parts.KFAC, damping=0.3, rate=0.5, **settings):
    """Steps of the rate along the direction: no model, no momentum, λ as it is."""
    return Optimizer(learning_rate=rate, curvature=kind(**settings), damping=parts.ConstantDamping(value=damping))


def factors_at(point, seed, labels="sampled"):
    """(A, G) of every layer of (W b) by hand, with the labels that the step's seed draws."""
    layers, kfac = [], curvature.KFAC(point.objective, point, labels, seed)
    for f in kfac.factors:
        layers.append((f.layer, f.a.clone(), f.g.clone()))
    return layers


def damped_step(layers, gradient, shift):
    """−(G + γ/π I)⁻¹ ∇W (A + πγI)⁻¹ layer by layer, γ² = λ + η, π² = (tr A/d_A)/(tr G/d_G)."""
    step, gamma = torch.empty_like(gradient), shift**0.5
    for layer, a, g in layers:
        pi = ((a.trace() / len(a)) / (g.trace() / len(g))) ** 0.5
        matrix = gradient[layer.weight_at].view(layer.outputs, layer.inputs)
        matrix = torch.cat((matrix, gradient[layer.bias_at][:, None]), 1)
        left = g + gamma / pi * torch.eye(len(g)).double()
        right = a + pi * gamma * torch.eye(len(a)).double()
        solved = -torch.linalg.solve(left, matrix) @ torch.linalg.inv(right)
        step[layer.weight_at] = solved[:, : layer.inputs].reshape(-1)
        step[layer.bias_at] = solved[:, layer.inputs]
    return step


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.95])
def test_running_averages_are_those_written_down(decay, classifier):
    """A_k = εA_{k−1} + (1 − ε)Â with ε = min(1 − 1/k, decay): by hand, the labels drawn from each step's own seed."""
    stepper, averages = plain(decay=decay).start(classifier, seed=3), None
    for k in range(1, 6):
        point = stepper.point
        stepper.step()
        fresh = factors_at(point, 3 * 1_000_003 + k)
        share = min(1 - 1 / k, decay)
        averages = (
            fresh
            if averages is None
            else [
                (layer, share * a + (1 - share) * new_a, share * g + (1 - share) * new_g)
                for (layer, a, g), (_, new_a, new_g) in zip(averages, fresh, strict=True)
            ]
        )
        for mine, (_, a, g) in zip(stepper._memory.factors, averages, strict=True):
            torch.testing.assert_close(mine.a, a, rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(mine.g, g, rtol=1e-12, atol=1e-14)
        expected = 0.5 * damped_step(averages, point.gradient, 0.3 + 0.01)
        torch.testing.assert_close(stepper.point.theta - point.theta, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("refresh", [1, 3])
def test_inverses_serve_until_they_are_refreshed(refresh, classifier):
    """Every `refresh` steps the averages of then are inverted; in between the old inverses meet the new gradient."""
    stepper = plain(refresh=refresh, decay=0.9).start(classifier)
    used = None
    for k in range(7):
        point = stepper.point
        stepper.step()
        if k % refresh == 0:
            used = [(f.layer, f.a, f.g) for f in stepper._memory.factors]
        expected = 0.5 * damped_step(used, point.gradient, 0.31)
        torch.testing.assert_close(stepper.point.theta - point.theta, expected, rtol=1e-8, atol=1e-12)


def test_a_rejected_trial_is_tried_again_along_another_direction(classifier):
    """4λ in the factors: old inverses would give the same rejected step ten times over."""
    stepper = make("kfac", step="fixed", momentum="none", damping={"initial": 1e-4}, curvature={"refresh": 5}).start(
        classifier
    )
    rejected = 0
    for _ in range(8):
        before, point = stepper.damping, stepper.point
        step = stepper.step()
        assert step.outcome.startswith("accepted")
        if step.rejected_trials:
            assert step.damping == pytest.approx(before * 4**step.rejected_trials)
            averages = [(f.layer, f.a, f.g) for f in stepper._memory.factors]
            expected = damped_step(averages, point.gradient, step.damping + 0.01)
            torch.testing.assert_close(stepper.point.theta - point.theta, expected, rtol=1e-7, atol=1e-10)
        rejected += step.rejected_trials
    assert rejected > 0


def test_ekfac_steps_are_exact_in_the_averages_basis(classifier):
    """−U(Uᵀ∇h/(s + λ + η)) with U of the averaged factors and s of this step's gradients."""
    stepper = plain(parts.EKFAC, decay=0.9).start(classifier, seed=1)
    for k in range(1, 5):
        point = stepper.point
        stepper.step()
        averages = list(stepper._memory.factors)
        matrix = curvature.EKFAC(classifier, point, "sampled", 1_000_003 + k).with_factors(averages).dense()
        damped = matrix + 0.3 * torch.eye(len(matrix)).double()
        expected = -0.5 * torch.linalg.solve(damped, point.gradient)
        torch.testing.assert_close(stepper.point.theta - point.theta, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("refresh", "scalings"), [(3, 1), (4, 2), (2, 5)])
def test_an_eigenbasis_and_its_second_moments_serve_until_they_are_refreshed(refresh, scalings, classifier):
    """−U diag(1/(s + λ + η)) Uᵀ∇h by dense matrices: U of the averages of step j, s of the gradients of step i in it,
    both looked at every so many steps; a new basis has new moments."""
    stepper = plain(parts.EKFAC, decay=0.9, refresh=refresh, scalings=scalings).start(classifier, seed=1)
    based = scaled = 0
    for k in range(1, 10):
        point = stepper.point
        stepper.step()
        if based == 0 or k - based >= refresh:
            based = scaled = k
            basis = []
            for f in stepper._memory.factors:
                basis.append((f.layer, torch.linalg.eigh(f.g)[1], torch.linalg.eigh(f.a)[1]))
        if k - scaled >= scalings:
            scaled = k
        if scaled == k:
            moments = squares_in(basis, point, 1_000_003 + k)
        delta = torch.empty_like(point.theta)
        for (layer, left, right), s in zip(basis, moments, strict=True):
            matrix = torch.cat(
                (point.gradient[layer.weight_at].view(layer.outputs, -1), point.gradient[layer.bias_at][:, None]), 1
            )
            solved = -0.5 * left @ ((left.T @ matrix @ right) / (s + 0.3 + 0.01)) @ right.T
            delta[layer.weight_at] = solved[:, :-1].reshape(-1)
            delta[layer.bias_at] = solved[:, -1]
        torch.testing.assert_close(stepper.point.theta - point.theta, delta, rtol=1e-7, atol=1e-11)


def squares_in(basis, point, seed):
    """E[(U_Gᵀ g U_A)²] of every layer, case by case, for the labels that a seed draws."""
    labels = point.objective.loss.sample(point.outputs, torch.Generator().manual_seed(seed))
    totals = [0.0] * len(basis)
    cases = point.objective.cases
    for n in range(cases):
        one = ngx.Objective(
            point.objective.model, point.objective.loss, point.objective.inputs[n : n + 1], labels[n : n + 1]
        )
        gradient = one.gradient(point.theta)
        for at, (layer, left, right) in enumerate(basis):
            matrix = torch.cat((gradient[layer.weight_at].view(layer.outputs, -1), gradient[layer.bias_at][:, None]), 1)
            totals[at] = totals[at] + (left.T @ matrix @ right).square() / cases
    return totals


def test_gamma_is_the_candidate_whose_step_has_the_lowest_model(classifier):
    """γω, γ and γ/ω with ω = √(19/20)^T₂ every T₂ steps: M(δ) of each by dense matrices, α and μ from the 2×2 system;
    between two choices γ stays, whatever λ does."""
    every = 3
    stepper = make("kfac", curvature={"adapt": every, "refresh": 1}, damping={"initial": 0.5}).start(classifier)
    before, chosen, gamma = None, set(), (0.5 + 0.01) ** 0.5
    for k in range(1, 16):
        point = stepper.point
        step = stepper.step()
        averages = [(f.layer, f.a, f.g) for f in stepper._memory.factors]
        shift = step.damping * torch.eye(len(point.theta)).double()
        damped = curvature.Fisher(classifier, point).dense() + shift

        def lowest(candidate, point=point, averages=averages, damped=damped, before=before):
            span = [damped_step(averages, point.gradient, candidate**2)] + ([] if before is None else [before])
            span = torch.stack(span, 1)
            delta = -span @ torch.linalg.solve(span.T @ damped @ span, span.T @ point.gradient)
            return float(point.gradient @ delta + 0.5 * delta @ damped @ delta), delta

        if k % every == 0:
            factors = (1.0, 0.95 ** (every / 2), 0.95 ** (-every / 2))
            best = min(factors, key=lambda factor: lowest(gamma * factor)[0])
            gamma *= best
            chosen.add(best)
        assert step.rejected_trials == 0
        assert stepper._memory.gamma == pytest.approx(gamma, rel=1e-12)
        before = stepper.point.theta - point.theta
        promised, delta = lowest(gamma)
        torch.testing.assert_close(before, delta, rtol=1e-6, atol=1e-9)
        assert step.predicted_change_damped == pytest.approx(promised, rel=1e-7)
    assert len(chosen) > 1


def test_a_chosen_gamma_rises_with_the_damping_of_a_rejected_trial(classifier):
    """As √λ does, or the rejected direction would be tried again."""
    stepper = make(
        "kfac",
        learning_rate=20.0,
        step="fixed",
        momentum="none",
        damping={"initial": 1e-4},
        curvature={"refresh": 5, "adapt": 20},
    ).start(classifier)
    step = stepper.step()
    assert step.rejected_trials > 0 and step.outcome.startswith("accepted")
    assert stepper._memory.gamma == pytest.approx((1e-4 + 0.01) ** 0.5 * 2**step.rejected_trials)


@pytest.mark.parametrize("name", ["kfac", "ekfac"])
def test_an_edit_of_the_curvature_makes_everything_anew(name, classifier):
    stepper = make(name, curvature={"refresh": 1000}).start(classifier)
    stepper.step()
    stepper.edit("curvature.sharing", "reduce")
    assert stepper._memory.inverses == stepper._memory.basis == ()
    stepper.step()
    assert stepper._memory.inverted_at == 2


@pytest.mark.parametrize("name", ["kfac", "ekfac"])
def test_the_model_has_the_exact_fisher_and_its_damping_in_it(name, classifier):
    """α and μ minimize gᵀδ + ½δᵀ(F + (λ + η)I)δ: at the minimum its slope along d and δ₀ is zero."""
    stepper = make(name).start(classifier)
    before = None
    for _ in range(5):
        point = stepper.point
        step = stepper.step()
        delta = stepper.point.theta - point.theta
        fisher = curvature.Fisher(classifier, point).dense()
        left = point.gradient + fisher @ delta + step.damping * delta
        assert abs(float(left @ delta)) < 1e-10 * float(norm(point.gradient) * norm(delta))
        if before is not None:
            assert abs(float(left @ before)) < 1e-9 * float(norm(point.gradient) * norm(before))
            assert step.momentum == step.momentum
        assert step.predicted_change == pytest.approx(
            float(point.gradient @ delta + 0.5 * delta @ fisher @ delta), rel=1e-8
        )
        before = delta


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_e25_the_joint_rule_is_preconditioned_conjugate_gradient(decay, mlp, objective_of):
    """A linear network with squared error: h is quadratic. With K-FAC's inverse kept, α and μ of the undamped model
    are conjugate gradient preconditioned by it: five iterates to 1e-12."""
    objective = objective_of(mlp(4, 6), SquaredError(), cases=40, inputs=4, weight_decay=decay)
    curvature_part = parts.KFAC(refresh=10_000)
    optimizer = Optimizer(curvature=curvature_part, step=parts.ModelMinimum(), momentum=parts.HeavyBall())
    stepper = optimizer.start(objective)
    point = stepper.point
    inverse = torch.stack([curvature.KFAC(objective, point, "sampled", 1).solve(e) for e in torch.eye(30).double()], 1)
    hessian = curvature.Hessian(objective, point).dense()
    x, r = point.theta, point.gradient
    y = inverse @ r
    p = -y
    gaps = []
    for _ in range(5):
        alpha = (r @ y) / (p @ hessian @ p)
        x, after = x + alpha * p, r + alpha * hessian @ p
        fresh = inverse @ after
        p = (after @ fresh) / (r @ y) * p - fresh
        r, y = after, fresh
        step = stepper.step()
        assert step.reduction_ratio == pytest.approx(1, rel=1e-6) or step.gradient_norm < 1e-6
        gaps.append(float((stepper.point.theta - x).abs().max()))
    assert max(gaps) < 1e-12
    assert float(norm(r)) > 1e-6  # not yet at the end


def test_exact_labels_need_no_seed_and_training_labels_are_the_datas(classifier):
    for labels in ("exact", "training"):
        ends = []
        for seed in (0, 9):
            stepper = plain(labels=labels).start(classifier, seed=seed)
            point = stepper.point
            stepper.step()
            ends.append(stepper.point.theta)
        assert torch.equal(*ends)
        expected = 0.5 * damped_step(factors_at(point, 0, labels), point.gradient, 0.31)
        torch.testing.assert_close(stepper.point.theta - point.theta, expected, rtol=1e-8, atol=1e-12)


def test_an_undamped_factor_that_is_singular_is_refused_and_damped_by_the_rule(mlp, objective_of):
    """Two cases cannot fill a factor of four inputs and a bias."""
    objective = objective_of(mlp(4, 3), SoftmaxCrossEntropy(), cases=2, inputs=4)
    with pytest.raises(ngx.curvature.IndefiniteError, match="a factor"):
        Optimizer(curvature=parts.KFAC()).start(objective).step()
    step = make("kfac", damping={"initial": 1e-12}).start(objective).step()
    assert step.loss_after < step.loss_before


@pytest.mark.parametrize("name", ["kfac", "ekfac"])
def test_a_step_that_leads_nowhere_leaves_the_averages_as_they_were(name, classifier):
    stepper = make(name, damping={"initial": 1e-6}, step="fixed", momentum="none", learning_rate=1e6).start(classifier)
    step = stepper.step()
    assert step.outcome == "no step: loss rose"
    assert stepper._memory.factors == stepper._memory.inverses == ()
    assert stepper._memory.count == 1  # other labels are drawn next

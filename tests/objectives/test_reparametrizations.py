"""In other coordinates an objective is the same function, and its matrices are those of the chain rule."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ngexplorer.curvature import Fisher, GaussNewton, Hessian
from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.landscapes import GaussianLikelihood, TwoWeightNetwork
from ngexplorer.objectives.losses import BernoulliLogits, GaussianNLL, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.objectives.reparametrizations import (
    CUBIC,
    LOGARITHMIC,
    SINH,
    AffineMap,
    Scaling,
    gaussian_map,
    reparametrized,
    sigmoid_as_tanh,
    tanh_as_sigmoid,
    whitening,
    with_affine_inputs,
)

FIVE = ("variance", "log-variance", "precision", "natural", "mean")
PAIRS = [(source, target) for source in FIVE for target in FIVE if source != target]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def well_conditioned(size, seed=5):
    """A matrix that is no multiple of an orthogonal one, with singular values from about 0.5 to 2."""
    q, _ = torch.linalg.qr(drawn(size, size, seed=seed))
    r, _ = torch.linalg.qr(drawn(size, size, seed=seed + 1))
    return q * torch.linspace(0.5, 2, size, dtype=torch.float64) @ r


def positive(size, seed=7):
    matrix = well_conditioned(size, seed)
    return matrix @ matrix.T


# Every map for P parameters; those with an elementwise part are not affine.
AFFINE = {
    "affine": lambda p: AffineMap(well_conditioned(p), drawn(p, seed=2)),
    "scaling": lambda p: Scaling(torch.linspace(-2, 2.5, p, dtype=torch.float64)),
    "whitening": lambda p: whitening(positive(p), drawn(p, seed=3)),
    "scaling, then affine": lambda p: AFFINE["scaling"](p).then(AFFINE["affine"](p)),
}
BENT = {
    "logarithmic": lambda p: LOGARITHMIC,
    "sinh": lambda p: SINH,
    "cubic": lambda p: CUBIC,
    "affine, then sinh": lambda p: AFFINE["affine"](p).then(SINH),
    "cubic, then whitening, then scaling": lambda p: AFFINE["scaling"](p) @ AFFINE["whitening"](p) @ CUBIC,
    "cubic, then sinh, then logarithmic": lambda p: CUBIC.then(SINH).then(LOGARITHMIC),
}
MAPS = AFFINE | BENT


@pytest.fixture(scope="module")
def positive_net(mlp, objective_of):
    """A small objective whose parameters are all positive, so that every map reaches them."""

    def make(loss=None, weight_decay=0.0, activation=nn.Tanh):
        module = mlp(3, 2, 2, activation=activation)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.abs_()
        return objective_of(module, loss or SoftmaxCrossEntropy(), weight_decay=weight_decay)

    return make


def jacobian(change, gamma):
    """D = ∂θ/∂γ, (P, P)."""
    return change.vjp(gamma, torch.eye(len(gamma), dtype=gamma.dtype))


# Maps by themselves.


def check_map(change, gamma):
    """Derivatives against torch.func, for a direction and for rows of them; there and back for many points."""
    w, v = drawn(*gamma.shape, seed=8), drawn(*gamma.shape, seed=9)
    expected = torch.func.jacrev(change.forward)(gamma)
    close = {"rtol": 1e-8, "atol": 1e-10}
    torch.testing.assert_close(change.jvp(gamma, v), expected @ v, **close)
    torch.testing.assert_close(change.vjp(gamma, w), w @ expected, **close)
    eye = torch.eye(len(gamma), dtype=gamma.dtype)
    torch.testing.assert_close(change.vjp(gamma, eye), expected, **close)
    torch.testing.assert_close(change.jvp(gamma, eye), expected.T, **close)
    bend = torch.func.hessian(lambda g: change.forward(g).dot(w))(gamma)
    torch.testing.assert_close(change.second(gamma, w, v), bend @ v, **close)
    torch.testing.assert_close(change.second(gamma, w, eye), bend, **close)
    many = torch.stack((gamma, gamma * 1.01))
    torch.testing.assert_close(change.forward(many)[0], change.forward(gamma), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(change.inverse(change.forward(many)), many, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", MAPS)
def test_derivatives_of_maps_are_those_of_automatic_differentiation(name):
    check_map(MAPS[name](5), 0.3 + 0.4 * drawn(5, seed=4).abs())


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " to ".join(pair))
def test_derivatives_of_gaussian_maps_are_those_of_automatic_differentiation(pair):
    source, target = pair
    gamma = gaussian_map("variance", source).forward(torch.tensor([0.7, 0.6], dtype=torch.float64))
    check_map(gaussian_map(source, target), gamma)


reals = st.floats(-20, 20)


@pytest.mark.parametrize("change", [SINH, CUBIC], ids=lambda change: change.title)
@given(reals)
def test_elementwise_maps_go_there_and_back(change, x):
    theta = torch.tensor([x], dtype=torch.float64)
    torch.testing.assert_close(change.forward(change.inverse(theta)), theta, rtol=1e-12, atol=1e-300)
    torch.testing.assert_close(change.inverse(change.forward(theta)), theta, rtol=1e-12, atol=1e-300)


@given(st.floats(1e-6, 1e6))
def test_logarithmic_coordinates_are_for_positive_parameters(x):
    theta = torch.tensor([x], dtype=torch.float64)
    torch.testing.assert_close(LOGARITHMIC.forward(LOGARITHMIC.inverse(theta)), theta, rtol=1e-12, atol=0)
    assert torch.isnan(LOGARITHMIC.inverse(-theta)).all()


@given(st.lists(reals, min_size=4, max_size=4))
def test_affine_maps_go_there_and_back(values):
    theta = torch.tensor(values, dtype=torch.float64)
    for make in AFFINE.values():
        change = make(4)
        torch.testing.assert_close(change.forward(change.inverse(theta)), theta, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " to ".join(pair))
@given(mean=st.floats(-3, 3), variance=st.floats(0.3, 4))
def test_gaussian_maps_go_there_and_back(pair, mean, variance):
    source, target = pair
    change = gaussian_map(source, target)
    gamma = gaussian_map("variance", source).forward(torch.tensor([mean, variance], dtype=torch.float64))
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(change.inverse(change.forward(gamma)), gamma, **close)
    torch.testing.assert_close(gaussian_map(target, source).forward(change.forward(gamma)), gamma, **close)


def test_impossible_maps_are_refused():
    flat = torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"matrix: singular values down to .*; an invertible matrix is accepted"):
        AffineMap(flat)
    with pytest.raises(ValueError, match=r"matrix: shape \(2, 3\); a square matrix is accepted"):
        AffineMap(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"offset: shape \(3,\); \(2,\) is accepted"):
        AffineMap(torch.eye(2), torch.zeros(3))
    with pytest.raises(ValueError, match="scales: finite numbers other than 0"):
        Scaling(torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="a positive definite matrix is accepted"):
        whitening(flat)
    with pytest.raises(ValueError, match=r"maps: scaling takes 3 parameters and affine map 2"):
        Scaling(torch.ones(3)).then(AffineMap(torch.eye(2)))


def test_a_map_that_does_not_reach_the_start_is_refused(mlp, objective_of):
    objective = objective_of(mlp(3, 2), SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="the initial parameters have no place in logarithmic coordinates"):
        reparametrized(objective, LOGARITHMIC)
    with pytest.raises(ValueError, match="change: scaling takes 3 parameters; there are 8"):
        reparametrized(objective, Scaling(torch.ones(3)))


# Objectives behind a map.


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SquaredError(variance=0.4)], ids=lambda loss: loss.title)
def test_a_reparametrized_objective_is_the_composed_function(name, loss, positive_net, reference, close):
    objective = positive_net(loss)
    changed = reparametrized(objective, MAPS[name](objective.parameters))
    gamma = changed.initial_parameters
    close(changed.to_theta(gamma), objective.initial_parameters, rtol=1e-10)
    gamma = gamma + 0.05 * drawn(len(gamma), seed=6)
    theta = changed.to_theta(gamma)
    expected = reference(changed, gamma)
    close(changed.value(gamma), objective.value(theta), rtol=1e-12)
    close(changed.outputs(gamma), objective.outputs(theta), rtol=1e-12)
    close(changed.gradient(gamma), expected.gradient)
    for kind, matrix in (
        (GaussNewton, expected.gauss_newton),
        (Fisher, expected.fisher),
        (Hessian, expected.hessian),
    ):
        curvature = kind(changed, gamma)
        v = drawn(len(gamma), 3, seed=1)
        close(curvature.dense(), matrix, atol=1e-9)
        close(curvature @ v, matrix @ v, atol=1e-8)
        close(curvature @ v[:, 0], matrix @ v[:, 0], atol=1e-8)


@pytest.mark.parametrize("name", MAPS)
def test_e17_curvature_transforms_as_a_metric_but_for_the_hessian_of_a_bent_map(name, positive_net, close):
    objective = positive_net()
    changed = reparametrized(objective, MAPS[name](objective.parameters))
    gamma = changed.initial_parameters
    theta, d = changed.to_theta(gamma), jacobian(changed.change, gamma)
    for kind in (GaussNewton, Fisher):
        close(kind(changed, gamma).dense(), d.T @ kind(objective, theta).dense() @ d, atol=1e-10)
    difference = Hessian(changed, gamma).dense() - d.T @ Hessian(objective, theta).dense() @ d
    if name in AFFINE:
        assert float(difference.abs().max()) < 1e-10
    else:
        assert float(difference.abs().max()) > 1e-3


def test_where_the_gradient_vanishes_the_hessian_transforms_as_a_metric_too(close):
    objective = assemble(TwoWeightNetwork(), LandscapeModel(), SquaredError())
    theta = torch.tensor(TwoWeightNetwork.minima[0], dtype=torch.float64)
    changed = reparametrized(objective, SINH)
    gamma = SINH.inverse(theta)
    d = jacobian(SINH, gamma)
    close(Hessian(changed, gamma).dense(), d.T @ Hessian(objective, theta).dense() @ d, atol=1e-12)


def natural_step(objective, theta, damping=0.0):
    return Fisher(objective, theta).solve(objective.gradient(theta), damping)


@pytest.mark.parametrize("name", AFFINE)
def test_natural_gradient_goes_the_same_way_whatever_the_affine_map(name, quadratic, close):
    """And a damped one does not: identity damping belongs to its coordinates (E17)."""
    objective = quadratic(parameters=4)
    changed = reparametrized(objective, AFFINE[name](4))
    theta, gamma = objective.initial_parameters, changed.initial_parameters
    after = changed.to_theta(gamma - 0.7 * natural_step(changed, gamma))
    close(after, theta - 0.7 * natural_step(objective, theta), rtol=1e-10, atol=1e-10)
    after = changed.to_theta(gamma - natural_step(changed, gamma, 0.5))
    assert float((after - theta + natural_step(objective, theta, 0.5)).abs().max()) > 1e-3


@pytest.mark.parametrize("change", [SINH, CUBIC], ids=lambda change: change.title)
def test_natural_gradient_depends_on_a_bent_map_in_second_order_only(change, quadratic):
    objective = quadratic(parameters=4)
    changed = reparametrized(objective, change)
    theta, gamma = objective.initial_parameters, changed.initial_parameters

    def gap(rate):
        after = changed.to_theta(gamma - rate * natural_step(changed, gamma))
        return float(torch.linalg.vector_norm(after - theta + rate * natural_step(objective, theta)))

    assert gap(1e-2) / gap(5e-3) == pytest.approx(4, rel=0.05)


def test_whitened_coordinates_have_the_identity_for_curvature_and_gradient_descent_for_natural_gradient(
    quadratic, close
):
    objective = quadratic(parameters=4)
    theta = objective.initial_parameters
    fisher = Fisher(objective, theta).dense()
    changed = reparametrized(objective, whitening(fisher, centre=theta))
    gamma = changed.initial_parameters
    close(gamma, torch.zeros_like(theta))
    close(Fisher(changed, gamma).dense(), torch.eye(4).double(), atol=1e-10)
    close(changed.to_theta(gamma - 0.3 * changed.gradient(gamma)), theta - 0.3 * natural_step(objective, theta))


def test_a_trajectory_maps_back_point_by_point(positive_net, close):
    objective = positive_net()
    changed = reparametrized(objective, BENT["affine, then sinh"](objective.parameters))
    path = [changed.initial_parameters]
    for _ in range(5):
        path.append(path[-1] - 0.1 * changed.gradient(path[-1]))
    thetas = changed.to_theta(torch.stack(path))
    assert thetas.shape == (6, objective.parameters)
    for gamma, theta in zip(path, thetas, strict=True):
        close(objective.value(theta), changed.value(gamma), rtol=1e-12)


def test_a_batch_of_a_reparametrized_objective_is_the_reparametrized_batch(positive_net, close):
    objective = positive_net()
    some = torch.tensor([4, 0, 1])
    changed = reparametrized(objective, SINH)
    gamma = changed.initial_parameters
    expected = reparametrized(objective.batch(some), SINH)
    close(changed.batch(some).gradient(gamma), expected.gradient(gamma))
    close(Hessian(changed.batch(some), gamma).dense(), Hessian(expected, gamma).dense())


@pytest.mark.parametrize("chunk", [None, 2])
def test_rows_and_outer_products_are_those_of_the_jacobian(chunk, positive_net, reference, close):
    """What sample space and the empirical Fisher matrix are made of, with all cases at once and in chunks."""
    plain = positive_net()
    plain = Objective(plain.model, plain.loss, plain.inputs, plain.targets, chunk=chunk)
    changed = reparametrized(plain, BENT["affine, then sinh"](plain.parameters))
    gamma = changed.initial_parameters
    point, j = changed.at(gamma), reference(changed, gamma).jacobian
    root, u, v = drawn(len(j), 2, 3, seed=1), drawn(len(j), 2, seed=2), drawn(len(gamma), 4, seed=3)
    close(point.rows(root), torch.einsum("ncr,ncp->nrp", root, j).flatten(0, 1))
    gradients = torch.einsum("nc,ncp->np", u, j)
    close(point.outer_product(u, v), gradients.T @ gradients @ v / len(j))
    close(point.jvp(v[:, 0]), j @ v[:, 0])


def test_the_layers_of_a_network_behind_a_map_are_not_those_of_its_parameters(positive_net):
    changed = reparametrized(positive_net(), SINH)
    point = changed.at(changed.initial_parameters)
    with pytest.raises(ValueError, match="K-FAC needs layers of their own"):
        list(point.statistics(point.outputs[:, None]))


def test_a_map_of_a_map_is_the_composition(positive_net, close):
    objective = positive_net()
    inner, outer = AFFINE["affine"](objective.parameters), SINH
    twice = reparametrized(reparametrized(objective, outer), inner)
    once = reparametrized(objective, inner.then(outer))
    gamma = once.initial_parameters
    close(twice.initial_parameters, gamma)
    for question in (Objective.value, Objective.gradient, lambda o, g: Hessian(o, g).dense()):
        close(question(twice, gamma), question(once, gamma), atol=1e-10)


def test_validation_cases_are_seen_in_the_same_coordinates(mlp, objective_of, close):
    plain = objective_of(mlp(3, 2), SquaredError())
    cases = (plain.inputs[:3], plain.targets[:3])
    objective = Objective(plain.model, SquaredError(), plain.inputs, plain.targets, validation=cases)
    changed = reparametrized(objective, SINH)
    gamma = changed.initial_parameters
    close(changed.validation.value(gamma), objective.validation.value(changed.to_theta(gamma)))


# Weight decay stays a function of the original parameters.


@pytest.mark.parametrize("name", MAPS)
def test_weight_decay_stays_a_function_of_the_original_parameters(name, positive_net, close):
    """½η‖θ(γ)‖²: its Hessian in γ is η(DᵀD + Σ θ_k ∇²θ_k), of which Gauss-Newton and Fisher take ηDᵀD."""
    decay = 0.3
    plain, decayed = (
        reparametrized(positive_net(weight_decay=d), MAPS[name](positive_net().parameters)) for d in (0.0, decay)
    )
    gamma = plain.initial_parameters + 0.05 * drawn(plain.parameters, seed=6)

    def penalty(g):
        return 0.5 * decay * plain.change.forward(g).square().sum()

    d = torch.func.jacrev(plain.change.forward)(gamma)
    bend = torch.func.hessian(penalty)(gamma)
    v = drawn(len(gamma), 2, seed=1)
    close(decayed.value(gamma), plain.value(gamma) + penalty(gamma))
    close(decayed.gradient(gamma), plain.gradient(gamma) + torch.func.grad(penalty)(gamma))
    for kind, extra in ((GaussNewton, decay * d.T @ d), (Fisher, decay * d.T @ d), (Hessian, bend)):
        before, after = kind(plain, gamma), kind(decayed, gamma)
        close(after.dense(), before.dense() + extra, atol=1e-9)
        close(after @ v, (before.dense() + extra) @ v, atol=1e-8)
        close(after @ v[:, 0], (before.dense() + extra) @ v[:, 0], atol=1e-8)


def test_weight_decay_of_a_map_of_a_map_is_still_that_of_the_original(positive_net, close):
    objective = positive_net(weight_decay=0.3)
    inner, outer = AFFINE["affine"](objective.parameters), SINH
    twice = reparametrized(reparametrized(objective, outer), inner)
    once = reparametrized(objective, inner.then(outer))
    gamma = once.initial_parameters
    close(twice.value(gamma), objective.value(once.to_theta(gamma)))
    for question in (Objective.value, Objective.gradient, lambda o, g: Hessian(o, g).dense()):
        close(question(twice, gamma), question(once, gamma), atol=1e-10)


def test_with_weight_decay_too_natural_gradient_goes_the_same_way_whatever_the_affine_map(positive_net, close):
    objective = positive_net(weight_decay=0.3)
    theta = objective.initial_parameters
    for make in AFFINE.values():
        changed = reparametrized(objective, make(objective.parameters))
        gamma = changed.initial_parameters
        after = changed.to_theta(gamma - natural_step(changed, gamma))
        close(after, theta - natural_step(objective, theta), rtol=1e-10, atol=1e-10)


# Other units and other inputs.


@pytest.mark.parametrize("widths", [(3, 4, 2), (3, 4, 3, 2), (3, 2)])
@pytest.mark.parametrize(
    ("make", "old", "new", "back"),
    [(tanh_as_sigmoid, nn.Tanh, nn.Sigmoid, sigmoid_as_tanh), (sigmoid_as_tanh, nn.Sigmoid, nn.Tanh, tanh_as_sigmoid)],
    ids=["tanh as sigmoid", "sigmoid as tanh"],
)
def test_a_network_with_other_units_computes_the_same(make, old, new, back, widths, mlp, objective_of, close):
    objective = objective_of(mlp(*widths, activation=old), SoftmaxCrossEntropy())
    other = make(objective)
    assert [type(child) for child in other.model] == [new if type(c) is old else type(c) for c in objective.model]
    gamma, theta = other.initial_parameters, objective.initial_parameters
    close(other.outputs(gamma), objective.outputs(theta), rtol=1e-12)
    close(other.to_theta(gamma), theta, rtol=1e-12)
    gamma = gamma + drawn(len(gamma))
    close(other.outputs(gamma), objective.outputs(other.to_theta(gamma)), rtol=1e-11)
    check_map(other.change, gamma)
    close(back(other).initial_parameters, theta, rtol=1e-12)


def test_natural_gradient_does_not_see_which_units_there_are(mlp, objective_of, close):
    """E17 through the layers' own derivatives on both sides: the networks share no code but the map."""
    objective = objective_of(mlp(3, 3, 1), BernoulliLogits(), cases=60)
    other = tanh_as_sigmoid(objective)
    theta, gamma = objective.initial_parameters, other.initial_parameters
    d = jacobian(other.change, gamma)
    for kind in (GaussNewton, Fisher, Hessian):
        close(kind(other, gamma).dense(), d.T @ kind(objective, theta).dense() @ d, atol=1e-12)
    after = other.to_theta(gamma - 0.1 * natural_step(other, gamma))
    close(after, theta - 0.1 * natural_step(objective, theta), rtol=1e-6)


@pytest.mark.parametrize("make", [tanh_as_sigmoid, lambda o: with_affine_inputs(o, *affine_inputs())])
def test_weight_decay_of_other_units_or_inputs_is_that_of_the_original(make, mlp, objective_of, close):
    objective = objective_of(mlp(3, 3, 2), SquaredError(), weight_decay=0.4)
    other = make(objective)
    theta, gamma = objective.initial_parameters, other.initial_parameters
    d = jacobian(other.change, gamma)
    close(other.value(gamma), objective.value(theta))
    close(other.gradient(gamma), d.T @ objective.gradient(theta))
    for kind in (GaussNewton, Hessian):
        close(kind(other, gamma).dense(), d.T @ kind(objective, theta).dense() @ d, atol=1e-12)


def affine_inputs():
    return well_conditioned(3), drawn(3, seed=2)


@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2)])
def test_affinely_mapped_inputs_are_undone_by_the_first_layer(widths, mlp, objective_of, close):
    plain = objective_of(mlp(*widths), SoftmaxCrossEntropy())
    cases = (plain.inputs[:3], plain.targets[:3])
    objective = Objective(plain.model, plain.loss, plain.inputs, plain.targets, validation=cases)
    matrix, offset = affine_inputs()
    other = with_affine_inputs(objective, matrix, offset)
    close(other.inputs, plain.inputs @ matrix.T + offset)
    gamma, theta = other.initial_parameters, objective.initial_parameters
    close(other.outputs(gamma), objective.outputs(theta), rtol=1e-12)
    close(other.validation.outputs(gamma), objective.validation.outputs(theta), rtol=1e-12)
    check_map(other.change, gamma)
    d = jacobian(other.change, gamma)
    close(Fisher(other, gamma).dense(), d.T @ Fisher(objective, theta).dense() @ d, atol=1e-12)


def test_networks_whose_units_or_inputs_cannot_be_changed_are_refused(mlp, objective_of):
    relu = objective_of(mlp(3, 4, 2, activation=nn.ReLU), SquaredError())
    with pytest.raises(ValueError, match="model: Linear, ReLU, Linear; Linear layers with Tanh between them"):
        tanh_as_sigmoid(relu)
    with pytest.raises(ValueError, match="model: Linear, Tanh; Linear layers with Tanh between them"):
        tanh_as_sigmoid(objective_of(mlp(3, 4, final=nn.Tanh), SquaredError()))
    with pytest.raises(ValueError, match="a layer without a bias cannot take shifted inputs"):
        tanh_as_sigmoid(objective_of(mlp(3, 4, 2, bias=False), SquaredError()))
    norm = nn.Sequential(nn.LayerNorm(3, dtype=torch.float64), *mlp(3, 2))
    with pytest.raises(ValueError, match="model: begins with LayerNorm; a Linear layer on one tensor is accepted"):
        with_affine_inputs(objective_of(norm, SquaredError()), *affine_inputs())


# The five parametrizations of a Gaussian.


def likelihood(parametrization):
    return assemble(GaussianLikelihood(), LandscapeModel(), GaussianNLL(parametrization=parametrization))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " to ".join(pair))
def test_a_gaussian_in_other_coordinates_is_the_gaussian_with_that_parametrization(pair, close):
    """By the map or by the loss: the same function, so the same h, gradient, Fisher matrix and Hessian (but not G)."""
    source, target = pair
    by_loss, by_map = likelihood(source), reparametrized(likelihood(target), gaussian_map(source, target))
    gamma = by_loss.initial_parameters
    close(by_map.initial_parameters, gamma)
    gamma = gaussian_map("variance", source).forward(torch.tensor([0.4, 0.6], dtype=torch.float64))
    questions = [Objective.value, Objective.gradient]
    questions += [lambda o, g: Fisher(o, g).dense(), lambda o, g: Hessian(o, g).dense()]
    for question in questions:
        close(question(by_map, gamma), question(by_loss, gamma), atol=1e-10)


def test_e17_the_gap_between_two_parametrizations_closes_with_the_first_power_of_the_step():
    """Natural gradient to T = 1 from N(0, 1): in the limit both follow one flow, so Euler's error has slope 1."""

    def end(parametrization, steps):
        objective = likelihood(parametrization)
        theta = objective.initial_parameters
        for _ in range(steps):
            theta = theta - natural_step(objective, theta) / steps
        return gaussian_map(parametrization, "variance").forward(theta)

    gaps = [float(torch.linalg.vector_norm(end("natural", n) - end("log-variance", n))) for n in (16, 32, 64)]
    for coarse, fine in pairwise(gaps):
        assert coarse / fine == pytest.approx(2, rel=0.15)

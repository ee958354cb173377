"""Test functions are networks followed by a loss, and have their textbook values."""

import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der, rosen_hess

from ngexplorer.curvature import Fisher, GaussNewton, Hessian
from ngexplorer.objectives.assembly import AnyData, assemble
from ngexplorer.objectives.landscapes import (
    AnyLandscape,
    Beale,
    Booth,
    GaussianLikelihood,
    Himmelblau,
    LogisticLandscape,
    ProbitLandscape,
    QuadraticBowl,
    Rosenbrock,
    Saddle,
    TwoWeightNetwork,
)
from ngexplorer.objectives.losses import GaussianNLL
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.objectives.reparametrizations import gaussian_map
from ngexplorer.settings import SettingError, convert, members

coordinate = st.floats(-3, 3)

# As the textbooks write them.
TEXTBOOK = {
    Rosenbrock: lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    Beale: lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    Himmelblau: lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    Booth: lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2,
}


def on(landscape, loss=None):
    """The objective of a landscape, and its start."""
    objective = assemble(landscape, LandscapeModel(), loss or landscape.loss)
    return objective, objective.initial_parameters


def at(*coordinates):
    return torch.tensor(coordinates, dtype=torch.float64)


@pytest.fixture(params=members(AnyLandscape), ids=lambda kind: kind.__struct_config__.tag)
def landscape(request):
    """Each of them in turn, as it comes."""
    return request.param()


@given(x=coordinate, y=coordinate)
def test_rosenbrock_is_the_textbooks(x, y, rosenbrock_at):
    objective = rosenbrock_at(x, y)
    theta = objective.initial_parameters
    place = np.array([x, y])
    np.testing.assert_allclose(float(objective.value(theta)), rosen(place), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(objective.gradient(theta), rosen_der(place), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(Hessian(objective, theta).dense(), rosen_hess(place), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", TEXTBOOK, ids=lambda kind: kind.__name__)
@given(x=coordinate, y=coordinate)
def test_test_functions_are_the_textbooks(kind, x, y):
    objective, theta = on(kind(x=x, y=y))
    formula = TEXTBOOK[kind]

    def value(position):
        return formula(*position)

    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(objective.value(theta), value(theta), **close)
    torch.testing.assert_close(objective.gradient(theta), torch.func.grad(value)(theta), **close)
    torch.testing.assert_close(Hessian(objective, theta).dense(), torch.func.hessian(value)(theta), **close)


def test_rosenbrock_starts_where_rosenbrock_did(rosenbrock_at):
    objective = rosenbrock_at()
    assert objective.initial_parameters.tolist() == [-1.2, 1.0]
    assert float(objective.value(objective.initial_parameters)) == pytest.approx(24.2, rel=1e-14)


def test_beale_starts_where_more_garbow_and_hillstrom_did():
    """Problem 5 of their collection: h(1, 1) = 1.5² + 2.25² + 2.625²."""
    objective, theta = on(Beale())
    assert float(objective.value(theta)) == pytest.approx(14.203125, rel=1e-14)


@pytest.mark.parametrize("kind", TEXTBOOK, ids=lambda kind: kind.__name__)
def test_e6_at_the_minimum_the_residuals_vanish_and_the_hessian_is_the_gauss_newton_matrix(kind, close):
    for minimum in kind.minima:
        objective, theta = on(kind(x=minimum[0], y=minimum[1]))
        # The four of Himmelblau are not all floating-point numbers.
        assert float(objective.value(theta)) <= 1e-28
        close(Hessian(objective, theta).dense(), GaussNewton(objective, theta).dense(), atol=1e-12)


def test_residuals_of_many_positions_are_those_of_each():
    grid = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    many = Rosenbrock().residuals(grid)
    assert many.shape == (4, 5, 2)
    assert torch.equal(many[2, 3], Rosenbrock().residuals(grid[2, 3]))


def test_a_landscape_shows_its_start_and_its_minima(landscape):
    network = landscape.network(landscape.loss)
    left, right, bottom, top = network.window
    for x, y in (network.position.tolist(), *network.minima):
        assert left < x < right
        assert bottom < y < top


def test_a_start_outside_the_usual_window_widens_it():
    assert Rosenbrock(x=-4.0).network(Rosenbrock.loss).window == (-4.0, 1.6, -0.6, 2.2)
    assert Rosenbrock(y=9.0).network(Rosenbrock.loss).window == (-1.8, 1.6, -0.6, 9.0)


def test_minima_are_stationary_and_nothing_near_them_is_lower(landscape):
    objective, _ = on(landscape)
    ring = [at(math.cos(angle), math.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 16, endpoint=False)]
    for minimum in objective.model.minima:
        point = objective.at(at(*minimum))
        assert float(torch.linalg.vector_norm(point.gradient)) <= 1e-10
        assert float(Hessian(objective, point).eigenvalues()[0]) > 1e-3
        assert all(objective.value(point.theta + 1e-2 * step) > point.value for step in ring)


def test_gauss_newton_and_fisher_bend_upwards_wherever_one_looks(landscape):
    objective, _ = on(landscape)
    left, right, bottom, top = objective.model.window
    draws = torch.rand(20, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for x, y in draws:
        theta = torch.stack((left + (right - left) * x, bottom + (top - bottom) * y))
        point = objective.at(theta)
        if not torch.isfinite(point.value):
            continue
        kinds = [Fisher] if objective.loss.density else []
        for kind in [*kinds, *([GaussNewton] if objective.loss.convex else [])]:
            eigenvalues = kind(objective, point).eigenvalues()
            assert eigenvalues[0] >= -1e-12 * eigenvalues[1]


def test_landscapes_are_written_and_read_by_their_names(landscape):
    assert convert(msgspec.to_builtins(landscape), AnyData) == landscape
    assert convert({"name": landscape.__struct_config__.tag}, AnyData) == landscape


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_landscape_starts_with_a_finite_loss_and_a_hessian_to_trust(landscape, dtype):
    objective = assemble(landscape, LandscapeModel(), landscape.loss, dtype=dtype)
    theta = objective.initial_parameters
    assert objective.dtype == getattr(torch, dtype)
    assert torch.isfinite(objective.value(theta)) and torch.isfinite(objective.gradient(theta)).all()
    assert objective.hessian_refusal is None


# The quadratic bowl.


@given(condition=st.floats(1, 1e4), angle=st.floats(-180, 180), x=coordinate, y=coordinate)
def test_the_bowl_has_its_condition_number_and_its_valley(condition, angle, x, y):
    objective, theta = on(QuadraticBowl(condition=condition, angle=angle, x=x, y=y))
    hessian = Hessian(objective, theta).dense()
    valley = at(math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    across = at(-valley[1], valley[0])
    expected = torch.outer(valley, valley) + condition * torch.outer(across, across)
    torch.testing.assert_close(hessian, expected, rtol=1e-10, atol=1e-10 * condition)
    torch.testing.assert_close(objective.value(theta), 0.5 * theta.dot(expected @ theta), rtol=1e-10, atol=1e-10)
    for kind in (GaussNewton, Fisher):
        torch.testing.assert_close(kind(objective, theta).dense(), hessian, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("landscape", [QuadraticBowl(), Booth()], ids=lambda landscape: landscape.title)
def test_newton_solves_a_quadratic_in_one_step(landscape, close):
    objective, theta = on(landscape)
    step = Hessian(objective, theta).solve(objective.gradient(theta))
    close(theta - step, at(*landscape.minima[0]), atol=1e-12)


# The two-weight network.


@given(x=coordinate, y=coordinate)
def test_the_two_weight_networks_matrices_are_those_on_paper(x, y):
    """∂z/∂x = y s t, ∂z/∂y = a; ∂²z/∂x² = −2 y a s t², ∂²z/∂x∂y = s t, for input t, a = tanh(x t), s = 1 − a²."""
    objective, theta = on(TwoWeightNetwork(x=x, y=y))
    t, target = objective.inputs[:, 0], objective.targets[:, 0]
    a = torch.tanh(x * t)
    s = 1 - a * a
    jacobian = torch.stack((y * s * t, a), 1)
    residual = y * a - target
    bend = torch.stack((-2 * y * a * s * t * t, s * t, s * t, 0 * t), 1).view(-1, 2, 2)
    gauss_newton = jacobian.T @ jacobian / 4
    torch.testing.assert_close(GaussNewton(objective, theta).dense(), gauss_newton, rtol=1e-10, atol=1e-12)
    hessian = gauss_newton + torch.einsum("n,nij->ij", residual, bend) / 4
    torch.testing.assert_close(Hessian(objective, theta).dense(), hessian, rtol=1e-10, atol=1e-12)


def test_between_two_minima_is_a_saddle_where_gauss_newton_sees_nothing(close):
    objective, _ = on(TwoWeightNetwork())
    point = objective.at(at(0.0, 0.0))
    c = float((objective.inputs * objective.targets).mean())
    assert c == pytest.approx(1.4375, rel=1e-14)
    assert float(torch.linalg.vector_norm(point.gradient)) == 0
    close(GaussNewton(objective, point).dense(), torch.zeros(2, 2).double())
    close(Hessian(objective, point).eigenvalues(), at(-c, c))
    (here, there) = objective.model.minima
    assert there == (-here[0], -here[1])
    close(objective.value(at(*here)), objective.value(at(*there)))


def test_the_two_weight_networks_hessian_is_not_its_gauss_newton_matrix_even_at_a_minimum():
    objective, start = on(TwoWeightNetwork())
    difference = Hessian(objective, start).dense() - GaussNewton(objective, start).dense()
    assert float(difference.abs().max()) > 0.5
    assert float(Hessian(objective, start).eigenvalues()[0]) < 0
    minimum = at(*objective.model.minima[0])
    difference = Hessian(objective, minimum).dense() - GaussNewton(objective, minimum).dense()
    assert float(difference.abs().max()) > 1e-3


# Regression of an answer on a number.


def test_e7_logistic_regression_makes_natural_gradient_newton_and_reweighted_least_squares_one(close):
    """IRLS: w₊ = (XᵀSX)⁻¹ XᵀS (Xw + S⁻¹(y − p)), S = p(1 − p)."""
    objective, theta = on(LogisticLandscape(x=0.0, y=0.0))
    design = torch.cat((objective.inputs, torch.ones_like(objective.inputs)), 1)
    for _ in range(8):
        point = objective.at(theta)
        p = torch.sigmoid(point.outputs)
        weights = p * (1 - p)
        working = design @ theta[:, None] + (objective.targets - p) / weights
        irls = torch.linalg.solve(design.T @ (weights * design), design.T @ (weights * working))[:, 0]
        for kind in (Hessian, GaussNewton, Fisher):
            close(theta - kind(objective, point).solve(point.gradient), irls, atol=1e-10)
        theta = irls
    close(theta, at(*LogisticLandscape.minima[0]), atol=1e-12)


def test_e7_in_probit_regression_fisher_scoring_is_not_newton(close):
    """Fisher weights φ²/(Φ(1 − Φ)), Newton's depend on the answers; both end at the same weights."""
    objective, theta = on(ProbitLandscape(x=0.0, y=0.0))
    fisher, hessian = Fisher(objective, theta).dense(), Hessian(objective, theta).dense()
    # At z = 0 both are 2/π E[(t, 1)(t, 1)ᵀ], since m(m ± 0) = φ²/Φ² = 2/π.
    close(fisher, hessian)
    design = torch.cat((objective.inputs, torch.ones_like(objective.inputs)), 1)
    close(fisher, 2 / math.pi * design.T @ design / 10)
    theta = at(0.5, 0.5)
    fisher, hessian = Fisher(objective, theta).dense(), Hessian(objective, theta).dense()
    assert float((fisher - hessian).abs().max()) > 1e-2
    for kind in (Fisher, Hessian):
        theta = at(0.0, 0.0)
        for _ in range(40):
            theta = theta - kind(objective, theta).solve(objective.gradient(theta))
        close(theta, at(*ProbitLandscape.minima[0]), atol=1e-12)


# The saddle.


def test_e26_newton_jumps_onto_the_saddle_in_one_step(close):
    objective, theta = on(Saddle(x=1.5, y=0.3))
    assert float(objective.value(theta)) == pytest.approx(0.5 * (1.5**2 - 0.3**2), rel=1e-14)
    matrix = Hessian(objective, theta)
    close(matrix.dense(), torch.diag(at(1.0, -1.0)))
    close(GaussNewton(objective, theta).dense(), matrix.dense())
    step = torch.linalg.solve(matrix.dense(), objective.gradient(theta))
    close(theta - step, at(0.0, 0.0))
    assert objective.model.minima == ()
    with pytest.raises(ValueError, match="no labels can be drawn"):
        Fisher(objective, theta).dense()


# The Gaussian likelihood in five parametrizations.

FIVE = ("variance", "log-variance", "precision", "natural", "mean")
# (μ, v) after one natural-gradient step with α = 1 from N(0, 1): E15.
E15 = {
    "variance": (1, 1.25),
    "log-variance": (1, math.exp(0.25)),
    "precision": (1, 4 / 3),
    "natural": (4 / 3, 4 / 3),
    "mean": (1, 0.25),
}


def gaussian(parametrization, **start):
    return on(GaussianLikelihood(**start), GaussianNLL(parametrization=parametrization))


@pytest.mark.parametrize("parametrization", FIVE)
def test_the_gaussian_likelihood_starts_at_its_mean_and_variance_in_any_parametrization(parametrization, close):
    objective, theta = gaussian(parametrization, mean=0.3, variance=0.7)
    close(gaussian_map(parametrization, "variance").forward(theta), at(0.3, 0.7))
    y = at(0.5, 1.5)
    density = torch.distributions.Normal(0.3, 0.7**0.5)
    change = objective.value(theta) - objective.value(gaussian(parametrization)[1])
    close(change, -(density.log_prob(y) - torch.distributions.Normal(0.0, 1.0).log_prob(y)).mean())


@pytest.mark.parametrize("parametrization", FIVE)
def test_the_gaussian_likelihood_is_seen_whole_and_lowest_at_the_mean_and_variance_of_its_data(parametrization, close):
    objective, start = gaussian(parametrization)
    (minimum,) = objective.model.minima
    assert objective.model.title.startswith("Gaussian likelihood in (")
    close(gaussian_map(parametrization, "variance").forward(at(*minimum)), at(1.0, 0.25))
    assert float(torch.linalg.vector_norm(objective.gradient(at(*minimum)))) <= 1e-12
    after = at(*E15[parametrization])
    left, right, bottom, top = objective.model.window
    for x, y in (start, minimum, gaussian_map("variance", parametrization).forward(after)):
        assert left < x < right
        assert bottom < y < top


@pytest.mark.parametrize("parametrization", FIVE)
@given(mean=st.floats(-2, 2), variance=st.floats(0.1, 4))
def test_the_fisher_of_the_gaussian_is_the_papers_in_each_parametrization(parametrization, mean, variance):
    """In closed form; in the two it does not print, DᵀFD of diag(1/v, 1/(2v²)) by hand."""
    objective, theta = gaussian(parametrization, mean=mean, variance=variance)
    m, v = mean, variance
    expected = {
        "variance": [[1 / v, 0], [0, 1 / (2 * v * v)]],
        "log-variance": [[1 / v, 0], [0, 0.5]],
        # v = 1/p: dv/dp = −v².
        "precision": [[1 / v, 0], [0, v * v / 2]],
        "natural": [[v, 2 * m * v], [2 * m * v, 4 * m * m * v + 2 * v * v]],
        # v = m₂ − m₁²: dv = −2m dm₁ + dm₂.
        "mean": [[1 / v + 2 * m * m / v**2, -m / v**2], [-m / v**2, 1 / (2 * v * v)]],
    }[parametrization]
    fisher = Fisher(objective, theta).dense()
    torch.testing.assert_close(fisher, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("parametrization", FIVE)
def test_e15_one_natural_gradient_step_ends_elsewhere_in_each_parametrization(parametrization, close):
    objective, theta = gaussian(parametrization)
    step = Fisher(objective, theta).solve(objective.gradient(theta))
    close(gaussian_map(parametrization, "variance").forward(theta - step), at(*E15[parametrization]))


@given(x=st.floats(0.2, 2), y=st.floats(0.2, 0.9))
def test_a_landscape_starts_where_it_is_told_and_is_the_same_ground(x, y):
    for kind in members(AnyLandscape):
        for loss in [kind.loss] if kind is not GaussianLikelihood else PARAMETRIZED:
            place = (x, -y) if getattr(loss, "parametrization", "") == "natural" else (x, y)
            if getattr(loss, "parametrization", "") == "mean":
                place = (x, x * x + y)
            moved = kind().started_at(place, loss)
            assert moved.network(loss).position.tolist() == pytest.approx(place, rel=1e-12)
            assert moved.same_ground(kind()) and kind().same_ground(moved)
    assert not QuadraticBowl(condition=7).same_ground(QuadraticBowl()) and not Booth().same_ground(Beale())


PARAMETRIZED = [GaussianNLL(parametrization=p) for p in ("variance", "log-variance", "precision", "natural", "mean")]


def test_where_no_gaussian_is_no_run_can_start():
    with pytest.raises(SettingError, match="variance"):
        GaussianLikelihood().started_at((0.0, -1.0), GaussianNLL(parametrization="variance"))
    with pytest.raises(SettingError, match="a number ≤ 1000000 is needed"):
        Rosenbrock().started_at((1e7, 0.0), Rosenbrock.loss)

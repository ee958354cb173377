"""Steps of different methods from one point."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis.method_steps import arrows
from ngexplorer.analysis.planes import spanned_plane
from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.optimizers import parts


def test_each_arrow_is_its_methods_own_step(classifier):
    point = classifier.at(classifier.initial_parameters)
    found = arrows(point, 0.5)
    eye = 0.5 * torch.eye(classifier.parameters)
    for name, kind in {
        "newton": Hessian,
        "gauss-newton": GaussNewton,
        "natural-gradient": Fisher,
        "natural-gradient-empirical": EmpiricalFisher,
    }.items():
        expected = -torch.linalg.solve(kind(classifier, point).dense() + eye, point.gradient)
        torch.testing.assert_close(found.steps[name], expected)
    torch.testing.assert_close(found.steps["gradient-descent"], -point.gradient)
    torch.testing.assert_close(found.steps["kfac"], -KFAC(classifier, point, labels="exact").solve(point.gradient, 0.5))
    assert not found.refused


def test_where_the_dense_matrix_is_dear_the_arrows_come_by_products(unseen, monkeypatch):
    exact = arrows(unseen.at(unseen.initial_parameters), 0.5)
    monkeypatch.setattr(parts.Auto, "largest_by_products", 0)
    point = unseen.at(unseen.initial_parameters)
    found = arrows(point, 0.5)
    assert not any("dense" in key for key in point.cache if isinstance(key, tuple))
    assert found.steps.keys() == exact.steps.keys()
    for name, step in found.steps.items():
        torch.testing.assert_close(step, exact.steps[name], rtol=1e-4, atol=1e-6)
    assert "not positive definite" in arrows(point, 1e-6).refused["newton"]


def test_where_the_hessian_is_indefinite_newton_has_no_arrow_and_the_others_have(moons):
    point = moons.at(moons.initial_parameters)
    found = arrows(point, 1e-4)
    assert "not positive definite" in found.refused["newton"] and "newton" not in found.steps
    assert {"gauss-newton", "natural-gradient", "kfac"} <= set(found.steps)


def test_cosines_and_what_momentum_adds(classifier):
    point = classifier.at(classifier.initial_parameters)
    found = arrows(point, 0.5, carried=2 * point.gradient)
    names = list(found.steps)
    cosines = found.cosines()
    np.testing.assert_allclose(np.diag(cosines), 1)
    assert cosines[names.index("gradient-descent"), names.index("momentum")] == pytest.approx(-1)
    # F = G for softmax cross-entropy, so the two steps are one.
    assert cosines[names.index("gauss-newton"), names.index("natural-gradient")] == pytest.approx(1)
    assert 0 < cosines[names.index("gradient-descent"), names.index("newton")] < 1


def test_an_arrow_in_a_plane_is_what_of_it_lies_there(classifier):
    point = classifier.at(classifier.initial_parameters)
    found = arrows(point, 0.5)
    plane = spanned_plane(point.theta.numpy(), found.steps["newton"].numpy(), point.gradient.numpy())
    seen = found.project(plane)
    np.testing.assert_allclose(seen["newton"], [float(found.steps["newton"].norm()), 0], atol=1e-12)
    assert np.linalg.norm(seen["gradient-descent"]) == pytest.approx(float(point.gradient.norm()))


def test_without_a_density_there_is_no_natural_gradient(saddle):
    found = arrows(saddle.at(saddle.initial_parameters), 2.0)
    assert "density" in found.refused["natural-gradient"]
    torch.testing.assert_close(found.steps["newton"], torch.tensor([-0.5, 0.1]).double())

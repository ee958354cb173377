"""What is gathered around a θ of a run is what the dense matrices, the records and the damping rules say."""

import math

import numpy as np
import pytest
import torch

from ngexplorer.analysis import landing, look_around, own_damping, shifted, standpoint
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.curvature.kinds import curvatures
from ngexplorer.optimizers import make, parts
from ngexplorer.runs import Run


def raced(objective, name, steps=4, **settings):
    run = Run(objective, make(name, **settings), label=name, seed=0, steps=steps)
    for _ in range(steps):
        run.advance(lambda: False)
    return run


def seen_from(run, step, of="", aspect=1.5):
    stand = standpoint(run, step)
    return list(look_around(stand, run.objective.at(torch.tensor(stand.theta)), of, aspect))


# Where a run stands


def test_a_standpoint_knows_the_step_that_was_taken_and_its_damping(moons):
    run = raced(moons, "gauss-newton")
    stand = standpoint(run, 2)
    np.testing.assert_array_equal(stand.taken, run.history.parameters(3)[0] - run.history.parameters(2)[0])
    assert stand.damping == run.history["damping"][3] and math.isnan(stand.control)
    assert stand.carried is None


def test_at_the_last_step_it_knows_the_damping_to_come(moons):
    run = raced(moons, "gauss-newton")
    stand = standpoint(run, 4)
    assert stand.taken is None and math.isnan(stand.damping)
    assert stand.control == run.damping == run._stepper.damping


def test_what_momentum_adds_is_carried_from_the_steps_before(moons):
    run = raced(moons, "heavy-ball")
    before = run.history.parameters(3)[0] - run.history.parameters(2)[0]
    np.testing.assert_allclose(standpoint(run, 3).carried, 0.9 * before)
    assert standpoint(run, 0).carried is None


def test_a_step_that_is_not_kept_is_refused(moons):
    run = raced(moons, "heavy-ball", steps=1)
    with pytest.raises(ValueError, match="step 7: its parameters are not kept; the nearest are those of step 1"):
        standpoint(run, 7)


# The λ of every rule


@pytest.mark.parametrize("radius", [1e-3, 0.3, 5.0])
def test_a_trust_region_s_damping_gives_a_step_as_long_as_its_radius(classifier, radius):
    point = classifier.at(classifier.initial_parameters)
    solution = list(shifted(curvatures(point).found["hessian"], point.gradient))[-1]
    damping = own_damping(parts.TrustRegion(), radius, solution)
    assert damping > solution.floor
    assert solution.norms(np.array([damping]))[0] == pytest.approx(radius, rel=1e-6)


def test_where_newton_s_step_is_inside_a_trust_region_does_not_damp(classifier):
    point = classifier.at(classifier.initial_parameters)
    solution = list(shifted(curvatures(point).found["gauss-newton"], point.gradient))[-1]
    assert own_damping(parts.TrustRegion(), 1e12, solution) == solution.floor
    assert own_damping(parts.Undamped(), 0.0, solution) == 0.0
    assert own_damping(parts.LevenbergMarquardt(), 0.7, solution) == 0.7


@pytest.mark.parametrize("weight", [0.1, 10.0])
def test_a_cube_s_damping_is_half_its_weight_times_the_step_s_length(classifier, weight):
    point = classifier.at(classifier.initial_parameters)
    solution = list(shifted(curvatures(point).found["hessian"], point.gradient))[-1]
    damping = own_damping(parts.Cubic(), weight, solution)
    assert damping == pytest.approx(0.5 * weight * solution.norms(np.array([damping]))[0], rel=1e-6)


@pytest.mark.parametrize("name", ["trust-region-newton", "cubic-newton", "gauss-newton", "newton"])
def test_before_a_step_the_path_knows_the_damping_that_its_record_will_have(classifier, name):
    run = raced(classifier, name, steps=1)
    found = seen_from(run, 1)[-1]
    run.set_steps(2)
    run.advance(lambda: False)
    row = run.history.row(2)
    assert not row["rejected_trials"]
    assert found.own == pytest.approx(row["damping"], rel=1e-6)
    came = next(landing(found, found.own, lambda: False))
    assert came == pytest.approx(row["loss_after"], rel=1e-9)
    assert found.promise(found.own) == pytest.approx(row["predicted_change"], rel=1e-6)


# What is seen


@pytest.mark.parametrize("name", ["gauss-newton", "heavy-ball", "kfac"])
def test_all_is_seen_in_the_end_and_coarse_first(moons, name):
    answers = seen_from(raced(moons, name), 2)
    assert [one.done for one in answers] == sorted(one.done for one in answers) and answers[-1].done == 1
    assert answers[0].surface is None and answers[0].path is not None
    found = answers[-1]
    assert set(found.models) == set(curvatures(found.matrix.point).found)
    assert found.surface.values.shape == (65, 65) and "gradient-descent" in found.arrows.steps
    left, right, low, high = found.window
    assert (right - left) / (high - low) == pytest.approx(1.5)
    assert left < found.centre[0] < right and low < found.centre[1] < high


def test_the_plane_holds_the_step_and_the_gradient(moons):
    run = raced(moons, "gauss-newton")
    found = seen_from(run, 2)[-1]
    assert found.spanned == "the step and the gradient"
    gradient = found.matrix.point.gradient.numpy()
    for direction in (found.stand.taken, gradient):
        inside = np.linalg.norm(found.plane.axes @ direction)
        assert inside == pytest.approx(np.linalg.norm(direction), rel=1e-9)


def test_where_the_step_goes_down_the_gradient_the_plane_holds_the_path_s_best_step(moons):
    found = seen_from(raced(moons, "gradient-descent"), 2)[-1]
    assert found.spanned == "the best step of the path and the gradient"
    best = float(found.path.dampings[found.path.best])
    step = found.step(best).numpy()
    assert np.linalg.norm(found.plane.axes @ step) == pytest.approx(np.linalg.norm(step), rel=1e-9)


def test_places_on_the_path_are_those_of_its_steps(moons):
    found = seen_from(raced(moons, "newton"), 2)[-1]
    for share in (0.0, 0.3, 1.0):
        damping = found.damping_at(share)
        assert found.share_of(damping) == pytest.approx(share, abs=1e-9)
        moved = found.stand.theta + found.step(damping).numpy()
        np.testing.assert_allclose(found.places(np.array([damping]))[0], found.plane.project(moved[None])[0][0])


@pytest.mark.parametrize("model", ["damped", "undamped"])
def test_rho_along_the_path_is_of_the_model_that_the_run_s_rule_judges_by(moons, model):
    run = raced(moons, "gauss-newton", damping={"initial": 0.5, "model": model})
    here = seen_from(run, 2)[-1]
    matrix = here.matrix.dense()
    for damping, ratio, promised in zip(here.path.dampings, here.ratios, here.promised, strict=True):
        delta = here.step(damping)
        bent = matrix + damping * torch.eye(len(matrix)).to(matrix) if model == "damped" else matrix
        promise = float(run.objective.gradient(torch.tensor(here.stand.theta)) @ delta + delta @ bent @ delta / 2)
        assert promised == pytest.approx(promise, rel=1e-6)
        came = float(run.objective.value(torch.tensor(here.stand.theta) + delta)) - here.path.loss
        assert ratio == pytest.approx(came / promise, rel=1e-5, abs=1e-6)


def test_a_damping_cuts_the_gradient_along_small_eigenvalues_and_bounds_the_step(moons):
    here = seen_from(raced(moons, "gauss-newton"), 2)[-1]
    values, vectors = torch.linalg.eigh(here.matrix.dense())
    gradient = here.matrix.point.gradient
    energy = (vectors.T @ gradient).square() / gradient.square().sum()
    for damping in (1e-4, 1e-2, 1.0):
        distances = np.linalg.norm(here.region(damping) - here.centre, axis=1)
        np.testing.assert_allclose(distances, float(torch.linalg.vector_norm(here.step(damping))), rtol=1e-6)
        assert here.cut(damping) == pytest.approx(float(energy[values <= damping].sum()), abs=1e-9)


def test_without_damping_a_step_is_bounded_in_the_norm_of_its_matrix(moons):
    found = seen_from(raced(moons, "natural-gradient-minimum-norm"), 1)[-1]
    assert not found.euclidean
    dense, step = found.matrix.dense(), found.step(found.damping_at(0.5))
    assert found.length(found.damping_at(0.5)) == pytest.approx(float(step.dot(dense @ step)) ** 0.5, rel=1e-9)


def test_a_point_without_a_gradient_and_a_matrix_that_is_none_are_refused(valley):
    run = raced(valley, "gradient-descent", learning_rate=1e-4)
    with pytest.raises(ValueError, match="Linear and Conv2d"):
        seen_from(run, 1, of="kfac")
    run = Run(valley, make("newton"), label="", seed=0, steps=1)
    run.begin()
    stand = standpoint(run, 0)
    with pytest.raises(ValueError, match="it is zero"):
        next(look_around(stand, valley.at(torch.ones(2).double()), "", 1.0))


def test_it_stops_when_it_is_told_to(digits):
    run = Run(digits, make("gauss-newton"), label="", seed=0, steps=1)
    run.begin()
    point = digits.at(digits.initial_parameters, Watch(lambda: True))
    with pytest.raises(Cancelled):
        list(look_around(standpoint(run, 0), point, "", 1.5))

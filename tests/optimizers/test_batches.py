"""Mini-batches: what a step looks at, what it costs, and that it repeats from its seed."""

import numpy as np
import pytest
import torch

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.optimizers import make
from ngexplorer.optimizers.stepper import Stepper
from ngexplorer.settings import SettingError

SOME = {"name": "mini-batch", "size": 8}


@pytest.fixture
def objective(mlp, objective_of):
    return objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=24)


def test_a_step_sees_its_cases_and_the_curve_sees_all(objective):
    stepper = make("gradient-descent", batches=SOME).start(objective, seed=3)
    for count in range(1, 4):
        theta = stepper.point.theta
        part = objective.batch(stepper._cases(8, 2 * count))
        record = stepper.step()
        assert record.loss_before == float(part.value(theta))
        assert record.gradient_norm == pytest.approx(float(torch.linalg.vector_norm(part.gradient(theta))))
        torch.testing.assert_close(stepper.point.theta, theta - 0.1 * part.gradient(theta))
        assert record.loss_after == pytest.approx(float(part.value(stepper.point.theta)))
        assert stepper.result.objective is objective
    history = ngx.run(objective, make("gradient-descent", batches=SOME), steps=3, seed=3)
    assert history["loss"][-1] == pytest.approx(float(objective.value(stepper.point.theta)), rel=1e-14)


def test_cases_of_a_batch_are_different_and_every_one_comes_up(objective):
    stepper = make("adam", batches=SOME).start(objective)
    seen = [stepper._cases(8, draw).tolist() for draw in range(40)]
    assert all(len(set(cases)) == 8 for cases in seen)
    assert {case for cases in seen for case in cases} == set(range(24))


def test_a_batch_of_all_cases_is_all_cases(objective):
    losses = [
        ngx.run(objective, make("natural-gradient", batches=batches), steps=5)["loss"]
        for batches in ("all", {"name": "mini-batch", "size": 24})
    ]
    np.testing.assert_array_equal(*losses)


def test_the_seed_draws_the_cases(objective):
    first, again, other = (
        ngx.run(objective, make("adam", batches=SOME), steps=5, seed=seed)["loss"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).all()


def test_a_step_costs_its_share_of_a_gradient(objective):
    """A third of the cases: a third of a gradient, and a third of a forward pass to see where it led."""
    steps = [make("gradient-descent", batches=SOME).start(objective).step() for _ in range(1)]
    assert steps[0].step_gradient_equivalents == pytest.approx((1 + 1 / 3) / 3)


def test_the_matrix_may_have_cases_of_its_own(objective):
    batches = SOME | {"curvature": 4}
    damping = {"name": "constant", "value": 0.5}
    stepper = make("natural-gradient", damping=damping, batches=batches).start(objective)
    theta = stepper.point.theta
    gradient = objective.batch(stepper._cases(8, 2)).gradient(theta)
    fisher = ngx.curvature.Fisher(objective.batch(stepper._cases(4, 3)), theta).dense()
    stepper.step()
    expected = theta - torch.linalg.solve(fisher + 0.5 * torch.eye(len(theta)).double(), gradient)
    torch.testing.assert_close(stepper.point.theta, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["adam", "natural-gradient", "kfac", "l-bfgs", "hessian-free", "torch-optimizer"])
def test_methods_go_on_through_cancelled_steps_as_if_there_were_none(name, objective):
    whole, broken = (make(name, batches=SOME).start(objective, seed=1) for _ in range(2))
    for _ in range(4):
        record = whole.step()
        with pytest.raises(Cancelled):
            broken.step(lambda: True)
        assert broken.step().step_gradient_equivalents == pytest.approx(record.step_gradient_equivalents)
        assert torch.equal(whole.point.theta, broken.point.theta)


def test_all_cases_come_back_when_batches_are_given_up(objective):
    stepper = make("gradient-descent", batches=SOME).start(objective)
    stepper.step()
    stepper.edit("batches", {"name": "all"})
    theta = stepper.point.theta
    assert stepper.step().loss_before == float(objective.value(theta))
    assert isinstance(stepper, Stepper)


@pytest.mark.parametrize(
    "batches", [{"name": "mini-batch", "size": 0}, {"name": "mini-batch", "curvature": -1}, "some"]
)
def test_what_cannot_be_is_refused(batches):
    with pytest.raises(SettingError):
        make("adam", batches=batches)

"""A fork has another run's past, takes one given step instead of that run's own, and goes on by itself."""

import csv
import math

import numpy as np
import pytest
import torch

from ngexplorer.analysis import shifted
from ngexplorer.curvature.kinds import curvatures
from ngexplorer.optimizers import make
from ngexplorer.runs import Race, Run
from ngexplorer.runs.export import TIME_COLUMNS, write_csv
from ngexplorer.runs.history import _BLOCK, _CHUNK, STEP_FIELDS, History


def step_of(run, step, damping, kind="hessian"):
    """δ(λ) at a step of a run, by dense algebra."""
    objective = run.objective
    point = objective.at(torch.tensor(run.history.parameters(step)[0]))
    dense = curvatures(point).found[kind].dense()
    return -torch.linalg.solve(dense + damping * torch.eye(len(dense)).double(), point.gradient)


def indefinite_floor(run, step):
    point = run.objective.at(torch.tensor(run.history.parameters(step)[0]))
    return max(0.0, -float(torch.linalg.eigvalsh(curvatures(point).found["hessian"].dense())[0]))


@pytest.fixture
def under_way(race):
    """A race of two that has come to step 5 of 8."""

    def start(*names, **settings):
        here = race(names or ["newton", "adam"], **settings)
        here.begin()
        while here.next.step < 5:
            here.advance()
        return here

    return start


def test_a_fork_has_the_other_run_s_past_and_takes_the_given_step(under_way):
    here = under_way()
    newton = here.runs[0]
    damping = indefinite_floor(newton, 3) + 0.4
    delta = step_of(newton, 3, damping)
    fork = here.fork(newton, 3, delta, damping, "the Hessian")
    assert here.runs == [*here.runs[:2], fork] and fork.step == 4 and fork.live
    for name in ("step", "loss", "seconds", "gradient_equivalents", "damping", "outcome"):
        np.testing.assert_array_equal(fork.history[name][:4], newton.history[name][:4])
    start, at = fork.history.parameters(3)
    assert at == 3 and (start == newton.history.parameters(3)[0]).all()
    reached = fork.history.parameters(4)[0]
    np.testing.assert_allclose(reached, start + delta.numpy(), rtol=0, atol=1e-15)
    assert fork.history["loss"][4] == pytest.approx(float(newton.objective.value(torch.tensor(reached))), rel=1e-14)
    assert fork.seconds > newton.history["seconds"][3]
    assert fork.history["gradient_equivalents"][4] > newton.history["gradient_equivalents"][3]


def test_its_record_is_that_of_the_model_whose_step_it_is(under_way):
    newton = under_way().runs[0]
    damping = indefinite_floor(newton, 3) + 0.4
    delta = step_of(newton, 3, damping)
    row = newton.fork(3, delta, damping, "the Hessian").history.row(4)
    point = newton.objective.at(torch.tensor(newton.history.parameters(3)[0]))
    product = curvatures(point).found["hessian"].dense() @ delta
    promised = float(point.gradient.dot(delta) + 0.5 * delta.dot(product))
    assert row["predicted_change"] == pytest.approx(promised, rel=1e-9)
    assert row["predicted_change_damped"] == pytest.approx(0.5 * float(point.gradient.dot(delta)), rel=1e-9)
    assert row["reduction_ratio"] == pytest.approx((row["loss_after"] - row["loss_before"]) / promised, rel=1e-9)
    assert row["damping"] == damping and row["step_norm"] == pytest.approx(float(torch.linalg.vector_norm(delta)))
    assert row["outcome"] == "accepted" and row["solver"] == "δ(λ) of the Hessian"


def test_with_the_run_s_own_damping_the_fork_takes_the_run_s_own_step(under_way):
    here = under_way("gauss-newton", "adam")
    run = here.runs[0]
    damping = run.history["damping"][4]
    fork = here.fork(run, 3, step_of(run, 3, damping, "gauss-newton"), damping, "Gauss-Newton")
    for name in (field.name for field in STEP_FIELDS):
        own, forked = run.history.row(4)[name], fork.history.row(4)[name]
        if isinstance(own, float) and name not in TIME_COLUMNS and "equivalents" not in name:
            assert forked == pytest.approx(own, rel=1e-7, nan_ok=True), name


@pytest.mark.parametrize(
    ("damping", "path"),
    [("constant", "value"), ("levenberg-marquardt", "initial"), ("schedule", "initial")],
)
def test_a_rule_with_a_damping_goes_on_with_the_given_one(race, damping, path):
    here = race(["gauss-newton"], gauss_newton={"damping": damping})
    here.begin()
    here.advance()
    fork = here.fork(here.runs[0], 1, step_of(here.runs[0], 1, 0.25, "gauss-newton"), 0.25, "Gauss-Newton")
    assert getattr(fork.optimizer.damping, path) == 0.25
    here.advance_run(fork)
    expected = 0.25 * fork.optimizer.damping.factor if damping == "schedule" else 0.25
    assert fork.history["damping"][3] == pytest.approx(expected)
    assert getattr(here.runs[0].optimizer.damping, path) == 1.0, "the other run keeps its own"


def test_a_trust_region_goes_on_with_the_radius_and_a_cube_with_the_weight_that_give_the_damping(race):
    here = race(["trust-region-newton", "cubic-newton"])
    here.begin()
    region, cube = here.runs
    damping = indefinite_floor(region, 0) + 0.3
    delta = step_of(region, 0, damping)
    length = float(torch.linalg.vector_norm(delta))
    assert here.fork(region, 0, delta, damping, "the Hessian").optimizer.damping.radius == pytest.approx(length)
    weight = here.fork(cube, 0, delta, damping, "the Hessian").optimizer.damping.weight
    # With that radius and that weight both rules find the given step by themselves.
    for name, settings in (
        ("trust-region-newton", {"radius": length, "largest": 1e6}),
        ("cubic-newton", {"weight": weight}),
    ):
        stepper = make(name, damping=settings).start(region.objective)
        record = stepper.step()
        assert not record.rejected_trials
        torch.testing.assert_close(stepper.point.theta - region.objective.initial_parameters, delta)
        assert record.damping == pytest.approx(damping, rel=1e-8)


@pytest.mark.parametrize("name", ["adam", "heavy-ball", "nesterov", "l-bfgs", "kfac", "hessian-free"])
def test_every_method_can_be_forked_and_goes_on(race, run_to_the_end, name):
    here = race([name])
    here.begin()
    for _ in range(3):
        here.advance()
    damping = indefinite_floor(here.runs[0], 2) + 1.0
    fork = here.fork(here.runs[0], 2, step_of(here.runs[0], 2, damping), damping, "the Hessian")
    run_to_the_end(here)
    assert fork.state == "finished" and fork.step == here.runs[0].step
    assert np.isfinite(fork.history["loss"]).all()
    assert not (fork.history["loss"][3:] == here.runs[0].history["loss"][3:]).any()


def test_heavy_ball_carries_on_the_given_step(race):
    here = race(["heavy-ball"])
    here.begin()
    run = here.runs[0]
    damping = indefinite_floor(run, 0) + 1.0
    delta = step_of(run, 0, damping)
    fork = here.fork(run, 0, delta, damping, "the Hessian")
    here.advance_run(fork)
    theta = torch.tensor(fork.history.parameters(1)[0])
    gradient = run.objective.gradient(theta)
    expected = theta - 0.1 * gradient + run.optimizer.momentum.coefficient * delta
    np.testing.assert_allclose(fork.history.parameters(2)[0], expected.numpy(), atol=1e-14)


def test_a_fork_repeats_from_where_it_parted(under_way, run_to_the_end, rows, tmp_path):
    tables = []
    for i in range(2):
        here = under_way("newton", "natural-gradient-sampled")
        for run in list(here.runs):
            damping = indefinite_floor(run, 2) + 0.5
            here.fork(run, 2, step_of(run, 2, damping), damping, "the Hessian")
        tables.append(rows(run_to_the_end(here), tmp_path / f"{i}.csv"))
    assert tables[0] == tables[1] and len(tables[0]) == 4 * 9


def test_the_other_runs_are_as_they_would_be_without_it(race, under_way, run_to_the_end, rows, tmp_path):
    alone = rows(run_to_the_end(race(["newton", "adam"])), tmp_path / "alone.csv")
    here = under_way()
    here.fork(here.runs[0], 3, step_of(here.runs[0], 3, 5.0), 5.0, "the Hessian")
    assert rows(run_to_the_end(here), tmp_path / "beside.csv")[: len(alone)] == alone


def test_its_history_and_the_table_say_where_it_parted(under_way, tmp_path):
    here = under_way()
    fork = here.fork(here.runs[0], 3, step_of(here.runs[0], 3, 2.5), 2.5, "the Hessian")
    assert fork.label == fork.history.label == "newton 0 ↳ 3, λ 2.5"
    event = fork.history.events[-1]
    assert (event.step, event.kind) == (3, "fork")
    assert event.message == ("forked from newton 0 at step 3: δ(λ) of the Hessian, λ = 2.5, instead of its own step")
    again = here.fork(here.runs[0], 3, step_of(here.runs[0], 3, 2.5), 2.5, "the Hessian")
    assert again.label == "newton 0 ↳ 3, λ 2.5 2", "no two runs have one name"
    write_csv([run.history for run in here.runs], tmp_path / "runs.csv")
    with open(tmp_path / "runs.csv", newline="", encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["run"] == fork.label]
    assert [row["step"] for row in found] == ["0", "1", "2", "3", "4"]
    assert found[-1]["solver"] == "δ(λ) of the Hessian" and float(found[-1]["damping"]) == 2.5


def test_a_fork_of_a_fork_names_both(under_way):
    here = under_way()
    fork = here.fork(here.runs[0], 3, step_of(here.runs[0], 3, 2.5), 2.5, "the Hessian")
    second = here.fork(fork, 4, step_of(fork, 4, 9.0), 9.0, "the Hessian")
    assert second.label == "newton 0 ↳ 3, λ 2.5 ↳ 4, λ 9"
    assert second.origin.run is fork


def test_a_fork_at_the_last_step_takes_that_one_step_more(race, run_to_the_end):
    here = run_to_the_end(race(["gauss-newton"], steps=4))
    fork = here.fork(here.runs[0], 4, step_of(here.runs[0], 4, 0.1, "gauss-newton"), 0.1, "Gauss-Newton")
    assert fork.step == 5 and fork.state == "finished"
    here.set_steps(7)
    assert fork.live and here.next is here.runs[0]


def test_a_step_to_where_there_is_no_loss_ends_the_fork_alone(under_way):
    here = under_way()
    far = torch.full_like(here.runs[0].objective.initial_parameters, math.inf)
    fork = here.fork(here.runs[0], 3, far, 1.0, "the Hessian")
    assert fork.state == "diverged" and fork.step == 3
    assert here.runs[0].live


def test_a_step_whose_parameters_are_gone_is_refused(moons):
    run = Run(moons, make("newton"), label="Newton", seed=0, steps=20)
    here = Race([run])
    here.begin()
    run.history.snapshots.budget = 6 * (run.history.parameters(0)[0].nbytes + 200)
    for _ in range(12):
        here.advance()
    assert run.history.snapshots.stride > 1
    with pytest.raises(ValueError, match="step 5: its parameters are not kept any more; those of step 4 are"):
        here.fork(run, 5, torch.zeros(moons.parameters).double(), 1.0, "the Hessian")


def test_a_past_longer_than_memory_holds_is_copied_whole():
    long = History("long", "newton", 0)
    numbers = dict.fromkeys(("seconds", "gradient_equivalents", "validation_loss", "metric"), 0.0)
    length = _BLOCK * _CHUNK + 2 * _CHUNK
    for k in range(length):
        long.append(numbers | {"step": float(k), "loss": 1.0 / (1 + k)}, None, np.zeros(1))
    copy = long.until(length - 7, "copy")
    assert len(copy) == length - 6
    np.testing.assert_array_equal(copy["loss"], long["loss"][: length - 6])
    copy.append(numbers | {"step": 0.0, "loss": 7.0}, None, np.zeros(1))
    assert copy.row(length - 6)["loss"] == 7.0 and long.row(length - 6)["loss"] == 1.0 / (length - 5)


def test_the_path_s_own_solution_is_taken_as_it_is(under_way):
    """What the window hands over: a row of the closed form, for any λ of the path."""
    run = under_way().runs[0]
    point = run.objective.at(torch.tensor(run.history.parameters(2)[0]))
    solution = list(shifted(curvatures(point).found["hessian"], point.gradient))[-1]
    damping = solution.floor + 0.2
    fork = run.fork(2, solution.steps(np.array([damping]))[0], damping, "the Hessian")
    torch.testing.assert_close(
        torch.tensor(fork.history.parameters(3)[0]) - point.theta, step_of(run, 2, damping), rtol=1e-8, atol=1e-10
    )

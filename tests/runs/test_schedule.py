"""Probes look when their schedules say so, in time of their own, and change no result."""

import csv

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ngexplorer as ngx
from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes, Race, Run, experiment
from ngexplorer.runs.schedule import Every, Logarithmic, Never, WithinShare
from ngexplorer.settings import SettingError


def test_every_so_many_steps():
    assert [k for k in range(12) if Every(interval=5).due(k)] == [0, 5, 10]
    assert all(Every().due(k) for k in range(5))
    assert not any(Never().due(k) for k in range(5))


def test_looks_are_evenly_spaced_on_a_logarithmic_axis():
    ten = [k for k in range(1, 1001) if Logarithmic(per_decade=10).due(k)]
    assert ten[:8] == [1, 2, 3, 4, 6, 7, 8, 10]  # ⌈10^0.1⌉ = 2, …
    assert [k for k in ten if k >= 100][:5] == [100, 126, 159, 200, 252]
    assert [k for k in range(200_000) if Logarithmic(per_decade=1).due(k)] == [0, 1, 10, 100, 1000, 10_000, 100_000]


@given(n=st.integers(1, 50), decade=st.integers(0, 6))
def test_a_decade_has_as_many_looks_as_asked_for_once_there_are_enough_steps(n, decade):
    """Every ⌈10^(i/n)⌉ is due, and nothing else."""
    schedule = Logarithmic(per_decade=n)
    wanted = {int(np.ceil(10 ** (i / n) * (1 - 1e-12))) for i in range(n * decade, n * (decade + 1) + 1)}
    assert all(schedule.due(k) for k in wanted)
    beside = {k + 1 for k in wanted} - wanted - {int(np.ceil(10 ** ((n * (decade + 1) + 1) / n)))}
    assert not any(schedule.due(k) for k in beside if k > 1)


def test_the_hessian_s_curvature_along_a_step_is_that_of_the_point_it_left(race):
    objective = race(["adam"]).runs[0].objective
    probes = Probes(hessian_along_step=Every(interval=3), spectra=Never())
    history = ngx.run(objective, make("natural-gradient"), steps=7, seed=3, probes=probes)
    found = history["hessian_along_step"]
    assert [k for k in range(8) if found[k] == found[k]] == [3, 6]
    for k in (3, 6):
        before, after = (torch.as_tensor(history.parameters(j)[0]) for j in (k - 1, k))
        delta = after - before
        hessian = Hessian(objective, before).dense()
        assert found[k] == pytest.approx(float(delta @ hessian @ delta / (delta @ delta)), rel=1e-8)


ANGLES = {
    "newton": Hessian,
    "gauss_newton": GaussNewton,
    "natural_gradient": Fisher,
    "natural_gradient_empirical": EmpiricalFisher,
    "kfac": lambda objective, theta: KFAC(objective, theta, labels="exact"),
}


def degrees(one, other):
    return float(torch.rad2deg(torch.acos((one @ other / (one.norm() * other.norm())).clamp(-1, 1))))


@pytest.mark.parametrize("batches", ["all", {"name": "mini-batch", "size": 20}])
@pytest.mark.parametrize(("name", "damping"), [("natural-gradient", None), ("heavy-ball", 0.7)])
def test_angles_are_between_the_step_and_those_of_other_methods_from_the_same_place(
    name, damping, batches, race, tmp_path
):
    """By dense solves at the θ the step left, with the cases it saw and its λ, or the given one where it has none."""
    objective = race(["adam"]).runs[0].objective
    probes = Probes(angles=Every(interval=2), angle_damping=damping or 1e-3, spectra=Never())
    run = Run(objective, make(name, batches=batches), label=name, seed=5, steps=5, probes=probes)
    here = Race([run])
    while here.advance() is not None:
        pass
    history, stepper = run.history, make(name, batches=batches).start(objective, seed=5)
    for k in range(1, 6):
        before = stepper.point.theta
        stepper.step()
        seen, delta = stepper.point.objective, stepper.point.theta - before
        for column, kind in ANGLES.items():
            found = history[f"angle_{column}"][k]
            if k % 2:
                assert np.isnan(found)
                continue
            shift, matrix = damping or history["damping"][k], kind(seen, before)
            gradient = seen.gradient(before)
            if column == "kfac":
                expected = degrees(delta, -matrix.solve(gradient, shift))
            else:
                damped = matrix.dense() + shift * torch.eye(len(before)).double()
                if torch.linalg.eigvalsh(damped)[0] <= 0:
                    assert np.isnan(found)
                    continue
                expected = degrees(delta, -torch.linalg.solve(damped, gradient))
            assert found == pytest.approx(expected, abs=1e-5)
    if name == "natural-gradient" and batches == "all":
        np.testing.assert_allclose(history["angle_natural_gradient"][2::2], 0, atol=1e-5)
    history.to_csv(str(tmp_path / "run.csv"))
    header, *rows = csv.reader((tmp_path / "run.csv").read_text(encoding="utf-8").splitlines())
    place = header.index("angle_kfac")
    assert [row[place] != "" for row in rows] == [False, False, True, False, True, False]
    assert run.probe_seconds > 0


def test_where_a_method_has_no_step_its_angle_is_not_a_number(rosenbrock_at):
    """A saddle's Hessian is not positive definite, and a test function has no layers for K-FAC."""
    probes = Probes(angles=Every(), angle_damping=1.0, spectra=Never())
    history = ngx.run(rosenbrock_at(0.0, 1.0), make("gradient-descent", learning_rate=1e-4), steps=1, probes=probes)
    assert np.isnan(history["angle_newton"][1]) and np.isnan(history["angle_kfac"][1])
    assert 0 < history["angle_gauss_newton"][1] < 90
    assert not history.events


@pytest.mark.parametrize("name", ["newton", "natural-gradient-sampled", "kfac", "adam"])
def test_no_probe_changes_a_result_and_none_takes_the_run_s_time(name, race):
    objective = race(["adam"]).runs[0].objective
    batches = {"name": "mini-batch", "size": 20}
    optimizer = make(name, batches=batches)
    off = Probes(validation=Never(), spectra=Never())
    on = Probes(hessian_along_step=Every(), angles=Every(), spectra=Every())
    histories = []
    for probes in (off, on):
        run = Run(objective, optimizer, label=name, seed=4, steps=12, probes=probes)
        here = Race([run])
        while here.advance() is not None:
            pass
        histories.append(run.history)
    plain, watched = histories
    for column in ("loss", "step_norm", "damping", "gradient_equivalents", "predicted_change"):
        np.testing.assert_array_equal(plain[column], watched[column])
    np.testing.assert_array_equal(plain.parameters(12)[0], watched.parameters(12)[0])
    assert np.isnan(plain["validation_loss"]).all()
    assert np.isfinite(watched["validation_loss"]).all()
    assert np.isfinite(watched["hessian_along_step"][1:]).all()
    assert np.isfinite(watched["angle_kfac"][1:]).all() and np.isnan(plain["angle_kfac"]).all()
    assert not plain.spectra
    if name in ("newton", "natural-gradient-sampled"):
        assert sorted({s.step for s in watched.spectra}) == list(range(12))
    assert watched["seconds"][-1] == pytest.approx(watched["step_seconds"][1:].sum() + watched["seconds"][0])


def test_where_there_is_no_hessian_the_probe_says_so_and_the_run_goes_on(race, monkeypatch):
    objective = race(["adam"]).runs[0].objective
    monkeypatch.setattr(objective, "hessian_refusal", "its second derivatives are wrong")
    history = ngx.run(objective, make("adam"), steps=2, probes=Probes(hessian_along_step=Every(), spectra=Never()))
    assert len(history) == 3
    assert history.events[0].message == (
        "no curvature of the Hessian along step 1: ValueError: Hessian: its second derivatives are wrong"
    )


TEXT = '[data]\nname="two-moons"\n[model]\nname="mlp"\n[loss]\nname="bernoulli-logits"\n[[runs]]\noptimizer="newton"\n'


def test_an_experiment_sets_the_schedules():
    text = TEXT + (
        "[probes]\nvalidation = {name = 'logarithmic', per_decade = 5}\n"
        "hessian_along_step = {name = 'every', interval = 10}\nspectra = {name = 'share', share = 0.5}\n"
    )
    found = experiment.parse(text, "here")
    assert found.probes == Probes(
        validation=Logarithmic(per_decade=5), hessian_along_step=Every(interval=10), spectra=WithinShare(share=0.5)
    )
    assert experiment.parse(experiment.to_toml(found), "there") == found
    assert found.race().spectra.share == 0.5


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("validation = {name = 'sometimes'}", r"there is no validation named 'sometimes'"),
        ("validation = {name = 'share'}", r"there is no validation named 'share'"),
        ("spectra = {name = 'every', interval = 0}", r"probes\.spectra\.interval: 0 is not accepted; .*≥ 1"),
        ("spectre = {name = 'never'}", r"probes: there is no setting named 'spectre'"),
    ],
)
def test_what_is_no_schedule_is_said_in_one_line(line, reason):
    with pytest.raises(SettingError, match=reason):
        experiment.parse(TEXT + f"[probes]\n{line}\n", "here")

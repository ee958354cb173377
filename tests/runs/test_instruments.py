"""Scheduled instruments read what they should where they should, say what they cannot, and change no run."""

import csv
import math

import msgspec
import numpy as np
import pytest
import torch

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled
from ngexplorer.cli import main
from ngexplorer.curvature import Fisher, Hessian, exactness
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.landscapes import Saddle
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes, Race, Run, experiment
from ngexplorer.runs.export import READINGS_HEADER, write_readings
from ngexplorer.runs.instruments import INSTRUMENTS, PAIRS, cosine_matrix
from ngexplorer.runs.schedule import Every, Logarithmic, Never

EVERY = Probes(spectra=Never(), **{name: Every() for name in INSTRUMENTS})
NONE = Probes(spectra=Never())


def test_every_instrument_has_a_schedule_of_its_own():
    fields = {field.name for field in msgspec.structs.fields(Probes)}
    assert set(INSTRUMENTS) <= fields
    for name in INSTRUMENTS:
        probes = Probes(**{name: Every(interval=3)})
        assert [step for step in range(7) if probes.due(step) == [name]] == [0, 3, 6]
        assert not any(Probes().due(step) for step in range(7))


def test_schedules_stand_in_an_experiment_file(tmp_path):
    text = """
title = "t"
[data]
name = "two-moons"
size = 40
[model]
name = "mlp"
hidden = [4]
[loss]
name = "bernoulli-logits"
[probes.noise_scale]
name = "every"
interval = 2
[probes.block_errors]
name = "logarithmic"
[[runs]]
optimizer = "newton"
"""
    made = experiment.parse(text, "here")
    assert made.probes.noise_scale == Every(interval=2) and made.probes.block_errors == Logarithmic()
    assert made.probes.cosines == Never()
    again = experiment.parse(experiment.to_toml(made), "there")
    assert again == made
    with pytest.raises(ValueError, match=r"probes\.noise_scale.*no .* named 'often'"):
        experiment.parse(text.replace('"every"', '"often"').replace("interval = 2\n", ""), "here")


def test_readings_are_kept_by_the_step_whose_theta_they_are_of(race, run_to_the_end, moons):
    probes = Probes(spectra=Never(), noise_scale=Every(interval=3), largest_rate=Every(interval=2))
    history = run_to_the_end(race(["newton"], moons, steps=7, probes=probes)).runs[0].history
    assert [reading.step for reading in history.readings.of("noise_scale")] == [0, 3, 6]
    steps, limits = history.readings.series("largest_rate", "largest")
    assert steps.tolist() == [0, 2, 4, 6] and len(history.readings) == 7
    for step, limit in zip(steps.astype(int), limits, strict=True):
        dense = Hessian(moons, torch.tensor(history.parameters(step)[0])).dense()
        assert limit == pytest.approx(2 / float(torch.linalg.eigvalsh(dense)[-1]))
    np.testing.assert_array_equal(
        history.readings.series("largest_rate", "in_use")[1], history["learning_rate"][steps.astype(int) + 1]
    )
    assert history.readings.at("largest_rate", 5).step == 4 and history.readings.at("cosines", 5) is None
    with pytest.raises(KeyError, match="largest_rate reads no 'rank'; it reads largest, in_use"):
        history.readings.series("largest_rate", "rank")


@pytest.mark.parametrize("method", ["newton", "adam", "natural-gradient-sampled", "kfac", "hessian-free"])
def test_looking_through_all_instruments_changes_no_bit_of_a_run(race, run_to_the_end, rows, tmp_path, method):
    settings = {method.replace("-", "_"): {"batches": {"name": "mini-batch", "size": 16}}}
    before = torch.get_rng_state()
    looked = run_to_the_end(race([method], steps=6, probes=EVERY, **settings))
    assert torch.equal(torch.get_rng_state(), before), "nothing is drawn from the shared generator"
    plain = run_to_the_end(race([method], steps=6, probes=NONE, **settings))
    assert rows(looked, tmp_path / "on.csv") == rows(plain, tmp_path / "off.csv")
    ours, theirs = looked.runs[0], plain.runs[0]
    for step in range(7):
        np.testing.assert_array_equal(ours.history.parameters(step)[0], theirs.history.parameters(step)[0])
    assert len(ours.history.readings) == 6 * len(INSTRUMENTS) and not len(theirs.history.readings)
    assert not ours.history.events
    assert ours.probe_seconds > theirs.probe_seconds


def test_the_time_of_looking_is_not_the_run_s(race, run_to_the_end, costs):
    costs["newton"] = 0.5
    looked = run_to_the_end(race(["newton"], steps=4, probes=EVERY)).runs[0]
    assert looked.seconds == pytest.approx(2.0, abs=0.2)
    assert looked.history["gradient_equivalents"].tolist() == pytest.approx(
        run_to_the_end(race(["newton"], steps=4, probes=NONE)).runs[0].history["gradient_equivalents"].tolist()
    )


def test_the_batch_in_use_stands_beside_the_noise_scale(race, run_to_the_end, moons):
    settings = {"newton": {"batches": {"name": "mini-batch", "size": 12}}}
    here = run_to_the_end(race(["newton", "adam"], moons, steps=2, probes=EVERY, **settings))
    batches = [run.history.readings.series("noise_scale", "batch")[1].tolist() for run in here.runs]
    assert batches == [[12, 12], [moons.cases] * 2]


def test_the_run_s_own_step_is_among_the_cosines(race, run_to_the_end, moons):
    constant = {"natural_gradient": {"damping": {"name": "constant", "value": 0.01}}}
    history = run_to_the_end(race(["natural-gradient"], moons, steps=2, probes=EVERY, **constant)).runs[0].history
    reading = history.readings.of("cosines")[1]
    theta, after = (torch.tensor(history.parameters(step)[0]) for step in (1, 2))
    point = moons.at(theta)
    fisher = Fisher(moons, point).dense() + 0.01 * torch.eye(moons.parameters, dtype=torch.float64)
    step = -torch.linalg.solve(fisher, point.gradient)
    expected = float(torch.cosine_similarity(after - theta, -point.gradient, dim=0))
    assert reading["own / natural-gradient"] == pytest.approx(1)
    assert reading["own / gradient-descent"] == pytest.approx(expected)
    other = float(torch.cosine_similarity(step, -point.gradient, dim=0))
    assert reading["gradient-descent / natural-gradient"] == pytest.approx(other)
    table = cosine_matrix(reading)
    np.testing.assert_array_equal(table, table.T)
    assert len(PAIRS) == 21 and table[0, 1] == reading["own / gradient-descent"]


def test_what_does_not_apply_says_why_in_one_line(rosenbrock_at, race, run_to_the_end):
    history = run_to_the_end(race(["newton"], rosenbrock_at(-1.0, 1.0), steps=2, probes=EVERY)).runs[0].history
    blocks, layers = history.readings.of("block_errors")[0], history.readings.of("layer_norms")[0]
    assert np.isnan(blocks["kfac"]).all() and blocks.reason.startswith("K-FAC matrix: ")
    assert layers.values.shape == (4, 1) and "one layer" in layers.reason
    assert history.readings.of("eigenspaces")[0].reason.startswith("the first look")
    saddle = assemble(Saddle(), LandscapeModel(), Saddle.loss)
    history = ngx.run(saddle, make("gauss-newton"), steps=1, probes=EVERY)
    assert "density" in history.readings.of("fisher_gap")[0].reason
    assert np.isnan(history.readings.of("fisher_gap")[0].values).all()
    diagonal = history.readings.of("block_errors")[0]
    assert "held against G" in diagonal.reason and np.isfinite(diagonal["diagonal"]).all()
    for reading in history.readings:
        assert "\n" not in reading.reason
        assert reading.reason or np.isfinite(reading.values).all(), reading


def test_of_a_large_model_what_is_too_large_says_up_to_where(race, run_to_the_end, moons, monkeypatch):
    monkeypatch.setattr(exactness, "LARGEST_EXACT", 10)
    history = run_to_the_end(race(["newton"], moons, steps=2, probes=EVERY)).runs[0].history
    ranks, blocks, noise = (history.readings.of(name)[0] for name in ("effective_rank", "block_errors", "noise_scale"))
    assert "up to 10" in ranks.reason and math.isnan(ranks["hessian"]) and math.isfinite(ranks["kfac"])
    assert "leaves out 0 (15 parameters)" in blocks.reason and math.isnan(blocks["diagonal"][0])
    assert math.isfinite(blocks["diagonal"][1])
    assert "no B_noise" in noise.reason and math.isfinite(noise["simple"])
    limit = history.readings.of("largest_rate")[0]["largest"]
    assert limit == pytest.approx(2 / float(Hessian(moons, moons.initial_parameters).eigenvalues()[-1]), rel=1e-3)


def test_a_look_that_fails_is_an_event_and_changes_no_result(race, run_to_the_end, moons, monkeypatch):
    whole = run_to_the_end(race(["adam"], moons, steps=3))

    def fail(*_, **__):
        raise RuntimeError("out of order")

    monkeypatch.setattr("ngexplorer.runs.instruments.gradient_noise", fail)
    here = run_to_the_end(race(["adam"], moons, steps=3, probes=EVERY)).runs[0]
    assert here.state == "finished" and len(here.history.events) == 3
    assert here.history.events[0].kind == "probe"
    assert here.history.events[0].message == "no noise scale at step 0: RuntimeError: out of order"
    assert "RuntimeError" in here.history.events[0].detail
    assert "out of order" in here.history.readings.of("noise_scale")[0].reason
    assert len(here.history.readings.of("fisher_gap")) == 3
    np.testing.assert_array_equal(here.history["loss"], whole.runs[0].history["loss"])


def test_a_stop_in_the_middle_of_a_look_keeps_the_step_and_says_so(moons, monkeypatch):
    def stopped(*_, **__):
        raise Cancelled

    monkeypatch.setattr("ngexplorer.runs.instruments.fisher_gap", stopped)
    run = Run(moons, make("newton"), label="", seed=0, steps=5, probes=EVERY)
    Race([run]).advance()
    assert run.step == 1 and run.history.readings.of("fisher_gap")[0].reason == "stopped before it was done"
    assert len(run.history.readings.of("noise_scale")) == 1


def test_a_fork_has_the_readings_until_it_parts(race, run_to_the_end, moons):
    here = run_to_the_end(race(["newton"], moons, steps=6, probes=EVERY))
    run = here.runs[0]
    delta = -0.01 * moons.gradient(torch.tensor(run.history.parameters(3)[0]))
    fork = run.fork(3, delta, 0.1, "hessian")
    assert [reading.step for reading in fork.history.readings.of("cosines")] == [0, 1, 2, 3]
    assert fork.history.readings.of("cosines")[2] is run.history.readings.of("cosines")[2]
    assert fork.history.readings.of("cosines")[3]["own / gradient-descent"] == pytest.approx(1)
    assert len(run.history.readings.of("cosines")) == 6


def test_readings_as_a_table_are_read_back_bit_for_bit(race, run_to_the_end, moons, tmp_path):
    history = run_to_the_end(race(["newton"], moons, steps=2, probes=EVERY)).runs[0].history
    write_readings([(history, history.readings)], tmp_path / "readings.csv")
    with open(tmp_path / "readings.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == READINGS_HEADER
    told = {
        (int(r["step"]), r["instrument"], r["name"], r["layer"]): (r["value"], r["reason"], r["run"]) for r in table
    }
    assert len(told) == len(table) == sum(reading.values.size for reading in history.readings)
    for reading in history.readings:
        for name in reading.names:
            for layer, number in enumerate(np.atleast_1d(reading[name])):
                place = str(layer) if reading.values.ndim > 1 else ""
                value, reason, label = told[reading.step, reading.instrument, name, place]
                assert (value == "" and math.isnan(number)) or float(value) == number
                assert (reason, label) == (reading.reason, history.label)


def test_the_command_line_writes_the_readings_beside_the_rows(tmp_path):
    text = """
[data]
name = "two-moons"
size = 40
[model]
name = "mlp"
hidden = [3]
[loss]
name = "bernoulli-logits"
[[runs]]
optimizer = "newton"
"""
    (tmp_path / "plain.toml").write_text(text)
    (tmp_path / "looked.toml").write_text(text + '[probes.effective_rank]\nname = "every"\n')
    for name in ("plain", "looked"):
        assert main(["run", str(tmp_path / f"{name}.toml"), "--steps", "2", "--out", str(tmp_path)]) == 0
    assert not (tmp_path / "plain-instruments.csv").exists()
    lines = (tmp_path / "looked-instruments.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 2 * 5 and lines[1].startswith("Newton,newton,0,0,effective_rank,hessian,,")

"""Instruments looked through along a run after the fact: against dense matrices, coarse first, and as a probe reads."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis import matrices
from ngexplorer.analysis.instruments import LOOKS, looks, sight, stretches_above, through
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.curvature import GaussNewton, Hessian
from ngexplorer.curvature.kinds import curvatures
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes, Race, Run
from ngexplorer.runs.instruments import INSTRUMENTS, Observer
from ngexplorer.runs.schedule import Every, Never


def ended(objective, name="natural-gradient", steps=9, **settings):
    probes = Probes(spectra=Never(), **{name: Every() for name in INSTRUMENTS})
    run = Run(objective, make(name, **settings), label="", seed=0, steps=steps, probes=probes)
    race = Race([run])
    while race.advance() is not None:
        pass
    return run


@pytest.fixture(scope="module")
def run(classifier):
    threads = torch.get_num_threads()
    yield ended(classifier)
    torch.set_num_threads(threads)


def test_block_errors_are_those_of_the_dense_matrices(classifier, finest):
    point = classifier.at(classifier.initial_parameters)
    found = Observer().look("block_errors", sight(ended(classifier, steps=1), 0, never), 0)
    expected = finest(matrices(point)).block_errors("fisher")
    np.testing.assert_allclose(found["kfac"], expected["kfac"], rtol=1e-10)
    np.testing.assert_allclose(found["diagonal"], expected["diagonal"], rtol=1e-10)
    assert (found["diagonal"] > found["kfac"]).all()


def test_effective_ranks_are_those_of_the_dense_matrices(classifier):
    found = Observer().look("effective_rank", sight(ended(classifier, steps=1), 0, never), 0)
    for name, matrix in curvatures(classifier.at(classifier.initial_parameters)).found.items():
        sizes = np.abs(np.linalg.eigvalsh(matrix.dense().numpy()))
        shares = sizes[sizes > 0] / sizes.sum()
        assert found[name] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize("name", [name for name in INSTRUMENTS if name != "eigenspaces"])
def test_a_look_afterwards_reads_what_the_probe_read(run, name):
    for look in through([(run, [4, 0, 8])], name, never):
        recorded = run.history.readings.at(name, look.reading.step)
        assert recorded.step == look.reading.step and recorded.reason == look.reading.reason
        np.testing.assert_allclose(look.reading.values, recorded.values, rtol=1e-10)
    (last,) = through([(run, [9])], name, never)
    if name in ("cosines", "layer_norms"):
        assert "no step of its own from here is known" in last.reading.reason


def test_overlaps_are_those_of_neighbours_once_all_looks_are_done(run, classifier):
    found = {}
    for look in through([(run, [0, 9, 4])], "eigenspaces", never):
        found[look.reading.step] = look.reading
    assert np.isnan(found[0]["hessian"]) and found[9]["since"] == 4 and found[4]["since"] == 0
    for kind, name in ((Hessian, "hessian"), (GaussNewton, "gauss-newton")):
        one, other = (
            torch.linalg.eigh(kind(classifier, torch.tensor(run.history.parameters(step)[0])).dense())[1][:, -7:]
            for step in (4, 9)
        )
        assert found[9][name] == pytest.approx(float((one.T @ other).square().sum() / 7))


def test_the_probe_s_overlap_is_with_its_look_before(run):
    steps, since = run.history.readings.series("eigenspaces", "since")
    np.testing.assert_array_equal(since[1:], steps[:-1])
    (first, then) = through([(run, [3, 4])], "eigenspaces", never)
    assert then.reading["hessian"] == pytest.approx(run.history.readings.at("eigenspaces", 4)["hessian"])
    assert first.reading.reason.startswith("the first look")


def test_looks_begin_here_and_go_on_coarse_to_fine(classifier):
    long = ended(classifier, "gradient-descent", steps=100)
    found = looks(long, 37, 100)
    assert found[:6] == [37, 0, 100, 50, 25, 75] and len(set(found)) == len(found)
    assert LOOKS - 1 <= len(found) <= LOOKS + 1
    assert np.diff(sorted(found)).max() <= 4
    assert looks(long, None, 4) == [0, 4, 2, 1, 3]


def test_several_runs_are_looked_at_in_turns_and_how_far_it_is_is_told(run, classifier):
    other = ended(classifier, "newton", steps=4)
    found = list(through([(run, [9, 0, 3]), (other, [4])], "noise_scale", never))
    assert [(look.place, look.reading.step) for look in found] == [(0, 9), (1, 4), (0, 0), (0, 3)]
    assert [look.done for look in found] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("name", ["noise_scale", "cosines", "effective_rank", "eigenspaces", "block_errors"])
def test_looking_is_abandoned(run, name):
    with pytest.raises(Cancelled):
        list(through([(run, [0, 9])], name, lambda: True))


def test_looking_afterwards_changes_nothing_that_the_run_goes_on_with(classifier):
    looked, plain = (ended(classifier, "adam", steps=4) for _ in range(2))
    for name in INSTRUMENTS:
        list(through([(looked, looks(looked, 4, 4))], name, never))
    for run in (looked, plain):
        run.set_steps(8)
        race = Race([run])
        while race.advance() is not None:
            pass
    np.testing.assert_array_equal(looked.history["loss"], plain.history["loss"])


def test_where_a_line_stands_above_another_it_is_shaded_from_crossing_to_crossing():
    x = np.arange(6.0)
    height, limit = np.array([0.0, 2.0, 2.0, 0.0, np.nan, 3.0]), np.ones(6)
    ((xs, low, high),) = stretches_above(x, height, limit)
    np.testing.assert_allclose(xs, [0.5, 1, 2, 2.5])
    np.testing.assert_allclose(low, 1)
    np.testing.assert_allclose(high, [1, 2, 2, 1])
    assert not stretches_above(x, limit - 1, limit)

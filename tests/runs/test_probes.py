"""Spectra are exact, cost no more than their share, and change nothing."""

import itertools

import numpy as np
import pytest
import torch

from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, Hessian, exactness
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes, Race, Run, probes
from ngexplorer.runs.schedule import Every, Never

UNWATCHED = Probes(spectra=Never())


def spectra_of(run):
    return [(s.step, s.matrix) for s in run.history.spectra]


def test_second_order_runs_have_their_matrix_and_the_hessian_beside_it(race, run_to_the_end):
    here = run_to_the_end(race(["adam", "newton", "gauss-newton", "natural-gradient"], steps=3))
    adam, newton, gauss_newton, natural = here.runs
    assert spectra_of(adam) == []
    assert spectra_of(newton)[0] == (0, "hessian")
    assert spectra_of(gauss_newton)[:2] == [(0, "gauss-newton"), (0, "hessian")]
    assert spectra_of(natural)[:2] == [(0, "fisher"), (0, "hessian")]


def test_spectra_are_all_eigenvalues_of_the_matrix_at_their_step(race, run_to_the_end, moons, monkeypatch):
    here = race(["newton", "natural-gradient"], moons, steps=5)
    here.spectra.share = 1e9  # at every step
    run_to_the_end(here)
    for run in here.runs:
        assert {s.step for s in run.history.spectra} == set(range(5))
        for spectrum in run.history.spectra:
            kind = {"fisher": Fisher, "hessian": Hessian}[spectrum.matrix]
            theta = torch.tensor(run.history.parameters(spectrum.step)[0])
            expected = torch.linalg.eigvalsh(kind(moons, theta).dense()).numpy()
            np.testing.assert_allclose(spectrum.eigenvalues, expected, rtol=1e-8, atol=1e-12 * expected[-1])
            assert spectrum.eigenvalues.dtype == np.float64
            assert (np.diff(spectrum.eigenvalues) >= 0).all()
            # λ is the one that the step from here was solved with.
            assert spectrum.damping == run.history["damping"][spectrum.step + 1]


def test_the_gradient_s_energy_is_its_share_along_each_eigenvector(race, run_to_the_end, moons):
    here = race(["newton", "natural-gradient"], moons, steps=3)
    here.spectra.share = 1e9
    run_to_the_end(here)
    for run in here.runs:
        for spectrum in run.history.spectra:
            kind = {"fisher": Fisher, "hessian": Hessian}[spectrum.matrix]
            theta = torch.tensor(run.history.parameters(spectrum.step)[0])
            dense, gradient = kind(moons, theta).dense().numpy(), moons.gradient(theta).numpy()
            assert spectrum.gradient_energy.sum() == pytest.approx(1)
            # gᵀBᵏg = Σ λᵢᵏ (uᵢᵀg)², whatever basis eigenvalues that coincide were given.
            for power in (1, 2, 3):
                expected = gradient @ np.linalg.matrix_power(dense, power) @ gradient / (gradient @ gradient)
                found = spectrum.gradient_energy @ spectrum.eigenvalues**power
                assert found == pytest.approx(expected, rel=1e-8)


def test_where_the_gradient_is_zero_it_has_no_energy(rosenbrock_at):
    objective = rosenbrock_at(1.0, 1.0)
    spectrum = probes.look(objective.at(objective.initial_parameters), Hessian, 0, 1.0)
    assert spectrum.gradient_energy is None
    np.testing.assert_allclose(spectrum.eigenvalues.sum(), 1002)


def test_watched_matrices_are_taken_beside_the_others_and_change_no_result(race, run_to_the_end, rows, tmp_path):
    here = race(["newton", "natural-gradient"], steps=4)
    here.spectra.share = 1e9
    here.spectra.watched = frozenset({"kfac", "empirical-fisher", "gauss-newton", "hessian"})
    run_to_the_end(here)
    for run, own in zip(here.runs, (set(), {"fisher"}), strict=True):
        assert {s.matrix for s in run.history.spectra} == {"hessian", "gauss-newton", "empirical-fisher", "kfac"} | own
        point = run.objective.at(torch.tensor(run.history.parameters(2)[0]))
        for matrix in (EmpiricalFisher(run.objective, point), KFAC(run.objective, point)):
            (spectrum,) = [s for s in run.history.spectra if (s.step, s.matrix) == (2, matrix.name)]
            expected = matrix.eigenvalues().numpy()
            np.testing.assert_allclose(spectrum.eigenvalues, expected, rtol=1e-8, atol=1e-12 * expected[-1])
    off = run_to_the_end(race(["newton", "natural-gradient"], steps=4, probes=UNWATCHED))
    assert rows(here, tmp_path / "on.csv") == rows(off, tmp_path / "off.csv")


def test_a_matrix_that_there_is_not_is_not_taken(rosenbrock_at, race, run_to_the_end):
    """A test function's residuals are no layers, so there is no K-FAC of it."""
    here = race(["newton"], rosenbrock_at(-1.0, 1.0), steps=2)
    here.spectra.watched = frozenset({"kfac", "gauss-newton"})
    run_to_the_end(here)
    assert not probes.applies("kfac", here.runs[0].objective)
    assert {s.matrix for s in here.runs[0].history.spectra} == {"hessian", "gauss-newton"}
    assert not here.runs[0].history.events


def test_layer_by_layer_the_spectra_are_those_of_the_diagonal_blocks(moons):
    point = moons.at(moons.initial_parameters)
    spectrum = probes.look(point, Fisher, 0, 1.0, by_layers=True)
    dense = Fisher(moons, point).dense().numpy()
    assert len(spectrum.layers) == len(moons.layers) == 2
    for found, layer in zip(spectrum.layers, moons.layers, strict=True):
        np.testing.assert_allclose(found, np.linalg.eigvalsh(dense[layer, layer]), atol=1e-14)
    assert sum(map(np.sum, spectrum.layers)) == pytest.approx(spectrum.trace)


def test_of_a_large_model_there_is_the_density_whose_moments_are_the_matrix_s(moons, monkeypatch):
    monkeypatch.setattr(exactness, "LARGEST_EXACT", moons.parameters - 1)
    point = moons.at(moons.initial_parameters)
    spectrum = probes.look(point, Hessian, 3, 0.1)
    assert (np.diff(spectrum.eigenvalues) >= 0).all() and spectrum.gradient_energy is None
    assert spectrum.weights.sum() == pytest.approx(moons.parameters)
    dense = Hessian(moons, point).dense().numpy()
    # Hutchinson's variance, 2 Σ B_ij² over i ≠ j, for five probes.
    error = np.sqrt(2 * ((dense**2).sum() - (dense.diagonal() ** 2).sum()) / 5)
    assert abs(spectrum.trace - np.trace(dense)) < 4 * error


def test_spectra_of_a_saddle_show_the_negative_eigenvalue(rosenbrock_at, race):
    here = race(["newton"], rosenbrock_at(0.0, 1.0), steps=1)
    here.advance()
    (spectrum,) = here.runs[0].history.spectra
    np.testing.assert_allclose(spectrum.eigenvalues, [-398, 200])


@pytest.fixture
def clock(monkeypatch):
    """Every spectrum takes one second."""
    ticks = itertools.count()
    monkeypatch.setattr(probes, "perf_counter", lambda: float(next(ticks)))


def test_after_the_first_of_each_run_spectra_take_no_more_than_a_fifth_of_the_compute(race, costs, clock):
    costs |= {"newton": 0.5, "natural-gradient": 0.25, "adam": 0.25}
    here = race(["newton", "natural-gradient", "adam"], steps=200)
    probe, first = here.spectra, 2.0
    while here.advance() is not None:
        assert probe.seconds <= 0.2 * probe.compute + first
    assert probe.compute == pytest.approx(200)
    assert probe.seconds == pytest.approx(40, abs=2)  # all that it may, in rounds of 2 s
    counts = [len({s.step for s in run.history.spectra}) for run in here.runs]
    assert counts[0] == pytest.approx(counts[1], abs=1)


def test_switching_spectra_off_changes_no_result(race, run_to_the_end, rows, tmp_path):
    names = ["newton", "gauss-newton", "natural-gradient", "adam"]
    eager = race(names)
    eager.spectra.share = 1e9
    off = run_to_the_end(race(names, probes=UNWATCHED))
    assert rows(run_to_the_end(eager), tmp_path / "on.csv") == rows(off, tmp_path / "off.csv")
    assert not any(run.history.spectra for run in off.runs)


def test_spectra_beside_steps_that_go_nowhere_are_not_counted_as_their_work(race, run_to_the_end, rows, tmp_path):
    """A step that finds nothing keeps its point, at which the probe then works too."""
    settings = {"gauss_newton": {"damping": {"initial": 1e-12, "ceiling": 1.0, "factor": 0.99}}}

    def cornered(probes):
        return run_to_the_end(race(["gauss-newton"], steps=4, probes=probes, **settings))

    watched = cornered(Probes(spectra=Every()))
    assert len(watched.runs[0].history.spectra) == 8
    assert rows(watched, tmp_path / "on.csv") == rows(cornered(UNWATCHED), tmp_path / "off.csv")


def test_a_run_that_ends_does_not_keep_the_others_waiting(race, costs, clock):
    here = race(["newton", "natural-gradient"], steps=400)
    here.runs[0].steps = 3
    while here.advance() is not None:
        pass
    assert len(here.runs[1].history.spectra) > 50


def test_a_run_edited_to_first_order_does_not_keep_the_others_waiting(race, costs, clock):
    here = race(["newton", "natural-gradient"], steps=400)
    for _ in range(4):
        here.advance()
    here.runs[0].edit("damping", {"name": "none"})
    here.runs[0].edit("curvature", {"name": "identity"})
    here.runs[0].edit("learning_rate", 0.01)
    while here.advance() is not None:
        pass
    assert {run.state for run in here.runs} == {"finished"}
    assert len(here.runs[1].history.spectra) > 50


def test_too_many_parameters_have_no_spectrum(moons, monkeypatch):
    monkeypatch.setattr(exactness, "LARGEST_EXACT", moons.parameters - 1)
    run = Run(moons, make("newton"), label="", seed=0, steps=3)
    here = Race([run])
    while here.advance() is not None:
        pass
    assert run.history.spectra == []


def test_the_spectrum_at_the_common_start_is_taken_once(moons, race, monkeypatch):
    """And the Fisher's is the Gauss-Newton matrix's, for natural parameters."""
    taken = []
    original = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda m: (taken.append(0), original(m))[1])
    here = race(["newton", "gauss-newton", "natural-gradient"], moons, steps=1)
    while here.advance() is not None:
        pass
    assert [spectra_of(run) for run in here.runs] == [
        [(0, "hessian")],
        [(0, "gauss-newton"), (0, "hessian")],
        [(0, "fisher"), (0, "hessian")],
    ]
    assert len(taken) == 2


def test_by_steps_the_spectra_of_all_runs_are_taken_at_the_same_steps(race, costs, clock):
    costs |= {"newton": 1.0, "natural-gradient": 0.2, "gauss-newton": 2.0}
    here = race(["newton", "natural-gradient", "gauss-newton"], steps=100)
    while here.advance() is not None:
        pass
    steps = [sorted({s.step for s in run.history.spectra}) for run in here.runs]
    assert len(steps[0]) > 5
    assert steps[0] == steps[1] == steps[2]


def test_a_run_that_is_given_more_steps_has_spectra_again(race, costs):
    here = race(["newton", "natural-gradient"], steps=3)
    here.spectra.share = 1e9
    while here.advance() is not None:
        pass
    here.set_steps(6)
    while here.advance() is not None:
        pass
    for run in here.runs:
        assert run.step == 6
        assert max(s.step for s in run.history.spectra) == 5


def test_a_run_edited_to_second_order_gets_spectra(race, costs):
    here = race(["gradient-descent"], steps=6)
    here.spectra.share = 1e9
    here.advance()
    here.runs[0].edit("curvature", {"name": "fisher"})
    here.runs[0].edit("damping", {"name": "constant"})
    while here.advance() is not None:
        pass
    assert {s.matrix for s in here.runs[0].history.spectra} == {"fisher", "hessian"}


def test_a_spectrum_that_fails_is_an_event_and_changes_no_result(race, run_to_the_end, moons, monkeypatch):
    whole = run_to_the_end(race(["newton", "adam"], moons, steps=5))

    def fail(matrix):
        raise torch.linalg.LinAlgError("it did not converge")

    monkeypatch.setattr(torch.linalg, "eigh", fail)
    here = run_to_the_end(race(["newton", "adam"], moons, steps=5))
    newton = here.runs[0]
    assert newton.state == "finished"
    assert newton.history.spectra == []
    event = newton.history.events[0]
    assert (event.step, event.kind) == (0, "spectrum")
    assert event.message.startswith("no spectrum at step 0: ")
    assert "it did not converge" in event.message
    assert "LinAlgError" in event.detail
    for mine, theirs in zip(here.runs, whole.runs, strict=True):
        np.testing.assert_array_equal(mine.history["loss"], theirs.history["loss"])

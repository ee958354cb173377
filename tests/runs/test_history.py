"""A history holds every row whole: across chunks, for a reader beside the writer, and θ within its budget."""

import os
import sys
import tempfile
import threading

import numpy as np
import pytest

from ngexplorer.optimizers import Step
from ngexplorer.runs import History, Spectrum
from ngexplorer.runs import history as module
from ngexplorer.runs.history import COLUMNS, INTEGERS, LEADING, NUMBERS, TEXTS, Snapshots

THETA = np.zeros(3)


def append(history, k):
    """Row k, every number of it told by k."""
    leading = dict.fromkeys(LEADING, float(k)) | {"step": float(k), "loss": k + 0.5}
    step = Step(loss_before=k - 1.0, damping=k + 0.25, rejected_trials=k % 7, solver=f"solver {k}") if k else None
    history.append(leading, step, THETA + k)


def filled(rows):
    history = History("label", "newton", 0)
    for k in range(rows):
        append(history, k)
    return history


@pytest.mark.parametrize("rows", [0, 1, 2, 1023, 1024, 1025, 2048, 2049])
def test_columns_are_whole_across_chunks_of_1024_rows(rows):
    history = filled(rows)
    assert len(history) == rows
    np.testing.assert_array_equal(history["step"], np.arange(rows))
    np.testing.assert_array_equal(history["loss"], np.arange(rows) + 0.5)
    np.testing.assert_array_equal(history["damping"][1:], np.arange(1, max(rows, 1)) + 0.25)
    assert history["solver"] == ["", *(f"solver {k}" for k in range(1, rows))][:rows]
    for since in (0, 1, 1000, 1024, 1030, 3000):
        np.testing.assert_array_equal(history.column("step", since), np.arange(rows)[since:])
        assert history.column("solver", since) == history["solver"][since:]


@pytest.fixture
def small_blocks(monkeypatch):
    """Chunks of 16 rows, of which each four are moved to a file."""
    monkeypatch.setattr(module, "_CHUNK", 16)
    monkeypatch.setattr(module, "_BLOCK", 4)


@pytest.mark.parametrize("rows", [63, 64, 65, 129, 500])
def test_rows_that_were_moved_to_a_file_are_read_as_before(small_blocks, rows):
    moved = filled(rows)
    assert moved._rows._store[0].nbytes == (rows - 1) // 64 * 64 * len(COLUMNS) * 8
    for since in (0, 1, 15, 16, 63, 64, 100, 127, 128, 130, 600):
        for until in (None, 0, 16, 64, 70, 128, 1000):
            expected = np.arange(rows)[since:until]
            np.testing.assert_array_equal(moved.column("step", since, until), expected)
            assert moved.column("solver", since, until) == [f"solver {k}" if k else "" for k in expected]
    for step in range(0, rows, 7):
        row = moved.row(step)
        assert (row["loss"], row["solver"]) == (step + 0.5, f"solver {step}" if step else "")
    chosen = np.array([rows - 1, 0, 5, 62, 62, rows // 2])
    np.testing.assert_array_equal(moved.values("loss", chosen), chosen + 0.5)
    np.testing.assert_array_equal(moved.values("loss", np.array([], dtype=np.int64)), [])


def test_where_no_file_can_be_written_memory_does(small_blocks, monkeypatch):
    def refuse(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    np.testing.assert_array_equal(filled(300)["loss"], np.arange(300) + 0.5)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="open files are counted in /proc")
def test_a_history_that_is_forgotten_leaves_no_file(small_blocks):
    before = len(os.listdir("/proc/self/fd"))
    filled(300)
    assert len(os.listdir("/proc/self/fd")) == before


def test_row_zero_is_the_start_and_has_no_step():
    row = filled(3).row(0)
    assert row["step"] == 0
    assert row["loss"] == 0.5
    assert all(np.isnan(row[name]) for name in NUMBERS if name not in LEADING)
    assert all(row[name] == "" for name in TEXTS)


def test_a_row_is_every_column_at_a_step():
    history = filled(1100)
    row = history.row(1050)
    assert tuple(sorted(row)) == tuple(sorted(COLUMNS))
    assert (row["step"], row["damping"], row["solver"]) == (1050, 1050.25, "solver 1050")
    assert history.row(10**9)["step"] == 1099
    assert history.row(-5)["step"] == 0


@pytest.mark.parametrize("name", ["losss", "", "label"])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(name):
    with pytest.raises(KeyError, match=f"no column '{name}' .there are: step, seconds, gradient_equivalents, loss"):
        filled(2)[name]


def test_columns_begin_as_the_table_does_and_go_on_with_the_steps_record():
    assert COLUMNS[:6] == ("step", "seconds", "gradient_equivalents", "loss", "validation_loss", "metric")
    assert COLUMNS[6:] == Step.__struct_fields__
    assert set(TEXTS) == {"solver", "outcome"}
    assert set(INTEGERS) <= set(NUMBERS)


@pytest.mark.parametrize("chunk", [16, 1024])
def test_a_reader_beside_the_writer_sees_whole_rows_only(chunk, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    monkeypatch.setattr(module, "_BLOCK", 4)
    history, rows = History("label", "newton", 0), 6000
    writer = threading.Thread(target=lambda: [append(history, k) for k in range(rows)])
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        writer.start()
        seen, looks = 0, 0
        while seen < rows:
            length = len(history)
            for name, offset in (("step", 0), ("loss", 0.5), ("damping", 0.25)):
                column = history.column(name, seen)
                assert len(column) >= length - seen
                at = np.arange(seen, seen + len(column))
                np.testing.assert_array_equal(column[at > 0], (at + offset)[at > 0])
            texts = history.column("solver", seen)
            assert texts == [f"solver {k}" if k else "" for k in range(seen, seen + len(texts))]
            assert len(texts) >= length - seen
            if length:
                row = history.row(length - 1)
                assert row["loss"] == length - 0.5
                assert row["solver"] == (f"solver {length - 1}" if length > 1 else "")
                assert history.parameters(length - 1)[1] == length - 1
            seen, looks = length, looks + 1
    finally:
        sys.setswitchinterval(before)
        writer.join()
    assert looks > 10


def test_spectra_at_a_step_are_the_latest_of_each_matrix():
    history = filled(10)
    for step, matrix in [(0, "fisher"), (0, "hessian"), (4, "fisher"), (7, "hessian")]:
        history.spectra.append(Spectrum(step, matrix, np.zeros(3), 1.0))
    assert [(s.step, s.matrix) for s in history.spectra_at(5)] == [(4, "fisher"), (0, "hessian")]
    assert [(s.step, s.matrix) for s in history.spectra_at(9)] == [(4, "fisher"), (7, "hessian")]
    assert History("", "", 0).spectra_at(3) == []


# Snapshots


def test_within_the_budget_every_step_has_its_snapshot():
    history = filled(50)
    for step in (0, 17, 49):
        theta, at = history.parameters(step)
        assert at == step
        assert (theta == step).all()


@pytest.mark.parametrize("budget", [0, 1, 240, 500, 2400])
def test_over_the_budget_every_second_one_goes_and_the_nearest_is_found(budget):
    snapshots, entry = Snapshots(budget), THETA.nbytes + module._ENTRY
    for step in range(200):
        snapshots.append(step, THETA + step)
        kept = [at for at, _ in snapshots.since(0)]
        assert kept == list(range(0, step + 1, snapshots.stride))
        assert len(kept) * entry <= max(budget, entry)
    assert snapshots.stride & (snapshots.stride - 1) == 0
    assert len(snapshots) == len(kept)
    # At least half of what the budget allows stays.
    assert 2 * (len(kept) + 1) * entry >= budget
    for step in (0, 3, 99, 150, 199):
        theta, at = snapshots.nearest(step)
        assert abs(at - step) == min(abs(other - step) for other in kept)
        assert (theta == at).all()


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_a_path_is_few_snapshots_evenly_spaced_up_to_a_step_and_the_last_of_them(most):
    snapshots = filled(50).snapshots
    for step in (0, 1, 6, 31, 49, 80):
        steps = [at for at, _ in snapshots.until(step, most)]
        assert steps[0] == 0 and steps[-1] == min(step, 49)
        assert len(steps) <= most + 1
        assert len(set(np.diff(steps[:-1]))) <= 1
    assert [at for at, _ in snapshots.until(30, 100)] == list(range(31))


def test_without_a_snapshot_there_is_no_nearest():
    with pytest.raises(IndexError, match="no snapshot yet"):
        History("", "", 0).parameters(0)


@pytest.mark.parametrize("rows", [1, 64, 65, 300])
def test_a_single_number_is_that_of_its_column(rows, small_blocks):
    history = filled(rows)
    for row in range(0, rows, 5):
        assert history.value("loss", row) == history["loss"][row]
    with pytest.raises(KeyError, match="no column 'losss'"):
        history.value("losss", 0)


def test_spectra_that_come_are_found_beside_those_that_were_asked_for_before():
    history = filled(10)
    for step in range(5):
        history.spectra.append(Spectrum(step, "fisher", np.zeros(3), 1.0))
        assert [s.step for s in history.spectra_at(9)] == [step]
        assert [s.step for s in history.spectra_at(1)] == [min(step, 1)]

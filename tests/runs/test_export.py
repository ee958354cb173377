"""The table of a race is read back bit for bit, and is written whole or not at all."""

import csv
import math

import numpy as np
import pytest

from ngexplorer.optimizers import Step
from ngexplorer.runs import History, export
from ngexplorer.runs.export import HEADER, TIME_COLUMNS, write_csv
from ngexplorer.runs.files import make_folder, replacing, require_writable
from ngexplorer.runs.history import INTEGERS, LEADING, NUMBERS


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_number_is_read_back_bit_for_bit(race, run_to_the_end, tmp_path):
    here = run_to_the_end(race(["adam", "newton", "natural-gradient"], steps=12))
    write_csv([run.history for run in here.runs], tmp_path / "race.csv")
    table = read(tmp_path / "race.csv")
    assert len(table) == 3 * 13
    for number, run in enumerate(here.runs):
        mine = table[number * 13 : (number + 1) * 13]
        for k, row in enumerate(mine):
            assert (row["run"], row["optimizer"], row["seed"]) == (run.label, run.optimizer.name, "3")
            assert (row["solver"], row["outcome"]) == (run.history["solver"][k], run.history["outcome"][k])
            for name in NUMBERS:
                value = float(run.history[name][k])
                assert row[name] == "" if math.isnan(value) else float(row[name]) == value


def test_a_history_writes_its_own_table(race, run_to_the_end, tmp_path):
    history = run_to_the_end(race(["newton"], steps=3)).runs[0].history
    history.to_csv(tmp_path / "one.csv")
    write_csv([history], tmp_path / "same.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "same.csv").read_bytes()


def test_some_columns_of_some_steps(race, run_to_the_end, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_AT_ONCE", 3)
    history = run_to_the_end(race(["newton"], steps=12)).runs[0].history
    write_csv([history], tmp_path / "some.csv", ["step", "damping", "solver"], (2, 9))
    table = read(tmp_path / "some.csv")
    assert list(table[0]) == ["run", "optimizer", "seed", "step", "damping", "solver"]
    assert [int(row["step"]) for row in table] == list(range(2, 10))
    assert [float(row["damping"]) for row in table] == history["damping"][2:10].tolist()
    write_csv([history], tmp_path / "beyond.csv", ["step"], (-3, 1000))
    assert len(read(tmp_path / "beyond.csv")) == 13
    with pytest.raises(KeyError, match="no column 'lost'"):
        write_csv([history], tmp_path / "wrong.csv", ["lost"])
    assert not (tmp_path / "wrong.csv").exists()


def test_the_header_begins_as_promised():
    first = "run,optimizer,seed,step,seconds,gradient_equivalents,loss,validation_loss,metric"
    assert ",".join(HEADER).startswith(first + ",loss_before,")
    assert HEADER[9:] == Step.__struct_fields__
    assert set(TIME_COLUMNS) <= set(HEADER)
    assert set(INTEGERS) == {"step", "rejected_trials"}


def history_with(**numbers):
    history = History('a, "b"\nc — λ', "newton", 7)
    leading = dict.fromkeys(LEADING, 0.1)
    history.append(leading | {"step": 0.0} | numbers, None, np.zeros(1))
    return history


@pytest.mark.parametrize(
    "value", [1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789.0, 2**53 + 2.0, math.inf, 0.1 + 0.2]
)
def test_awkward_numbers_survive(value, tmp_path):
    write_csv([history_with(loss=value)], tmp_path / "a.csv")
    (row,) = read(tmp_path / "a.csv")
    assert math.copysign(1, float(row["loss"])) == math.copysign(1, value)
    assert float(row["loss"]) == value
    assert row["step"] == "0"
    assert row["validation_loss"] == "0.1"


def test_awkward_labels_survive(tmp_path):
    write_csv([history_with()], tmp_path / "a.csv")
    assert read(tmp_path / "a.csv")[0]["run"] == 'a, "b"\nc — λ'
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_a_failure_in_the_middle_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("the old file")

    def rows(history, columns, steps):
        yield ["half"]
        raise MemoryError("no more")

    monkeypatch.setattr(export, "_rows", rows)
    with pytest.raises(MemoryError):
        write_csv([history_with()], path)
    assert path.read_text() == "the old file"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_whole_and_says_so(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("the old file")
    with pytest.raises(OSError, match=r"cannot write .*a\.csv: No space left on device"), replacing(path) as file:
        file.write("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "the old file"
    assert list(tmp_path.iterdir()) == [path]


def test_until_all_is_written_the_old_file_stands(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    with replacing(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_a_place_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    cases = [
        (tmp_path / "missing" / "a.csv", "No such file or directory"),
        (tmp_path / "file" / "a.csv", "Not a directory"),
        (tmp_path / "folder", "Is a directory"),
    ]
    for path, reason in cases:
        with pytest.raises(OSError, match=reason) as caught:
            write_csv([history_with()], path)
        assert str(caught.value).startswith(f"cannot write {path}: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_writability_is_asked_for_before_long_work(tmp_path, monkeypatch):
    require_writable(tmp_path / "a.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"folder: it is a folder"):
        require_writable(tmp_path / "folder")
    with pytest.raises(OSError, match=r"there is no folder .*missing"):
        require_writable(tmp_path / "missing" / "a.csv")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(OSError, match=r"cannot write .*a\.csv: the folder .* is not writable"):
        require_writable(tmp_path / "a.csv")


def test_a_folder_is_made_with_those_above_it_or_named(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot make the folder .*file: File exists"):
        make_folder(tmp_path / "file")
    with pytest.raises(OSError, match=r"cannot make the folder .*c: Not a directory"):
        make_folder(tmp_path / "file" / "c")

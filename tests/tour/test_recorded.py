"""The recorded race: its file has what a replay is compared with."""

from itertools import pairwise

import pytest

from ngexplorer.runs import experiment
from ngexplorer.tour import STOPS, recorded


def test_every_run_of_its_experiment_is_recorded_from_the_start_to_the_end_of_its_time():
    rows = recorded.rows()
    assert list(rows) == experiment.read(recorded.EXPERIMENT).labels()
    for run in rows.values():
        assert [row.step for row in run[:10]] == list(range(10))
        assert run[-1].seconds == pytest.approx(recorded.SECONDS, rel=0.1)
        assert all(before.step < after.step for before, after in pairwise(run))
    assert len({run[0].loss for run in rows.values()}) == 1


def test_the_rows_kept_are_the_first_ones_some_and_the_last():
    run = [recorded.Row("a", k, float(k), float(k), 1.0) for k in range(1001)]
    steps = [row.step for row in recorded.thinned(run)]
    assert steps[:12] == [*range(10), 12, 18]
    assert steps[-1] == 1000
    assert len(steps) < 210
    assert recorded.thinned(run[:50]) == run[:50]


def test_it_is_recorded_as_it_is_read(tmp_path, monkeypatch):
    """On fewer images and for hardly any time: the start of each run."""
    small = experiment.to_toml(experiment.read(recorded.EXPERIMENT)).replace("size = 1000", "size = 50")
    monkeypatch.setattr(recorded, "EXPERIMENT", tmp_path / "curves.toml")
    monkeypatch.setattr(recorded, "FILE", tmp_path / "curves.csv")
    monkeypatch.setattr(recorded, "SECONDS", 0.0)
    recorded.EXPERIMENT.write_text(small)
    recorded.record()
    rows = recorded.rows()
    assert list(rows) == experiment.read(recorded.EXPERIMENT).labels()
    assert {len(run) for run in rows.values()} == {1}
    again = recorded.replay("K-FAC", 2)
    assert [row.step for row in again] == [0, 1, 2]
    assert again[0].loss == pytest.approx(rows["K-FAC"][0].loss, rel=1e-5)
    assert again[2].gradient_equivalents > again[1].gradient_equivalents > 0


def test_the_page_says_what_is_recorded():
    text, rows = STOPS[15].text, recorded.rows()
    adam = min((run for label, run in rows.items() if label.startswith("Adam")), key=lambda run: run[-1].loss)
    for name, run in (
        ("K-FAC", rows["K-FAC"]),
        ("Adam, best of four rates", adam),
        ("Hessian-free", rows["Hessian-free"]),
    ):
        assert f"| {name} | {run[-1].loss:.1f} | {run[-1].step:,} |" in text
    passed = next(row.seconds for row in rows["K-FAC"] if row.loss <= adam[-1].loss)
    assert f"K-FAC passed Adam's final loss after {passed:.0f} seconds" in text

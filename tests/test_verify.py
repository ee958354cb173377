"""`ngexplorer verify` and `ngexplorer tour`: the paper's claims checked and shown, without a window."""

import json
import os
import subprocess
import sys

import pytest

from ngexplorer.cli import main
from ngexplorer.tour import STOPS, Stop
from ngexplorer.tour.checks import near, unchecked

FIELDS = {"name", "stop", "section", "expected", "measured", "relation", "tolerance", "passed"}


@pytest.fixture
def one_stop(monkeypatch):
    """A tour of one stop with these outcomes."""

    def make(**outcomes):
        stop = Stop("small", "A small stop")
        for name, outcome in outcomes.items():
            stop.claim(name, "§1")(lambda outcome=outcome: outcome)
        monkeypatch.setattr("ngexplorer.tour.STOPS", (stop,))

    return make


@pytest.mark.parametrize("given", ["14", "kronecker"])
def test_one_stop_is_checked_by_its_number_or_name(given, capsys):
    assert main(["verify", given]) == 0
    out, err = capsys.readouterr()
    claims = len(STOPS[13].claims)
    assert STOPS[13].title in out
    assert out.count(" passed ") == claims
    assert f"{claims} checks in " in out.splitlines()[-1]
    assert f"{claims} passed, 0 failed, 0 cannot be checked here" in out.splitlines()[-1]
    assert err == ""


def test_json_is_a_list_of_objects(capsys):
    assert main(["verify", "distribution-space", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in found] == [claim.name for claim in STOPS[0].claims]
    assert all(set(check) == FIELDS for check in found)
    assert all(check["passed"] is True for check in found)
    assert found[1]["expected"] == [1.39262, 0.34816]
    assert found[1]["measured"] == pytest.approx(found[1]["expected"], abs=found[1]["tolerance"])


def test_what_fails_is_status_1_and_shows_by_how_much(one_stop, capsys):
    one_stop(right=near(1.0, 1, 0.1), wrong=near(1.5, 1, 0.1))
    assert main(["verify"]) == 1
    out = capsys.readouterr().out
    assert "FAILED: wrong: off by 0.5" in out
    assert "2 checks in 0 s: 1 passed, 1 failed, 0 cannot be checked here" in out
    assert main(["verify", "--json"]) == 1
    assert [check["passed"] for check in json.loads(capsys.readouterr().out)] == [True, False]


def test_what_cannot_be_checked_here_says_why_and_does_not_fail(one_stop, capsys):
    one_stop(far=unchecked("no telescope"))
    assert main(["verify"]) == 0
    assert "not here: far: no telescope" in capsys.readouterr().out
    assert main(["verify", "--json"]) == 0
    (check,) = json.loads(capsys.readouterr().out)
    assert check["passed"] is None
    assert check["why"] == "no telescope"


def test_brackets_in_a_claim_are_text(one_stop, capsys):
    one_stop(**{"[[1/v, bold], [·, red]]": near(1.0, 1, 0.1)})
    assert main(["verify"]) == 0
    assert "[[1/v, bold], [·, red]]" in capsys.readouterr().out


def test_the_tour_lists_its_stops(capsys):
    assert main(["tour"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[str(n), stop.name] for n, stop in enumerate(STOPS, 1)]
    assert all(line.endswith(stop.title) for line, stop in zip(lines, STOPS, strict=True))


def test_a_stops_page_can_be_read_on_the_terminal(capsys):
    assert main(["tour", "10", "--text"]) == 0
    out = capsys.readouterr().out
    assert STOPS[9].title in out
    assert "In the paper: §12." in out
    assert " m(t) = T̄ + e^(−t)(m₀ − T̄)" in out
    assert not any(sign in out for sign in ("**", "$", '"'))


def test_a_stop_opens_its_experiment(monkeypatch):
    opened = []
    monkeypatch.setattr("ngexplorer.gui.application.take_tour", lambda *stop: opened.append(stop) or 0)
    assert main(["tour", "saddles"]) == 0
    assert opened == [(15, STOPS[14])]


def test_where_there_is_no_display_a_stop_says_what_can_be_done(tmp_path):
    """One line: what is wrong, and the commands that print the page and check it."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-m", "ngexplorer", "tour", "8"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment | {"QT_QPA_PLATFORM": "xcb"},
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ngexplorer: the window cannot be opened: ")
    assert done.stderr.endswith("`ngexplorer tour 8 --text` prints the page, `ngexplorer verify 8` checks it\n")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["verify", "sadles"], "stop: there is no stop named 'sadles'; did you mean 'saddles'?"),
        (["tour", "18"], "stop: there is no stop named '18' (there are: distribution-space, "),
        (["tour", "0"], "or give its number, 1 to 17"),
        (["shot", "--out", "x.png"], "shot: an experiment is needed, or --tour with a stop"),
        (["shot", "digits", "--tour", "1", "--out", "x.png"], "'digits' and --tour are two; one of them is needed"),
        (["shot", "--tour", "sadles", "--out", "x.png"], "did you mean 'saddles'?"),
        (["verify", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_what_is_no_stop_is_one_line_and_status_2(given, expected, capsys):
    try:
        status = main(given)
    except SystemExit as done:
        status = done.code
    assert status == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ngexplorer: ")
    assert err.count("\n") == 1
    assert expected in err


def test_as_a_process_it_prints_json_alone(tmp_path):
    command = [sys.executable, "-m", "ngexplorer", "verify", "interpretation", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == len(STOPS[11].claims)
    assert done.stderr == ""

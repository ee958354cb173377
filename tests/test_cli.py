"""The command line: what it writes, what it lists, and one line with status 2 for whatever cannot be."""

import csv
import json
import os
import subprocess
import sys

import pytest

import ngexplorer
from ngexplorer import cli, resource_files
from ngexplorer.cli import main
from ngexplorer.objectives.datasets import AnyDataSet
from ngexplorer.objectives.landscapes import AnyLandscape
from ngexplorer.objectives.losses import AnyLoss
from ngexplorer.objectives.models import AnyModel
from ngexplorer.optimizers import RECIPES, Stepper
from ngexplorer.runs.export import HEADER, TIME_COLUMNS
from ngexplorer.settings import tags

TINY = """
title = "Tiny"
steps = 3

[data]
name = "two-moons"
size = 20

[model]
name = "linear"

[loss]
name = "bernoulli-logits"

[[runs]]
optimizer = "newton"

[[runs]]
optimizer = "adam"
label = "Adam, fast"
learning_rate = 0.5
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def status(arguments):
    """The exit status, whether it is returned or raised by the parser."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code


def test_run_writes_the_table_and_says_where(tiny, tmp_path, capsys):
    assert main(["run", tiny, "--out", str(tmp_path / "new" / "folder")]) == 0
    path = tmp_path / "new" / "folder" / "tiny.csv"
    table = rows(path)
    assert tuple(table[0]) == HEADER
    assert [(row["run"], row["step"]) for row in table] == [
        (name, str(step)) for name in ("Newton", "Adam, fast") for step in range(4)
    ]
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == str(path)
    assert "Newton" in out
    assert err == ""


def test_run_takes_a_shipped_experiment_by_name(tmp_path, capsys):
    assert main(["run", "rosenbrock", "--steps", "2", "--out", str(tmp_path)]) == 0
    assert {row["step"] for row in rows(tmp_path / "rosenbrock.csv")} == {"0", "1", "2"}


def test_overrides_override(tiny, tmp_path, capsys):
    assert main(["run", tiny, "--out", str(tmp_path), "--steps", "5", "--seed", "9", "--device", "cpu"]) == 0
    table = rows(tmp_path / "tiny.csv")
    assert {row["seed"] for row in table} == {"9"}
    assert table[-1]["step"] == "5"


@pytest.mark.parametrize(("given", "seeds"), [("2", [9, 10]), ("8,3", [8, 3]), ("7,", [7])])
def test_seeds_are_counted_or_listed(tiny, tmp_path, capsys, given, seeds):
    begun = ["--seed", "9"] if "," not in given else []
    assert main(["run", tiny, "--out", str(tmp_path), "--seeds", given, *begun]) == 0
    table = rows(tmp_path / "tiny.csv")
    wanted = [(run, str(seed)) for run in ("Newton", "Adam, fast") for seed in seeds]
    assert list(dict.fromkeys((row["run"], row["seed"]) for row in table)) == wanted
    assert ("Seed" in capsys.readouterr().out) == (len(seeds) > 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--seeds", "3,x"], "argument --seeds: 'x' is not accepted; a whole number is needed"),
        (["--seeds", "3,3"], "seeds[1]: 3 stands there twice; each seed is needed once"),
        (
            ["--seeds", "3,5", "--seed", "1"],
            "seed: the seeds are listed (3, 5), so there is no first one to count from",
        ),
    ],
)
def test_seeds_that_cannot_be_are_one_line(tiny, tmp_path, capsys, given, said):
    assert status(["run", tiny, "--out", str(tmp_path), *given]) == 2
    assert said in capsys.readouterr().err


def test_the_same_seed_writes_the_same_table_but_for_time(tiny, tmp_path, capsys):
    tables = []
    for name in ("a", "b"):
        main(["run", tiny, "--out", str(tmp_path / name)])
        tables.append([[row[c] for c in HEADER if c not in TIME_COLUMNS] for row in rows(tmp_path / name / "tiny.csv")])
    assert tables[0] == tables[1]


def test_a_run_that_failed_is_status_1_and_the_others_are_written(tiny, tmp_path, capsys, monkeypatch):
    step = Stepper.step

    def failing(self, *arguments):
        if self.optimizer.name == "adam":
            raise ZeroDivisionError("the sky fell")
        return step(self, *arguments)

    monkeypatch.setattr(Stepper, "step", failing)
    assert main(["run", tiny, "--out", str(tmp_path)]) == 1
    assert "Adam, fast: ZeroDivisionError: the sky fell" in capsys.readouterr().err
    assert [row["run"] for row in rows(tmp_path / "tiny.csv")] == ["Newton"] * 4 + ["Adam, fast"]


def test_a_run_that_diverged_is_status_0_and_says_when(tmp_path, capsys):
    path = tmp_path / "wild.toml"
    path.write_text(
        TINY.replace("bernoulli-logits", "squared-error").replace("steps = 3", "steps = 900").replace("0.5", "1e6")
    )
    path.write_text(path.read_text().replace('"adam"', '"heavy-ball"'))
    assert main(["run", str(path), "--out", str(tmp_path)]) == 0
    assert "Adam, fast: diverged at step " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("optimizers", set(RECIPES)),
        ("experiments", set(resource_files.experiment_names())),
        ("datasets", set(tags(AnyDataSet))),
        ("landscapes", set(tags(AnyLandscape))),
        ("losses", set(tags(AnyLoss))),
        ("models", set(tags(AnyModel))),
    ],
)
def test_lists_are_objects_with_a_name_and_people_read_the_same_names(what, names, capsys):
    assert main(["list", what, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in listed} == names
    assert all(row["title"] for row in listed)
    assert main(["list", what]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [row["name"] for row in listed]


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"NG Explorer {ngexplorer.__version__}\n"


BAD = {
    "a picture of no size": (
        ["shot", "digits", "--out", "x.png", "--size", "99999x99999"],
        "is too large; up to 8192x8192",
    ),
    "a picture of another kind": (["shot", "digits", "--out", "x.txt"], "a name that ends in .png is needed"),
    "no such experiment": (
        ["run", "digit"],
        "experiment: there is no experiment named 'digit'; did you mean 'digits'?",
    ),
    "a name over two lines": (["run", "di\ngits"], r"experiment: there is no experiment named 'di\ngits'"),
    "no such file": (["run", "missing.toml"], "missing.toml: cannot be read: No such file or directory"),
    "a folder": (["run", os.sep], "cannot be read: Is a directory"),
    "steps out of range": (["run", "TINY", "--steps", "0"], "steps: 0 is not accepted; a whole number ≥ 1 is needed"),
    "steps as text": (["run", "TINY", "--steps", "many"], "argument --steps: 'many' is not accepted; a whole number"),
    "seed out of range": (["run", "TINY", "--seed", "-1"], "seed: -1 is not accepted; a whole number ≥ 0 is needed"),
    "device": (["run", "TINY", "--device", "tpu"], "device: 'tpu' is not on this machine (there are: cpu"),
    "out is a file": (["run", "TINY", "--out", "TINY"], "cannot make the folder "),
    "no such list": (["list", "colours"], "argument what: invalid choice: 'colours'"),
    "no such command": (["rnu", "digits"], "invalid choice: 'rnu'"),
    "no such option": (["run", "TINY", "--step", "3", "--fast"], "unrecognized arguments: --fast"),
    "nothing to run": (["run"], "the following arguments are required: experiment"),
    "no list": (["list"], "the following arguments are required: what"),
    "a size that is none": (
        ["shot", "TINY", "--out", "a.png", "--size", "big"],
        "argument --size: 'big' is not a size",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_what_cannot_be_is_one_line_and_status_2(case, tiny, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments, expected = case
    assert status([tiny if argument == "TINY" else argument for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ngexplorer")
    assert err.count("\n") == 1
    assert expected in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.toml"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (TINY, "", "the file is empty"),
        ('"newton"', '"newtin"', "runs[0].optimizer: there is no optimizer named 'newtin'; did you mean 'newton'?"),
        ('"two-moons"\nsize = 20', '"digits"', "loss: Bernoulli, logits needs two classes; there are 10"),
        ("size = 20", "size = 4\nvalidation = 0.9", "data.validation: 0.9 of 4 cases leaves none to train on"),
        ("steps = 3", "steps = 3\nsteps = 4", "not TOML: Cannot overwrite a value"),
    ],
)
def test_a_bad_file_is_one_line_and_status_2(old, new, expected, tiny, capsys, tmp_path):
    with open(tiny, "w") as file:
        file.write(TINY.replace(old, new))
    assert main(["run", tiny, "--out", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("ngexplorer: ")
    assert err.count("\n") == 1
    assert expected in err


def test_an_unwritable_folder_is_found_before_the_work(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ngexplorer.runs.experiment.Experiment.race", lambda self: pytest.fail("it ran"))
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    assert main(["run", tiny, "--out", str(tmp_path)]) == 2
    assert "is not writable" in capsys.readouterr().err


def test_an_interruption_is_one_line_and_status_130(tiny, capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert main(["run", tiny]) == 130
    assert capsys.readouterr().err == "ngexplorer: interrupted\n"


def ngexplorer_process(*arguments, cwd):
    command = [sys.executable, "-m", "ngexplorer", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_as_a_process_it_runs_and_refuses(tiny, tmp_path):
    done = ngexplorer_process("run", tiny, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "tiny.csv")) == 8
    refused = ngexplorer_process("run", "nowhere", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.startswith("ngexplorer: experiment: there is no experiment named 'nowhere'")
    assert refused.stderr.count("\n") == 1


def test_the_public_api_is_what_its_docstring_shows():
    assert set(ngexplorer.__all__) <= set(dir(ngexplorer))
    assert ngexplorer.optimizers.make("natural-gradient", damping="levenberg-marquardt").second_order

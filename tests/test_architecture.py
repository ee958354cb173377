"""The floors below the window run, and pass their tests, where no Qt binding can be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WITHOUT_QT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"PySide6", "shiboken6", "PyQt6", "PySide2", "PyQt5", "qtpy", "pyqtgraph"}:
            raise ImportError(f"{name} is blocked here")

sys.meta_path.insert(0, Blocked())
"""


def without_qt(program):
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-c", WITHOUT_QT + program]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110, check=False)


def test_the_block_blocks():
    assert "PySide6 is blocked here" in without_qt("import PySide6").stderr


def test_the_floors_below_the_window_import_and_race_without_qt():
    program = """
import importlib, pkgutil
import ngexplorer
from ngexplorer import resource_files
from ngexplorer.runs import experiment

for floor in ("objectives", "curvature", "optimizers", "runs", "analysis", "tour"):
    package = importlib.import_module(f"ngexplorer.{floor}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
for module in ("cli", "settings", "cancellation", "resource_files"):
    importlib.import_module(f"ngexplorer.{module}")

race = experiment.read(resource_files.EXPERIMENTS / "two-moons.toml").race()
for _ in range(12):
    race.advance()
assert all(run.step and not run.history.events for run in race.runs)
assert not [name for name in sys.modules if "PySide" in name or "pyqtgraph" in name or "ngexplorer.gui" in name]
print("raced")
"""
    done = without_qt(program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("raced\n")


def test_a_race_on_the_command_line_needs_no_qt(tmp_path):
    command = ["run", "rosenbrock", "--steps", "2", "--out", str(tmp_path)]
    done = without_qt(f"from ngexplorer.cli import main; sys.exit(main({command!r}))")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rosenbrock.csv").exists()


@pytest.mark.timeout(115)
def test_the_tests_of_these_floors_pass_without_qt(tmp_path):
    """pytest itself runs with the block, so a test or a fixture that needs Qt fails.

    Some of each floor, with every fixture: what they import the others import too, and they take a quarter of the time.
    """
    tests = [
        "tests/objectives/losses",
        "tests/objectives/datasets",
        "tests/curvature/test_identities.py",
        "tests/optimizers/test_catalog.py",
        "tests/optimizers/test_subproblems.py",
        "tests/runs",
        "tests/analysis/test_local_model.py",
        "tests/tour/test_checks.py",
    ]
    options = ["--ignore=tests/runs/test_remote.py"]  # in whose processes nothing is blocked
    options += ["-p", "no:pytest-qt", "-p", "no:cacheprovider", "-o", "addopts=", "--import-mode=importlib", "-q", "-x"]
    arguments = [*options, f"--basetemp={tmp_path / 'inner'}", *tests]
    done = without_qt(f"import pytest; sys.exit(pytest.main({arguments!r}))")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout

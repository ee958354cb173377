"""Small races that take milliseconds, and what repeats of their tables."""

import csv

import pytest
import torch

from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import TwoMoons
from ngexplorer.objectives.losses import BernoulliLogits
from ngexplorer.objectives.models import MLP
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes, Race, Run
from ngexplorer.runs.export import TIME_COLUMNS, write_csv


def two_moons(hidden=5):
    """16 + hidden·4 cases of two moons, an MLP of a few parameters, and validation cases."""
    return assemble(TwoMoons(size=40), MLP(hidden=(hidden,)), BernoulliLogits(), weight_decay=1e-3, seed=3)


def race_of(names, objective=None, steps=8, turns="steps", probes=Probes(), **settings):  # noqa: B008
    objective = objective or two_moons()
    made = [make(name, **settings.get(name.replace("-", "_"), {})) for name in names]
    return Race(
        [
            Run(objective, optimizer, label=f"{optimizer.name} {i}", seed=3, steps=steps, probes=probes)
            for i, optimizer in enumerate(made)
        ],
        turns,
    )


def finish(race, cancel=lambda: False):
    race.begin()
    while race.advance(cancel) is not None:
        pass
    return race


def table_of(race, path):
    """The CSV's rows without the columns of time."""
    write_csv([run.history for run in race.runs], path)
    with open(path, newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in csv.DictReader(file)]


@pytest.fixture(scope="session")
def race():
    return race_of


@pytest.fixture(scope="session")
def run_to_the_end():
    return finish


@pytest.fixture(scope="session")
def rows():
    return table_of


@pytest.fixture(scope="session")
def moons():
    return two_moons()


@pytest.fixture
def costs(monkeypatch):
    """Lets a test say how many seconds a step of each optimizer takes."""
    from msgspec.structs import replace

    from ngexplorer.optimizers import Stepper

    seconds = {}
    step = Stepper.step

    def timed(self, *arguments):
        record = step(self, *arguments)
        return replace(record, step_seconds=seconds.get(self.optimizer.name, 1.0))

    monkeypatch.setattr(Stepper, "step", timed)
    return seconds


@pytest.fixture(autouse=True)
def threads():
    """A race sets the number of threads; give it back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)

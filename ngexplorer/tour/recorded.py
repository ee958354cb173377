"""A race that takes minutes, recorded once: its file, and the first steps of it run again.

`python -m ngexplorer.tour.recorded` records it anew, every run for the same seconds of compute.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from dataclasses import dataclass

import msgspec

from ngexplorer.cancellation import Cancel, never
from ngexplorer.runs import Probes, experiment
from ngexplorer.runs.experiment import Experiment
from ngexplorer.runs.files import replacing
from ngexplorer.runs.race import Race
from ngexplorer.runs.schedule import Never
from ngexplorer.tour.stop import FOLDER

EXPERIMENT = FOLDER / "recorded" / "curves.toml"
FILE = FOLDER / "recorded" / "curves.csv"
SECONDS = 45.0
"""Of compute, for each run"""
_ROWS = 200


@dataclass(frozen=True)
class Row:
    """One step of one run; seconds and gradients are cumulative."""

    run: str
    step: int
    seconds: float
    gradient_equivalents: float
    loss: float


def rows() -> dict[str, list[Row]]:
    """What is recorded, by the runs' labels."""
    found: dict[str, list[Row]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for raw in csv.DictReader(file):
            row = Row(
                raw["run"],
                int(raw["step"]),
                float(raw["seconds"]),
                float(raw["gradient_equivalents"]),
                float(raw["loss"]),
            )
            found.setdefault(row.run, []).append(row)
    return found


def replay(label: str, steps: int, cancel: Cancel = never) -> list[Row]:
    """The start and the first steps of one of its runs, taken now. Raises Cancelled where `cancel` says so."""
    settings = experiment.read(EXPERIMENT)
    place = settings.labels().index(label)
    return _raced(settings, place, steps, float("inf"), cancel)


def record() -> None:
    """Run it all and write the file."""
    settings = experiment.read(EXPERIMENT)
    runs = [_raced(settings, place, settings.steps, SECONDS, never) for place in range(len(settings.runs))]
    written = [row for run in runs for row in thinned(run)]
    with replacing(FILE) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(Row))
        for row in written:
            numbers = (f"{row.seconds:.3f}", f"{row.gradient_equivalents:.5g}", f"{row.loss:.7g}")
            writer.writerow((row.run, row.step, *numbers))


def thinned(run: list[Row]) -> list[Row]:
    """About two hundred rows of a run: the first ones, then as many apart as that allows, and the last."""
    apart = -(-len(run) // _ROWS)
    return [row for k, row in enumerate(run) if k < 10 or k % apart == 0 or k == len(run) - 1]


def _raced(settings: Experiment, place: int, steps: int, seconds: float, cancel: Cancel) -> list[Row]:
    """One run alone, until it has taken so many steps or seconds."""
    run = msgspec.structs.replace(settings, probes=Probes(spectra=Never())).race().runs[place]
    race = Race([run])
    race.set_steps(steps)
    race.begin()
    while run.seconds < seconds and race.advance(cancel) is not None:
        pass
    columns = (run.history[name] for name in ("step", "seconds", "gradient_equivalents", "loss"))
    return [Row(run.label, int(k), *map(float, numbers)) for k, *numbers in zip(*columns, strict=True)]


if __name__ == "__main__":
    argparse.ArgumentParser(description="Record the race of stop 16 anew; it takes some minutes.").parse_args()
    record()

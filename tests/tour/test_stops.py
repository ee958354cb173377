"""Every stop: its checks pass, its experiment runs, its page can be read."""

import ast
import inspect
import re

import pytest

from ngexplorer.tour import STOPS
from ngexplorer.tour.stop import FOLDER

each_stop = pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)


@each_stop
def test_what_the_paper_says_comes_out(stop):
    checks = list(stop.checks())
    assert [check for check in checks if check.passed is False] == []
    assert sum(check.passed is True for check in checks) >= 4


@each_stop
def test_its_experiment_takes_two_steps(stop):
    experiment = stop.experiment()
    experiment.check()
    assert experiment.title == stop.title
    race = experiment.race()
    race.begin()
    for _ in range(2 * len(race.runs)):
        race.advance_run(min(race.runs, key=lambda run: run.step))
    assert [run.step for run in race.runs] == [2] * len(race.runs)
    assert [event for run in race.runs for event in run.history.events] == []


@each_stop
def test_its_page_is_one_screen_that_says_where_it_is_from(stop):
    assert stop.text.startswith(f"# {stop.title}\n")
    assert 150 <= len(stop.text.split()) <= 350
    for part in ("**Look at**", "**Change**", "**Expect**", "**In the paper:**"):
        assert part in stop.text
    assert re.search(r"§\d", stop.text.partition("**In the paper:**")[2])


def test_there_are_seventeen_stops_and_at_least_sixty_claims_of_different_names():
    names = [claim.name for stop in STOPS for claim in stop.claims]
    assert len(STOPS) == len({stop.name for stop in STOPS}) == 17
    assert len(names) == len(set(names)) >= 60
    assert all(claim.section for stop in STOPS for claim in stop.claims)


def test_every_page_and_experiment_belongs_to_a_stop():
    names = {stop.name for stop in STOPS}
    assert {path.stem for path in FOLDER.glob("*.md")} == {path.stem for path in FOLDER.glob("*.toml")} == names


@each_stop
def test_what_is_measured_comes_from_the_public_api_alone(stop):
    """`ngexplorer` and the parts of it that it exports, besides the tour itself."""
    source = inspect.getsource(inspect.getmodule(stop.claims[0].measure))
    found = {
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name.startswith("ngexplorer")
    }
    assert all(name in ("ngexplorer", "ngexplorer.curvature") or name.startswith("ngexplorer.tour") for name in found)

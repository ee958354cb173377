"""Every stop: its checks pass, its experiment runs, its page can be read."""

import ast
import inspect
import re

import pytest

import ngexplorer as ngx
from ngexplorer import resource_files
from ngexplorer.settings import SettingError
from ngexplorer.tour import STOPS, Stop, formula, page
from ngexplorer.tour.stop import FOLDER, Layout

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
    assert re.search(r"§\d", stop.source)
    assert stop.body and stop.source not in stop.body


@each_stop
def test_its_formulas_are_formulas(stop):
    """Each can be read, on the line and on its own, and no sign of the notation is left in the text."""
    found = []
    left = page.with_formulas(
        stop.body, lambda text, _: found.append(text) or "", lambda lines: found.extend(lines) or ""
    )
    assert found
    for text in found:
        formula.parse(text)
        formula.parse(text, display=True)
    assert not set("$^∇αβγλρθξᵀ").intersection(left)


@each_stop
def test_its_layout_is_one(stop):
    assert isinstance(stop.layout, Layout)
    assert set(stop.layout.linear) <= set(stop.layout.columns)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ('columns = ["los"]', r"small.toml: layout: there is no column named 'los'; did you mean 'loss'?"),
        ('axis = "second"', "small.toml: layout.axis: there is no axis named 'second'; did you mean 'seconds'?"),
        ("front = 3", "small.toml: layout.front: 3 is not accepted; a list is needed"),
        ("fromt = []", "small.toml: layout: there is no setting named 'fromt' here (there are: front, "),
    ],
)
def test_a_layout_that_cannot_be_is_one_line(layout, expected, tmp_path, monkeypatch):
    (tmp_path / "small.toml").write_text(f"[layout]\n{layout}\n")
    monkeypatch.setattr("ngexplorer.tour.stop.FOLDER", tmp_path)
    with pytest.raises(SettingError) as raised:
        _ = Stop("small", "A small stop").layout
    assert str(raised.value).startswith(expected)
    assert "\n" not in str(raised.value)


def test_no_stop_has_the_name_of_a_shipped_experiment():
    assert not {stop.name for stop in STOPS}.intersection(resource_files.experiment_names())


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
    assert [name for name in names_of_the_api(source) if not public(name)] == []


def names_of_the_api(source):
    """What a source takes from `ngx`, such as "optimizers.make"."""
    dotted = (ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return {name.removeprefix("ngx.") for name in dotted if re.fullmatch(r"ngx(\.\w+)+", name)}


def public(name):
    """Whether every step of it is one that the package before it exports."""
    at = ngx
    for step in name.split("."):
        if inspect.ismodule(at) and step not in at.__all__:
            return False
        at = getattr(at, step)
    return True


def test_what_is_not_exported_is_not_public():
    assert public("optimizers.christoffel") and public("landscapes.Rosenbrock") and public("reparametrizations.SINH")
    assert not public("optimizers.geodesic.christoffel") and not public("settings.convert")

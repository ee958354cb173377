"""A person's own optimizers stand in the list beside the catalog's: a class with a step, or a composition."""

from __future__ import annotations

import json

import pytest
import torch

import ngexplorer as ngx
from ngexplorer.cli import main
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.optimizers import make, parts
from ngexplorer.optimizers.catalog import own_optimizers, recipes, settings_of
from ngexplorer.runs import experiment as experiments
from ngexplorer.settings import SettingError

HEAVY = '''
"""Polyak's heavy ball, by hand."""
import torch

raised = []


class Ball:
    """Heavy ball, my own.

    More text.
    """

    def __init__(self, momentum=0.9):
        self.momentum = momentum
        self.before = None

    def step(self, point):
        delta = -0.002 * point.gradient
        if self.before is not None:
            delta = delta + self.momentum * self.before
        self.before = delta
        return delta


class Helper:
    pass
'''
SPOKEN = 'open({path!r}, "w").close()\nclass Loud:\n    def step(self, point):\n        return -point.gradient\n'
VALLEY = '[data]\nname="rosenbrock"\n[model]\nname="landscape"\n[loss]\nname="squared-error"\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NGEXPLORER_OPTIMIZERS", str(tmp_path))
    return tmp_path


@pytest.fixture
def valley():
    return assemble(Rosenbrock(), LandscapeModel(), SquaredError())


def test_a_class_with_a_step_is_that_method(folder, valley):
    (folder / "ball.py").write_text(HEAVY)
    theirs = ngx.run(valley, make("heavy-ball", learning_rate=0.002), steps=20)
    mine = ngx.run(valley, make("ball"), steps=20)
    assert recipes()["ball"][0] == "Heavy ball, my own"
    assert mine["loss"].tolist() == theirs["loss"].tolist()
    assert mine["solver"][1] == "Ball of ball.py"
    assert mine["step_gradient_equivalents"][1:] == pytest.approx(theirs["step_gradient_equivalents"][1:])


def test_settings_go_to_the_class_and_the_learning_rate_scales_its_step(folder, valley):
    (folder / "ball.py").write_text(HEAVY)
    plain = make("ball", curvature={"settings": "momentum=0.0"}, learning_rate=0.5)
    theirs = ngx.run(valley, make("gradient-descent", learning_rate=0.001), steps=10)
    torch.testing.assert_close(
        torch.tensor(ngx.run(valley, plain, steps=10)["loss"]), torch.tensor(theirs["loss"]), rtol=1e-12, atol=0
    )
    with pytest.raises(RuntimeError, match=r"curvature\.settings: Ball of ball\.py: .*'mometum'"):
        ngx.run(valley, make("ball", curvature={"settings": "mometum=0.0"}), steps=1)


def test_a_file_s_code_runs_with_the_first_step_and_not_before(folder, valley, tmp_path):
    trace = tmp_path / "trace"
    (folder / "loud.py").write_text(SPOKEN.format(path=str(trace)))
    optimizer = make("loud")
    assert "loud" in recipes()
    experiments.parse(VALLEY + '[[runs]]\noptimizer="loud"\n', "here").race().begin()
    stepper = optimizer.start(valley)
    assert not trace.exists()
    stepper.step()
    assert trace.exists()


def test_a_composition_in_toml_is_its_recipe_with_its_settings(folder, valley):
    (folder / "careful.toml").write_text('title = "Careful Newton"\nrecipe = "newton"\n[damping]\ninitial = 7.0\n')
    optimizer = make("careful", learning_rate=0.5)
    assert recipes()["careful"][0] == "Careful Newton"
    assert isinstance(optimizer.curvature, parts.Hessian)
    assert settings_of(optimizer) == {"learning_rate": 0.5}
    assert optimizer.start(valley).damping == 7.0
    mine = ngx.run(valley, optimizer, steps=5)
    same = ngx.run(valley, make("newton", damping={"initial": 7.0}, learning_rate=0.5), steps=5)
    assert mine["loss"].tolist() == same["loss"].tolist()
    assert mine.optimizer == "careful"


def test_an_experiment_with_an_own_optimizer_is_written_and_read(folder, tmp_path):
    (folder / "careful.toml").write_text('title = "Careful Newton"\nrecipe = "newton"\n[damping]\ninitial = 7.0\n')
    found = experiments.parse(VALLEY + '[[runs]]\noptimizer="careful"\n', "here")
    assert found.labels() == ["Careful Newton"]
    assert experiments.parse(experiments.to_toml(found), "there") == found
    (folder / "careful.toml").unlink()
    assert found.labels() == ["careful"]
    with pytest.raises(SettingError, match=r"runs\[0\]\.optimizer: there is no .* named 'careful'.*own ones are in"):
        experiments.parse(experiments.to_toml(found), "there")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (
            "a.py",
            "class A:\n  def stop(self): pass\n",
            "one class with a method step(self, point) is needed; there is none",
        ),
        ("a.py", "class A:\n  def step(self, p): pass\nclass B:\n  def step(self, p): pass\n", "there is A, B"),
        ("a.py", "class A(:\n", "line 1: invalid syntax"),
        ("a.toml", 'recipe = "nowton"\n', "did you mean 'newton'?"),
        (
            "a.toml",
            'recipe = "newton"\nlearning_rate = -1.0\n',
            "learning_rate: -1.0 is not accepted; a number > 0 is needed",
        ),
        ("a.toml", "speed = 3\n", "there is no setting named 'speed' here"),
        ("a.toml", "speed = \n", "Invalid value"),
        ("newton.toml", 'recipe = "newton"\n', "the catalog has a 'newton'; another file name is needed"),
        ("1st.py", "class A:\n  def step(self, p): pass\n", "no digit begins one"),
    ],
)
def test_a_faulty_file_is_not_listed_and_its_fault_is_told(folder, capsys, name, text, reason):
    (folder / name).write_text(text)
    (folder / "good.toml").write_text('recipe = "adam"\n')
    assert reason in own_optimizers()[name.partition(".")[0]].fault
    assert main(["list", "optimizers", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)][-1] == "good"
    assert main(["list", "optimizers"]) == 0
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return [1.0, 2.0]", "step returned a list; a tensor of shape (2,), torch.float64 on cpu, is needed"),
        ("return point.gradient[:1]", "step returned shape (1,), torch.float64 on cpu; a tensor of shape (2,)"),
        ("return point.gradient.float()", "step returned shape (2,), torch.float32 on cpu"),
        ("point.theta.add_(1.0); return point.gradient", "step changed point.theta in place"),
        ("raise KeyError('mine')", "KeyError: 'mine'"),
    ],
)
def test_what_is_no_step_ends_the_run_and_says_why(folder, valley, body, reason):
    (folder / "odd.py").write_text(f"class Odd:\n    def step(self, point):\n        {body}\n")
    with pytest.raises(RuntimeError) as caught:
        ngx.run(valley, make("odd"), steps=2)
    assert reason in str(caught.value)


def test_a_step_that_is_not_finite_has_diverged(folder, valley):
    (folder / "odd.py").write_text("class Odd:\n    def step(self, point):\n        return point.gradient / 0\n")
    history = ngx.run(valley, make("odd"), steps=2)
    assert [event.kind for event in history.events] == ["diverged"]


def test_two_files_of_one_name_are_a_fault_of_the_second(folder):
    (folder / "a.toml").write_text('recipe = "adam"\n')
    (folder / "a.py").write_text("class A:\n  def step(self, p): pass\n")
    listed = own_optimizers()
    assert listed["a"].optimizer is not None
    assert listed["a.py"].fault == "there is a.toml of that name too"

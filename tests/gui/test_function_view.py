"""The model's function: regions are its argmax, bands its density's, cases its mistakes, and the KL its closed form."""

import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QColor

from ngexplorer.analysis.cases import misclassified, reconstructions
from ngexplorer.analysis.kullback_leibler import divergence
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.function_modes import MODES
from ngexplorer.objectives.datasets import Blobs, BreastCancer, Curves, Digits, Heteroscedastic
from ngexplorer.objectives.landscapes import Saddle
from ngexplorer.objectives.losses import BernoulliLogits, GaussianNLL, SoftmaxCrossEntropy
from ngexplorer.objectives.models import MLP, Autoencoder, LandscapeModel, Linear
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender, Experiment

REBUILT, REGIONS, CURVE, WRONG = (mode.title for mode in MODES)
STEPS = "Steps in KL"


def experiment(data, model, loss, *optimizers, steps=6):
    runs = tuple(Contender(optimizer=make(name)) for name in optimizers or ("natural-gradient",))
    return Experiment(title="A test", data=data, model=model, loss=loss, steps=steps, runs=runs)


@pytest.fixture
def looking(sit_at):
    """A finished race, and the function of its first run in front."""

    def look(of, size=(1600, 1000)):
        person = sit_at(of, size=size)
        person.session.toggle()
        person.sees("finished")
        person.opens(person.window.function)
        person.gets_answers(person.window.function)
        return person, person.window.function

    return look


def point_at(person, step, number=0):
    run = person.session.runs[number].run
    theta = torch.tensor(run.history.parameters(step)[0])
    return run.objective.at(theta)


def offered(view):
    """What can be chosen."""
    return [view.mode.itemText(i) for i in range(view.mode.count()) if view.mode.model().item(i).isEnabled()]


def test_decision_regions_are_the_model_s_argmax(looking):
    person, view = looking(experiment(Blobs(), MLP(hidden=(4,)), SoftmaxCrossEntropy()))
    assert view.mode.currentText() == REGIONS and offered(view) == [REGIONS, STEPS]
    person.session.set_time(3)
    person.gets_answers(person.window.function)
    found, wrong = view.answer
    objective = person.session.runs[0].run.objective
    theta = point_at(person, 3).theta
    xs, ys = np.meshgrid(found.xs, found.ys)
    grid = torch.tensor(np.stack((xs.ravel(), ys.ravel()), 1))
    decided = objective.network.evaluate(theta, grid).argmax(1).reshape(xs.shape).numpy()
    np.testing.assert_array_equal(found.classes, decided)
    assert len(found.xs) == 129, "the finest once the race rests"
    ground = np.array(QColor(themes.DARK.panel).getRgb()[:3])
    picture = view.canvas.image.image.astype(int)
    for kind in np.unique(decided):
        towards = np.array(QColor(themes.PALETTE[kind]).getRgb()[:3]) - ground
        shares = (picture[decided == kind] - ground) @ towards / (towards @ towards)
        assert (shares > 0.1).all() and (shares < 0.52).all()
    mistakes = misclassified(point_at(person, 3), 10_000)
    assert sorted(wrong) == sorted(mistakes.indices)
    assert view.subtitle.text().startswith(f"step 3 · {mistakes.total} of ")
    ringed = max(view.canvas.lines.shown, key=lambda line: line.dot)
    np.testing.assert_array_equal(ringed.dots, objective.inputs.numpy()[np.sort(mistakes.indices)])


def test_of_two_classes_the_boundary_is_where_both_are_as_likely(looking, two_moons):
    person, view = looking(two_moons("newton", steps=8))
    objective, theta = person.session.runs[0].run.objective, point_at(person, 8).theta
    edges = [line for line in view.canvas.lines.shown if len(line.x)]
    assert edges
    for edge in edges:
        places = torch.tensor(np.stack((edge.x, edge.y), 1))
        chance = objective.network.evaluate(theta, places).sigmoid()
        assert chance.numpy() == pytest.approx(0.5, abs=0.05)


def test_a_fit_and_its_band_are_the_density_s(looking):
    person, view = looking(experiment(Heteroscedastic(), MLP(hidden=(6,)), GaussianNLL(), steps=10))
    assert view.mode.currentText() == CURVE
    objective, theta = person.session.runs[0].run.objective, point_at(person, 10).theta
    (curve,) = [line for line in view.canvas.lines.shown if line.band is not None]
    z = objective.network.evaluate(theta, torch.tensor(curve.x)[:, None])
    mean, variance = (moment[:, 0].numpy() for moment in objective.loss.moments(z))
    np.testing.assert_allclose(curve.y, mean, rtol=1e-10)
    np.testing.assert_allclose(curve.band[1], mean + 1.6448536269514722 * np.sqrt(variance), rtol=1e-6)
    np.testing.assert_allclose(curve.band[0], mean - 1.6448536269514722 * np.sqrt(variance), rtol=1e-6)
    z = objective.outputs(theta)
    mean, variance = (moment.numpy() for moment in objective.loss.moments(z))
    inside = np.abs(objective.targets.numpy() - mean) <= 1.6448536269514722 * np.sqrt(variance)
    told = int(view.subtitle.text().split(": ")[1].split(" %")[0])
    assert told == pytest.approx(100 * inside.mean(), abs=1)


def test_misclassified_digits_are_shown_with_what_they_were_taken_for(looking):
    person, view = looking(experiment(Digits(), MLP(hidden=(8,)), SoftmaxCrossEntropy(), "adam", steps=4))
    assert view.mode.currentText() == WRONG and offered(view) == [WRONG, STEPS]
    expected = misclassified(point_at(person, 4), 40)
    words = [text.toPlainText() for text in view.canvas.words if text.isVisible()]
    assert words == [f"{true} → {said}" for true, said in zip(expected.true, expected.decided, strict=True)]
    assert f"{expected.total:,} of 1,438 cases" in view.subtitle.text()
    assert len(np.unique(view.canvas.image.image)) > 20


def test_an_autoencoder_s_images_stand_above_what_it_makes_of_them(looking):
    person, view = looking(experiment(Curves(size=30), Autoencoder(hidden=(4,)), BernoulliLogits(), "adam", steps=4))
    assert view.mode.currentText() == REBUILT
    expected = reconstructions(point_at(person, 4), 20)
    np.testing.assert_allclose(view.answer.outputs, expected.outputs)
    picture = view.canvas.image.image[::-1]
    low, high = np.percentile(expected.inputs, (2, 98))
    left = 1  # half of the gap
    for rows, top in ((expected.inputs, 0), (expected.outputs, 29)):
        first = np.clip((rows[0].reshape(28, 28) - low) / (high - low), 0, 1)
        drawn = picture[top : top + 28, left : left + 28, 0]
        np.testing.assert_allclose(drawn / 255, first, atol=1 / 255)
    person.session.set_time(0)
    person.gets_answers(person.window.function)
    assert view.subtitle.text().startswith("step 0 ·")


def test_the_kl_of_each_step_is_its_closed_form_and_the_other_length_euclid_s(looking, two_moons):
    person, view = looking(two_moons("natural-gradient", steps=7))
    person.chooses(view.mode, STEPS)
    person.gets_answers(person.window.function)
    steps, found = view.answer
    assert list(steps) == list(range(1, 8))
    objective = person.session.runs[0].run.objective
    for k in range(1, 8):
        before, after = point_at(person, k - 1), point_at(person, k)
        p, q = before.outputs.sigmoid(), after.outputs.sigmoid()
        closed = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
        assert found.divergences[k - 1] == pytest.approx(float(closed), rel=1e-8)
        assert closed == pytest.approx(divergence(objective.loss, before.outputs, after.outputs).value)
        assert found.euclidean[k - 1] == pytest.approx(float((after.theta - before.theta).norm()))
    solid = view.canvas.lines.shown[-1]
    assert 10**solid.y == pytest.approx(found.divergences)
    person.session.set_time(5)
    person.gets_answers(person.window.function)
    hair = view.canvas.lines.shown[0]
    assert hair.x[0] == 5 and "KL " in view.subtitle.text() and "‖δ‖ " in view.subtitle.text()


def test_where_nothing_fits_it_says_why(looking):
    person, view = looking(experiment(BreastCancer(), Linear(), BernoulliLogits()))
    assert offered(view) == [STEPS] and view.mode.currentText() == STEPS
    tips = [view.mode.model().item(i).toolTip() for i in range(len(MODES))]
    assert tips[1] == "Decision regions are drawn over two inputs" and all(tips)
    person.session.open_experiment(experiment(Saddle(), LandscapeModel(), Saddle.loss, "gradient-descent"))
    person.until(lambda: person.session.generation == 2)
    person.gets_answers(person.window.function)
    assert not offered(view)
    assert view.empty.isVisible() and "Nothing can be drawn of this objective's function" in view.empty.text()
    assert "no inputs" in view.empty.text() and "not the negative log of a density" in view.empty.text()


def test_while_a_race_goes_on_it_looks_coarsely_and_rests(sit_at, two_moons):
    person = sit_at(two_moons("adam", steps=100_000), size=(1600, 1000))
    view = person.window.function
    person.opens(person.window.function)
    person.session.toggle()
    person.until(lambda: (view.pull(), view.at > 0)[1])
    assert person.session.state == "running" and len(view.answer[0].xs) <= 65
    asked = view.inquiry._asked
    person.until(lambda: not view.inquiry.under_way)
    view.pull()
    assert view.inquiry._asked == asked, "not at once again"
    person.session.toggle()
    person.sees("paused")
    person.gets_answers(person.window.function)
    assert len(view.answer[0].xs) == 129 and view.at == person.session.runs[0].run.step


def test_behind_its_tab_it_asks_nothing(sit_at, two_moons):
    person = sit_at(two_moons("adam", steps=4))
    person.session.toggle()
    person.sees("finished")
    person.window.settle()
    QCoreApplication.processEvents()
    assert not person.window.function.seen and person.window.function.inquiry._asked is None

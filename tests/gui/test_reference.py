"""Every plot as it should look, in both themes, at one and at two dots a pixel.

The pictures in `reference/` are written anew by

    NGEXPLORER_WRITE_REFERENCES=1 python -m pytest tests/gui/test_reference.py

and looked at before they are committed. The typefaces are shipped, so that they are the same on every machine.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots import basins
from ngexplorer.gui.plots.cg_iterations import CGIterations
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.function import FunctionView
from ngexplorer.gui.plots.local_model import LocalModelView
from ngexplorer.gui.plots.matrices import MatricesView
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.objectives.datasets import Curves, Digits, Heteroscedastic
from ngexplorer.objectives.landscapes import GaussianLikelihood
from ngexplorer.objectives.losses import BernoulliLogits, GaussianNLL, SoftmaxCrossEntropy
from ngexplorer.objectives.models import MLP, Autoencoder, LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Contender, Experiment
from ngexplorer.runs.schedule import Every

FOLDER = Path(__file__).parent / "reference"
WRITE = "NGEXPLORER_WRITE_REFERENCES" in os.environ
SIZE = (420, 300)
TOLERANCE = 0.3
"""Of 255, at the mean over all dots and colours; a line that is missing makes more."""


def pixels(image):
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].astype(float)


def difference(one, other):
    assert one.size() == other.size()
    return float(np.abs(pixels(one) - pixels(other)).mean())


@pytest.fixture
def picture(qapp, qtbot, patience):
    """A view of a session as it is drawn at a fixed size."""

    def take(kind, session, prepare=lambda _: None, size=SIZE):
        view = kind(session)
        qtbot.addWidget(view)
        view.setFixedSize(*size)
        view.show()
        session.race_changed.emit()  # it came after the race
        if isinstance(getattr(view, "run", None), RunChoice):
            view.run.changed.emit()
        prepare(view)

        def settled():
            view.pull()
            asked = view.inquiry.under_way if hasattr(view, "inquiry") else False
            return getattr(view, "settled", True) and not asked and session.analyst.idle

        for _ in range(3):  # what the first answers make it ask, too
            qtbot.waitUntil(settled, timeout=patience)
            QApplication.processEvents()
        view.pull()
        return view.grab().toImage()

    return take


def raced(open_session, experiment, qtbot, patience):
    session = open_session(experiment)
    session.toggle()
    qtbot.waitUntil(lambda: session.state == "finished", timeout=patience)
    return session


def compare(theme, pictures):
    """Each picture with its reference; those that differ are kept beside it."""
    wrong = []
    for name, taken in pictures.items():
        path = FOLDER / f"{name}-{theme.name}.png"
        if WRITE:
            FOLDER.mkdir(exist_ok=True)
            assert taken.save(str(path))
        found = difference(taken, QImage(str(path)))
        if found > TOLERANCE:
            taken.save(str(path.with_name(f"wrong-{path.name}")))
            wrong.append(f"{name} differs by {found:.2f}; as it is now: reference/wrong-{path.name}")
    assert not wrong, "\n".join(wrong)


both_themes = pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT], ids=lambda theme: theme.name)


@pytest.fixture
def dressed(qapp):
    """The application in a theme, and the sessions too; dark again afterwards."""

    def dress(theme, *sessions):
        for session in sessions:
            session.set_theme(theme)
        themes.apply(theme, qapp)

    yield dress
    themes.apply(themes.DARK, qapp)


@both_themes
def test_every_plot_looks_as_it_should(open_session, two_moons, valley, picture, dressed, qtbot, patience, theme):
    probes = Probes(spectra=Every(interval=2))
    moons = raced(
        open_session, two_moons("adam", "newton", "natural-gradient", steps=16, probes=probes), qtbot, patience
    )
    rosenbrock = raced(open_session, valley("heavy-ball", "newton", steps=30), qtbot, patience)
    dressed(theme, moons, rosenbrock)
    wanted = {
        "curves": (CurvesView, moons),
        "spectrum": (SpectrumView, moons),
        "spectrum-time": (SpectrumTimeView, moons),
        "trajectory": (TrajectoryView, rosenbrock),
    }
    compare(theme, {name: picture(*how) for name, how in wanted.items()})

    if theme is themes.DARK:  # that the tolerance lets nothing through
        moons.set_hidden(2, True)
        for name in ("curves", "spectrum"):
            without = picture(wanted[name][0], moons)
            assert difference(without, QImage(str(FOLDER / f"{name}-dark.png"))) > 2 * TOLERANCE, name


@both_themes
def test_what_is_seen_around_a_step_looks_as_it_should(
    open_session, two_moons, valley, picture, dressed, qtbot, patience, monkeypatch, theme
):
    monkeypatch.setattr(basins, "_SIZES", (3, 5, 9))
    monkeypatch.setattr(Remaining, "words", "")
    cg = make("natural-gradient", solver={"name": "conjugate-gradient", "tolerance": 1e-6})
    moons = raced(open_session, two_moons("newton", cg, steps=6), qtbot, patience)
    rosenbrock = raced(open_session, valley("heavy-ball", "newton", steps=30), qtbot, patience)
    dressed(theme, moons, rosenbrock)
    moons.set_time(2)
    large = (760, 420)

    def switched(name):
        return lambda view: (view.run.pick(1), getattr(view, name).trigger())

    pictures = {
        "local-model": picture(LocalModelView, moons, size=large),
        "matrices": picture(MatricesView, moons, size=large),
        "difference": picture(MatricesView, moons, lambda view: view.compare(0, 1)),
        "relief": picture(TrajectoryView, rosenbrock, switched("relief")),
        "basins": picture(TrajectoryView, rosenbrock, switched("basins")),
        "profile": picture(TrajectoryView, rosenbrock, switched("profile"), size=large),
    }
    iterations = CGIterations(moons)
    qtbot.addWidget(iterations)
    iterations.setFixedSize(300, 300)
    iterations.show()
    iterations.show_step(moons.runs[1], 2)
    qtbot.waitUntil(lambda: iterations.iterations is not None and iterations.iterations.done, timeout=patience)
    QApplication.processEvents()
    pictures["cg-iterations"] = iterations.grab().toImage()
    compare(theme, pictures)


@both_themes
def test_the_model_s_function_looks_as_it_should(open_session, two_moons, picture, dressed, qtbot, patience, theme):
    def of(data, model, loss, name, steps):
        runs = (Contender(optimizer=make(name)),)
        return Experiment(title="A test", data=data, model=model, loss=loss, steps=steps, runs=runs)

    wanted = {
        "regions": two_moons("natural-gradient", steps=7),
        "fit": of(Heteroscedastic(), MLP(hidden=(6,)), GaussianNLL(), "natural-gradient", 10),
        "misclassified": of(Digits(), MLP(hidden=(8,)), SoftmaxCrossEntropy(), "adam", 4),
        "reconstructions": of(Curves(size=30), Autoencoder(hidden=(4,)), BernoulliLogits(), "adam", 4),
    }
    sessions = {name: raced(open_session, experiment, qtbot, patience) for name, experiment in wanted.items()}
    dressed(theme, *sessions.values())
    pictures = {name: picture(FunctionView, session) for name, session in sessions.items()}

    def in_kl(view):
        view.mode.setCurrentIndex(view.mode.count() - 1)
        view._refit()

    pictures["step-lengths"] = picture(FunctionView, sessions["regions"], in_kl)
    compare(theme, pictures)


@both_themes
def test_the_same_steps_in_other_parameters_look_as_they_should(open_session, picture, dressed, qtbot, patience, theme):
    whole = Contender(optimizer=make("natural-gradient", damping="none", learning_rate=0.5))
    gaussian = Experiment(
        data=GaussianLikelihood(),
        model=LandscapeModel(),
        loss=GaussianNLL(parametrization="mean"),
        runs=(whole,),
        steps=4,
    )
    session = raced(open_session, gaussian, qtbot, patience)
    dressed(theme, session)
    taken = picture(TrajectoryView, session, lambda view: view.elsewhere.trigger(), size=(760, 300))
    compare(theme, {"other-parameters": taken})


def test_on_a_screen_of_two_dots_a_pixel_all_is_drawn_at_two_dots(two_moons, tmp_path):
    experiments.write(two_moons("newton", steps=4), tmp_path / "tiny.toml")
    out = tmp_path / "window.png"
    command = [sys.executable, "-m", "ngexplorer", "shot", str(tmp_path / "tiny.toml"), "--size", "1024x640"]
    environment = os.environ | {"QT_SCALE_FACTOR": "2", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([*command, "--out", str(out)], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    image = QImage(str(out))
    assert (image.width(), image.height()) == (2048, 1280)
    whole = pixels(image).reshape(1280, 2048, 3).mean(2)
    blocks = whole.reshape(640, 2, 1024, 2)
    uneven = np.ptp(blocks, axis=(1, 3)) > 24
    # Of a picture of one dot a pixel that is blown up every block of 2×2 is of one shade.
    assert uneven.mean() > 0.01, "text and lines are crisp"
    for part in (uneven[:40], uneven[60:460, 330:], uneven[500:]):  # the head, the plots, the table
        assert part.mean() > 0.004

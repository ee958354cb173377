"""The curves and the spectra as they should look in each of their ways, in both themes.

Pictures are written anew, and looked at, as those of `test_reference` are.
"""

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtTest import QTest

from ngexplorer.curvature import exactness
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.optimizers import make
from ngexplorer.runs import Probes
from ngexplorer.runs.schedule import Every
from tests.gui import test_reference
from tests.gui.test_reference import SIZE, both_themes, compare, raced

picture, dressed = test_reference.picture, test_reference.dressed


def picked(*texts):
    """A view after these entries of its menu."""

    def pick(view):
        for text in texts:
            next(action for action in view.more.menu().actions() if action.text() == text).trigger()

    return pick


@both_themes
def test_curves_look_as_they_should_in_each_of_their_ways(
    open_session, two_moons, valley, picture, dressed, qtbot, patience, theme
):
    seeded = raced(open_session, two_moons("heavy-ball", "newton", seeds=5, steps=20), qtbot, patience)
    bouncing = make("heavy-ball", learning_rate=1e-3, momentum={"coefficient": 0.95})
    rosenbrock = raced(open_session, valley(bouncing, "adam", "newton", steps=60), qtbot, patience)
    bounced = raced(open_session, valley(bouncing, "adam", steps=60), qtbot, patience)
    dressed(theme, seeded, rosenbrock, bounced)

    def hidden(view):
        QTest.mouseClick(view.legend.chips[1], Qt.MouseButton.LeftButton)

    def compared(view):
        view.pull()  # the cursors come out within what is drawn
        picked("Cursors A and B")(view)

    def in_panels(view):
        view.show_columns(["loss", "step_norm"], "gradient_equivalents")

    # Where Newton's loss is zero, a log axis marks it.
    pictures = {
        "curves-seeds": picture(CurvesView, seeded),
        "curves-below": picture(CurvesView, rosenbrock),
        "curves-smoothed": picture(CurvesView, rosenbrock, picked("Mean of 5 steps")),
        "curves-cursors": picture(CurvesView, rosenbrock, compared, size=(520, 340)),
        "curves-panels": picture(CurvesView, rosenbrock, in_panels, size=(420, 420)),
        "curves-best": picture(CurvesView, bounced),
        "curves-hidden": picture(CurvesView, bounced, hidden),
    }
    compare(theme, pictures)


@both_themes
def test_spectra_look_as_they_should_in_each_of_their_ways(
    open_session, two_moons, picture, dressed, qtbot, patience, monkeypatch, theme
):
    monkeypatch.setattr(Remaining, "words", "")
    probes = Probes(spectra=Every(interval=2))
    moons = raced(open_session, two_moons("natural-gradient", "newton", steps=16, probes=probes), qtbot, patience)
    dressed(theme, moons)
    moons.set_time(3)

    def five(view):
        view.choose(0)
        picked("Empirical Fisher of one run", "K-FAC of one run")(view)

    def layered(view):
        view.choose(0)
        picked("Layer by layer")(view)

    def through_time(view):
        view.matrix.setCurrentIndex(1)
        view.matrix.activated.emit(1)

    def fitted(prepare, size):
        """The axes as they are fitted to all at once, whichever answer came first."""
        views = []
        picture(SpectrumView, moons, lambda view: (views.append(view), prepare(view)), size)
        (view,) = views
        QTest.mouseDClick(view.frame.viewport(), Qt.MouseButton.LeftButton)
        for _ in range(2):
            view.pull()
            QCoreApplication.processEvents()
        return view.grab().toImage()

    large = (520, 440)
    pictures = {
        "spectrum-one": fitted(five, large),
        "spectrum-layers": fitted(layered, SIZE),
        "spectrum-time-hessian": picture(SpectrumTimeView, moons, through_time),
    }
    monkeypatch.setattr(exactness, "LARGEST_EXACT", 5)
    pictures["spectrum-density"] = fitted(lambda view: view.choose(0), large)
    compare(theme, pictures)

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
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.runs import Probes
from ngexplorer.runs import experiment as experiments
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

    def take(kind, session):
        view = kind(session)
        qtbot.addWidget(view)
        view.setFixedSize(*SIZE)
        view.show()
        session.race_changed.emit()  # it came after the race
        settled = lambda: (view.pull(), getattr(view, "settled", True) and session.analyst.idle)[1]  # noqa: E731
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


@pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT], ids=lambda theme: theme.name)
def test_every_plot_looks_as_it_should(open_session, two_moons, valley, picture, qtbot, patience, theme):
    probes = Probes(spectra=Every(interval=2))
    moons = raced(
        open_session, two_moons("adam", "newton", "natural-gradient", steps=16, probes=probes), qtbot, patience
    )
    rosenbrock = raced(open_session, valley("heavy-ball", "newton", steps=30), qtbot, patience)
    for session in (moons, rosenbrock):
        session.set_theme(theme)
    themes.apply(theme, QApplication.instance())
    wanted = {
        "curves": (CurvesView, moons),
        "spectrum": (SpectrumView, moons),
        "spectrum-time": (SpectrumTimeView, moons),
        "trajectory": (TrajectoryView, rosenbrock),
    }
    wrong = []
    for name, (kind, session) in wanted.items():
        taken, path = picture(kind, session), FOLDER / f"{name}-{theme.name}.png"
        if WRITE:
            FOLDER.mkdir(exist_ok=True)
            assert taken.save(str(path))
        found = difference(taken, QImage(str(path)))
        if found > TOLERANCE:
            taken.save(str(path.with_name(f"wrong-{path.name}")))
            wrong.append(f"{name} differs by {found:.2f}; as it is now: reference/wrong-{path.name}")
    assert not wrong, "\n".join(wrong)

    if theme is themes.DARK:  # that the tolerance lets nothing through
        moons.set_hidden(2, True)
        for name in ("curves", "spectrum"):
            without = picture(wanted[name][0], moons)
            assert difference(without, QImage(str(FOLDER / f"{name}-dark.png"))) > 2 * TOLERANCE, name
    themes.apply(themes.DARK, QApplication.instance())


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

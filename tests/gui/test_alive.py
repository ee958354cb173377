"""The window stays alive: what has not changed is not read, drawn or computed again, and the runs come first."""

import subprocess
import sys
from time import perf_counter, sleep

import numpy as np
import pytest
from PySide6.QtGui import QImage

from ngexplorer.gui import theme as themes
from ngexplorer.gui.opening import Opening
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.plots.spectrum import SpectrumView
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.worker import Analyst
from ngexplorer.runs.history import LEADING, History

ROWS = 40_000


@pytest.fixture
def long_run(open_session, two_moons, qtbot):
    """Curves of a run of so many steps, and the view of them."""
    session = open_session(two_moons("heavy-ball", steps=3))
    history, generator = session.runs[0].history, np.random.default_rng(0)
    for k in range(1, ROWS):
        loss = float(2 / (1 + k) ** 0.5 * (1 + 0.3 * generator.random()))
        history.append(
            dict.fromkeys(LEADING, float(k)) | {"loss": loss, "validation_loss": 2 * loss}, None, np.zeros(1)
        )
    return session, drawn(session, qtbot)


def drawn(session, qtbot):
    view = CurvesView(session)
    qtbot.addWidget(view)
    view.resize(640, 400)
    view.show()
    while view.pull():
        pass
    return view


def picture(view):
    image = view.frame.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)[..., :3].astype(int)


def test_scrubbing_reads_no_more_rows_than_there_are_runs(long_run, monkeypatch):
    session, view = long_run
    session.set_time(ROWS // 2)
    view.pull()
    read = []
    for name in ("column", "values"):
        whole = getattr(History, name)

        def counted(self, *arguments, whole=whole):
            found = whole(self, *arguments)
            read.append(len(found))
            return found

        monkeypatch.setattr(History, name, counted)
    for time in np.linspace(10, ROWS - 10, 20).astype(int).tolist():
        session.set_time(time)
        assert view.pull()
    assert sum(read) <= 20 * 32, "where the loss is lowest is looked up among the last few rows alone"


def test_a_scrubbed_curve_looks_as_one_that_is_drawn_there_for_the_first_time(long_run, qtbot):
    session, view = long_run
    for time in (ROWS - 100, 30_000, 10_000, 20_000):
        session.set_time(time)
        view.pull()
        picture(view)
    other = drawn(session, qtbot)
    one, new = picture(view), picture(other)
    assert np.ptp(new.reshape(-1, 3), axis=0).max() > 100, "there is something to see"
    assert (np.abs(one - new).max(2) > 24).mean() < 2e-4


def test_what_comes_later_is_faint_and_what_was_is_not(long_run):
    session, view = long_run
    session.set_time(ROWS // 2)
    view.pull()
    training = view.lines.shown[0]
    assert training.until == ROWS // 2
    (later, _, _), (now, _, _) = training.parts
    assert later.color().alphaF() < 0.4 and now.color().alphaF() == 1
    _, (x, *_), _ = training.parts[0]
    assert x == pytest.approx(ROWS // 2, abs=ROWS / 200) and training.parts[1][1][-1] <= ROWS // 2
    assert training.dots.tolist() == [[ROWS // 2, pytest.approx(np.log10(session.runs[0].history["loss"][ROWS // 2]))]]
    session.set_time(None)
    view.pull()
    assert view.lines.shown[0].until is None


def test_a_spectrum_is_not_drawn_again_where_only_steps_were_taken(open_session, two_moons, qtbot):
    session = open_session(two_moons("newton", steps=50))
    view = SpectrumView(session)
    qtbot.addWidget(view)
    history = session.runs[0].history
    view.pull()
    row = {name: history.value(name, 0) for name in LEADING}
    for k in range(1, 5):
        history.append(row | {"step": float(k)}, None, np.zeros(1))
        assert not view.pull(), "neither a spectrum nor a damping has come"


def test_a_plot_no_one_points_at_waits_while_only_the_runs_go_on(open_session, two_moons, qtbot):
    session = open_session(two_moons("heavy-ball", steps=100_000))
    view = CurvesView(session)
    qtbot.addWidget(view)
    view.pull()
    assert not view.can_wait, "nothing goes on"
    session.toggle()
    qtbot.waitUntil(lambda: session.state == "running" and session.latest > 3)
    view.pull()
    assert view.can_wait
    session.set_time(1)
    assert not view.can_wait, "a person drags the timeline"
    view.pull()
    view.invalidate()
    assert not view.can_wait, "a person changed what it shows"


# The analyst.


def work_of(slices, worked):
    """A question that computes so many times a few milliseconds, and asks in between whether it is cancelled."""

    def work(cancel):
        for _ in range(slices):
            began = perf_counter()
            while perf_counter() - began < 0.004:
                pass
            worked.append(perf_counter() - began)
            if cancel():
                return
        yield sum(worked)

    return work


@pytest.fixture
def analyst():
    """An analyst, and a list that says whether runs go on."""
    running = []
    analyst = Analyst(busy=lambda: bool(running))
    analyst.start()
    yield analyst, running
    analyst.close()
    assert analyst.wait(5000)


def test_the_analyst_takes_a_small_part_of_the_time_while_runs_go_on(analyst, qtbot):
    analyst, running = analyst
    running.append(True)
    worked, began = [], perf_counter()
    with qtbot.waitSignal(analyst.answered, timeout=20_000):
        analyst.ask("k", work_of(10, worked))
    assert sum(worked) / (perf_counter() - began) < 0.2


def test_the_analyst_does_not_rest_where_nothing_goes_on_nor_once_it_is_asked_anew(analyst, qtbot):
    analyst, running = analyst
    worked, began = [], perf_counter()
    with qtbot.waitSignal(analyst.answered, timeout=20_000):
        analyst.ask("k", work_of(20, worked))
    assert sum(worked) / (perf_counter() - began) > 0.3
    running.append(True)

    def long(cancel):
        sleep(1.0)  # after which it would rest for nine seconds
        cancel()
        yield "long"

    analyst.ask("k", long)
    qtbot.waitUntil(lambda: not analyst._waiting)
    heard, asked = [], perf_counter()
    analyst.answered.connect(lambda _, __, answer: heard.append(answer))
    analyst.ask("k", lambda cancel: iter(["new"]))
    qtbot.waitUntil(lambda: heard == ["new"], timeout=20_000)
    assert perf_counter() - asked < 5


# The first picture.


def test_the_window_opens_before_torch_is_imported():
    program = "import sys, ngexplorer.gui.application; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_first_picture_is_there_until_all_is_imported_or_it_is_closed(qtbot):
    opening = Opening(Preferences(), themes.DARK)
    qtbot.addWidget(opening)
    assert opening.wait() and opening.isVisible()
    opening.close()
    other = Opening(Preferences(), themes.DARK)
    qtbot.addWidget(other)
    other.show = lambda: None  # closed by the window manager at once
    assert not other.wait()

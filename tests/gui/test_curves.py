"""The curves: any column, panels that go together, smoothing that is said, seeds as one, cursors with differences."""

import math

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.curves import CurvesView
from ngexplorer.gui.session import Group
from ngexplorer.optimizers import make
from ngexplorer.runs import History
from ngexplorer.runs.history import LEADING
from ngexplorer.runs.series import quartiles, smoothed


@pytest.fixture
def finished(sit_at, two_moons):
    def run(*optimizers, **how):
        person = sit_at(two_moons(*optimizers, **how))
        person.session.toggle()
        person.sees("finished")
        person.window.settle()
        return person

    return run


def choose(person, panel, title):
    person.chooses(panel.choice, title)
    person.window.settle()


@pytest.mark.parametrize(
    "title, column, logarithmic",
    [
        ("Gradient norm", "gradient_norm", True),
        ("Damping", "damping", True),
        ("Reduction ratio", "reduction_ratio", False),
    ],
)
def test_any_column_is_drawn_as_it_was_recorded(finished, title, column, logarithmic):
    person = finished("newton", steps=8)
    curves = person.window.curves
    choose(person, curves.panels[0], title)
    assert curves.log.isChecked() == logarithmic, "as that column is usually looked at"
    (line,) = curves.lines.shown
    recorded = person.session.runs[0].history[column]
    expected = np.log10(recorded) if logarithmic else recorded
    assert np.array_equal(line.x, np.arange(9))
    assert line.y[1:] == pytest.approx(expected[1:]) and math.isnan(line.y[0]), "row 0 is the start: no step yet"
    assert not curves.training.isVisible(), "there is no second of it"


def test_a_column_that_no_run_has_says_so(finished):
    person = finished("heavy-ball", steps=3)
    choose(person, person.window.curves.panels[0], "Damping")
    assert person.window.curves.empty.text() == "No run has recorded its damping yet"


def test_panels_share_the_horizontal_axis_and_go_on_their_own(finished):
    person = finished("newton", steps=10)
    curves = person.window.curves
    panel = curves.add_panel("damping")
    person.window.settle()
    assert panel.lines.shown[0].y[1:] == pytest.approx(np.log10(person.session.runs[0].history["damping"][1:]))
    curves.frame.view.setRange(xRange=(2, 5), padding=0)
    curves.frame.view.sigRangeChangedManually.emit([True, False])
    person.window.settle()
    assert panel.frame.view.viewRange()[0] == pytest.approx([2, 5])
    assert panel.frame.free, "what a person chose is not taken back"
    QTest.keyClick(panel.frame, Qt.Key.Key_Home)
    person.window.settle()
    assert curves.frame.view.viewRange()[0][1] > 9 and panel.frame.view.viewRange()[0][1] > 9
    curves.remove_panel(panel)
    person.window.settle()
    assert curves.panels == [curves.panels[0]]


def test_a_rectangle_that_is_drawn_is_zoomed_to(finished):
    person = finished("heavy-ball", steps=40)
    frame = person.window.curves.frame
    view = frame.view
    before = view.viewRange()
    corners = [
        frame.mapFromScene(
            view.mapViewToScene(QPointF(before[0][0] + share * 40, before[1][0] + share * np.ptp(before[1])))
        )
        for share in (0.25, 0.6)
    ]
    port = frame.viewport()
    QTest.mousePress(port, Qt.MouseButton.LeftButton, pos=corners[0])
    for share in (0.3, 0.6, 1.0):
        between = corners[0] + (corners[1] - corners[0]) * share
        QTest.mouseMove(port, QPoint(between.x(), between.y()), delay=20)
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, pos=corners[1])
    person.until(lambda: frame.free)
    (left, right), _ = view.viewRange()
    assert left == pytest.approx(before[0][0] + 10, abs=1.0) and right == pytest.approx(before[0][0] + 24, abs=1.0)


def test_what_a_logarithmic_axis_cannot_show_is_marked_where_it_is(sit_at, valley):
    person = sit_at(valley("natural-gradient", steps=60))
    person.session.toggle()
    person.sees("finished")
    person.window.settle()
    loss = person.session.runs[0].history["loss"]
    marked = np.concatenate([line.below for line in person.window.curves.lines.shown if line.below is not None])
    assert len(marked) and np.array_equal(marked, np.flatnonzero(loss <= 0))


def test_smoothing_is_a_mean_of_the_last_steps_and_is_said(finished):
    person = finished("heavy-ball", steps=30)
    curves = person.window.curves
    next(action for action in curves.more.menu().actions() if action.text() == "Mean of 5 steps").trigger()
    person.clicks(curves.log)
    person.clicks(curves.validation)
    person.window.settle()
    loss = person.session.runs[0].history["loss"]
    (line,) = curves.lines.shown
    assert line.y == pytest.approx([loss[max(0, k - 4) : k + 1].mean() for k in range(31)])
    assert "mean of 5 steps" in curves.subtitle.text()
    assert curves.note.isVisible() and curves.note.text() == "mean of 5 steps", "where there is no room in the head too"


def test_of_many_runs_those_at_the_cross_hair_are_read_out(finished):
    person = finished(*(make("adam", learning_rate=0.001 * 1.2**k) for k in range(30)), steps=20)
    curves = person.window.curves
    losses = [shown.history["loss"][10] for shown in person.session.runs]
    at = QPointF(10.0, math.log10(min(losses)))
    place = curves.frame.mapFromScene(curves.frame.view.mapViewToScene(at))
    QTest.mouseMove(curves.frame.viewport(), place)
    person.until(curves.readout.isVisible)
    texts = curves.readout.texts()
    assert "Adam, learning rate 0.1978" in texts and "Adam" not in texts, "the last is there, the first far away"
    named = [text for text in texts if text.startswith("Adam")]
    assert texts[-1] == f"and {30 - len(named)} more"
    assert curves.readout.height() <= curves.frame.view.sceneBoundingRect().height()


def test_the_lowest_loss_has_a_ring(finished):
    person = finished(make("heavy-ball", learning_rate=2.0), steps=40)
    shown = person.session.runs[0]
    loss = shown.history["loss"]
    assert loss.argmin() < 40, "this one goes up again"
    (ring,) = [line.rings for line in person.window.curves.lines.shown if line.rings is not None]
    assert ring.tolist() == [[loss.argmin(), pytest.approx(math.log10(loss.min()))]]


def test_cursors_tell_what_lies_between_them(finished):
    person = finished("newton", steps=10)
    curves = person.window.curves
    next(action for action in curves.more.menu().actions() if action.text() == "Cursors A and B").trigger()
    assert all(cursor.isVisible() for cursor in curves.panels[0].cursors)
    for cursor, place in zip(curves.panels[0].cursors, (2.0, 7.0), strict=True):
        cursor.setValue(place)
    loss = person.session.runs[0].history["loss"]
    heads, words = curves.between.texts()[:4], curves.between.texts()[4:]
    assert heads == ["", "A: step 2", "B: step 7", "B − A"]
    assert words[0] == "Newton"
    told = [float(word.replace("−", "-")) for word in words[1:]]
    assert told == pytest.approx([loss[2], loss[7], loss[7] - loss[2]], rel=1e-3)
    next(action for action in curves.more.menu().actions() if action.text() == "Cursors A and B").trigger()
    assert not curves.between.isVisible()


def test_the_cursors_come_along_to_other_axes_and_panels(finished):
    person = finished("heavy-ball", "newton", steps=12)
    curves = person.window.curves
    person.picks(curves.more, "Cursors A and B")
    for title in ("by gradient equivalents", "by seconds of compute", "by step"):
        person.chooses(curves.axis, title)
        person.window.settle()
        left, right = curves.frame.view.viewRange()[0]
        places = [cursor.value() for cursor in curves.panels[0].cursors]
        assert places == pytest.approx([left + (right - left) / 3, left + 2 * (right - left) / 3])
    panel = curves.add_panel("step_norm")
    person.window.settle()
    curves.panels[0].cursors[1].setValue(9.0)
    assert [cursor.value() for cursor in panel.cursors] == pytest.approx([places[0], 9.0])
    assert all(cursor.isVisible() for cursor in panel.cursors)


def test_the_runs_of_several_seeds_are_one_line_with_its_quartiles(finished):
    person = finished(
        "heavy-ball", make("heavy-ball", learning_rate=1e6), "newton", seeds=3, steps=50, weight_decay=1.0
    )
    runs = person.session.runs
    assert [shown.history.seed for shown in runs] == [0, 1, 2] * 3
    assert len({float(shown.history["loss"][0]) for shown in runs}) == 3, "each seed has a start of its own"
    assert {shown.run.state for shown in runs[3:6]} == {"diverged"}
    sound = Group(tuple(runs[:3])), Group(tuple(runs[6:]))
    assert person.session.groups(runs) == list(sound), "what diverged has no part in a median"
    curves = person.window.curves
    first, second = [line for line in curves.lines.shown if line.band is not None]
    medians = [np.median([shown.history["loss"] for shown in group.members], axis=0) for group in sound]
    for line, median in zip((first, second), medians, strict=True):
        assert line.y == pytest.approx(np.log10(median))
    assert "median and quartiles of 3 seeds" in curves.subtitle.text()
    assert [chip.text() for chip in curves.legend.chips] == ["Heavy ball", "Heavy ball, learning rate 1e+06", "Newton"]
    curves.read_at(4.0)
    assert curves.readout.texts()[3:5] == ["Heavy ball", compact(float(medians[0][4]))]


def test_what_the_head_has_no_room_to_say_is_said_in_the_plot(open_session, two_moons, qtbot, patience):
    session = open_session(two_moons("newton", seeds=3, steps=4))
    session.toggle()
    qtbot.waitUntil(lambda: session.state == "finished", timeout=patience)
    view = CurvesView(session)
    qtbot.addWidget(view)
    view.show()
    for width, said in ((420, True), (1000, False)):
        view.setFixedSize(width, 320)
        QCoreApplication.processEvents()
        view.pull()
        words = view.note.text() if view.note.isVisible() else ""
        assert ("median and quartiles of 3 seeds" in words) == said
    view.setFixedSize(420, 420)
    second = view.add_panel("step_norm")
    for _ in range(3):  # the panels find their sizes after they are drawn
        view.pull()
        QCoreApplication.processEvents()
    for panel in (view.panels[0], second):
        area = panel.frame.view.sceneBoundingRect().toRect()
        assert panel.note.isVisible() and area.contains(panel.note.geometry())


def test_one_run_stands_out_in_every_plot_and_the_others_fade(finished):
    person = finished("heavy-ball", "natural-gradient", steps=6)
    window, chips = person.window, person.window.curves.legend.chips
    person.draws_all()
    QTest.mouseClick(chips[1], Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier)
    window.settle()
    assert person.session.highlighted == {1} and not person.session.is_hidden(1)
    for lines in (window.curves.lines, window.trajectory.lines, window.spectrum.lines):
        strengths = {
            line.pen.color().name(): line.pen.color().alphaF() for line in lines.shown if line.pen.widthF() > 1.4
        }
        colours = [themes.line_colour(shown.colour, person.session.theme).name() for shown in person.session.runs]
        assert strengths.get(colours[1], 1.0) == pytest.approx(1.0, abs=0.01)
        assert strengths.get(colours[0], 0.2) == pytest.approx(0.2, abs=0.01)
    assert chips[0].property("faint") and not chips[1].property("faint")
    QTest.mouseClick(chips[1], Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier)
    window.settle()
    assert not person.session.highlighted
    assert {line.pen.color().alphaF() for line in window.trajectory.lines.shown} == {1.0}


def recorded(losses, seconds):
    history = History("", "adam", 0)
    for k, (loss, second) in enumerate(zip(losses, seconds, strict=True)):
        row = dict.fromkeys(LEADING, 0.0) | {"step": float(k), "loss": loss, "seconds": second}
        history.append(row, None, np.zeros(1))
    return history


def test_quartiles_are_of_the_runs_at_the_same_place_as_far_as_all_came():
    histories = [
        recorded([4.0 + i, 2.0 * i, 1.0, 0.5][: 4 - (i == 0)], [0.0, 1.0, 2.0, 3.0][: 4 - (i == 0)]) for i in range(5)
    ]
    found = quartiles(histories, "step", "loss", 100)
    assert found.x.tolist() == [0, 1, 2], "the first run took two steps only"
    assert found.median.tolist() == [6, 4, 1] and found.low.tolist() == [5, 2, 1] and found.high.tolist() == [7, 6, 1]
    by_time = quartiles(histories, "seconds", "loss", 5)
    assert by_time.x.tolist() == [0, 0.5, 1, 1.5, 2] and by_time.median.tolist() == [6, 6, 4, 4, 1]


def test_a_gap_stays_a_gap_and_is_no_part_of_a_mean():
    history = recorded([1.0, math.nan, 3.0, 5.0], range(4))
    assert smoothed(history, "loss", np.arange(4), 3) == pytest.approx([1.0, math.nan, 2.0, 4.0], nan_ok=True)


def test_of_a_long_run_no_more_is_drawn_than_can_be_seen_and_nothing_is_lost(open_session, two_moons, qtbot):
    session = open_session(two_moons("heavy-ball", steps=3))
    history, generator = session.runs[0].history, np.random.default_rng(0)
    for k in range(1, 60_000):
        row = dict.fromkeys(LEADING, 0.0) | {"step": float(k), "loss": float(generator.random() + 0.5)}
        history.append(row | {"loss": 1e-6} if k == 34_567 else row, None, np.zeros(1))
    view = CurvesView(session)
    qtbot.addWidget(view)
    view.resize(600, 400)
    view.validation.setChecked(False)
    view.pull()
    line = view.lines.shown[0]
    assert len(line.x) < 4 * 600
    assert line.y.min() == pytest.approx(-6) and line.x[line.y.argmin()] == 34_567
    view.frame.view.setRange(xRange=(30_000, 30_100), padding=0)
    view.frame.view.sigRangeChangedManually.emit([True, False])
    view.pull()
    seen = np.concatenate([line.x for line in view.lines.shown])
    assert set(range(30_000, 30_101)) <= set(seen.astype(int)), "zoomed in, every step is there"

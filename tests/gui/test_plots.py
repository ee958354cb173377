"""The plots: what is drawn is what was recorded."""

import math
from itertools import combinations, pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtCore import QCoreApplication, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPicture
from PySide6.QtWidgets import QApplication

from ngexplorer.analysis.relief import contour_levels
from ngexplorer.curvature.exactness import LARGEST_BY_PRODUCTS, LARGEST_EXACT
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots import chosen_plane, trajectory
from ngexplorer.gui.plots.axes import Frame, compact, logarithm, power_of_ten
from ngexplorer.gui.plots.lines import Line, bounds, pen
from ngexplorer.gui.plots.log_ticks import between_decades
from ngexplorer.gui.plots.paths import holding
from ngexplorer.gui.plots.strokes import Strokes, clipped, dashed
from ngexplorer.gui.plots.tags import Tag, Tags, spread
from ngexplorer.objectives.models import ResidualMLP
from ngexplorer.optimizers import make

FINITE = st.floats(-1e6, 1e6)


# Lines.


def test_bounds_are_those_of_what_is_finite():
    box = bounds([Line(np.array([0.0, 1, 2]), np.array([3.0, math.nan, -1]), pen("#ffffff"))])
    assert (box.left(), box.right(), box.top(), box.bottom()) == (0, 2, -1, 3)
    assert bounds([]).isNull()


@given(arrays(np.float64, (12, 2), elements=st.floats(-20, 20)))
def test_a_clipped_line_is_the_line_where_it_can_be_seen(points):
    window = QRectF(-1, -1, 2, 2)
    pieces = clipped(points[:, 0], points[:, 1], window)
    assert all((np.abs(part) <= 4 + 1e-9).all() for piece in pieces for part in piece)
    length = sum(np.hypot(np.diff(x), np.diff(y)).sum() for x, y in pieces)
    share = np.linspace(0, 1, 2001)[:, None, None]
    dense = points[:-1] + share * np.diff(points, axis=0)
    inside = (np.abs(dense) <= 4).all(2).mean(0)
    assert length == pytest.approx((inside * np.hypot(*np.diff(points, axis=0).T)).sum(), abs=0.5)


@given(
    st.lists(st.floats(-40, 40), min_size=2, max_size=30), st.sampled_from([(5.0, 3.0, 5.0, 3.0), (4.0, 2.0, 1.0, 2.0)])
)
def test_dashes_are_the_pattern_along_the_line_and_stay_on_it(heights, pattern):
    x, y = 7.0 * np.arange(len(heights)), np.array(heights)
    whole = np.append(np.ones(len(x) - 1, bool), False)
    # After another line of another pattern: each has its own, from its own beginning.
    both = Strokes(np.tile(x, 2), np.tile(y, 2), np.tile(whole, 2), np.repeat([0, 1], len(x)))
    found = dashed(both, np.array([[3.0, 1.0, 2.0, 1.0], pattern]))
    second = found.line == 1
    dash_x, dash_y, joined = found.x[second], found.y[second], found.joined[second]
    assert not joined[-1] and not found.joined[~second][-1]
    np.testing.assert_allclose(np.interp(dash_x, x, y), dash_y, atol=1e-9)
    length = np.hypot(np.diff(x), np.diff(y)).sum()
    pieces = np.hypot(np.diff(dash_x), np.diff(dash_y))
    assert pieces.sum() == pytest.approx(length)
    bounds_of = np.concatenate(([0.0], np.cumsum(pattern)))
    whole, rest = divmod(length, bounds_of[-1])
    begun = sum(min(max(rest - a, 0), b - a) for a, b in list(pairwise(bounds_of))[::2])
    assert pieces[joined[:-1] == 1].sum() == pytest.approx(whole * sum(pattern[::2]) + begun, abs=1e-6)


@given(arrays(np.float64, 40, elements=st.floats(-3, 3)), st.sampled_from([0.0, 0.01, 1.0]))
def test_a_thinned_line_cannot_be_told_from_the_whole_one(noise, size):
    x = 0.5 * np.arange(40)
    y = 10 * np.sin(x / 9) + size * noise
    whole = Strokes(x, y, np.append(np.ones(39, bool), False), np.zeros(40, int))
    thin = whole.thinned()
    assert (thin.x[[0, -1]] == x[[0, -1]]).all() and thin.joined[:-1].all() and not thin.joined[-1]
    at, down = np.interp(x, thin.x, thin.y), np.abs(np.gradient(y, x))
    assert (np.abs(at - y) / np.hypot(1, down)).max() < 0.3, "pixels"
    if size == 0:
        assert len(thin.x) < 12


def test_a_line_that_goes_very_far_leaves_and_enters_where_it_does():
    window = QRectF(-1, -1, 2, 2)
    for far in (1e3, 1e9, 1e200, 1e308):
        x, y = np.array([0.5, far, 0.0, -0.5]), np.array([0.0, far, 0.5, 0.5])
        (away_x, away_y), (back_x, back_y) = clipped(x, y, window)
        assert (away_x[0], away_y[0]) == (0.5, 0.0) and away_x[-1] == pytest.approx(4, rel=1e-2)
        assert away_y[-1] == pytest.approx(3.5, abs=0.02)
        assert back_y[0] == pytest.approx(4, rel=1e-2) and back_x[0] == pytest.approx(3.5, abs=0.02)
        assert (back_x[-1], back_y[-1]) == pytest.approx((-0.5, 0.5))


def test_a_path_that_goes_astronomically_far_freezes_no_picture(sit_at, two_moons):
    person = sit_at(two_moons(make("heavy-ball", learning_rate=1e6), make("natural-gradient"), steps=60))
    view = person.window.trajectory
    for k in range(1, 9):
        person.presses(Qt.Key.Key_Period)
        person.until(lambda k=k: person.session.runs[1].run.step == k)
        person.sees("paused")
    person.until(lambda: person.session.runs[0].run.astray)
    drawn(person)
    person.until(lambda: max(np.abs(line.x).max() for line in view.lines._lines) > 1e5)  # one run goes far away
    box = view.lines.boundingRect()
    (left, right), (low, high) = view.frame.view.viewRange()
    assert (box.left(), box.right(), box.top(), box.bottom()) == pytest.approx((left, right, low, high))
    for _ in range(3):
        QCoreApplication.processEvents()
    painted = []
    paint = view.lines.paint
    view.lines.paint = lambda *what: (painted.append(view.lines._lines), paint(*what))
    person.session.set_time(2)
    view.pull()
    person.until(lambda: bool(painted), timeout=2000)
    assert painted[-1] is view.lines._lines, "the screen has it too, not only a picture that is asked for"


@given(arrays(np.float64, 20, elements=st.floats(allow_nan=True, allow_infinity=False)))
def test_the_logarithm_of_what_is_not_positive_is_no_number(values):
    logs = logarithm(values)
    assert np.array_equal(np.isnan(logs), ~(values > 0))
    ordinary = (values > 1e-300) & (values < 1e300)
    assert np.allclose(10 ** logs[ordinary] / values[ordinary], 1)


# Numbers.


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (-1.5, "−1.5"), (1e-7, "1.00e−07"), (123456.0, "1.23e+05"), (math.nan, "–"), (-math.inf, "−∞")],
)
def test_numbers_are_short_with_a_true_minus(value, text):
    assert compact(value) == text


@given(st.floats(-12, 12), st.floats(1e-5, 1.999))
def test_along_a_log_axis_stand_a_few_round_numbers_however_narrow_it_is(low, width):
    high = low + width
    decades = range(math.ceil(low), math.floor(high) + 1)
    found = between_decades(low, high, list(map(float, decades)))
    assert all(low <= v <= high for v in found)
    assert 4 <= len(found) + len(set(decades) - {round(v, 9) for v in found}) <= 15


@pytest.mark.parametrize("height", [110, 160, 300])
@pytest.mark.parametrize("span", [0.005, 0.04, 0.2, 0.6, 1.2, 2.2, 3.5, 9.0, 30.0])
@pytest.mark.parametrize("low", [-9.37, -3.88, -0.05, 0.52])
def test_a_log_axis_has_two_numbers_at_least_that_have_room(qapp, qtbot, height, low, span):
    frame = Frame(themes.DARK)
    qtbot.addWidget(frame)
    frame.resize(300, height)
    frame.set_log(y=True)
    frame.show()
    frame.view.setRange(xRange=(0, 1), yRange=(low, low + span), padding=0)
    QApplication.processEvents()
    axis, picture = frame.item.getAxis("left"), QPicture()
    painter = QPainter(picture)
    _, _, texts = axis.generateDrawSpecs(painter)
    painter.end()
    numbers = [(rectangle, text) for rectangle, _, text in texts if not text.startswith("×")]
    assert len({text for _, text in numbers}) >= 2
    rectangles = [rectangle for rectangle, _, _ in texts]
    assert not any(one.intersects(other) for one, other in combinations(rectangles, 2))
    factor = next((text for _, _, text in texts if text.startswith("×")), None)
    assert (factor is None) == (axis.factor is None)
    if factor is not None:
        for rectangle, text in numbers:
            share = (axis.height() - rectangle.center().y()) / axis.height()
            assert math.log10(float(text)) + axis.factor == pytest.approx(low + share * span, abs=0.02 * span)


def test_powers_of_ten_are_written_as_people_do():
    assert [power_of_ten(n) for n in (-4, -2, 0, 3, 12)] == ["10⁻⁴", "0.01", "1", "1000", "10¹²"]


# Contours.


@given(arrays(np.float64, (5, 6), elements=st.floats(-1e8, 1e8)))
def test_contour_levels_rise_and_cover_every_value(values):
    levels = contour_levels(values)
    assert (np.diff(levels) > 0).all() and len(levels) >= 2
    assert levels[0] <= values.min() and levels[-1] >= values.max()


@given(st.floats(-1e6, 1e6))
def test_a_flat_surface_has_levels_too(value):
    levels = contour_levels(np.full((3, 3), value))
    assert levels[0] <= value <= levels[-1] and levels[0] < levels[-1]


# Spectra.


@pytest.fixture
def stepped(sit_at, two_moons):
    def take(*names, **how):
        person = sit_at(two_moons(*names, **how))
        person.session.racer.step()
        person.until(lambda: all(shown.run.step == 1 for shown in person.session.runs))
        person.sees("paused")
        person.window.settle()
        return person

    return take


def marks(view):
    """Dots and triangles that are drawn, (K, 2) each."""
    nothing = [np.empty((0, 2))]
    lines = view.lines._lines
    return tuple(
        np.concatenate([getattr(line, kind) for line in lines if getattr(line, kind) is not None] or nothing)
        for kind in ("dots", "triangles")
    )


def test_eigenvalues_stand_by_rank_on_both_sides_of_a_broken_axis(stepped):
    person = stepped("newton", seed=1)
    view, (spectrum,) = person.window.spectrum, person.session.runs[0].history.spectra
    values, floor, gap = spectrum.eigenvalues, view.axis.floor, view.axis.gap
    assert (values < -spectrum.rounding).any(), "the Hessian of this network is indefinite at the start"
    dots, triangles = marks(view)
    negative, positive = values[values < -spectrum.rounding], values[values > spectrum.rounding]
    assert sorted(triangles[:, 1]) == pytest.approx(sorted(floor - np.log10(-negative) - gap))
    assert sorted(dots[:, 1]) == pytest.approx(sorted(np.log10(positive) - floor + gap))
    assert dict(dots)[1.0] == pytest.approx(math.log10(values[-1]) - floor + gap), "the largest comes first"
    assert max(triangles[:, 0]) == len(values), "the lowest comes last"
    assert f"▽ {len(negative)} negative" in view.subtitle.text()
    assert view.axis.tickStrings([math.log10(0.01) - floor + gap, floor - math.log10(0.01) - gap, 0.0], 1, 1) == [
        "0.01",
        "−0.01",
        "0",
    ]


def test_the_damping_is_a_dashed_line_at_its_logarithm(stepped):
    person = stepped("newton")
    run = person.session.runs[0]
    dashed = [line for line in person.window.spectrum.levels.shown if line.pen.style() == Qt.PenStyle.DashLine]
    damping = run.history["damping"][1]
    assert damping == 1.0
    at = person.window.spectrum._height(damping)
    assert dashed and all(y == pytest.approx(at) for line in dashed for y in line.y)
    (tag,) = person.window.spectrum.tags.tags
    assert (tag.text, tag.y) == ("λ = 1", pytest.approx(at))


def test_runs_of_equal_damping_share_a_line_and_a_label_and_others_stand_apart(stepped):
    person = stepped("newton", "natural-gradient", "gauss-newton", make("newton", damping={"initial": 1.02}))
    view = person.window.spectrum
    first, second = view.tags.tags
    assert (first.text, second.text) == ("λ = 1", "λ = 1.02")
    shown = [themes.line_colour(shown.colour, themes.DARK) for shown in person.session.runs]
    assert list(first.colours) == shown[:3] and list(second.colours) == shown[3:]
    assert len([line for line in view.levels.shown if len(line.x) == 2 and line.y[0] == line.y[1]]) == 2
    area = view.frame.view.sceneBoundingRect()
    lines = [view.frame.view.mapViewToScene(QPointF(0, tag.y)).y() for tag in (first, second)]
    assert abs(lines[0] - lines[1]) < 4, "they would cover each other"
    boxes = view.tags.placed(area, lines)
    assert not boxes[0].intersects(boxes[1])
    assert all(area.contains(box) for box in boxes)


@given(st.lists(st.floats(-50, 250), max_size=12), st.floats(4, 20))
def test_labels_keep_apart_and_inside_in_the_order_of_their_lines(wanted, height):
    wanted = sorted(wanted)
    placed = spread(wanted, height, 0.0, 240.0)
    assert len(placed) == len(wanted)
    assert (np.diff(placed) >= height - 1e-9).all()
    if len(wanted) * height <= 240:
        assert all(height / 2 - 1e-9 <= middle <= 240 - height / 2 + 1e-9 for middle in placed)
    if wanted and (np.diff(wanted) >= height).all() and height / 2 <= wanted[0] and wanted[-1] <= 240 - height / 2:
        assert placed == pytest.approx(wanted), "where there is room each stands on its line"


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("count", [1, 5, 9, 20])
def test_however_many_labels_there_are_none_covers_another(count):
    tags, area = Tags(themes.DARK), QRectF(50, 10, 500, 100)
    tags.show_tags([Tag(0.0, f"λ = {i}", (QColor("#ffffff"),)) for i in range(count)], themes.DARK)
    boxes = tags.placed(area, [12.0] * count)
    assert all(area.contains(box) for box in boxes)
    assert not any(a.intersects(b) for a, b in combinations(boxes, 2))


def test_without_a_matrix_the_spectrum_says_what_to_do(stepped):
    view = stepped("adam").window.spectrum
    assert view.empty.isVisible() and "Add Newton" in view.empty.text()
    assert not len(marks(view)[0])


def test_a_spectrum_switched_off_is_not_drawn(stepped):
    person = stepped("natural-gradient")
    view = person.window.spectrum
    assert len(marks(view)[0])
    for button in (view.used, view.hessian):
        person.clicks(button)
    person.window.settle()
    assert not len(marks(view)[0]) and "switched on" in view.empty.text()


def test_newton_s_hessian_is_there_as_long_as_one_of_the_two_switches_is_on(stepped):
    person = stepped("newton")
    view = person.window.spectrum
    person.clicks(view.used)
    person.window.settle()
    assert any(len(line.x) > 2 for line in view.lines._lines) and not view.empty.isVisible()
    assert not len(marks(view)[0])
    person.clicks(view.used)
    person.clicks(view.hessian)
    person.window.settle()
    assert len(marks(view)[0])
    assert not any(len(line.x) > 2 for line in view.lines._lines)


def test_where_no_spectrum_will_ever_come_it_says_why(sit_at, two_moons):
    experiment = two_moons("newton", steps=2)
    person = sit_at(msgspec.structs.replace(experiment, model=ResidualMLP(width=12)))
    objective = person.session.race.runs[0].objective
    assert not objective.structured and LARGEST_BY_PRODUCTS < objective.parameters < LARGEST_EXACT
    person.window.settle()
    assert person.window.spectrum.empty.text() == (
        f"{objective.parameters:,} parameters of a residual perceptron: all eigenvalues are computed up to 300.\n"
        "Choose one run above to see their density."
    )


# Trajectories.


def drawn(person):
    person.draws_all()
    return person.window.trajectory


def test_rosenbrocks_contours_are_its_loss_at_every_grid_point(sit_at, valley):
    person = sit_at(valley("newton", steps=6))
    person.session.toggle()
    person.sees("finished")
    view = drawn(person)
    surface = view.surface
    assert surface.values.shape == (129, 129) and surface.window == (-1.8, 1.6, -0.6, 2.2)
    x, y = np.meshgrid(surface.xs, surface.ys)
    np.testing.assert_allclose(surface.values, (1 - x) ** 2 + 100 * (y - x**2) ** 2, rtol=1e-10, atol=1e-10)
    (line,) = view.lines._lines
    thetas = np.stack([theta for _, theta in person.session.runs[0].history.snapshots.since(0)])
    np.testing.assert_array_equal(np.stack((line.x, line.y), 1), thetas)

    # The path ends at the step that is shown.
    person.session.set_time(3)
    view.pull()
    (line,) = view.lines._lines
    assert len(line.x) == 4
    np.testing.assert_array_equal((line.x[-1], line.y[-1]), person.session.runs[0].history.parameters(3)[0])


def test_a_networks_paths_lie_on_their_principal_plane_and_its_share_is_said(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton", steps=10))
    person.session.toggle()
    person.sees("finished")
    view = drawn(person)
    plane = view.surface.plane
    for shown, line in zip(person.session.runs, view.lines._lines, strict=True):
        thetas = np.stack([theta for _, theta in shown.history.snapshots.since(0)])
        np.testing.assert_allclose(np.stack((line.x, line.y), 1), (thetas - plane.origin) @ plane.axes.T)
    assert f"{100 * plane.explained[0]:.0f} % + {100 * plane.explained[1]:.0f} %" in view.subtitle.text()


def test_before_the_first_step_no_share_of_a_variance_is_told(sit_at, two_moons):
    view = drawn(sit_at(two_moons(steps=3)))
    assert view.subtitle.text() == "no steps yet"


def test_where_a_race_rests_the_contours_fill_the_window(sit_at, two_moons, monkeypatch):
    monkeypatch.setattr(chosen_plane, "POINTS", 41)
    person = sit_at(two_moons("adam", "natural-gradient", steps=40))
    person.window._timer.stop()
    person.session.toggle()
    person.sees("finished")
    kept = person.session.runs[0].history.snapshots._kept
    far = 20 * (kept[-1][1] - kept[0][1])
    kept[7] = (7, kept[7][1] + far)  # a short way out, which a fit of every second point would not know
    view = drawn(person)
    person.until(lambda: (view.pull(), view.settled)[1])
    left, right, low, high = view.surface.window
    (shown_left, shown_right), (shown_low, shown_high) = view.frame.view.viewRange()
    assert left <= shown_left and shown_right <= right and low <= shown_low and shown_high <= high
    box = bounds(view.lines._lines)
    assert shown_left <= box.left() and box.right() <= shown_right
    assert shown_low <= box.top() and box.bottom() <= shown_high


def test_paths_stay_in_view_between_two_fits_of_the_plane(sit_at, two_moons, monkeypatch):
    person = sit_at(two_moons("natural-gradient", "heavy-ball", steps=1000))
    for k in (1, 2):
        person.session.racer.step()
        person.until(lambda k=k: all(shown.run.step == k for shown in person.session.runs))
    view = drawn(person)
    fitted = view.surface
    monkeypatch.setattr(trajectory, "_PAUSE", 1e9)
    windows = []
    for k in range(3, 40):
        person.session.racer.step()
        person.until(lambda k=k: all(shown.run.step == k for shown in person.session.runs))
        view.pull()
        (left, right), (low, high) = view.frame.view.viewRange()
        box = bounds(view.lines._lines)
        assert left <= box.left() and box.right() <= right and low <= box.top() and box.bottom() <= high
        windows.append(view._window)
    assert view.surface is fitted, "no plane was fitted anew"
    left, right, low, high = fitted.window
    assert not QRectF(left, low, right - left, high - low).contains(box), "the paths went far"
    assert 1 < len(set(windows)) < 15, "in jumps"


def test_a_path_that_leaves_a_test_function_s_window_takes_the_contours_along(sit_at, valley):
    person = sit_at(valley(make("newton", damping="none"), steps=6))
    person.session.toggle()
    person.sees("finished")
    thetas = np.stack([theta for _, theta in person.session.runs[0].history.snapshots.since(0)])
    assert thetas[:, 1].min() < -3, "Newton's second step on Rosenbrock goes far down"
    view = drawn(person)
    person.until(lambda: (view.pull(), view.settled)[1])
    left, right, low, high = view.surface.window
    assert left <= thetas[:, 0].min() and thetas[:, 0].max() <= right
    assert low <= thetas[:, 1].min() and thetas[:, 1].max() <= high
    assert view.frame.view.viewRange()[1] == pytest.approx([low, high])


def test_a_path_that_goes_too_far_is_let_go_and_the_others_stay_in_view():
    usual = (-1.0, 1.0, -1.0, 1.0)
    near, far = QRectF(-0.5, -0.5, 2.0, 1.0), QRectF(-1, -1, 1e9, 1e9)
    assert holding(None, usual, [], 20) == usual == holding(None, usual, [far], 20)
    window = holding(None, usual, [near, far], 20)
    assert window[1] > 1.5 and window[0] == -1.0 and window[2:] == (-1.0, 1.0)
    assert holding(window, usual, [near], 20) == window, "it moves in jumps"
    assert holding((-40.0, 40.0, -40.0, 40.0), usual, [near], 20) == window, "what was far and is gone leaves no void"


def test_an_axis_of_steps_counts_in_whole_numbers(sit_at, two_moons):
    person = sit_at(two_moons(steps=3))
    frame = person.window.curves.frame
    person.window.settle()
    left, right = frame.view.viewRange()[0]
    axis = frame.item.getAxis("bottom")
    assert right < 3.2 and {round(v, 9) for _, values in axis.tickValues(left, right, 400) for v in values} == {
        0,
        1,
        2,
        3,
    }


def test_where_nothing_is_drawn_there_are_no_axes(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", steps=3))
    curves = person.window.curves
    person.window.settle()
    axes = [curves.frame.item.getAxis(side) for side in ("left", "bottom")]
    assert all(axis.isVisible() for axis in axes)
    person.session.set_hidden(0, True)
    person.window.settle()
    assert curves.empty.isVisible() and not any(axis.isVisible() for axis in axes)


def test_a_loss_of_zero_is_told_of_on_a_logarithmic_axis(sit_at, valley):
    person = sit_at(valley("natural-gradient", steps=60))
    person.session.toggle()
    person.sees("finished")
    person.window.settle()
    curves = person.window.curves
    assert person.session.runs[0].history["loss"][-1] == 0
    assert curves.note.isVisible() and "zero or less" in curves.note.text()
    person.clicks(curves.log)
    person.window.settle()
    assert not curves.note.isVisible()


def test_the_readout_stays_within_the_plot(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "adam", "newton", "natural-gradient"), size=(1024, 640))
    person.window.settle()
    QCoreApplication.processEvents()
    curves = person.window.curves
    area = curves.frame.view.sceneBoundingRect()
    for share in (0.01, 0.3, 0.5, 0.7, 0.99):
        curves.read_at(0.0)
        curves.readout.place(QPointF(area.left() + share * area.width(), area.top() + share * area.height()), area)
        assert area.adjusted(-1, -1, 1, 1).contains(QRectF(curves.readout.geometry()))


def test_a_person_s_zoom_stays_until_a_double_click(sit_at, two_moons):
    from PySide6.QtTest import QTest

    person = sit_at(two_moons("heavy-ball", steps=10))
    frame = person.window.curves.frame
    frame.view.setRange(xRange=(2, 4), yRange=(-1, 0), padding=0)
    frame.view.sigRangeChangedManually.emit([True, True])
    person.session.toggle()
    person.sees("finished")
    person.window.settle()
    assert frame.view.viewRange()[0] == [2, 4]
    QTest.mouseDClick(frame.viewport(), Qt.MouseButton.LeftButton, pos=frame.viewport().rect().center())
    person.window.settle()
    assert frame.view.viewRange()[0][1] >= 10

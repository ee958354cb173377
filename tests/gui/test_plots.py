"""The plots: what is drawn is what was recorded."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PySide6.QtCore import Qt

from ngexplorer.gui.plots import spectrum as spectra
from ngexplorer.gui.plots.axes import compact, logarithm, power_of_ten
from ngexplorer.gui.plots.lines import Line, Lines, _polygons, pen, thinned
from ngexplorer.gui.plots.trajectory import contour_levels
from ngexplorer.runs.history import Spectrum

FINITE = st.floats(-1e6, 1e6)


# Lines.


@given(arrays(np.float64, st.integers(1, 900), elements=FINITE | st.just(math.nan)), st.integers(1, 60))
def test_a_thinned_line_keeps_order_extremes_and_its_end(y, pixels):
    x = np.arange(len(y), dtype=float)
    short_x, short_y = thinned(x, y, pixels)
    assert (np.diff(short_x) > 0).all()
    assert np.array_equal(short_y, y[short_x.astype(int)], equal_nan=True), "points of the line, not new ones"
    assert len(short_x) <= max(4 * pixels, 3 * pixels)
    if np.isfinite(y).any():
        assert np.nanmin(short_y) == np.nanmin(y) and np.nanmax(short_y) == np.nanmax(y)


@given(st.integers(100, 5000), st.integers(5, 50))
def test_a_spike_of_one_step_survives_thinning(length, pixels):
    y = np.zeros(length)
    y[length // 3] = 5.0
    assert thinned(np.arange(length, dtype=float), y, pixels)[1].max() == 5.0


def test_a_line_breaks_where_there_is_no_number():
    nan = math.nan
    line = Line(np.arange(8.0), np.array([nan, 1, 2, nan, nan, 3, 4, 5]), pen("#ffffff"))
    assert [[(p.x(), p.y()) for p in polygon] for polygon in _polygons(line)] == [
        [(1, 1), (2, 2)],
        [(5, 3), (6, 4), (7, 5)],
    ]
    assert _polygons(Line(np.arange(3.0), np.full(3, nan), pen("#ffffff"))) == []


@pytest.mark.usefixtures("qapp")
def test_bounds_are_those_of_what_is_finite():
    lines = Lines()
    lines.show_lines([Line(np.array([0.0, 1, 2]), np.array([3.0, math.nan, -1]), pen("#ffffff"))])
    box = lines.boundingRect()
    assert (box.left(), box.right(), box.top(), box.bottom()) == (0, 2, -1, 3)
    lines.show_lines([])
    assert lines.boundingRect().isNull()


@given(arrays(np.float64, 20, elements=st.floats(allow_nan=True, allow_infinity=False)))
def test_the_logarithm_of_what_is_not_positive_is_no_number(values):
    logs = logarithm(values)
    assert np.array_equal(np.isnan(logs), ~(values > 0))
    ordinary = values > 1e-300
    assert np.allclose(10 ** logs[ordinary] / values[ordinary], 1)


# Numbers.


@pytest.mark.parametrize(
    "value, text",
    [(0.0, "0"), (-1.5, "−1.5"), (1e-7, "1.00e−07"), (123456.0, "1.23e+05"), (math.nan, "–"), (-math.inf, "−∞")],
)
def test_numbers_are_short_with_a_true_minus(value, text):
    assert compact(value) == text


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


def test_ranks_go_down_from_the_largest_and_mark_the_negative():
    rank, height, negative = spectra._ranked(Spectrum(0, "hessian", np.array([-0.5, 1e-30, 0.1, 10.0]), 1.0))
    assert dict(zip(rank, height, strict=True)) == pytest.approx({1: 1, 2: -1, 4: math.log10(0.5)})
    assert dict(zip(rank, negative, strict=True)) == {1: False, 2: False, 4: True}, (
        "what is zero to rounding is left out"
    )


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


def test_negative_eigenvalues_are_triangles_and_others_dots(stepped):
    person = stepped("newton", seed=1)
    view, (spectrum,) = person.window.spectrum, person.session.runs[0].history.spectra
    values = spectrum.eigenvalues
    rounding = spectra._rounding(spectrum)
    assert (values < -rounding).any(), "the Hessian of this network is indefinite at the start"
    marks = view.marks.data
    triangles, dots = marks[marks["symbol"] == "t"], marks[marks["symbol"] == "o"]
    assert len(triangles) == (values < -rounding).sum()
    assert sorted(triangles["y"]) == pytest.approx(sorted(np.log10(-values[values < -rounding])))
    assert sorted(dots["y"]) == pytest.approx(sorted(np.log10(values[values > rounding])))
    assert f"▽ {len(triangles)} negative" in view.subtitle.text()


def test_the_damping_is_a_dashed_line_at_its_logarithm(stepped):
    person = stepped("newton")
    run = person.session.runs[0]
    dashed = [line for line in person.window.spectrum.lines._lines if line.pen.style() == Qt.PenStyle.DashLine]
    damping = run.history["damping"][1]
    assert damping == 1.0
    assert dashed and all(y == pytest.approx(np.log10(damping)) for line in dashed for y in line.y)
    assert [line.label for line in dashed if line.label] == ["λ = 1"]


def test_without_a_matrix_the_spectrum_says_what_to_do(stepped):
    view = stepped("adam").window.spectrum
    assert view.empty.isVisible() and "Add Newton" in view.empty.text()
    assert not len(view.marks.data)


def test_a_spectrum_switched_off_is_not_drawn(stepped):
    person = stepped("natural-gradient")
    view = person.window.spectrum
    assert len(view.marks.data[view.marks.data["symbol"] == "o"])
    for button in (view.used, view.hessian):
        person.clicks(button)
    person.window.settle()
    assert not len(view.marks.data) and "switched on" in view.empty.text()


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

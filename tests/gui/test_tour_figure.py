"""The figure of a page in the window: drawn when its stop opens, and anew as its dial is slid."""

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtTest import QTest

from ngexplorer.gui import theme as themes
from ngexplorer.tour import STOPS
from ngexplorer.tour.checks import WATCH
from ngexplorer.tour.figure import Chart, Curve, Dial, Figure


@pytest.fixture
def opened(sit_at, two_moons):
    """A window at a stop whose figure has been drawn."""

    def at(number):
        person = sit_at(two_moons(), size=(1600, 1000))
        person.window.guide.open(number)
        person.until(lambda: person.session.raced == STOPS[number - 1].experiment())
        person.sees("ready")
        tour = person.window.tour
        assert tour.figure.drawings == (), "no one has looked at it yet"
        QTest.mouseClick(tour.tabs, Qt.MouseButton.LeftButton, pos=tour.tabs.tabRect(1).center())
        person.until(lambda: tour.settled and tour.figure.plots != [])
        QCoreApplication.processEvents()
        return person, person.window.tour.figure

    return at


def test_a_stop_with_a_figure_shows_it_and_one_without_does_not(opened):
    person, figure = opened(8)
    assert figure.isVisible() and len(figure.plots) == 2
    assert all(plot.contours.levels > 3 for plot in figure.plots)
    assert figure.plots[0].frame.accessibleName() == "Fisher: slope across, intercept up"
    person.window.guide.open(7)
    assert not figure.isVisible() and figure.plots == []
    assert [person.window.tour.tabs.isTabVisible(n) for n in range(3)] == [True, False, True]
    person.sees("ready")


def test_a_person_slides_the_exponent_with_the_keys(opened):
    person, figure = opened(9)
    (before,) = figure.drawings
    assert figure.value.text() == "0.25"
    figure.slider.setFocus()
    for _ in range(3):
        QTest.keyClick(figure.slider, Qt.Key.Key_Right)
    assert figure.value.text() == "0.4"
    person.until(lambda: figure.settled)
    (after,) = figure.drawings
    assert after.curves[1].label == "ξ = 0.40" and after.curves[0].y == pytest.approx(before.curves[0].y)
    assert "ξ&nbsp;=&nbsp;0.40" in figure.plots[0].words.text()


def test_the_last_place_of_the_slider_wins_and_what_is_under_way_is_let_go(opened, monkeypatch):
    """At its first place the figure would never be done."""
    asked = []

    def measure(value):
        asked.append(value)
        while value == 0:
            WATCH.check()
        x = np.array([0.0, 1.0])
        return (Chart("y", "x", (Curve("line", 0, x, value * x),)),)

    person, figure = opened(9)
    figure.show_figure(Figure("a line", Dial("slope", 0, 4, 0, 4), measure))
    person.until(lambda: asked == [0])
    for _ in range(3):
        QTest.keyClick(figure.slider, Qt.Key.Key_Right)
    person.until(lambda: figure.settled)
    assert asked[-1] == 3 and figure.drawings[0].curves[0].y[-1] == 3
    person.until(lambda: person.session.analyst.idle)


def test_a_figure_is_drawn_anew_in_the_other_theme(opened):
    person, figure = opened(13)
    colours = [line.pen.color().name() for line in figure.plots[0].lines._lines]
    person.session.set_theme(themes.LIGHT)
    assert [line.pen.color().name() for line in figure.plots[0].lines._lines] != colours
    person.until(lambda: person.session.analyst.idle)

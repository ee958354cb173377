"""The figures of the pages: what is drawn is what the page says of it."""

import numpy as np
import pytest

from ngexplorer.cancellation import Cancelled
from ngexplorer.tour import STOPS
from ngexplorer.tour.figure import Chart, Dial, Field

FIGURES = {stop.name: stop.figure for stop in STOPS if stop.figure is not None}
each_figure = pytest.mark.parametrize("name", FIGURES)


def at(name, value):
    return FIGURES[name].draw(value)


@each_figure
def test_every_figure_can_be_drawn_from_end_to_end_of_its_dial(name):
    dial = FIGURES[name].dial
    for value in (0.0,) if dial is None else (dial.low, dial.start, dial.high):
        for drawing in at(name, value):
            if isinstance(drawing, Chart):
                for curve in drawing.curves:
                    assert len(curve.x) == len(curve.y) > 1
                    assert np.isfinite(curve.x).all() and np.isfinite(curve.y).all()
            else:
                assert drawing.starts.shape == drawing.steps.shape
                assert np.isfinite(drawing.steps).all() and np.isfinite(drawing.surface.values).all()


@pytest.mark.parametrize("name", ["empirical-fisher", "diagonal", "invariance", "asymptotics"])
def test_a_figure_is_abandoned_when_asked(name):
    with pytest.raises(Cancelled):
        FIGURES[name].draw(FIGURES[name].dial.start, lambda: True)


def test_a_dial_stands_on_its_start():
    dial = Dial("x", 0.25, 3.0, 2.0, 11)
    assert dial.value(dial.first) == pytest.approx(2.0)
    assert (dial.value(0), dial.value(11)) == (0.25, 3.0)
    for figure in FIGURES.values():
        if figure.dial is not None:
            assert figure.dial.value(figure.dial.first) == pytest.approx(figure.dial.start)


def towards(field):
    """The cosine between each step and the way to the lowest point of the surface's grid."""
    row, column = np.unravel_index(field.surface.values.argmin(), field.surface.values.shape)
    ways = np.array([field.surface.xs[column], field.surface.ys[row]]) - field.starts
    far = np.linalg.norm(ways, axis=1) > 1
    steps, ways = field.steps[far], ways[far]
    return (steps * ways).sum(1) / np.linalg.norm(steps, axis=1) / np.linalg.norm(ways, axis=1)


def test_the_fisher_sends_everyone_to_the_optimum_and_the_empirical_fisher_does_not():
    fisher, empirical = at("empirical-fisher", 2.0)
    assert isinstance(fisher, Field)
    assert towards(fisher).min() > 0.99
    assert towards(empirical).min() < 0.95


def test_far_out_the_empirical_step_is_short_where_the_fisher_step_is_long():
    """Less noise leaves residuals that are the distance itself: F̄⁻¹∇h goes as one over it, F⁻¹∇h as the distance."""
    fisher, empirical = at("empirical-fisher", 0.25)
    distance = np.linalg.norm(fisher.starts - 1, axis=1)
    near_by, far = (distance > 0.4) & (distance < 0.8), distance > 1.8
    ratios = [
        np.linalg.norm(f.steps[far], axis=1).mean() / np.linalg.norm(f.steps[near_by], axis=1).mean()
        for f in (fisher, empirical)
    ]
    assert ratios[0] > 2 and ratios[1] < 0.7


def test_the_exponent_that_is_slid_is_the_one_that_is_drawn():
    (low,), (half,) = at("diagonal", 0.25), at("diagonal", 0.5)
    reference, slid = low.curves
    assert slid.label == "ξ = 0.25"
    assert slid.y[-1] > 5 * reference.y[-1], "it trails"
    assert half.curves[1].y == pytest.approx(half.curves[0].y)


def test_five_parametrizations_end_apart_with_whole_steps_and_together_with_small_ones():
    def spread(rate):
        _, *paths = at("invariance", rate)[0].curves
        after = [(np.array([path.x[k], path.y[k]])) for path in paths for k in [round(1 / rate)]]
        return np.ptp(np.array(after), axis=0).max()

    whole = at("invariance", 1.0)[0].curves[1:]
    ends = [(round(float(path.x[1]), 4), round(float(path.y[1]), 4)) for path in whole]
    assert ends == [(1, 1.25), (1, 1.284), (1, 1.3333), (1.3333, 1.3333), (1, 0.25)]
    assert spread(0.1) < 0.15 * spread(1.0)


def test_the_chains_lie_on_the_curves_within_their_bars():
    (chart,) = at("asymptotics", 0.5)
    for theory, chains in zip(chart.curves[::2], chart.curves[1::2], strict=True):
        there = np.interp(chains.x, theory.x, theory.y)
        assert (np.abs(chains.y - there) < 2 * chains.error).all(), "four standard errors"
        assert (chains.error < 0.6 * there).all(), "and the bars say something"


def test_three_spectra_of_one_point():
    (chart,) = at("kronecker", 0.0)
    assert [curve.label for curve in chart.curves] == ["F", "K-FAC", "EKFAC"]
    fisher, _, corrected = chart.curves
    assert corrected.y.sum() == pytest.approx(fisher.y.sum(), rel=1e-8), "EKFAC has the trace of F"
    assert all((np.diff(curve.y) <= 1e-12).all() for curve in chart.curves)


def test_the_record_is_drawn_by_seconds_and_by_work():
    seconds, work = at("curvature-pays", 0.0)
    assert (seconds.across, work.across) == ("seconds", "gradient equivalents")
    ends = {curve.label: curve.y[-1] for curve in seconds.curves}
    assert ends["K-FAC"] < ends["Adam, α = 0.003"] < ends["Hessian-free"]

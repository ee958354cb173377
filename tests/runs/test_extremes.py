"""What is drawn of a long column keeps its extremes, whatever stretch of it is looked at."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ngexplorer.runs import History
from ngexplorer.runs.extremes import Extremes, row_at
from ngexplorer.runs.history import LEADING


def recorded(losses, **columns):
    history = History("", "newton", 0)
    for k, loss in enumerate(losses):
        row = dict.fromkeys(LEADING, 0.0) | {"step": float(k), "loss": float(loss)}
        history.append(row | {name: float(values[k]) for name, values in columns.items()}, None, np.zeros(1))
    return history


def walk(length, seed=0, gaps=0.02):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=length).cumsum()
    values[generator.random(length) < gaps] = math.nan
    return values


@settings(deadline=None)
@given(st.integers(1, 6000), st.integers(0, 5), st.integers(4, 40), st.floats(0, 1), st.floats(0, 1))
def test_of_any_stretch_the_chosen_rows_hold_the_extremes_and_both_ends(length, seed, wanted, one, other):
    losses = walk(length, seed)
    extremes = Extremes(recorded(losses), "loss")
    while not extremes.grow(700):
        pass
    first, last = sorted((int(one * length), int(other * length)))
    rows = extremes.chosen(first, last, wanted)
    assert (np.diff(rows) > 0).all()
    assert len(rows) <= max(4 * wanted, 4 * wanted + 6)
    seen = losses[first:last]
    assert len(rows) == 0 if last == first else (rows[0], rows[-1]) == (first, last - 1)
    if np.isfinite(seen).any():
        assert np.nanmin(losses[rows]) == np.nanmin(seen) and np.nanmax(losses[rows]) == np.nanmax(seen)


def test_a_spike_of_one_row_is_chosen_at_every_scale():
    losses = np.zeros(20_000)
    losses[12_345] = 1.0
    extremes = Extremes(recorded(losses), "loss")
    extremes.grow()
    for wanted in (3, 10, 100, 1000):
        assert 12_345 in extremes.chosen(0, 20_000, wanted)


def test_a_gap_breaks_the_line_at_every_scale():
    losses = np.ones(20_000)
    losses[4_000:12_000] = math.nan
    extremes = Extremes(recorded(losses), "loss")
    extremes.grow()
    for wanted in (10, 100, 1000):
        assert np.isnan(losses[extremes.chosen(0, 20_000, wanted)]).any()


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(0, 5), st.integers(20, 900), st.floats(0, 1))
def test_the_lowest_and_highest_rows_are_those_of_all_rows_however_they_were_read(length, seed, most, share):
    losses = walk(length, seed)
    extremes = Extremes(recorded(losses), "loss")
    while not extremes.grow(most):
        pass
    until = int(share * length)
    if np.isfinite(losses[:until]).any():
        assert extremes.lowest(until) == np.nanargmin(losses[:until])
        assert extremes.highest(until) == np.nanargmax(losses[:until])
    else:
        assert extremes.lowest(until) is None and extremes.highest(until) is None
    target = float(np.nan_to_num(losses[: until + 1]).min()) + 0.5
    below = np.flatnonzero(losses <= target)
    assert extremes.first_at_or_below(target) == (below[0] if len(below) else None)


def test_what_comes_later_is_read_later():
    history = recorded(np.arange(100.0, 0.0, -1.0))
    extremes = Extremes(history, "loss")
    assert extremes.grow() and extremes.lowest(1000) == 99
    history.append(dict.fromkeys(LEADING, -5.0), None, np.zeros(1))
    assert extremes.lowest(1000) == 99
    assert extremes.grow() and extremes.lowest(1000) == 100


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 1000])
def test_the_row_at_a_time_is_found_without_reading_all(length):
    seconds = np.round(np.random.default_rng(length).random(length).cumsum(), 1)
    history = recorded(np.zeros(length), seconds=seconds)
    for value in (-1.0, 0.0, *seconds[:: max(1, length // 20)], seconds[-1] + 1, seconds.mean()):
        assert row_at(history, "seconds", value) == np.searchsorted(seconds, value, side="right") - 1
    assert row_at(History("", "", 0), "seconds", 1.0) == -1

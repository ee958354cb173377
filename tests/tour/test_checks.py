"""Checks: when a number passes, and how it is written."""

import json
import math

import pytest
import torch

from ngexplorer.cancellation import Cancelled
from ngexplorer.tour import STOPS
from ngexplorer.tour.checks import Claim, at_least, at_most, near, stopped, unchecked, written


@pytest.mark.parametrize(
    ("outcome", "passed"),
    [
        (near(1.05, 1, 0.1), True),
        (near(1.05, 1, 0.01), False),
        (near((1.0, 2.0), (1, 2), 0), True),
        (near((1.0, 2.5), (1, 2), 0.1), False),
        (near(torch.tensor([[1.0, 2.0]]), (1, 2), 0), True),
        (near(math.nan, 1, 10), False),
        (near(math.inf, 1, 10), False),
        (at_least(1.0, 1.0), True),
        (at_least(0.9, 1.0), False),
        (at_least(0.9, 1.0, 0.2), True),
        (at_least(math.nan, 1.0), False),
        (at_most(1.0, 1.0), True),
        (at_most(1.1, 1.0), False),
        (at_most(math.nan, 1.0), False),
        (unchecked("no telescope"), None),
    ],
)
def test_when_a_number_passes(outcome, passed):
    assert outcome.passed is passed


def test_as_many_numbers_are_measured_as_expected():
    with pytest.raises(ValueError, match="measured: 1 numbers; 2 are expected"):
        near(1.0, (1, 2), 0.1)


def claim(measure):
    return Claim("a claim", "stop", "§1", measure)


def test_a_check_carries_its_claim_and_how_far_off_it_is():
    check = claim(lambda: near((1.0, 2.5), (1, 2), 0.1)).check()
    assert (check.name, check.stop, check.section) == ("a claim", "stop", "§1")
    assert check.difference == pytest.approx(0.5)
    assert check.as_json() == {
        "name": "a claim",
        "stop": "stop",
        "section": "§1",
        "expected": [1.0, 2.0],
        "measured": [1.0, 2.5],
        "relation": "=",
        "tolerance": 0.1,
        "passed": False,
    }


def test_what_breaks_has_failed_and_says_how():
    def measure():
        raise ZeroDivisionError("the sky\nfell")

    check = claim(measure).check()
    assert check.passed is False
    assert check.why == "ZeroDivisionError: the sky"
    assert check.difference is None


LONG = [
    "order_of_geodesic_steps",
    "plain_descent",
    "averaging_forgives",
    "floor_of_an_ensemble",
    "sampling_error",
    "trace",
    "logistic_newton",
    "cycle_at_a_quarter",
    "cubic_leaves",
    "damping_follows_the_ratio",
    "hessian_free_by_work",
    "hessian_free_replayed",
]


@pytest.mark.parametrize("name", LONG)
def test_what_takes_long_is_abandoned_when_asked(name):
    """Each of them in the middle, not at its end: none of what it would give comes."""
    claims = [claim for stop in STOPS for claim in stop.claims if claim.measure.__name__ == name]
    asked = []
    with pytest.raises(Cancelled):
        claims[-1].check(lambda: bool(asked.append(1)) or len(asked) > 2)
    assert len(asked) == 3
    assert not stopped(), "the next measurement goes on"


def test_what_cannot_be_checked_says_why():
    assert claim(lambda: unchecked("no telescope")).check().as_json()["why"] == "no telescope"


def test_json_has_no_number_that_is_none():
    for value in (math.nan, math.inf, (1.0, math.nan)):
        shown = claim(lambda value=value: near(value, 1.0 if isinstance(value, float) else (1, 1), 1)).check().as_json()
        json.dumps(shown, allow_nan=False)
        assert None in (shown["measured"] if isinstance(value, tuple) else [shown["measured"]])


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1.0, "1"),
        (-0.0236435, "−0.0236435"),
        (1e-12, "1e−12"),
        ((1.39262, -0.34816), "(1.393, −0.3482)"),
        (math.nan, "NaN"),
        (None, "–"),
    ],
)
def test_numbers_as_a_table_shows_them(number, expected):
    assert written(number) == expected

"""Basins of attraction on landscapes whose minima are known."""

import numpy as np
import pytest
import torch

from ngexplorer.analysis import attraction
from ngexplorer.analysis.attraction import DIVERGED, UNKNOWN, WANDERING, basins
from ngexplorer.cancellation import Cancelled, never
from ngexplorer.objectives.landscapes import Himmelblau, Saddle
from ngexplorer.optimizers import make

WINDOW = Himmelblau.window


@pytest.fixture(scope="module")
def descent(hills):
    """Where gradient descent ends from a grid of starts: every answer."""
    return list(basins(hills, make("gradient-descent", learning_rate=0.01), WINDOW, never, sizes=(5, 9)))


def test_every_start_ends_in_one_of_the_four_minima(descent):
    found = descent[-1]
    assert found.done == 1 and (found.basin >= 0).all() and len(found.places) == 4
    for place in found.places:
        assert min(np.linalg.norm(place - np.array(minimum)) for minimum in Himmelblau.minima) < 1e-4
    ends = found.ends.reshape(-1, 2)
    np.testing.assert_allclose(ends, found.places[found.basin.reshape(-1)], atol=0.01)
    np.testing.assert_allclose(found.losses, 0, atol=1e-8)


def test_a_start_near_a_minimum_ends_there(descent):
    """Each minimum lies in its own quadrant, and so does the start halfway to the corner."""
    found = descent[-1]
    for x, y in ((2.5, 2.5), (-2.5, 2.5), (-2.5, -2.5), (2.5, -2.5)):
        j, i = np.flatnonzero(found.ys == y)[0], np.flatnonzero(found.xs == x)[0]
        assert (np.sign(found.ends[j, i]) == np.sign((x, y))).all()


def test_the_answers_grow_row_by_row_and_a_finer_grid_keeps_the_coarser(descent):
    shares = [answer.done for answer in descent]
    assert shares == sorted(shares) and len(descent) >= 5 + 4, "every other row of the finer grid was known in part"
    assert (descent[0].basin[0] != UNKNOWN).all() and (descent[0].basin[1:] == UNKNOWN).all()
    coarse = [answer for answer in descent if len(answer.xs) == 5][-1]
    np.testing.assert_array_equal(descent[-1].basin[::2, ::2], coarse.basin)


@pytest.mark.parametrize("answers", [2, 5, 8])
def test_basins_go_on_from_what_is_known(hills, descent, answers, monkeypatch):
    """Halted within either grid, or between them: the same in the end, and no start is run twice."""
    known, started = descent[answers - 1], []
    original = attraction._run
    monkeypatch.setattr(attraction, "_run", lambda *a: (started.append(a[2]), original(*a))[1])
    method = make("gradient-descent", learning_rate=0.01)
    rest = list(basins(hills, method, WINDOW, never, sizes=(5, 9), known=known))
    assert len(started) == 81 - (known.basin != UNKNOWN).sum()
    for name in ("basin", "ends", "steps", "losses", "places", "done"):
        np.testing.assert_array_equal(getattr(rest[-1], name), getattr(descent[-1], name))


def test_each_end_is_where_the_optimizer_itself_goes(hills, descent):
    found = descent[-1]
    stepper = make("gradient-descent", learning_rate=0.01).start(
        hills, torch.tensor([found.xs[3], found.ys[6]]).double()
    )
    for _ in range(found.steps[6, 3]):
        stepper.step()
    np.testing.assert_array_equal(stepper.point.theta.numpy(), found.ends[6, 3])


def test_a_start_in_a_minimum_to_rounding_is_at_rest_there(hills):
    x, y = Himmelblau.minima[1]
    found = list(basins(hills, make("newton"), (x - 1, x + 1, y - 1, y + 1), never, sizes=(3,), steps=30))[-1]
    assert found.basin[1, 1] >= 0 and found.steps[1, 1] <= 1
    np.testing.assert_allclose(found.ends[1, 1], (x, y), atol=1e-9)


def test_a_learning_rate_too_large_diverges_and_too_small_is_still_on_its_way(hills):
    wild = list(basins(hills, make("gradient-descent", learning_rate=1.0), WINDOW, never, sizes=(3,)))[-1]
    assert (wild.basin[[0, 0, -1, -1], [0, -1, 0, -1]] == DIVERGED).all() and np.isnan(wild.ends[0, 0]).all()
    slow = list(basins(hills, make("gradient-descent", learning_rate=1e-5), WINDOW, never, sizes=(3,), steps=5))[-1]
    assert (slow.basin == WANDERING).all() and (slow.steps == 5).all() and np.isfinite(slow.ends).all()


def test_newton_without_damping_is_drawn_to_the_saddle_and_saddle_free_newton_is_not(saddle):
    """From ½(x² − y²): Newton is at the saddle in one step from everywhere; |H|⁻¹ doubles y, out of every window."""
    eigen = {"name": "eigendecomposition", "eigenvalues": "pseudo"}
    newton = make("newton", damping="none", solver=eigen)
    found = list(basins(saddle, newton, Saddle.window, never, sizes=(5,)))[-1]
    np.testing.assert_allclose(found.places, [[0, 0]], atol=1e-12)
    assert (found.basin == 0).all() and found.steps.max() == 1
    free = make("saddle-free-newton", damping="none")
    away = list(basins(saddle, free, Saddle.window, never, sizes=(5,), steps=60))[-1]
    assert (away.basin[[0, 1, 3, 4]] == DIVERGED).all()


def test_newton_that_cannot_go_on_stays_where_it_is(saddle):
    """By Cholesky, an indefinite Hessian without damping has no step: it ends at its start, and not at rest."""
    found = list(basins(saddle, make("newton", damping="none"), Saddle.window, never, sizes=(3,)))[-1]
    assert found.basin[0, 0] == WANDERING and found.steps[0, 0] == 0
    np.testing.assert_array_equal(found.ends[0, 0], [-2, -2])


def test_starts_need_a_plane_and_are_abandoned(hills, classifier):
    with pytest.raises(ValueError, match="need 2"):
        next(basins(classifier, make("newton"), WINDOW, never))
    looks = iter(range(10**6))
    with pytest.raises(Cancelled):
        list(basins(hills, make("newton"), WINDOW, lambda: next(looks) > 50))
    assert next(looks) < 60, "at the first look that says so"

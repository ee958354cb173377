"""Autoencoders: Hessian-free and K-FAC against tuned Adam, in gradient equivalents and in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

import ngexplorer as ngx
from ngexplorer.tour import recorded
from ngexplorer.tour.checks import Outcome, at_least, at_most, near, stopped, unchecked
from ngexplorer.tour.figure import Chart, Curve
from ngexplorer.tour.stop import Stop

stop = Stop("curvature-pays", "Where curvature pays: autoencoders")

make = ngx.optimizers.make
_RATES = (0.01, 0.02, 0.03, 0.06)


def _raced(name: str, steps: int, **settings: Any) -> ngx.History:
    return ngx.run(stop.experiment().objective(), make(name, **settings), steps=steps, cancel=stopped)


def _against_adam(name: str, steps: int, *, by_work: bool) -> float:
    """The loss after some steps, over the lowest that Adam reaches with any of four learning rates: in as many steps,
    or with as much work in gradients."""
    history = _raced(name, steps)
    adams = round(float(history["gradient_equivalents"][-1])) if by_work else steps
    tuned = min(float(_raced("adam", adams, learning_rate=rate)["loss"][-1]) for rate in _RATES)
    return float(history["loss"][-1]) / tuned


@stop.claim("Digits: K-FAC's loss after 40 steps, over tuned Adam's after as many", "§10")
def kfac_by_steps() -> Outcome:
    return at_most(_against_adam("kfac", 40, by_work=False), 0.9)


@stop.claim("Digits: K-FAC's loss after 40 steps, over tuned Adam's with as much work in gradients", "§10")
def kfac_by_work() -> Outcome:
    return at_most(_against_adam("kfac", 40, by_work=True), 1)


@stop.claim("Digits: EKFAC's loss after 40 steps, over tuned Adam's with as much work", "§10")
def ekfac_by_work() -> Outcome:
    return at_most(_against_adam("ekfac", 40, by_work=True), 1)


@stop.claim("Digits: Hessian-free's loss after 9 steps, over tuned Adam's after as many", "§10")
def hessian_free_by_steps() -> Outcome:
    return at_most(_against_adam("hessian-free", 9, by_work=False), 0.9)


@stop.claim(
    "Digits: Hessian-free's loss after 9 steps, over tuned Adam's with as much work: here it does not pay", "§10"
)
def hessian_free_by_work() -> Outcome:
    return at_least(_against_adam("hessian-free", 9, by_work=True), 1)


@stop.claim(
    "Digits: what a step of K-FAC costs: a gradient, the way back of sampled labels (⅓), two forward products (⅔ each)",
    "§10",
)
def price() -> Outcome:
    """From the second step on: the first has no step before it that α and μ could combine."""
    spent = _raced("kfac", 11)["gradient_equivalents"]
    return near(float(spent[11] - spent[1]) / 10, 8 / 3, 0.03)


def _replayed(label: str, steps: int) -> Outcome:
    """The losses of the first steps, over those recorded."""
    found, then = recorded.replay(label, steps, stopped), recorded.rows()[label]
    return near([now.loss / before.loss for now, before in zip(found, then, strict=False)], (1,) * (steps + 1), 2e-3)


@stop.claim("Curves, the recorded race: the start and three steps of K-FAC taken now, over the record", "§10")
def kfac_replayed() -> Outcome:
    return _replayed("K-FAC", 3)


@stop.claim("Curves, the recorded race: the start and two steps of Hessian-free", "§10")
def hessian_free_replayed() -> Outcome:
    return _replayed("Hessian-free", 2)


@stop.claim("Curves, the recorded race: the start and three steps of Adam", "§10")
def adam_replayed() -> Outcome:
    return _replayed("Adam, α = 0.001", 3)


@stop.claim("Curves: seconds in which K-FAC reaches what tuned Adam has at the end of the record", "§10")
def seconds() -> Outcome:
    """Seconds are those of the machine that recorded them."""
    rows = recorded.rows()
    adams = min(runs[-1].loss for label, runs in rows.items() if label.startswith("Adam"))
    reached = next((row.seconds for row in rows["K-FAC"] if row.loss <= adams), None)
    if reached is None:
        return unchecked("in the record K-FAC does not reach it; seconds are those of the machine that took them")
    return unchecked(f"in the record {reached:.0f} of {recorded.SECONDS:.0f}; seconds are the machine's that took them")


@stop.draws(
    "The recorded race on the images of curves, by seconds of the machine that recorded it and by work. Of four rates "
    "of Adam the one that ends lowest is drawn."
)
def race(_: float) -> tuple[Chart, ...]:
    rows = recorded.rows()
    adam = min((label for label in rows if label.startswith("Adam")), key=lambda label: rows[label][-1].loss)
    charts = []
    for title, axis in (("Loss", "seconds"), ("Loss", "gradient_equivalents")):
        curves = []
        for colour, label in ((3, adam), (0, "Hessian-free"), (1, "K-FAC")):
            x, y = (np.array([getattr(row, name) for row in rows[label]]) for name in (axis, "loss"))
            curves.append(Curve(label, colour, x, y))
        charts.append(Chart(title, axis.replace("_", " "), tuple(curves), log_y=True))
    return tuple(charts)

"""Autoencoders: Hessian-free and K-FAC against tuned Adam, in gradient equivalents and in seconds."""

from __future__ import annotations

from typing import Any

import ngexplorer as ngx
from ngexplorer.tour.checks import Outcome, at_least, at_most, unchecked
from ngexplorer.tour.stop import Stop

stop = Stop("autoencoder", "Where curvature pays: autoencoders")

make = ngx.optimizers.make
_STEPS = 12


def _raced(name: str, steps: int = _STEPS, **settings: Any) -> ngx.History:
    return ngx.run(stop.experiment().objective(), make(name, **settings), steps=steps)


def _tuned_adam(steps: int) -> float:
    """The lowest loss of Adam after some steps, over five learning rates."""
    return min(float(_raced("adam", steps, learning_rate=rate)["loss"][-1]) for rate in (0.003, 0.01, 0.02, 0.03, 0.06))


@stop.claim(f"Digits: K-FAC's loss after {_STEPS} steps, over that of Adam, tuned, after as many", "§10")
def kfac_by_steps() -> Outcome:
    return at_most(float(_raced("kfac")["loss"][-1]) / _tuned_adam(_STEPS), 0.95)


@stop.claim("The same with as much work for Adam as K-FAC's, in gradients", "§10")
def kfac_by_work() -> Outcome:
    history = _raced("kfac")
    return at_most(float(history["loss"][-1]) / _tuned_adam(round(float(history["gradient_equivalents"][-1]))), 1)


@stop.claim("Hessian-free: its loss after 3 steps, over Adam's with as much work", "§10")
def hessian_free_by_work() -> Outcome:
    history = _raced("hessian-free", 3)
    return at_most(float(history["loss"][-1]) / _tuned_adam(round(float(history["gradient_equivalents"][-1]))), 1)


@stop.claim("What a step of K-FAC costs there, in gradients, at least", "§10")
def price() -> Outcome:
    return at_least(float(_raced("kfac", 6)["gradient_equivalents"][-1]) / 6, 2)


_MISSING = "the recorded race of the curves autoencoder is not shipped yet"


@stop.claim("Curves, 784-400-200-100-50-25-6: the first steps replayed are those of the recorded race", "§10")
def curves_replayed() -> Outcome:
    return unchecked(_MISSING)


@stop.claim("Curves: seconds that Hessian-free and K-FAC need for what Adam reaches", "§10")
def curves_by_seconds() -> Outcome:
    return unchecked("seconds are those of the machine that ran it, so no number can be expected of this one")

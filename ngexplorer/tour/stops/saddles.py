"""Saddles: Newton, saddle-free Newton, cubic regularization, trust regions, Gauss-Newton."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import ngexplorer as ngx
from ngexplorer.curvature import GaussNewton, Hessian
from ngexplorer.tour.checks import Outcome, at_least, at_most, near, stopped
from ngexplorer.tour.problems import Output, classifier, gap, tensor, walk
from ngexplorer.tour.stop import Stop

stop = Stop("saddles", "Who falls into a saddle")

make = ngx.optimizers.make


def _saddle(x: float, y: float) -> ngx.Objective:
    """h = ½(x² − y²): the position is the output, and a loss without a density bends it, so G = H and there is no F."""
    loss = ngx.losses.Quadratic(curvatures=(1.0, -1.0))
    return ngx.Objective(Output(x, y), loss, torch.zeros(1, 1).double(), torch.zeros(1, 2).double())


def _undamped() -> ngx.optimizers.Optimizer:
    """−H⁻¹∇h, whatever the signs of H's eigenvalues."""
    return make("newton", damping="none", solver={"name": "eigendecomposition", "eigenvalues": "pseudo"})


@stop.claim("½(x² − y²) from (1.5, 0.1): one step of undamped Newton lands on the saddle, (0, 0)", "§7")
def newton_jumps_in() -> Outcome:
    return near(walk(_undamped(), _saddle(1.5, 0.1), 1)[0], (0, 0), 1e-12)


@stop.claim("This stop's network: where undamped Newton is after five steps, on the saddle at 0", "§7")
def newton_falls_in() -> Outcome:
    return near(walk(_undamped(), stop.experiment().objective(), 5)[-1], (0, 0), 1e-10)


@stop.claim("½(x² − y²): saddle-free Newton, |H|⁻¹∇h, zeroes x and doubles y", "Dauphin et al. 2014")
def saddle_free() -> Outcome:
    return near(walk(make("saddle-free-newton", damping="none"), _saddle(1.5, 0.1), 1)[0], (0, 0.2), 1e-12)


@stop.claim("½(x² − y²): G is H, as for every linear network with its bend in the loss; largest difference", "§8")
def no_fisher() -> Outcome:
    objective = _saddle(1.5, 0.1)
    theta = objective.initial_parameters
    return near(gap(GaussNewton(objective, theta).dense(), Hessian(objective, theta).dense()), 0, 1e-12)


def _cubic(weight: float) -> ngx.optimizers.Step:
    """Cubic regularization from the saddle itself, where ∇h = 0."""
    return make("cubic-newton", damping={"weight": weight}).start(_saddle(0.0, 0.0)).step()


@stop.claim("Cubic regularization with ∇h = 0, M = 4: the step's length 2|λmin|/M", "Nesterov and Polyak 2006")
def cubic_length() -> Outcome:
    return near(_cubic(4.0).step_norm, 0.5, 1e-10)


@stop.claim("Cubic regularization with ∇h = 0, M = 4: its model changes by −⅔|λmin|³/M²", "Nesterov and Polyak 2006")
def cubic_decrease() -> Outcome:
    step = _cubic(4.0)
    return near(step.predicted_change + 4 / 6 * step.step_norm**3, -2 / 3 / 16, 1e-10)


_CURVATURES = (4.0, 2.0, 1.0, 0.5, 0.2, -0.3)


def _bent() -> ngx.Objective:
    """½ Σ aᵢθᵢ² with one aᵢ < 0: its own quadratic model, so that no step is rejected. Near 0, where the tolerance
    √‖g‖·‖g‖ is tight and conjugate gradient goes on."""
    loss = ngx.losses.Quadratic(curvatures=_CURVATURES)
    return ngx.Objective(Output(*(1e-6,) * 6), loss, torch.zeros(1, 1).double(), torch.zeros(1, 6).double())


def _region(radius: float, iterations: int = 250) -> ngx.optimizers.Step:
    solver = {"name": "conjugate-gradient", "iterations": iterations}
    damping = {"name": "trust-region", "radius": radius}
    return make("trust-region-newton", solver=solver, damping=damping).start(_bent()).step()


@stop.claim(
    "Steihaug's conjugate gradient: ‖δ‖ grows with every iteration; smallest ratio of neighbours", "Steihaug 1983"
)
def steps_grow() -> Outcome:
    lengths = [_region(8e-6, iterations).step_norm for iterations in range(1, 7)]
    return at_least(min(after / before for before, after in pairwise(lengths)), 1)


@stop.claim("The model's decrease over the Cauchy point's, for Δ = 10⁻⁷, 10⁻⁶ and 8 · 10⁻⁶; smallest", "§10")
def better_than_cauchy() -> Outcome:
    objective = _bent()
    point = objective.at(objective.initial_parameters)
    g = point.gradient
    square, bend = float(g.dot(g)), float(g.dot(Hessian(objective, point) @ g))

    def cauchy(radius: float) -> float:
        longest = radius / square**0.5
        rate = min(square / bend, longest) if bend > 0 else longest
        return -rate * square + 0.5 * rate**2 * bend

    return at_least(min(_region(radius).predicted_change / cauchy(radius) for radius in (1e-7, 1e-6, 8e-6)), 1, 1e-9)


@stop.claim(
    "A classifier with an indefinite Hessian, Δ = 0.3: the first step is that of SciPy's trust-ncg; largest difference",
    "§10",
)
def like_scipy() -> Outcome:
    import scipy.optimize  # takes a third of a second, which whoever only wants the stops need not wait

    objective = classifier(3, 6, 3)
    theta = objective.initial_parameters
    solver = {"name": "conjugate-gradient"}
    optimizer = make("trust-region-newton", solver=solver, damping={"name": "trust-region", "radius": 0.3})

    def at(x: NDArray[Any]) -> ngx.Point:
        return objective.at(torch.from_numpy(np.asarray(x)))

    theirs = scipy.optimize.minimize(
        lambda x: float(at(x).value),
        theta.numpy(),
        jac=lambda x: at(x).gradient.numpy(),
        hessp=lambda x, p: (Hessian(objective, at(x)) @ torch.from_numpy(p)).numpy(),
        method="trust-ncg",
        options={"initial_trust_radius": 0.3, "maxiter": 1, "gtol": 0.0},
    )
    return near(gap(walk(optimizer, objective, 1)[0] - theta, torch.from_numpy(theirs.x) - theta), 0, 1e-8)


@stop.claim("This stop's network near its saddle: ‖δ‖ of gradient descent's first step, over cubic Newton's", "§7")
def gradient_descent_lingers() -> Outcome:
    objective = stop.experiment().objective()
    slow, fast = (make(name).start(objective).step().step_norm for name in ("gradient-descent", "cubic-newton"))
    return at_most(slow / fast, 0.1)


@stop.claim("This stop's network, 30 steps: cubic Newton's loss less that at the saddle", "§7")
def cubic_leaves() -> Outcome:
    return at_most(_end("cubic-newton"), -0.1)


@stop.claim("This stop's network, 30 steps: saddle-free Newton's loss less that at the saddle", "Dauphin et al. 2014")
def saddle_free_leaves() -> Outcome:
    return at_most(_end("saddle-free-newton"), -0.1)


def _end(name: str) -> float:
    objective = stop.experiment().objective()
    history = ngx.run(objective, make(name), steps=30, cancel=stopped)
    return float(history["loss"][-1] - float(objective.value(tensor(0.0, 0.0))))

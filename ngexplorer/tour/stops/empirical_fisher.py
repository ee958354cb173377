"""The empirical Fisher is not the Fisher: cycles, scaling the wrong way, and noise it mistakes for curvature."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import Curvature, EmpiricalFisher, Fisher
from ngexplorer.tour.checks import WATCH, Outcome, at_least, at_most, near, stopped
from ngexplorer.tour.figure import Dial, Field, heights
from ngexplorer.tour.problems import Output, drawn, gap, mlp, tensor
from ngexplorer.tour.stop import Stop

stop = Stop("empirical-fisher", "The empirical Fisher is not the Fisher")

make = ngx.optimizers.make
_ALPHA = 0.1


def _parabola(theta: float) -> ngx.Objective:
    """h = ½θ²: one case, target 0, whose empirical Fisher is θ² and whose Fisher is 1."""
    return ngx.Objective(Output(theta), ngx.losses.SquaredError(), torch.zeros(1, 1).double(), tensor(0.0)[:, None])


def _sizes(theta: float, exponent: float, steps: int) -> list[float]:
    """|θ| of every iterate of θ₊ = θ − α F̄^(−ξ) ∇h."""
    memoryless = {"accumulation": "average", "decay": 0.0, "exponent": exponent, "epsilon": 1e-300}
    stepper = make("rmsprop", learning_rate=_ALPHA, curvature=memoryless).start(_parabola(theta))
    found = [abs(theta)]
    for _ in range(steps):
        stepper.step(stopped)
        found.append(abs(float(stepper.point.theta)))
    return found


@stop.claim("h = ½θ², F̄^(−ξ)∇h, α = 0.1, ξ = ¼, from θ = 1: it ends in a two-cycle of size (α/2)^(1/(2ξ))", "§11")
def cycle_at_a_quarter() -> Outcome:
    return near(_sizes(1.0, 0.25, 300)[-2:], (0.0025, 0.0025), 1e-9)


@stop.claim("h = ½θ², F̄^(−ξ)∇h, α = 0.1, ξ = 0.4: the two-cycle's size", "§11")
def cycle_at_two_fifths() -> Outcome:
    return near(_sizes(1.0, 0.4, 300)[-2:], (0.0236435, 0.0236435), 5e-8)


@stop.claim("h = ½θ², ξ = ½, from θ = 1.03: neutral, it hops between 0.03 and −0.07 for ever", "§11")
def neutral_at_a_half() -> Outcome:
    return near(sorted(_sizes(1.03, 0.5, 300)[-2:]), (0.03, 0.07), 1e-9)


@stop.claim("h = ½θ², ξ = ¾: a distance from the cycle grows by 4ξ − 1 a step", "§11")
def unstable_at_three_quarters() -> Outcome:
    cycle = (_ALPHA / 2) ** (2 / 3)
    sizes = _sizes(cycle * (1 + 1e-6), 0.75, 8)
    return near(((sizes[8] - cycle) / (sizes[0] - cycle)) ** (1 / 8), 2, 1e-3)


@stop.claim("h = ½θ² with the exact Fisher: |θ| shrinks by |1 − α| a step, for α = 0.1, 1.5 and 1.9", "§11")
def fisher_converges() -> Outcome:
    def shrunk(alpha: float) -> float:
        stepper = make("natural-gradient", damping="none", learning_rate=alpha).start(_parabola(1.0))
        for _ in range(10):
            stepper.step(stopped)
        return abs(float(stepper.point.theta)) ** 0.1

    return near([shrunk(alpha) for alpha in (0.1, 1.5, 1.9)], (0.9, 0.5, 0.9), 1e-10)


def _scaling(kind: type[Curvature]) -> float:
    """The power of c with which B⁻¹∇h at θ = 0 goes when all targets are multiplied by c."""

    def step(c: float) -> torch.Tensor:
        targets = c * drawn(12, 1, seed=3)
        objective = ngx.Objective(mlp(3, 1, bias=False), ngx.losses.SquaredError(), drawn(12, 3, seed=2), targets)
        point = objective.at(torch.zeros(3).double())
        return kind(objective, point).solve(point.gradient)

    ratio = torch.log10((step(10.0) / step(1.0)).abs())
    return float(ratio[ratio.abs().argmin()])


@stop.claim("Targets times c at θ = 0: F⁻¹∇h goes as this power of c", "§11")
def fisher_scales_with_the_targets() -> Outcome:
    return near(_scaling(Fisher), 1, 1e-8)


@stop.claim("Targets times c at θ = 0: F̄⁻¹∇h goes as this power of c", "§11")
def empirical_fisher_scales_against_them() -> Outcome:
    return near(_scaling(EmpiricalFisher), -1, 1e-8)


def _noisy() -> tuple[ngx.Objective, torch.Tensor]:
    """y = x + 1 + 2·noise, x ~ N(0, 1), fitted with σ = 1, and its optimum."""
    n = 200_000
    x, noise = drawn(n, 1, seed=0), drawn(n, 1, seed=1)
    objective = ngx.Objective(nn.Linear(1, 1).double(), ngx.losses.SquaredError(), x, x + 1 + 2 * noise)
    design = torch.cat((x, torch.ones_like(x)), 1)
    return objective, torch.linalg.lstsq(design, objective.targets).solution[:, 0]


@stop.claim("Noise twice what the model thinks, at the optimum: F̄/F on the diagonal", "§11")
def noise_quadruples() -> Outcome:
    objective, theta = _noisy()
    empirical, fisher = (kind(objective, theta).dense().diagonal() for kind in (EmpiricalFisher, Fisher))
    return near(empirical / fisher, (4, 4), 0.1)


@stop.claim("Noise twice what the model thinks: how far F̄ is from 4F, in standard errors, at most", "§11")
def noise_quadruples_within_errors() -> Outcome:
    objective, theta = _noisy()
    inputs: Any = objective.inputs
    point = objective.at(theta)
    design = torch.cat((inputs, torch.ones_like(inputs)), 1)
    terms = (point.output_gradient.square() - 4)[:, :, None] * design[:, :, None] * design[:, None, :]
    error = terms.std(0) / len(design) ** 0.5
    empirical, fisher = (kind(objective, point).dense() for kind in (EmpiricalFisher, Fisher))
    return at_most(((empirical - 4 * fisher).abs() / error).max(), 4)


@stop.claim("This stop's network after 20 steps of natural gradient: how far F̄ is from F, in share of F", "§11")
def apart_on_a_network() -> Outcome:
    objective = stop.experiment().objective()
    theta, _ = ngx.run(objective, make("natural-gradient"), steps=20, cancel=stopped).parameters(20)
    point = objective.at(torch.from_numpy(theta))
    return at_least(gap(EmpiricalFisher(objective, point).dense(), Fisher(objective, point).dense()), 0.1)


_GRID = (9, 7)
"""Steps across and up"""


@stop.draws(
    "A line fitted to y = x + 1 + noise by a model that believes in noise of 1: the steps −F⁻¹∇h and −F̄⁻¹∇h from each "
    "pair of slope and intercept, to one scale in each field, over the contours of h.",
    Dial("Noise", 0.25, 3.0, 2.0, 11),
)
def fields(noise: float) -> tuple[Field, ...]:
    x = drawn(200, 1, seed=0)
    objective = ngx.Objective(
        nn.Linear(1, 1).double(), ngx.losses.SquaredError(), x, x + 1 + noise * drawn(200, 1, seed=1)
    )
    surface = heights(objective, (-1.0, 3.0, -1.0, 3.0))
    cells = [4 / n for n in _GRID]
    starts = torch.cartesian_prod(*(4 * (torch.arange(n).double() + 0.5) / n - 1 for n in _GRID))

    def field(kind: type[Curvature], name: str) -> Field:
        steps = []
        for start in starts:
            WATCH.check()
            point = objective.at(start)
            steps.append(-kind(objective, point).solve(point.gradient))
        found = torch.stack(steps)
        longest = float((found.abs() / torch.tensor(cells)).max())
        drawn_as = 0.9 / longest * found
        return Field(name, "slope across, intercept up", surface, starts.numpy(), drawn_as.numpy())

    return field(Fisher, "Fisher"), field(EmpiricalFisher, "Empirical Fisher")

"""Adam, RMSProp and AdaGrad: diagonal methods of the empirical Fisher, raised to the power ½."""

from __future__ import annotations

import math
from typing import Any

import torch

import ngexplorer as ngx
from ngexplorer.curvature import EmpiricalFisher
from ngexplorer.tour.checks import Outcome, at_least, near, stopped
from ngexplorer.tour.figure import Chart, Curve, Dial
from ngexplorer.tour.problems import classifier, drawn, gap, mlp, walk
from ngexplorer.tour.stop import Stop

stop = Stop("diagonal", "Adam's square root")

make = ngx.optimizers.make


def _batches(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """E[ḡ²] over all batches of some of four cases, with replacement; diag F̄; (∇h)²."""
    objective = classifier(3, 4, 3, cases=4)
    theta = objective.initial_parameters
    batches = torch.cartesian_prod(*[torch.arange(4)] * size).reshape(-1, size)
    mean = torch.stack([objective.batch(batch).gradient(theta).square() for batch in batches]).mean(0)
    return mean, EmpiricalFisher(objective, theta).diagonal(), objective.gradient(theta).square()


@stop.claim("Batches of one: the mean square of the gradient is the diagonal of F̄; largest difference", "§11")
def batches_of_one() -> Outcome:
    mean, diagonal, _ = _batches(1)
    return near(gap(mean, diagonal), 0, 1e-10)


@stop.claim("Batches of b = 3: the mean square of the gradient is F̄ᵢᵢ/b + (1 − 1/b)(∇h)ᵢ²; largest difference", "§11")
def batches_of_three() -> Outcome:
    mean, diagonal, square = _batches(3)
    return near(gap(mean, diagonal / 3 + 2 / 3 * square), 0, 1e-10)


@stop.claim("Batches of three: the mean square of the gradient is not the diagonal of F̄; largest difference", "§11")
def batches_are_not_cases() -> Outcome:
    mean, diagonal, _ = _batches(3)
    return at_least(gap(mean, diagonal), 0.1)


def _against_torch(mine: str, theirs: str) -> float:
    """The largest difference of 20 iterates from PyTorch's own."""
    objective = classifier(3, 4, 3)
    curvature = {"path": f"torch.optim.{theirs}"}
    others = walk(make("torch-optimizer", learning_rate=0.02, curvature=curvature), objective, 20)
    return max(gap(a, b) for a, b in zip(walk(make(mine, learning_rate=0.02), objective, 20), others, strict=True))


@stop.claim("B = v^½ + ε with v a running average of g², and ḡ for g: 20 steps against PyTorch's Adam", "§11")
def adam() -> Outcome:
    return near(_against_torch("adam", "Adam"), 0, 1e-10)


@stop.claim("B = v^½ + ε with v a running average of g²: 20 steps against PyTorch's RMSprop", "§11")
def rmsprop() -> Outcome:
    return near(_against_torch("rmsprop", "RMSprop"), 0, 1e-10)


@stop.claim("B = v^½ + ε with v the sum of g²: 20 steps against PyTorch's Adagrad", "§11")
def adagrad() -> Outcome:
    return near(_against_torch("adagrad", "Adagrad"), 0, 1e-10)


@stop.claim("Adam's first step is α in every coordinate, whatever the gradient: |δᵢ|/α, smallest and largest", "§11")
def first_step_of_adam() -> Outcome:
    objective = classifier(3, 4, 3)
    delta = (walk(make("adam", learning_rate=0.02), objective, 1)[0] - objective.initial_parameters).abs() / 0.02
    return near((delta.min(), delta.max()), (1, 1), 1e-4)


@stop.claim("h times c: the step of v^(−ξ)∇h goes as c^(1 − 2ξ), for ξ = 0, ¼, ½, ¾, 1", "§11")
def exponents() -> Outcome:
    def length(scale: float, exponent: float) -> float:
        loss = ngx.losses.SquaredError(variance=1 / scale)
        objective = ngx.Objective(mlp(3, 1), loss, drawn(12, 3, seed=2), drawn(12, 1, seed=3))
        part: dict[str, Any] = {"accumulation": "average", "decay": 0.0, "exponent": exponent, "epsilon": 1e-300}
        after = walk(make("rmsprop", learning_rate=1e-3, curvature=part), objective, 1)[0]
        return float(torch.linalg.vector_norm(after - objective.initial_parameters))

    powers = [math.log10(length(10.0, xi) / length(1.0, xi)) for xi in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return near(powers, (1, 0.5, 0, -0.5, -1), 1e-8)


@stop.draws(
    "This stop's regression with the step v^(−ξ)∇h and α = 0.03: the exponent that you slide, and ½. Above ½ the first "
    "steps are as much too long as the gradients are small.",
    Dial("ξ", 0.0, 1.0, 0.25, 20),
)
def slid(exponent: float) -> tuple[Chart, ...]:
    objective = stop.experiment().objective()

    def curve(xi: float, colour: int, label: str, dashed: bool = False) -> Curve:
        optimizer = make("rmsprop", learning_rate=0.03, curvature={"exponent": xi})
        history = ngx.run(objective, optimizer, steps=120, cancel=stopped)
        return Curve(label, colour, history["step"].astype(float), history["loss"].astype(float), dashed=dashed)

    curves = (curve(0.5, 1, "ξ = ½", dashed=True), curve(exponent, 0, f"ξ = {exponent:.2f}"))
    return (Chart("Loss", "step", curves, log_y=True),)

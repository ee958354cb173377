"""What the record of a step costs: `python tests/benchmarks/record.py`.

Each method is written out bare, as short as its mathematics, on the same points and matrices; the step beside it
does the same and records it. Both are timed in turns on one torch thread. A bare step is a function, so that it too
lets go of its matrices at its end: one that kept its last factor would spare itself the next allocation's page faults.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import torch
from torch import Tensor

from ngexplorer.curvature import Fisher, Hessian
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import BreastCancer, Digits, TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel, Linear
from ngexplorer.optimizers import make

STEPS = 30


def bare(direction: Callable[[Point], Tensor], rate: float) -> Callable[[Objective], None]:
    def step(point: Point) -> Point:
        after = point.objective.at(point.theta + rate * direction(point))
        float(after.value)
        return after

    def run(objective: Objective) -> None:
        point = objective.at(objective.initial_parameters)
        for _ in range(STEPS):
            point = step(point)

    return run


def steepest(point: Point) -> Tensor:
    return -point.gradient


def damped(kind: type) -> Callable[[Point], Tensor]:
    def direction(point: Point) -> Tensor:
        factor, _ = kind(point.objective, point).cholesky(1.0)
        return torch.cholesky_solve(-point.gradient[:, None], factor)[:, 0]

    return direction


def once(work: Callable[[Objective], None], objective: Objective) -> float:
    """Seconds of this process, which a busy neighbour does not add to."""
    began = process_time()
    work(objective)
    return process_time() - began


def stepper(name: str, **settings: object) -> Callable[[Objective], None]:
    optimizer = make(name, **settings)

    def run(objective: Objective) -> None:
        started = optimizer.start(objective)
        for _ in range(STEPS):
            started.step()

    return run


CONSTANT = {"name": "constant", "value": 1.0}
METHODS = {
    "gradient descent": (bare(steepest, 1e-3), stepper("gradient-descent", learning_rate=1e-3)),
    "natural gradient": (bare(damped(Fisher), 1.0), stepper("natural-gradient", damping=CONSTANT, solver="cholesky")),
    "newton": (bare(damped(Hessian), 1.0), stepper("newton", damping=CONSTANT, solver="cholesky")),
}
PROBLEMS = {
    "Rosenbrock": assemble(Rosenbrock(), LandscapeModel(), SquaredError()),
    "logistic regression, breast cancer": assemble(BreastCancer(validation=0.0), Linear(), BernoulliLogits()),
    "two moons, MLP": assemble(TwoMoons(), MLP(hidden=(16, 16)), BernoulliLogits()),
    "digits, MLP 64-16-10": assemble(Digits(validation=0.0), MLP(hidden=(16,)), SoftmaxCrossEntropy()),
}


def main() -> None:
    torch.set_num_threads(1)
    print("| problem | method | bare step, µs | with its record | the record, µs | share |\n|---|---|---|---|---|---|")
    for problem, objective in PROBLEMS.items():
        for method, (without_it, recorded) in METHODS.items():
            pairs = [(once(without_it, objective), once(recorded, objective)) for _ in range(15)][1:]
            without, whole = (1e6 * min(times) / STEPS for times in zip(*pairs, strict=True))
            print(
                f"| {problem} | {method} | {without:,.0f} | {whole:,.0f} | {whole - without:,.0f} "
                f"| {(whole - without) / without:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

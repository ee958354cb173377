"""What the record of a step costs: `python tests/benchmarks/record.py`.

Each method is written out bare, as short as its mathematics, on the same points and matrices; the step beside it
does the same and records it. Both are timed in turns on one torch thread.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import torch

from ngexplorer.curvature import Fisher, Hessian
from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import BreastCancer, Digits, TwoMoons
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy, SquaredError
from ngexplorer.objectives.models import MLP, LandscapeModel, Linear
from ngexplorer.optimizers import make

STEPS = 30


def gradient_descent(objective: Objective) -> None:
    point = objective.at(objective.initial_parameters)
    for _ in range(STEPS):
        point = objective.at(point.theta - 1e-3 * point.gradient)
        float(point.value)


def damped(kind: type) -> Callable[[Objective], None]:
    def run(objective: Objective) -> None:
        point = objective.at(objective.initial_parameters)
        for _ in range(STEPS):
            factor, _ = kind(objective, point).cholesky(1.0)
            point = objective.at(point.theta - torch.cholesky_solve(point.gradient[:, None], factor)[:, 0])
            float(point.value)

    return run


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
    "gradient descent": (gradient_descent, stepper("gradient-descent", learning_rate=1e-3)),
    "natural gradient": (damped(Fisher), stepper("natural-gradient", damping=CONSTANT, solver="cholesky")),
    "newton": (damped(Hessian), stepper("newton", damping=CONSTANT, solver="cholesky")),
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
        for method, (bare, recorded) in METHODS.items():
            pairs = [(once(bare, objective), once(recorded, objective)) for _ in range(15)][1:]
            without, whole = (1e6 * min(times) / STEPS for times in zip(*pairs, strict=True))
            print(
                f"| {problem} | {method} | {without:,.0f} | {whole:,.0f} | {whole - without:,.0f} "
                f"| {(whole - without) / without:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

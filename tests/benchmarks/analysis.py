"""What each analysis costs in plain gradients: `python tests/benchmarks/analysis.py [digits autoencoder two-moons]`.

Each row is one analysis to its finest answer, at a fresh point, in gradients of the same objective by torch alone (one
forward and backward pass of all cases), and the milliseconds until its first answer and its last. On one torch thread;
nothing is asserted. How long a person waits for the first picture of each in the window is in `first_pictures.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from time import perf_counter

import numpy as np
import torch
from timing import Work, ratios

from ngexplorer import analysis, resource_files
from ngexplorer.cancellation import never
from ngexplorer.curvature import GaussNewton, Hessian, TooLargeError
from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import make, parts
from ngexplorer.runs import experiment

Answers = Callable[[], Iterable[object]]


def plain_gradient(objective: Objective) -> Work:
    """Forward and backward by torch alone: the yardstick."""
    module = objective.model
    parameters = [p for p in module.parameters() if p.requires_grad]

    def work() -> object:
        loss = objective.loss.per_case(module(objective.inputs), objective.targets).mean()
        return torch.autograd.grad(loss, parameters)

    return work


def works(objective: Objective) -> dict[str, Answers]:
    """The analyses that the objective allows, each as a function that gives all its answers."""
    theta = objective.initial_parameters
    start = theta.double().numpy()
    drawn = np.random.default_rng(0).standard_normal((2, len(start)))
    plane = analysis.spanned_plane(start, *drawn)
    path = start + 0.01 * np.random.default_rng(1).standard_normal((100, len(start))).cumsum(0)
    window = (-1.0, 1.0, -1.0, 1.0)

    def at() -> Point:
        return objective.at(theta)

    def gauss_newton() -> GaussNewton:
        return GaussNewton(objective, at())

    def one(work: Callable[[], object]) -> Answers:
        return lambda: [work()]

    found: dict[str, Answers] = {
        "surface, 65 × 65": lambda: analysis.surface(objective, plane, window, never),
        "profile of 100 points": lambda: analysis.profile(objective, plane, path, never),
        "KL of 99 steps": lambda: analysis.distances(objective, path, never),
        "local model of G on a plane": one(lambda: analysis.quadratic_model(plane, gauss_newton())),
        "damping path of G, 65 λ": lambda: analysis.damping_path(gauss_newton()),
        "damping path of H, 65 λ": lambda: analysis.damping_path(Hessian(objective, at())),
        "arrows of all methods": one(lambda: analysis.arrows(at(), 1.0)),
        "CG curve, 50 iterations": lambda: analysis.conjugate_gradient(
            gauss_newton(), 0.1, parts.ConjugateGradient(tolerance=1e-15, iterations=50)
        ),
        "matrices": lambda: analysis.matrices(at()),
        "gradient noise scale": one(lambda: analysis.gradient_noise(at())),
        "gap of the Fishers": one(lambda: analysis.fisher_gap(at(), 1.0)),
        "top 10 eigenvectors of G": one(lambda: analysis.top_eigenspace(gauss_newton(), 10)),
    }
    if objective.parameters == 2:
        landscape = getattr(objective.model, "window", window)
        found["basins of Newton, 17 × 17 starts"] = lambda: analysis.basins(
            objective, make("newton"), landscape, never, sizes=(9, 17)
        )
    if isinstance(objective.inputs, torch.Tensor) and tuple(objective.inputs.shape[1:]) == (2,):
        found["decision regions, 129 × 129"] = lambda: analysis.decisions(at(), window)
    return found


def measured(answers: Answers) -> tuple[float, float]:
    """Milliseconds until the first answer and until the last."""
    began, first = perf_counter(), float("nan")
    for answer in answers():
        if first != first:
            first = perf_counter() - began
        del answer
    return 1e3 * first, 1e3 * (perf_counter() - began)


def main() -> None:
    names = ["two-moons", "digits", "autoencoder", "rosenbrock"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="*", default=names, help=f"among {', '.join(names)}")
    torch.set_num_threads(1)
    for name in parser.parse_args().experiments:
        objective = experiment.read(resource_files.EXPERIMENTS / f"{name}.toml").objective()
        _ = objective.gradient_flops  # counted once an objective, by any race of it
        print(f"\n{name}: {objective.parameters:,} parameters, {objective.cases:,} cases, {objective.dtype}\n")
        print("| analysis | gradients | first answer, ms | last, ms |\n|---|---|---|---|")
        for title, answers in works(objective).items():
            try:
                first, total = measured(answers)
                rounds = 3 if total < 2000 else 1
                cost = ratios(plain_gradient(objective), {title: lambda work=answers: list(work())}, rounds=rounds)
                print(f"| {title} | {cost[title]:.3g} | {first:.3g} | {total:.3g} |", flush=True)
            except (ValueError, TooLargeError) as error:
                print(f"| {title} | {str(error).splitlines()[0]} | | |", flush=True)


if __name__ == "__main__":
    main()

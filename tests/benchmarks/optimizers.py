"""Every recipe's loss against seconds and gradients: `python tests/benchmarks/optimizers.py [PROBLEM …] [--json FILE]`.

All runs start at one point, on one thread; seconds are of the process (on a GPU, of the wall clock). The tuning budget
is the same for all: the best of three settings, by the loss at the end; of first-order methods three learning rates, of
second-order ones three first dampings.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch

from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import Curves, Digits
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy
from ngexplorer.objectives.models import MLP, Autoencoder
from ngexplorer.optimizers import RECIPES, make, parts

PROBLEMS: dict[str, tuple[Callable[[str], Objective], tuple[float, ...]]] = {
    "digits": (
        lambda device: assemble(
            Digits(validation=0.0), MLP(hidden=(16,)), SoftmaxCrossEntropy(), dtype="float32", device=device
        ),
        (0.3, 1.0, 3.0),
    ),
    "digits-autoencoder": (
        lambda device: assemble(
            Digits(standardize=False, validation=0.0),
            Autoencoder(hidden=(32, 16, 2)),
            BernoulliLogits(),
            dtype="float32",
            device=device,
        ),
        (1.0, 3.0, 10.0),
    ),
    "curves-autoencoder": (
        lambda device: assemble(
            Curves(validation=0.0),
            Autoencoder(hidden=(400, 200, 100, 50, 25, 6)),
            BernoulliLogits(),
            dtype="float32",
            device=device,
        ),
        (5.0, 20.0),
    ),
}
LARGEST_DENSE = 2500


def settings(name: str) -> list[dict[str, Any]]:
    """Three settings to choose the best of."""
    recipe = RECIPES[name]
    if isinstance(recipe.damping, parts.LevenbergMarquardt):
        return [{"damping": {"initial": value}} for value in (0.1, 1.0, 10.0)]
    if isinstance(recipe.damping, parts.TrustRegion):
        return [{"damping": {"radius": value}} for value in (0.3, 1.0, 3.0)]
    if isinstance(recipe.damping, parts.Cubic):
        return [{"damping": {"weight": value}} for value in (0.1, 1.0, 10.0)]
    if recipe.second_order or isinstance(recipe.curvature, parts.LimitedMemory):
        return [{"learning_rate": value} for value in (0.3, 0.5, 1.0)]
    adaptive = isinstance(recipe.curvature, parts.DiagonalEmpiricalFisher | parts.Torch)
    return [{"learning_rate": value} for value in ((0.003, 0.01, 0.03) if adaptive else (0.03, 0.1, 0.3))]


def race(objective: Objective, name: str, changed: dict[str, Any], marks: tuple[float, ...]) -> dict[str, Any]:
    """The loss when each mark's seconds of compute are over, and the gradients spent by then."""
    stepper = make(name, **changed).start(objective)
    # A busy neighbour adds nothing to the seconds of the process; but those leave out what a GPU does meanwhile.
    clock = process_time if objective.device.type == "cpu" else perf_counter
    seconds, gradients, loss = 0.0, 0.0, float(stepper.point.value)
    losses, spent = [], []
    for mark in marks:
        while seconds < mark:
            began = clock()
            step = stepper.step()
            seconds += clock() - began
            gradients += step.step_gradient_equivalents
            if not math.isfinite(step.loss_after):
                return {"losses": [math.nan] * len(marks), "gradients": spent, "settings": changed}
            loss = step.loss_after
        losses.append(loss)
        spent.append(gradients)
    return {"losses": losses, "gradients": spent, "settings": changed}


def unfit(objective: Objective, name: str) -> str:
    """Why a method is left out here, or an empty text."""
    recipe = RECIPES[name]
    dense = isinstance(recipe.solver, parts.Eigendecomposition) or isinstance(recipe.damping, parts.Cubic)
    return "needs all eigenpairs" if dense and objective.parameters > LARGEST_DENSE else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", help=f"of {', '.join(PROBLEMS)} (default: all)")
    parser.add_argument("--recipes", nargs="*", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    for problem in options.problems or PROBLEMS:
        build, marks = PROBLEMS[problem]
        objective = build(options.device)
        start = float(objective.value(objective.initial_parameters))
        print(f"\n{problem}: {objective.parameters:,} parameters, from {start:.4g}")
        print(f"| method | {' | '.join(f'{mark:g} s' for mark in marks)} | gradients by then | settings |")
        print("|---|" + "---|" * (len(marks) + 2))
        for name in options.recipes:
            reason = unfit(objective, name)
            if reason:
                print(f"| {name} | {reason} |", flush=True)
                continue
            try:
                found = [race(objective, name, changed, marks) for changed in settings(name)]
            except Exception as error:  # a method that does not take this model says why
                print(f"| {name} | {str(error).splitlines()[0][:100]} |", flush=True)
                continue
            best = min(found, key=lambda run: run["losses"][-1] if math.isfinite(run["losses"][-1]) else math.inf)
            losses = " | ".join(f"{loss:.4g}" for loss in best["losses"])
            gradients = ", ".join(f"{count:,.0f}" for count in best["gradients"])
            print(f"| {name} | {losses} | {gradients} | {best['settings']} |", flush=True)
            table.append({"problem": problem, "method": name, "seconds": marks, **best})
    if options.json:
        options.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()

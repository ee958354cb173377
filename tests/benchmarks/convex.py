"""What it takes to ‖∇h‖∞ < 1e-8 on convex problems, in plain gradients by torch: `python tests/benchmarks/convex.py`.

Each method is timed in turns with the gradient in one run, on one thread; the median of seven ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timing import ratios
from torch import Tensor, nn
from torch.nn import functional as F

from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import assemble
from ngexplorer.objectives.datasets import BreastCancer, Digits
from ngexplorer.objectives.losses import BernoulliLogits, SoftmaxCrossEntropy
from ngexplorer.objectives.models import Linear
from ngexplorer.optimizers import make

GOAL, MOST = 1e-8, 400
_CG = {"name": "conjugate-gradient", "stop": "forcing", "tolerance": 0.5}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "Newton": ("newton", {"damping": "none"}),
    "Newton, Levenberg-Marquardt from 1e-3": ("newton", {"damping": {"initial": 1e-3}}),
    "Newton, inexact by conjugate gradient": ("newton", {"damping": "none", "step": "armijo", "solver": _CG}),
    "trust-region Newton, Δ = 10": ("trust-region-newton", {"damping": {"radius": 10.0}}),
    "trust-region Newton by Steihaug, Δ = 10": (
        "trust-region-newton",
        {"damping": {"radius": 10.0}, "solver": "conjugate-gradient"},
    ),
    "L-BFGS": ("l-bfgs", {}),
}
PROBLEMS = {
    "logistic regression, breast cancer": assemble(
        BreastCancer(validation=0.0), Linear(), BernoulliLogits(), weight_decay=1 / 569
    ),
    "softmax regression, digits": assemble(
        Digits(validation=0.0), Linear(), SoftmaxCrossEntropy(), weight_decay=1 / 1797
    ),
}


def plain_gradient(objective: Objective) -> Callable[[], object]:
    """Forward and backward by torch alone, weight decay included."""
    x, y, decay = objective.inputs, objective.targets, objective.weight_decay
    assert isinstance(x, Tensor)
    layer = nn.Linear(x.shape[1], objective.outputs(objective.initial_parameters).shape[1]).to(x)
    parameters = list(layer.parameters())

    def gradient() -> object:
        z = layer(x)
        loss = F.cross_entropy(z, y) if z.shape[1] > 1 else F.binary_cross_entropy_with_logits(z, y.view_as(z))
        penalty = sum((p.square().sum() for p in parameters), torch.zeros(()).to(x))
        return torch.autograd.grad(loss + 0.5 * decay * penalty, parameters)

    return gradient


def solve(objective: Objective, name: str, settings: dict[str, Any]) -> int:
    """Steps until the goal."""
    stepper = make(name, **settings).start(objective)
    for count in range(1, MOST + 1):
        stepper.step()
        if float(stepper.point.gradient.abs().max()) < GOAL:
            return count
    raise RuntimeError(f"{name} has not reached {GOAL:g} in {MOST} steps")


def main() -> None:
    torch.set_num_threads(1)
    print("| problem | method | steps | gradients |\n|---|---|---|---|")
    for problem, objective in PROBLEMS.items():
        gradient = plain_gradient(objective)
        for title, (name, settings) in METHODS.items():
            work = partial(solve, objective, name, settings)
            found = ratios(gradient, {title: work})[title]
            print(f"| {problem} | {title} | {work()} | {found:.3g} |", flush=True)


if __name__ == "__main__":
    main()

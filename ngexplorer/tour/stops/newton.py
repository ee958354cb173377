"""Natural gradient is Newton's method for logistic and softmax regression, and not for probit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.tour.checks import Outcome, at_least, at_most, near, stopped
from ngexplorer.tour.problems import classifier, drawn, gap, logistic, mlp, quadratic, walk
from ngexplorer.tour.stop import Stop

stop = Stop("newton", "When natural gradient is Newton's method")


def _apart(objective: ngx.Objective, one: str, other: str, steps: int = 6) -> float:
    """The largest difference between the iterates of two undamped methods."""
    make = ngx.optimizers.make
    paths = (walk(make(name, damping="none"), objective, steps) for name in (one, other))
    return max(gap(a, b) for a, b in zip(*paths, strict=True))


@stop.claim(
    "Logistic regression on this stop's data, six steps: natural gradient and Newton; largest difference", "§9.2"
)
def logistic_newton() -> Outcome:
    return near(_apart(stop.experiment().objective(), "natural-gradient", "newton"), 0, 1e-8)


@stop.claim("Logistic regression on this stop's data, six steps: natural gradient and Gauss-Newton", "§9.2")
def logistic_gauss_newton() -> Outcome:
    return near(_apart(stop.experiment().objective(), "natural-gradient", "gauss-newton"), 0, 1e-8)


def _reweighted(objective: ngx.Objective, steps: int) -> list[Tensor]:
    """Iteratively reweighted least squares as statistics writes it: β ← (XᵀWX + NηI)⁻¹ XᵀW(z + W⁻¹(y − p))."""
    inputs: Any = objective.inputs
    x = torch.cat((inputs, torch.ones(len(inputs), 1).double()), 1)
    y, beta, found = objective.targets[:, 0], objective.initial_parameters.clone(), []
    ridge = len(x) * objective.weight_decay * torch.eye(x.shape[1]).double()
    for _ in range(steps):
        z = x @ beta
        p = torch.sigmoid(z)
        weights = p * (1 - p)
        normal = x.T @ (weights[:, None] * x) + ridge
        beta = torch.linalg.solve(normal, x.T @ (weights * z + y - p))
        found.append(beta)
    return found


@stop.claim("Logistic regression on this stop's data, six steps: natural gradient and reweighted least squares", "§9.2")
def logistic_reweighted() -> Outcome:
    objective = stop.experiment().objective()
    mine = walk(ngx.optimizers.make("natural-gradient", damping="none"), objective, 6)
    return near(max(gap(a, b) for a, b in zip(mine, _reweighted(objective, 6), strict=True)), 0, 1e-8)


@stop.claim("Softmax regression of four classes, with weight decay: natural gradient and Newton", "§9.2")
def softmax_newton() -> Outcome:
    return near(_apart(classifier(3, 4, cases=40, weight_decay=0.05), "natural-gradient", "newton"), 0, 1e-8)


def _probit() -> ngx.Objective:
    """From θ = 0, where both have the same first step: H_L = F_R = 2/π at z = 0."""
    model, y = mlp(3, 1), (drawn(40, 1, seed=9) > 0).double()
    torch.nn.utils.vector_to_parameters(torch.zeros(4).double(), model.parameters())
    return ngx.Objective(model, ngx.losses.Probit(), drawn(40, 3, seed=2), y, 0.01)


@stop.claim("Probit regression from θ = 0: Fisher scoring and Newton after one step; largest difference", "§9.2")
def probit_first_step() -> Outcome:
    return near(_apart(_probit(), "natural-gradient", "newton", 1), 0, 1e-10)


@stop.claim("Probit regression from θ = 0: how far Fisher scoring and Newton are apart after two steps", "§9.2")
def probit_scoring() -> Outcome:
    return at_least(_apart(_probit(), "natural-gradient", "newton", 2), 1e-3)


@stop.claim(
    "Probit regression: Fisher scoring and Newton after 40 steps, at the same optimum; largest difference", "§9.2"
)
def probit_optimum() -> Outcome:
    make = ngx.optimizers.make
    ends = [walk(make(name), _probit(), 40)[-1] for name in ("natural-gradient", "newton")]
    return near(gap(*ends), 0, 1e-8)


@stop.claim("A hidden layer: how far natural gradient and Newton are apart after three damped steps", "§9.2")
def hidden_layer() -> Outcome:
    objective = logistic(3, 4, 1, weight_decay=0.05)
    ends = [walk(ngx.optimizers.make(name), objective, 3)[-1] for name in ("natural-gradient", "newton")]
    return at_least(gap(*ends), 1e-3)


@stop.claim("Newton on a quadratic: ‖∇h‖ after one step, over that before", "§7")
def quadratic_in_one_step() -> Outcome:
    objective = quadratic(0.1, 1.0, 10.0)
    after = walk(ngx.optimizers.make("newton", damping="none"), objective, 1)[0]
    norm = torch.linalg.vector_norm
    start = objective.gradient(objective.initial_parameters)
    return at_most(norm(objective.gradient(after)) / norm(start), 1e-12)


@stop.claim("Newton near the optimum of logistic regression: the largest ‖g₊‖/‖g‖², bounded, so digits double", "§7")
def quadratic_convergence() -> Outcome:
    objective = logistic(3, 1, weight_decay=0.05)
    norms = ngx.run(objective, ngx.optimizers.make("newton", damping="none"), steps=6, cancel=stopped)["gradient_norm"][
        1:
    ]
    return at_most(max(after / before**2 for before, after in pairwise(norms) if 1e-7 < before < 0.1), 10)

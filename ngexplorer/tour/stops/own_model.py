"""Your own model: what to look at first, on a module that this program has never seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.curvature import Fisher, GaussNewton, Hessian
from ngexplorer.tour.checks import WATCH, Outcome, at_least, near, stopped
from ngexplorer.tour.problems import drawn, gap
from ngexplorer.tour.stop import Stop

stop = Stop("own-model", "Your own model: what to look for")


class Gated(nn.Module):
    """A gated unit with a normalization, as someone might bring it."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.gate, self.value, self.out = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 3)
        self.norm = nn.LayerNorm(6)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.out(self.norm(torch.sigmoid(self.gate(x)) * self.value(x)))
        return z


def _own(module: nn.Module | None = None) -> ngx.Objective:
    y = torch.randint(3, (30,), generator=torch.Generator().manual_seed(1))
    return ngx.Objective(module or Gated(), ngx.losses.SoftmaxCrossEntropy(), drawn(30, 4, seed=2), y)


@stop.claim("A module of your own: ∇h against central differences of h; largest difference", "§2")
def gradient() -> Outcome:
    objective, size = _own(), 1e-5
    theta = objective.initial_parameters
    differences = [
        (objective.value(theta + size * e) - objective.value(theta - size * e)) / (2 * size)
        for e in torch.eye(len(theta)).double()
    ]
    return near(gap(objective.gradient(theta), torch.stack(differences)), 0, 1e-7)


@stop.claim("Hv against central differences of ∇h; largest difference", "§7")
def hessian_products() -> Outcome:
    objective, size = _own(), 1e-5
    theta = objective.initial_parameters
    v = drawn(len(theta), seed=3)
    differences = (objective.gradient(theta + size * v) - objective.gradient(theta - size * v)) / (2 * size)
    return near(gap(Hessian(objective, theta) @ v, differences), 0, 1e-6)


@stop.claim("uᵀHv over vᵀHu", "§7")
def symmetry() -> Outcome:
    objective = _own()
    theta = objective.initial_parameters
    u, v = drawn(len(theta), seed=3), drawn(len(theta), seed=4)
    hessian = Hessian(objective, theta)
    return near(u.dot(hessian @ v) / v.dot(hessian @ u), 1, 1e-10)


@stop.claim("Logits with softmax: F is G for it too; largest difference", "§9.2")
def fisher_is_gauss_newton() -> Outcome:
    objective = _own()
    theta = objective.initial_parameters
    return near(gap(Fisher(objective, theta).dense(), GaussNewton(objective, theta).dense()), 0, 1e-10)


@stop.claim("Random signs: how far the mean of 4,000 vᵀGv is from tr G, in share of tr G", "Hutchinson 1989")
def trace() -> Outcome:
    objective = _own()
    point = objective.at(objective.initial_parameters)
    point.watch = WATCH
    matrix = GaussNewton(objective, point)
    return near(matrix.trace(probes=4000) / matrix.trace(), 1, 0.05)


@stop.claim("Lanczos: its five eigenvalues of H of largest size, over those of the dense matrix", "§7")
def extremes() -> Outcome:
    objective = _own()
    hessian = Hessian(objective, objective.initial_parameters)
    every = torch.linalg.eigvalsh(hessian.dense())
    largest = every[every.abs().argsort(descending=True)[:5]]
    found = hessian.top_eigenpairs(5, tolerance=1e-8).values
    return near(found.sort()[0] / largest.sort()[0], (1,) * 5, 1e-8)


@stop.claim("weight_norm's second derivatives are wrong in torch, so that its Hessian is refused (1: it is)", "§7")
def refusal() -> Outcome:
    linear = nn.Linear(4, 3).double()
    module = nn.Sequential(nn.Linear(4, 4).double(), nn.Tanh(), nn.utils.parametrizations.weight_norm(linear))
    return near(_own(module).hessian_refusal is not None, 1, 0)


@stop.claim("Ten steps of damped natural gradient: loss at the start less loss after", "§10")
def it_learns() -> Outcome:
    history = ngx.run(_own(), ngx.optimizers.make("natural-gradient"), steps=10, cancel=stopped)
    return at_least(history["loss"][0] - history["loss"][-1], 0.1)

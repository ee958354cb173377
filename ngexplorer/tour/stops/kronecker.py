"""K-FAC and EKFAC: what a product of two small matrices for each layer keeps of the Fisher."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.curvature import EKFAC, KFAC, Fisher, LayerDiagonal, MonteCarloFisher
from ngexplorer.tour.checks import Outcome, at_least, at_most, near, stopped
from ngexplorer.tour.figure import Chart, Curve, Dial
from ngexplorer.tour.problems import classifier, drawn, gap, mlp
from ngexplorer.tour.stop import Stop

stop = Stop("kronecker", "What K-FAC keeps")

_SOURCE = "Martens and Grosse 2015, §3"
_CORRECTED = "George et al. 2018, §3"


def _blocks(objective: ngx.Objective) -> Tensor:
    """The Fisher's blocks of layers, (P, P), zero elsewhere."""
    return LayerDiagonal(Fisher(objective, objective.initial_parameters)).dense()


def _kronecker(objective: ngx.Objective) -> Tensor:
    return KFAC(objective, objective.initial_parameters, labels="exact").dense()


def _corrected(objective: ngx.Objective) -> Tensor:
    return EKFAC(objective, objective.initial_parameters, labels="exact").dense()


def _linear() -> ngx.Objective:
    """A deep linear network with squared error: what comes back to a layer is the same for every case."""
    model = mlp(3, 4, 2, 3, activation=nn.Identity)
    loss = ngx.losses.SquaredError(variance=0.7)
    return ngx.Objective(
        nn.Sequential(*[layer for layer in model if isinstance(layer, nn.Linear)]),
        loss,
        drawn(11, 3, seed=2),
        drawn(11, 3, seed=3),
    )


@stop.claim(
    "A deep linear network, squared error: K-FAC is the Fisher in every layer's block; largest difference", _SOURCE
)
def linear_network() -> Outcome:
    return near(gap(_kronecker(_linear()), _blocks(_linear())), 0, 1e-12)


def _one_case(kind: type[KFAC]) -> float:
    """How far it is from the Fisher's blocks with the same sampled label of the only case."""
    objective = classifier(3, 4, 3, cases=1)
    theta = objective.initial_parameters
    whole = LayerDiagonal(MonteCarloFisher(objective, theta, seed=7)).dense()
    return gap(kind(objective, theta, seed=7).dense(), whole)


@stop.claim("One case alone: K-FAC is exact in its blocks, for a tanh classifier", _SOURCE)
def one_case_kfac() -> Outcome:
    return near(_one_case(KFAC), 0, 1e-10)


@stop.claim("One case alone: so is EKFAC", _CORRECTED)
def one_case_ekfac() -> Outcome:
    return near(_one_case(EKFAC), 0, 1e-10)


@stop.claim("tanh, 20 cases: K-FAC is not; its distance from the Fisher's blocks, in share of their norm", _SOURCE)
def approximation() -> Outcome:
    objective, norm = classifier(3, 4, 3), torch.linalg.matrix_norm
    return at_least(norm(_kronecker(objective) - _blocks(objective)) / norm(_blocks(objective)), 0.01)


@stop.claim("‖F − EKFAC‖ over ‖F − K-FAC‖, Frobenius: never farther", _CORRECTED)
def nearer() -> Outcome:
    objective, norm = classifier(3, 4, 3), torch.linalg.matrix_norm
    whole = Fisher(objective, objective.initial_parameters).dense()
    return at_most(norm(whole - _corrected(objective)) / norm(whole - _kronecker(objective)), 1)


@stop.claim("tr EKFAC over tr F", _CORRECTED)
def trace() -> Outcome:
    objective = classifier(3, 4, 3)
    return near(_corrected(objective).trace() / Fisher(objective, objective.initial_parameters).trace(), 1, 1e-10)


@stop.claim("K-FAC's trace is not F's, what enters a layer and what comes back being dependent: |ratio − 1|", _SOURCE)
def trace_of_kfac() -> Outcome:
    objective = classifier(3, 4, 3)
    ratio = _kronecker(objective).trace() / Fisher(objective, objective.initial_parameters).trace()
    return at_least((ratio - 1).abs(), 1e-4)


@stop.claim("K-FAC's eigenvalues are the products of its factors'; largest difference", _SOURCE)
def eigenvalues() -> Outcome:
    objective = classifier(3, 4, 3)
    kronecker = KFAC(objective, objective.initial_parameters, labels="exact")
    return near(gap(kronecker.eigenvalues(), torch.linalg.eigvalsh(kronecker.dense())), 0, 1e-10)


@stop.claim("K-FAC and EKFAC are positive: the lowest eigenvalue of the two, over the highest", _SOURCE)
def positive() -> Outcome:
    objective = classifier(3, 4, 3)
    spectra = [torch.linalg.eigvalsh(matrix(objective)) for matrix in (_kronecker, _corrected)]
    return at_least(min(float(values[0] / values[-1]) for values in spectra), 0, 1e-12)


_LEAST = 1e-12
"""Of the largest eigenvalue: what is smaller is rounding"""


@stop.draws(
    "Eigenvalues of the three matrices at one θ of this stop's network, largest first, with exact labels: after as "
    "many steps of natural gradient as you slide.",
    Dial("Step", 0, 40, 0, 20),
)
def spectra(step: float) -> tuple[Chart, ...]:
    objective = stop.experiment().objective()
    theta = objective.initial_parameters
    if step:
        history = ngx.run(objective, ngx.optimizers.make("natural-gradient"), steps=round(step), cancel=stopped)
        theta = torch.from_numpy(history.parameters(round(step))[0])
    point = objective.at(theta)
    kronecker, corrected = (kind(objective, point, labels="exact") for kind in (KFAC, EKFAC))
    curves = []
    for colour, (name, matrix) in enumerate(
        (("F", Fisher(objective, point)), ("K-FAC", kronecker), ("EKFAC", corrected))
    ):
        values = matrix.eigenvalues().flip(0).numpy()
        values = values[values > _LEAST * values[0]]
        curves.append(Curve(name, colour, np.arange(1.0, len(values) + 1), values, dashed=colour == 2))
    return (Chart("Eigenvalue", "rank", tuple(curves), log_y=True),)

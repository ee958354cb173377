"""The Fisher matrix: the expected Hessian under the model's own labels, and the curvature of the KL divergence."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.curvature import EmpiricalFisher, Fisher, Hessian, MonteCarloFisher
from ngexplorer.tour.checks import WATCH, Outcome, at_most, near
from ngexplorer.tour.problems import classifier, drawn, gap, logistic, regression
from ngexplorer.tour.stop import Stop

stop = Stop("fisher", "The Fisher matrix, and whose labels it has")


def _averaged(objective: ngx.Objective, kind: type[ngx.curvature.Curvature]) -> Tensor:
    """The matrix with every label of one case in turn, weighted by the model's probability of it."""
    theta, loss = objective.initial_parameters, objective.loss
    p = loss.prediction(objective.outputs(theta))[0]
    labels = [(torch.tensor([i]), p[i]) for i in range(len(p))]
    if isinstance(loss, ngx.losses.BernoulliLogits):
        labels = [(torch.zeros(1, 1).double(), 1 - p[0]), (torch.ones(1, 1).double(), p[0])]
    total = torch.zeros(len(theta), len(theta)).to(theta)
    for y, chance in labels:
        total += chance * kind(ngx.Objective(objective.model, loss, objective.inputs, y), theta).dense()
    return total


def _fisher(objective: ngx.Objective) -> Tensor:
    return Fisher(objective, objective.initial_parameters).dense()


@stop.claim("Softmax: the Hessian averaged over the model's labels, against F; largest difference", "§5")
def expected_hessian_of_softmax() -> Outcome:
    objective = classifier(3, 4, 3, cases=1)
    return near(gap(_averaged(objective, Hessian), _fisher(objective)), 0, 1e-10)


@stop.claim("Bernoulli logits: the Hessian averaged over both labels, against F", "§5")
def expected_hessian_of_bernoulli() -> Outcome:
    objective = logistic(3, 4, 1, cases=1)
    return near(gap(_averaged(objective, Hessian), _fisher(objective)), 0, 1e-10)


@stop.claim("Gradient outer products averaged over the model's labels, against F", "§5")
def expected_outer_product() -> Outcome:
    objective = classifier(3, 4, 3, cases=1)
    return near(gap(_averaged(objective, EmpiricalFisher), _fisher(objective)), 0, 1e-10)


@stop.claim("KL(θ ‖ θ + δ) − ½δᵀFδ falls as this power of ‖δ‖", "§6")
def remainder_of_the_divergence() -> Outcome:
    objective = classifier(3, 4, 3)
    theta = objective.initial_parameters
    delta, fisher = drawn(len(theta), seed=3), Fisher(objective, theta)

    def remainder(scale: float) -> float:
        before, after = (torch.log_softmax(objective.outputs(t), 1) for t in (theta, theta + scale * delta))
        divergence = (before.exp() * (before - after)).sum(1).mean()
        return abs(float(divergence - 0.5 * scale**2 * delta.dot(fisher @ delta)))

    return near(math.log2(remainder(2e-3) / remainder(1e-3)), 3, 0.05)


@stop.claim("KL over ½δᵀFδ for the mean of a Gaussian, ten times as far out", "§6")
def divergence_of_a_gaussian_mean() -> Outcome:
    objective = regression(3, 2, variance=0.3)
    theta = objective.initial_parameters
    delta = 10 * drawn(len(theta), seed=4)
    moved = objective.outputs(theta + delta) - objective.outputs(theta)
    divergence = moved.square().sum(1).mean() / (2 * 0.3)
    return near(divergence / (0.5 * delta.dot(Fisher(objective, theta) @ delta)), 1, 1e-10)


@stop.claim("Labels drawn from the model: how far the mean of 400 F̂v is from Fv, in standard errors, at most", "§5")
def sampled_labels_average_to_the_fisher() -> Outcome:
    objective = classifier(3, 4, 3)
    point = objective.at(objective.initial_parameters)
    v = drawn(len(point.theta), seed=5)
    samples = torch.stack([MonteCarloFisher(objective, point, seed=seed) @ v for seed in range(400)])
    error = (samples.mean(0) - Fisher(objective, point) @ v).abs()
    return at_most((error / (samples.std(0) / 20)).max(), 4)


@stop.claim("‖F̂ − F‖ falls with S sampled labels a case as this power of S", "§5")
def sampling_error() -> Outcome:
    objective = classifier(3, 4, 3)
    point = objective.at(objective.initial_parameters)
    exact = Fisher(objective, point).dense()

    def error(samples: int) -> float:
        squares = []
        for seed in range(60):
            WATCH.check()
            point.cache.clear()  # a seed's labels are kept, and there are many
            squares.append((MonteCarloFisher(objective, point, samples, seed).dense() - exact).square().sum())
        return float(torch.stack(squares).mean().sqrt())

    return near(math.log(error(64) / error(1)) / math.log(64), -0.5, 0.05)


@stop.claim("Softmax regression of 3 inputs: directions in which no probability changes, eigenvalues 0 of F", "§9.2")
def null_directions_of_softmax() -> Outcome:
    objective = classifier(3, 4, cases=40)
    eigenvalues = Fisher(objective, objective.initial_parameters).eigenvalues()
    return near(int((eigenvalues.abs() < 1e-12).sum()), 4, 0)

"""Single cases through the eyes of a model: the misclassified, and what an autoencoder makes of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.analysis.planes import Array
from ngexplorer.objectives import Point

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Misclassified:
    """Cases decided wrongly, the worst first: indices (M,), the classes decided for and true (M,), the probability of
    the decided class and each case's loss, (M,). total: how many there are in all."""

    indices: Indices
    decided: Indices
    true: Indices
    probability: Array
    loss: Array
    total: int


@dataclass(frozen=True)
class Reconstructions:
    """Cases and what came of them: indices (M,), inputs and outputs E[y | z], (M, D), and each one's loss, (M,)."""

    indices: Indices
    inputs: Array
    outputs: Array
    loss: Array


def classes_of(targets: Tensor) -> Tensor | None:
    """The true classes (N,) of targets that are indices, one column of 0 and 1, or one-hot; None of other ones."""
    if targets.ndim == 1:
        return targets
    if not bool(((targets == 0) | (targets == 1)).all()):
        return None
    if targets.shape[1] == 1:
        return targets[:, 0].long()
    return targets.argmax(1) if bool((targets.sum(1) == 1).all()) else None


def misclassified(point: Point, most: int = 64) -> Misclassified:
    """The cases that the model at a point decides wrongly, by their loss. Raises ValueError unless targets are classes:
    indices, one column of 0 and 1, or one-hot."""
    objective = point.objective
    y, prediction = objective.targets, objective.loss.prediction(point.outputs)
    true = classes_of(y)
    if true is None:
        raise ValueError("targets: no classes; only these can be decided wrongly")
    if prediction.shape[1] == 1:
        chance = prediction[:, 0]
        decided = (chance > 0.5).long()
        probability = torch.where(decided > 0, chance, 1 - chance)
    else:
        probability, decided = prediction.max(1)
    losses = objective.loss.per_case(point.outputs, y)
    wrong = torch.nonzero(decided != true)[:, 0]
    worst = wrong[losses[wrong].argsort(descending=True)][:most]
    return Misclassified(
        worst.cpu().numpy(),
        decided[worst].cpu().numpy(),
        true[worst].cpu().numpy(),
        probability[worst].double().cpu().numpy(),
        losses[worst].double().cpu().numpy(),
        len(wrong),
    )


def reconstructions(point: Point, most: int = 16, *, worst: bool = False) -> Reconstructions:
    """Inputs beside what the model gives back: the first cases, or those of the highest loss. Raises ValueError where
    the targets are not the inputs."""
    objective = point.objective
    inputs = objective.inputs
    prediction = objective.loss.prediction(point.outputs)
    if not isinstance(inputs, torch.Tensor) or not torch.equal(inputs.flatten(1), objective.targets):
        raise ValueError("targets: not the inputs; only an autoencoder gives its inputs back")
    losses = objective.loss.per_case(point.outputs, objective.targets)
    order = losses.argsort(descending=True) if worst else torch.arange(len(losses), device=losses.device)
    some = order[:most]
    columns = (inputs.flatten(1)[some], prediction[some], losses[some])
    return Reconstructions(some.cpu().numpy(), *(column.double().cpu().numpy() for column in columns))

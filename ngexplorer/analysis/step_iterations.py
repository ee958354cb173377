"""The iterations of conjugate gradient in a step that was recorded, gone through once more."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ngexplorer.analysis.cg_iterations import Iterations, conjugate_gradient
from ngexplorer.analysis.step_anatomy import record
from ngexplorer.cancellation import UNWATCHED, Watch
from ngexplorer.objectives import Objective
from ngexplorer.optimizers import Optimizer, Step, parts
from ngexplorer.optimizers.step import NO_STEP
from ngexplorer.runs import History

_SOLVER = "conjugate gradient"


def used(step: Step) -> bool:
    """Whether a step was solved for by conjugate gradient."""
    return step.solver.startswith(_SOLVER)


def step_iterations(
    objective: Objective, optimizer: Optimizer, history: History, number: int, watch: Watch = UNWATCHED
) -> Iterator[Iterations]:
    """What the solver of step `number`, from 1, went through, every ten iterations what there is so far.

    optimizer: as it was when it took the step. Raises ValueError where the record does not hold what the solver began
    from: for a step that did not use conjugate gradient, one that saw a batch or a matrix of an earlier step, and where
    θ or the last direction is no longer known; Cancelled.
    """
    step = record(history, number)
    if not used(step):
        raise ValueError("this step was not solved for by conjugate gradient")
    matrix = optimizer.curvature
    if not isinstance(matrix, parts.Matrix) or matrix.refresh > 1:
        raise ValueError("the matrix is that of an earlier step")
    if matrix.decay > 0:
        raise ValueError("the matrix is a running average, which is not recorded")
    if not isinstance(optimizer.batches, parts.AllCases):
        raise ValueError("the step saw a batch of the cases, which is not recorded")
    if isinstance(optimizer.momentum, parts.GradientAverage):
        raise ValueError("the running average of the gradient is not recorded")
    if not isinstance(optimizer.averaging, parts.LastIterate):
        raise ValueError("the record has the average of the iterates, not where the step began")
    settings = optimizer.solver if isinstance(optimizer.solver, parts.ConjugateGradient) else parts.ConjugateGradient()
    start = _start(objective, optimizer, settings, history, number)
    point = objective.at(_theta(objective, history, number - 1), watch)
    at = matrix.at(point, history.seed * 1_000_003 + number)  # the seed with which the step drew its labels
    yield from conjugate_gradient(at, step.damping, settings, start)


def _theta(objective: Objective, history: History, step: int) -> Tensor:
    """θ after a step."""
    theta, at = history.parameters(step)
    if at != step:
        raise ValueError(f"θ of step {step} is no longer kept; {at} is the nearest")
    return torch.as_tensor(theta).to(objective.initial_parameters)


def _start(
    objective: Objective, optimizer: Optimizer, settings: parts.ConjugateGradient, history: History, number: int
) -> Tensor | None:
    """The last step's direction, d of δ = αd, where the solver starts from it."""
    if settings.warm_start == 0 or number == 1:
        return None
    before = record(history, number - 1)
    if before.outcome.startswith(NO_STEP):
        return None
    if not isinstance(optimizer.momentum, parts.NoMomentum) or not isinstance(optimizer.correction, parts.Euler):
        raise ValueError("the solver began from the last step's direction, which is not recorded apart from the step")
    delta = _theta(objective, history, number - 1) - _theta(objective, history, number - 2)
    return delta / before.learning_rate

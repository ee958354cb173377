"""An optimizer is a composition of parts; a stepper takes its steps on one objective."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Annotated, Any

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.cancellation import UNWATCHED, Cancel, Cancelled, Watch, never
from ngexplorer.curvature import Curvature, IndefiniteError
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.point import FORWARD
from ngexplorer.optimizers import parts, solvers
from ngexplorer.optimizers.step import NO_STEP, Step
from ngexplorer.optimizers.trial import Trial, attempt
from ngexplorer.settings import SettingError, convert


class Optimizer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which step to take: δ = α d [+ μ δ_before] with (B + λI) d = −g.

    A frozen record without state: `start` begins a run of it, as often as wanted.
    Raises ValueError for parts that do not go together.
    """

    name: str = "custom"
    learning_rate: Annotated[float, Meta(gt=0, le=1e6, description="α, the share of the direction that is taken")] = 1.0
    curvature: parts.Curvature = parts.Identity()
    solver: parts.Solver = parts.Auto()
    damping: parts.Damping = parts.Undamped()
    momentum: parts.Momentum = parts.NoMomentum()

    def __post_init__(self) -> None:
        if not self.second_order:
            if not isinstance(self.damping, parts.Undamped):
                raise ValueError(f"damping: {self.curvature.title} has no matrix to damp; only 'none' goes with it")
            if not isinstance(self.solver, parts.Auto):
                raise ValueError(f"solver: {self.curvature.title} needs none; only 'auto' goes with it")

    @property
    def second_order(self) -> bool:
        """Whether a curvature matrix is solved with."""
        return not isinstance(self.curvature, parts.Identity | parts.DiagonalEmpiricalFisher)

    def start(self, objective: Objective, theta: Tensor | None = None) -> Stepper:
        """Begin at θ (default: the objective's initial parameters)."""
        return Stepper(self, objective.at(objective.initial_parameters if theta is None else theta))

    def changed(self, path: str, value: Any) -> Optimizer:
        """The same with one setting changed, by its path ("learning_rate", "damping.initial"); raises SettingError."""
        raw = msgspec.to_builtins(self)
        inner = raw
        *parents, last = path.split(".")
        for name in parents:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or last not in inner:
            raise SettingError(path, f"{self.name} has no such setting")
        inner[last] = value
        changed: Optimizer = convert(raw, Optimizer)
        return changed


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What running averages and momentum remember of earlier steps, each (P,)."""

    count: int = 0
    average: Tensor
    """m ← β₁m + (1 − β₁)g"""
    square: Tensor
    """v ← β₂v + (1 − β₂)g²"""
    velocity: Tensor
    """The last step taken"""

    @classmethod
    def empty(cls, theta: Tensor) -> Memory:
        zero = torch.zeros_like(theta)
        return cls(average=zero, square=zero, velocity=zero)

    def seen(self, gradient: Tensor, optimizer: Optimizer) -> Memory:
        """With one more gradient in the averages that the optimizer keeps."""
        average, square = self.average, self.square
        if isinstance(optimizer.momentum, parts.GradientAverage):
            decay = optimizer.momentum.decay
            average = decay * average + (1 - decay) * gradient
        if isinstance(optimizer.curvature, parts.DiagonalEmpiricalFisher):
            decay = optimizer.curvature.decay
            square = decay * square + (1 - decay) * gradient.square()
        return Memory(count=self.count + 1, average=average, square=square, velocity=self.velocity)


class Stepper:
    """The state of one run: where it is, its λ, and what momentum and running averages remember.

    A step changes nothing here until it has a point to go to, so a cancelled or failed one leaves all as it was.
    """

    def __init__(self, optimizer: Optimizer, point: Point) -> None:
        self.optimizer = optimizer
        self.point = point
        self.damping = _initial_damping(optimizer.damping)
        self._memory = Memory.empty(point.theta)

    def edit(self, path: str, value: Any) -> None:
        """Change one setting from the next step on; editing the damping sets λ itself. Raises SettingError."""
        self.optimizer = self.optimizer.changed(path, value)
        if path in ("damping", "damping.initial", "damping.value"):
            self.damping = _initial_damping(self.optimizer.damping)

    def step(self, cancel: Cancel = never) -> Step:
        """Take one step. Where the run has diverged, the record's `loss_after` is not finite and the point stays.

        Raises Cancelled where `cancel` said so, and IndefiniteError where B + λI is not positive definite and
        the damping rule has no remedy.
        """
        began, point, work = perf_counter(), self.point, self.point.work
        before = point.mark()
        point.watch = Watch(cancel)
        try:
            record = self._step(cancel)
        except Cancelled:
            # Forget what was computed in vain, so that the step taken later costs and counts the same.
            point.restore(before)
            raise
        finally:
            point.watch = UNWATCHED
        trials = FORWARD * (record.rejected_trials + (not record.outcome.startswith(NO_STEP)))
        return msgspec.structs.replace(
            record, step_seconds=perf_counter() - began, step_gradient_equivalents=point.work - work + trials
        )

    def _step(self, cancel: Cancel) -> Step:
        part, point = self.optimizer.curvature, self.point
        memory = self._memory.seen(point.gradient, self.optimizer)
        if isinstance(part, parts.Identity | parts.DiagonalEmpiricalFisher):
            return self._diagonal_step(part, memory)
        return self._matrix_step(part.matrix(point.objective, point), memory, cancel)

    def _diagonal_step(self, part: parts.Identity | parts.DiagonalEmpiricalFisher, memory: Memory) -> Step:
        """−B⁻¹ of the (averaged) gradient for B = I or a diagonal; whatever comes of it is accepted."""
        direction = -self._drive(memory)
        if isinstance(part, parts.DiagonalEmpiricalFisher):
            corrected = memory.square / (1 - part.decay**memory.count)
            direction = direction / (corrected**part.exponent + part.epsilon)
        trial = attempt(self.point, self._delta(direction, memory), None, math.nan, None)
        return self._accept(trial, memory, rejected=0, why="")

    def _matrix_step(self, matrix: Curvature, memory: Memory, cancel: Cancel) -> Step:
        """Solve and try; a rule that adapts λ may reject, and then it is tried again with more damping."""
        optimizer, damping = self.optimizer, self.damping
        rule = optimizer.damping if isinstance(optimizer.damping, parts.LevenbergMarquardt) else None
        drive = self._drive(memory)
        why, lowest = "", math.nan
        for rejected in range(1 + (rule.trials if rule else 0)):
            if cancel():
                raise Cancelled
            if rejected and rule:
                damping = min(damping * rule.retry, rule.ceiling)
            try:
                solution = solvers.solve(matrix, drive, damping, optimizer.solver, cancel)
            except IndefiniteError as error:
                if rule is None:
                    raise
                why, lowest = "not positive definite", error.lowest_eigenvalue
                continue
            trial = self._matrix_trial(matrix, solution, drive, damping, memory)
            if not trial.definite:
                refused = matrix.indefinite(damping)
                if rule is None:
                    raise refused
                lowest = refused.lowest_eigenvalue
            why_now = trial.refusal() if rule else ""
            if not why_now:
                record = self._accept(trial, memory, rejected, why)
                if rule:
                    self.damping = rule.adapted(damping, record.reduction_ratio)
                return msgspec.structs.replace(record, lowest_eigenvalue=lowest)
            why = why_now
        self.damping = damping
        loss = float(self.point.value)
        return Step(
            loss_before=loss,
            loss_after=loss,
            damping=damping,
            gradient_norm=float(torch.linalg.vector_norm(self.point.gradient)),
            lowest_eigenvalue=lowest,
            rejected_trials=rejected + 1,
            outcome=f"{NO_STEP}: {why}",
        )

    def _matrix_trial(
        self, matrix: Curvature, solution: solvers.Solution, drive: Tensor, damping: float, memory: Memory
    ) -> Trial:
        delta = self._delta(solution.direction, memory)
        if isinstance(self.optimizer.momentum, parts.HeavyBall):
            product = matrix @ delta
        else:  # The system that d solves gives B d = −g − λd + residual: no product is spent.
            product = -drive - damping * solution.direction
            if solution.residual is not None:
                product = product + solution.residual
            product = self.optimizer.learning_rate * product
        return attempt(self.point, delta, product, damping, solution)

    def _drive(self, memory: Memory) -> Tensor:
        """What the metric is applied to: the gradient, or its bias-corrected running average."""
        momentum = self.optimizer.momentum
        if isinstance(momentum, parts.GradientAverage):
            return memory.average / (1 - momentum.decay**memory.count)
        return self.point.gradient

    def _delta(self, direction: Tensor, memory: Memory) -> Tensor:
        """δ = α d, with heavy-ball momentum + μ times the last step."""
        delta = self.optimizer.learning_rate * direction
        momentum = self.optimizer.momentum
        return delta + momentum.coefficient * memory.velocity if isinstance(momentum, parts.HeavyBall) else delta

    def _accept(self, trial: Trial, memory: Memory, rejected: int, why: str) -> Step:
        """Go to the trial's point if its loss is finite, and write the record."""
        optimizer = self.optimizer
        record = trial.record(
            model=optimizer.damping.model if isinstance(optimizer.damping, parts.LevenbergMarquardt) else "undamped",
            learning_rate=optimizer.learning_rate,
            momentum=_momentum(optimizer.momentum),
            rejected=rejected,
            why=why,
        )
        if math.isfinite(trial.loss_after):
            self.point = trial.after
            self._memory = msgspec.structs.replace(memory, velocity=trial.delta)
        return record


def _initial_damping(rule: parts.Damping) -> float:
    """λ before the first step."""
    if isinstance(rule, parts.LevenbergMarquardt):
        return rule.initial
    return rule.value if isinstance(rule, parts.ConstantDamping) else 0.0


def _momentum(part: parts.Momentum) -> float:
    """The number that a step's record calls its momentum; NaN without any."""
    if isinstance(part, parts.HeavyBall):
        return part.coefficient
    return part.decay if isinstance(part, parts.GradientAverage) else math.nan

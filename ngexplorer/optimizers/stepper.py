"""The stepper: one run of an optimizer on one objective, a step at a time."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

import msgspec
import torch
from torch import Tensor

from ngexplorer.cancellation import UNWATCHED, Cancel, Cancelled, Watch, never
from ngexplorer.curvature import IndefiniteError
from ngexplorer.objectives import Point
from ngexplorer.optimizers import metrics, parts, step_rules
from ngexplorer.optimizers.geodesic import christoffel
from ngexplorer.optimizers.kronecker import Kronecker, kronecker_metric
from ngexplorer.optimizers.memory import Memory
from ngexplorer.optimizers.optimizer import Optimizer
from ngexplorer.optimizers.own_method import OwnMethod
from ngexplorer.optimizers.parts.damping import set_to
from ngexplorer.optimizers.solvers import Solution
from ngexplorer.optimizers.step import NO_STEP, Rejection, Step
from ngexplorer.optimizers.step_rules import Way
from ngexplorer.optimizers.torch_optimizer import TorchOptimizer
from ngexplorer.optimizers.trial import Trial, attempt

_Adaptive = parts.LevenbergMarquardt | parts.TrustRegion | parts.Cubic
"""Damping rules that reject a trial and try again."""


class Stepper:
    """The state of one run: where it is, what damps it, and what momentum and running averages remember.

    A step changes nothing here until it has a point to go to, so a cancelled or failed one leaves all as it was.
    """

    def __init__(self, optimizer: Optimizer, point: Point, seed: int = 0) -> None:
        self.optimizer = optimizer
        self.objective = point.objective
        self.point = point
        """Where it is, as the cases of the last step see it"""
        self.seed = seed
        self.control = _initial(optimizer.damping)
        """What the damping rule adapts: λ, a trust region's radius Δ, or the cube's weight M"""
        self.rejections: list[Rejection] = []
        """The trials that the last step rejected, in order"""
        self._memory = Memory.empty(point.theta)
        self._beside = self._apart = 0.0
        """Work of this step besides its point's: in gradients of its cases, and of all cases"""
        self._drawn = False
        self._method: metrics.WholeStep | None = None

    @property
    def damping(self) -> float:
        """λ of the next step; of rules that find it anew at each, what they adapt."""
        return self._scheduled(self._memory.count + 1)

    @property
    def result(self) -> Point:
        """The point that counts, of all cases: the average of the iterates where they are averaged, else the last."""
        mean = self._memory.mean
        if mean is None and self.point.objective is self.objective:
            return self.point
        return self.objective.at(self.point.theta if mean is None else mean)

    def edit(self, path: str, value: Any) -> None:
        """Change one setting from the next step on; editing the damping sets λ itself. Raises SettingError."""
        self.optimizer = self.optimizer.changed(path, value)
        if path.startswith("curvature"):
            self._method = None
            self._memory = self._memory.without_matrix()
        if path in ("damping", "damping.initial", "damping.value", "damping.radius", "damping.weight"):
            self.control = _initial(self.optimizer.damping)

    def step(self, cancel: Cancel = never) -> Step:
        """Take one step. Where the run has diverged, the record's `loss_after` is not finite and the point stays.

        Raises Cancelled where `cancel` said so, and IndefiniteError where B + λI is not positive definite and
        the damping rule has no remedy.
        """
        began = perf_counter()
        before = self.point
        self._draw()
        point = self.point
        work = point.work if point is before else 0.0  # other cases take a forward pass of their own
        mark = point.mark()
        point.watch = Watch(cancel)
        self._beside = self._apart = 0.0
        try:
            record = self._step(cancel)
        except Cancelled:
            # Forget what was computed in vain, so that the step taken later costs and counts the same.
            point.restore(mark)
            raise
        finally:
            point.watch = self.point.watch = UNWATCHED
        trials = point.costs.forward * (record.rejected_trials + (not record.outcome.startswith(NO_STEP)))
        share = point.objective.cases / self.objective.cases
        spent = share * (point.work - work + trials + self._beside) + self._apart
        return msgspec.structs.replace(record, step_seconds=perf_counter() - began, step_gradient_equivalents=spent)

    def take(self, delta: Tensor, damping: float) -> Step:
        """Take δ (P,), which solves (B + λI)δ = −∇h(θ) with some matrix B, whatever the method itself would do; and go
        on with that λ, where there is one. The record is of that B. Where the run has diverged, the point stays."""
        began, point = perf_counter(), self.point
        work, self.rejections = point.work, []
        length = float(torch.linalg.vector_norm(delta))
        self.optimizer = msgspec.structs.replace(
            self.optimizer, damping=set_to(self.optimizer.damping, damping, length)
        )
        self.control = _initial(self.optimizer.damping)
        solution = Solution(delta, damping, "δ(λ) as given")
        trial = attempt(point, delta, None, point.gradient, solution, Way(delta, 1.0, math.nan))
        record = self._accept(trial, metrics.Plain(), self._seen(), self.control, 0, "")
        spent = point.work - work + self.point.costs.forward
        return msgspec.structs.replace(record, step_seconds=perf_counter() - began, step_gradient_equivalents=spent)

    def _step(self, cancel: Cancel) -> Step:
        """Solve and try; a rule that adapts its damping may reject, and then it is tried again with more."""
        optimizer, point = self.optimizer, self.point
        memory = self._seen()
        looked = self._looked(point, memory)
        metric = self._metric(looked, memory)
        matrix = metric.matrix
        earlier = matrix.point if matrix is not None and matrix.point not in (point, looked) else None
        spent = earlier.work if earlier else 0.0
        rule = optimizer.damping if isinstance(optimizer.damping, _Adaptive) else None
        drive = self._drive(memory)
        self.rejections = []
        control, why, lowest = self._scheduled(memory.count), "", math.nan
        for rejected in range(1 + (rule.trials if rule else 0)):
            if cancel():
                raise Cancelled
            if rejected and rule:
                control = _retried(rule, control)
            try:
                solution = self._solve(metric, drive, control, cancel)
                trial = self._try(metric, solution, drive, memory, cancel)
                if not trial.definite and metric.matrix is not None:
                    raise metric.matrix.indefinite(solution.damping)
            except IndefiniteError as error:
                if rule is None:
                    raise
                why, lowest = "not positive definite", error.lowest_eigenvalue
                self.rejections.append(Rejection(damping=control, reason=why))
                continue
            if earlier is not None:
                self._apart = (earlier.work - spent) * earlier.objective.cases / self.objective.cases
            elif looked is not point:
                self._apart = looked.work * looked.objective.cases / self.objective.cases
            why_now = self._refusal(trial, control)
            if not why_now:
                if not math.isnan(solution.lowest):
                    lowest = solution.lowest
                record = self._accept(trial, metric, memory, control, rejected, why)
                if rule:
                    self.control = _adapted(rule, control, record.reduction_ratio, solution, memory.count)
                outcome = record.outcome + _limit(rule, self.control)
                return msgspec.structs.replace(record, lowest_eigenvalue=lowest, outcome=outcome)
            why = why_now
            self.rejections.append(_rejection(trial, rule, control, why))
        self.control = control
        # What is carried on from earlier steps may be what leads nowhere.
        still = torch.zeros_like(point.theta)
        self._memory = msgspec.structs.replace(
            memory, velocity=still, direction=None, pairs=(), gradient=None, matrix=None
        )
        loss = float(point.value)
        return Step(
            loss_before=loss,
            loss_after=loss,
            damping=math.nan if isinstance(rule, parts.TrustRegion | parts.Cubic) else control,
            gradient_norm=float(torch.linalg.vector_norm(point.gradient)),
            lowest_eigenvalue=lowest,
            rejected_trials=rejected + 1,
            outcome=f"{NO_STEP}: {why}{_limit(rule, control)}",
        )

    # What a step is made of.

    def _draw(self) -> None:
        """See where it is through the cases of this step."""
        batches, count = self.optimizer.batches, self._memory.count + 1
        if isinstance(batches, parts.MiniBatch) and batches.size < self.objective.cases:
            part = self.objective.batch(self._cases(batches.size, 2 * count))
            self.point = part.at(self.point.theta)
            self._drawn = True
        elif self._drawn:  # the batches were given up for all cases
            self.point = self.objective.at(self.point.theta)
            self._drawn = False

    def _looked(self, point: Point, memory: Memory) -> Point:
        """The point as the curvature matrix sees it: through cases of its own, where it has some."""
        batches = self.optimizer.batches
        if not isinstance(batches, parts.MiniBatch) or not 0 < batches.curvature < self.objective.cases:
            return point
        return self.objective.batch(self._cases(batches.curvature, 2 * memory.count + 1)).at(point.theta, point.watch)

    def _cases(self, size: int, draw: int) -> Tensor:
        """Different cases, (size,) int64; the same for the same draw of the same seed."""
        generator = torch.Generator(device="cpu").manual_seed(self.seed * 1_000_003 + draw)
        drawn = torch.randperm(self.objective.cases, generator=generator, device="cpu")[:size]
        return drawn.to(self.objective.device)

    def _seen(self) -> Memory:
        """The memory with the gradient here in it."""
        part, gradient, before = self.optimizer.curvature, self.point.gradient, self._memory
        memory = before.seen(gradient, part, self.optimizer.momentum)
        if isinstance(part, parts.LimitedMemory) and before.gradient is not None:
            change = gradient - before.gradient
            memory = metrics.LimitedMemory.remembered(part, memory, before.velocity, change)
        return memory

    def _metric(self, point: Point, memory: Memory) -> metrics.Metric:
        part = self.optimizer.curvature
        seed = self.seed * 1_000_003 + memory.count
        match part:
            case parts.Identity():
                return metrics.Plain()
            case parts.DiagonalEmpiricalFisher():
                return metrics.Diagonal(part, memory)
            case parts.LimitedMemory():
                return metrics.LimitedMemory(memory)
            case parts.Torch():
                self._method = self._method or TorchOptimizer(part, point.objective, self.optimizer.learning_rate)
                return self._method
            case parts.Own():
                self._method = self._method or OwnMethod(part, self.seed)
                return self._method
            case parts.Kronecker():
                return kronecker_metric(part, point, memory, seed, lambda m, s: self._promised(m, s, memory))
            case _:
                matrix, memory = metrics.matrix_of(part, point, memory, seed)
                return metrics.Solved(matrix, self.optimizer.solver, memory, self._loss_at)

    def _loss_at(self, delta: Tensor) -> float:
        """h(θ + δ), for a solver that looks at the loss."""
        self._beside += self.point.costs.forward
        return float(self.point.objective.at(self.point.theta + delta, self.point.watch).value)

    def _scheduled(self, count: int) -> float:
        """What damps the step of that number, from 1, before any trial."""
        rule = self.optimizer.damping
        if isinstance(rule, parts.ScheduledDamping):
            return max(rule.initial * rule.factor ** (count - 1), rule.floor)
        return self.control

    def _drive(self, memory: Memory) -> Tensor:
        """What the metric is applied to: the gradient, or its bias-corrected running average."""
        momentum = self.optimizer.momentum
        if isinstance(momentum, parts.GradientAverage):
            return memory.average / (1 - momentum.decay**memory.count)
        return self.point.gradient

    def _solve(self, metric: metrics.Metric, drive: Tensor, control: float, cancel: Cancel) -> Solution:
        rule = self.optimizer.damping
        if isinstance(metric, metrics.WholeStep):
            work = metric.work
            solution = metric.moved(self.point, self._rate(self._seen()))
            self._beside += metric.work - work
            return solution
        if isinstance(metric, metrics.Solved):
            if isinstance(rule, parts.TrustRegion):
                return metric.within(drive, control, cancel)
            if isinstance(rule, parts.Cubic):
                return metric.cubic(drive, control)
        return metric.solve(drive, control, cancel)

    def _rate(self, memory: Memory) -> float:
        """The learning rate of this step."""
        rule, rate = self.optimizer.step, self.optimizer.learning_rate
        return rate * rule.factor(memory.count - 1) if isinstance(rule, parts.Schedule) else rate

    def _try(self, metric: metrics.Metric, solution: Solution, drive: Tensor, memory: Memory, cancel: Cancel) -> Trial:
        """Go along the direction as the step rule says, and look."""
        way = self._way(metric, solution, drive, memory, cancel)
        delta, bend = way.delta, way.bend
        correction = self.optimizer.correction
        if isinstance(correction, parts.Geodesic):
            delta, bend = self._bent(metric, solution, delta, cancel), None
        elif isinstance(correction, parts.Midpoint):
            delta, bend = self._from_the_middle(solution, delta, way.learning_rate, memory, cancel), None
        self._beside += way.looks * self.point.costs.forward + way.gradients
        found = self._bend(metric, solution, way, delta) if bend is None else bend
        return attempt(self.point, delta, found, drive, solution, way)

    def _way(self, metric: metrics.Metric, solution: Solution, drive: Tensor, memory: Memory, cancel: Cancel) -> Way:
        optimizer, direction, rate = self.optimizer, solution.direction, self._rate(memory)
        rule, momentum = optimizer.step, optimizer.momentum
        if isinstance(metric, metrics.WholeStep):
            return Way(direction, rate, math.nan)
        if isinstance(rule, parts.Armijo):
            return step_rules.armijo(self.point, direction, rate, rule, cancel)
        if isinstance(rule, parts.Wolfe):
            return step_rules.wolfe(self.point, direction, rate, rule, cancel)
        carried = isinstance(momentum, parts.HeavyBall) and memory.count > 1
        if isinstance(rule, parts.ModelMinimum):
            assert metric.matrix is not None
            before = memory.velocity if carried else None
            return step_rules.model_minimum(metric.matrix, drive, direction, before, solution.damping)
        delta = direction if rate == 1 else rate * direction
        if isinstance(momentum, parts.HeavyBall):
            return Way(delta + momentum.coefficient * memory.velocity, rate, momentum.coefficient)
        if isinstance(momentum, parts.Nesterov):
            mu = momentum.coefficient
            return Way((1 + mu) * delta + mu * mu * memory.velocity, rate, mu)
        return Way(delta, rate, momentum.decay if isinstance(momentum, parts.GradientAverage) else math.nan)

    def _along(self, metric: metrics.Metric) -> bool:
        """Whether δ is a multiple of a d that solves a system with B, so that no product is spent on δᵀBδ."""
        momentum, correction = self.optimizer.momentum, self.optimizer.correction
        plain = not isinstance(momentum, parts.HeavyBall | parts.Nesterov) and isinstance(correction, parts.Euler)
        return plain and isinstance(metric, metrics.Solved | metrics.LimitedMemory)

    def _bend(self, metric: metrics.Metric, solution: Solution, way: Way, delta: Tensor) -> Tensor | float | None:
        """δᵀBδ for the quadratic model; NaN without one, None where it follows from the system that d solves."""
        if not metric.modelled:
            return math.nan
        if self._along(metric):
            return None if solution.product is None else way.learning_rate * solution.product.dot(delta)
        return math.nan if metric.matrix is None else metric.matrix.inner(delta[:, None])[0, 0]

    def _promised(self, metric: metrics.Metric, solution: Solution, memory: Memory) -> float:
        """M(δ) − M(0) of the step that a solution leads to, the damping's ½λ‖δ‖² included."""
        drive = self._drive(memory)
        way = self._way(metric, solution, drive, memory, self.point.watch.cancel)
        self._beside += way.looks * self.point.costs.forward + way.gradients
        delta = way.delta
        bend = self._bend(metric, solution, way, delta) if way.bend is None else way.bend
        assert bend is not None  # d solves a system with the Kronecker form, and the model is of the Fisher itself
        return float(drive.dot(delta) + 0.5 * (bend + solution.damping * delta.dot(delta)))

    def _bent(self, metric: metrics.Metric, solution: Solution, delta: Tensor, cancel: Cancel) -> Tensor:
        """δ₁ − ½δ₂ with (F + λI)δ₂ = Γ(δ₁, δ₁); δ₁ alone where δ₂ is as long, for then the damping and not the metric
        has made the step, and the series says nothing (Transtrum and Sethna 2012)."""
        force = christoffel(self.point, delta)
        self._beside += 8 / 3
        back = metric.solve(force, solution.damping, cancel).direction  # −δ₂
        short, long = torch.stack((back.dot(back), delta.dot(delta))).tolist()
        return delta + 0.5 * back if short <= long else delta

    def _from_the_middle(
        self, solution: Solution, delta: Tensor, rate: float, memory: Memory, cancel: Cancel
    ) -> Tensor:
        """The whole step with the gradient and metric of the point half a step ahead."""
        middle = self.point.objective.at(self.point.theta + 0.5 * delta, self.point.watch)
        metric = self._metric(middle, memory)
        found = metric.solve(middle.gradient, solution.damping, cancel)
        if found.failed is not None and metric.matrix is not None and bool(found.failed):
            raise metric.matrix.indefinite(solution.damping)
        self._beside += middle.work
        return rate * found.direction

    # Judging and going.

    def _refusal(self, trial: Trial, control: float) -> str:
        """Why a trial is rejected; empty if it is not."""
        rule, search = self.optimizer.damping, isinstance(self.optimizer.step, parts.Armijo | parts.Wolfe)
        if isinstance(rule, parts.LevenbergMarquardt):
            return trial.refusal()
        if isinstance(rule, parts.TrustRegion | parts.Cubic):
            if not math.isfinite(trial.loss_after):
                return "loss not finite"
            weight = control if isinstance(rule, parts.Cubic) else 0.0
            return "" if trial.within_rounding or trial.ratio("undamped", weight) > rule.accept else "ρ too low"
        return "no decrease along the direction" if search and trial.refusal() else ""

    def _accept(
        self, trial: Trial, metric: metrics.Metric, memory: Memory, control: float, rejected: int, why: str
    ) -> Step:
        """Go to the trial's point if its loss is finite, and write the record."""
        model, weight = _model(self.optimizer.damping, control)
        record = trial.record(model=model, weight=weight, rejected=rejected, why=why)
        if not math.isfinite(trial.loss_after):
            return msgspec.structs.replace(record, outcome="diverged: loss not finite")
        if isinstance(metric, Kronecker | metrics.Solved):
            memory = metric.memory
        delta, momentum = trial.delta, self.optimizer.momentum
        velocity = delta
        if isinstance(momentum, parts.Nesterov):  # δ = αd + μv with v = μv₀ + αd, so δ = (1 + μ)v − μv₀
            velocity = (delta + momentum.coefficient * memory.velocity) / (1 + momentum.coefficient)
        direction = trial.solution.direction if _warm(self.optimizer) else None
        gradient = self.point.gradient if isinstance(self.optimizer.curvature, parts.LimitedMemory) else None
        memory = msgspec.structs.replace(memory, velocity=velocity, direction=direction, gradient=gradient)
        self._memory = memory.moved(self.point.theta, trial.after.theta, self.optimizer.averaging)
        self.point = trial.after
        return record


def _warm(optimizer: Optimizer) -> bool:
    solver = optimizer.solver
    return isinstance(solver, parts.ConjugateGradient) and solver.warm_start > 0


def _initial(rule: parts.Damping) -> float:
    """What the rule adapts, before the first step."""
    match rule:
        case parts.LevenbergMarquardt() | parts.ScheduledDamping():
            return rule.initial
        case parts.ConstantDamping():
            return rule.value
        case parts.TrustRegion():
            return rule.radius
        case parts.Cubic():
            return rule.weight
        case _:
            return 0.0


def _rejection(trial: Trial, rule: _Adaptive | None, control: float, why: str) -> Rejection:
    """What a rejected trial had promised and what came."""
    return Rejection(
        damping=control,
        predicted_change=trial.predicted_change,
        change=trial.change,
        reduction_ratio=trial.ratio(*_model(rule, control)),
        step_norm=trial.step_norm,
        reason=why,
    )


def _model(rule: parts.Damping | None, control: float) -> tuple[str, float]:
    """Which model ρ compares the loss with, and the cube's weight in it."""
    model = rule.model if isinstance(rule, parts.LevenbergMarquardt) else "undamped"
    return model, control if isinstance(rule, parts.Cubic) else 0.0


def _retried(rule: _Adaptive, control: float) -> float:
    """More damping after a rejected trial."""
    match rule:
        case parts.LevenbergMarquardt():
            return min(control * rule.retry, rule.ceiling)
        case parts.TrustRegion():
            return control / 4
        case _:
            return 2 * control


def _limit(rule: _Adaptive | None, control: float) -> str:
    """What to say where λ has reached its floor or its ceiling."""
    if not isinstance(rule, parts.LevenbergMarquardt) or rule.floor < control < rule.ceiling:
        return ""
    return "; λ at its floor" if control <= rule.floor else "; λ at its ceiling"


def _adapted(rule: _Adaptive, control: float, ratio: float, solution: Solution, count: int) -> float:
    """The damping of the next step after one with reduction ratio ρ."""
    match rule:
        case parts.LevenbergMarquardt():
            return rule.adapted(control, ratio) if count % rule.every == 0 else control
        case parts.TrustRegion():
            if ratio < 0.25:
                return control / 4
            return min(2 * control, rule.largest) if ratio > 0.75 and solution.boundary else control
        case _:
            return max(control / 2, rule.floor) if ratio > 0.9 else control

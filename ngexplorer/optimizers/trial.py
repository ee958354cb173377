"""A trial: a step δ tried out, what the quadratic model promised for it and what came."""

from __future__ import annotations

import math

import msgspec
import torch
from torch import Tensor

from ngexplorer.objectives import Point
from ngexplorer.optimizers.solvers import Solution
from ngexplorer.optimizers.step import NAN, Step
from ngexplorer.optimizers.step_rules import Way

# Changes of h below so many units of its last place say nothing about the model: they are rounding.
_ROUNDING = 16.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """θ + δ looked at once, and the numbers that one host read gave. `bend` δᵀBδ is NaN without a matrix."""

    after: Point
    delta: Tensor
    solution: Solution
    way: Way
    loss_before: float
    loss_after: float
    slope: float
    """gᵀδ"""
    bend: float
    """δᵀBδ"""
    step_norm: float
    gradient_norm: float
    residual_norm: float
    """‖(B + λI)d + g‖ of an iterative solver, NaN of a direct one"""
    definite: bool
    """Whether B + λI was positive definite, so that δ means anything"""

    @property
    def change(self) -> float:
        return self.loss_after - self.loss_before

    @property
    def predicted_change(self) -> float:
        """M(δ) − M(0) = gᵀδ + ½δᵀBδ."""
        return self.slope + 0.5 * self.bend

    @property
    def predicted_change_damped(self) -> float:
        return self.predicted_change + 0.5 * self.solution.damping * self.step_norm**2

    @property
    def within_rounding(self) -> bool:
        """Whether both the change and the promise are too small beside h to mean anything."""
        least = _ROUNDING * torch.finfo(self.delta.dtype).eps * abs(self.loss_before)
        return max(abs(self.change), abs(self.predicted_change)) <= least

    def ratio(self, model: str, weight: float = 0.0) -> float:
        """ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0)) with that model ('undamped' or 'damped'), with M/6 ‖δ‖³ of a cube's
        weight in it; NaN within rounding."""
        promised = self.predicted_change_damped if model == "damped" else self.predicted_change
        if weight:
            promised += weight / 6 * self.step_norm**3
        return NAN if self.within_rounding or promised == 0 else self.change / promised

    def refusal(self) -> str:
        """Why a rule that wants descent rejects this trial; empty if it does not."""
        if not self.definite:
            return "not positive definite"
        if not math.isfinite(self.loss_after):
            return "loss not finite"
        return "loss rose" if self.change > 0 and not self.within_rounding else ""

    def record(self, *, model: str, weight: float, rejected: int, why: str) -> Step:
        """The trial as the record of a step taken, after so many rejected ones, the last for the reason `why`."""
        step = self.step_norm
        lengths = self.gradient_norm * step
        cosine = -self.slope / lengths if lengths > 0 else NAN
        solution = self.solution
        relative = self.residual_norm / self.gradient_norm if self.gradient_norm > 0 else NAN
        return Step(
            loss_before=self.loss_before,
            loss_after=self.loss_after,
            predicted_change=self.predicted_change,
            predicted_change_damped=self.predicted_change_damped,
            reduction_ratio=self.ratio(model, weight),
            damping=solution.damping if self.bend == self.bend else NAN,
            learning_rate=self.way.learning_rate,
            momentum=self.way.momentum,
            step_norm=step,
            step_norm_curvature=math.sqrt(self.bend) if self.bend >= 0 else NAN,
            gradient_norm=self.gradient_norm,
            angle=NAN if math.isnan(cosine) else math.degrees(math.acos(max(-1.0, min(1.0, cosine)))),
            curvature_along_step=self.bend / step**2 if step > 0 else NAN,
            solver_iterations=solution.iterations,
            solver_residual=relative,
            rejected_trials=rejected,
            solver=solution.reason,
            outcome=f"accepted after: {why}" if rejected else "accepted",
        )


def attempt(
    point: Point, delta: Tensor, bend: Tensor | float | None, drive: Tensor, solution: Solution, way: Way
) -> Trial:
    """Look at θ + δ, unless a search has looked there. One host read.

    `bend` is δᵀBδ, NaN for a method without a matrix. None: it follows from `drive`, the g of (B + λI)d = −g + r that
    δ = αd solves, as −α(g − r)ᵀδ − λ‖δ‖².
    """
    after = way.after or point.objective.at(point.theta + delta, point.watch)
    gradient, residual, failed = point.gradient, solution.residual, solution.failed
    numbers = {
        "before": point.value,
        "after": after.value,
        "slope": gradient.dot(delta),
        "square": delta.dot(delta),
        "steepness": gradient.dot(gradient),
    }
    if isinstance(bend, Tensor):
        numbers["bend"] = bend
    elif bend is None and drive is not gradient:
        numbers["driven"] = drive.dot(delta)
    if residual is not None:
        numbers["left"] = residual.dot(residual)
        if bend is None:
            numbers["along"] = residual.dot(delta)
    if failed is not None:
        numbers["failed"] = failed.to(delta.dtype)
    read = dict(zip(numbers, torch.stack(tuple(numbers.values())).tolist(), strict=True))
    if bend is None:
        driven = read.get("driven", read["slope"]) - read.get("along", 0.0)
        bend = -way.learning_rate * driven - solution.damping * read["square"]
    return Trial(
        after=after,
        delta=delta,
        solution=solution,
        way=way,
        loss_before=read["before"],
        loss_after=read["after"],
        slope=read["slope"],
        bend=read.get("bend", bend),
        step_norm=math.sqrt(read["square"]),
        gradient_norm=math.sqrt(read["steepness"]),
        residual_norm=math.sqrt(read.get("left", NAN)),
        definite=not read.get("failed"),
    )

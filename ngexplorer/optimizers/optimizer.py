"""An optimizer is a composition of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives import Objective
from ngexplorer.optimizers import parts
from ngexplorer.settings import SettingError, convert

if TYPE_CHECKING:
    from ngexplorer.optimizers.stepper import Stepper


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
    step: Annotated[parts.StepRule, Meta(title="Step")] = parts.Fixed()
    momentum: parts.Momentum = parts.NoMomentum()
    correction: parts.Correction = parts.Euler()
    averaging: parts.Averaging = parts.LastIterate()
    batches: parts.Batches = parts.AllCases()

    def __post_init__(self) -> None:
        for part, reason in self._refusals():
            raise ValueError(f"{part}: {reason}")

    def _refusals(self) -> list[tuple[str, str]]:
        """What does not go together: the part that is wrong, and why."""
        title, found = self.curvature.title, []
        solved = isinstance(self.curvature, parts.Matrix)
        if not self.second_order and not isinstance(self.damping, parts.Undamped):
            found.append(("damping", f"{title} has no matrix to damp; only 'none' goes with it"))
        if not solved and not isinstance(self.solver, parts.Auto):
            found.append(("solver", f"{title} needs none; only 'auto' goes with it"))
        if not solved and isinstance(self.damping, parts.TrustRegion | parts.Cubic):
            found.append(("damping", f"{self.damping.title} needs a matrix that can be decomposed; {title} is none"))
        bounded = isinstance(self.damping, parts.TrustRegion | parts.Cubic)
        if isinstance(self.damping, parts.TrustRegion | parts.Cubic) and solved:
            reason = self.damping.solver_refusal(self.solver)
            if reason:
                found.append(("solver", reason))
        if isinstance(self.curvature, parts.Matrix) and self.curvature.decay > 0:
            if isinstance(self.solver, parts.SampleSpace):
                found.append(("solver", "a running average is of the cases of many points; sample space has one's"))
            if isinstance(self.correction, parts.Geodesic):
                found.append(("correction", "the geodesics are those of the Fisher metric, not of its running average"))
        if isinstance(self.step, parts.ModelMinimum) and not self.second_order:
            found.append(("step", f"{title} has no quadratic model to minimize"))
        fisher = isinstance(self.curvature, parts.Fisher) and self.curvature.form == "whole"
        if isinstance(self.correction, parts.Geodesic) and not fisher:
            found.append(("correction", f"the geodesics are those of the Fisher metric; {title} is another"))
        if isinstance(self.correction, parts.Midpoint) and not solved:
            found.append(("correction", f"{title} cannot be taken at another point; a curvature matrix can"))
        searching = isinstance(self.step, parts.Armijo | parts.Wolfe)
        carried = isinstance(self.momentum, parts.HeavyBall | parts.Nesterov)
        if searching and (carried or not isinstance(self.correction, parts.Euler)):
            found.append(("step", f"{self.step.title} goes along the direction alone, without momentum or correction"))
        if bounded and (carried or not isinstance(self.correction, parts.Euler)):
            found.append(
                ("damping", f"{self.damping.title} bounds the step, momentum or a correction would lengthen it")
            )
        if bounded and isinstance(self.step, parts.ModelMinimum):
            found.append(("step", f"{self.damping.title} has found the model's minimum already"))
        if isinstance(self.correction, parts.Midpoint) and not isinstance(self.momentum, parts.NoMomentum):
            found.append(("correction", "the midpoint's step follows the flow from where it is, without momentum"))
        if isinstance(self.step, parts.ModelMinimum) and isinstance(self.momentum, parts.Nesterov):
            found.append(("momentum", "the minimum of the quadratic model has heavy-ball momentum or none"))
        if isinstance(self.curvature, parts.Torch | parts.Own) and (
            not isinstance(self.step, parts.Fixed | parts.Schedule) or not isinstance(self.momentum, parts.NoMomentum)
        ):
            found.append(
                ("curvature", f"{title} takes whole steps of its own, with a fixed or scheduled learning rate")
            )
        return found

    @property
    def second_order(self) -> bool:
        """Whether a curvature matrix is solved with."""
        return isinstance(self.curvature, parts.Matrix | parts.Kronecker)

    def start(self, objective: Objective, theta: Tensor | None = None, seed: int = 0) -> Stepper:
        """Begin at θ (default: the objective's initial parameters); `seed` draws what is sampled."""
        from ngexplorer.optimizers.stepper import Stepper

        return Stepper(self, objective.at(objective.initial_parameters if theta is None else theta), seed)

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

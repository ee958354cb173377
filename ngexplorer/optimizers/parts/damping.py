"""Damping: what λ is, and what happens to it after a step."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta
from msgspec.structs import replace

from ngexplorer.optimizers.parts.base import Part
from ngexplorer.optimizers.parts.solver import Auto, ConjugateGradient, Eigendecomposition, Solver

Model = Annotated[Literal["undamped", "damped"], Meta(description="Which quadratic model ρ compares the loss with")]


class Undamped(Part, frozen=True, kw_only=True, tag="none"):
    """λ = 0."""

    title: ClassVar[str] = "None"


class ConstantDamping(Part, frozen=True, kw_only=True, tag="constant"):
    """λ stays what it is (Tikhonov)."""

    title: ClassVar[str] = "Constant"

    value: Annotated[float, Meta(gt=0, le=1e12, description="λ added to the diagonal of B")] = 1.0


class ScheduledDamping(Part, frozen=True, kw_only=True, tag="schedule"):
    """λ_k = max(λ₀ ω^k, floor)."""

    title: ClassVar[str] = "Schedule"

    initial: Annotated[float, Meta(gt=0, le=1e12, description="λ at the first step")] = 1.0
    factor: Annotated[float, Meta(gt=0, le=1, description="ω by which λ changes at every step")] = 0.9
    floor: Annotated[float, Meta(ge=0, le=1, description="The smallest λ")] = 1e-8


class LevenbergMarquardt(Part, frozen=True, kw_only=True, tag="levenberg-marquardt"):
    """λ follows the reduction ratio ρ: λ·ω where ρ > ¾, λ/ω where ρ < ¼ (Moré 1978; Martens 2020, §10).

    A trial whose loss rises or is not finite, or whose B + λI is not positive definite, is rejected and tried again
    with 4λ inside the same step, at most 10 times.
    """

    title: ClassVar[str] = "Levenberg-Marquardt"
    retry: ClassVar[float] = 4.0
    trials: ClassVar[int] = 10

    initial: Annotated[float, Meta(gt=0, le=1e12, description="λ at the first step")] = 1.0
    factor: Annotated[float, Meta(gt=0, lt=1, description="ω by which λ changes")] = 2 / 3
    every: Annotated[int, Meta(ge=1, le=1000, description="Steps between two changes of λ, T: by ω each")] = 1
    floor: Annotated[float, Meta(gt=0, le=1, description="The smallest λ")] = 1e-12
    ceiling: Annotated[float, Meta(ge=1, le=1e20, description="The largest λ")] = 1e12
    model: Model = "undamped"

    def adapted(self, damping: float, ratio: float) -> float:
        """λ after a step with reduction ratio ρ; NaN says nothing about the model and leaves λ alone."""
        if ratio > 0.75:
            damping *= self.factor
        elif ratio < 0.25:
            damping /= self.factor
        return min(max(damping, self.floor), self.ceiling)


class TrustRegion(Part, frozen=True, kw_only=True, tag="trust-region"):
    """‖δ‖ ≤ Δ: λ is what keeps the step inside (Moré and Sorensen 1983; Martens 2020, §10).

    Δ/4 where ρ < ¼, 2Δ where ρ > ¾ and the step ends on the boundary; a step with ρ ≤ 0.15 is rejected and tried again
    with Δ/4 inside the same step. The minimum in the ball is exact, by the eigenpairs; with conjugate gradient as the
    solver, and by choice of 'auto' for large models, the steps are Steihaug's (1983), whose stopping rule is its own.
    """

    title: ClassVar[str] = "Trust region"
    trials: ClassVar[int] = 10
    accept: ClassVar[float] = 0.15

    radius: Annotated[float, Meta(gt=0, le=1e12, description="Δ at the first step")] = 1.0
    largest: Annotated[float, Meta(gt=0, le=1e20, description="The largest Δ")] = 1e3

    def solver_refusal(self, solver: Solver) -> str:
        """Why that solver does not find the minimum in the ball; empty: it does."""
        if isinstance(solver, ConjugateGradient):
            extra = solver.warm_start > 0 or solver.preconditioned or solver.backtrack
            refused = "inside a trust region conjugate gradient is Steihaug's, from 0 and as it is; a warm start, a "
            return refused + "preconditioner and backtracking do not go with it" if extra else ""
        return _by_eigenpairs(solver, self.title, "'auto', 'eigendecomposition' (signed) and 'conjugate-gradient'")


class Cubic(Part, frozen=True, kw_only=True, tag="cubic"):
    """The model has M/6 ‖δ‖³ beside it: (B + ½M‖δ‖I)δ = −g with that matrix positive semi-definite (Nesterov and Polyak
    2006). M/2 where ρ > 0.9; a step with ρ ≤ 0.1 is rejected and tried again with 2M (Cartis, Gould and Toint 2011).
    """

    title: ClassVar[str] = "Cubic regularization"
    trials: ClassVar[int] = 20
    accept: ClassVar[float] = 0.1

    weight: Annotated[float, Meta(gt=0, le=1e12, description="M at the first step")] = 1.0
    floor: Annotated[float, Meta(gt=0, le=1, description="The smallest M")] = 1e-8

    def solver_refusal(self, solver: Solver) -> str:
        """Why that solver does not find the minimum with the cube; empty: it does."""
        return _by_eigenpairs(solver, self.title, "'auto' and 'eigendecomposition' (signed)")


def _by_eigenpairs(solver: Solver, title: str, accepted: str) -> str:
    signed = isinstance(solver, Eigendecomposition) and solver.eigenvalues == "signed"
    if signed or isinstance(solver, Auto):
        return ""
    return f"{title} has to find λ too, which one linear system does not; {accepted} go with it"


Damping = Undamped | ConstantDamping | ScheduledDamping | LevenbergMarquardt | TrustRegion | Cubic


def set_to(rule: Damping, damping: float, length: float) -> Damping:
    """The rule where the next step's λ is `damping` > 0, of which a step of that length came: a trust region with
    Δ = ‖δ(λ)‖ and a cube with M = 2λ/‖δ(λ)‖ find the same λ. One without any stays as it is."""
    match rule:
        case LevenbergMarquardt() | ScheduledDamping():
            return replace(rule, initial=damping)
        case ConstantDamping():
            return replace(rule, value=damping)
        case TrustRegion():
            return replace(rule, radius=length)
        case Cubic():
            return replace(rule, weight=2 * damping / length)
        case _:
            return rule

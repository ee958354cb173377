"""The anatomy of a step: its record in words, and each number with the formula it comes from and where that stands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from ngexplorer.optimizers import Optimizer, Step, parts
from ngexplorer.optimizers.step import NO_STEP
from ngexplorer.runs import History

_HESTENES = "Hestenes and Stiefel 1952"
_FORMULAS: dict[str, tuple[str, str]] = {
    "loss_before": ("h(θ) = (1/N) Σ L(y, f(x, θ)) + ½η‖θ‖²", "Martens 2020, §3"),
    "loss_after": ("h(θ + δ)", "Martens 2020, §3"),
    "predicted_change": ("M(δ) − M(0) = ∇hᵀδ + ½δᵀBδ", "Martens 2020, §7"),
    "predicted_change_damped": ("M(δ) − M(0) + ½λ‖δ‖²", "Martens 2020, §10"),
    "reduction_ratio": ("ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0))", "Martens 2020, §10"),
    "damping": ("λ of (B + λI)d = −∇h", "Martens 2020, §10"),
    "learning_rate": ("α of δ = αd", "Martens 2020, §7"),
    "step_norm": ("‖δ‖", "Martens 2020, §6"),
    "step_norm_curvature": ("‖δ‖_B = √(δᵀBδ)", "Martens 2020, §6"),
    "gradient_norm": ("‖∇h(θ)‖", "Martens 2020, §6"),
    "angle": ("arccos(−∇hᵀδ / (‖∇h‖‖δ‖))", "Martens 2020, §6"),
    "curvature_along_step": ("δᵀBδ / ‖δ‖²", "Martens 2020, §7"),
    "hessian_along_step": ("δᵀHδ / ‖δ‖²", "Martens 2020, §7"),
    "angle_newton": ("∠(δ, −(H + λI)⁻¹∇h)", "Martens 2020, §10"),
    "angle_gauss_newton": ("∠(δ, −(G + λI)⁻¹∇h)", "Martens 2020, §10"),
    "angle_natural_gradient": ("∠(δ, −(F + λI)⁻¹∇h)", "Martens 2020, §10"),
    "angle_natural_gradient_empirical": ("∠(δ, −(F̄ + λI)⁻¹∇h)", "Martens 2020, §11"),
    "angle_kfac": ("∠(δ, −(G + γ/π I)⁻¹ ⊗ (A + πγI)⁻¹ ∇h)", "Martens and Grosse 2015, §6.3"),
    "lowest_eigenvalue": ("λmin of B", "Martens 2020, §10"),
    "solver_iterations": ("products with B, one an iteration", _HESTENES),
    "solver_residual": ("‖(B + λI)d + ∇h‖ / ‖∇h‖", _HESTENES),
}
_MOMENTA: dict[type, tuple[str, str]] = {
    parts.HeavyBall: ("μ of δ = αd + μδ₀", "Polyak 1964"),
    parts.Nesterov: ("μ of v = μv₀ + αd, δ = αd + μv", "Sutskever et al. 2013"),
    parts.GradientAverage: ("β₁ of m = β₁m₀ + (1 − β₁)∇h", "Kingma and Ba 2015"),
}
_COLUMNS = tuple(field.name for field in msgspec.structs.fields(Step))


@dataclass(frozen=True)
class Fact:
    """One number of a step: its column's name, its value, the formula that it comes from, and the source."""

    name: str
    value: float
    formula: str
    source: str


@dataclass(frozen=True)
class Anatomy:
    """A step in a sentence or more, `words`, the verdict in it on the quadratic model, and the numbers behind it.

    next_damping: λ that Levenberg-Marquardt's rule makes of it for the next step, NaN of other rules.
    """

    words: tuple[str, ...]
    facts: tuple[Fact, ...]
    next_damping: float

    @property
    def sentence(self) -> str:
        return "; ".join(self.words)


def record(history: History, number: int) -> Step:
    """The record of a step by its number, from 1. Raises IndexError for one that was not taken."""
    if not 1 <= number < len(history):
        raise IndexError(f"step {number} was not taken (there are: 1 to {len(history) - 1})")
    row = history.row(number)
    numbers: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    numbers["rejected_trials"] = int(numbers["rejected_trials"])
    return Step(**numbers)


def anatomy(step: Step, optimizer: Optimizer, number: int = 1) -> Anatomy:
    """What happened in a step, from its record, the optimizer as it then was, and the number of the step, from 1."""
    after = next_damping(step, optimizer, number)
    words = [
        _promise(step, optimizer),
        _verdict(step, optimizer, after),
        _solver(step),
        _rejections(step),
        _length(step),
    ]
    facts = [
        Fact(name, getattr(step, name), formula, source)
        for name, (formula, source) in formulas(optimizer).items()
        if not math.isnan(getattr(step, name))
    ]
    return Anatomy(tuple(word for word in words if word), tuple(facts), after)


def next_damping(step: Step, optimizer: Optimizer, number: int = 1) -> float:
    """The λ with which Levenberg-Marquardt's rule begins the next step; NaN for other rules, whose Δ or weight the
    record does not hold."""
    rule = optimizer.damping
    if not isinstance(rule, parts.LevenbergMarquardt) or math.isnan(step.damping):
        return math.nan
    if step.outcome.startswith(NO_STEP) or number % rule.every:
        return step.damping
    return rule.adapted(step.damping, step.reduction_ratio)


def formulas(optimizer: Optimizer) -> dict[str, tuple[str, str]]:
    """Each column's formula and its source, as this optimizer fills it."""
    found = dict(_FORMULAS)
    rule, momentum = optimizer.damping, type(optimizer.momentum)
    if momentum in _MOMENTA:
        found["momentum"] = _MOMENTA[momentum]
        if momentum is parts.HeavyBall and isinstance(optimizer.step, parts.ModelMinimum):
            both = "of δ = αd + μδ₀, where the damped model is lowest"
            found["learning_rate"], found["momentum"] = ((f"{n} {both}", "Martens and Grosse 2015, §7") for n in "αμ")
    if isinstance(optimizer.curvature, parts.KFAC):
        found["damping"] = ("λ of A + πγI and G + (γ/π)I, γ² = λ + η", "Martens and Grosse 2015, §6")
    if isinstance(rule, parts.LevenbergMarquardt) and rule.model == "damped":
        found["reduction_ratio"] = ("ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0) + ½λ‖δ‖²)", "Martens 2020, §10")
    if isinstance(rule, parts.Cubic):
        found["damping"] = ("λ = ½w‖δ‖, w the cube's weight", "Nesterov and Polyak 2006")
        found["reduction_ratio"] = (
            "ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0) + w/6 ‖δ‖³)",
            "Cartis, Gould and Toint 2011",
        )
    if isinstance(rule, parts.TrustRegion):
        found["damping"] = ("λ with which ‖δ‖ ≤ Δ in (B + λI)δ = −∇h", "Moré and Sorensen 1983")
    return found


def _promise(step: Step, optimizer: Optimizer) -> str:
    """What was promised and what came."""
    if step.outcome.startswith(NO_STEP):
        return step.outcome
    change = step.loss_after - step.loss_before
    if not math.isfinite(step.loss_after):
        return "the loss is not finite: diverged"
    if math.isnan(step.predicted_change):
        return f"no model, got {_signed(change)}"
    if math.isnan(step.reduction_ratio):
        return f"promised {_signed(step.predicted_change)}, got {_signed(change)}"
    # ρ's own promise: of the damped model, or with the cube in it, where the rule compares with that.
    promised, model = step.predicted_change, ""
    rule = optimizer.damping
    if isinstance(rule, parts.LevenbergMarquardt) and rule.model == "damped":
        promised, model = step.predicted_change_damped, " with the damping"
    elif isinstance(rule, parts.Cubic):
        promised, model = change / step.reduction_ratio if change else step.predicted_change, " with the cube"
    return f"promised {_signed(promised)}{model}, got {_signed(change)}, ρ = {step.reduction_ratio:.2f}"


def _verdict(step: Step, optimizer: Optimizer, after: float) -> str:
    """What ρ says of the model, and what the damping rule makes of it."""
    rule, ratio = optimizer.damping, step.reduction_ratio
    if step.outcome.startswith(NO_STEP) or math.isnan(step.predicted_change):
        return ""
    if math.isnan(ratio):
        said = "changes within rounding: they say nothing of the model"
    elif ratio > 0.75:
        said = "model trusted"
    elif ratio < 0.25:
        said = "model not trusted"
    else:
        said = "model neither trusted more nor less"
    if isinstance(rule, parts.LevenbergMarquardt) and not math.isnan(after):
        moved = f"λ stays {after:.3g}" if after == step.damping else f"λ {step.damping:.3g} → {after:.3g}"
        return f"{said}, {moved}"
    return f"{said}, λ = {step.damping:.3g}" if step.damping > 0 else said


def _solver(step: Step) -> str:
    """How the direction was found."""
    if math.isnan(step.solver_iterations):
        return "Cholesky" + step.solver.removeprefix("cholesky") if step.solver.startswith("cholesky") else step.solver
    count = round(step.solver_iterations)
    method, _, reason = step.solver.partition(": ")
    name = {"conjugate gradient": "CG"}.get(method, method)
    stopped = f", stopped by {reason}" if reason else ""
    return f"{count} {name} iteration{'s' * (count != 1)}{stopped}"


def _rejections(step: Step) -> str:
    count = step.rejected_trials
    if not count or step.outcome.startswith(NO_STEP):
        return ""
    reason = step.outcome.partition("accepted after: ")[2].partition(";")[0]
    numbers = {1: "one trial", 2: "two trials", 3: "three trials"}
    return f"{numbers.get(count, f'{count} trials')} rejected" + (f": {reason}" if reason else "")


def _length(step: Step) -> str:
    if math.isnan(step.step_norm):
        return ""
    turned = "" if math.isnan(step.angle) else f", {step.angle:.0f}° from −∇h"
    return f"‖δ‖ = {step.step_norm:.3g}{turned}"


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")

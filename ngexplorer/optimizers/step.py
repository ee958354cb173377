"""The record of one step: what was predicted, what came, and why."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

NAN = float("nan")
PROBED = (
    "hessian_along_step",
    "angle_newton",
    "angle_gauss_newton",
    "angle_natural_gradient",
    "angle_natural_gradient_empirical",
    "angle_kfac",
)
"""The numbers of a record that only a probe fills in."""
NO_STEP = "no step"
"""How the outcome of a step begins that found no point to go to."""


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A trial that a step rejected, in the notation of `Step`; NaN where it came to no such number."""

    damping: float
    """λ with which it was solved for; of a trust region its radius Δ, of cubic regularization the cube's weight."""
    predicted_change: float = NAN
    change: float = NAN
    """h(θ + δ) − h(θ)"""
    reduction_ratio: float = NAN
    step_norm: float = NAN
    reason: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted point, with its rejected trials counted. NaN where a thing does not exist for the method.

    Notation: θ before, δ the step, g = ∇h(θ), B the curvature matrix in use, λ its damping,
    M(δ) = h(θ) + gᵀδ + ½δᵀBδ (Martens 2020, §10). Norms are Euclidean in θ unless said.
    """

    loss_before: Annotated[float, Meta(description="h(θ)")] = NAN
    loss_after: Annotated[float, Meta(description="h(θ + δ)")] = NAN
    predicted_change: Annotated[float, Meta(description="M(δ) − M(0) without damping")] = NAN
    predicted_change_damped: Annotated[float, Meta(description="M(δ) − M(0) + ½λ‖δ‖²")] = NAN
    reduction_ratio: Annotated[float, Meta(description="ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0))")] = NAN
    damping: Annotated[float, Meta(description="λ with which δ was solved for")] = NAN
    learning_rate: Annotated[float, Meta(description="α")] = NAN
    momentum: Annotated[float, Meta(description="μ")] = NAN
    step_norm: Annotated[float, Meta(description="‖δ‖")] = NAN
    step_norm_curvature: Annotated[float, Meta(description="‖δ‖_B = √(δᵀBδ)")] = NAN
    gradient_norm: Annotated[float, Meta(description="‖∇h(θ)‖")] = NAN
    angle: Annotated[float, Meta(description="Angle between δ and −∇h, degrees")] = NAN
    curvature_along_step: Annotated[float, Meta(description="δᵀBδ / ‖δ‖²")] = NAN
    hessian_along_step: Annotated[float, Meta(description="δᵀHδ / ‖δ‖² at θ, where a probe looked")] = NAN
    angle_newton: Annotated[
        float, Meta(description="Angle between δ and −(H + λI)⁻¹∇h at θ, degrees, where a probe looked")
    ] = NAN
    angle_gauss_newton: Annotated[float, Meta(description="The same with the Gauss-Newton matrix for H")] = NAN
    angle_natural_gradient: Annotated[float, Meta(description="The same with the Fisher matrix for H")] = NAN
    angle_natural_gradient_empirical: Annotated[float, Meta(description="The same with the empirical Fisher")] = NAN
    angle_kfac: Annotated[float, Meta(description="The same with K-FAC, its factors damped")] = NAN
    lowest_eigenvalue: Annotated[float, Meta(description="λmin of B, where the solver had to find it")] = NAN
    solver_iterations: Annotated[float, Meta(description="Iterations of the linear solver; NaN for a direct one")] = NAN
    solver_residual: Annotated[float, Meta(description="‖(B + λI)d + g‖ / ‖g‖ of an iterative solver")] = NAN
    rejected_trials: Annotated[int, Meta(description="Trials rejected before this one")] = 0
    step_seconds: Annotated[float, Meta(description="Wall-clock seconds of this step")] = NAN
    step_gradient_equivalents: Annotated[float, Meta(description="Work of this step, in gradients")] = NAN
    solver: Annotated[str, Meta(description="The linear solver, and why it stopped")] = ""
    outcome: Annotated[str, Meta(description="accepted, or why there was no step; the last rejection's reason")] = ""

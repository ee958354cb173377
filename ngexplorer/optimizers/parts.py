"""The parts an optimizer is composed of, as typed settings: curvature, solver, damping, momentum."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from ngexplorer import curvature as matrices


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A part by its settings."""

    title: ClassVar[str]


# Curvature: what B is.


class Identity(Part, frozen=True, kw_only=True, tag="identity"):
    """B = I: the Euclidean metric, so that −B⁻¹∇h is steepest descent."""

    title: ClassVar[str] = "Identity"


class DiagonalEmpiricalFisher(Part, frozen=True, kw_only=True, tag="diagonal-empirical-fisher"):
    """B = v̂^ξ + ε with v a running average of the squared gradient, bias-corrected.

    Adam and RMSProp are this with exponent ξ = ½ (Martens 2020, §11): a diagonal of the *empirical* Fisher, roughly,
    since the average is over gradients of the mean and not over cases.
    """

    title: ClassVar[str] = "Diagonal empirical Fisher"

    decay: Annotated[float, Meta(ge=0, lt=1, description="β₂ of v ← β₂v + (1 − β₂)g²")] = 0.999
    exponent: Annotated[float, Meta(ge=0, le=1, description="ξ: ½ in Adam, 1 would be the diagonal itself")] = 0.5
    epsilon: Annotated[float, Meta(gt=0, le=1, description="ε added to v̂^ξ")] = 1e-8


class Hessian(Part, frozen=True, kw_only=True, tag="hessian"):
    """B = ∇²h, exact."""

    title: ClassVar[str] = "Hessian"
    matrix: ClassVar[type[matrices.Curvature]] = matrices.Hessian


class GaussNewton(Part, frozen=True, kw_only=True, tag="gauss-newton"):
    """B = E[Jᵀ H_L J], the generalized Gauss-Newton matrix."""

    title: ClassVar[str] = "Gauss-Newton"
    matrix: ClassVar[type[matrices.Curvature]] = matrices.GaussNewton


class Fisher(Part, frozen=True, kw_only=True, tag="fisher"):
    """B = E[Jᵀ F_R J], the exact Fisher information with labels from the model."""

    title: ClassVar[str] = "Fisher"
    matrix: ClassVar[type[matrices.Curvature]] = matrices.Fisher


Curvature = Identity | DiagonalEmpiricalFisher | Hessian | GaussNewton | Fisher


# Solver: how (B + λI) d = −g is solved.


class Auto(Part, frozen=True, kw_only=True, tag="auto"):
    """Cholesky up to 2,500 parameters where the layers' structure gives the dense matrix, up to 300 where it takes a
    product for every parameter; conjugate gradient above."""

    title: ClassVar[str] = "Automatic"
    largest_dense: ClassVar[int] = 2500
    largest_by_products: ClassVar[int] = 300


class Cholesky(Part, frozen=True, kw_only=True, tag="cholesky"):
    """The dense matrix, factorized."""

    title: ClassVar[str] = "Cholesky"


class ConjugateGradient(Part, frozen=True, kw_only=True, tag="conjugate-gradient"):
    """Products with B alone (Hestenes and Stiefel 1952), until the residual is small enough."""

    title: ClassVar[str] = "Conjugate gradient"

    tolerance: Annotated[float, Meta(ge=1e-15, lt=1, description="Stop at ‖(B + λI)d + g‖ ≤ tolerance · ‖g‖")] = 1e-4
    iterations: Annotated[int, Meta(ge=1, le=100_000, description="Stop after so many at the latest")] = 250


Solver = Auto | Cholesky | ConjugateGradient


# Damping: what λ is.


class Undamped(Part, frozen=True, kw_only=True, tag="none"):
    """λ = 0."""

    title: ClassVar[str] = "None"


class ConstantDamping(Part, frozen=True, kw_only=True, tag="constant"):
    """λ stays what it is (Tikhonov)."""

    title: ClassVar[str] = "Constant"

    value: Annotated[float, Meta(gt=0, le=1e12, description="λ added to the diagonal of B")] = 1.0


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
    floor: Annotated[float, Meta(gt=0, le=1, description="The smallest λ")] = 1e-12
    ceiling: Annotated[float, Meta(ge=1, le=1e20, description="The largest λ")] = 1e12
    model: Annotated[
        Literal["undamped", "damped"], Meta(description="Which quadratic model ρ compares the loss with")
    ] = "undamped"

    def adapted(self, damping: float, ratio: float) -> float:
        """λ after a step with reduction ratio ρ; NaN says nothing about the model and leaves λ alone."""
        if ratio > 0.75:
            damping *= self.factor
        elif ratio < 0.25:
            damping /= self.factor
        return min(max(damping, self.floor), self.ceiling)


Damping = Undamped | ConstantDamping | LevenbergMarquardt


# Momentum: what of the past a step carries.


class NoMomentum(Part, frozen=True, kw_only=True, tag="none"):
    """Each step stands alone."""

    title: ClassVar[str] = "None"


class HeavyBall(Part, frozen=True, kw_only=True, tag="heavy-ball"):
    """δ_k = μδ_{k−1} + αd_k (Polyak 1964)."""

    title: ClassVar[str] = "Heavy ball"

    coefficient: Annotated[float, Meta(ge=0, lt=1, description="μ, the share of the last step that goes on")] = 0.9


class GradientAverage(Part, frozen=True, kw_only=True, tag="gradient-average"):
    """The gradient is replaced by its running average, bias-corrected (Kingma and Ba 2015)."""

    title: ClassVar[str] = "Gradient average"

    decay: Annotated[float, Meta(ge=0, lt=1, description="β₁ of m ← β₁m + (1 − β₁)g")] = 0.9


Momentum = NoMomentum | HeavyBall | GradientAverage

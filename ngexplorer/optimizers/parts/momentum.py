"""Momentum: what of the past a step carries; and averaging: what of it the result is."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ngexplorer.optimizers.parts.base import Part


class NoMomentum(Part, frozen=True, kw_only=True, tag="none"):
    """Each step stands alone."""

    title: ClassVar[str] = "None"


class HeavyBall(Part, frozen=True, kw_only=True, tag="heavy-ball"):
    """δ_k = μδ_{k−1} + αd_k (Polyak 1964). Where the step rule minimizes the quadratic model, it finds μ as well."""

    title: ClassVar[str] = "Heavy ball"

    coefficient: Annotated[float, Meta(ge=0, lt=1, description="μ, the share of the last step that goes on")] = 0.9


class Nesterov(Part, frozen=True, kw_only=True, tag="nesterov"):
    """v ← μv + αd, δ = αd + μv: the gradient as if taken after the momentum (Nesterov 1983; Sutskever et al. 2013)."""

    title: ClassVar[str] = "Nesterov"

    coefficient: Annotated[float, Meta(ge=0, lt=1, description="μ, the share of the velocity that goes on")] = 0.9


class GradientAverage(Part, frozen=True, kw_only=True, tag="gradient-average"):
    """The gradient is replaced by its running average, bias-corrected (Kingma and Ba 2015)."""

    title: ClassVar[str] = "Gradient average"

    decay: Annotated[float, Meta(ge=0, lt=1, description="β₁ of m ← β₁m + (1 − β₁)g")] = 0.9


Momentum = NoMomentum | HeavyBall | Nesterov | GradientAverage

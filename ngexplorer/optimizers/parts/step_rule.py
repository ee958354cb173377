"""Step rule: how far to go along the direction."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ngexplorer.optimizers.parts.base import Part


class Fixed(Part, frozen=True, kw_only=True, tag="fixed"):
    """α is the learning rate."""

    title: ClassVar[str] = "Fixed"


class Schedule(Part, frozen=True, kw_only=True, tag="schedule"):
    """α_k is the learning rate times a factor that depends on the step k = 0, 1, …"""

    title: ClassVar[str] = "Schedule"

    shape: Annotated[
        Literal["1/k", "cosine", "warm-up"],
        Meta(description="1/(1 + k/T); from 1 to 0 over T steps as a cosine; (k + 1)/T up to 1"),
    ] = "cosine"
    steps: Annotated[int, Meta(ge=1, le=10_000_000, description="T")] = 100

    def factor(self, k: int) -> float:
        """What the learning rate is multiplied by at step k."""
        if self.shape == "1/k":
            return 1 / (1 + k / self.steps)
        share = min(k / self.steps, 1.0)
        return 0.5 * (1 + math.cos(math.pi * share)) if self.shape == "cosine" else min((k + 1) / self.steps, 1.0)


class Armijo(Part, frozen=True, kw_only=True, tag="armijo"):
    """From the learning rate down by a factor until h falls by c of what the slope promises (Armijo 1966)."""

    title: ClassVar[str] = "Armijo line search"

    decrease: Annotated[float, Meta(gt=0, lt=1, description="c of h(θ + αd) ≤ h(θ) + cα gᵀd")] = 1e-2
    factor: Annotated[float, Meta(gt=0, lt=1, description="By which α is shortened")] = 0.8
    trials: Annotated[int, Meta(ge=1, le=1000, description="At most so many")] = 60


class Wolfe(Part, frozen=True, kw_only=True, tag="wolfe"):
    """α with the strong Wolfe conditions: h falls enough and its slope flattens (Nocedal and Wright, alg. 3.5)."""

    title: ClassVar[str] = "Strong Wolfe line search"

    decrease: Annotated[float, Meta(gt=0, lt=1, description="c₁ of h(θ + αd) ≤ h(θ) + c₁α gᵀd")] = 1e-4
    curvature: Annotated[float, Meta(gt=0, lt=1, description="c₂ of |∇h(θ + αd)ᵀd| ≤ c₂|gᵀd|")] = 0.9
    trials: Annotated[int, Meta(ge=1, le=1000, description="At most so many")] = 25


class ModelMinimum(Part, frozen=True, kw_only=True, tag="model-minimum"):
    """α minimizes the quadratic model along d, damping included; with momentum, α and μ minimize it jointly in the
    plane of d and the last step (Martens and Grosse 2015, §7). Products with B, for K-FAC with the exact Fisher."""

    title: ClassVar[str] = "Minimum of the quadratic model"


StepRule = Fixed | Schedule | Armijo | Wolfe | ModelMinimum

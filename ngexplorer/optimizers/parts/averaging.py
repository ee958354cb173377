"""Averaging: which combination of the iterates counts as the result."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ngexplorer.optimizers.parts.base import Part


class LastIterate(Part, frozen=True, kw_only=True, tag="none"):
    """The iterate itself."""

    title: ClassVar[str] = "None"


class Polyak(Part, frozen=True, kw_only=True, tag="polyak"):
    """The mean of all iterates θ_s, …, θ_k, the start being θ₀ (Polyak and Juditsky 1992; Martens 2020, §14)."""

    title: ClassVar[str] = "Polyak"

    start: Annotated[int, Meta(ge=0, le=10_000_000, description="s, the first iterate that counts")] = 0


class Exponential(Part, frozen=True, kw_only=True, tag="exponential"):
    """A running average θ̄ ← ξθ̄ + (1 − ξ)θ (Martens and Grosse 2015)."""

    title: ClassVar[str] = "Exponential"

    decay: Annotated[float, Meta(ge=0, lt=1, description="ξ")] = 0.99


Averaging = LastIterate | Polyak | Exponential

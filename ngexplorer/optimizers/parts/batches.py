"""Batches: which cases a step looks at."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ngexplorer.optimizers.parts.base import Part


class AllCases(Part, frozen=True, kw_only=True, tag="all"):
    """Every case at every step."""

    title: ClassVar[str] = "All cases"


class MiniBatch(Part, frozen=True, kw_only=True, tag="mini-batch"):
    """Some cases, drawn anew at every step without repetition; the step's losses are of them, the curves' of all."""

    title: ClassVar[str] = "Mini-batches"

    size: Annotated[int, Meta(ge=1, le=10_000_000, description="Cases of the gradient")] = 128
    curvature: Annotated[
        int,
        Meta(ge=0, le=10_000_000, description="Cases of the curvature matrix, drawn apart; 0: those of the gradient"),
    ] = 0


Batches = AllCases | MiniBatch

"""Correction: how closely a step follows the flow dθ/dt = −B⁻¹∇h, whose path no parametrization changes."""

from __future__ import annotations

from typing import ClassVar

from ngexplorer.optimizers.parts.base import Part


class Euler(Part, frozen=True, kw_only=True, tag="euler"):
    """Straight ahead: invariant to first order in the step."""

    title: ClassVar[str] = "None"


class Geodesic(Part, frozen=True, kw_only=True, tag="geodesic"):
    """δ = δ₁ − ½δ₂ with Fδ₂ = Γ(δ₁, δ₁), the second-order path of the metric's geodesic (Martens 2020, §12; Song et al.
    2018). For the Fisher matrix."""

    title: ClassVar[str] = "Geodesic"


class Midpoint(Part, frozen=True, kw_only=True, tag="midpoint"):
    """Half a step, look there, and take the whole step from the start along what is found: second order in the step."""

    title: ClassVar[str] = "Midpoint"


Correction = Euler | Geodesic | Midpoint

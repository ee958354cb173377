"""What is said of a neighbourhood: the numbers of the chosen λ, what they mean for the run's step, and the picture."""

from __future__ import annotations

import math

import numpy as np

from ngexplorer.analysis.neighbourhood import Neighbourhood
from ngexplorer.gui.plots.axes import compact

_NOTHING = 1e-9
"""Of the largest |eigenvalue|: what is so little below zero is rounding."""
_OFF = 0.005
"""The share of a step off the plane that is worth telling."""


def numbers(here: Neighbourhood, damping: float, loss: float | None) -> str:
    """ρ, what was promised and what comes of δ(λ), `loss` where that is known, and its length."""
    promise = here.promise(damping)
    change = math.nan if loss is None else loss - here.path.loss
    norm = "‖δ‖" if here.euclidean else "‖δ‖_B"
    told = (
        f"ρ {compact(change / promise if promise else math.nan)}",
        f"‑ ‑ promised {_signed(promise)}",
        f"— came {_signed(change)}",
        f"{norm} {compact(here.length(damping))}",
    )
    return " · ".join(told)


def cut(here: Neighbourhood, damping: float) -> str:
    """How much of the gradient that λ cuts."""
    return f"λ cuts {_percent(here.cut(damping))} of ∇h, where λᵢ < λ"


def hindrances(here: Neighbourhood) -> str:
    """What is in the way of small λ: the matrix itself, and what the run tried before its step; empty where nothing."""
    parts = []
    if _bounded(here):
        floor = here.path.solution.floor
        parts.append(f"no minimum below λ = −λmin = {compact(floor)}")
        if 0 < here.own <= floor:
            parts.append(f"the run's λ, {compact(here.own)}, is there")
    if tried := here.stand.rejected:
        between = " … " if len(tried) > 2 else ", "
        ends = between.join(map(compact, tried if len(tried) < 2 else (tried[0], tried[-1])))
        parts.append(f"rejected λ = {ends}")
    return " · ".join(parts)


def _bounded(here: Neighbourhood) -> bool:
    """Whether the model has a minimum for larger λ alone."""
    return here.path.solution.floor > _NOTHING * here.path.solution.scale


def off_plane(here: Neighbourhood, damping: float) -> str:
    """How much of δ(λ) the picture does not show; empty where that is not worth telling."""
    at = np.array([damping])
    whole = float(here.path.solution.norms(at)[0]) ** 2
    inside = float(np.square(here.places(at)[0] - here.centre).sum())
    off = math.sqrt(max(0.0, 1 - inside / whole)) if whole > 0 else 0.0
    return f"{100 * off:.0f} % of δ(λ) is off it" if off >= _OFF else ""


def explanation(here: Neighbourhood) -> list[str]:
    """What the lines of the picture are."""
    norm = "‖δ‖" if here.euclidean else "‖δ‖_B, the norm of its matrix"
    lines = [
        f"Solid: the damping path δ(λ) of the {here.kind}, a ring at the run's own λ.",
        f"Dashed: where the trust region ends in which δ(λ) is the model's minimum, in {norm}.",
        "Shaded: the loss. Lines: the models, at the same heights. Arrows that would leave are shortened.",
    ]
    if not math.isnan(here.damped):
        lines.append(f"Steps with λ = {compact(here.damped)}.")
    return lines


CUT = """λᵢ, an eigenvalue of the matrix B; uᵢ, its eigenvector. Damping leaves λᵢ/(λᵢ + λ) of Newton's step along uᵢ.
Where λᵢ > λ that is most of it; where λᵢ < λ the step is cut to one down the gradient, of rate 1/λ.
The share is that of ‖∇h‖² along the uᵢ that are cut (Martens 2020, §10)."""
"""What the share means, at length."""


def hindered(here: Neighbourhood) -> str:
    """What `hindrances` means, at length."""
    lines = [hindrances(here)]
    if _bounded(here):
        lines.append(
            "Where B + λI has a negative eigenvalue the model falls without end, and promises nothing: the axis begins "
            "above that."
        )
    if here.stand.rejected:
        tried = ", ".join(map(compact, here.stand.rejected))
        lines.append(f"Dotted lines: λ of the trials that the run rejected here before the step it took: {tried}.")
    return "\n".join(lines)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + compact(value)


def _percent(share: float) -> str:
    """In whole percents, and more closely near the ends."""
    return f"{100 * share:.0f} %" if 0.01 <= share <= 0.99 or share in (0, 1) else f"{100 * share:.2g} %"


def axes(here: Neighbourhood) -> tuple[str, str]:
    """What stands along the axes of the plane, across and up."""
    if here.plane.axes.shape[1] == 2:
        return "first parameter", "second parameter"
    across, _, _ = here.spanned.removeprefix("the ").removesuffix(", along which every step lies").partition(" and ")
    return f"along the {across}", "at right angles to it, towards the gradient"

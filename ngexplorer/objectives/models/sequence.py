"""An input as a sequence: an image's rows from top to bottom or, where there is no image, its numbers one by one."""

from __future__ import annotations

from ngexplorer.objectives.traits import Traits

_LONGEST = 64  # A transformer holds T² numbers a head and case.


def shape(traits: Traits) -> tuple[int, int]:
    """(T, D): the steps, and the numbers at each; T·D are the features."""
    return traits.image or (traits.features, 1)


def refusal(traits: Traits) -> str | None:
    """Why such inputs make no sequence to read in reasonable time, or None if they do."""
    steps, _ = shape(traits)
    return None if steps <= _LONGEST else f"reads at most {_LONGEST} steps; these inputs would be {steps}"

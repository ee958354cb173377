"""Numbers by which runs are compared, and what sets two of them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ngexplorer.optimizers import Optimizer
from ngexplorer.runs.extremes import Extremes

_COSTS = ("seconds", "gradient_equivalents")
_OBVIOUS = ("value", "initial", "coefficient", "decay")
"""Settings that need no name beside their part's: "damping 0.1"."""


@dataclass(frozen=True)
class Standing:
    """How a run stands at a step: its loss there, the lowest up to there and its step, and when it first was at a
    target or below. What there is not (yet) is None."""

    final: float | None
    best: float | None
    best_step: int | None
    target_step: int | None
    target_seconds: float | None
    target_gradients: float | None
    """In gradient equivalents."""


def standing(losses: Extremes, step: int, target: float | None = None) -> Standing:
    """How the run of these losses stands at a step (or its last row that is read), without reading them all again."""
    history, last = losses.history, min(step, losses.read - 1)
    if last < 0:
        return Standing(None, None, None, None, None, None)
    lowest = losses.lowest(last + 1)
    reached = None if target is None else losses.first_at_or_below(target)
    if reached is not None and reached > last:
        reached = None
    return Standing(
        history.row(last)["loss"],
        None if lowest is None else history.row(lowest)["loss"],
        lowest,
        reached,
        *((None, None) if reached is None else [history.row(reached)[name] for name in _COSTS]),
    )


def differences(first: Optimizer, second: Optimizer) -> list[tuple[str, Any, Any]]:
    """Paths of the settings in which two optimizers differ, and both values; a part that is another one is one entry,
    by its name."""
    found: list[tuple[str, Any, Any]] = []
    one, other = msgspec.to_builtins(first), msgspec.to_builtins(second)
    for key in one:
        a, b = one[key], other[key]
        if a == b or key == "name":
            continue
        if isinstance(a, dict) and isinstance(b, dict) and a.get("name") == b.get("name"):
            found += [(f"{key}.{inner}", a[inner], b[inner]) for inner in a if a[inner] != b[inner]]
        else:
            found.append((key, *(value["name"] if isinstance(value, dict) else value for value in (a, b))))
    return found


def said(path: str, optimizer: Optimizer) -> str:
    """What an optimizer has at a path, in few words: "damping 0.1", of a whole part "damping constant 0.1"."""
    part, _, setting = path.rpartition(".")
    value: Any = msgspec.to_builtins(optimizer)
    for name in path.split("."):
        value = value[name]
    words = [part if setting in _OBVIOUS else path.replace(".", " ")]
    if isinstance(value, dict):
        words.append(value["name"].replace("-", " "))
        value = next((value[name] for name in _OBVIOUS if name in value), "")
    words.append(f"{value:.4g}" if isinstance(value, float) else str(value).replace("-", " "))
    return " ".join(words).replace("_", " ").strip()

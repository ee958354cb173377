"""Times of several pieces of work as ratios to one yardstick, measured in turns in one run."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from time import process_time

Work = Callable[[], object]


def once(work: Work) -> float:
    """Seconds of this process for one call, to which a busy neighbour adds nothing; the garbage collector held off."""
    gc.disable()
    try:
        began = process_time()
        work()
        return process_time() - began
    finally:
        gc.enable()


def ratios(yardstick: Work, works: dict[str, Work], *, rounds: int = 7, at_least: float = 0.02) -> dict[str, float]:
    """The median over the rounds of each work's seconds over the yardstick's, which is timed just before it.

    Each is repeated within a round until it takes `at_least` seconds, so that the clock and a noisy neighbour weigh
    little; the first round warms up and is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    repeats = {name: max(1, round(at_least / max(once(work), 1e-7))) for name, work in works.items()}
    unit_repeats = max(1, round(at_least / max(once(yardstick), 1e-7)))
    for counted in range(rounds + 1):
        for name, work in works.items():
            unit = sum(once(yardstick) for _ in range(unit_repeats)) / unit_repeats
            took = sum(once(work) for _ in range(repeats[name])) / repeats[name]
            if counted:
                found[name].append(took / unit)
    return {name: statistics.median(values) for name, values in found.items()}

"""What the instruments read along a run that none was scheduled for: here first, and then through its kept θ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.runs import Run
from ngexplorer.runs.instruments import DAMPING, Observer, Sight, batch_of, overlaps, top_eigenspaces
from ngexplorer.runs.readings import Reading

LOOKS = 33
"""At most so many looks along a run, the ends among them."""
_SPACES = 128 * 2**20
"""Bytes of eigenspaces that are kept to be compared: of fewer steps where they are large."""


@dataclass(frozen=True)
class Look:
    """A reading, and which share of the looks asked for is done."""

    reading: Reading
    done: float


def looks(run: Run, here: int, last: int, most: int = LOOKS) -> list[int]:
    """At which steps to look: at the kept θ nearest to `here`, then coarse to fine at kept ones up to `last`, with at
    most `most` of them, each once."""
    kept = run.history.snapshots.until(last, 10**9)
    steps = np.array([step for step, _ in kept])
    if not len(steps):
        return []
    found = [run.history.parameters(here)[1]]
    parts = 1
    while parts < most:
        places = np.linspace(0, last, parts + 1)
        found += [int(steps[np.abs(steps - place).argmin()]) for place in places]
        parts *= 2
    return list(dict.fromkeys(found))


def sight(run: Run, step: int, cancel: Cancel) -> Sight:
    """A kept θ of a run, and what is known of its step from there. Safe beside the thread that the run goes on in."""
    history = run.history
    theta, at = history.parameters(step)
    after, next_at = history.parameters(at + 1)
    delta, damping, rate = None, DAMPING, float("nan")
    like = run.objective.initial_parameters
    if len(history) > at + 1:
        damping, rate = history.value("damping", at + 1), history.value("learning_rate", at + 1)
        damping = damping if damping > 0 else DAMPING
        if next_at == at + 1 and bool((after != theta).any()):
            delta = torch.as_tensor(after).to(like) - torch.as_tensor(theta).to(like)
    batch = batch_of(run.optimizer_of(at + 1), run.objective)
    return Sight(run.objective.at(torch.as_tensor(theta).to(like), Watch(cancel)), delta, damping, rate, batch)


def readings(run: Run, name: str, steps: list[int], cancel: Cancel) -> Iterator[Look]:
    """What the instrument of that name reads at those kept steps, in their order. Raises Cancelled."""
    if name == "eigenspaces":
        yield from _overlaps(run, steps, cancel)
        return
    observer = Observer()
    for i, step in enumerate(steps):
        yield Look(observer.look(name, sight(run, step, cancel), step), (i + 1) / len(steps))


def _overlaps(run: Run, steps: list[int], cancel: Cancel) -> Iterator[Look]:
    """Between looks that are neighbours by then: a look between two others takes the place of theirs."""
    spaces: dict[int, dict[str, Tensor]] = {}
    bytes_each = 2 * 8 * 10 * run.objective.parameters
    steps = steps[: max(2, _SPACES // bytes_each)]
    for i, step in enumerate(steps):
        try:
            spaces[step], refused = top_eigenspaces(sight(run, step, cancel).point)
        except (ValueError, ArithmeticError, MemoryError, torch.linalg.LinAlgError) as error:
            spaces[step], refused = {}, {"": str(error)}
        done = (i + 1) / len(steps)
        order = sorted(spaces)
        place = order.index(step)
        before = (order[place - 1], spaces[order[place - 1]]) if place else None
        yield Look(overlaps(step, spaces[step], before, refused), done)
        if place + 1 < len(order):
            after = order[place + 1]
            yield Look(overlaps(after, spaces[after], (step, spaces[step]), refused), done)

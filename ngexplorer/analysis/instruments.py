"""What the instruments read along a run that none was scheduled for: here first, and then through its kept θ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.runs import Run
from ngexplorer.runs.instruments import DAMPING, Observer, Sight, batch_of, directions, overlaps, top_eigenspaces
from ngexplorer.runs.readings import Array, Reading

LOOKS = 33
"""At most so many looks along a run, the ends among them."""
_SPACES = 128 * 2**20
"""Bytes of eigenspaces that are kept to be compared: of fewer steps where they are large."""


@dataclass(frozen=True)
class Look:
    """A reading of one of the runs asked about, by its place among them, and which share of all looks is done."""

    place: int
    reading: Reading
    done: float


def looks(run: Run, here: int | None, last: int, most: int = LOOKS) -> list[int]:
    """At which steps to look: at the kept θ nearest to `here`, if that is given, then coarse to fine at kept ones up to
    `last`, at most `most` of them, each once."""
    kept = run.history.snapshots.until(last, 10**9)
    steps = np.array([step for step, _ in kept])
    if not len(steps):
        return []
    found = [] if here is None else [run.history.parameters(here)[1]]
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


def through(asked: Sequence[tuple[Run, list[int]]], name: str, cancel: Cancel) -> Iterator[Look]:
    """What the instrument of that name reads of several runs at kept steps of each, in their order, one look of each
    run after the other. Raises Cancelled."""
    along = _overlaps if name == "eigenspaces" else _along
    going = {place: along(run, name, steps, cancel) for place, (run, steps) in enumerate(asked)}
    total, answered = sum(len(steps) for _, steps in asked), 0
    while going:
        for place, looking in list(going.items()):
            found = next(looking, None)
            if found is None:
                del going[place]
                continue
            answered += 1
            for i, reading in enumerate(found):
                yield Look(place, reading, (answered if i + 1 == len(found) else answered - 1) / total)


def _along(run: Run, name: str, steps: list[int], cancel: Cancel) -> Iterator[list[Reading]]:
    observer = Observer()
    for step in steps:
        yield [observer.look(name, sight(run, step, cancel), step)]


def _overlaps(run: Run, name: str, steps: list[int], cancel: Cancel) -> Iterator[list[Reading]]:
    """Between looks that are neighbours by then: a look between two others is followed by a new one of the later."""
    spaces: dict[int, dict[str, Tensor]] = {}
    bytes_each = 2 * 8 * directions(run.objective) * run.objective.parameters
    for step in steps[: max(2, _SPACES // bytes_each)]:
        try:
            spaces[step], refused = top_eigenspaces(sight(run, step, cancel).point)
        except (ValueError, ArithmeticError, MemoryError, torch.linalg.LinAlgError) as error:
            spaces[step], refused = {}, {"": str(error)}
        order = sorted(spaces)
        place = order.index(step)
        before = (order[place - 1], spaces[order[place - 1]]) if place else None
        found = [overlaps(step, spaces[step], before, refused)]
        if place + 1 < len(order):
            after = order[place + 1]
            found.append(overlaps(after, spaces[after], (step, spaces[step]), refused))
        yield found


def stretches_above(x: Array, height: Array, limit: Array) -> list[tuple[Array, Array, Array]]:
    """Where along x, (n,), a line stands above another one: each stretch as x, the limit and the height, (m,) each,
    from crossing to crossing (linearly interpolated). NaN ends a stretch."""
    excess = height - limit
    found: list[list[tuple[float, float, float]]] = []
    going = False
    for i in range(len(x)):
        if i and excess[i - 1] * excess[i] < 0:
            share = float(excess[i - 1] / (excess[i - 1] - excess[i]))
            at = tuple(float(v[i - 1] + share * (v[i] - v[i - 1])) for v in (x, limit, limit))
            crossing = (at[0], at[1], at[2])
            if going:
                found[-1].append(crossing)
            else:
                found.append([crossing])
            going = not going
        if excess[i] > 0:
            if not going:
                found.append([])
                going = True
            found[-1].append((float(x[i]), float(limit[i]), float(height[i])))
        else:
            going = False
    return [(part[:, 0], part[:, 1], part[:, 2]) for part in (np.array(one) for one in found) if len(part) > 1]

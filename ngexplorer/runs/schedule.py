"""Schedules: at which steps a probe looks."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """When a probe looks, by the number of the step, from 0 (the start)."""

    title: ClassVar[str]

    def due(self, step: int) -> bool:
        raise NotImplementedError


class Every(Schedule, frozen=True, kw_only=True, tag="every"):
    """At every so many steps: 0, k, 2k, …"""

    title: ClassVar[str] = "Every so many steps"

    interval: Annotated[int, Meta(ge=1, le=10_000_000, description="Steps between two looks")] = 1

    def due(self, step: int) -> bool:
        return step % self.interval == 0


class Logarithmic(Schedule, frozen=True, kw_only=True, tag="logarithmic"):
    """At steps that are evenly spaced on a logarithmic axis: 0, 1 and ⌈10^(i/n)⌉."""

    title: ClassVar[str] = "Evenly on a logarithmic axis"

    per_decade: Annotated[int, Meta(ge=1, le=1000, description="Looks between a step and ten times that step, n")] = 10

    def due(self, step: int) -> bool:
        if step <= 1:
            return True
        # The last i whose step is not beyond this one: due where it is this one. 10^(i/n) is exact to some units in
        # the last place only, so i is looked for on both sides.
        i = math.floor(self.per_decade * math.log10(step))
        return any(math.ceil(10 ** (j / self.per_decade) * (1 - 1e-12)) == step for j in (i - 1, i, i + 1))


class Never(Schedule, frozen=True, kw_only=True, tag="never"):
    """Only when asked."""

    title: ClassVar[str] = "Only when asked"

    def due(self, step: int) -> bool:
        return False


class WithinShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag="share"):
    """As often as a share of the race's compute allows for, all runs at the same steps: not by the step alone, so it is
    no schedule of its own; the probe knows what it has cost."""

    title: ClassVar[str] = "As often as a share of compute allows"

    share: Annotated[float, Meta(gt=0, le=100, description="Seconds of looking for each second of compute")] = 0.2


AnySchedule = Every | Logarithmic | Never

"""What is known of a run, and of all runs of a race, in whichever process their steps are taken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from ngexplorer.objectives import Objective
from ngexplorer.optimizers import Optimizer
from ngexplorer.runs.history import History
from ngexplorer.runs.probes import Probes

State = Literal["ready", "running", "finished", "stopped", "diverged", "failed"]
Turns = Literal["steps", "seconds"]

_ASTRAY = 1e4
"""How many times as high as at the start the loss of a run is that has gone astray. Less can be mended: undamped Newton
on Rosenbrock's valley climbs to 58 times the start and is at the minimum three steps later."""


@dataclass(frozen=True)
class Origin:
    """Where a fork parts from another run: at the θ of a step, with δ(λ) instead of the step that was taken there."""

    run: Record
    step: int
    damping: float

    @property
    def suffix(self) -> str:
        """What its label has beside the other run's."""
        return f"↳ {self.step}, λ {self.damping:.3g}"


class Record:
    """One optimizer on the objective: its history, and how it stands."""

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        *,
        label: str,
        seed: int,
        steps: int,
        probes: Probes = Probes(),  # noqa: B008  a frozen record
        history: History | None = None,
    ) -> None:
        self.objective = objective
        self.probes = probes
        self.label = label
        self.steps = steps
        self.state: State = "ready"
        self.seconds = 0.0
        self.probe_seconds = 0.0
        """What its probes took, which is not in its own seconds; spectra count theirs themselves"""
        self.gradient_equivalents = 0.0
        self.damping = math.nan
        """What its rule damps the next step with: λ, a trust region's Δ or a cube's M; NaN before it has begun."""
        self.history = history if history is not None else History(label, optimizer.name, seed)
        self.origin: Origin | None = None
        """Where it parted from another run, of which it has all until then; None: it began at the start."""
        self.optimizers = [(0, optimizer)]
        """The optimizer, and after which step it was changed into that."""

    @property
    def optimizer(self) -> Optimizer:
        """As it now is, with the edits made to it."""
        return self.optimizers[-1][1]

    def optimizer_of(self, step: int) -> Optimizer:
        """As it was when it took the step of that number, from 1."""
        return next(optimizer for after, optimizer in reversed(self.optimizers) if after < max(step, 1))

    @property
    def step(self) -> int:
        """Steps taken."""
        return max(0, len(self.history) - 1)

    @property
    def live(self) -> bool:
        """Whether it can take another step."""
        return self.state in ("ready", "running", "stopped") and self.step < self.steps

    @property
    def astray(self) -> bool:
        """Whether its loss is so far above what it was at the start that beside it no other could be seen: it has
        diverged, or is 10⁴ times as high."""
        rows = len(self.history)
        return self.state == "diverged" or (rows > 0 and self._risen(self.history.value("loss", rows - 1), _ASTRAY))

    def _risen(self, loss: float, times: float) -> bool:
        """Whether a loss is above so many times the one at the start; one below 1 counts as 1, for it may be 0."""
        return loss > times * max(abs(self.history.loss_at_start), 1.0)


Known = TypeVar("Known", bound=Record)


class Lineup(Generic[Known]):
    """The runs of a race."""

    def __init__(self, runs: list[Known], turns: Turns = "steps") -> None:
        self.runs = runs
        self.turns = turns
        """Who is next: the run with the fewest steps, or with the least seconds of compute."""
        self.spectra_seconds = 0.0
        """What their spectra took, which is in no run's seconds."""

    @property
    def live(self) -> list[Known]:
        """Those that can take another step."""
        return [run for run in self.runs if run.live]

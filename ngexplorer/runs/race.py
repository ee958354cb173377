"""The loop: several runs of one objective advancing in turns, free of any window."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain, count
from time import perf_counter
from typing import Any

import msgspec
import torch
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled, Watch, never
from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import Optimizer, Step, Stepper
from ngexplorer.runs.history import Branch, Event, History
from ngexplorer.runs.instruments import DAMPING, Observer, Sight, batch_of, missing
from ngexplorer.runs.probes import Probes, SpectrumProbe, angles_of, evaluate, hessian_along
from ngexplorer.runs.record import Lineup, Origin, Record, Turns
from ngexplorer.runs.schedule import Never

_DIVERGED = 1e15
"""How many times as high as at the start the loss of a run becomes that has diverged."""

# A gradient cheaper than this is faster on one thread than shared out among several.
_SHARED_OUT = 1e9


class Run(Record):
    """One optimizer on the objective, which takes steps: its stepper, its history, and how it stands."""

    _stepper: Stepper | None = None

    @cached_property
    def _observer(self) -> Observer:
        return Observer()

    def set_steps(self, steps: int) -> None:
        """Change how many steps it may take."""
        self.steps = steps
        if self.state == "finished" and self.step < steps:
            self.state = "stopped"
        elif self.live is False and self.state in ("running", "stopped"):
            self.state = "finished"

    def begin(self) -> None:
        """Look at the start and write row 0. An exception ends this run, not the race."""
        if self._stepper is not None or self.state == "failed":
            return
        try:
            began = perf_counter()
            stepper = self.optimizer.start(self.objective, seed=self.history.seed)
            loss = float(stepper.point.value)
            self.seconds += perf_counter() - began
            if not math.isfinite(loss):
                raise ValueError(f"the loss at the start is {loss}; a finite one is needed")
            self._stepper, self.damping = stepper, stepper.damping
            self._write(loss, None, stepper.point)
        except Exception as error:
            self._fail(error)

    def edit(self, path: str, value: Any) -> None:
        """Change one setting from the next step on, and record it as an event. Raises SettingError."""
        self.begin()
        if self._stepper is None:
            return
        before = _setting(self._stepper.optimizer, path)
        self._stepper.edit(path, value)
        self.damping = self._stepper.damping
        self.optimizers.append((self.step, self._stepper.optimizer))
        self.history.events.append(Event(self.step, "edit", f"{path} = {value}, was {before}"))

    def advance(self, cancel: Cancel, spectra: SpectrumProbe | None = None, number: int = 0) -> None:
        """Take one step. Divergence and exceptions end this run and are recorded; Cancelled leaves it as it was.

        A run has diverged where a step ends at a loss that is no finite number, or more than 10¹⁵ times the one at the
        start, beside which that is below rounding. Such a step is not written down.
        """
        self.begin()
        self._go(lambda stepper: stepper.step(cancel), spectra, number, cancel)

    def _go(
        self,
        take: Callable[[Stepper], Step],
        spectra: SpectrumProbe | None = None,
        number: int = 0,
        cancel: Cancel = never,
    ) -> None:
        """Take a step and write it down."""
        stepper = self._stepper
        if stepper is None or not self.live:
            return
        self.state = "running"
        looked = stepper.point
        try:
            step = take(stepper)
            if not math.isfinite(step.loss_after) or self._risen(step.loss_after, _DIVERGED):
                self._diverge(step.loss_after)
                return
            self.seconds += step.step_seconds
            self.gradient_equivalents += step.step_gradient_equivalents
            self.damping = stepper.damping
            point = stepper.result
            step = self._probed(step, looked.theta, stepper)
            if stepper.rejections:
                self.history.rejections[len(self.history)] = tuple(stepper.rejections)
            # The step's own loss, read already, where it looked at what counts.
            self._write(step.loss_after if point is stepper.point else float(point.value), step, point)
            if self.step >= self.steps:
                self.state = "finished"
            self._observe(looked.theta, stepper, step, cancel)
            if spectra is not None:
                self._look(spectra, number, looked, step)
        except Cancelled:
            raise
        except Exception as error:
            self._fail(error)

    def fork(self, step: int, delta: Tensor, damping: float, matrix: str) -> Run:
        """A new run that has this one's past up to a step, takes δ (P,) there and goes on with this one's optimizer as
        it now is, damped by λ = `damping` where it has a λ.

        δ solves (B + λI)δ = −∇h with B named by `matrix`, for the record. Momentum, running averages and draws begin
        anew, so that all that follows is determined by θ, δ and λ. Raises ValueError where no θ of that step is kept.
        """
        return self.fork_at(self.history.branch(step), delta, damping, matrix)

    def fork_at(self, branch: Branch, delta: Tensor, damping: float, matrix: str) -> Run:
        """The fork at a branch of this run's history, which may be kept elsewhere."""
        step = branch.step
        origin = Origin(self, step, damping)
        label = f"{branch.label} {origin.suffix}"
        steps = max(self.steps, step + 1)
        fork = Run(
            self.objective,
            self.optimizer,
            label=label,
            seed=self.history.seed,
            steps=steps,
            probes=self.probes,
            history=self.history.until(step, label),
        )
        fork.origin = origin
        fork.seconds, fork.gradient_equivalents = branch.seconds, branch.gradient_equivalents
        what = (
            f"forked from {branch.label} at step {step}: δ(λ) of {matrix}, λ = {damping:.6g}, instead of its own step"
        )
        fork.history.events.append(Event(step, "fork", what))
        start = torch.as_tensor(branch.theta).to(self.objective.initial_parameters)
        fork._stepper = self.optimizer.start(self.objective, start, self.history.seed)
        fork.optimizers = [(after, optimizer) for after, optimizer in self.optimizers if after < max(step, 1)]
        fork._go(lambda stepper: msgspec.structs.replace(stepper.take(delta, damping), solver=f"δ(λ) of {matrix}"))
        fork.optimizers.append((step, fork._stepper.optimizer))
        return fork

    def _look(self, spectra: SpectrumProbe, number: int, point: Point, step: Step) -> None:
        """Take the spectra at the point that the step left, if they are due. What fails there is an event and changes
        no result."""
        assert self._stepper is not None
        left = self.step - 1
        if not spectra.due(number, left, step.step_seconds):
            return
        if point.objective is not self.objective:
            point = self.objective.at(point.theta)
        try:
            self.history.spectra += spectra.take(number, self._stepper.optimizer, point, left, step.damping)
        except Exception as error:
            message = f"no spectrum at step {left}: {type(error).__name__}: {error}"
            self.history.events.append(Event(left, "spectrum", message, traceback.format_exc()))

    def _observe(self, left: Tensor, stepper: Stepper, step: Step, cancel: Cancel) -> None:
        """Look through the instruments that are due at the θ that the step left, on all cases and at a point of their
        own. What fails there is an event and changes no result; a look that is stopped is missing."""
        at = self.step - 1
        due = self.probes.due(at)
        if not due:
            return
        began = perf_counter()
        damping = step.damping if step.damping > 0 else DAMPING
        batch = batch_of(stepper.optimizer, self.objective)
        delta = stepper.point.theta - left
        moved = delta if bool(delta.any()) else None
        point: Point | None = None
        for name in due:
            try:
                point = point or self.objective.at(left, Watch(cancel))
                sight = Sight(point, moved, damping, step.learning_rate, batch)
                self.history.readings.append(self._observer.look(name, sight, at))
            except Cancelled:
                self.history.readings.append(missing(name, at, "stopped before it was done"))
            except Exception as error:
                message = f"no {name.replace('_', ' ')} at step {at}: {type(error).__name__}: {error}"
                self.history.readings.append(missing(name, at, message))
                self.history.events.append(Event(at, "probe", message, traceback.format_exc()))
        self.probe_seconds += perf_counter() - began

    def _probed(self, step: Step, left: Tensor, stepper: Stepper) -> Step:
        """The record with what the probes add to it, at the θ that the step left and through the cases it saw. They
        look at a point of their own, for the optimizer may come back to its one."""
        began, at, probes = perf_counter(), self.step + 1, self.probes
        delta = stepper.point.theta - left
        along, angles = probes.hessian_along_step.due(at), probes.angles.due(at)
        if not (along or angles) or not bool(delta.any()):
            return step
        point = stepper.point.objective.at(left)
        damping = step.damping if step.damping > 0 else probes.angle_damping
        if along:
            step = self._added(
                step, "curvature of the Hessian along", lambda: {"hessian_along_step": hessian_along(point, delta)}
            )
        if angles:
            step = self._added(step, "angles of", lambda: angles_of(point, delta, damping))
        self.probe_seconds += perf_counter() - began
        return step

    def _added(self, step: Step, what: str, look: Callable[[], dict[str, float]]) -> Step:
        """The record with what a probe sees. What fails is an event."""
        try:
            return msgspec.structs.replace(step, **look())
        except Exception as error:
            at = self.step + 1
            message = f"no {what} step {at}: {type(error).__name__}: {error}"
            self.history.events.append(Event(at, "probe", message, traceback.format_exc()))
            return step

    def _write(self, loss: float, step: Step | None, point: Point) -> None:
        due = self.probes.validation.due(len(self.history))
        began = perf_counter()
        validation_loss, metric = evaluate(self.objective, point) if due else (math.nan, math.nan)
        self.probe_seconds += perf_counter() - began
        leading = {
            "step": float(len(self.history)),
            "seconds": self.seconds,
            "gradient_equivalents": self.gradient_equivalents,
            "loss": loss,
            "validation_loss": validation_loss,
            "metric": metric,
        }
        self.history.append(leading, step, point.theta.cpu().numpy())

    def _diverge(self, loss: float) -> None:
        self.state = "diverged"
        at = self.step + 1
        far = ", more than 10¹⁵ times that of the start" if math.isfinite(loss) else ""
        message = f"diverged at step {at}: the loss became {loss:.4g}{far}"
        self.history.events.append(Event(at, "diverged", message))

    def _fail(self, error: Exception) -> None:
        self.state = "failed"
        message = f"{type(error).__name__}: {error}"
        # Its own trace alone: what happened to be handled around it says nothing.
        trace = "".join(
            traceback.format_exception(type(error), error, error.__traceback__, chain=error.__cause__ is not None)
        )
        self.history.events.append(Event(self.step, "failed", message, trace))


class Race(Lineup[Run]):
    """Runs that advance in turns: fair by steps taken, or by seconds of compute ('seconds')."""

    def __init__(self, runs: list[Run], turns: Turns = "steps") -> None:
        super().__init__(runs, turns)
        self.spectra = SpectrumProbe(runs[0].probes.spectra if runs else Never())
        for number, run in enumerate(runs):
            self.spectra.enter(number, run.optimizer, run.objective)
        if runs:
            torch.set_num_threads(_threads(runs[0].objective))

    @property
    def next(self) -> Run | None:
        """Whose turn it is: the live run that is furthest behind, the first of several."""
        behind = (lambda run: run.step) if self.turns == "steps" else (lambda run: run.seconds)
        return min(self.live, key=behind, default=None)

    def begin(self) -> None:
        """Write row 0 of every run, so that there is something to see."""
        for run in self.runs:
            run.begin()

    def advance(self, cancel: Cancel = never) -> Run | None:
        """One step of the run whose turn it is; None once all have ended. Raises Cancelled, with nothing changed."""
        run = self.next
        if run is not None:
            self.advance_run(run, cancel)
        return run

    def advance_run(self, run: Run, cancel: Cancel = never) -> None:
        """One step of this run, whoever's turn it is. Raises Cancelled, with nothing changed."""
        number = self.runs.index(run)
        # An edit may have changed its matrix, and more steps may have brought it back.
        self.spectra.enter(number, run.optimizer, run.objective)
        run.advance(cancel, self.spectra, number)
        self.spectra_seconds = self.spectra.seconds
        if not run.live:
            self.spectra.retire(number)

    def fork(self, run: Run, step: int, delta: Tensor, damping: float, matrix: str) -> Run:
        """Put a fork of a run into the race, its first step taken; see `Run.fork`."""
        return self.fork_at(run, run.history.branch(step), delta, damping, matrix)

    def fork_at(self, run: Run, branch: Branch, delta: Tensor, damping: float, matrix: str) -> Run:
        """Put the fork at a branch of a run's history into the race."""
        fork = run.fork_at(branch, delta, damping, matrix)
        fork.label = fork.history.label = distinct(fork.label, [one.label for one in self.runs])
        self.runs.append(fork)
        return fork

    def set_steps(self, steps: int) -> None:
        """Change how many steps each run may take; one that had finished may go on."""
        for run in self.runs:
            run.set_steps(steps)

    def stop(self) -> None:
        """Mark every live run as stopped; advancing it goes on where it stopped."""
        for run in self.live:
            run.state = "stopped"


def distinct(label: str, taken: Sequence[str]) -> str:
    """The label, numbered where it is taken."""
    numbered = chain([label], (f"{label} {i}" for i in count(2)))
    return next(one for one in numbered if one not in taken)


def run(
    objective: Objective,
    optimizer: Optimizer,
    steps: int = 100,
    seed: int = 0,
    cancel: Cancel = never,
    *,
    probes: Probes = Probes(spectra=Never()),  # noqa: B008  a frozen record
) -> History:
    """Run one optimizer headless: the loop that the window's racer runs. `probes` look beside it.

    Returns the history; how it ended stands in `history.events` (nothing there: all steps were taken). `seed` is
    recorded and seeds what the optimizer samples; the start is the objective's own. Raises the exception that ended
    the run, if one did; a run that diverges returns what it has.
    """
    one = Run(objective, optimizer, label=optimizer.name, seed=seed, steps=steps, probes=probes)
    race = Race([one])
    race.begin()
    while race.advance(cancel) is not None:
        pass
    failures = [event for event in one.history.events if event.kind == "failed"]
    if failures:
        raise RuntimeError(f"step {failures[0].step}: {failures[0].message}\n{failures[0].detail}")
    return one.history


def _setting(optimizer: Optimizer, path: str) -> Any:
    """The value at a path such as "damping.initial"; None where there is none."""
    found: Any = msgspec.to_builtins(optimizer)
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _threads(objective: Objective) -> int:
    """Intra-op threads: one for small models, else all cores but the one left to the window."""
    return max(1, (os.cpu_count() or 2) - 1) if objective.gradient_flops > _SHARED_OUT else 1

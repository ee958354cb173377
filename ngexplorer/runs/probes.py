"""Probes: what is measured beside the steps, on a schedule of its own and out of their time."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any

import msgspec
import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.curvature import KFAC, Curvature, EmpiricalFisher, GaussNewton, Hessian
from ngexplorer.curvature import Fisher as FisherMatrix
from ngexplorer.curvature.exactness import largest_exact
from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import Optimizer
from ngexplorer.optimizers.method_steps import damped_steps
from ngexplorer.runs.instruments import INSTRUMENTS
from ngexplorer.runs.schedule import AnySchedule, Every, Never, WithinShare
from ngexplorer.runs.spectrum import Spectrum

_PROBES, _STEPS = 5, 30
"""Of the density where there are more: so many random starts, and so many products from each."""

MATRICES: dict[str, type[Curvature]] = {
    kind.name: kind for kind in (Hessian, GaussNewton, FisherMatrix, EmpiricalFisher, KFAC)
}
"""What can be watched beside the matrix that a run uses."""


def evaluate(objective: Objective, point: Point) -> tuple[float, float]:
    """Validation loss (NaN without validation data) and the metric, on the validation cases where there are some."""
    if objective.validation is None:
        return float("nan"), float(point.metric)
    held = objective.validation.at(point.theta)
    loss, metric = torch.stack((held.value, held.metric)).tolist()
    return loss, metric


def exact(objective: Objective) -> bool:
    """Whether the model is small enough for all eigenvalues."""
    return objective.parameters <= largest_exact(objective)


def applies(matrix: str, objective: Objective) -> bool:
    """Whether there is that matrix of the objective: no Fisher without a density, no K-FAC of any module."""
    kind = MATRICES[matrix]
    return (kind is not FisherMatrix or objective.loss.density) and (
        kind is not KFAC or (objective.affine_refusal is None and objective.loss.density and objective.plain_penalty)
    )


def look(point: Point, kind: type[Curvature], step: int, damping: float, by_layers: bool = False) -> Spectrum:
    """The spectrum of a matrix at a point: all eigenvalues, with the gradient's energy along their eigenvectors and, if
    `by_layers`, those of each layer's block; of a large model the density, without either.

    The eigenpairs are not kept with the point: the optimizer finds there only what it would have computed itself.
    """
    matrix = kind(point.objective, point)
    if not exact(point.objective):
        density = matrix.spectral_density(_PROBES, _STEPS)
        nodes, order = density.nodes.reshape(-1).sort()
        weights = density.weights.reshape(-1)[order] * (point.objective.parameters / len(density.nodes))
        return Spectrum(step, kind.name, nodes.numpy(), damping, weights=weights.numpy())
    dense = matrix.dense()
    values, vectors = torch.linalg.eigh(dense)
    energy = (point.gradient @ vectors).square().double()
    total = float(energy.sum())
    return Spectrum(
        step,
        kind.name,
        values.double().cpu().numpy(),
        damping,
        (energy / total).cpu().numpy() if total > 0 else None,
        layers=_by_layers(dense, point.objective) if by_layers else (),
    )


def _by_layers(dense: Tensor, objective: Objective) -> tuple[Any, ...]:
    blocks = (dense[layer, layer] for layer in objective.layers)
    return tuple(torch.linalg.eigvalsh(block).double().cpu().numpy() for block in blocks)


class Probes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When each probe looks. Their time is not the runs', and none changes a result of a run."""

    validation: Annotated[
        AnySchedule, Meta(description="Validation loss and metric; where none is due they are NaN")
    ] = Every()
    hessian_along_step: Annotated[AnySchedule, Meta(description="δᵀHδ / ‖δ‖², for one product with the Hessian")] = (
        Never()
    )
    angles: Annotated[
        AnySchedule,
        Meta(
            description="Angles between the step and those of Newton, Gauss-Newton, natural gradient (exact and "
            "empirical) and K-FAC from the same θ, with the step's λ"
        ),
    ] = Never()
    angle_damping: Annotated[
        float, Meta(title="Angles' λ", gt=0, le=1e12, description="λ of those methods where the step itself has none")
    ] = 1e-3
    spectra: Annotated[WithinShare | AnySchedule, Meta(description="Eigenvalues of the matrices")] = WithinShare()
    noise_scale: Annotated[
        AnySchedule,
        Meta(description="Gradient noise scale, tr Σ / ‖∇h‖²: from which batch size on noise is averaged out"),
    ] = Never()
    cosines: Annotated[
        AnySchedule, Meta(title="Step cosines", description="Cosines between the steps of all methods from the same θ")
    ] = Never()
    eigenspaces: Annotated[
        AnySchedule, Meta(description="Overlap of the top eigenspaces of H and G with those of the look before")
    ] = Never()
    layer_norms: Annotated[AnySchedule, Meta(description="Norms of the step and the gradient, layer by layer")] = (
        Never()
    )
    block_errors: Annotated[
        AnySchedule, Meta(description="How far K-FAC and the diagonal are from each layer's block of the Fisher")
    ] = Never()
    fisher_gap: Annotated[
        AnySchedule, Meta(title="F̄ against F", description="‖F̄ − F‖ / ‖F‖: how far the empirical Fisher is off")
    ] = Never()
    effective_rank: Annotated[AnySchedule, Meta(description="exp of the entropy of |λᵢ| / Σ|λ|, of each matrix")] = (
        Never()
    )
    largest_rate: Annotated[
        AnySchedule, Meta(title="Stable rate", description="2/λmax of the Hessian beside the learning rate in use")
    ] = Never()

    def due(self, step: int) -> list[str]:
        """The instruments that look at the θ that the step of that number, from 0, leaves."""
        return [name for name in INSTRUMENTS if getattr(self, name).due(step)]


def hessian_along(point: Point, delta: Tensor) -> float:
    """δᵀHδ / ‖δ‖² at a point, as its cases see it; NaN for no step. Raises ValueError where there is no Hessian."""
    square = delta.dot(delta)
    return float(delta.dot(Hessian(point.objective, point) @ delta) / square)


def angles_of(point: Point, delta: Tensor, damping: float) -> dict[str, float]:
    """Degrees between a step δ, (P,), and the damped steps of other methods at a point, as its cases see it, by the
    names of the step's record; NaN for a method that has none there. Nothing is drawn."""
    steps, _ = damped_steps(point, damping)
    numbers = torch.stack(
        [
            delta.dot(step) / (torch.linalg.vector_norm(delta) * torch.linalg.vector_norm(step))
            for step in steps.values()
        ]
    )
    degrees = torch.rad2deg(numbers.clamp(-1, 1).acos()).tolist()
    return {f"angle_{name.replace('-', '_')}": found for name, found in zip(steps, degrees, strict=True)}


class SpectrumProbe:
    """Spectra of the matrix each second-order run uses, of the Hessian beside it and of those that are `watched`, on a
    schedule: by default for at most `share` of the race's compute.

    Within a share they are taken in rounds, one spectrum a run and all at the same step where turns are fair by steps,
    so that they can be compared. The first round comes with the first step, each later one once the budget allows for
    it. The matrix at a point is the one its step was solved with, so only what is missing is built.
    """

    def __init__(self, schedule: WithinShare | AnySchedule) -> None:
        self.schedule = schedule
        self.share = schedule.share if isinstance(schedule, WithinShare) else 0.0
        self.watched: frozenset[str] = frozenset()
        """Names of matrices that someone looks at; replaced as a whole, from any thread."""
        self.seconds = 0.0
        self.compute = 0.0
        self._racing: set[int] = set()
        self._served: set[int] = set()
        self._from = 0
        self._furthest = -1
        self._cost = 0.0
        self._known: list[tuple[type[Curvature], Tensor, Spectrum]] = []

    def enter(self, run: int, optimizer: Optimizer, objective: Objective) -> None:
        """Tell of a run as it now is: one without a matrix has no spectrum, a large one no exact one."""
        if optimizer.second_order and exact(objective):
            self._racing.add(run)
        else:
            self.retire(run)

    def retire(self, run: int) -> None:
        """Forget a run that has ended or has no matrix any more, so that the others do not wait for it."""
        self._racing.discard(run)

    def due(self, run: int, step: int, seconds: float) -> bool:
        """Whether that run's spectrum is to be taken at the step it just left, which took so many seconds."""
        self.compute += seconds
        if not isinstance(self.schedule, WithinShare):
            return run in self._racing and self.schedule.due(step)
        if self._racing <= self._served and self.seconds + self._cost <= self.share * self.compute:
            # From the first step that no run has left yet, so that all can be looked at there.
            self._from = step if step > self._furthest else self._furthest + 1
            self._served, self._cost, self._known = set(), 0.0, []
        if run not in self._racing:
            return False
        self._furthest = max(self._furthest, step)
        return run not in self._served and step >= self._from

    def take(self, run: int, optimizer: Optimizer, point: Point, step: int, damping: float) -> list[Spectrum]:
        """The spectra at that point."""
        began = perf_counter()
        part: Any = optimizer.curvature
        kinds: list[type[Curvature]] = [part.kind, Hessian]
        kinds += [MATRICES[name] for name in sorted(self.watched) if applies(name, point.objective)]
        try:
            return [self._look(point, kind, step, damping) for kind in dict.fromkeys(kinds)]
        finally:  # what fails is paid for too, and has had its turn
            self._served.add(run)
            cost = perf_counter() - began
            self._cost += cost
            self.seconds += cost

    def _look(self, point: Point, kind: type[Curvature], step: int, damping: float) -> Spectrum:
        """Runs that stand at one θ share its spectra (all start at one), and F is G where z are natural parameters."""
        same = GaussNewton if kind is FisherMatrix and point.objective.loss.natural else kind
        for known, theta, spectrum in self._known:
            if known is same and torch.equal(theta, point.theta):
                return replace(spectrum, step=step, matrix=kind.name, damping=damping)
        # `kind` and not `same`: the matrix the step was solved with is already built.
        found = look(point, kind, step, damping)
        self._known.append((same, point.theta, found))
        return found

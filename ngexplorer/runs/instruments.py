"""The instruments for researchers: what each reads at a θ of a run, its formula, and where that is from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ngexplorer.curvature import Curvature, Diagonal, Hessian
from ngexplorer.curvature.exactness import largest_exact
from ngexplorer.curvature.kinds import KINDS, curvatures
from ngexplorer.curvature.noise_scale import gradient_noise
from ngexplorer.curvature.spectrum_measures import spectrum_measures
from ngexplorer.curvature.subspaces import overlap, top_eigenspace
from ngexplorer.objectives import Objective, Point
from ngexplorer.objectives.by_layers import layer_norms, layers_of
from ngexplorer.optimizers import Optimizer, parts
from ngexplorer.optimizers.fishers import fisher_gap
from ngexplorer.optimizers.method_steps import METHODS, damped_steps
from ngexplorer.runs.readings import Array, Reading

DAMPING = 1e-3
"""λ of methods to compare where the run's own step has none."""
_DIRECTIONS = 10
"""So many eigenvectors span a top eigenspace, of a quarter of the parameters at most."""

STEPS = ("own", "gradient-descent", *METHODS)
"""Whose steps are compared: the run's own, −∇h, and the damped ones of the methods."""
PAIRS = tuple((a, b) for i, a in enumerate(STEPS) for b in STEPS[i + 1 :])


@dataclass(frozen=True)
class Sight:
    """A θ that a run stood at, looked at on all cases, and what is known of its step from there.

    delta: the step, (P,), None where it was not taken or is not known. damping: λ > 0 for the methods to compare.
    rate: its learning rate α, NaN where it has none. batch: over how many cases its gradient was.
    """

    point: Point
    delta: Tensor | None
    damping: float
    rate: float
    batch: int


Found = tuple[Array, str]
"""The values of a reading, and why some of them are missing."""


@dataclass(frozen=True)
class Instrument:
    """What an instrument reads: its numbers by name, each with what it is called, and whether on a logarithmic axis."""

    name: str
    title: str
    numbers: dict[str, str]
    formula: str
    source: str
    look: Callable[[Sight], Found] | None
    """None: it compares two looks with each other; see `Observer`."""
    by_layer: bool = False
    logarithmic: bool = True


class Observer:
    """Looks along one run through the instruments, from step to step; it remembers what the next look is compared
    with."""

    def __init__(self) -> None:
        self._before: tuple[int, dict[str, Tensor]] | None = None

    def look(self, name: str, sight: Sight, step: int) -> Reading:
        """What the instrument of that name reads there. What does not apply is a reading that says why. Watched by the
        point."""
        instrument = INSTRUMENTS[name]
        try:
            if instrument.look is not None:
                return Reading(step, name, tuple(instrument.numbers), *instrument.look(sight))
            spaces, refused = top_eigenspaces(sight.point)
            before, self._before = self._before, (step, spaces)
            return overlaps(step, spaces, before, refused)
        except (ValueError, ArithmeticError, MemoryError, torch.linalg.LinAlgError) as error:
            return missing(name, step, str(error))


def missing(name: str, step: int, reason: str) -> Reading:
    """A reading of nothing, and why."""
    names = tuple(INSTRUMENTS[name].numbers)
    shape = (len(names), 0) if INSTRUMENTS[name].by_layer else (len(names),)
    return Reading(step, name, names, np.full(shape, math.nan), reason)


def batch_of(optimizer: Optimizer, objective: Objective) -> int:
    """Over how many cases a gradient of the optimizer is."""
    batches = optimizer.batches
    return min(batches.size, objective.cases) if isinstance(batches, parts.MiniBatch) else objective.cases


# What each of them does.


def _noise(sight: Sight) -> Found:
    found = gradient_noise(sight.point)
    objective, reasons = sight.point.objective, []
    if not found.exact:
        reasons.append(f"from {found.cases:,} drawn cases of {objective.cases:,}")
    if math.isnan(found.critical):
        most = largest_exact(objective)
        too_large = objective.parameters > most
        if objective.hessian_refusal:
            reasons.append(f"no B_noise: {objective.hessian_refusal}")
        elif too_large:
            reasons.append(f"no B_noise: {objective.parameters:,} parameters, the Hessian is formed up to {most:,}")
        else:
            reasons.append("no B_noise: the loss does not bend upward along ∇h")
    return np.array([found.simple, found.critical, float(sight.batch)]), "; ".join(reasons)


def _cosines(sight: Sight) -> Found:
    found, refused = damped_steps(sight.point, sight.damping)
    steps: dict[str, Tensor] = {"gradient-descent": -sight.point.gradient} | found
    if sight.delta is not None:
        steps["own"] = sight.delta
    else:
        refused = {"own": "no step of its own from here is known"} | refused
    if not bool(sight.point.gradient.any()):
        refused = {"gradient-descent": "∇h is zero here"} | refused
    # Divided by their lengths one by one: a product of two may overflow or vanish.
    unit = {name: step.double() / torch.linalg.vector_norm(step.double()) for name, step in steps.items()}
    values = [float(unit[a].dot(unit[b])) if a in unit and b in unit else math.nan for a, b in PAIRS]
    return np.array(values), "; ".join(dict.fromkeys(refused.values()))


def cosine_matrix(reading: Reading) -> Array:
    """The cosine between every two of `STEPS`, (7, 7), NaN for a step that there is not."""
    found = np.full((len(STEPS), len(STEPS)), math.nan)
    for (a, b), value in zip(PAIRS, reading.values, strict=True):
        i, j = STEPS.index(a), STEPS.index(b)
        found[i, j] = found[j, i] = value
    there = ~np.isnan(found).all(1)
    found[there, there] = 1.0
    return found


def directions(objective: Objective) -> int:
    """How many eigenvectors span a top eigenspace."""
    return max(1, min(_DIRECTIONS, objective.parameters // 4))


def top_eigenspaces(point: Point) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Of H and G, (P, k) each by name, and why one of them has none."""
    kinds = curvatures(point)
    k = directions(point.objective)
    wanted = ("hessian", "gauss-newton")
    spaces = {name: top_eigenspace(kinds.found[name], k) for name in wanted if name in kinds.found}
    return spaces, {name: kinds.refused[name] for name in wanted if name in kinds.refused}


def overlaps(
    step: int, spaces: dict[str, Tensor], before: tuple[int, dict[str, Tensor]] | None, refused: dict[str, str]
) -> Reading:
    """How much the top eigenspaces at a step share with those of the look before."""
    names = tuple(INSTRUMENTS["eigenspaces"].numbers)
    if before is None:
        return missing("eigenspaces", step, "the first look: there is none before it to compare with")
    since, others = before
    both = [name for name in names if name in spaces and name in others]
    shared = {name: overlap(others[name], spaces[name]).overlap for name in both}
    values = [shared.get(name, math.nan) for name in names[:-1]]
    return Reading(step, "eigenspaces", names, np.array([*values, float(since)]), "; ".join(refused.values()))


def _layers(sight: Sight) -> Found:
    point = sight.point
    theta, gradient = (v.double().cpu().numpy() for v in (point.theta, point.gradient))
    delta = np.full(len(theta), math.nan) if sight.delta is None else sight.delta.double().cpu().numpy()
    found = layer_norms(point.objective, theta, delta, gradient)
    reasons = ["no step of its own from here is known"] if sight.delta is None else []
    if len(found.layers) == 1:
        reasons.append("the model has one layer: its norms are those of the whole")
    values = np.stack((found.step, found.gradient, found.relative, found.cosine))
    return np.where(np.isinf(values), math.nan, values), "; ".join(reasons)


def _blocks(sight: Sight) -> Found:
    point = sight.point
    kinds, objective = curvatures(point), point.objective
    reasons = list(dict.fromkeys(kinds.refused[name] for name in ("fisher", "kfac") if name in kinds.refused))
    exact = kinds.found.get("fisher") or kinds.found["gauss-newton"]
    if "fisher" in kinds.refused:
        reasons.append("the diagonal is held against G")
    forms: list[Curvature | None] = [kinds.found.get("kfac"), Diagonal(exact)]
    layers, most = layers_of(objective), largest_exact(objective)
    large = [layer for layer in layers if layer.stop - layer.start > most]
    if large:
        names = ", ".join(f"{layer.name} ({layer.stop - layer.start:,} parameters)" for layer in large)
        reasons.append(f"blocks are compared up to {most:,} parameters, which leaves out {names}")
    values = np.full((len(forms), len(layers)), math.nan)
    for place, layer in enumerate(layers):
        if layer in large:
            continue
        point.watch.check()
        block = exact.block(layer.span)
        length = torch.linalg.vector_norm(block)
        for row, form in enumerate(forms):
            if form is not None and float(length) > 0:
                other = torch.diag(block.diagonal()) if isinstance(form, Diagonal) else form.block(layer.span)
                values[row, place] = float(torch.linalg.vector_norm(other - block) / length)
    return values, "; ".join(reasons)


def _fishers(sight: Sight) -> Found:
    found = fisher_gap(sight.point, sight.damping, directions(sight.point.objective))
    reason = "" if found.exact else "estimated with random vectors, to a tenth or so"
    values = [found.distance, found.trace_ratio, found.cosine, found.step_cosine, found.top.overlap]
    return np.array(values), reason


def _ranks(sight: Sight) -> Found:
    point = sight.point
    kinds, most = curvatures(point), largest_exact(point.objective)
    values, reasons = [], list(dict.fromkeys(kinds.refused.values()))
    large = point.objective.parameters > most
    if large:
        reasons.append(f"{point.objective.parameters:,} parameters: all eigenvalues are computed up to {most:,}")
    epsilon = float(torch.finfo(point.theta.dtype).eps)
    for name in KINDS:
        matrix = kinds.found.get(name)
        if matrix is None or (large and name != "kfac"):
            values.append(math.nan)
            continue
        point.watch.check()
        found = spectrum_measures(matrix.eigenvalues().double().cpu().numpy(), epsilon=epsilon)
        values.append(found.effective_rank)
    return np.array(values), "; ".join(reasons)


def _rates(sight: Sight) -> Found:
    point = sight.point
    hessian = Hessian(point.objective, point)
    if point.objective.parameters <= largest_exact(point.objective):
        largest = float(hessian.eigenvalues()[-1])
    else:
        found = hessian.top_eigenpairs(1, which="largest", tolerance=1e-3)
        if not found.converged:
            raise ArithmeticError("λmax of the Hessian was not found to a thousandth: Lanczos did not converge")
        largest = float(found.values[0])
    reasons = []
    if not largest > 0:
        reasons.append("no eigenvalue of the Hessian is positive: any rate goes downhill there")
    if math.isnan(sight.rate):
        reasons.append("no learning rate is known of the step from here")
    return np.array([2 / largest if largest > 0 else math.nan, sight.rate]), "; ".join(reasons)


_METHOD_TITLES = {
    "own": "Own step",
    "gradient-descent": "−∇h",
    "newton": "Newton",
    "gauss-newton": "Gauss-Newton",
    "natural-gradient": "Natural gradient",
    "natural-gradient-empirical": "Empirical",
    "kfac": "K-FAC",
}
_MATRICES = {
    "hessian": "Hessian",
    "gauss-newton": "Gauss-Newton",
    "fisher": "Fisher",
    "empirical-fisher": "Empirical Fisher",
    "kfac": "K-FAC",
}


def step_title(name: str) -> str:
    """What the step of a method is called."""
    return _METHOD_TITLES[name]


_ALL = (
    Instrument(
        "noise_scale",
        "Gradient noise scale",
        {"simple": "B_simple", "critical": "B_noise", "batch": "Batch in use"},
        "B_simple = tr Σ / ‖∇h‖², B_noise = tr(HΣ) / ∇hᵀH∇h, in cases: smaller batches are mostly noise",
        "McCandlish et al. 2018, eqs. 2.8 and 2.9",
        _noise,
    ),
    Instrument(
        "cosines",
        "Cosines between steps",
        {f"{a} / {b}": f"{_METHOD_TITLES[a]} · {_METHOD_TITLES[b]}" for a, b in PAIRS},
        "cos(δ, δ′) = δᵀδ′ / ‖δ‖‖δ′‖ of steps −(B + λI)⁻¹∇h from the same θ, with the λ of the run's own step",
        "Martens 2020, §§ 8–11",
        _cosines,
        logarithmic=False,
    ),
    Instrument(
        "eigenspaces",
        "Overlap of top eigenspaces",
        {"hessian": "Hessian", "gauss-newton": "Gauss-Newton", "since": "The look before"},
        f"‖UᵀV‖² / k of the k ≤ {_DIRECTIONS} first eigenvectors at this look and the one before; k/P by chance",
        "Gur-Ari, Roberts and Dyer 2018, § 3",
        None,
        logarithmic=False,
    ),
    Instrument(
        "layer_norms",
        "Norms by layer",
        {
            "step": "Step ‖δ‖",
            "gradient": "Gradient ‖∇h‖",
            "relative": "Step ‖δ‖ / ‖θ‖",
            "cosine": "Cosine of δ and −∇h",
        },
        "‖δ_l‖, ‖∇_l h‖, ‖δ_l‖/‖θ_l‖ and the cosine of δ_l and −∇_l h of each layer l",
        "You, Gitman and Ginsburg 2017",
        _layers,
        by_layer=True,
    ),
    Instrument(
        "block_errors",
        "Block errors by layer",
        {"kfac": "K-FAC", "diagonal": "Diagonal"},
        "‖B_ll − F_ll‖ / ‖F_ll‖ of each layer's own block, B the K-FAC matrix or F's diagonal",
        "Martens and Grosse 2015, § 3; Martens 2020, § 11",
        _blocks,
        by_layer=True,
    ),
    Instrument(
        "fisher_gap",
        "Empirical Fisher against Fisher",
        {
            "distance": "‖F̄ − F‖ / ‖F‖",
            "trace_ratio": "tr F̄ / tr F",
            "cosine": "Cosine of F̄ and F",
            "step_cosine": "Cosine of their steps",
            "overlap": "Overlap of top eigenspaces",
        },
        "‖F̄ − F‖_F / ‖F‖_F and what goes with it: F̄ takes the data's labels, F the model's own",
        "Martens 2020, § 11; Kunstner, Balles and Hennig 2019",
        _fishers,
    ),
    Instrument(
        "effective_rank",
        "Effective rank",
        _MATRICES,
        "exp(−Σ pᵢ log pᵢ), pᵢ = |λᵢ| / Σ|λ|: how many directions a matrix is about",
        "Roy and Vetterli 2007",
        _ranks,
    ),
    Instrument(
        "largest_rate",
        "Largest stable learning rate",
        {"largest": "2/λmax of H", "in_use": "Rate in use"},
        "2/λmax(H): gradient descent with a larger rate is unstable along H's first eigenvector",
        "LeCun, Simard and Pearlmutter 1993; Cohen et al. 2021",
        _rates,
    ),
)

INSTRUMENTS = {instrument.name: instrument for instrument in _ALL}
"""The instruments by name; the same names are those of their schedules in `Probes`"""

LINEAR = frozenset({"cosine", "step_cosine", "overlap"})
"""Numbers of an instrument with a logarithmic axis that have a linear one, from −1 or 0 to 1."""

"""How far to go along a direction: the numbers α and μ, and line searches that look at points on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from ngexplorer.cancellation import Cancel, Cancelled
from ngexplorer.curvature import Curvature, IndefiniteError
from ngexplorer.objectives import Point
from ngexplorer.optimizers import parts

_PARALLEL = 1e-8
"""Negative bends this small beside the others are the rounding of directions that are all but parallel."""


class Way(msgspec.Struct, frozen=True):
    """δ = α d + μ δ₀, (P,), δᵀBδ where it is known, and the point at θ + δ where a search has looked there already."""

    delta: Tensor
    learning_rate: float
    momentum: float
    bend: float | None = None
    after: Point | None = None
    looks: int = 0
    """Points looked at besides the one that is taken"""
    gradients: float = 0.0
    """Work at those, in gradients"""


def armijo(point: Point, direction: Tensor, rate: float, rule: parts.Armijo, cancel: Cancel) -> Way:
    """The first of rate, rate·factor, rate·factor², … that lowers h enough; the last tried where none does."""
    value, slope = torch.stack((point.value, point.gradient.dot(direction))).tolist()
    alpha = rate
    for looks in range(rule.trials):
        if cancel():
            raise Cancelled
        after = point.objective.at(point.theta + alpha * direction, point.watch)
        reached = float(after.value)
        if math.isfinite(reached) and reached <= value + rule.decrease * alpha * slope:
            return Way(alpha * direction, alpha, math.nan, after=after, looks=looks)
        if looks + 1 < rule.trials:
            alpha *= rule.factor
    return Way(alpha * direction, alpha, math.nan, after=after, looks=rule.trials - 1)


def wolfe(point: Point, direction: Tensor, rate: float, rule: parts.Wolfe, cancel: Cancel) -> Way:
    """α with the strong Wolfe conditions, by bracketing and zooming (Nocedal and Wright 2006, alg. 3.5 and 3.6)."""
    search = _Wolfe(point, direction, rule, cancel)
    return search.way(search.run(rate))


@dataclass(frozen=True)
class _Look:
    """h and its slope along d at one α."""

    alpha: float
    value: float
    slope: float
    point: Point


class _Wolfe:
    """One strong Wolfe search along a direction."""

    def __init__(self, point: Point, direction: Tensor, rule: parts.Wolfe, cancel: Cancel) -> None:
        self.start, self.direction, self.rule, self.cancel = point, direction, rule, cancel
        value, slope = torch.stack((point.value, point.gradient.dot(direction))).tolist()
        self.zero = _Look(0.0, value, slope, point)
        self.looks = 0
        self.work = 0.0

    def way(self, found: _Look) -> Way:
        return Way(
            found.alpha * self.direction,
            found.alpha,
            math.nan,
            after=found.point,
            looks=max(0, self.looks - 1),
            gradients=self.work,
        )

    def look(self, alpha: float) -> _Look:
        if self.cancel():
            raise Cancelled
        self.looks += 1
        point = self.start.objective.at(self.start.theta + alpha * self.direction, self.start.watch)
        value, slope = torch.stack((point.value, point.gradient.dot(self.direction))).tolist()
        self.work += point.work - point.costs.forward  # a forward pass of every look is counted where looks are
        return _Look(alpha, value, slope, point)

    def falls(self, at: _Look) -> bool:
        promised = self.zero.value + self.rule.decrease * at.alpha * self.zero.slope
        return math.isfinite(at.value) and at.value <= promised

    def flat(self, at: _Look) -> bool:
        return abs(at.slope) <= -self.rule.curvature * self.zero.slope

    def run(self, rate: float) -> _Look:
        before, alpha = self.zero, rate
        for _ in range(self.rule.trials):
            now = self.look(alpha)
            if not self.falls(now) or (before.alpha > 0 and now.value >= before.value):
                return self.zoom(before, now)
            if self.flat(now):
                return now
            if now.slope >= 0:
                return self.zoom(now, before)
            before, alpha = now, 2 * alpha
        return before

    def zoom(self, low: _Look, high: _Look) -> _Look:
        """`low` has the lower h of the two ends, and its slope points at the other."""
        while self.looks < self.rule.trials:
            now = self.look(_between(low, high))
            if not self.falls(now) or now.value >= low.value:
                high = now
            else:
                if self.flat(now):
                    return now
                if now.slope * (high.alpha - low.alpha) >= 0:
                    high = low
                low = now
            if abs(high.alpha - low.alpha) <= 1e-14 * max(abs(high.alpha), 1e-300):
                break
        return low if low.alpha > 0 else high


def _between(low: _Look, high: _Look) -> float:
    """The minimum of the parabola through both values and the slope at `low`, kept away from the ends."""
    width = high.alpha - low.alpha
    share = 0.5
    if math.isfinite(high.value):
        bend = high.value - low.value - low.slope * width
        if bend > 0:
            share = -low.slope * width / (2 * bend)
    return low.alpha + min(max(share, 0.1), 0.9) * width


def model_minimum(matrix: Curvature, gradient: Tensor, direction: Tensor, before: Tensor | None, damping: float) -> Way:
    """α, and μ where there is a last step δ₀, that minimize gᵀδ + ½δᵀ(B + λI)δ over δ = αd + μδ₀ (Martens and Grosse
    2015, §7): the 2×2 system [dᵀCd, dᵀCδ₀; ·, δ₀ᵀCδ₀](α, μ) = −(gᵀd, gᵀδ₀) with C = B + λI."""
    use = [direction] if before is None else [direction, before]
    span = torch.stack(use, 1)
    n = len(use)
    read = torch.cat((matrix.inner(span), span.T @ span, (span.T @ gradient)[None])).double().cpu()
    bends, lengths, right = read[:n], read[n : 2 * n], read[-1]
    system = bends + damping * lengths
    # In units in which d and δ₀ bend alike, however long they are; where they are all but parallel the least of the
    # equivalent answers is taken.
    units = system.diagonal().abs().rsqrt()
    units = torch.where(torch.isfinite(units), units, 1.0)
    scaled = system * units[:, None] * units
    if float(torch.linalg.eigvalsh(scaled)[0]) < -_PARALLEL:
        # Stationary, but no minimum: the model falls for ever in this plane.
        lowest = float(torch.linalg.eigvals(torch.linalg.pinv(lengths, hermitian=True) @ system).real.min())
        raise IndefiniteError(matrix.title, damping, lowest - damping, exact=False)
    shares = -units * (torch.linalg.pinv(scaled, hermitian=True) @ (units * right))
    alpha, mu = [*shares.tolist(), math.nan][:2]
    delta = alpha * direction if before is None else alpha * direction + mu * before
    return Way(delta, alpha, mu, bend=float(shares @ bends @ shares))

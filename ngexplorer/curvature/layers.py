"""What Σ_n Jᵀ S Sᵀ J has in Linear and Conv2d layers: its diagonal and its Gram matrix, without J for a Linear one.

A row of SᵀJ is, for the weight of a layer, Σ_t δ_t a_tᵀ over the positions t where the weight is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ngexplorer.objectives import Point
from ngexplorer.objectives.networks import Statistics

# Where a weight is used at many positions, rows of J are formed, so many numbers at a time: 64 MB in float64.
_AT_ONCE = 8_000_000
_STRIP = 128


def gram(x: Tensor) -> Tensor:
    """XᵀX for X (N, D), (D, D): by strips of its upper triangle, for torch has no symmetric product."""
    size = x.shape[1]
    if size < 2 * _STRIP:
        return x.T @ x
    result = torch.empty(size, size, dtype=x.dtype, device=x.device)
    for start in range(0, size, _STRIP):
        stop = min(start + _STRIP, size)
        strip = x[:, start:stop].T @ x[:, start:]
        result[start:stop, start:] = strip
        result[start:, start:stop] = strip.T
    return result


def rows_of(found: Statistics) -> Iterator[tuple[slice, Tensor]]:
    """Rows of SᵀJ for a layer's weight, some cases at a time: (cases, R, outputs, inputs)."""
    _, r, _, outputs = found.deltas.shape
    step = max(1, _AT_ONCE // (r * outputs * found.layer.inputs))
    for at in range(0, len(found.deltas), step):
        some = slice(at, at + step)
        yield some, torch.einsum("nrto,nti->nroi", found.deltas[some], found.entering[some])


def diagonal_by_layers(point: Point, root: Tensor) -> Tensor:
    """The diagonal of (1/N) Σ_n Jᵀ S Sᵀ J for S (N, C, R), (P,)."""
    total = torch.zeros_like(point.theta)
    for chunk in point.statistics(root.transpose(1, 2)):
        for found in chunk:
            place = found.layer
            if found.deltas.shape[2] == 1:  # Σ_r δ_r² a²: squares factor where the weight is used once
                squares = found.deltas[:, :, 0].square().sum(1).T @ found.entering[:, 0].square()
            else:
                squares = sum(
                    (rows.square().sum((0, 1)) for _, rows in rows_of(found)), torch.zeros((), device=root.device)
                )
            total[place.weight_at] += squares.reshape(-1)
            if place.bias_at:
                total[place.bias_at] += found.deltas.sum(2).square().sum((0, 1))
    return total / len(point.outputs)


def gram_by_layers(point: Point, root: Tensor) -> Tensor:
    """SᵀJ Jᵀ S over all cases, for S (N, C, R): (N·R, N·R), unscaled.

    For a Linear layer used once a case it is the Gram matrix of what enters, case by case, times that of the gradients:
    J is not formed (the empirical neural tangent kernel, Novak et al. 2022).
    """
    n, _, r = root.shape
    chunks = list(point.statistics(root.transpose(1, 2)))
    total = torch.zeros(n, r, n, r, dtype=root.dtype, device=root.device)
    for layers in zip(*chunks, strict=True):
        place = layers[0].layer
        entering = torch.cat([found.entering for found in layers])
        deltas = torch.cat([found.deltas for found in layers])
        whole = Statistics(place, entering, deltas)
        if deltas.shape[2] == 1:
            a = entering[:, 0]
            cases = gram(a.T)
            if place.bias_at:
                cases = cases + 1
            d = deltas[:, :, 0].reshape(n * r, -1)
            total += gram(d.T).view(n, r, n, r).mul_(cases[:, None, :, None])
            continue
        rows = torch.cat([part.flatten(2) for _, part in rows_of(whole)]).reshape(n * r, -1)
        total += gram(rows.T).view(n, r, n, r)
        if place.bias_at:
            d = deltas.sum(2).reshape(n * r, -1)
            total += gram(d.T).view(n, r, n, r)
    return total.view(n * r, n * r)

"""Decision regions: what a model of two inputs says over the plane of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ngexplorer.analysis.planes import Array, Window
from ngexplorer.objectives import Point

_ROWS = 4096


@dataclass(frozen=True)
class Decisions:
    """Predictions E[y | x] on a grid of inputs: predictions[j, i] (C,) at (xs[i], ys[j]); `done` as for a surface."""

    xs: Array
    ys: Array
    predictions: Array
    done: float

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class decided for, (J, I): of one output 1 where it is above ½, else the largest one's."""
        if self.predictions.shape[2] == 1:
            return (self.predictions[..., 0] > 0.5).astype(np.int64)
        return self.predictions.argmax(2).astype(np.int64)


def decisions(point: Point, window: Window, sizes: Sequence[int] = (33, 65, 129)) -> Iterator[Decisions]:
    """The predictions at a point θ on finer and finer grids of inputs; finer ones hold the coarser. Watched by the
    point. Raises ValueError unless the inputs are two numbers a case, and Cancelled."""
    inputs = point.objective.inputs
    if not isinstance(inputs, torch.Tensor) or tuple(inputs.shape[1:]) != (2,):
        raise ValueError("inputs: not two numbers a case; decision regions are drawn over two inputs")
    known: Array | None = None
    for size in sizes:
        xs, ys = np.linspace(*window[:2], size), np.linspace(*window[2:], size)
        new = np.ones((size, size), dtype=bool)
        if known is not None:
            new[::2, ::2] = False
        rows, columns = np.nonzero(new)
        outputs = outputs_at(point, np.stack((xs[columns], ys[rows]), 1))
        fresh = point.objective.loss.prediction(outputs).double().cpu().numpy()
        values = np.full((size, size, fresh.shape[1]), np.nan)
        if known is not None:
            values[::2, ::2] = known
        values[rows, columns] = fresh
        known = values
        yield Decisions(xs, ys, values, size**2 / sizes[-1] ** 2)


def outputs_at(point: Point, inputs: Array) -> Tensor:
    """z = f(x, θ) at inputs (T, D), (T, C), some at a time. Watched by the point."""
    parts = []
    for some in torch.as_tensor(inputs).to(point.theta).split(_ROWS):
        point.watch.check()
        parts.append(point.objective.network.evaluate(point.theta, some))
    return torch.cat(parts)

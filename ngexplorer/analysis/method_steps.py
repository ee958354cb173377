"""The steps that different methods would take from one point, as arrows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ngexplorer.analysis.planes import Array, Plane
from ngexplorer.objectives import Point
from ngexplorer.optimizers.method_steps import damped_steps


@dataclass(frozen=True)
class Arrows:
    """Steps (P,) from one θ by the name of their method, and of the others why they have none."""

    steps: dict[str, Tensor]
    refused: dict[str, str]

    def project(self, plane: Plane) -> dict[str, Array]:
        """What of each step lies in the plane, (2,)."""
        axes = torch.as_tensor(plane.axes)
        return {name: (axes @ step.double().cpu()).numpy() for name, step in self.steps.items()}

    def cosines(self) -> Array:
        """The cosine between every two steps, in their order, (K, K); NaN where one is zero."""
        rows = torch.stack([step.double().cpu() for step in self.steps.values()])
        lengths = torch.linalg.vector_norm(rows, dim=1)
        return ((rows @ rows.T) / (lengths[:, None] * lengths)).numpy()


def arrows(point: Point, damping: float, carried: Tensor | None = None) -> Arrows:
    """−∇h, and the damped steps of all methods; see `ngexplorer.optimizers.method_steps`.

    carried: what momentum adds, μδ₀ with δ₀ the last step, (P,), if anything. Watched by the point.
    """
    damped, refused = damped_steps(point, damping)
    steps = {"gradient-descent": -point.gradient} | damped
    if carried is not None:
        steps["momentum"] = carried
    return Arrows(steps, refused)

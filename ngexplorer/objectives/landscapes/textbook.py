"""The textbooks' test functions, their residuals scaled so that the values are the textbooks'."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives.landscapes.base import Place, ResidualLandscape, StartX, StartY, Window

# ½‖√2 r‖² is the sum of squares Σ r² that the textbooks write.
_SCALE = 2**0.5


class Rosenbrock(ResidualLandscape, frozen=True, kw_only=True, tag="rosenbrock"):
    """Rosenbrock's valley: h = (1 − x)² + 100 (y − x²)², from residuals √2 (1 − x) and 10√2 (y − x²)."""

    title: ClassVar[str] = "Rosenbrock"
    window: ClassVar[Window] = (-1.8, 1.6, -0.6, 2.2)
    minima: ClassVar[tuple[Place, ...]] = ((1.0, 1.0),)

    x: StartX = -1.2
    y: StartY = 1.0

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        return _SCALE * torch.stack((1 - x, 10 * (y - x * x)), -1)


class Beale(ResidualLandscape, frozen=True, kw_only=True, tag="beale"):
    """Beale's plateau: h = Σ (c_k − x + x yᵏ)² for k = 1, 2, 3 with c = (1.5, 2.25, 2.625); lowest at (3, ½).

    Source: Moré, Garbow and Hillstrom 1981, problem 5. On the line x = 0 the Jacobian is singular.
    """

    title: ClassVar[str] = "Beale"
    window: ClassVar[Window] = (-1.0, 4.2, -1.5, 1.5)
    minima: ClassVar[tuple[Place, ...]] = ((3.0, 0.5),)

    x: StartX = 1.0
    y: StartY = 1.0

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        return _SCALE * torch.stack([c - x * (1 - y**k) for k, c in enumerate((1.5, 2.25, 2.625), 1)], -1)


class Himmelblau(ResidualLandscape, frozen=True, kw_only=True, tag="himmelblau"):
    """Himmelblau's four minima, all of height 0: h = (x² + y − 11)² + (x + y² − 7)².

    The start is near the hill between them, where the Hessian is indefinite or negative definite.
    """

    title: ClassVar[str] = "Himmelblau"
    window: ClassVar[Window] = (-5.0, 5.0, -5.0, 5.0)
    minima: ClassVar[tuple[Place, ...]] = (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644034),
    )

    x: StartX = 0.0
    y: StartY = 0.0

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        return _SCALE * torch.stack((x * x + y - 11, x + y * y - 7), -1)


class Booth(ResidualLandscape, frozen=True, kw_only=True, tag="booth"):
    """Booth's bowl: h = (x + 2y − 7)² + (2x + y − 5)², a quadratic with eigenvalues 2 and 18; lowest at (1, 3)."""

    title: ClassVar[str] = "Booth"
    window: ClassVar[Window] = (-10.0, 10.0, -10.0, 10.0)
    minima: ClassVar[tuple[Place, ...]] = ((1.0, 3.0),)

    x: StartX = -8.0
    y: StartY = -6.0

    def residuals(self, position: Tensor) -> Tensor:
        x, y = position[..., 0], position[..., 1]
        return _SCALE * torch.stack((x + 2 * y - 7, 2 * x + y - 5), -1)

"""A quadratic function of the outputs, which may be a saddle: for test functions, where no label has a distribution."""

from __future__ import annotations

from typing import Annotated, ClassVar, NoReturn

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.losses.base import check_real_targets
from ngexplorer.objectives.losses.diagonal import DiagonalLoss
from ngexplorer.objectives.traits import Traits

Curvature = Annotated[float, Meta(ge=-1e6, le=1e6)]


class Quadratic(DiagonalLoss, frozen=True, kw_only=True, tag="quadratic"):
    """L = ½ Σ_c a_c z_c², the same for all targets: G = H for a linear network, and there is no Fisher matrix.

    For a_c < 0 no constant makes e^{−L} a density, so F_R and labels are refused with ValueError, whatever the a_c.
    """

    title: ClassVar[str] = "Quadratic (no density)"
    density: ClassVar[bool] = False
    natural: ClassVar[bool] = False
    metric_name: ClassVar[str] = "no metric"

    curvatures: Annotated[
        tuple[Curvature, ...], Meta(min_length=1, max_length=1000, description="Second derivatives a of the outputs")
    ] = (1.0, -1.0)

    @property
    def convex(self) -> bool:
        return all(a >= 0 for a in self.curvatures)

    def outputs(self, traits: Traits) -> int:
        return len(self.curvatures)

    def refusal(self, traits: Traits) -> str | None:
        return "is for test functions"

    def encode(self, targets: Tensor, traits: Traits, like: Tensor) -> Tensor:
        return targets.to(like)

    def check(self, y: Tensor, z: Tensor) -> None:
        if z.shape[1] != len(self.curvatures):
            raise ValueError(
                f"outputs: {z.shape[1]} a case; {self.title} of {len(self.curvatures)} curvatures takes as many"
            )
        check_real_targets(y, z, self.title)

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (self._a(z) * z.square()).sum(1)

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        return self._a(z) * z

    def hessian_diagonal(self, z: Tensor, y: Tensor) -> Tensor:
        return self._a(z).expand_as(z)

    def fisher_diagonal(self, z: Tensor) -> Tensor:
        self._refuse()

    def sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        self._refuse()

    def hessian_root(self, z: Tensor, y: Tensor) -> Tensor:
        if not self.convex:
            raise ValueError(f"{self.title}: H_L has no real square root, since {min(self.curvatures)} is negative")
        return super().hessian_root(z, y)

    def prediction(self, z: Tensor) -> Tensor:
        """z itself: there is no distribution to have a mean."""
        return z

    def metric(self, z: Tensor, y: Tensor) -> Tensor:
        """NaN: nothing is predicted."""
        return z.new_full((), torch.nan)

    def _a(self, z: Tensor) -> Tensor:
        return torch.tensor(self.curvatures, dtype=z.dtype, device=z.device)

    def _refuse(self) -> NoReturn:
        raise ValueError(
            f"{self.title} is not the negative log of a density: it has no Fisher matrix and no labels to draw"
        )

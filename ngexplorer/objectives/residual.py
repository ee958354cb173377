"""A residual block: what passes through it is added to what it makes of it."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Module):
    """x ↦ x + inner(x), for an `inner` sequence whose outputs have the shape of its inputs (He et al. 2016)."""

    def __init__(self, inner: nn.Sequential) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)

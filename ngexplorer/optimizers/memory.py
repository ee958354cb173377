"""What a run remembers of its earlier steps."""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor

from ngexplorer.curvature import Curvature
from ngexplorer.curvature.kfac import Factors, Inverse
from ngexplorer.curvature.running_average import Numbers
from ngexplorer.objectives.networks.base import Affine
from ngexplorer.optimizers import parts


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What running averages and momentum remember of earlier steps. A record, so that a step which leads nowhere leaves
    the one before it as it was; tensors are (P,)."""

    count: int = 0
    """Steps begun, this one included"""
    average: Tensor
    """m ← β₁m + (1 − β₁)g"""
    square: Tensor
    """v ← β₂v + (1 − β₂)g², or the sum of g²"""
    velocity: Tensor
    """The last step taken; with Nesterov's momentum v ← μv + αd"""
    direction: Tensor | None = None
    """The last direction, where a solver starts from it"""
    pairs: tuple[tuple[Tensor, Tensor], ...] = ()
    """L-BFGS's steps s and gradient changes y, the oldest first"""
    gradient: Tensor | None = None
    """The gradient before the last step, where y is made of it"""
    factors: tuple[Factors, ...] = ()
    """K-FAC's running averages"""
    inverses: tuple[Inverse, ...] = ()
    inverted_at: int = 0
    """The count at which the inverses, or EKFAC's basis, were computed"""
    gamma: float = 0.0
    """K-FAC's γ of the last step"""
    basis: tuple[tuple[Affine, Tensor, Tensor], ...] = ()
    """EKFAC's U_G and U_A of every layer"""
    scalings: tuple[Tensor, ...] = ()
    """EKFAC's second moments in that basis"""
    scaled_at: int = 0
    """The count at which they were computed"""
    matrix: Curvature | None = None
    """The curvature matrix of an earlier step, where it serves for some"""
    looked_at: int = 0
    """The count at which that matrix was looked at"""
    matrix_average: Numbers = ()
    """The running average of the matrices"""
    looks: int = 0
    """Over how many of them"""
    mean: Tensor | None = None
    """The average of the iterates"""
    averaged: int = 0
    """Over how many iterates"""

    @classmethod
    def empty(cls, theta: Tensor) -> Memory:
        zero = torch.zeros_like(theta)
        return cls(average=zero, square=zero, velocity=zero)

    def without_matrix(self) -> Memory:
        """Without what was made of matrices seen so far, for one that is another from now on."""
        return msgspec.structs.replace(
            self, matrix=None, matrix_average=(), looks=0, inverses=(), gamma=0.0, basis=(), scalings=()
        )

    def seen(self, gradient: Tensor, curvature: parts.Curvature, momentum: parts.Momentum) -> Memory:
        """With one more gradient in the averages that are kept."""
        average, square = self.average, self.square
        if isinstance(momentum, parts.GradientAverage):
            average = momentum.decay * average + (1 - momentum.decay) * gradient
        if isinstance(curvature, parts.DiagonalEmpiricalFisher):
            if curvature.accumulation == "sum":
                square = square + gradient.square()
            else:
                square = curvature.decay * square + (1 - curvature.decay) * gradient.square()
        return msgspec.structs.replace(self, count=self.count + 1, average=average, square=square)

    def moved(self, before: Tensor, theta: Tensor, averaging: parts.Averaging) -> Memory:
        """After a step to θ: in the average of the iterates, of which the one it left is the first."""
        mean, averaged = self.mean, self.averaged
        if isinstance(averaging, parts.Polyak) and self.count > averaging.start:
            if mean is None:
                mean, averaged = before, 1
            averaged += 1
            mean = mean + (theta - mean) / averaged
        elif isinstance(averaging, parts.Exponential):
            averaged += 1
            mean = theta if mean is None else averaging.decay * mean + (1 - averaging.decay) * theta
        return msgspec.structs.replace(self, mean=mean, averaged=averaged)

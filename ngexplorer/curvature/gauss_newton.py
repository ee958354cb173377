"""The generalized Gauss-Newton matrix G = E[Jᵀ H_L J] (Schraudolph 2002; Martens 2020, §8)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ngexplorer.curvature import sample_space
from ngexplorer.curvature.base import LARGEST_FACTORIZED, Curvature
from ngexplorer.curvature.layers import diagonal_by_layers
from ngexplorer.objectives.losses.base import CaseMap

_SMALL = 2**23
"""Products of two numbers that take about as long as the structured sum's many operations on small tensors."""


class GaussNewton(Curvature):
    """G = (1/N) Σ Jᵀ H_L J + ηI with H_L = ∂²L/∂z². Positive semi-definite where the loss is convex in z."""

    name: ClassVar[str] = "gauss-newton"
    title: ClassVar[str] = "Gauss-Newton matrix"

    def _middle(self) -> Tensor:
        """H_L of every case, (N, C, C)."""
        return self.objective.loss.hessian(self.point.outputs, self.objective.targets)

    def _map(self, rows: slice) -> CaseMap:
        """H_L of some cases, as a map of directions of their outputs."""
        return self.objective.loss.hessian_map(self.point.outputs[rows], self.objective.targets[rows])

    def _push(self, moved: Tensor, rows: slice) -> Tensor:
        """H_L times directions of the outputs at some rows, (rows, K, C); what the outputs give is computed once."""
        times: CaseMap = self._kept(f"map {rows.start}", lambda: self._map(rows))
        return times(moved)

    def _root(self) -> Tensor:
        """S with S Sᵀ = H_L, (N, C, R). Raises ValueError where H_L is not positive semi-definite."""
        return self.objective.loss.hessian_root(self.point.outputs, self.objective.targets)

    @property
    def _gradient_in_range(self) -> bool:
        """Whether ∂L/∂z lies in the range of S for every case, as it does where H_L = F_R."""
        return self.objective.loss.natural

    def _product(self, vectors: Tensor) -> Tensor:
        return self.point.product(vectors, self._push, self.second_order)

    def inner(self, vectors: Tensor) -> Tensor:
        if self.second_order or vectors.shape[1] > self.objective.directions_at_once:
            return super().inner(vectors)
        found, penalty = self.point.inner(vectors, self._push), self._penalty(vectors)
        return found + vectors.T @ penalty if isinstance(penalty, Tensor) else found

    def _dense(self) -> Tensor:
        rows, size = self.point.outputs.numel(), self.shape[0]
        if rows * size * size <= _SMALL and self._gradient_in_range and self.objective.structured:
            # So small that the number of operations counts and not their size: by J̃ itself.
            root = self.point.rows(self._root())
            self.point.count_flops(2.0 * rows * size * size)
            return root.T @ root / len(self.point.outputs)
        return self.point.dense(self._middle(), self.second_order)

    def _diagonal(self) -> Tensor:
        if self.second_order or not self.objective.gradients_by_layers:
            return super()._diagonal()
        try:
            root = self._root()
        except ValueError:  # not positive semi-definite
            return super()._diagonal()
        return diagonal_by_layers(self.point, root) + self.objective.weight_decay

    @property
    def gradient_in_sample_space(self) -> bool:
        """Whether (B + λI)⁻¹∇h can be had in sample space, and that is smaller than θ."""
        possible = not self.second_order and self._gradient_in_range and self.objective.plain_penalty
        return possible and self.point.outputs.numel() < self.shape[0]

    def solve_in_sample_space(self, damping: float) -> Tensor:
        """(B + damping·I)⁻¹ ∇h, (P,), exactly, by a matrix of one row for each case and output; damping > 0."""
        whitened = self.objective.loss.whitened_gradient(self.point.outputs, self.objective.targets)
        return sample_space.solve_gradient(self.point, self._root(), whitened, damping)

    def solve_gradient(self, damping: float) -> Tensor:
        """(B + damping·I)⁻¹ ∇h, (P,): in sample space where that is smaller than a large θ and serves."""
        if self.shape[0] > LARGEST_FACTORIZED and damping > 0 and self.gradient_in_sample_space:
            return self.solve_in_sample_space(damping)
        return super().solve_gradient(damping)

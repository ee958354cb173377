"""Metrics: what the gradient is measured with at one point, from the curvature part and what is remembered."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
from torch import Tensor

from ngexplorer.cancellation import Cancel
from ngexplorer.curvature import Curvature, LayerDiagonal
from ngexplorer.curvature import Diagonal as DiagonalForm
from ngexplorer.curvature.running_average import RunningAverage, averaged, numbers_of, with_numbers
from ngexplorer.objectives import Point
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.memory import Memory
from ngexplorer.optimizers.solvers.conjugate_gradient import by_conjugate_gradient
from ngexplorer.optimizers.solvers.dense import by_cholesky, by_eigenpairs
from ngexplorer.optimizers.solvers.sample_space import by_sample_space, serves
from ngexplorer.optimizers.solvers.solution import Solution
from ngexplorer.optimizers.solvers.subproblem import in_ball, steihaug, with_cube
from ngexplorer.settings import SettingError


class Metric:
    """B at one point: d with (B + λI) d = −g."""

    matrix: Curvature | None = None
    """B as a matrix, where there is one that can be multiplied with"""
    modelled = True
    """Whether the quadratic model with this B says anything about h"""

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        """The direction. Raises IndefiniteError where B + λI is not positive definite and that is known here."""
        raise NotImplementedError


class WholeStep(Metric):
    """A method with a state of its own that answers with a whole step."""

    modelled = False
    work = 0.0
    """Gradients it has evaluated elsewhere than at the point it was shown"""

    def moved(self, point: Point, rate: float) -> Solution:
        """θ's change. Asked twice at one θ, after a step that was abandoned, it answers as before."""
        raise NotImplementedError


class Plain(Metric):
    """B = I: steepest descent."""

    modelled = False

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        return Solution(-gradient, 0.0, "")


class Diagonal(Metric):
    """B = v^ξ + ε."""

    modelled = False

    def __init__(self, part: parts.DiagonalEmpiricalFisher, memory: Memory) -> None:
        square = memory.square
        if part.accumulation == "average":
            square = square / (1 - part.decay**memory.count)
        self.scale = square**part.exponent + part.epsilon

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        return Solution(-gradient / self.scale, 0.0, "")


class LimitedMemory(Metric):
    """B⁻¹ by the two-loop recursion over the pairs (Nocedal 1980), from γI with γ = sᵀy/yᵀy of the last."""

    def __init__(self, memory: Memory) -> None:
        self.pairs = memory.pairs

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        q = -gradient
        shares = []
        for s, y in reversed(self.pairs):
            share = s.dot(q) / s.dot(y)
            shares.append(share)
            q = q - share * y
        if self.pairs:
            s, y = self.pairs[-1]
            q = q * (s.dot(y) / y.dot(y))
        for (s, y), share in zip(self.pairs, reversed(shares), strict=True):
            q = q + (share - y.dot(q) / s.dot(y)) * s
        return Solution(q, math.nan, f"two-loop recursion, {len(self.pairs)} pairs", product=-gradient)

    @staticmethod
    def remembered(part: parts.LimitedMemory, memory: Memory, s: Tensor, y: Tensor) -> Memory:
        """With one more pair, the oldest dropped; one without enough curvature is left out."""
        if not float(s.dot(y)) > part.least:
            return memory
        return msgspec.structs.replace(memory, pairs=(*memory.pairs, (s, y))[-part.pairs :])


class Solved(Metric):
    """A curvature matrix and a way to solve with it; `memory` is what is remembered once the step is taken."""

    def __init__(
        self, matrix: Curvature, solver: parts.Solver, memory: Memory, loss: Callable[[Tensor], float]
    ) -> None:
        self.matrix: Curvature = matrix
        self.solver, self.memory, self.loss = solver, memory, loss

    def solve(self, gradient: Tensor, damping: float, cancel: Cancel) -> Solution:
        matrix = self.matrix
        plain = gradient is matrix.point.gradient
        solver, why = self.solver, ""
        if isinstance(solver, parts.Auto):
            if isinstance(matrix, DiagonalForm | LayerDiagonal):
                return Solution(-matrix.solve(gradient, damping), damping, matrix.title.lower())
            solver, why = _chosen(matrix, damping, plain)
        solution = self._by(solver, gradient, damping, plain, cancel)
        if not why:
            return solution
        return msgspec.structs.replace(solution, reason=f"{solution.reason} (automatic: {why})")

    def _by(self, solver: parts.Solver, gradient: Tensor, damping: float, plain: bool, cancel: Cancel) -> Solution:
        matrix = self.matrix
        match solver:
            case parts.Cholesky():
                return by_cholesky(matrix, gradient, damping)
            case parts.Eigendecomposition():
                return by_eigenpairs(matrix, gradient, damping, solver.eigenvalues)
            case parts.SampleSpace():
                if not (serves(matrix, damping) and plain):
                    raise SettingError(
                        "solver",
                        f"sample space serves for the gradient with a Fisher or Gauss-Newton matrix, damping > 0 and "
                        f"fewer cases × outputs than parameters; here are {matrix.title}, damping {damping:g}, "
                        f"{matrix.point.outputs.numel()} and {matrix.shape[0]}",
                    )
                return by_sample_space(matrix, damping)
            case _:
                assert isinstance(solver, parts.ConjugateGradient)
                start = self.memory.direction
                return by_conjugate_gradient(matrix, gradient, damping, solver, start, self.loss, cancel)

    def within(self, gradient: Tensor, radius: float, cancel: Cancel) -> Solution:
        """The minimizer of the model in a ball."""
        solver = self.solver
        if isinstance(solver, parts.Auto) and self.matrix.shape[0] > parts.Auto.largest_dense:
            solver = parts.ConjugateGradient()
        if isinstance(solver, parts.ConjugateGradient):
            return steihaug(self.matrix, gradient, radius, solver.iterations, cancel)
        return in_ball(self.matrix, gradient, radius)

    def cubic(self, gradient: Tensor, weight: float) -> Solution:
        """The minimizer of the model with M/6 ‖δ‖³."""
        return with_cube(self.matrix, gradient, weight)


def matrix_of(part: parts.Matrix, point: Point, memory: Memory, seed: int) -> tuple[Curvature, Memory]:
    """The matrix of a step, and the memory with it: the point's own, the one of an earlier step while that serves, or
    the running average of those looked at."""
    if memory.matrix is not None and memory.count - memory.looked_at < part.refresh:
        return memory.matrix, memory
    matrix = part.at(point, seed)
    if part.decay > 0:
        _require_small(matrix)
        looks = memory.looks + 1
        average = averaged(memory.matrix_average, numbers_of(matrix), looks, part.decay)
        memory = msgspec.structs.replace(memory, matrix_average=average, looks=looks)
        matrix = with_numbers(matrix, average)
    kept = matrix if part.refresh > 1 else None
    return matrix, msgspec.structs.replace(memory, matrix=kept, looked_at=memory.count)


def _require_small(matrix: Curvature) -> None:
    """Raise SettingError where the running average of a matrix would be kept as too many numbers."""
    if isinstance(matrix, DiagonalForm):
        return
    by_layers = isinstance(matrix, LayerDiagonal)
    sizes = [layer.stop - layer.start for layer in matrix.objective.layers] if by_layers else [matrix.shape[0]]
    largest = parts.Auto.largest_dense
    if max(sizes) > largest:
        what, smaller = ("a layer's block", "diagonal") if by_layers else ("the whole matrix", "layers or diagonal")
        raise SettingError(
            "curvature.decay",
            f"the running average of {what} is kept as n × n numbers, n ≤ {largest:,}; here n is {max(sizes):,}: "
            f"form = {smaller}, or decay = 0, goes with this model",
        )


def _chosen(matrix: Curvature, damping: float, plain: bool) -> tuple[parts.Solver, str]:
    """The cheapest solver that is exact, conjugate gradient where none is cheap; and why it is that."""
    if isinstance(matrix, RunningAverage):
        return parts.Cholesky(), "a running average is a dense matrix"
    structured = matrix.objective.structured
    largest = parts.Auto.largest_dense if structured else parts.Auto.largest_by_products
    size, rows = matrix.shape[0], matrix.point.outputs.numel()
    small = plain and serves(matrix, damping) and rows <= parts.Auto.largest_dense
    if small and (rows < size // 2 or size > largest):
        return parts.SampleSpace(), f"{rows:,} outputs in all are fewer than {size:,} parameters"
    if size <= largest:
        return parts.Cholesky(), f"{size:,} parameters"
    kind = "" if structured else " of a model without structure"
    return parts.ConjugateGradient(), f"{size:,} parameters{kind} are more than {largest:,}"

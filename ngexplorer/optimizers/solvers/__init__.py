"""Solving for a direction: by a factorization, in sample space, by products alone, or inside a trust region."""

from ngexplorer.optimizers.solvers.solution import Solution

__all__ = ["Solution"]

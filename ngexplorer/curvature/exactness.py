"""Up to how many parameters a matrix is looked at as a whole: its entries, all of its eigenvalues."""

from __future__ import annotations

from ngexplorer.objectives import Objective

LARGEST_EXACT = 2500
"""Up to so many parameters all eigenvalues are computed."""
LARGEST_BY_PRODUCTS = 300
"""The same where the dense matrix takes a product for every parameter."""


def largest_exact(objective: Objective) -> int:
    """Up to how many parameters all eigenvalues of matrices of that kind of objective are computed."""
    return LARGEST_EXACT if objective.structured else LARGEST_BY_PRODUCTS

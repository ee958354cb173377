"""What every solver returns."""

from __future__ import annotations

import msgspec
from torch import Tensor

NAN = float("nan")


class Solution(msgspec.Struct, frozen=True):
    """d with (B + λI) d = −g + residual, (P,).

    damping: the λ it was solved with; a trust region finds its own. residual: None where it is zero to rounding.
    product: B d, where that does not follow from the equation; None: it does. failed: a scalar tensor that is not 0
    where B + λI is not positive definite, read with the trial; None: it is. boundary: whether a trust region ended it.
    lowest: λmin of B where the solver found it, or NaN.
    """

    direction: Tensor
    damping: float
    reason: str
    residual: Tensor | None = None
    product: Tensor | None = None
    iterations: float = NAN
    failed: Tensor | None = None
    boundary: bool = False
    lowest: float = NAN

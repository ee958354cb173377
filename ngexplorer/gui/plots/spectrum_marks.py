"""The marks of a spectrum: of thousands of eigenvalues those that can be told apart."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from PySide6.QtGui import QColor

from ngexplorer.gui.plots.lines import Array, Line, pen

_MARKS = 120
"""At most so many marks a spectrum: more would cover each other."""
_DOT = 2.0
"""The radius of an eigenvalue's mark, pixels."""


def spread(indices: Any) -> Any:
    """At most `_MARKS` of the indices: the first few all, the others evenly."""
    if len(indices) <= _MARKS:
        return indices
    return indices[_spread_places(len(indices))]


@lru_cache(256)
def _spread_places(count: int) -> Any:
    places = (np.geomspace(1, count, _MARKS // 3), np.linspace(1, count, _MARKS - _MARKS // 3))
    return np.unique(np.concatenate(places).round().astype(int)) - 1


def marked(colour: QColor, dots: Array | None = None, triangles: Array | None = None) -> Line:
    """Marks without a line between them."""
    return Line(np.empty(0), np.empty(0), pen(colour), dots, _DOT, triangles)


def thinned(places: Array, offset: int) -> Array:
    """Of spectra that coincide each leaves room for the others by its offset."""
    return places if len(places) < 60 else places[offset % 3 :: 2 + (offset > 0)]

"""Heights of a surface on a scale on which valleys and ridges are seen alike, its contour levels, and its relief."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline

from ngexplorer.analysis.planes import Array

LEVELS = 14
_FLOOR = 1e-4
"""Of the range of a surface: the least height above the lowest level that is told apart."""
_SIZE = 257
"""Points along a side of a relief, between which no eye sees a step."""
_STEEP = 0.6
"""How much heights are exaggerated: the window is 1 wide and high, and the surface that much high."""
_LIGHT = np.array([-0.5, 0.5, np.sqrt(0.5)])
"""Where the light comes from: the upper left, halfway up, as on maps."""


def finite(values: Array) -> Array:
    """The values, with the highest finite one in place of what is not finite."""
    known = np.isfinite(values)
    return np.where(known, values, values.max(initial=-np.inf, where=known) if known.any() else 1.0)


def contour_levels(values: Array, count: int = LEVELS) -> Array:
    """Levels from the lowest to the highest of finite values, evenly spaced in log(h − h₀), with h₀ just below the
    lowest."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.array([low, low + max(abs(low), 1.0)])
    ground, lifted = _ground(low, high)
    inner = ground + np.geomspace(lifted, high - ground, count + 1)
    inner[0], inner[-1] = min(low, inner[0]), high
    return np.unique(inner)


def heights(values: Array) -> Array:
    """0 where h is lowest, 1 where it is highest, even in log(h − h₀) between them, as the contour levels are."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros_like(values)
    ground, lifted = _ground(low, high)
    found: Array = np.log(np.maximum(values - ground, lifted) / lifted) / np.log((high - ground) / lifted)
    return found


def _ground(low: float, high: float) -> tuple[float, float]:
    """h₀, and how far above it the scale begins."""
    ground = min(low, 0.0)
    return ground, max(low - ground, _FLOOR * (high - ground))


@dataclass(frozen=True)
class Relief:
    """A surface as a map is shaded: heights in [0, 1], (K, K), and the light that falls on each place, in [0, 1], (K,
    K), which is `level` where the ground is level."""

    heights: Array
    light: Array
    level: float = float(_LIGHT[2])


def relief(values: Array) -> Relief:
    """The relief of values (J, I) of a surface, the first row lowest, lit from the upper left: the cosine between the
    light and the normal of the exaggerated log-heights (Horn 1981, "Hill shading and the reflectance map"). Between the
    values heights are interpolated by cubic splines."""
    rows, columns = values.shape
    y, x, fine = np.linspace(0, 1, rows), np.linspace(0, 1, columns), np.linspace(0, 1, _SIZE)
    spline = RectBivariateSpline(y, x, heights(finite(values)), kx=min(3, rows - 1), ky=min(3, columns - 1))
    up, across = (_STEEP * spline(fine, fine, dx=dx, dy=dy) for dx, dy in ((1, 0), (0, 1)))
    light = (_LIGHT[2] - _LIGHT[0] * across - _LIGHT[1] * up) / np.sqrt(1 + across**2 + up**2)
    return Relief(np.clip(spline(fine, fine), 0.0, 1.0), np.clip(light, 0.0, 1.0))

"""A plot's frame: quiet axes in the window's typeface, and ranges that move in jumps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt, Signal

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.log_ticks import log_ticks

_LONGEST = 6
"""So many characters of a number have room beside a vertical axis."""
_LINE = 13.0
"""The height of a number, pixels."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """10 to that power as people write it: plain digits near one, else 10ⁿ."""
    return f"{10.0**exponent:g}" if -3 < exponent < 4 else _power(exponent)


def _power(exponent: int) -> str:
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def compact(value: float) -> str:
    """A number in at most seven characters or so, with a true minus sign."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    text = f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"
    return text.replace("-", "−")


class Axis(pg.AxisItem):
    """True minus signs; on a log axis whole decades, and numbers between them where few are seen; only whole numbers
    on an axis of steps or ranks."""

    whole = False
    factor: int | None = None
    """The exponent of a power of ten that the numbers of a log axis are multiples of, where they would be too long."""

    def logTickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:
        factor = self.factor
        return [_text(v) if factor is None else f"{10.0 ** (v - factor):.6g}" for v in values]

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:
        return [_short(text) for text in super().tickStrings(values, scale, spacing)]

    def tickValues(self, low: float, high: float, size: float) -> Any:
        if not self.logMode:
            ticks = super().tickValues(low, high, size)
            return [(spacing, values) for spacing, values in ticks if spacing >= 1] if self.whole else ticks
        decades, between = log_ticks(low, high, size)
        texts = [_text(v) for v in (*decades, *between)]
        wide = any(len(text) > _LONGEST for text in texts)
        self.factor = math.floor(low) if wide else None
        return [(1.0, decades), (0.3, between)]

    def generateDrawSpecs(self, painter: Any) -> Any:
        """With the power of ten that the numbers are multiples of, over them."""
        specs = super().generateDrawSpecs(painter)
        if specs is None or not self.logMode or self.factor is None:
            return specs
        axis, ticks, texts = specs
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextDontClip
        above = QRectF(0.0, 0.0, self.width() - self.style["tickTextOffset"][0], _LINE)
        below = [text for text in texts if not text[0].intersects(above)]
        return axis, ticks, [*below, (above, flags, f"×{_power(self.factor)}")]


def _text(logarithm: float) -> str:
    """The number of that logarithm: a whole decade as a power of ten."""
    if abs(logarithm - round(logarithm)) < 1e-9:
        return power_of_ten(round(logarithm))
    return _short(f"{10.0**logarithm:.6g}")


def _short(text: str) -> str:
    """A number with true minus signs, its exponent without zeros that mean nothing: there is little room."""
    return re.sub(r"e([+-])0*", lambda found: "e−" if found[1] == "-" else "e", text).replace("-", "−")


class BrokenAxis(Axis):
    """A logarithmic axis of both signs: positive numbers above 0, negative ones mirrored below it, and between them a
    gap for what is smaller than 10^floor."""

    gap = 0.35
    """Half of it, in decades."""

    floor = -10.0

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where numbers stand on the axis; NaN for what falls into the gap."""
        height = logarithm(np.abs(values)) - self.floor
        return np.where(height >= 0, np.sign(values) * (height + self.gap), np.nan)

    def tickValues(self, low: float, high: float, size: float) -> Any:
        decades = max(high - low, 1e-9)
        step = max(1, math.ceil(28 * decades / max(size, 1.0)))
        ticks = [0.0]
        first = math.ceil(self.floor / step) * step
        for exponent in range(int(first), int(first) + 400, step):
            y = exponent - self.floor + self.gap
            if y > max(high, -low):
                break
            # The lowest decades of both signs would stand on the zero between them.
            if y * size / decades > 14:
                ticks += [y, -y]
        return [(1.0, [tick for tick in ticks if low <= tick <= high])]

    def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:
        texts = (power_of_ten(round(abs(v) - self.gap + self.floor)) for v in values)
        return ["0" if v == 0 else ("−" if v < 0 else "") + text for v, text in zip(values, texts, strict=True)]


class Frame(pg.PlotWidget):
    """An empty plot. A person's zoom or pan stays until they double-click; otherwise `fit` chooses the range, and only
    moves it when what is drawn leaves it or fills much less of it: laying out axes costs more than drawing lines."""

    zoomed = Signal()

    def __init__(self, theme: themes.Theme, left: Axis | None = None) -> None:
        super().__init__(axisItems={"left": left or Axis("left"), "bottom": Axis("bottom")})
        self.setAccessibleName("Plot")
        self.item = self.getPlotItem()
        self.item.setMenuEnabled(False)
        self.item.hideButtons()
        self.view = self.item.getViewBox()
        self.view.setDefaultPadding(0)
        self.view.disableAutoRange()
        self.view.sigRangeChangedManually.connect(self._grasped)
        self.free = False
        """Whether a person has chosen the range."""
        self.painting = 0.0
        """Seconds that one painting takes, on average over the last few."""
        self._window: tuple[float, float, float, float] | None = None
        self.setFrameShape(self.Shape.NoFrame)
        for side in ("left", "bottom"):
            # Its grid lies under the lines: without a copy of it, each picture of them would draw the axis again.
            axis = self.item.getAxis(side)
            axis.setCacheMode(axis.CacheMode.DeviceCoordinateCache)
        self.dress(theme)

    def dress(self, theme: themes.Theme) -> None:
        """Take the colours of a theme."""
        self.setBackground(theme.panel)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.setPen(theme.hairline)
            axis.setTextPen(theme.muted)
            axis.setTickPen(theme.hairline)
            axis.setStyle(tickFont=themes.font(11), tickLength=-4, tickTextOffset=6, hideOverlappingLabels=True)
        self.item.getAxis("left").setWidth(48)
        self.item.getAxis("bottom").setHeight(26)

    def show_axes(self, shown: bool) -> None:
        """Show or hide the axes: where nothing is drawn, their numbers mean nothing."""
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            if axis.isVisible() != shown:
                (axis.show if shown else axis.hide)()  # which take the room they were given meanwhile, and give it

    def set_log(self, *, y: bool) -> None:
        """Label the y axis as powers of ten; what is drawn is already logarithms."""
        axis = self.item.getAxis("left")
        if axis.logMode != y:  # which lays the axis out again
            axis.setLogMode(y=y)

    def count_along(self, whole: bool) -> None:
        """Label the x axis with whole numbers only, or with any."""
        axis = self.item.getAxis("bottom")
        if axis.whole != whole:
            axis.whole = whole
            axis.picture = None
            axis.update()

    def fill(self, left: float, right: float, low: float, high: float, *, square: bool) -> None:
        """Show that window to the edges (square: a unit as long on both axes), unless a person has chosen another."""
        if self.free or self._window == (left, right, low, high):
            return
        self._window = (left, right, low, high)
        self.view.setAspectLocked(square)
        self.view.setRange(xRange=(left, right), yRange=(low, high), padding=0)

    def fit(self, left: float, right: float, low: float, high: float, *, growing: bool = True) -> None:
        """Show that window, with room to the right for what is growing, unless a person has chosen another."""
        if self.free or not all(map(math.isfinite, (left, right, low, high))):
            return
        wanted = (left, right, low, high)
        if self._window is not None and holds(self._window, wanted):
            return
        if high - low < 1e-9 * max(abs(high), 1e-300):
            low, high = low - 0.5, high + 0.5
        width, height = max(right - left, 1e-9), high - low
        room = 0.25 if growing and self._window is not None else 0.02
        self._window = (
            left - 0.02 * width,
            right + room * width,
            low - 0.06 * height,
            high + 0.06 * height,
        )
        self.view.setRange(xRange=self._window[:2], yRange=self._window[2:], padding=0)

    @property
    def unfitted(self) -> bool:
        """Whether the range is about to be chosen anew."""
        return self._window is None

    def release(self) -> None:
        """Choose the range anew at the next `fit`."""
        self.free, self._window = False, None

    @contextmanager
    def as_lines(self) -> Iterator[None]:
        """Draw what is kept as pixels for the screen anew meanwhile: paper has others, a drawing none."""
        kept = {item: item.cacheMode() for item in self.scene().items()}
        nothing = pg.GraphicsObject.CacheMode.NoCache
        kept = {item: mode for item, mode in kept.items() if mode != nothing}
        for item in kept:
            item.setCacheMode(nothing)
        try:
            yield
        finally:
            for item, mode in kept.items():
                item.setCacheMode(mode)

    @contextmanager
    def only(self, *, axes: bool) -> Iterator[None]:
        """Draw the axes alone meanwhile, or what lies between them, on nothing."""
        ground = self.backgroundBrush()
        if not axes:
            self.setBackgroundBrush(Qt.BrushStyle.NoBrush)
        hidden = [self.view] if axes else [self.item.getAxis(side) for side in ("left", "bottom")]
        for item in hidden:
            item.setOpacity(0.0)
        try:
            yield
        finally:
            for item in hidden:
                item.setOpacity(1.0)
            self.setBackgroundBrush(ground)

    def paintEvent(self, event: Any) -> None:
        began = perf_counter()
        super().paintEvent(event)
        self.painting += 0.2 * (perf_counter() - began - self.painting)

    def mouseDoubleClickEvent(self, event: Any) -> None:
        self.release()
        self.zoomed.emit()
        super().mouseDoubleClickEvent(event)

    def _grasped(self, *_: Any) -> None:
        self.free = True
        self.zoomed.emit()


def holds(window: tuple[float, ...], wanted: tuple[float, ...]) -> bool:
    """Whether `wanted` lies in `window` and is not lost in it."""
    inside = window[0] <= wanted[0] and wanted[1] <= window[1] and window[2] <= wanted[2] and wanted[3] <= window[3]
    small = (wanted[1] - wanted[0]) < 0.4 * (window[1] - window[0]) or (wanted[3] - wanted[2]) < 0.4 * (
        window[3] - window[2]
    )
    return inside and not small


def logarithm(values: np.ndarray) -> np.ndarray:
    """log₁₀, NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log10(np.maximum(values, 1e-320)), np.nan)

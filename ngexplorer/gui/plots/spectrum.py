"""Spectra: eigenvalues of the matrix each second-order run uses and of the Hessian beside it, with the damping λ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen
from ngexplorer.gui.plots.tags import Tag, Tags
from ngexplorer.gui.plots.view import View, toggle
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs.history import Spectrum
from ngexplorer.runs.probes import LARGEST_BY_PRODUCTS, LARGEST_EXACT

_LABEL = 100
"""The width of a label of λ, pixels."""
_MARKS = 120
"""At most so many marks a spectrum: more would cover each other."""


class SpectrumView(View):
    """|λ_i| by rank: dots for the matrix in use, a line for the Hessian, hollow triangles where negative."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Spectrum")
        self.used = toggle("● In use", "Show the eigenvalues of the matrix each run uses, as dots", on=True)
        self.hessian = toggle("— Hessian", "Show the eigenvalues of the Hessian, as lines", on=True)
        for button in (self.used, self.hessian):
            button.clicked.connect(self.invalidate)
            self.head.addWidget(button)
        self.head.addStrut(26)  # as high as that of the curves beside it
        # Its controls leave the head no room for words.
        self.head.replaceWidget(self.subtitle, QWidget())
        self.column.insertWidget(1, self.subtitle)
        self.frame.set_log(y=True)
        self.frame.count_along(True)
        self.lines = Lines()
        self.marks = pg.ScatterPlotItem(pxMode=True)
        self.tags = Tags(session.theme)
        for item in (self.lines, self.marks, self.tags):
            self.frame.addItem(item, ignoreBounds=True)
        session.shown_changed.connect(self.invalidate)

    def fingerprint(self) -> Any:
        session = self.session
        live = tuple(len(shown.history) for shown in session.runs) if session.time is None else ()
        return (tuple(len(shown.history.spectra) for shown in session.runs), session.time, live, self.width())

    def draw(self) -> None:
        lines: list[Line] = []
        spots: list[dict[str, Any]] = []
        dampings: list[tuple[Shown, float]] = []
        steps: set[int] = set()
        ranks = 1
        magnitudes: list[Array] = []
        second = [shown for shown in self.session.visible if shown.run.optimizer.second_order]
        for place, shown in enumerate(second):
            step = self.session.step_of(shown)
            colour = themes.line_colour(shown.colour, self.session.theme)
            for spectrum in shown.history.spectra_at(step):
                is_hessian = spectrum.matrix == "hessian"
                in_use = shown.run.optimizer.curvature.__struct_config__.tag == spectrum.matrix
                as_dots = in_use and self.used.isChecked()
                as_line = is_hessian and self.hessian.isChecked()
                if not (as_dots or as_line):
                    continue
                rank, height, negative = _ranked(spectrum)
                steps.add(spectrum.step)
                ranks = max(ranks, len(spectrum.eigenvalues))
                magnitudes.append(height)
                if as_line:
                    above = np.where(negative, np.nan, height)
                    lines.append(Line(rank, above, pen(colour, 1.2, shown.style, 0.9)))
                if as_dots:
                    spots += _spots(rank[~negative], height[~negative], "o", 4, colour, None, place)
                spots += _spots(rank[negative], height[negative], "t", 6, None, colour, place)
            row = shown.history.row(step + 1 if self.session.time is not None else step) if len(shown.history) else {}
            if row.get("damping", 0.0) > 0:
                dampings.append((shown, row["damping"]))
        shared = _shared(dampings) if magnitudes else {}
        right = self._right(ranks, bool(shared))
        lines += self._damping_lines(shared, right)
        self.lines.show_lines(lines)
        self.tags.show_tags([self._tag(text, runs) for text, runs in shared.items()], self.session.theme)
        self.marks.setData(spots)
        self._fit(right, magnitudes, [value for _, value in dampings])
        self.say(self._why_empty(second, bool(magnitudes)))
        self._subtitle(second, steps)

    def _damping_lines(self, shared: dict[str, list[tuple[Shown, float]]], right: float) -> list[Line]:
        """λ, dashed across the picture: in a run's colour, or in that of text where several runs share it."""
        theme, lines = self.session.theme, []
        for runs in shared.values():
            shade = themes.readable(runs[0][0].colour, theme) if len(runs) == 1 else QColor(theme.text)
            y = np.log10(runs[0][1])
            lines.append(Line(np.array([0.0, right]), np.array([y, y]), pen(shade, 1, Qt.PenStyle.DashLine)))
        return lines

    def _tag(self, text: str, runs: list[tuple[Shown, float]]) -> Tag:
        colours = tuple(themes.line_colour(shown.colour, self.session.theme) for shown, _ in runs)
        return Tag(float(np.log10(runs[0][1])), f"λ = {text}", colours)

    def _right(self, ranks: int, labelled: bool) -> float:
        """Where the picture ends: behind the last rank, with room for the labels of λ."""
        share = min(_LABEL / max(self.frame.width(), 1), 0.2) if labelled else 0.0
        return (ranks + 1.0) / (1.0 - share)

    def _fit(self, right: float, magnitudes: list[Array], dampings: list[float]) -> None:
        heights = [h for h in magnitudes if len(h)]
        if not heights:
            return
        heights.append(np.log10(np.array(dampings))) if dampings else None
        low, high = min(h.min() for h in heights), max(h.max() for h in heights)
        # What is ten decades below the largest is there for whoever zooms in.
        self.frame.fit(0.0, right, max(float(low), float(high) - 10), float(high), growing=False)

    def _why_empty(self, second: list[Shown], drawn: bool) -> str:
        if drawn:
            return ""
        session = self.session
        if not session.runs:
            return "Loading the data…" if session.state == "loading" else "No run yet"
        if not second:
            return "No visible run uses a curvature matrix.\nAdd Newton, Gauss-Newton or natural gradient to see one."
        objective = second[0].run.objective
        largest = LARGEST_EXACT if objective.structured else LARGEST_BY_PRODUCTS
        if objective.parameters > largest:
            raced = None if objective.structured else session.raced
            model = f" of a {raced.model.title.lower()}" if raced else ""
            return f"{objective.parameters:,} parameters{model}: all eigenvalues are computed up to {largest:,}"
        if not (self.used.isChecked() or self.hessian.isChecked()):
            return "Neither kind of spectrum is switched on"
        return "The first spectra come with the first step"

    def _subtitle(self, second: list[Shown], steps: set[int]) -> None:
        at = f"step {min(steps)}" if len(steps) == 1 else f"steps {min(steps)}–{max(steps)}" if steps else ""
        counts = [
            int((s.eigenvalues < -_rounding(s)).sum())
            for shown in second
            for s in shown.history.spectra_at(self.session.step_of(shown))
            if s.matrix == "hessian" and steps
        ]
        negative = f"▽ {max(counts)} negative" if counts and max(counts) else ""
        self.subtitle.setText(" · ".join(part for part in (at, negative, "|λ| by rank" if steps else "") if part))
        names = sorted({_title(s) for shown in second for s in shown.history.spectra})
        self.subtitle.setToolTip(
            f"{self.subtitle.text()}\nEigenvalues of: {', '.join(names)}. A triangle is a negative one."
            if names
            else ""
        )


def _shared(dampings: list[tuple[Shown, float]]) -> dict[str, list[tuple[Shown, float]]]:
    """Runs by what is written of their λ: those that cannot be told apart share a line and a label."""
    shared: dict[str, list[tuple[Shown, float]]] = {}
    for shown, value in dampings:
        shared.setdefault(compact(value), []).append((shown, value))
    return shared


def _title(spectrum: Spectrum) -> str:
    return {"gauss-newton": "Gauss-Newton"}.get(spectrum.matrix, spectrum.matrix.replace("-", " ").capitalize())


def _rounding(spectrum: Spectrum) -> float:
    """Eigenvalues smaller than this are zero to rounding: P·ε·|λ|max."""
    values = spectrum.eigenvalues
    return float(len(values) * np.finfo(np.float64).eps * np.abs(values).max(initial=0.0))


def _ranked(spectrum: Spectrum) -> tuple[Array, Array, Any]:
    """Ranks from the largest eigenvalue down, log₁₀|λ|, and which are negative; none that are zero to rounding.

    Of the positive ones only as many as can be told apart are kept; of the negative ones all that fit.
    """
    descending = spectrum.eigenvalues[::-1]
    kept = np.flatnonzero(np.abs(descending) > _rounding(spectrum))
    negative = kept[descending[kept] < 0]
    positive = kept[descending[kept] > 0]
    chosen = np.concatenate((_spread(positive), _spread(negative)))
    return chosen + 1.0, np.log10(np.abs(descending[chosen])), descending[chosen] < 0


def _spread(indices: Any) -> Any:
    """At most `_MARKS` of the indices: the first few all, the others evenly."""
    if len(indices) <= _MARKS:
        return indices
    places = (np.geomspace(1, len(indices), _MARKS // 3), np.linspace(1, len(indices), _MARKS - _MARKS // 3))
    return indices[np.unique(np.concatenate(places).round().astype(int)) - 1]


def _spots(x: Array, y: Array, symbol: str, size: int, fill: Any, edge: Any, offset: int) -> list[dict[str, Any]]:
    """Marks for a scatter plot. Of spectra that coincide each leaves room for the others by its offset."""
    chosen = slice(None) if len(x) < 60 else slice(offset % 3, None, 2 + (offset > 0))
    return [
        {"pos": pos, "symbol": symbol, "size": size, "brush": fill, "pen": pg.mkPen(edge, width=1.3) if edge else None}
        for pos in zip(x[chosen].tolist(), y[chosen].tolist(), strict=True)
    ]

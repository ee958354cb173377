"""A run's spectra through time, as a heat map: how many eigenvalues lie at each height, at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor

from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.axes import BrokenAxis
from ngexplorer.gui.plots.inquiry import Inquiry
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.run_choice import colour_runs, place_of
from ngexplorer.gui.plots.spectra_between import SpectraBetween
from ngexplorer.gui.plots.spectrum import title_of
from ngexplorer.gui.plots.view import View, more_button
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs.spectrum import Spectrum

_FLOOR, _CEILING = -8, 4
"""log₁₀ of the smallest and the largest size that is shown."""
_A_DECADE = 6
"""Bins of a decade."""
_WIDE = 480
"""Pixels from which the head has room for its title beside its controls."""
_COLUMNS = 400
"""At most so many spectra are told apart along the time."""


class SpectrumTimeView(View):
    """One matrix of one run: positive eigenvalues above, negative ones below, faint where few lie."""

    behind = "spectrum"
    tab = "Through time"

    def __init__(self, session: Session) -> None:
        self.axis = BrokenAxis("left")
        self.axis.floor, self.axis.gap = _FLOOR, 0.0
        super().__init__(session, "Spectrum through time", self.axis)
        self.run = Choice([(0, "–")])
        self.run.setAccessibleName("Run whose spectra are shown through time")
        self.matrix = Choice([("in use", "In use"), ("hessian", "Hessian")])
        self.matrix.setAccessibleName("Matrix whose spectra are shown through time")
        button, menu = more_button(session, "Pictures of the spectra through time")
        self.add_pictures(menu)
        for control in (self.run, self.matrix, button):
            self.head.addWidget(control)
        # Its controls leave the head no room for words.
        self.head.removeWidget(self.subtitle)
        self.head.insertStretch(1, 1)
        self.column.insertWidget(1, self.subtitle)
        for choice in (self.run, self.matrix):
            choice.activated.connect(self._refit)
        self.frame.count_along(True)
        self.image = pg.ImageItem()
        self.lines = Lines()
        for item in (self.image, self.lines):
            self.frame.addItem(item, ignoreBounds=True)
        self._columns: dict[int, Array] = {}
        self._painted: Any = None
        self._fitted = 0
        """To how many spectra the picture was fitted closely, once all that is asked for has come."""
        self._looked_at: Shown | None = None
        """The run of the choice, of this race or the one before."""
        self.between = SpectraBetween(session)
        self.between.arrived.connect(self.invalidate)
        session.race_changed.connect(self._fill)
        session.shown_changed.connect(self._follow)
        session.theme_changed.connect(self._colour)

    @property
    def _second(self) -> list[Shown]:
        return [shown for shown in self.session.runs if shown.run.optimizer.second_order]

    @property
    def chosen(self) -> Shown | None:
        """The run that is looked at."""
        second, place = self._second, self.run.currentIndex()
        return second[place] if 0 <= place < len(second) else None

    def _fill(self) -> None:
        labels = [shown.label for shown in self._second]
        if [self.run.itemText(i) for i in range(self.run.count())] != labels:
            place = place_of(self._looked_at, self._second)
            self.run.offer(labels)
            self.run.setCurrentIndex(place or 0)
        if (self._looked_at and self._looked_at.run) is not (self.chosen and self.chosen.run):
            self._refit()
        self._looked_at = self.chosen
        self._colour()

    def _colour(self) -> None:
        colour_runs(self.run, self._second, self.session.theme)

    def _follow(self) -> None:
        """Look at the run that is highlighted, if it is one that has spectra."""
        numbers = [shown.number for shown in self._second]
        (*rest, last) = self.session.highlighted or [None]
        if not rest and last in numbers and self.run.currentIndex() != numbers.index(last):
            self.run.setCurrentIndex(numbers.index(last))
            self._refit()
        self.invalidate()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self.title.setVisible(self.width() >= _WIDE)

    def _refit(self) -> None:
        self._columns = {}
        self._painted = None
        self._looked_at = self.chosen
        self.frame.release()
        self.invalidate()

    def fingerprint(self) -> Any:
        shown = self.chosen
        if shown is None:
            return None
        self.between.ask(shown, self._name(shown))
        return (
            len(shown.history.spectra),
            self.session.time,
            self.run.count(),
            self.between.words,
            self.inquiry.under_way,
        )

    @property
    def inquiry(self) -> Inquiry:
        """What it asks of the analyst."""
        return self.between.inquiry

    def _name(self, shown: Shown) -> str:
        """The matrix that is looked at."""
        own = str(shown.run.optimizer.curvature.__struct_config__.tag)
        return own if self.matrix.currentIndex() == 0 else "hessian"

    def _spectra(self, shown: Shown) -> list[Spectrum]:
        """Those that the race has recorded and those that were looked for since, by their steps."""
        name = self._name(shown)
        recorded = [spectrum for spectrum in list(shown.history.spectra) if spectrum.matrix == name]
        found = {spectrum.step: spectrum for spectrum in (*self.between.found(shown, name), *recorded)}
        return [found[step] for step in sorted(found)]

    def draw(self) -> None:
        shown = self.chosen
        spectra = self._spectra(shown) if shown is not None else []
        self.say(self._why_empty(shown, bool(spectra)))
        self.image.setVisible(bool(spectra))
        if shown is None or not spectra:
            self.lines.show_lines([])
            self.subtitle.setText("")
            return
        chosen = spectra[:: max(1, len(spectra) // _COLUMNS)]
        key = (len(spectra), shown.run.step, shown.colour, self.session.theme.name)
        if key != self._painted:
            self._painted = key
            self._paint(shown, chosen)
        time = self.session.step_of(shown)
        last = max(time, spectra[-1].step + 1)
        ends = np.array([self.axis.place(np.array([sign * 10.0**_CEILING]))[0] for sign in (-1, 1)])
        hair = (
            [Line(np.full(2, float(time)), ends, pen(self.session.theme.marker, 1))]
            if self.session.time is not None
            else []
        )
        self.lines.show_lines([*hair, *self._damping(shown)])
        low, high = self._reach()
        whole = self.session.state != "running" and not self.inquiry.under_way
        if whole and self._fitted != len(spectra) and not self.frame.free:
            self.frame.release()  # room for what was to come is no longer needed
        self._fitted = len(spectra) if whole else 0
        growing = self.session.state == "running"
        self.frame.fit(float(spectra[0].step), float(last), low, high, growing=growing)
        count = "1 spectrum" if len(spectra) == 1 else f"{len(spectra)} spectra"
        words = (title_of(spectra[0].matrix), count, "λ dashed", self.between.words)
        self.subtitle.setText(" · ".join(filter(None, words)))

    def _damping(self, shown: Shown) -> list[Line]:
        """λ of the step from each place."""
        extremes = self.session.extremes(shown, "damping")
        extremes.grow()
        rows = extremes.chosen(1, extremes.read, _COLUMNS)
        y = self.axis.place(shown.history.values("damping", rows))
        return [Line(rows - 1.0, y, pen(self.session.theme.text, 1.2, Qt.PenStyle.DashLine))]

    @property
    def entries(self) -> list[Entry]:
        return [Entry("damping λ", QColor(self.session.theme.text), Qt.PenStyle.DashLine)]

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        return [("step", "eigenvalue λᵢ")]

    @property
    def caption(self) -> str:
        return f"{self.title.text()} · {self.run.currentText()} · {self.subtitle.text()} · shade: how many eigenvalues"

    def _column(self, spectrum: Spectrum) -> Array:
        """How many eigenvalues lie in each bin, the negative ones first."""
        if spectrum.step not in self._columns:
            values, weights = spectrum.eigenvalues, spectrum.multiplicity
            kept = np.abs(values) > max(spectrum.rounding, 10.0**_FLOOR)
            heights = np.sign(values[kept]) * (np.log10(np.abs(values[kept])) - _FLOOR)
            half = _CEILING - _FLOOR
            counted, _ = np.histogram(heights, 2 * half * _A_DECADE, (-half, half), weights=weights[kept])
            self._columns[spectrum.step] = counted.astype(float)
        return self._columns[spectrum.step]

    def _reach(self) -> tuple[float, float]:
        """Down to the largest negative and up to the largest positive eigenvalue there has been."""
        seen = np.flatnonzero(np.sum(list(self._columns.values()), axis=0))
        half = (_CEILING - _FLOOR) * _A_DECADE
        low, high = (seen[0] - half, seen[-1] + 1 - half) if len(seen) else (0, half)
        return min(low, 0) / _A_DECADE, max(high, 1) / _A_DECADE

    def _paint(self, shown: Shown, spectra: list[Spectrum]) -> None:
        counts = np.stack([self._column(spectrum) for spectrum in spectra])
        steps = np.array([spectrum.step for spectrum in spectra])
        end = max(shown.run.step, int(steps[-1]) + 1)
        places = np.linspace(steps[0], end, _COLUMNS, endpoint=False)
        picture = np.log1p(counts[np.searchsorted(steps, places, side="right") - 1])
        self.image.setLookupTable(self._shades(shown))
        self.image.setImage(picture, levels=(0.0, max(float(picture.max()), 1e-9)))
        half = _CEILING - _FLOOR
        self.image.setRect(QRectF(float(steps[0]), -half, end - float(steps[0]), 2.0 * half))

    def _shades(self, shown: Shown) -> Any:
        """From the panel's colour through the run's to that of text."""
        theme = self.session.theme
        ground, middle, top = QColor(theme.panel), themes.line_colour(shown.colour, theme), QColor(theme.text)
        low = [themes.mixed(ground, middle, share) for share in np.linspace(0.0, 1.0, 176)]
        high = [themes.mixed(middle, top, share) for share in np.linspace(0.0, 0.8, 80)]
        return np.array([shade.getRgb()[:3] for shade in (*low, *high)], dtype=np.ubyte)

    def _why_empty(self, shown: Shown | None, drawn: bool) -> str:
        if drawn:
            return ""
        if not self.session.runs:
            return "Loading the data…" if self.session.state == "loading" else "No run yet"
        if shown is None:
            return "No run uses a curvature matrix.\nAdd Newton, Gauss-Newton or natural gradient to see one."
        return "Computing the spectra…" if self.inquiry.under_way else "The first spectra come with the first step"

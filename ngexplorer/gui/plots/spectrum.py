"""Spectra at the current time: eigenvalues by rank, what the damping leaves of them, and where the gradient lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel

from ngexplorer.cancellation import Cancel
from ngexplorer.curvature.exactness import largest_exact
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice
from ngexplorer.gui.plots.axes import BrokenAxis, Frame, compact, logarithm
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.run_choice import colour_runs, place_of
from ngexplorer.gui.plots.spectrum_marks import marked, spread, thinned
from ngexplorer.gui.plots.tags import Tag, Tags
from ngexplorer.gui.plots.view import LEAST, View, more_button, toggle
from ngexplorer.gui.session import Session, Shown
from ngexplorer.runs import probes
from ngexplorer.runs.spectrum import Spectrum

_WIDE = 440
"""Pixels from which the head has room for its title beside its controls."""
_LABEL = 100
"""The width of a label of λ, pixels."""
_DECADES = 10
"""How far below the largest eigenvalue the axis reaches."""
_LEAST_SHARE = -8.0
"""log₁₀ of the smallest energy and filter that are shown."""
_BETWEEN = 9.0
"""Pixels at least between two triangles."""
_QUESTION = "spectrum"

EVERY = "Every run"
COLOURS = {
    "hessian": themes.ORANGE,
    "gauss-newton": themes.VERMILION,
    "fisher": themes.SKY,
    "empirical-fisher": themes.PURPLE,
    "kfac": themes.GREEN,
}
"""Of the matrices, where those of one run are laid over each other."""
_TITLES = {"gauss-newton": "GGN", "empirical-fisher": "Empirical Fisher", "kfac": "K-FAC"}


def title_of(matrix: str) -> str:
    """A matrix's name as people read it."""
    return _TITLES.get(matrix, matrix.replace("-", " ").capitalize())


class SpectrumView(View):
    """λ_i by rank, negative ones below a broken axis. Of every run the matrix in use as dots and the Hessian as a line;
    of one run any of five matrices, with the gradient's energy along their eigenvectors and the damping's filter."""

    def __init__(self, session: Session) -> None:
        self.axis = BrokenAxis("left")
        self.lower = Frame(session.theme)
        super().__init__(session, "Spectrum", self.axis)
        self.run = Choice([(None, EVERY)])
        self.run.setAccessibleName("Run whose spectra are shown")
        self.run.setToolTip("One run shows its matrices over each other, and the gradient's energy")
        self.run.activated.connect(self._refit)
        self.used = toggle("● In use", "Show the eigenvalues of the matrix each run uses, as dots", on=True)
        self.hessian = toggle("— Hessian", "Show the eigenvalues of the Hessian, as lines", on=True)
        self.head.addWidget(self.run)
        for button in (self.used, self.hessian):
            button.clicked.connect(self.invalidate)
            self.head.addWidget(button)
        self.matrices: dict[str, Any] = {}
        self.head.addWidget(self._more())
        self.head.addStrut(26)  # as high as that of the curves beside it
        # Its controls leave the head no room for words.
        self.head.removeWidget(self.subtitle)
        self.head.insertStretch(1, 1)
        self.column.insertWidget(1, self.subtitle)
        self.names = QLabel()
        self.names.setFont(themes.font(12))
        self.names.setWordWrap(True)
        self.names.hide()
        self.column.insertWidget(2, self.names)
        self.frame.count_along(True)
        self.lines = Lines()
        # λ moves at every step, the spectra seldom.
        self.lines.setCacheMode(self.lines.CacheMode.DeviceCoordinateCache)
        self._lined: Any = None
        self.levels = Lines()
        """The damping λ of the runs."""
        self.tags = Tags(session.theme)
        for item in (self.lines, self.levels, self.tags):
            self.frame.addItem(item, ignoreBounds=True)
        self.lower.setMinimumSize(LEAST.width(), LEAST.height() // 2)
        self.lower.set_log(y=True)
        self.lower.count_along(True)
        for one, other in ((self.frame, self.lower), (self.lower, self.frame)):
            one.view.sigXRangeChanged.connect(lambda _, window, other=other: other.view.setXRange(*window, padding=0))
        self.shares = Lines()
        self.lower.addItem(self.shares, ignoreBounds=True)
        self.lower.zoomed.connect(self.invalidate)
        self.column.addWidget(self.lower, 1)
        self.column.setStretchFactor(self.frame, 3)
        self.column.setStretchFactor(self.lower, 2)
        self.lower.hide()
        self._tell: Callable[[], list[str]] = list
        """The numbers of what is drawn, for who asks: they take as long as the picture."""
        self.subtitle.installEventFilter(self)
        self._looked: dict[tuple[int, int, str, bool], Spectrum] = {}
        """What was asked for beside what the race records: by run, step, matrix, and whether by layers."""
        self._ranks: dict[tuple[int, float], tuple[Spectrum, tuple[Array, Array, Any]]] = {}
        self._asked: Any = None
        self._generation = 0
        self._entries: list[Entry] = []
        self._looked_at: Shown | None = None
        """The one run of the choice, of this race or the one before."""
        session.analyst.answered.connect(self._answered)
        session.race_changed.connect(self._fill)
        session.shown_changed.connect(self.invalidate)
        session.theme_changed.connect(self._colour)

    def _colour(self) -> None:
        colour_runs(self.run, self.session.runs, self.session.theme, first=1)

    def _more(self) -> Any:
        button, menu = more_button(self.session, "Matrices, layers, the gradient's energy, pictures")
        for name in probes.MATRICES:
            action = menu.addAction(f"{title_of(name)} of one run")
            action.setCheckable(True)
            action.setChecked(name in ("hessian", "fisher", "gauss-newton"))
            action.toggled.connect(self._watch)
            self.matrices[name] = action
        menu.addSeparator()
        self.shared = menu.addAction("The gradient's energy and the damping's filter")
        self.by_layers = menu.addAction("Layer by layer")
        for action, on in ((self.shared, True), (self.by_layers, False)):
            action.setCheckable(True)
            action.setChecked(on)
            action.toggled.connect(self._refit)
        menu.addSeparator()
        self.add_pictures(menu)
        self.more = button
        return button

    @property
    def frames(self) -> list[Frame]:
        return [self.frame, self.lower] if self.lower.isVisibleTo(self) else [self.frame]

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        if len(self.frames) == 1:
            return [("rank", "eigenvalue λᵢ")]
        energies = "energy of ∇h along each eigenvector (dots), filter (line)"
        return [("", "eigenvalue λᵢ"), ("rank", energies if self._energetic else "filter λᵢ/(λᵢ+λ)")]

    @property
    def caption(self) -> str:
        one = self.chosen
        return " · ".join(
            filter(None, ("Spectrum" if one is None else f"Spectrum of {one.label}", self.subtitle.text()))
        )

    # What is shown.

    @property
    def chosen(self) -> Shown | None:
        """The one run that is looked at; None: every run of second order."""
        place = self.run.currentIndex() - 1
        return self.session.runs[place] if 0 <= place < len(self.session.runs) else None

    @property
    def _wanted(self) -> list[str]:
        """Matrices of the one run, its own among them."""
        chosen = self.chosen
        assert chosen is not None
        own = chosen.run.optimizer.curvature.__struct_config__.tag
        switched = [name for name, action in self.matrices.items() if action.isChecked() or name == own]
        return [name for name in switched if probes.applies(name, chosen.run.objective)]

    def choose(self, number: int | None) -> None:
        """Look at one run, or at every run."""
        self.run.setCurrentIndex(0 if number is None else number + 1)
        self._refit()

    def _fill(self) -> None:
        labels = [shown.label for shown in self.session.runs]
        if [self.run.itemText(i) for i in range(1, self.run.count())] != labels:
            place = place_of(self._looked_at, self.session.runs)
            self.run.offer([EVERY, *labels])
            self.run.setCurrentIndex(0 if place is None else place + 1)
            self._refit()
        self._looked_at = self.chosen
        self._colour()
        if self._asked is not None and self._asked[0] != self.session.generation:
            self._looked.clear()
            self._asked = None
        self._watch()

    def _watch(self) -> None:
        """Have the race record what is looked at."""
        self.session.watch(frozenset(self._wanted if self.chosen is not None else ()))
        self.invalidate()

    def _refit(self) -> None:
        self.frame.release()
        self.lower.release()
        self._looked_at = self.chosen
        self._watch()

    def fingerprint(self) -> Any:
        session = self.session
        if self.chosen is not None:
            self._ask(self.chosen)
        looked_at = [self.chosen] if self.chosen is not None else session.visible
        # Between two spectra only λ moves, and of most runs it does not.
        dampings = tuple(self._damping(shown) for shown in looked_at if shown.run.optimizer.second_order)
        spectra = tuple(len(shown.history.spectra) for shown in session.runs)
        return (spectra, session.time, str(dampings), self.width())

    # What the race has not recorded is asked for while it rests.

    def _ask(self, shown: Shown) -> None:
        if self.session.state in ("running", "loading") or not len(shown.history.snapshots):
            return
        theta, step = shown.history.parameters(self.session.step_of(shown))
        by_layers = self.by_layers.isChecked()
        number = self.session.runs.index(shown)
        recorded = {s.matrix for s in shown.history.spectra_at(step) if s.step == step}
        wanted = [
            name
            for name in self._wanted
            if (number, step, name, by_layers) not in self._looked and (by_layers or name not in recorded)
        ]
        question = (self.session.generation, number, step, tuple(wanted), by_layers)
        if not wanted or question == self._asked:
            return
        self._asked = question
        objective, damping = shown.run.objective, self._damping(shown)

        def answers(cancel: Cancel) -> Iterator[Any]:
            point = objective.at(torch.as_tensor(theta, device=objective.device))
            for name in wanted:
                if not cancel():
                    found = probes.look(point, probes.MATRICES[name], step, damping, by_layers)
                    yield (number, step, name, by_layers), found

        self._generation = self.session.analyst.ask(_QUESTION, answers)

    def _answered(self, key: str, generation: int, answer: Any) -> None:
        if key == _QUESTION and generation == self._generation:
            place, spectrum = answer
            self._looked[place] = spectrum
            self.invalidate()

    def _damping(self, shown: Shown) -> float:
        """λ of the step from here; of the last one at the latest, NaN where there is none."""
        if not len(shown.history):
            return float("nan")
        step = self.session.step_of(shown)
        row = step if self.session.time is None else step + 1
        return shown.history.value("damping", min(row, len(shown.history) - 1))

    def _spectra(self, shown: Shown) -> list[Spectrum]:
        """At the current time: what was asked for there, else the latest that was recorded."""
        step = self.session.step_of(shown)
        number, by_layers = self.session.runs.index(shown), self.by_layers.isChecked()
        recorded = {s.matrix: s for s in shown.history.spectra_at(step)}
        found = []
        for name in self._wanted:
            spectrum = self._looked.get((number, step, name, by_layers)) or self._looked.get(
                (number, step, name, False)
            )
            spectrum = spectrum or recorded.get(name)
            if spectrum is not None:
                found.append(spectrum)
        return found

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        if watched is self.subtitle and event.type() == QEvent.Type.ToolTip:
            self.subtitle.setToolTip("\n".join(self._tell()))
        return super().eventFilter(watched, event)

    # Drawing.

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Two switches for every run, a menu for one; where the head is narrow, they say what it is of."""
        one = self.chosen is not None
        self.title.setVisible(one or self.width() >= _WIDE)
        self.used.setVisible(not one)
        self.hessian.setVisible(not one)

    def draw(self) -> None:
        chosen = self.chosen
        one = chosen is not None
        self._arrange()
        self.lower.setVisible(one and self.shared.isChecked() and not self.by_layers.isChecked())
        if chosen is not None:
            self._draw_one(chosen)
        else:
            self._draw_every()

    def _draw_one(self, shown: Shown) -> None:
        spectra, damping, theme = self._spectra(shown), self._damping(shown), self.session.theme
        self._set_floor(spectra)
        lines: list[Line] = []
        shares: list[Line] = []
        self._entries = []
        layered = self.by_layers.isChecked()
        own = shown.run.optimizer.curvature.__struct_config__.tag
        ranks = 1
        # The matrix in use first: where others coincide with it, their dashes can be seen over it.
        for spectrum in sorted(spectra, key=lambda spectrum: spectrum.matrix != own):
            colour = themes.line_colour(COLOURS.get(spectrum.matrix, shown.colour), theme)
            style = Qt.PenStyle.SolidLine if spectrum.matrix == own else Qt.PenStyle.DashLine
            if layered:
                if spectrum.matrix == own or own not in probes.MATRICES:
                    lines += self._layer_lines(spectrum)
                    ranks = max([ranks, *map(len, spectrum.layers)])
                continue
            ranks = max(ranks, round(float(spectrum.multiplicity.sum())))
            self._entries.append(Entry(title_of(spectrum.matrix), colour, style))
            rank, height, negative = self._ranked(spectrum)
            for side in (~negative, negative):
                lines.append(Line(rank[side], height[side], pen(colour, 1.8, style)))
            lines.append(marked(colour, triangles=self._apart(np.stack((rank, height), 1)[negative], ranks)))
            shares.append(self._energies(spectrum, colour))
            if spectrum.matrix == own and damping > 0:
                shares.append(self._filter(spectrum, damping))
        dampings = [(shown, damping)] if lines and np.isfinite(self._height(damping)) else []
        right = self._right(ranks, bool(dampings))
        self._lined = None
        self.lines.show_lines(lines)
        self.levels.show_lines(self._damping_lines(_shared(dampings), right))
        self.shares.show_lines(shares)
        self.frame.item.getAxis("bottom").setVisible(bool(lines) and not self.lower.isVisibleTo(self))
        self._name()
        self.tags.show_tags([self._tag(text, runs) for text, runs in _shared(dampings).items()], theme)
        self._fit(right, lines)
        self.lower.fit(0.0, right, _LEAST_SHARE, 0.2, growing=False)
        at = sorted({s.step for s in spectra})
        asked = self.session.state not in ("running", "loading")
        objective = shown.run.objective
        if layered and not probes.exact(objective):
            why = (
                f"{objective.parameters:,} parameters: layers are told apart up to {largest_exact(objective):,}.\n"
                "Switch Layer by layer off, in the menu above, to see their density."
            )
        else:
            why = "Computing the spectra…" if asked else "They come with the next spectra"
        self.say("" if lines else why)
        self._numbers(spectra, own, damping, at, layered)

    def _layer_lines(self, spectrum: Spectrum) -> list[Line]:
        lines = []
        for number, values in enumerate(spectrum.layers):
            block = Spectrum(spectrum.step, spectrum.matrix, values, spectrum.damping)
            rank, height, negative = self._ranked(block)
            colour = themes.line_colour(themes.PALETTE[number % len(themes.PALETTE)], self.session.theme)
            style = themes.STYLES[number % len(themes.STYLES)]
            lines += [Line(rank[side], height[side], pen(colour, 1.6, style)) for side in (~negative, negative)]
            self._entries.append(Entry(f"layer {number + 1}", colour, style))
        return lines

    def _energies(self, spectrum: Spectrum, colour: QColor) -> Line:
        """log₁₀ of the gradient's energy along each eigenvector, by rank."""
        if spectrum.gradient_energy is None:
            return marked(colour)
        energy = logarithm(spectrum.gradient_energy)[::-1]
        chosen = spread(np.flatnonzero(energy >= _LEAST_SHARE))
        return marked(colour, dots=np.stack((chosen + 1.0, energy[chosen]), 1))

    def _filter(self, spectrum: Spectrum, damping: float) -> Line:
        """log₁₀ of what the damping leaves of each direction, by rank."""
        rank = np.cumsum(spectrum.multiplicity[::-1])
        return Line(rank, logarithm(spectrum.filter(damping)[::-1]), pen(self.session.theme.marker, 1.8))

    def _name(self) -> None:
        """Say which colour is which matrix, and which line the damping's filter."""
        entries = [(entry.label, entry.colour) for entry in self.entries] if self.chosen is not None else []
        muted = self.session.theme.muted
        told = [f'<span style="color:{colour.name()}">■</span> {label}' for label, colour in entries]
        if self.lower.isVisibleTo(self) and self._energetic:
            told.append("● energy of ∇h")
        # A name stays in one line with its colour; between two of them there may be an end of a line.
        kept = [f'<span style="color:{muted}; white-space:nowrap">{words}</span>' for words in told]
        self.names.setText(" &nbsp; ".join(kept))
        self.names.setVisible(bool(told))

    @property
    def _energetic(self) -> bool:
        """Whether the gradient's energy is drawn; a density has no eigenvectors."""
        return any(line.dots is not None for line in self.shares.shown)

    @property
    def entries(self) -> list[Entry]:
        if self.chosen is None:
            families = self.session.visible_families
            return [entry for entry, family in zip(super().entries, families, strict=True)
                    if family.members[0].run.optimizer.second_order]  # fmt: skip
        if self.lower.isVisibleTo(self) and self._entries:
            marker = QColor(self.session.theme.marker)
            return [*self._entries, Entry("filter λᵢ/(λᵢ+λ)", marker, Qt.PenStyle.SolidLine)]
        return self._entries

    def _numbers(self, spectra: list[Spectrum], own: str, damping: float, at: list[int], layered: bool) -> None:
        """The condition number, effective dimension, trace and count of negatives: in words for the matrix in use, for
        all in the tool tip."""
        steps = "" if not at else f"step {at[0]}" if len(at) == 1 else f"steps {at[0]}–{at[-1]}"
        first = next((s for s in spectra if s.matrix == own), spectra[0] if spectra else None)
        if layered and first is not None and first.layers:
            sizes = ", ".join(f"{len(values):,}" for values in first.layers)
            self.subtitle.setText(f"{steps} · {title_of(first.matrix)}, blocks of {sizes} parameters")
        else:
            self.subtitle.setText(" · ".join(filter(None, (steps, _told(first, damping) if first else ""))))
        self._tell = lambda: [_told(s, damping) for s in spectra]

    def _draw_every(self) -> None:
        dampings: list[tuple[Shown, float]] = []
        steps: set[int] = set()
        ranks = 1
        second = [shown for shown in self.session.in_order if shown.run.optimizer.second_order]
        shown_spectra = [
            (place, shown, spectrum)
            for place, shown in enumerate(second)
            for spectrum in shown.history.spectra_at(self.session.step_of(shown))
        ]
        self._set_floor([spectrum for _, _, spectrum in shown_spectra])
        for _, shown, spectrum in shown_spectra:
            if self._as(shown, spectrum) != (False, False):
                steps.add(spectrum.step)
                ranks = max(ranks, len(spectrum.eigenvalues))
        if steps:
            dampings = [
                (shown, damping)
                for shown in second
                if self.session.stands_out(shown) and np.isfinite(self._height(damping := self._damping(shown)))
            ]
        shared = _shared(dampings)
        right = self._right(ranks, bool(shared))
        self.levels.show_lines(self._damping_lines(shared, right))
        which = [(place, shown, id(spectrum), self._as(shown, spectrum)) for place, shown, spectrum in shown_spectra]
        key = (which, self.axis.floor, self.session.theme.name, self.session.highlighted)
        if key != self._lined:
            self._lined = key
            self.lines.show_lines([line for found in shown_spectra for line in self._lines_of(*found)])
        self.names.hide()
        self.frame.item.getAxis("bottom").show()
        self.tags.show_tags([self._tag(text, runs) for text, runs in shared.items()], self.session.theme)
        self._fit(right, [*self.lines.shown, *self.levels.shown])
        self.say(self._why_empty(second, bool(steps)))
        self._subtitle(second, steps)

    def _as(self, shown: Shown, spectrum: Spectrum) -> tuple[bool, bool]:
        """Whether a spectrum is drawn as dots, and whether as a line."""
        in_use = shown.run.optimizer.curvature.__struct_config__.tag == spectrum.matrix
        return in_use and self.used.isChecked(), spectrum.matrix == "hessian" and self.hessian.isChecked()

    def _lines_of(self, place: int, shown: Shown, spectrum: Spectrum) -> list[Line]:
        colour = self.session.line_colour(shown)
        as_dots, as_line = self._as(shown, spectrum)
        if not (as_dots or as_line):
            return []
        rank, height, negative = self._ranked(spectrum)
        lines = []
        if as_line:
            for side in (~negative, negative):
                lines.append(Line(rank[side], height[side], pen(colour, 1.2, shown.style, 0.9)))
        places = np.stack((rank, height), 1)
        dots = thinned(places[~negative], place) if as_dots else None
        lines.append(marked(colour, dots, thinned(places[negative], place)))
        return lines

    def _apart(self, places: Array, ranks: int) -> Array:
        """Of the places of triangles those that do not stand in each other; the first and the last one always."""
        if len(places) < 3:
            return places
        area = self.frame.view.sceneBoundingRect()
        low, high = self.frame.view.viewRange()[1]
        pixels = np.array([area.width() / max(ranks, 1), area.height() / max(high - low, 1e-9)])
        kept = [0]
        for place in range(1, len(places) - 1):
            if np.hypot(*((places[place] - places[kept[-1]]) * pixels)) >= _BETWEEN:
                kept.append(place)
        return places[[*kept, len(places) - 1]]

    def _set_floor(self, spectra: list[Spectrum]) -> None:
        """The gap of the axis lies where the smallest eigenvalues are, in whole decades, or so many below the largest
        one; it moves seldom."""
        lows = []
        for spectrum in spectra:
            sizes = np.abs(spectrum.eigenvalues[np.abs(spectrum.eigenvalues) > spectrum.rounding])
            if len(sizes):
                lows.append(max(np.log10(sizes.min()), np.log10(sizes.max()) - _DECADES))
        if lows:
            floor = float(np.floor(min(lows)))
            if not self.axis.floor - 3 < floor <= self.axis.floor + 3:
                self.frame.release()
            if floor < self.axis.floor or floor > self.axis.floor + 3 or self.frame.unfitted:
                self.axis.floor = floor
                self.axis.picture = None
                self.axis.update()

    def _ranked(self, spectrum: Spectrum) -> tuple[Array, Array, Any]:
        """As `_rank`, which is not asked twice as long as the axis stays."""
        key = (id(spectrum), self.axis.floor)
        if key not in self._ranks:
            if len(self._ranks) > 2000:
                self._ranks.clear()
            self._ranks[key] = (spectrum, self._rank(spectrum))
        return self._ranks[key][1]

    def _rank(self, spectrum: Spectrum) -> tuple[Array, Array, Any]:
        """Ranks from the largest eigenvalue down, heights on the axis, and which are negative; none that are zero to
        rounding. Of the positive ones only as many as can be told apart are kept, and so of the negative ones."""
        descending = spectrum.eigenvalues[::-1]
        ranks = np.cumsum(spectrum.multiplicity[::-1])
        kept = np.flatnonzero(np.abs(descending) > spectrum.rounding)
        chosen = np.concatenate((spread(kept[descending[kept] > 0]), spread(kept[descending[kept] < 0])))
        return ranks[chosen], self.axis.place(descending[chosen]), descending[chosen] < 0

    def _damping_lines(self, shared: dict[str, list[tuple[Shown, float]]], right: float) -> list[Line]:
        """λ, dashed across the picture: in a run's colour, or in that of text where several runs share it; and the
        middle of the broken axis."""
        theme, lines = self.session.theme, []
        for runs in shared.values():
            shade = themes.readable(runs[0][0].colour, theme) if len(runs) == 1 else QColor(theme.text)
            y = self._height(runs[0][1])
            lines.append(Line(np.array([0.0, right]), np.array([y, y]), pen(shade, 1, Qt.PenStyle.DashLine)))
        return lines

    def _height(self, value: float) -> float:
        return float(self.axis.place(np.array([value]))[0])

    def _tag(self, text: str, runs: list[tuple[Shown, float]]) -> Tag:
        colours = tuple(themes.line_colour(shown.colour, self.session.theme) for shown, _ in runs)
        return Tag(self._height(runs[0][1]), f"λ = {text}", colours)

    def _right(self, ranks: int, labelled: bool) -> float:
        """Where the picture ends: behind the last rank, with room for the labels of λ."""
        share = min(_LABEL / max(self.frame.width(), 1), 0.2) if labelled else 0.0
        return (ranks + 1.0) / (1.0 - share)

    def _fit(self, right: float, lines: list[Line]) -> None:
        marks = [places[:, 1] for line in lines for places in (line.dots, line.triangles) if places is not None]
        heights = np.concatenate([np.empty(0), *(line.y for line in lines), *marks])
        heights = heights[np.isfinite(heights)]
        if len(heights):
            low = float(heights.min()) if heights.min() < 0 else 0.0
            self.frame.fit(0.0, right, low, float(heights.max()), growing=False)

    def _why_empty(self, second: list[Shown], drawn: bool) -> str:
        if drawn:
            return ""
        session = self.session
        if not session.runs:
            return "Loading the data…" if session.state == "loading" else "No run yet"
        if not second:
            return (
                "No visible run uses a curvature matrix.\nAdd Newton, Gauss-Newton or natural gradient to see one,\n"
                "or choose one run above."
            )
        objective = second[0].run.objective
        if not probes.exact(objective):
            largest = largest_exact(objective)
            raced = None if objective.structured else session.raced
            model = f" of a {raced.model.title.lower()}" if raced else ""
            return (
                f"{objective.parameters:,} parameters{model}: all eigenvalues are computed up to {largest:,}.\n"
                "Choose one run above to see their density."
            )
        if not (self.used.isChecked() or self.hessian.isChecked()):
            return "Neither kind of spectrum is switched on"
        return "The first spectra come with the first step"

    def _subtitle(self, second: list[Shown], steps: set[int]) -> None:
        at = f"step {min(steps)}" if len(steps) == 1 else f"steps {min(steps)}–{max(steps)}" if steps else ""
        spectra = [
            (shown, s) for shown in second for s in shown.history.spectra_at(self.session.step_of(shown)) if steps
        ]
        counts = [s.negatives for _, s in spectra if s.matrix == "hessian"]
        negative = f"▽ {max(counts)} negative" if counts and max(counts) else ""
        self.subtitle.setText(" · ".join(part for part in (at, negative, "λ by rank" if steps else "") if part))
        self._tell = lambda: [f"{shown.label}: {_told(s, self._damping(shown))}" for shown, s in spectra]


def _told(spectrum: Spectrum, damping: float) -> str:
    """The numbers of a spectrum in one line."""
    density = " by its density" if spectrum.weights is not None else ""
    parts = [f"{title_of(spectrum.matrix)}{density}", f"tr {compact(spectrum.trace)}"]
    if damping > 0:
        parts.append(f"effective dimension {compact(spectrum.effective_dimension(damping))}")
        parts.append(f"κ {compact(spectrum.condition_number())} ({compact(spectrum.condition_number(damping))} damped)")
    else:
        parts.append(f"κ {compact(spectrum.condition_number())}")
    if spectrum.negatives:
        parts.append(f"▽ {spectrum.negatives} negative")
    return " · ".join(parts)


def _shared(dampings: list[tuple[Shown, float]]) -> dict[str, list[tuple[Shown, float]]]:
    """Runs by what is written of their λ: those that cannot be told apart share a line and a label, and so do the seeds
    of an optimizer, at their median."""
    shared: dict[str, list[tuple[Shown, float]]] = {}
    seeds: dict[int, list[tuple[Shown, float]]] = {}
    for shown, value in dampings:
        if shown.seeds > 1:
            seeds.setdefault(shown.contender, []).append((shown, value))
        else:
            shared.setdefault(compact(value), []).append((shown, value))
    for members in seeds.values():
        members.sort(key=lambda member: member[1])
        ends = [compact(members[place][1]) for place in (0, -1)]
        shared.setdefault(" to ".join(dict.fromkeys(ends)), []).append(members[len(members) // 2])
    return shared

"""The curvature matrices as images, one colour scale for all, with the layers' boundaries and how far they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QActionGroup, QFontMetrics
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.analysis.block_means import block_means
from ngexplorer.analysis.dense_matrices import (
    Layer,
    Matrices,
    Matrix,
    Parameter,
    coarsened,
    layers_of,
    matrices,
    parameters_of,
)
from ngexplorer.cancellation import Cancel, Watch
from ngexplorer.curvature.kinds import KINDS
from ngexplorer.gui import theme as themes
from ngexplorer.gui.forms import Choice, caption
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.colour_scale import DECADES, Scale, placed, shades
from ngexplorer.gui.plots.inquiry import Inquiry
from ngexplorer.gui.plots.lines import Line, Lines, pen
from ngexplorer.gui.plots.matrix_distances import SYMBOLS, TITLES, Distances
from ngexplorer.gui.plots.picture import Entry
from ngexplorer.gui.plots.run_choice import RunChoice
from ngexplorer.gui.plots.view import LEAST, View, more_button
from ngexplorer.gui.session import Session
from ngexplorer.objectives import Point

LARGEST = 1500
"""Of more parameters at once the entries are not formed, which takes minutes: an image of all has means over blocks."""
_PIXELS = 400
"""At most so many a side of an image."""
_WIDE, _BROAD = 440, 560
"""Pixels of width from which the distances have room beside one image, and beside five."""
_TALL = 260
"""And of height."""
_GAP = 0.08
"""Between two images, as a share of their side."""
ALL = "all"


@dataclass(frozen=True)
class Answer:
    """Matrices at a step, images of those that are looked at by their name and that of what is taken off, and the
    distances of those named, (K, K), once all are here."""

    step: int
    matrices: Matrices
    images: dict[tuple[str, str | None], Matrix]
    named: list[str]
    distances: NDArray[np.float64]


@dataclass(frozen=True)
class Tile:
    """A matrix to show, an image of it with fewer pixels where it is large, and where its upper left corner stands."""

    name: str
    entries: Matrix
    image: Matrix
    x: float
    y: float


class MatricesView(View):
    """One matrix or difference at the current step, or all five beside each other; a click on a distance shows the
    difference it is of."""

    behind = "spectrum"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Matrices")
        self.run = RunChoice(session, "Run whose matrices are shown")
        self.what = Choice([(ALL, "All five"), *((name, TITLES[name]) for name in KINDS)])
        self.what.setAccessibleName("Matrix that is shown")
        self.minus = Choice([(None, "alone"), *((name, f"− {TITLES[name]}") for name in KINDS)])
        self.minus.setAccessibleName("Matrix that is taken off it")
        self.run.changed.connect(self._another_run)
        for choice in (self.what, self.minus):
            choice.activated.connect(self._refit)
        self.head.addStrut(26)
        self.head.addWidget(self.run)
        self.head.addWidget(self._more())
        choices = QHBoxLayout()
        choices.setSpacing(themes.GRID)
        for widget in (self.what, self.minus):
            choices.addWidget(widget)
        choices.addStretch(1)
        self.column.insertLayout(1, choices)
        self.table = Distances()
        self.table.cellClicked.connect(self.compare)
        self.scale = Scale(session)
        self.side = QWidget()
        beside = QVBoxLayout(self.side)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(themes.GRID // 2)
        beside.addWidget(caption("Relative distance ‖A − B‖ / ‖B‖"))
        beside.addWidget(self.table)
        beside.addSpacing(themes.GRID)
        beside.addWidget(self.scale)
        beside.addStretch(1)
        self.side.hide()  # until there is room for it
        self.column.removeWidget(self.frame)
        body = QHBoxLayout()
        body.setSpacing(themes.GRID)
        body.addWidget(self.frame, 1)
        body.addWidget(self.side)
        self.column.addLayout(body, 1)
        self.frame.setMinimumHeight(LEAST.height() - 24)  # the choices take a row more than others have
        self.frame.view.invertY(True)
        self.images = [pg.ImageItem(axisOrder="row-major") for _ in KINDS]
        self.names = [pg.TextItem(anchor=(0, 1)) for _ in KINDS]
        self.lines = Lines()
        for item in (*self.images, self.lines, *self.names):
            self.frame.addItem(item, ignoreBounds=True)
        self.readout = QLabel(self.frame)
        self.readout.setObjectName("cell")
        self.readout.setFont(themes.font(11))
        self.readout.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.readout.hide()
        self.frame.scene().sigMouseMoved.connect(self._point_at)
        self.frame.viewport().installEventFilter(self)
        self.answer: Answer | None = None
        self._point: tuple[Any, Point] | None = None
        """The point that was looked at last, by the analyst alone: it keeps the matrices that it has."""
        self.tiles: list[Tile] = []
        self.share = 0.0
        """How far the work at hand is."""
        self._parameters: tuple[Parameter, ...] = ()
        self._refused = ""
        self._colours: Any = None
        self.inquiry = Inquiry(session, "matrices")
        self.inquiry.answered.connect(self._answered)

    def _more(self) -> Any:
        button, menu = more_button(self.session, "Colours, layers, distances, pictures")
        self.log = menu.addAction("Logarithmic colours")
        self.beside = menu.addAction("Relative distances beside the image")
        for action in (self.log, self.beside):
            action.setCheckable(True)
            action.setChecked(True)
            action.toggled.connect(self.invalidate)
        self.layers: QMenu = menu.addMenu("Which part of θ")
        self.part: Layer | None = None
        """The layer that is looked at; None: all of θ."""
        menu.addSeparator()
        self.add_pictures(menu)
        self.more = button
        return button

    # What is shown.

    @property
    def matrix(self) -> str:
        return (ALL, *KINDS)[self.what.currentIndex()]

    @property
    def taken_off(self) -> str | None:
        return (None, *KINDS)[self.minus.currentIndex()]

    @property
    def _pairs(self) -> list[tuple[str, str | None]]:
        """The matrices that are looked at, each with what is taken off it."""
        off = self.taken_off
        return [(name, off) for name in (KINDS if self.matrix == ALL else [self.matrix]) if name != off or not off]

    def compare(self, row: int, column: int) -> None:
        """Show the difference that a distance of the table is of; on its diagonal the matrix itself."""
        self.what.setCurrentIndex(row + 1)
        self.minus.setCurrentIndex(0 if row == column else column + 1)
        self._refit()

    def choose_part(self, layer: Layer | None) -> None:
        """Look at one layer's rows and columns alone, or at all of θ."""
        self.part = layer
        self.answer = None
        self._refit()

    def _another_run(self) -> None:
        shown = self.run.chosen
        self.answer = None
        self.inquiry.forget()
        self.part, self._parameters = None, ()
        self.layers.clear()
        if shown is not None:
            objective = shown.run.objective
            self._parameters = parameters_of(objective)
            layers = layers_of(objective)
            large = objective.parameters > LARGEST
            group = QActionGroup(self.layers)
            all_of_it = (
                f"All of θ · means over blocks of its {objective.parameters:,} parameters" if large else "All of θ"
            )
            for layer in (None, *layers):
                text = all_of_it if layer is None else f"Layer {layer.name} · {layer.stop - layer.start:,} parameters"
                action = group.addAction(self.layers.addAction(text))
                action.setCheckable(True)
                action.setChecked(not group.actions()[1:])
                action.triggered.connect(lambda _, layer=layer: self.choose_part(layer))
            self.part = min(layers, key=lambda layer: layer.stop - layer.start) if large else None
            for action, layer in zip(group.actions(), (None, *layers), strict=True):
                action.setChecked(layer is self.part)
        self._refit()

    def _refit(self) -> None:
        self.frame.release()
        self.invalidate()

    @property
    def block(self) -> slice | None:
        """The part of θ that is shown: of a layer as much as an image holds."""
        part = self.part
        return None if part is None else slice(part.start, min(part.stop, part.start + LARGEST))

    def _ask(self) -> None:
        shown = self.run.chosen
        session = self.session
        if shown is None or not len(shown.history.snapshots) or session.state == "loading" or not self.seen:
            return
        theta, step = shown.history.parameters(session.step_of(shown))
        pairs = self._pairs
        first = [name for name in dict.fromkeys(name for pair in pairs for name in pair) if name is not None]
        in_blocks = self.block is None and shown.run.objective.parameters > LARGEST
        # While a race goes on the processor is its own: no more than what is looked at.
        names = (
            first
            if session.state == "running" or in_blocks
            else [*first, *(name for name in KINDS if name not in first)]
        )
        objective, block = shown.run.objective, self.block
        place = (session.generation, self.run.number, step)
        question = (*place, tuple(names), tuple(pairs), block and (block.start, block.stop))

        def answers(cancel: Cancel) -> Iterator[Answer]:
            if self._point is None or self._point[0] != place:
                self._point = (place, objective.at(torch.as_tensor(theta).to(objective.initial_parameters)))
            point = self._point[1]
            point.watch = Watch(cancel, self._tell)
            images: dict[tuple[str, str | None], Matrix] = {}
            for found in block_means(point, names) if in_blocks else matrices(point, names, block):
                if in_blocks:
                    images = {}  # a finer one has other blocks
                for one, off in pairs:
                    if (one, off) not in images and one in found.dense and (off is None or off in found.dense):
                        entries = found.dense[one] if off is None else found.difference(one, off)
                        images[one, off] = coarsened(entries, _PIXELS)
                done = found.done >= 1
                distances = found.distances() if done and not in_blocks else np.empty((0, 0))
                yield Answer(step, found, dict(images), list(found.dense) if len(distances) else [], distances)

        self.inquiry.ask(question, answers)

    def _tell(self, share: float) -> None:
        self.share = share

    def _answered(self, answer: Answer) -> None:
        before = self.answer
        if before is not None and before.step != answer.step and not answer.images and answer.matrices.done < 1:
            return  # what is shown stays until there is something of the other step to show
        self.answer = answer
        self.invalidate()

    def fingerprint(self) -> Any:
        self._ask()
        share = round(self.share, 2) if self.inquiry.under_way else 1.0
        return (id(self.answer), self.session.state, self.width() // 8, self.height() // 8, self.run.number, share)

    # Drawing.

    def draw(self) -> None:
        answer = self.answer
        roomy = self.width() >= (_BROAD if self.matrix == ALL else _WIDE)
        roomy = roomy and self.height() >= _TALL
        self.side.setVisible(self.beside.isChecked() and roomy and answer is not None)
        self.tiles = [] if answer is None else self._laid_out(answer)
        self.say(self._why_empty())
        self.frame.show_axes(self._alone)
        extent = 0.0 if answer is None else answer.matrices.extent
        self._paint(extent)
        self.lines.show_lines([line for tile in self.tiles for line in self._boundaries(tile)])
        for name, tile in zip(self.names, [*self.tiles, *[None] * len(self.names)], strict=False):
            name.setVisible(tile is not None and len(self.tiles) > 1)
            if tile is not None:
                name.setText(tile.name, color=self.session.theme.muted)
                name.setFont(themes.font(11))
                name.setPos(tile.x, tile.y)
        self._mark_axes()
        self._frame_all()
        self.readout.hide()
        self.scale.show_extent(extent, self.log.isChecked())
        if answer is None:
            self.table.show_distances([], np.empty((0, 0)), {}, self.matrix, self.taken_off)
        else:
            refused = answer.matrices.refused
            self.table.show_distances(answer.named, answer.distances, refused, self.matrix, self.taken_off)
        self._subtitle()

    @property
    def _alone(self) -> bool:
        """Whether one image has all of the place, and room for names at its edges."""
        return len(self.tiles) == 1 and self.matrix != ALL

    def _laid_out(self, answer: Answer) -> list[Tile]:
        """The images that are here, row by row as the panel is wide; each has its place."""
        found, off, several = answer.matrices, self.taken_off, self.matrix == ALL
        across = self._across(len(KINDS) if several else 1)
        tiles = []
        for place, (one, _) in enumerate(self._pairs):
            if (one, off) not in answer.images:
                continue
            entries = found.dense[one] if off is None else found.difference(one, off)
            step, room = len(entries) * (1 + _GAP), self._title_room(len(entries), across)
            x, y = (place % across) * step, (place // across) * (step + room)
            # Several differences have no room for their names, nor have small images.
            words = SYMBOLS if several and (off is not None or not self._room_for_titles(across)) else TITLES
            name = words[one] if off is None else f"{words[one]} − {words[off]}"
            tiles.append(Tile(name, entries, answer.images[one, off], x, y))
        return tiles

    def _across(self, count: int) -> int:
        """How many images stand beside each other, so that they are as large as they can be."""
        width, height = max(self.frame.width() - 16, 1), max(self.frame.height() - 16, 1)
        return max(range(1, count + 1), key=lambda n: min(width / n, height / math.ceil(count / n)))

    def _pixels(self, across: int) -> float:
        """The side of an image and its title."""
        rows = math.ceil(len(KINDS) / across)
        return min(self.frame.width() / across, self.frame.height() / rows) or 1.0

    def _title_room(self, size: int, across: int) -> float:
        """The height of a title, in entries."""
        return 18 * size / max(self._pixels(across) - 18, 1)

    def _room_for_titles(self, across: int) -> bool:
        """Whether the name of each matrix fits above its image."""
        longest = max(map(QFontMetrics(themes.font(11)).horizontalAdvance, TITLES.values()))
        return longest + 10 <= self._pixels(across) - 18

    def _paint(self, extent: float) -> None:
        table = shades(self.session.theme)
        for image, tile in zip(self.images, [*self.tiles, *[None] * len(self.images)], strict=False):
            image.setVisible(tile is not None)
            if tile is None:
                continue
            size = len(tile.entries)
            picture = placed(tile.image, extent, log=self.log.isChecked())
            image.setLookupTable(table)
            image.setImage(picture, levels=(-1.0, 1.0))
            # The last tile of a coarsened picture may reach beyond the matrix.
            side = len(picture) * -(-size // _PIXELS)
            image.setRect(QRectF(tile.x, tile.y, side, side))

    def _boundaries(self, tile: Tile) -> list[Line]:
        """The edge of an image, and where one layer ends and the next begins."""
        size, theme = float(len(tile.entries)), self.session.theme
        edge = pen(theme.muted, 1, alpha=0.8)
        x, y = tile.x, tile.y
        xs, ys = np.array([x, x + size, x + size, x, x]), np.array([y, y, y + size, y + size, y])
        lines = [Line(xs, ys, edge)]
        if self.part is None and self.answer is not None:
            inner = pen(theme.text, 1, alpha=0.35)
            for layer in self.answer.matrices.layers[1:]:
                at = float(layer.start)
                lines.append(Line(np.full(2, x + at), np.array([y, y + size]), inner))
                lines.append(Line(np.array([x, x + size]), np.full(2, y + at), inner))
        return lines

    @property
    def _inside(self) -> list[tuple[Parameter, int, int]]:
        """The parameters in the part that is shown, and between which rows they stand."""
        block = self.block or slice(0, self._parameters[-1].stop if self._parameters else 0)
        found = [(p, max(p.start, block.start), min(p.stop, block.stop)) for p in self._parameters]
        edges = self._edges
        if edges is not None:
            return [(p, *np.searchsorted(edges, (a, b)).tolist()) for p, a, b in found]
        return [(p, a - block.start, b - block.start) for p, a, b in found if a < b]

    @property
    def _edges(self) -> NDArray[np.int64] | None:
        """Where the blocks end whose means are shown; None: entries are."""
        return None if self.answer is None else self.answer.matrices.edges

    def _mark_axes(self) -> None:
        """The parameters' names at the edges, where they fit."""
        left, bottom = self.frame.item.getAxis("left"), self.frame.item.getAxis("bottom")
        if not self._alone:
            return
        metrics = QFontMetrics(themes.font(11))
        size = len(self.tiles[0].entries)
        pixels = max(min(self.frame.height() - 40, self.frame.width() - 80), 1) / size
        names = [((a + b) / 2, p.name, (b - a) * pixels) for p, a, b in self._inside]
        short = {name: metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, 88) for _, name, _ in names}
        left.setTicks([[(at, short[name]) for at, name, room in names if room >= metrics.height()]])
        fits = [(at, short[n]) for at, n, room in names if room >= metrics.horizontalAdvance(short[n]) + 6]
        bottom.setTicks([fits])
        left.setWidth(max((metrics.horizontalAdvance(text) for text in short.values()), default=40) + 10)

    def _frame_all(self) -> None:
        if not self.tiles:
            return
        size = len(self.tiles[0].entries)
        if self._alone:
            self.frame.fill(0.0, float(size), 0.0, float(size), square=True)
            return
        across = self._across(len(KINDS))
        room = self._title_room(size, across)
        step, rows = size * (1 + _GAP), math.ceil(len(KINDS) / across)
        self.frame.fill(0.0, across * step - _GAP * size, -room, rows * (step + room) - room, square=True)

    def _why_empty(self) -> str:
        session = self.session
        if self.tiles:
            return ""
        if not session.runs:
            return "Loading the data…" if session.state == "loading" else "No run yet"
        refused = {} if self.answer is None else self.answer.matrices.refused
        for name in (name for pair in self._pairs for name in pair):
            if name in refused:
                return refused[name]
        if session.state == "running":
            return "They come with the next rest"
        share = self.share if self.inquiry.under_way else 0.0
        return "Computing the matrices…" + (f" {100 * share:.0f} %" if share else "")

    def _subtitle(self) -> None:
        answer, shown = self.answer, self.run.chosen
        if answer is None or shown is None or not self.tiles:
            self.subtitle.setText("")
            return
        total, size = shown.run.objective.parameters, len(self.tiles[0].entries)
        parts = [f"step {answer.step:,}"]
        if self._edges is not None:
            parts.append(
                f"means over {size:,} × {size:,} blocks of θ's {total:,} parameters, which are not their entries"
            )
        elif self.part is None:
            parts.append(f"{size:,} × {size:,}")
        else:
            of = self.part.stop - self.part.start
            first = f"the first {size:,} of {of:,} parameters of" if size < of else f"{size:,} parameters of"
            parts.append(f"{first} layer {self.part.name} alone (θ has {total:,})")
        if self.matrix != ALL and self.taken_off is not None:
            largest = float(np.abs(self.tiles[0].entries).max())
            parts.append(f"no |entry| of the difference above {compact(largest)}")
        self.subtitle.setText(" · ".join(parts))
        colours = f"colours by signed log, {DECADES} decades" if self.log.isChecked() else "colours by size"
        self.subtitle.setToolTip("\n".join([self.subtitle.text(), colours, *answer.matrices.refused.values()]))

    @property
    def axes_named(self) -> list[tuple[str, str]]:
        return [("column", "row")] if self._alone else [("", "")]

    @property
    def entries(self) -> list[Entry]:
        return []

    @property
    def caption(self) -> str:
        names = ", ".join(tile.name for tile in self.tiles)
        return f"{names} of {self.run.currentText()} · {self.subtitle.text()}"

    # The value under the cursor.

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self.readout.hide()
        return super().eventFilter(watched, event)

    def _point_at(self, position: QPointF) -> None:
        at = self.frame.view.mapSceneToView(position)
        for tile in self.tiles:
            column, row = math.floor(at.x() - tile.x), math.floor(at.y() - tile.y)
            if 0 <= row < len(tile.entries) and 0 <= column < len(tile.entries):
                self.readout.setText(self._told(tile, row, column))
                self.readout.setStyleSheet(_box(self.session.theme))
                self.readout.adjustSize()
                self._place_readout(position)
                return
        self.readout.hide()

    def _told(self, tile: Tile, row: int, column: int) -> str:
        start, edges = 0 if self.block is None else self.block.start, self._edges
        value = compact(float(tile.entries[row, column]))
        if edges is not None:
            parts = [next(p.name for p, a, b in self._inside if a <= i < b) for i in (row, column)]
            rows, columns = (f"{edges[i]:,}–{edges[i + 1] - 1:,}" for i in (row, column))
            return f"mean of {tile.name} = {value}\nrows {rows}: {parts[0]}\ncolumns {columns}: {parts[1]}"
        names = [
            next((p.entry(start + i) for p in self._parameters if p.start <= start + i < p.stop), "")
            for i in (row, column)
        ]
        return f"{tile.name} = {value}\nrow {start + row:,}: {names[0]}\ncolumn {start + column:,}: {names[1]}"

    def _place_readout(self, position: QPointF) -> None:
        """Beside the cursor, within the plot."""
        x, y = position.x() + 14, position.y() + 14
        if x + self.readout.width() > self.frame.width():
            x = position.x() - 14 - self.readout.width()
        y = min(y, self.frame.height() - self.readout.height())
        self.readout.move(max(int(x), 0), max(int(y), 0))
        self.readout.show()


def _box(theme: themes.Theme) -> str:
    return (
        f"QLabel#cell {{ background: {theme.panel}; color: {theme.text}; border: 1px solid {theme.hairline}; "
        "border-radius: 4px; padding: 4px 8px; }"
    )

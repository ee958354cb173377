"""What can be drawn of a model's function at one θ: its decisions, its fit, or single cases as it sees them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import contourpy
import numpy as np
import pyqtgraph as pg
import torch
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor

from ngexplorer.analysis.cases import Misclassified, Reconstructions, classes_of, misclassified, reconstructions
from ngexplorer.analysis.decision_regions import Decisions, decisions
from ngexplorer.analysis.regression import Fit, regression_fit
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import Frame, compact
from ngexplorer.gui.plots.lines import Array, Line, Lines, pen
from ngexplorer.objectives import Objective, Point

_CASES = 500
"""At most so many cases are drawn as points."""
_DOT, _RING = 1.8, 3.2
"""Radii of a case and of the disc behind one that is decided wrongly, pixels."""
_MARGIN = 0.15
"""Around the cases, as a share of their extent."""
_ALONG = 201
"""Places along x at which a fit is looked at."""
_MOST = 40
"""At most so many cases are shown as images."""
_GAP = 0.12
"""Between two images, as a share of their width."""
_WORD, _LEGIBLE = 16, 34
"""Pixels: the height of a word below an image, and the width of an image from which there is room for one."""


@dataclass(frozen=True)
class Look:
    """What a picture is drawn with: the data's image shape, if it has one, the run's colour, and the theme."""

    image: tuple[int, int] | None
    colour: QColor
    theme: themes.Theme


class Mode(Protocol):
    """One way to look at a model's function."""

    title: ClassVar[str]
    axes: ClassVar[bool]
    named: ClassVar[tuple[str, str]]
    """What a picture says along the axes, across and up"""

    def refusal(self, objective: Objective, image: tuple[int, int] | None) -> str:
        """Why an objective cannot be looked at so; empty if it can."""

    def answers(self, point: Point, coarse: bool) -> Iterator[Any]:
        """What is drawn, coarse first: asked of the analyst."""

    def draw(self, canvas: Canvas, objective: Objective, answer: Any, look: Look) -> str:
        """Draw an answer; returns what it says in words."""


class Canvas:
    """The items that the modes draw with, in a frame."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.image = pg.ImageItem(axisOrder="row-major")
        self.lines = Lines()
        self.words: list[pg.TextItem] = []
        for item in (self.image, self.lines):
            frame.addItem(item, ignoreBounds=True)

    def clear(self) -> None:
        self.image.hide()
        self.lines.show_lines([])
        self.write([], QColor())

    def paint(self, picture: NDArray[np.ubyte], rect: QRectF) -> None:
        """Show an image, its first row at the top of the rectangle."""
        self.image.setImage(picture[::-1], levels=(0, 255))
        self.image.setRect(rect)
        self.image.show()

    def write(self, words: list[tuple[str, float, float]], colour: QColor) -> None:
        """Texts, each centred below a place."""
        while len(self.words) < len(words):
            text = pg.TextItem(anchor=(0.5, 0))
            text.setFont(themes.font(11))
            self.frame.addItem(text, ignoreBounds=True)
            self.words.append(text)
        for i, text in enumerate(self.words):
            text.setVisible(i < len(words))
            if i < len(words):
                said, x, y = words[i]
                text.setText(said, color=colour)
                text.setPos(x, y)


class Regions:
    """The class decided for over the plane of two inputs, stronger where it is surer, with the cases over it."""

    title: ClassVar[str] = "Decision regions"
    axes: ClassVar[bool] = True
    named: ClassVar[tuple[str, str]] = ("x₁", "x₂")

    def refusal(self, objective: Objective, image: tuple[int, int] | None) -> str:
        if _inputs(objective, 2) is None:
            return "Decision regions are drawn over two inputs"
        return ""

    def answers(self, point: Point, coarse: bool) -> Iterator[tuple[Decisions, NDArray[np.int64]]]:
        inputs = _inputs(point.objective, 2)
        assert inputs is not None
        wrong = np.empty(0, dtype=np.int64)
        if classes_of(point.objective.targets) is not None:
            wrong = misclassified(point, len(inputs)).indices
        (left, low), (right, high) = inputs.min(0), inputs.max(0)
        across, up = _MARGIN * (right - left), _MARGIN * (high - low)
        window = (float(left - across), float(right + across), float(low - up), float(high + up))
        for found in decisions(point, window, (33, 65) if coarse else (33, 65, 129)):
            yield found, wrong

    def draw(
        self, canvas: Canvas, objective: Objective, answer: tuple[Decisions, NDArray[np.int64]], look: Look
    ) -> str:
        found, wrong = answer
        targets = classes_of(objective.targets)
        xs, ys = found.xs, found.ys
        step_x, step_y = xs[1] - xs[0], ys[1] - ys[0]
        rect = QRectF(xs[0] - step_x / 2, ys[0] - step_y / 2, xs[-1] - xs[0] + step_x, ys[-1] - ys[0] + step_y)
        canvas.write([], QColor())
        lines: list[Line] = []
        if targets is None:
            canvas.paint(_graded(found.predictions[..., 0], look), rect)
        else:
            canvas.paint(_regions(found, look.theme), rect)
            if found.predictions.shape[2] == 1:
                generator = contourpy.contour_generator(
                    xs, ys, found.predictions[..., 0], line_type=contourpy.LineType.Separate
                )
                edges: Any = generator.lines(0.5)
                lines += [Line(edge[:, 0], edge[:, 1], pen(look.theme.text, 1.2)) for edge in edges]
            lines += _cases(objective, targets.cpu().numpy(), wrong, look.theme)
        canvas.lines.show_lines(lines)
        canvas.frame.fill(rect.left(), rect.right(), rect.top(), rect.bottom(), square=True)
        if targets is None:
            low, high = float(found.predictions[..., 0].min()), float(found.predictions[..., 0].max())
            return f"E[y | x] from {compact(low)} to {compact(high)}"
        return f"{len(wrong):,} of {objective.cases:,} cases on the wrong side, ringed"


class Curve:
    """What is expected of y at every x, with the band in which the loss's own density expects it, and the cases."""

    title: ClassVar[str] = "Fit"
    axes: ClassVar[bool] = True
    named: ClassVar[tuple[str, str]] = ("x", "y")

    def refusal(self, objective: Objective, image: tuple[int, int] | None) -> str:
        return "" if _inputs(objective, 1) is not None else "A fit is drawn over one input"

    def answers(self, point: Point, coarse: bool) -> Iterator[Fit]:
        inputs = _inputs(point.objective, 1)
        assert inputs is not None
        low, high = float(inputs.min()), float(inputs.max())
        room = _MARGIN * (high - low)
        yield regression_fit(point, np.linspace(low - room, high + room, _ALONG))

    def draw(self, canvas: Canvas, objective: Objective, answer: Fit, look: Look) -> str:
        canvas.image.hide()
        canvas.write([], QColor())
        inputs = _inputs(objective, 1)
        assert inputs is not None
        y = objective.targets.double().cpu().numpy().reshape(len(inputs), -1)
        some = slice(None, None, -(-len(inputs) // _CASES))
        muted = QColor(look.theme.muted)
        lines = [_dots(muted, np.column_stack((inputs[some, 0], column[some])), _DOT) for column in y.T]
        style = pen(look.colour, 2)
        for mean, low, high in zip(answer.mean.T, answer.low.T, answer.high.T, strict=True):
            band = None if np.isnan(low).all() else (low, high)
            lines.append(Line(answer.xs, mean, style, band=band))
        canvas.lines.show_lines(lines)
        edge = 0.08 * max(float(np.ptp(y)), 1e-9)
        # By the cases, not by the curve: at the start that may be anywhere.
        heights = np.concatenate((y.ravel(), np.clip(answer.mean.ravel(), y.min() - 5 * edge, y.max() + 5 * edge)))
        low, high = float(heights.min()), float(heights.max())
        canvas.frame.fit(float(answer.xs[0]), float(answer.xs[-1]), low - edge, high + edge, growing=False)
        if np.isnan(answer.low).all():
            return "E[y | x]"
        held = ((y >= _between(inputs, answer.xs, answer.low)) & (y <= _between(inputs, answer.xs, answer.high))).mean()
        return f"E[y | x] and a band for {100 * answer.coverage:.0f} % of y: {100 * held:.0f} % of the cases are in it"


class Wrong:
    """The images that are decided wrongly, the worst first."""

    title: ClassVar[str] = "Misclassified"
    axes: ClassVar[bool] = False
    named: ClassVar[tuple[str, str]] = ("", "")

    def refusal(self, objective: Objective, image: tuple[int, int] | None) -> str:
        if image is None or _inputs(objective, math.prod(image)) is None:
            return "Misclassified cases are shown where they are images"
        if classes_of(objective.targets) is None:
            return "Misclassified cases are shown where the targets are classes"
        return ""

    def answers(self, point: Point, coarse: bool) -> Iterator[Misclassified]:
        yield misclassified(point, _MOST)

    def draw(self, canvas: Canvas, objective: Objective, answer: Misclassified, look: Look) -> str:
        assert look.image is not None
        inputs = _inputs(objective, math.prod(look.image))
        assert inputs is not None
        canvas.lines.show_lines([])
        words = [f"{true} → {said}" for true, said in zip(answer.true, answer.decided, strict=True)]
        rows = [_inked(inputs, inputs[answer.indices])]
        _mosaic(canvas, rows, words, look)
        share = f"{answer.total:,} of {objective.cases:,} cases decided wrongly"
        return f"{share}, the worst first: true → decided" if answer.total else share


class Rebuilt:
    """Images above what an autoencoder makes of them."""

    title: ClassVar[str] = "Reconstructions"
    axes: ClassVar[bool] = False
    named: ClassVar[tuple[str, str]] = ("", "")

    def refusal(self, objective: Objective, image: tuple[int, int] | None) -> str:
        inputs = objective.inputs
        if not isinstance(inputs, torch.Tensor) or inputs.flatten(1).shape != objective.targets.shape:
            return "Reconstructions are of autoencoders, whose targets are their inputs"
        if not torch.equal(inputs.flatten(1), objective.targets):
            return "Reconstructions are of autoencoders, whose targets are their inputs"
        return "" if image is not None else "Reconstructions are shown where the inputs are images"

    def answers(self, point: Point, coarse: bool) -> Iterator[Reconstructions]:
        yield reconstructions(point, _MOST // 2)

    def draw(self, canvas: Canvas, objective: Objective, answer: Reconstructions, look: Look) -> str:
        canvas.lines.show_lines([])
        rows = [_inked(answer.inputs, answer.inputs), _inked(answer.inputs, answer.outputs)]
        _mosaic(canvas, rows, [compact(float(loss)) for loss in answer.loss], look)
        return "above the input, below what comes of it, and the loss of each"


MODES: tuple[Mode, ...] = (Rebuilt(), Regions(), Curve(), Wrong())


def _inputs(objective: Objective, features: int) -> Array | None:
    """The inputs (N, features), or None where they are something else."""
    inputs = objective.inputs
    if not isinstance(inputs, torch.Tensor) or inputs.flatten(1).shape[1] != features or inputs.ndim < 2:
        return None
    found: Array = inputs.flatten(1).double().cpu().numpy()
    return found


def _between(inputs: Array, xs: Array, columns: Array) -> Array:
    """The columns (T, K) over xs (T,) at inputs (N, 1), (N, K)."""
    return np.stack([np.interp(inputs[:, 0], xs, column) for column in columns.T], 1)


def _dots(colour: QColor, places: Array, radius: float) -> Line:
    none = np.empty(0)
    return Line(none, none, pen(colour, 1), places, dot=radius)


def _cases(objective: Objective, classes: NDArray[Any], wrong: NDArray[np.int64], theme: themes.Theme) -> list[Line]:
    """The cases in the colours of their classes, those decided wrongly with a ring."""
    inputs = _inputs(objective, 2)
    assert inputs is not None
    some = np.arange(0, len(inputs), -(-len(inputs) // _CASES))
    lines = [_dots(QColor(theme.text), inputs[np.intersect1d(some, wrong)], _RING)]
    for kind in np.unique(classes):
        chosen = some[classes[some] == kind]
        lines.append(_dots(themes.line_colour(_colour(int(kind)), theme), inputs[chosen], _DOT))
    return lines


def _colour(kind: int) -> str:
    return themes.PALETTE[kind % len(themes.PALETTE)]


def _rgb(colour: QColor) -> Array:
    return np.array([colour.red(), colour.green(), colour.blue()], dtype=np.float64)


def _regions(found: Decisions, theme: themes.Theme) -> NDArray[np.ubyte]:
    """Each place in the colour of the class decided for, (J, I, 3), stronger where it is surer; the highest row
    first."""
    predictions, classes = found.predictions, found.classes
    count = max(predictions.shape[2], 2)
    if predictions.shape[2] == 1:
        sure = np.abs(2 * predictions[..., 0] - 1)
    else:
        sure = (predictions.max(2) - 1 / count) / (1 - 1 / count)
    ground = _rgb(QColor(theme.panel))
    colours = np.stack([_rgb(QColor(_colour(kind))) for kind in range(count)])
    share = (0.12 + 0.38 * np.clip(sure, 0, 1))[..., None]
    picture: NDArray[np.ubyte] = ((1 - share) * ground + share * colours[classes]).astype(np.ubyte)
    return picture[::-1]


def _graded(values: Array, look: Look) -> NDArray[np.ubyte]:
    """Numbers from the panel's colour to the run's, (J, I, 3); the highest row first."""
    share = (values - values.min()) / max(float(np.ptp(values)), 1e-300)
    low, high = _rgb(QColor(look.theme.panel)), _rgb(look.colour)
    picture: NDArray[np.ubyte] = (low + share[..., None] * (high - low)).astype(np.ubyte)
    return picture[::-1]


def _inked(of: Array, images: Array) -> NDArray[np.ubyte]:
    """Images (M, D) in shades of grey between what is paper and what is ink in those `of` which they are."""
    # A few pixels that are seldom inked are far out once the inputs are standardized.
    low, high = np.percentile(of, (2, 98))
    shades: NDArray[np.ubyte] = (255 * np.clip((images - low) / max(high - low, 1e-12), 0, 1)).astype(np.ubyte)
    return shades


def _mosaic(canvas: Canvas, rows: list[NDArray[np.ubyte]], words: list[str], look: Look) -> None:
    """Images in rows that fill the picture, those of one case above each other, its word below them."""
    assert look.image is not None
    height, width = look.image
    count = len(words)
    if not count:
        canvas.clear()
        return
    gap = max(1, round(_GAP * width))
    room = canvas.frame.width(), canvas.frame.height()

    def scale(shown: int, across: int) -> float:
        """Pixels of the screen for one of an image, with so many images and so many of them beside each other."""
        down = -(-shown // across)
        return min(room[0] / across / (width + gap), (room[1] / down - _WORD) / (len(rows) * (height + 1) + gap))

    def widest(shown: int) -> int:
        return max(range(1, shown + 1), key=lambda across: scale(shown, across))

    # Rather fewer images than images too small for their words.
    count = next((n for n in range(count, 1, -1) if scale(n, widest(n)) * width >= _LEGIBLE), 1)
    across = widest(count)
    down = -(-count // across)
    text = gap + math.ceil(_WORD / max(scale(count, across), 1e-3))
    cell_width, cell_height = width + gap, len(rows) * (height + 1) + text
    picture = np.empty((down * cell_height, across * cell_width, 3), dtype=np.ubyte)
    picture[:] = _rgb(QColor(look.theme.panel))
    places = []
    for i, said in enumerate(words[:count]):
        row, column = divmod(i, across)
        x, y = column * cell_width + gap // 2, row * cell_height
        for part, images in enumerate(rows):
            top = y + part * (height + 1)
            picture[top : top + height, x : x + width] = images[i].reshape(height, width, 1)
        places.append((said, x + width / 2, float(len(picture) - y - len(rows) * (height + 1))))
    rect = QRectF(0, 0, picture.shape[1], picture.shape[0])
    canvas.paint(picture, rect)
    canvas.write(places, QColor(look.theme.muted))
    canvas.frame.fill(0.0, rect.width(), 0.0, rect.height(), square=True)

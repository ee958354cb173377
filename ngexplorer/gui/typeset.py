"""Formulas typeset: boxes with a width, a height and a depth, put together as mathematics is, and painted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QTransform

from ngexplorer.gui import theme as themes
from ngexplorer.tour import formula
from ngexplorer.tour.formula import Accent, Fence, Fraction, Matrix, Node, Root, Row, Scripts, Symbol

_SMALLER = 0.74
"""The type of scripts, as a share of what they stand at."""
_LEAST = 8.0
_SHORT = 4.5
"""In em: a formula in a text that is no wider stays on one line."""
_SPACES = {"binary": (0.2, 0.2), "relation": (0.26, 0.26), "punctuation": (0.0, 0.18)}
"""Room before and after, in em."""
_SUM = "∑"

Draw = Callable[[QPainter, float, float], None]


@dataclass
class Box:
    """Pixels; drawn at the left end of its baseline."""

    width: float
    ascent: float
    descent: float
    draw: Draw = field(repr=False)
    slant: float = 0.0
    """How far its upper right corner leans over."""


def display(text: str, size: float) -> Box:
    """A formula that stands on a line of its own, in type of that many pixels."""
    return _row(formula.parse(text, display=True).items, size, True)


def inline(text: str, size: float, after: str = "") -> list[Box]:
    """A formula in a text, cut where a line may break: after its operators and relations, unless it is short. What
    comes `after` it, a comma say, is the text's but stays with it."""
    found: list[Box] = []
    part: list[Node] = []
    items = formula.parse(text).items
    if _row(items, size, False).width < _SHORT * size:
        found, items = [_row(items, size, False)], ()
    for item in items:
        part.append(item)
        if isinstance(item, Symbol) and item.spacing in ("binary", "relation", "punctuation"):
            found.append(_row(part, size, False))
            part = []
    if part:
        found.append(_row(part, size, False))
    if after:
        last = found.pop()
        found.append(_beside([(0.0, last), (last.width, _glyphs(after, size))], last.width + _advance(after, size)))
    return found


def _font(size: float, italic: bool = False) -> QFont:
    made = themes.font(1)
    made.setPointSizeF(1)
    made.setPixelSize(max(1, round(size)))
    made.setItalic(italic)
    return made


def _box(node: Node, size: float, upright: bool) -> Box:
    """`upright`: in a display, where fractions and limits are built up."""
    match node:
        case Symbol():
            return _symbol(node, size, upright)
        case Row():
            return _row(node.items, size, upright)
        case Scripts():
            return _scripts(node, size, upright)
        case Fraction():
            return _fraction(node, size)
        case Root():
            return _root(node, size, upright)
        case Fence():
            return _fence(node, size, upright)
        case Accent():
            return _accent(node, size)
        case Matrix():
            return _matrix(node, size)


def _symbol(node: Symbol, size: float, upright: bool) -> Box:
    if node.spacing == "gap":
        return Box((0.16 if len(node.text) < 2 else 1.2) * size, 0, 0, lambda *_: None)
    return _glyphs(node.text, size * 1.25 if node.text == _SUM and upright else size, node.italic)


def _glyphs(text: str, size: float, italic: bool = False) -> Box:
    font = _font(size, italic)
    if text in "⊗‖∑√":
        font.setFamilies(["NG Explorer Math", "Inter"])
    metrics = QFontMetricsF(font)
    ink = metrics.tightBoundingRect(text)
    lean = max(0.0, ink.right() - metrics.horizontalAdvance(text)) if italic else 0.0

    def draw(painter: QPainter, x: float, y: float) -> None:
        painter.setFont(font)
        painter.drawText(QPointF(x, y), text)

    ascent = max(-ink.top(), metrics.xHeight())
    return Box(metrics.horizontalAdvance(text), ascent, max(ink.bottom(), 0.0), draw, lean)


def _advance(text: str, size: float) -> float:
    return QFontMetricsF(_font(size)).horizontalAdvance(text)


def _axis(size: float) -> float:
    """How high over the baseline the middle of a minus sign is, where fractions have their rule."""
    return -QFontMetricsF(_font(size)).tightBoundingRect("−").center().y()


def _beside(boxes: Sequence[tuple[float, Box]], width: float) -> Box:
    """Boxes on one baseline, each with where it begins."""

    def draw(painter: QPainter, x: float, y: float) -> None:
        for at, box in boxes:
            box.draw(painter, x + at, y)

    ascent = max((box.ascent for _, box in boxes), default=0.0)
    descent = max((box.descent for _, box in boxes), default=0.0)
    return Box(width, ascent, descent, draw, boxes[-1][1].slant if boxes else 0.0)


def _row(items: Sequence[Node], size: float, upright: bool, *, tight: bool = False) -> Box:
    placed: list[tuple[float, Box]] = []
    x = 0.0
    for i, item in enumerate(items):
        before, after = (0.0, 0.0)
        if isinstance(item, Symbol) and not tight:
            before, after = _SPACES.get(item.spacing, (0.0, 0.0))
            if item.spacing == "word":
                before, after = (0.16 * (i > 0), 0.16 * _is_operand(items, i + 1))
        box = _box(item, size, upright)
        x += before * size
        placed.append((x, box))
        x += box.width + after * size
    return _beside(placed, x)


def _is_operand(items: Sequence[Node], i: int) -> bool:
    """Whether a letter or a number comes there, which a word stands apart from; a bracket it does not."""
    if i >= len(items) or isinstance(items[i], Fence):
        return False
    item = items[i]
    return not isinstance(item, Symbol) or item.spacing == "ordinary"


def _scripts(node: Scripts, size: float, upright: bool) -> Box:
    base = _box(node.base, size, upright)
    small = max(size * _SMALLER, min(size, _LEAST))
    above, below = (
        None if row is None else _row(row.items, small, False, tight=True) for row in (node.above, node.below)
    )
    if upright and isinstance(node.base, Symbol) and node.base.text == _SUM:
        return _limits(base, above, below, size)
    x = base.width + 0.02 * size
    placed = [(0.0, 0.0, base)]
    if above is not None:
        rise = max(0.36 * size, base.ascent - 0.55 * above.ascent)
        placed.append((x + 0.2 * base.slant, rise, above))
    if below is not None:
        drop = max(0.17 * size, base.descent + 0.35 * below.ascent - 0.1 * size if base.descent > 0.3 * size else 0.0)
        placed.append((x, -drop, below))
    width = max(at + box.width for at, _, box in placed) + 0.03 * size
    return _shifted(placed, width)


def _limits(base: Box, above: Box | None, below: Box | None, size: float) -> Box:
    width = max(box.width for box in (base, above, below) if box is not None)
    placed = [((width - base.width) / 2, 0.0, base)]
    if above is not None:
        placed.append(((width - above.width) / 2, base.ascent + above.descent + 0.14 * size, above))
    if below is not None:
        placed.append(((width - below.width) / 2, -(base.descent + below.ascent + 0.16 * size), below))
    return _shifted(placed, width + 0.12 * size)


def _shifted(placed: Sequence[tuple[float, float, Box]], width: float) -> Box:
    """Boxes each at an x and so far above the baseline."""

    def draw(painter: QPainter, x: float, y: float) -> None:
        for at, up, box in placed:
            box.draw(painter, x + at, y - up)

    ascent = max(box.ascent + up for _, up, box in placed)
    descent = max(box.descent - up for _, up, box in placed)
    return Box(width, ascent, descent, draw)


def _line(size: float) -> QPen:
    return QPen(Qt.GlobalColor.black, max(1.0, size / 15), Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)


def _stroke(painter: QPainter, path: QPainterPath, size: float) -> None:
    """Draw a line in the colour of the letters."""
    before, line = painter.pen(), _line(size)
    line.setColor(before.color())
    line.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    painter.strokePath(path, line)


def _fraction(node: Fraction, size: float) -> Box:
    small = 0.92 * size
    above, below = _row(node.above.items, small, True), _row(node.below.items, small, True)
    axis, gap = _axis(size), 0.2 * size
    width = max(above.width, below.width) + 0.24 * size
    up, down = axis + gap + above.descent, gap + below.ascent - axis

    def draw(painter: QPainter, x: float, y: float) -> None:
        above.draw(painter, x + (width - above.width) / 2, y - up)
        below.draw(painter, x + (width - below.width) / 2, y + down)
        rule = QPainterPath(QPointF(x + 0.04 * size, y - axis))
        rule.lineTo(x + width - 0.04 * size, y - axis)
        _stroke(painter, rule, size)

    return Box(width, above.ascent + up, below.descent + down, draw)


def _root(node: Root, size: float, upright: bool) -> Box:
    inside = _row(node.inside.items, size, upright)
    hook, gap = 0.55 * size, 0.16 * size
    top, bottom = max(inside.ascent, 0.7 * size) + gap, inside.descent

    def draw(painter: QPainter, x: float, y: float) -> None:
        inside.draw(painter, x + hook + 0.06 * size, y)
        path = QPainterPath(QPointF(x + 0.04 * size, y - 0.28 * size))
        path.lineTo(x + 0.16 * size, y - 0.36 * size)
        path.lineTo(x + 0.33 * size, y + bottom)
        path.lineTo(x + hook, y - top)
        path.lineTo(x + hook + inside.width + 0.14 * size, y - top)
        _stroke(painter, path, size)

    return Box(hook + inside.width + 0.2 * size, top + 0.06 * size, bottom + 0.04 * size, draw)


def _fence(node: Fence, size: float, upright: bool) -> Box:
    inside = _row(node.inside.items, size, upright)
    return _fenced(node.left, inside, node.right, size)


def _fenced(left: str, inside: Box, right: str, size: float) -> Box:
    ends = [_bracket(sign, inside, size) for sign in (left, right)]
    second = ends[0].width + inside.width + 0.4 * inside.slant
    return _beside(((0.0, ends[0]), (ends[0].width, inside), (second, ends[1])), second + ends[1].width)


def _bracket(sign: str, inside: Box, size: float) -> Box:
    usual = _glyphs(sign, size)
    if inside.ascent <= 1.05 * size and inside.descent <= 0.45 * size:
        return usual
    # As high above the axis as below it, like what it embraces.
    axis = _axis(size)
    half = max(inside.ascent - axis, inside.descent + axis) + 0.06 * size
    outline = QPainterPath()
    outline.addText(QPointF(0, 0), _font(size), sign)
    ink = outline.boundingRect()
    stretched = QTransform().translate(0, -axis).scale(1.1, 2 * half / ink.height()).translate(0, -ink.center().y())
    shape = stretched.map(outline)

    def draw(painter: QPainter, x: float, y: float) -> None:
        painter.fillPath(shape.translated(x, y), painter.pen().color())

    return Box(1.15 * usual.width, half + axis, half - axis, draw)


def _accent(node: Accent, size: float) -> Box:
    base = _box(node.base, size, False)
    lean = 0.2 * base.ascent if node.base.italic else 0.0
    high = base.ascent + 0.13 * size
    middle, half = (base.width + lean) / 2 + 0.02 * size, min(0.24 * size, 0.42 * base.width)

    def draw(painter: QPainter, x: float, y: float) -> None:
        base.draw(painter, x, y)
        left, centre, right = (QPointF(x + middle + side, y - high) for side in (-half, 0.0, half))
        path = QPainterPath(left)
        if node.mark == "ˆ":
            path.lineTo(centre + QPointF(0, -0.16 * size))
        elif node.mark == "˜":
            path.cubicTo(left + QPointF(half, -0.2 * size), right + QPointF(-half, 0.14 * size), right)
        path.lineTo(right)
        _stroke(painter, path, size)

    return Box(base.width, high + (0.2 if node.mark != "¯" else 0.06) * size, base.descent, draw, base.slant)


def _matrix(node: Matrix, size: float) -> Box:
    cells = [[_row(cell.items, size, False) for cell in row] for row in node.rows]
    across = 0.7 * size
    columns = [max(row[i].width for row in cells) for i in range(len(cells[0]))]
    heights = [(max(c.ascent for c in row), max(c.descent for c in row)) for row in cells]
    total = sum(up + down for up, down in heights) + 0.35 * size * (len(cells) - 1)
    width, axis = sum(columns) + across * (len(columns) - 1), _axis(size)
    placed: list[tuple[float, float, Box]] = []
    top = axis + total / 2
    for row, (up, down) in zip(cells, heights, strict=True):
        x = 0.0
        for cell, column in zip(row, columns, strict=True):
            placed.append((x + (column - cell.width) / 2, top - up, cell))
            x += column + across
        top -= up + down + 0.35 * size
    inside = _shifted([(x + 0.1 * size, up, box) for x, up, box in placed], width + 0.2 * size)
    return _fenced("(", inside, ")", size)


def paint(painter: QPainter, box: Box, place: QRectF, baseline: float) -> None:
    """Draw a box at the left of a place, made smaller where that is too narrow."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    scale = min(1.0, place.width() / box.width) if box.width else 1.0
    painter.translate(place.left(), baseline)
    painter.scale(scale, scale)
    box.draw(painter, 0.0, 0.0)
    painter.restore()

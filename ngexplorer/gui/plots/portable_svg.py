"""What Qt writes as SVG, so that it looks the same in every program: words as outlines, whether or not their typefaces
are installed; the widths of lines in the drawing's own units, which not every program takes any others in; and nothing
beyond the edges of a plot, where Qt writes no edges at all, or (as SVG 1.1) those of what was drawn before."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath

_TEXT = re.compile(r"<text ([^>]*)>([^<]*)</text>")
_ATTRIBUTE = re.compile(r'([\w:-]+)="([^"]*)"')
_CUT, _UNCUT, _MARKED = "cut out ", "cut no more", "#010203"
"""What is written in a colour that nothing else has."""
_BETWEEN = re.compile(rf'<g [^>]*>\s*<text fill="{_MARKED}"[^>]*>([^<]*)</text>\s*</g>')
_GROUP = re.compile(r'<g [^>]*?transform="matrix\(([^)]*)\)"[^>]*>(.*?)</g>', re.DOTALL)
_MATRIX = re.compile(r"matrix\([^)]*\)")
_UNSCALED = 'vector-effect="non-scaling-stroke"'
_OTHERS = re.compile(r"<(?!path|polyline|polygon|/)")
_PLACES = re.compile(r'( points=| d=)"([^"]*)"')
_PLACE = re.compile(r"(-?[\d.]+(?:e[-+]?\d+)?),(-?[\d.]+(?:e[-+]?\d+)?)")
_FINE = 16.0
"""Outlines are made at so many times their size, so that no glyph moves to a whole pixel."""


@contextmanager
def cut_out(painter: QPainter, area: QRectF) -> Iterator[None]:
    """What is drawn meanwhile is cut off at the edges of the area: marks which `portable` puts edges in place of."""
    sides = " ".join(f"{side:.2f}" for side in area.getRect())
    _mark(painter, f"{_CUT}{sides}")
    yield
    _mark(painter, _UNCUT)


def _mark(painter: QPainter, words: str) -> None:
    painter.save()
    painter.setPen(QColor(_MARKED))
    painter.drawText(QPointF(0, 0), words)
    painter.restore()


def portable(svg: str) -> str:
    """The drawing, as Qt writes it, with each text as a path that is labelled by its words."""
    svg = _BETWEEN.sub(_edged, svg)
    return _TEXT.sub(lambda found: _outlined(dict(_ATTRIBUTE.findall(found[1])), found[2]), _GROUP.sub(_on_page, svg))


def _edged(mark: re.Match[str]) -> str:
    if mark[1] == _UNCUT:
        return "</g>"
    left, top, width, height = mark[1].removeprefix(_CUT).split()
    name = f"plot-{mark.start()}"
    edges = f'<rect x="{left}" y="{top}" width="{width}" height="{height}"/>'
    return f'<defs><clipPath id="{name}">{edges}</clipPath></defs>\n<g clip-path="url(#{name})">'


def _on_page(group: re.Match[str]) -> str:
    """A group of lines whose widths do not go with its scale, its places in units of the page."""
    a, b, c, d, e, f = map(float, group[1].split(","))
    if _UNSCALED not in group[2] or (a, b, c, d) == (1, 0, 0, 1) or _OTHERS.search(group[2]):
        return group[0]

    def mapped(place: re.Match[str]) -> str:
        x, y = float(place[1]), float(place[2])
        return f"{a * x + c * y + e:.2f},{b * x + d * y + f:.2f}"

    flat = _PLACES.sub(lambda found: f'{found[1]}"{_PLACE.sub(mapped, found[2])}"', group[0])
    return _MATRIX.sub("matrix(1,0,0,1,0,0)", flat, count=1).replace(_UNSCALED, "")


def _outlined(given: dict[str, str], words: str) -> str:
    font = QFont()
    font.setFamilies([name.strip() for name in given["font-family"].split(",")])
    font.setPixelSize(round(_FINE * float(given["font-size"])))
    font.setWeight(QFont.Weight(int(given["font-weight"])))
    font.setItalic(given["font-style"] == "italic")
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    outline = QPainterPath()
    outline.addText(QPointF(0, 0), font, html.unescape(words))
    left, base = float(given["x"]), float(given["y"])
    fill = f'fill="{given["fill"]}" fill-opacity="{given["fill-opacity"]}" fill-rule="nonzero" stroke="none"'
    label = words.replace('"', "&quot;")
    return f'<path aria-label="{label}" {fill} d="{_drawn(outline, left, base)}"/>'


def _drawn(outline: QPainterPath, left: float, base: float) -> str:
    """The commands of a path, in units of the drawing. Of a curve Qt has three elements: two for its handles."""
    letters = {QPainterPath.ElementType.MoveToElement: "M", QPainterPath.ElementType.LineToElement: "L",
               QPainterPath.ElementType.CurveToElement: "C"}  # fmt: skip
    parts = []
    for i in range(outline.elementCount()):
        element = outline.elementAt(i)
        letter = letters.get(element.type, " ")
        parts.append(f"{letter}{left + element.x / _FINE:.2f},{base + element.y / _FINE:.2f}")
    return "".join(parts)

"""A formula as the pages write it, in one line that can be read as it stands, and the tree that a typesetter builds.

`M(δ) = ½ E[ uᵀ F_R u ]`: Unicode's superscripts and subscripts, `_` and `^` before a letter or a (group), `√(…)`,
`"words"` in quotes, combining bars and hats. In a display `a/b` is a fraction of the runs on both sides, `∑_(…)` has
its limits below, and `[[a, b], [c, d]]` is a matrix.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Spacing = Literal["ordinary", "binary", "relation", "punctuation", "word", "gap"]


@dataclass(frozen=True)
class Symbol:
    """Letters that stand together; `italic` where they name a variable."""

    text: str
    italic: bool = False
    spacing: Spacing = "ordinary"


@dataclass(frozen=True)
class Row:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Scripts:
    base: Node
    above: Row | None
    below: Row | None


@dataclass(frozen=True)
class Fraction:
    above: Row
    below: Row


@dataclass(frozen=True)
class Root:
    inside: Row


@dataclass(frozen=True)
class Fence:
    """Brackets, as high as what is inside."""

    left: str
    inside: Row
    right: str


@dataclass(frozen=True)
class Accent:
    """A mark over a letter: "¯", "ˆ" or "˜"."""

    base: Symbol
    mark: str


@dataclass(frozen=True)
class Matrix:
    rows: tuple[tuple[Row, ...], ...]


Node = Symbol | Row | Scripts | Fraction | Root | Fence | Accent | Matrix

_ABOVE = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀᵏⁿᵐ", "0123456789+−Tknm", strict=True))
_BELOW = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₙ", "0123456789+−ijkn", strict=True))
_MARKS = {"\u0304": "¯", "\u0302": "ˆ", "\u0303": "˜"}
_BINARY, _RELATION = "+−±·×∘⊗", "=≈≠≤≥<>∝→↦∈~"
_WORDS = ("tr", "diag", "log", "exp", "KL", "min", "max", "det", "tanh", "sinh", "mean")
_CLOSES = {"(": ")", "[": "]", "{": "}"}


def parse(text: str, *, display: bool = False) -> Row:
    """The tree of a formula; `display` builds fractions, limits and matrices up, which inside a text stay in line.
    Raises ValueError where a bracket is left open."""
    return _Parser(text, display).whole()


def plain(text: str) -> str:
    """A formula for where nothing can be typeset: without its quotes."""
    return text.replace('"', "").strip()


class _Parser:
    def __init__(self, text: str, display: bool) -> None:
        self.text = "".join(unicodedata.normalize("NFD", c) if c.isalpha() else c for c in text.strip())
        self.at = 0
        self.display = display

    def whole(self) -> Row:
        row = self._row("")
        if self.at < len(self.text):
            raise ValueError(f"formula: '{self.text[self.at]}' closes nothing in {self.text!r}")
        return row

    def _next(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def _row(self, ends: str) -> Row:
        """Up to one of the characters in `ends`, which stays."""
        items: list[Node] = []
        run = 0  # where what a "/" would divide begins
        while (c := self._next()) and c not in ends and c not in ")]}":
            if c == " ":
                found = re.compile(" +").match(self.text, self.at)
                assert found
                self.at = found.end()
                if items:
                    items.append(Symbol(" " if len(found[0]) < 2 else "  ", spacing="gap"))
                run = len(items)
            elif c == "/" and self.display:
                self.at += 1
                items[run:] = [Fraction(_bare(items[run:]), _bare(self._run(ends)))]
            else:
                items.append(self._scripted())
                if isinstance(items[-1], Symbol) and items[-1].spacing in ("binary", "relation", "punctuation"):
                    run = len(items)
        return Row(tuple(_spaced(items)))

    def _run(self, ends: str) -> list[Node]:
        """What stands together, up to a space or an operator."""
        items = []
        while (c := self._next()) and c not in f" /,;{_BINARY}{_RELATION})]}}" and c not in ends:
            items.append(self._scripted())
        return items

    def _scripted(self) -> Node:
        base = self._atom()
        above: list[Node] = []
        below: list[Node] = []
        while c := self._next():
            if c in _ABOVE or c in _BELOW:
                self.at += 1
                side, letter = (above, _ABOVE[c]) if c in _ABOVE else (below, _BELOW[c])
                side.append(Symbol(letter, italic=letter.isalpha() and letter != "T"))
            elif c in "^_":
                self.at += 1
                side = above if c == "^" else below
                sign = self._next()
                if sign and sign in "+−":
                    self.at += 1
                    side.append(Symbol(sign))
                    if self._next() in ("", " ", ")", "]", "}"):
                        continue
                side += _bare([self._atom()]).items
            else:
                break
        if not (above or below):
            return base
        rows = [Row(tuple(side)) if side else None for side in (above, below)]
        return Scripts(base, rows[0], rows[1])

    def _atom(self) -> Node:
        c = self._next()
        self.at += 1
        if c == "√":
            return Root(_bare([self._atom()]))
        if c == '"':
            end = self.text.find('"', self.at)
            if end < 0:
                raise ValueError(f"formula: a quote is left open in {self.text!r}")
            word, self.at = self.text[self.at : end], end + 1
            return Symbol(word, spacing="word")
        if c == "[" and self._next() == "[" and self.display:
            return self._matrix()
        if c in _CLOSES:
            inside = self._row(_CLOSES[c])
            right = self._close(_CLOSES[c])
            return Fence(c, inside, right)
        if c.isascii() and c.isalpha():
            more = re.compile("[A-Za-z]*").match(self.text, self.at)
            assert more
            whole = c + more[0]
            if whole in _WORDS:
                self.at = more.end()
                return Symbol(whole, spacing="word")
        if c.isdigit() or (c == "." and self._next().isdigit()):
            number = re.compile(r"[\d.,]*\d|").match(self.text, self.at)
            assert number
            self.at = number.end()
            return Symbol(c + number[0])
        symbol = Symbol(c, italic=_names_a_variable(c), spacing=_spacing(c))
        if self._next() in _MARKS and self._next():
            self.at += 1
            return Accent(symbol, _MARKS[self.text[self.at - 1]])
        return symbol

    def _close(self, bracket: str) -> str:
        if self._next() != bracket:
            raise ValueError(f"formula: a '{bracket}' is missing in {self.text!r}")
        self.at += 1
        return bracket

    def _matrix(self) -> Matrix:
        rows = []
        while self._next() in ("[", ",", " "):
            if self._next() != "[":
                self.at += 1
                continue
            self.at += 1
            cells = [self._row(",")]
            while self._next() == ",":
                self.at += 1
                cells.append(self._row(","))
            self._close("]")
            rows.append(tuple(cells))
        self._close("]")
        return Matrix(tuple(rows))


def _names_a_variable(c: str) -> bool:
    return c != "E" and ((c.isascii() and c.isalpha()) or "α" <= c <= "ω" or c in "∂ℓ")


def _spacing(c: str) -> Spacing:
    if c in _BINARY:
        return "binary"
    if c in _RELATION:
        return "relation"
    return "punctuation" if c in ",;" else "ordinary"


def _bare(items: list[Node]) -> Row:
    """Without the round brackets that only group."""
    if len(items) == 1 and isinstance(items[0], Fence) and items[0].left == "(":
        return items[0].inside
    return Row(tuple(items))


def _spaced(items: list[Node]) -> list[Node]:
    """The spacing of signs by what stands around them, and no gap beside what has its own."""
    found: list[Node] = []
    for i, item in enumerate(items):
        before = items[i - 1] if i else None
        after = items[i + 1] if i + 1 < len(items) else None
        if isinstance(item, Symbol):
            if item.spacing == "binary" and (before is None or after is None or _operates(_seen(items, i))):
                item = Symbol(item.text)  # a sign, or an operator that is spoken of
            elif item.text in "|‖" and _is_gap(before) and _is_gap(after):
                item = Symbol(item.text, spacing="relation")
        found.append(item)
    return [
        item
        for i, item in enumerate(found)
        if not (_is_gap(item) and len(item.text) < 2)  # type: ignore[union-attr]
        or not (i + 1 == len(found) or _operates(found[i - 1]) or _operates(found[i + 1]))
    ]


def _seen(items: list[Node], i: int) -> Node | None:
    """What stands before the item, past a gap."""
    return next((item for item in reversed(items[:i]) if not _is_gap(item)), None)


def _is_gap(item: Node | None) -> bool:
    return isinstance(item, Symbol) and item.spacing == "gap"


def _operates(item: Node | None) -> bool:
    return item is None or (isinstance(item, Symbol) and item.spacing in ("binary", "relation", "punctuation"))

"""A stop's page: Markdown with formulas, `$…$` in the text and `$$…$$` on lines of their own."""

from __future__ import annotations

import re
from collections.abc import Callable

from ngexplorer.tour import formula

_DISPLAY = re.compile(r"^\$\$\n(.+?)\n\$\$$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\$([^$\n]+)\$([,.;:)]*)")
"""A formula and the signs that close it, which must not begin a line"""


def with_formulas(text: str, inline: Callable[[str, str], str], display: Callable[[list[str]], str]) -> str:
    """The page with what those make of its formulas in their places; one in the text comes with the commas, stops and
    brackets that follow it, a display as its lines."""
    shown = _DISPLAY.sub(lambda found: display(found[1].splitlines()), text)
    return _INLINE.sub(lambda found: inline(found[1], found[2]), shown)


def plain(text: str) -> str:
    """The page as Markdown for a terminal: formulas as they are written, those on their own lines indented."""

    def indented(lines: list[str]) -> str:
        return "\n".join(f"    {formula.plain(line)}" for line in lines)

    return with_formulas(text, lambda found, after: formula.plain(found) + after, indented)

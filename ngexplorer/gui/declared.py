"""What the engine's typed settings say of themselves: titles, help and bounds; and their values as they are typed."""

from __future__ import annotations

import re
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from ngexplorer.settings import members


def heading(kind: Any) -> str:
    """Under which heading a record is listed; all under none where they are of one kind."""
    return {True: "Test functions", False: "Data sets"}.get(getattr(kind, "landscape", None), "")


def titles(kind: Any, raw: Any, path: str) -> list[str]:
    """What is written before the fields on the way to a path, from a record type and its values."""
    found: list[str] = []
    for step in re.findall(r"[^.\[\]]+", path):
        if step.isdigit():
            kind, raw = get_args(kind)[0], raw[int(step)]
            continue
        records = members(kind)
        name = raw.get("name") if len(records) > 1 else None
        record = next((r for r in records if name in (None, r.__struct_config__.tag)), None)
        fields = msgspec.structs.fields(record) if record else ()
        declared = next((f.type for f in fields if f.name == step), None)
        if declared is None:
            break
        kind, title, _ = unwrapped(step, declared)
        found.append(title)
        raw = raw.get(step)
    return found


def unwrapped(name: str, declared: Any) -> tuple[Any, str, str]:
    """A field's declared type without its bounds, its title, and what it means: its description, and its bounds in a
    line of their own (empty where it has neither)."""
    title = description = bounds = ""
    while get_origin(declared) is Annotated:
        declared, *metas = get_args(declared)
        title = next((m.title for m in metas if m.title), title)
        description = next((m.description for m in metas if m.description), description)
        bounds = next(filter(None, map(_bounds, metas)), bounds)
    if get_origin(declared) is tuple:
        each = unwrapped("", get_args(declared)[0])[2]
        bounds = ", ".join(filter(None, (bounds, f"each {_lowered(each)}" if each else "")))
    if one_or_list := _one_or_list(declared):
        bounds = "; or a list, ".join((unwrapped("", one_or_list[0])[2], _lowered(unwrapped("", one_or_list[1])[2])))
    help_text = "\n".join(filter(None, (description, bounds)))
    return declared, title or name.replace("_", " ").capitalize(), help_text


def _one_or_list(declared: Any) -> tuple[Any, Any] | None:
    """The two declared types of a setting that is a number or a list of numbers; None of any other."""
    kinds = get_args(declared) if get_origin(declared) in (Union, UnionType) else ()
    several = [kind for kind in kinds if get_origin(unwrapped("", kind)[0]) is tuple]
    return (next(kind for kind in kinds if kind not in several), several[0]) if several else None


def _lowered(words: str) -> str:
    """With a small letter first, as a part of a sentence."""
    return f"{words[:1].lower()}{words[1:]}"


def _bounds(meta: Meta) -> str:
    """What values a setting may have, or how many, in words: "Above 0, at most 1e12"."""
    ends = (("From", meta.ge), ("Above", meta.gt), ("At most", meta.le), ("Below", meta.lt))
    found = [f"{word} {_end(end)}" for word, end in ends if end is not None]
    counts = (("At least", meta.min_length), ("At most", meta.max_length))
    found += [f"{word} {end} of them" for word, end in counts if end is not None]
    words = ", ".join(found)
    return f"{words[:1]}{words[1:].lower()}"


def _end(value: float) -> str:
    """An end of a range: "0.9", "10,000", "1e12"."""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}".replace("e+", "e")


def written(value: Any, kind: Any) -> str:
    """A value as it stands in a line to type in, from which `parsed` makes the same one."""
    if not isinstance(value, list | tuple):
        return number(value)
    alone = len(value) == 1 and _one_or_list(kind) is not None
    return f"{value[0]}," if alone else ", ".join(map(str, value))


def number(value: Any) -> str:
    """A number in twelve digits at most; anything else as it is."""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def parsed(text: str, kind: Any) -> Any:
    """What was typed as plain data; text that is no number stays text, for the check to refuse."""
    if one_or_list := _one_or_list(kind):
        return parsed(text, unwrapped("", one_or_list["," in text or ";" in text])[0])
    if get_origin(kind) is tuple:
        inner = unwrapped("", get_args(kind)[0])[0]
        return [parsed(part, inner) for part in text.replace(";", ",").split(",") if part.strip()]
    try:
        if kind is int:
            return int(text.replace(",", ""))
        if kind is float:
            return float(text)
    except ValueError:
        pass
    return text.strip()

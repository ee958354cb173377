"""Typed settings: plain values checked into records, with errors that say what, where and what would be right."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec


class SettingError(ValueError):
    """A setting that cannot be: `path` names it ("runs[1].learning_rate"), `reason` says what would be right."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason)


def convert(raw: Any, kind: Any, where: str = "") -> Any:
    """`raw` (dicts, lists, numbers, strings) as a `kind` of record. Raises SettingError; `where` precedes its path."""
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`").removeprefix(".")
        full = ".".join(part for part in (where, path) if part).replace(".[", "[")
        raise SettingError(full, _explain(message, raw, kind, path)) from None


def unknown_name(what: str, name: str, accepted: list[str]) -> str:
    """What to say of a name that is none of those accepted, with the nearest of them."""
    near = difflib.get_close_matches(name, accepted, 1, 0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"there is no {what} named {name!r}{hint} (there are: {', '.join(accepted)})"


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table of settings",
    "null": "nothing",
}


def _explain(message: str, raw: Any, kind: Any, path: str) -> str:
    """What would be right where msgspec refused: its bounds in words, and the names there are for a wrong name."""
    value = _value_at(raw, path)
    if message.startswith(("Invalid value", "Invalid enum value")):
        parent, _, last = path.rpartition(".")
        names = tags(_type_at(kind, raw, parent)) if last == "name" else _choices(_type_at(kind, raw, path))
        if names:
            return unknown_name(parent.rpartition(".")[2] if last == "name" else last, str(value), names)
    if match := re.fullmatch(r"Object contains unknown field `(.+)`", message):
        record = _member(_type_at(kind, raw, path), value)
        fields = [f.encode_name for f in msgspec.structs.fields(record)] if record else []
        hint = f" (there are: {', '.join(fields)})" if fields else ""
        return f"there is no setting named '{match[1]}' here{hint}"
    if match := re.fullmatch(r"Object missing required field `(.+)`", message):
        return f"'{match[1]}' is missing"
    if match := re.fullmatch(r"Expected `(.+?)`(.*)", message):
        wanted = " or ".join(_KINDS.get(name, name) for name in match[1].split(" | "))
        bound = re.sub(r", got `.*`", "", match[2]).replace(">=", "≥").replace("<=", "≤")
        bound = re.sub(r"\.0\b", "", bound)
        pattern = re.sub(r" matching regex .*", " such as #56B4E9", bound)
        return f"{_shown(value)} is not accepted; {wanted}{pattern} is needed"
    # A record's own check, which speaks for itself.
    return message


def _shown(value: Any) -> str:
    """A value as a part of one readable line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def tags(kind: Any) -> list[str]:
    """The names by which a union of records tells its members apart; empty for anything else."""
    return [str(member.__struct_config__.tag) for member in members(kind) if member.__struct_config__.tag]


def members(kind: Any) -> list[Any]:
    """The record types of a union (or the one that `kind` is), annotated or not."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return [m for m in (get_args(kind) or (kind,)) if isinstance(m, type) and issubclass(m, msgspec.Struct)]


def _member(kind: Any, raw: Any) -> Any:
    """The record type that `raw` is meant to be: the only one, or the one of a union that its name chooses."""
    possible = members(kind)
    if len(possible) == 1:
        return possible[0]
    name = raw.get("name") if isinstance(raw, dict) else None
    return next((m for m in possible if m.__struct_config__.tag == name), None)


def _steps(path: str) -> list[str]:
    return re.findall(r"[^.\[\]]+", path)


def _value_at(raw: Any, path: str) -> Any:
    for step in _steps(path):
        if isinstance(raw, dict):
            raw = raw.get(step)
        elif isinstance(raw, list | tuple) and step.isdigit() and int(step) < len(raw):
            raw = raw[int(step)]
        else:
            return None
    return raw


def _type_at(kind: Any, raw: Any, path: str) -> Any:
    """The declared type of a field, by its path from a record type, following names in `raw` through unions."""
    for step in _steps(path):
        record = _member(kind, raw)
        fields = msgspec.structs.fields(record) if record else ()
        kind = next((f.type for f in fields if f.encode_name == step), None)
        raw = raw.get(step) if isinstance(raw, dict) else None
    return kind


def _choices(kind: Any) -> list[str]:
    """The strings of a Literal, inside Annotated or not."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return [str(choice) for choice in get_args(kind)] if get_origin(kind) is Literal else []

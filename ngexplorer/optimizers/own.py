"""A person's own optimizers: files in a folder of theirs, which stand in the list beside the catalog's.

A `.toml` file is a composition: `recipe`, the one to begin with, `title`, and settings as in an experiment's run. A
`.py` file holds a class with a `step` method; it is read to be listed, and its code runs when a race with it takes its
first step, never before. No experiment file can name another place, so opening somebody else's runs nothing of theirs.
"""

from __future__ import annotations

import ast
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from ngexplorer.optimizers import parts
from ngexplorer.optimizers.optimizer import Optimizer
from ngexplorer.settings import SettingError

FOLDER = "NGEXPLORER_OPTIMIZERS"
"""The environment variable that names another folder."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Own:
    """One file: its optimizer and what a person sees of it, or the fault that keeps it out of the list."""

    path: Path
    title: str = ""
    optimizer: Optimizer | None = None
    fault: str = ""

    @property
    def name(self) -> str:
        return self.path.stem


def folder() -> Path:
    """Where own optimizers are looked for; it need not exist."""
    return Path(os.environ.get(FOLDER) or platformdirs.user_config_path("ngexplorer") / "optimizers")


def found(make: Any, taken: dict[str, Any]) -> dict[str, Own]:
    """Every own optimizer by name, sorted, faulty ones too. `make` composes from a recipe; `taken` are its names."""
    place = folder()
    paths = sorted(place.glob("*.toml")) + sorted(place.glob("*.py")) if place.is_dir() else []
    listed: dict[str, Own] = {}
    for path in paths:
        if path.stem.startswith("."):
            continue
        one = _read(path, make, taken)
        if path.stem in listed:
            one = Own(path, fault=f"there is {listed[path.stem].path.name} of that name too")
        listed[path.stem if path.stem not in listed else path.name] = one
    return listed


def _read(path: Path, make: Any, taken: dict[str, Any]) -> Own:
    try:
        if not _NAME.fullmatch(path.stem):
            raise SettingError("", "letters, digits, _ and - make a name, and no digit begins one")
        if path.stem in taken:
            raise SettingError("", f"the catalog has a '{path.stem}'; another file name is needed")
        text = path.read_text(encoding="utf-8-sig")
        title, optimizer = _composed(text, make) if path.suffix == ".toml" else _coded(text, path.stem)
    except (SettingError, tomllib.TOMLDecodeError) as error:
        return Own(path, fault=str(error))
    except SyntaxError as error:
        return Own(path, fault=f"line {error.lineno}: {error.msg}")
    except (OSError, ValueError) as error:
        return Own(path, fault=f"cannot be read: {getattr(error, 'strerror', None) or 'not a UTF-8 text'}")
    return Own(path, title or path.stem, msgspec.structs.replace(optimizer, name=path.stem))


def _composed(text: str, make: Any) -> tuple[str, Optimizer]:
    raw = tomllib.loads(text)
    title, recipe = raw.pop("title", ""), raw.pop("recipe", "gradient-descent")
    if not isinstance(title, str):
        raise SettingError("title", "a text is needed")
    fields = [f.encode_name for f in msgspec.structs.fields(Optimizer) if f.name != "name"]
    for key in raw:
        if key not in fields:
            raise SettingError(
                "", f"there is no setting named '{key}' here (there are: title, recipe, {', '.join(fields)})"
            )
    return title, make(recipe, **raw)


def _coded(text: str, name: str) -> tuple[str, Optimizer]:
    kind = stepping_class(text)
    title = (ast.get_docstring(kind) or kind.name).splitlines()[0].rstrip(".")
    return title, Optimizer(name=name, curvature=parts.Own(file=name))


def stepping_class(text: str) -> ast.ClassDef:
    """The one class with a `step` method in a file's text, of which nothing is executed. Raises SyntaxError, and
    SettingError where there is none or more than one."""
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    stepping = [c for c in classes if any(isinstance(f, ast.FunctionDef) and f.name == "step" for f in c.body)]
    if len(stepping) != 1:
        names = ", ".join(c.name for c in stepping) or "none"
        raise SettingError("", f"one class with a method step(self, point) is needed; there is {names}")
    return stepping[0]

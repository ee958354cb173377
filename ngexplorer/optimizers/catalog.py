"""The named recipes: each a composition of parts, in one line or two."""

from __future__ import annotations

from typing import Any

import msgspec

from ngexplorer.optimizers import parts
from ngexplorer.optimizers.optimizer import Optimizer
from ngexplorer.settings import SettingError, convert, unknown_name

_LM = parts.LevenbergMarquardt()

RECIPES: dict[str, Optimizer] = {
    recipe.name: recipe
    for recipe in (
        Optimizer(name="gradient-descent", learning_rate=0.1),
        Optimizer(name="heavy-ball", learning_rate=0.1, momentum=parts.HeavyBall()),
        Optimizer(
            name="adam",
            learning_rate=0.01,
            curvature=parts.DiagonalEmpiricalFisher(),
            momentum=parts.GradientAverage(),
        ),
        Optimizer(name="newton", curvature=parts.Hessian(), damping=_LM),
        Optimizer(name="gauss-newton", curvature=parts.GaussNewton(), damping=_LM),
        Optimizer(name="natural-gradient", curvature=parts.Fisher(), damping=_LM),
    )
}

TITLES: dict[str, str] = {
    "gradient-descent": "Gradient descent",
    "heavy-ball": "Heavy ball",
    "adam": "Adam",
    "newton": "Newton",
    "gauss-newton": "Gauss-Newton",
    "natural-gradient": "Natural gradient",
}

_PARTS = ("curvature", "solver", "damping", "momentum")


def make(name: str, **settings: Any) -> Optimizer:
    """A recipe by name, with settings changed.

    A part is given by its name (`damping="constant"`), as a dict of settings (`damping={"initial": 0.1}`, of the
    recipe's own part unless it names another), or as the part itself. Raises SettingError for an unknown name or a
    value out of range.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise SettingError("optimizer", unknown_name("optimizer", str(name), list(RECIPES)))
    raw = msgspec.to_builtins(RECIPES[name])
    for key, value in settings.items():
        raw[key] = _part(raw[key], value) if key in _PARTS else msgspec.to_builtins(value)
    raw["name"] = name
    made: Optimizer = convert(raw, Optimizer)
    return made


def settings_of(optimizer: Optimizer) -> dict[str, Any]:
    """What `make` needs beside the name to make this optimizer again: only what differs from its recipe."""
    recipe = msgspec.to_builtins(RECIPES[optimizer.name])
    mine = msgspec.to_builtins(optimizer)
    changed: dict[str, Any] = {}
    for key, value in mine.items():
        if value == recipe[key] or key == "name":
            continue
        if key in _PARTS and value["name"] == recipe[key]["name"]:
            value = {k: v for k, v in value.items() if v != recipe[key][k]}
        changed[key] = value
    return changed


def _part(current: dict[str, Any], value: Any) -> Any:
    """A part's settings with those of `value` over them, unless it names another part."""
    given = {"name": value} if isinstance(value, str) else msgspec.to_builtins(value)
    if not isinstance(given, dict):
        return given
    return {**current, **given} if given.get("name", current["name"]) == current["name"] else given

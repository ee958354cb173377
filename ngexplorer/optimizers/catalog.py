"""The named recipes: each a composition of parts, in one line or two."""

from __future__ import annotations

from typing import Any

import msgspec

from ngexplorer.optimizers import own, parts
from ngexplorer.optimizers.optimizer import Optimizer
from ngexplorer.settings import SettingError, convert, unknown_name

_LM = parts.LevenbergMarquardt()
_FISHER = parts.Fisher()
_FLOW = {"learning_rate": 0.1, "curvature": _FISHER, "damping": parts.ConstantDamping(value=1e-3)}
# On the whole data λ may follow ρ at every step; Martens and Grosse (2015), on mini-batches, begin at 150 and change it
# by (19/20)⁵ every 5 steps. α and μ minimize the exact model.
_KRONECKER = {
    "damping": _LM,
    "step": parts.ModelMinimum(),
    "momentum": parts.HeavyBall(),
}

_RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "gradient-descent": ("Gradient descent", {"learning_rate": 0.1}),
    "heavy-ball": ("Heavy ball", {"learning_rate": 0.1, "momentum": parts.HeavyBall()}),
    "nesterov": ("Nesterov", {"learning_rate": 0.1, "momentum": parts.Nesterov()}),
    "adagrad": (
        "AdaGrad",
        {"learning_rate": 0.05, "curvature": parts.DiagonalEmpiricalFisher(accumulation="sum", epsilon=1e-10)},
    ),
    "rmsprop": (
        "RMSProp",
        {
            "learning_rate": 0.01,
            "curvature": parts.DiagonalEmpiricalFisher(accumulation="average from zero", decay=0.99),
        },
    ),
    "adam": (
        "Adam",
        {
            "learning_rate": 0.01,
            "curvature": parts.DiagonalEmpiricalFisher(),
            "momentum": parts.GradientAverage(),
        },
    ),
    "l-bfgs": ("L-BFGS", {"curvature": parts.LimitedMemory(), "step": parts.Wolfe()}),
    "newton": ("Newton", {"curvature": parts.Hessian(), "damping": _LM}),
    "saddle-free-newton": (
        "Saddle-free Newton",
        {
            "curvature": parts.Hessian(),
            "solver": parts.Eigendecomposition(eigenvalues="absolute"),
            "damping": parts.LevenbergMarquardt(initial=0.1),
        },
    ),
    "trust-region-newton": ("Trust-region Newton", {"curvature": parts.Hessian(), "damping": parts.TrustRegion()}),
    "cubic-newton": ("Cubic Newton", {"curvature": parts.Hessian(), "damping": parts.Cubic()}),
    "gauss-newton": ("Gauss-Newton", {"curvature": parts.GaussNewton(), "damping": _LM}),
    "hessian-free": (
        "Hessian-free",
        {
            "curvature": parts.GaussNewton(),
            "solver": parts.ConjugateGradient(
                stop="progress", tolerance=5e-4, warm_start=0.95, preconditioned=True, backtrack=True
            ),
            "damping": parts.LevenbergMarquardt(model="undamped"),
            "step": parts.Armijo(),
        },
    ),
    "natural-gradient": ("Natural gradient", {"curvature": _FISHER, "damping": _LM}),
    "natural-gradient-sampled": (
        "Natural gradient, sampled",
        {"curvature": parts.MonteCarloFisher(), "damping": _LM},
    ),
    "natural-gradient-empirical": (
        "Natural gradient, empirical",
        {"curvature": parts.EmpiricalFisher(), "damping": _LM},
    ),
    "natural-gradient-minimum-norm": (
        "Natural gradient, minimum norm",
        {
            "learning_rate": 0.5,
            "curvature": _FISHER,
            "solver": parts.Eigendecomposition(eigenvalues="pseudo"),
            "step": parts.Armijo(factor=0.5),
        },
    ),
    "natural-gradient-geodesic": ("Natural gradient, geodesic", _FLOW | {"correction": parts.Geodesic()}),
    "natural-gradient-midpoint": ("Natural gradient, midpoint", _FLOW | {"correction": parts.Midpoint()}),
    "kfac": ("K-FAC", {"curvature": parts.KFAC(refresh=5)} | _KRONECKER),
    "ekfac": ("EKFAC", {"curvature": parts.EKFAC()} | _KRONECKER),
    "torch-optimizer": ("torch.optim", {"learning_rate": 0.01, "curvature": parts.Torch()}),
}

RECIPES: dict[str, Optimizer] = {name: Optimizer(name=name, **settings) for name, (_, settings) in _RECIPES.items()}
TITLES: dict[str, str] = {name: title for name, (title, _) in _RECIPES.items()}


def own_optimizers() -> dict[str, own.Own]:
    """The person's own by name, with the faulty ones, which have no optimizer."""

    def shipped(name: str, **settings: Any) -> Optimizer:
        if name not in RECIPES:
            raise SettingError("recipe", unknown_name("recipe", str(name), list(RECIPES)))
        return _changed(RECIPES[name], settings)

    return own.found(shipped, RECIPES)


def recipes() -> dict[str, tuple[str, Optimizer]]:
    """Title and optimizer of every recipe there is now by name, the person's own after the catalog's."""
    shipped = {name: (TITLES[name], optimizer) for name, optimizer in RECIPES.items()}
    return shipped | {n: (one.title, one.optimizer) for n, one in own_optimizers().items() if one.optimizer is not None}


def recipe(name: str) -> Optimizer:
    """The recipe of that name. Raises SettingError, which tells the fault of an own one that has one."""
    text = str(name)
    if text in RECIPES:
        return RECIPES[text]
    mine = own_optimizers()
    if text in mine:
        optimizer = mine[text].optimizer
        if optimizer is None:
            raise SettingError("optimizer", f"{mine[text].path.name}: {mine[text].fault}")
        return optimizer
    known = [*RECIPES, *(n for n, one in mine.items() if one.optimizer is not None)]
    raise SettingError("optimizer", f"{unknown_name('optimizer', text, known)}; own ones are in {own.folder()}")


def title(name: str) -> str:
    """What a person sees of an optimizer of that name."""
    if name in TITLES:
        return TITLES[name]
    mine = own_optimizers().get(name)
    return mine.title if mine and mine.title else name


_PARTS = ("curvature", "solver", "damping", "step", "momentum", "correction", "averaging", "batches")


def make(name: str, **settings: Any) -> Optimizer:
    """A recipe by name, with settings changed.

    A part is given by its name (`damping="constant"`), as a dict of settings (`damping={"initial": 0.1}`, of the
    recipe's own part unless it names another), or as the part itself. Raises SettingError for an unknown name or a
    value out of range.
    """
    return _changed(recipe(name), settings)


def _changed(optimizer: Optimizer, settings: dict[str, Any]) -> Optimizer:
    raw = msgspec.to_builtins(optimizer)
    for key, value in settings.items():
        raw[key] = _part(raw[key], value) if key in _PARTS else msgspec.to_builtins(value)
    raw["name"] = optimizer.name
    made: Optimizer = convert(raw, Optimizer)
    return made


def settings_of(optimizer: Optimizer) -> dict[str, Any]:
    """What `make` needs beside the name to make this optimizer again: only what differs from its recipe. Of an own one
    whose file has gone, all that differs from plain gradient descent."""
    try:
        base = recipe(optimizer.name)
    except SettingError:
        base = Optimizer()
    start = msgspec.to_builtins(base)
    mine = msgspec.to_builtins(optimizer)
    changed: dict[str, Any] = {}
    for key, value in mine.items():
        if value == start[key] or key == "name":
            continue
        if key in _PARTS and value["name"] == start[key]["name"]:
            value = {k: v for k, v in value.items() if v != start[key][k]}
        changed[key] = value
    return changed


def _part(current: dict[str, Any], value: Any) -> Any:
    """A part's settings with those of `value` over them, unless it names another part."""
    given = {"name": value} if isinstance(value, str) else msgspec.to_builtins(value)
    if not isinstance(given, dict):
        return given
    return {**current, **given} if given.get("name", current["name"]) == current["name"] else given

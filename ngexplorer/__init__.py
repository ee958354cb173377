"""NG Explorer: natural gradient, generalized Gauss-Newton and Newton, raced and looked into.

import ngexplorer as ngx

objective = ngx.Objective(model, ngx.losses.SoftmaxCrossEntropy(), inputs, targets)
G = ngx.curvature.GaussNewton(objective, objective.initial_parameters)
optimizer = ngx.optimizers.make("natural-gradient", damping="levenberg-marquardt")
history = ngx.run(objective, optimizer, steps=100, seed=0)
history.to_csv("run.csv")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ngexplorer import curvature, optimizers
    from ngexplorer.cancellation import Cancelled, Watch
    from ngexplorer.objectives import Objective, Point, landscapes, losses, reparametrizations
    from ngexplorer.runs import History, run

__version__ = "0.1.0"

__all__ = [
    "Cancelled",
    "History",
    "Objective",
    "Point",
    "Watch",
    "curvature",
    "landscapes",
    "losses",
    "optimizers",
    "reparametrizations",
    "run",
]

_HOMES = {"Cancelled": "cancellation", "Watch": "cancellation", "History": "runs", "run": "runs"}
_HOMES |= dict.fromkeys(("Objective", "Point", "landscapes", "losses", "reparametrizations"), "objectives")
_FLOORS = ("analysis", "curvature", "objectives", "optimizers", "runs", "tour")


def __getattr__(name: str) -> Any:
    """What is asked for is imported then: torch takes a second, in which a window can be there already."""
    if name in _HOMES:
        return getattr(import_module(f"ngexplorer.{_HOMES[name]}"), name)
    if name in _FLOORS:
        return import_module(f"ngexplorer.{name}")
    raise AttributeError(f"module 'ngexplorer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Any torch.optim.Optimizer as a method among ours: it is shown θ and the gradient, and what it does is the step."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ngexplorer.objectives import Objective, Point
from ngexplorer.optimizers import parts
from ngexplorer.optimizers.metrics import WholeStep
from ngexplorer.optimizers.solvers import Solution
from ngexplorer.settings import SettingError


def found(path: str) -> type[torch.optim.Optimizer]:
    """The class at an import path such as "torch.optim.Muon". Raises SettingError. Imports its module."""
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError) as error:
        raise SettingError("curvature.path", f"'{path}' cannot be imported: {error}") from None
    except AttributeError:
        raise SettingError("curvature.path", f"there is no '{name}' in {module}") from None
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise SettingError("curvature.path", f"'{path}' is no torch.optim.Optimizer; a class of those is accepted")
    return kind


def settings_of(text: str) -> dict[str, Any]:
    """The arguments written as "momentum=0.9, nesterov=True". Raises SettingError; nothing is executed."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("names are needed")
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise SettingError(
            "curvature.settings", f"'{text}' is not accepted; names and values such as momentum=0.9, nesterov=True are"
        ) from None


class TorchOptimizer(WholeStep):
    """One optimizer of torch, with its own state, on parameters of the model's shapes.

    A method for matrices alone, such as Muon, has the vectors done by AdamW with the same learning rate. A method that
    evaluates the loss itself, such as L-BFGS, is given it; `work` counts those gradients.
    """

    def __init__(self, part: parts.Torch, objective: Objective, rate: float) -> None:
        self.objective = objective
        shapes = [p.shape for p in objective.model.parameters() if p.requires_grad]
        like = objective.initial_parameters
        self.parameters = [nn.Parameter(torch.zeros(shape, dtype=like.dtype, device=like.device)) for shape in shapes]
        kind, settings = found(part.path), settings_of(part.settings)
        make: Callable[..., torch.optim.Optimizer] = kind
        self.title = part.path
        try:
            self.optimizers = [make(self.parameters, lr=rate, **settings)]
        except (TypeError, ValueError) as error:
            matrices = [p for p in self.parameters if p.ndim == 2]
            if "2D" not in str(error) or not matrices:
                raise SettingError("curvature", f"{part.path}: {error}") from None
            vectors = [p for p in self.parameters if p.ndim != 2]
            self.optimizers = [make(matrices, lr=rate, **settings), torch.optim.AdamW(vectors, lr=rate)]
            self.title = f"{part.path} for matrices, AdamW for the rest"
        closure = inspect.signature(kind.step).parameters.get("closure")
        self.asks = closure is not None and closure.default is inspect.Parameter.empty
        self._answered: tuple[Tensor, Tensor] | None = None

    def moved(self, point: Point, rate: float) -> Solution:
        if self._answered is None or self._answered[0] is not point.theta:
            for optimizer in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            self._show(point.theta, point.gradient)
            for optimizer in self.optimizers:
                optimizer.step(self._closure) if self.asks else optimizer.step()
            self._answered = (point.theta, self._theta() - point.theta)
        return Solution(self._answered[1], 0.0, self.title)

    def _show(self, theta: Tensor, gradient: Tensor) -> None:
        sizes = [p.numel() for p in self.parameters]
        for p, part, slope in zip(self.parameters, theta.split(sizes), gradient.split(sizes), strict=True):
            p.data.copy_(part.view(p.shape))
            p.grad = slope.view(p.shape).clone()

    def _theta(self) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.parameters])

    def _closure(self) -> float:
        point = self.objective.at(self._theta())
        self._show(point.theta, point.gradient)
        self.work += point.work
        return float(point.value)

"""A method of the person's own: a class in a Python file of theirs whose `step` is shown a point and answers with δ."""

from __future__ import annotations

import importlib.util
import inspect
from types import ModuleType
from typing import Any

from torch import Tensor

from ngexplorer.objectives import Point
from ngexplorer.optimizers import own, parts
from ngexplorer.optimizers.metrics import WholeStep
from ngexplorer.optimizers.solvers import Solution
from ngexplorer.optimizers.torch_optimizer import settings_of
from ngexplorer.settings import SettingError


class OwnMethod(WholeStep):
    """One object of the class, made anew for each run from the file as it then is.

    Its `step(point)` gets the Point (`point.theta`, `point.value`, `point.gradient`, `point.objective`; any matrix of
    `ngexplorer.curvature` takes it), which it must not change, and returns a tensor like `point.theta`: the step is the
    learning rate times that. An argument named `seed` is given the run's. What it asks of the point is counted as its
    work. Raises SettingError where the file is not there or the class does not take the settings, and ValueError where
    what it returns is no step; an exception of its own ends the run.
    """

    def __init__(self, part: parts.Own, seed: int) -> None:
        self.path = own.folder() / f"{part.file}.py"
        kind = _imported(self.path)
        self.title = f"{kind.__name__} of {self.path.name}"
        settings = settings_of(part.settings)
        try:
            if "seed" in inspect.signature(kind).parameters:
                settings.setdefault("seed", seed)
            self.method: Any = kind(**settings)
        except (TypeError, ValueError) as error:
            raise SettingError("curvature.settings", f"{self.title}: {error}") from error
        self._answered: tuple[Tensor, Tensor] | None = None

    def moved(self, point: Point, rate: float) -> Solution:
        if self._answered is None or self._answered[0] is not point.theta:
            before = point.theta._version
            answer = self.method.step(point)
            if point.theta._version != before:
                raise ValueError(f"{self.title}: step changed point.theta in place; it returns what is added to it")
            self._answered = (point.theta, self._checked(answer, point.theta))
        return Solution(rate * self._answered[1], 0.0, self.title)

    def _checked(self, answer: Any, theta: Tensor) -> Tensor:
        wanted = f"a tensor of shape ({len(theta)},), {theta.dtype} on {theta.device}, is needed"
        if not isinstance(answer, Tensor):
            raise ValueError(f"{self.title}: step returned a {type(answer).__name__}; {wanted}")
        if answer.shape != theta.shape or answer.dtype != theta.dtype or answer.device != theta.device:
            came = f"shape {tuple(answer.shape)}, {answer.dtype} on {answer.device}"
            raise ValueError(f"{self.title}: step returned {came}; {wanted}")
        return answer.detach()


def _imported(path: Any) -> type:
    """The class in the file, whose code is executed here."""
    try:
        name = own.stepping_class(path.read_text(encoding="utf-8-sig")).name
    except (OSError, UnicodeDecodeError, SyntaxError, SettingError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError("curvature.file", f"{path}: {reason}") from None
    spec = importlib.util.spec_from_file_location(f"ngexplorer_own_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kind: type = getattr(module, name)
    return kind

"""Regression of a yes-or-no answer on one number: logistic and probit, in two weights."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ngexplorer.objectives.datasets import Data
from ngexplorer.objectives.landscapes.base import Place, PlaneLandscape, StartX, StartY, Window
from ngexplorer.objectives.losses import BernoulliLogits, Loss, Probit
from ngexplorer.objectives.traits import Traits

# (input, answer): the answers overlap, so that no threshold separates them and the best weights are finite.
_CASES = ((-2, 0), (-1.5, 0), (-1, 0), (-0.5, 1), (0, 0), (0.5, 1), (1, 0), (1.5, 1), (2, 1), (2.5, 1))


class DoseResponse(PlaneLandscape, frozen=True, kw_only=True):
    """z = x · input + y, a slope and a constant, for the chance of a 1 among ten yes-or-no answers."""

    @property
    def traits(self) -> Traits:
        return Traits(1, "classes", classes=2)

    def load(self) -> Data:
        inputs, answers = torch.tensor(_CASES, dtype=torch.float64).split(1, 1)
        return Data(inputs, answers[:, 0].long(), None)

    def outputs(self, position: Tensor, inputs: Tensor) -> Tensor:
        return position[0] * inputs + position[1]


class LogisticLandscape(DoseResponse, frozen=True, kw_only=True, tag="logistic-landscape"):
    """Logistic regression of ten answers: z = slope · input + constant are natural parameters, so that
    natural gradient = Gauss-Newton = Newton = iteratively reweighted least squares."""

    title: ClassVar[str] = "Logistic regression"
    loss: ClassVar[Loss] = BernoulliLogits()
    window: ClassVar[Window] = (-2.0, 4.0, -3.0, 3.0)
    minima: ClassVar[tuple[Place, ...]] = ((1.353411521710962, -0.33835288042774136),)

    x: StartX = -1.0
    y: StartY = 2.0


class ProbitLandscape(DoseResponse, frozen=True, kw_only=True, tag="probit-landscape"):
    """Probit regression of the same answers: z are not natural parameters, so Fisher scoring is not Newton's method,
    though both matrices are positive definite."""

    title: ClassVar[str] = "Probit regression"
    loss: ClassVar[Loss] = Probit()
    window: ClassVar[Window] = (-1.5, 2.5, -2.0, 2.0)
    minima: ClassVar[tuple[Place, ...]] = ((0.834253389641911, -0.20856334741047763),)

    x: StartX = -0.6
    y: StartY = 1.2

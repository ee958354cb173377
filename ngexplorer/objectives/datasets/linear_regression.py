"""Linear regression whose curvature is known: the eigenvalues of XᵀX/N are chosen, and met exactly."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, SplitDataSet, generator, held_out
from ngexplorer.objectives.datasets.generated import Noise, Size
from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import SettingError


class LinearRegression(SplitDataSet, frozen=True, tag="linear-regression"):
    """y = wᵀx + noise, the eigenvalues of XᵀX/N over the training cases from 1 down to 1/κ, their inputs' mean 0.

    So XᵀX/N is the Hessian of squared error in w, and a bias adds the eigenvalue 1 and changes no other. Validation
    cases are Gaussian with that covariance.
    """

    title: ClassVar[str] = "Linear regression"

    size: Size = 200
    noise: Noise = 0.1
    features: Annotated[int, Meta(ge=2, le=1000, description="Inputs, and weights to find")] = 10
    condition: Annotated[
        float, Meta(ge=1, le=1e10, title="Condition number", description="κ, the largest eigenvalue over the smallest")
    ] = 100.0
    spectrum: Annotated[
        Literal["geometric", "linear", "one-small", "two-level"],
        Meta(description="How the eigenvalues lie from 1 to 1/κ: even in ratio, even in difference, one low, half low"),
    ] = "geometric"
    rotated: Annotated[
        bool,
        Meta(description="Eigenvectors in directions drawn at random, else the axes, which suits diagonal methods"),
    ] = True

    @property
    def traits(self) -> Traits:
        return Traits(self.features, "real")

    @property
    def eigenvalues(self) -> np.ndarray:
        """Those of XᵀX/N, (features,), from the largest."""
        low, place = 1 / self.condition, np.linspace(0, 1, self.features)
        if self.spectrum == "geometric":
            return low**place
        if self.spectrum == "linear":
            return 1 + (low - 1) * place
        return np.where(place == 1 if self.spectrum == "one-small" else place > 0.5, low, 1.0)

    def load(self) -> Data:
        """The cases. Raises SettingError where there are no more training cases than features."""
        held = held_out(self.size, self.validation)
        training = self.size - held
        if training <= self.features:
            reason = (
                f"{self.size} leaves {training} cases to train on; {self.features} features need {self.features + 1}"
            )
            raise SettingError("data.size", reason)
        rng = generator(self.split_seed)
        directions = np.eye(self.features)
        if self.rotated:
            directions = np.linalg.qr(rng.standard_normal((self.features, self.features)))[0]
        shape = np.sqrt(self.eigenvalues)[:, None] * directions.T
        weights = rng.standard_normal((self.features, 1))

        def cases(white: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
            inputs = white @ shape
            targets = inputs @ weights + self.noise * rng.standard_normal((len(inputs), 1))
            return torch.from_numpy(inputs), torch.from_numpy(targets)

        inputs, targets = cases(_exactly_white(rng.standard_normal((training, self.features))))
        validation = cases(rng.standard_normal((held, self.features))) if held else None
        return Data(inputs, targets, validation)


def _exactly_white(draws: np.ndarray) -> np.ndarray:
    """Z (N, D) near Gaussian draws, each column's mean 0 and ZᵀZ/N = I to rounding; N > D."""
    return np.linalg.qr(draws - draws.mean(0))[0] * np.sqrt(len(draws))

"""Regression on one variable x from −1 to 1, where the fitted function can be seen."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, generator, split
from ngexplorer.objectives.datasets.generated import Generated, Noise, Size
from ngexplorer.objectives.traits import Traits


class Sine(Generated, frozen=True, tag="sine"):
    """y = sin(2πf x) + noise, x uniform from −1 to 1."""

    title: ClassVar[str] = "Noisy sine"

    size: Size = 200
    noise: Noise = 0.1
    frequency: Annotated[float, Meta(ge=0.05, le=20, description="Periods for each unit of x")] = 1.0

    @property
    def traits(self) -> Traits:
        return Traits(1, "real")

    def load(self) -> Data:
        rng = generator(self.split_seed)
        x = rng.uniform(-1, 1, (self.size, 1))
        y = np.sin(2 * np.pi * self.frequency * x) + self.noise * rng.standard_normal(x.shape)
        return split(x, y, self.validation, self.split_seed, standardize=self.standardize)


class Heteroscedastic(Generated, frozen=True, tag="heteroscedastic"):
    """y = sin(πx) + σ(x)·noise with σ(x) = σ₀ r^((x + 1)/2): the logarithm of the variance is linear in x."""

    title: ClassVar[str] = "Noise that varies"

    size: Size = 400
    noise: Annotated[float, Meta(ge=1e-3, le=10, description="σ₀, the noise's standard deviation at x = −1")] = 0.05
    ratio: Annotated[float, Meta(ge=1e-3, le=1e3, description="r, how many times that it is at x = 1")] = 10.0

    @property
    def traits(self) -> Traits:
        return Traits(1, "real")

    def load(self) -> Data:
        rng = generator(self.split_seed)
        x = rng.uniform(-1, 1, (self.size, 1))
        y = np.sin(np.pi * x) + self.noise * self.ratio ** ((x + 1) / 2) * rng.standard_normal(x.shape)
        return split(x, y, self.validation, self.split_seed, standardize=self.standardize)


class Counts(Generated, frozen=True, tag="counts"):
    """Poisson counts with log-rate log r + a sin(πx), x uniform from −1 to 1."""

    title: ClassVar[str] = "Counts"

    size: Size = 400
    rate: Annotated[float, Meta(ge=0.01, le=1e4, description="r, the rate at x = 0")] = 4.0
    swing: Annotated[float, Meta(ge=0, le=5, description="a, how far the log-rate goes up and down from there")] = 1.0

    @property
    def traits(self) -> Traits:
        return Traits(1, "counts")

    def load(self) -> Data:
        rng = generator(self.split_seed)
        x = rng.uniform(-1, 1, (self.size, 1))
        y = rng.poisson(self.rate * np.exp(self.swing * np.sin(np.pi * x)))
        return split(x, y, self.validation, self.split_seed, standardize=self.standardize)

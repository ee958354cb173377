"""Classification in the plane, where a decision boundary can be seen."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, generator, split
from ngexplorer.objectives.datasets.generated import Generated, Noise, Size, balanced
from ngexplorer.objectives.traits import Traits


class TwoMoons(Generated, frozen=True, tag="two-moons"):
    """Two interleaved half circles in the plane with Gaussian noise, two classes."""

    title: ClassVar[str] = "Two moons"

    size: Annotated[int, Meta(ge=4, le=1_000_000, description="Cases, both classes together")] = 200
    noise: Annotated[float, Meta(ge=0, le=5, description="Standard deviation of the noise")] = 0.15

    @property
    def traits(self) -> Traits:
        return Traits(2, "classes", classes=2)

    def load(self) -> Data:
        from sklearn.datasets import make_moons

        inputs, targets = make_moons(self.size, noise=self.noise, random_state=self.split_seed)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


class Circles(Generated, frozen=True, tag="circles"):
    """A circle of radius 1 and one inside it, with Gaussian noise, two classes."""

    title: ClassVar[str] = "Circles"

    size: Size = 200
    noise: Noise = 0.1
    inner_radius: Annotated[float, Meta(ge=0.05, le=0.95, description="Radius of the inner circle, class 1")] = 0.5

    @property
    def traits(self) -> Traits:
        return Traits(2, "classes", classes=2)

    def load(self) -> Data:
        targets = balanced(self.size, 2)
        angle = 2 * np.pi * np.arange(self.size) / self.size
        inputs = _polar(np.where(targets == 1, self.inner_radius, 1.0), angle)
        inputs += self.noise * generator(self.split_seed).standard_normal(inputs.shape)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


class Spirals(Generated, frozen=True, tag="spirals"):
    """Arms that wind out from near the origin to radius 1, with Gaussian noise, each a class."""

    title: ClassVar[str] = "Spirals"

    size: Size = 300
    noise: Noise = 0.02
    arms: Annotated[int, Meta(ge=2, le=6, description="Arms, each a class")] = 2
    turns: Annotated[float, Meta(ge=0.1, le=5, description="How often an arm winds about the origin")] = 1.5

    @property
    def traits(self) -> Traits:
        return Traits(2, "classes", classes=self.arms)

    def load(self) -> Data:
        targets = balanced(self.size, self.arms)
        radius = np.linspace(0.1, 1, self.size)
        inputs = _polar(radius, 2 * np.pi * (self.turns * radius + targets / self.arms))
        inputs += self.noise * generator(self.split_seed).standard_normal(inputs.shape)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


class XOR(Generated, frozen=True, tag="xor"):
    """Four squares about the origin, the opposite ones of a class, with Gaussian noise: no line separates them."""

    title: ClassVar[str] = "XOR"

    size: Size = 200
    noise: Noise = 0.05

    @property
    def traits(self) -> Traits:
        return Traits(2, "classes", classes=2)

    def load(self) -> Data:
        rng = generator(self.split_seed)
        targets = balanced(self.size, 2)
        right = np.where(np.arange(self.size) // 2 % 2 == 0, 1.0, -1.0)
        up = np.where(targets == 1, -right, right)
        inputs = np.stack((right, up), axis=1) * rng.uniform(0.1, 1, (self.size, 2))
        inputs += self.noise * rng.standard_normal(inputs.shape)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


def _polar(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points of the plane (N, 2) by their radius and angle."""
    return radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1)

"""Gaussian clusters in any number of dimensions."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, generator, split
from ngexplorer.objectives.datasets.generated import Generated, Size, balanced
from ngexplorer.objectives.traits import Traits


class Blobs(Generated, frozen=True, tag="blobs"):
    """Round Gaussian clusters, each a class, their centres evenly on the unit circle of a plane drawn at random."""

    title: ClassVar[str] = "Blobs"

    size: Size = 300
    classes: Annotated[int, Meta(ge=2, le=10, description="Clusters, each a class")] = 3
    features: Annotated[int, Meta(ge=2, le=1000, description="Dimensions of the space they lie in")] = 2
    spread: Annotated[float, Meta(ge=0, le=10, description="Standard deviation of a cluster in every direction")] = 0.3

    @property
    def traits(self) -> Traits:
        return Traits(self.features, "classes", classes=self.classes)

    def load(self) -> Data:
        rng = generator(self.split_seed)
        targets = balanced(self.size, self.classes)
        angle = 2 * np.pi * np.arange(self.classes) / self.classes
        plane = np.linalg.qr(rng.standard_normal((self.features, 2)))[0]
        centres = np.stack((np.cos(angle), np.sin(angle)), axis=1) @ plane.T
        inputs = centres[targets] + self.spread * rng.standard_normal((self.size, self.features))
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)

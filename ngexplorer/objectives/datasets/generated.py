"""Data sets that are made, each with its knobs."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, DataSet, Fraction, Seed, split
from ngexplorer.objectives.traits import Traits


class TwoMoons(DataSet, frozen=True, kw_only=True, tag="two-moons"):
    """Two interleaved half circles in the plane with Gaussian noise, two classes."""

    title: ClassVar[str] = "Two moons"

    size: Annotated[int, Meta(ge=4, le=1_000_000, description="Cases, both classes together")] = 200
    noise: Annotated[float, Meta(ge=0, le=5, description="Standard deviation of the noise")] = 0.15
    validation: Fraction = 0.2
    split_seed: Annotated[Seed, Meta(description="Draws the noise and the split")] = 0

    @property
    def traits(self) -> Traits:
        return Traits(2, "classes", classes=2)

    def load(self) -> Data:
        from sklearn.datasets import make_moons

        inputs, targets = make_moons(self.size, noise=self.noise, random_state=self.split_seed)
        return split(inputs, targets, self.validation, self.split_seed)

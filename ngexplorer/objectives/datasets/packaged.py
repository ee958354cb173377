"""Real data sets that ship in packages."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, DataSet, Fraction, Seed, split
from ngexplorer.objectives.traits import Traits


class Digits(DataSet, frozen=True, kw_only=True, tag="digits"):
    """scikit-learn's handwritten digits: 1,797 images of 8×8 pixels, ten classes."""

    title: ClassVar[str] = "Handwritten digits"

    validation: Fraction = 0.2
    standardize: Annotated[bool, Meta(description="Each pixel to mean 0 and variance 1 (else 0 to 1)")] = True
    split_seed: Annotated[Seed, Meta(description="Which cases are kept for validation")] = 0

    @property
    def traits(self) -> Traits:
        return Traits(64, "classes", classes=10, image=(8, 8), unit_inputs=not self.standardize)

    def load(self) -> Data:
        from sklearn.datasets import load_digits

        inputs, targets = load_digits(return_X_y=True)
        return split(inputs / 16, targets, self.validation, self.split_seed, standardize=self.standardize)


class BreastCancer(DataSet, frozen=True, kw_only=True, tag="breast-cancer"):
    """Wisconsin breast cancer: 569 cases of 30 measurements, two classes."""

    title: ClassVar[str] = "Breast cancer"

    validation: Fraction = 0.2
    standardize: Annotated[bool, Meta(description="Each measurement to mean 0 and variance 1")] = True
    split_seed: Annotated[Seed, Meta(description="Which cases are kept for validation")] = 0

    @property
    def traits(self) -> Traits:
        return Traits(30, "classes", classes=2)

    def load(self) -> Data:
        from sklearn.datasets import load_breast_cancer

        inputs, targets = load_breast_cancer(return_X_y=True)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)

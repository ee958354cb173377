"""Real data sets that ship with scikit-learn."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, SplitDataSet, split
from ngexplorer.objectives.traits import Traits


class Packaged(SplitDataSet, frozen=True):
    """Real measurements, whose columns come in units of their own."""

    standardize: Annotated[bool, Meta(description="Each input to mean 0 and variance 1 over the training cases")] = True


class Digits(Packaged, frozen=True, tag="digits"):
    """scikit-learn's handwritten digits: 1,797 images of 8×8 pixels from 0 to 1, ten classes."""

    title: ClassVar[str] = "Handwritten digits"

    @property
    def traits(self) -> Traits:
        return Traits(64, "classes", classes=10, image=(8, 8), unit_inputs=not self.standardize)

    def load(self) -> Data:
        from sklearn.datasets import load_digits

        inputs, targets = load_digits(return_X_y=True)
        return split(inputs / 16, targets, self.validation, self.split_seed, standardize=self.standardize)


class Iris(Packaged, frozen=True, tag="iris"):
    """Fisher's irises: 150 flowers, 4 lengths in cm, three species of which two overlap."""

    title: ClassVar[str] = "Iris"

    @property
    def traits(self) -> Traits:
        return Traits(4, "classes", classes=3)

    def load(self) -> Data:
        from sklearn.datasets import load_iris

        inputs, targets = load_iris(return_X_y=True)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


class Wine(Packaged, frozen=True, tag="wine"):
    """Italian wines: 178 of them, 13 chemical measurements, three growers."""

    title: ClassVar[str] = "Wine"

    @property
    def traits(self) -> Traits:
        return Traits(13, "classes", classes=3)

    def load(self) -> Data:
        from sklearn.datasets import load_wine

        inputs, targets = load_wine(return_X_y=True)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


class BreastCancer(Packaged, frozen=True, tag="breast-cancer"):
    """Wisconsin breast cancer: 569 cases of 30 measurements, two classes."""

    title: ClassVar[str] = "Breast cancer"

    @property
    def traits(self) -> Traits:
        return Traits(30, "classes", classes=2)

    def load(self) -> Data:
        from sklearn.datasets import load_breast_cancer

        inputs, targets = load_breast_cancer(return_X_y=True)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)


class Diabetes(Packaged, frozen=True, tag="diabetes"):
    """Diabetes: 442 patients, 10 measurements; the target is how far the disease is a year later, from 25 to 346."""

    title: ClassVar[str] = "Diabetes"

    standardize_targets: Annotated[
        bool, Meta(description="Targets to mean 0 and variance 1 over the training cases (else 25 to 346)")
    ] = True

    @property
    def traits(self) -> Traits:
        return Traits(10, "real")

    def load(self) -> Data:
        from sklearn.datasets import load_diabetes

        # Unscaled: scikit-learn's own scaling looks at the validation cases too.
        inputs, targets = load_diabetes(return_X_y=True, scaled=False)
        return split(
            inputs,
            targets,
            self.validation,
            self.split_seed,
            standardize=self.standardize,
            standardize_targets=self.standardize_targets,
        )

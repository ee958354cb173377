"""The data sets: each a typed record of its settings that loads itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.settings import SettingError

Fraction = Annotated[float, Meta(ge=0, le=0.9, description="Share of the cases kept for validation")]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]


@dataclass(frozen=True)
class Data:
    """Cases for training and, where there is a split, for validation.

    inputs (N, D) float64; targets (N,) int64 class indices where `classes` is a number, else (N, K) float64.
    """

    inputs: Tensor
    targets: Tensor
    classes: int | None
    validation: tuple[Tensor, Tensor] | None

    @property
    def columns(self) -> int:
        """How many numbers a target has: 1 for a class index."""
        return 1 if self.targets.ndim == 1 else int(self.targets.shape[1])


class DataSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A data set by its settings. `load` reads or makes it; nothing is read before."""

    title: ClassVar[str]
    classes: ClassVar[int | None]
    landscape: ClassVar[bool] = False
    """Whether this is a test function of two parameters, which brings its own network."""

    def load(self) -> Data:
        """The cases, standardized and split as the settings say."""
        raise NotImplementedError


class Digits(DataSet, frozen=True, kw_only=True, tag="digits"):
    """scikit-learn's handwritten digits: 1,797 images of 8×8 pixels, ten classes."""

    title: ClassVar[str] = "Handwritten digits"
    classes: ClassVar[int | None] = 10

    validation: Fraction = 0.2
    standardize: Annotated[bool, Meta(description="Each pixel to mean 0 and variance 1 (else 0 to 1)")] = True
    split_seed: Annotated[Seed, Meta(description="Which cases are kept for validation")] = 0

    def load(self) -> Data:
        from sklearn.datasets import load_digits

        inputs, targets = load_digits(return_X_y=True)
        return _split(inputs / 16, targets, self.classes, self.validation, self.standardize, self.split_seed)


class BreastCancer(DataSet, frozen=True, kw_only=True, tag="breast-cancer"):
    """Wisconsin breast cancer: 569 cases of 30 measurements, two classes."""

    title: ClassVar[str] = "Breast cancer"
    classes: ClassVar[int | None] = 2

    validation: Fraction = 0.2
    standardize: Annotated[bool, Meta(description="Each measurement to mean 0 and variance 1")] = True
    split_seed: Annotated[Seed, Meta(description="Which cases are kept for validation")] = 0

    def load(self) -> Data:
        from sklearn.datasets import load_breast_cancer

        inputs, targets = load_breast_cancer(return_X_y=True)
        return _split(inputs, targets, self.classes, self.validation, self.standardize, self.split_seed)


class TwoMoons(DataSet, frozen=True, kw_only=True, tag="two-moons"):
    """Two interleaved half circles in the plane with Gaussian noise, two classes."""

    title: ClassVar[str] = "Two moons"
    classes: ClassVar[int | None] = 2

    size: Annotated[int, Meta(ge=4, le=1_000_000, description="Cases, both classes together")] = 200
    noise: Annotated[float, Meta(ge=0, le=5, description="Standard deviation of the noise")] = 0.15
    validation: Fraction = 0.2
    split_seed: Annotated[Seed, Meta(description="Draws the noise and the split")] = 0

    def load(self) -> Data:
        from sklearn.datasets import make_moons

        inputs, targets = make_moons(self.size, noise=self.noise, random_state=self.split_seed)
        return _split(inputs, targets, self.classes, self.validation, False, self.split_seed)


def _split(
    inputs: np.ndarray, targets: np.ndarray, classes: int | None, share: float, standardize: bool, seed: int
) -> Data:
    """Shuffle, split, and standardize by the training cases alone; a constant column becomes zero."""
    order = np.random.default_rng(seed).permutation(len(inputs))
    held = round(share * len(inputs))
    if held >= len(inputs):
        raise SettingError("data.validation", f"{share} of {len(inputs)} cases leaves none to train on")
    validation, training = order[:held], order[held:]
    if standardize:
        mean, deviation = inputs[training].mean(0), inputs[training].std(0)
        inputs = (inputs - mean) / np.where(deviation > 0, deviation, 1.0)

    def tensors(chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        y: Any = targets[chosen] if classes is None else targets[chosen].astype(np.int64)
        return torch.tensor(inputs[chosen], dtype=torch.float64), torch.tensor(y)

    return Data(*tensors(training), classes, tensors(validation) if held else None)

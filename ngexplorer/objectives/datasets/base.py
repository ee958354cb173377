"""What a data set is: a typed record of its settings that loads itself, split and standardized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec
import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.traits import Traits
from ngexplorer.settings import SettingError

Fraction = Annotated[float, Meta(ge=0, le=0.9, description="Share of the cases kept for validation")]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]


@dataclass(frozen=True)
class Data:
    """Cases for training and, where there is a split, for validation.

    inputs (N, D) float64; targets (N,) int64 class indices or (N, K) float64, as the data set's traits say.
    """

    inputs: Tensor
    targets: Tensor
    validation: tuple[Tensor, Tensor] | None


class DataSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name"):
    """A data set by its settings. `load` reads or makes it; nothing is read before."""

    title: ClassVar[str]
    landscape: ClassVar[bool] = False
    """Whether this is a test function of two parameters, which brings its own network and loss."""

    @property
    def traits(self) -> Traits:
        """What models and losses need to know of it before it is loaded."""
        raise NotImplementedError

    def load(self) -> Data:
        """The cases, standardized and split as the settings say."""
        raise NotImplementedError


class SplitDataSet(DataSet, frozen=True, kw_only=True):
    """A data set of which some cases are kept for validation.

    Its settings are keyword-only and those of the records below it are not, so that forms and files show a data set's
    own knobs first.
    """

    validation: Fraction = 0.2
    split_seed: Annotated[Seed, Meta(description="Draws the split, and the cases themselves where they are made")] = 0


def generator(seed: int) -> np.random.Generator:
    """A stream for drawing cases, apart from the one that shuffles them for the split."""
    return np.random.default_rng((seed, 1))


def held_out(size: int, share: float) -> int:
    """How many of `size` cases are kept for validation. Raises SettingError where none is left to train on."""
    held = round(share * size)
    if held >= size:
        raise SettingError("data.validation", f"{share} of {size} cases leaves none to train on")
    return held


def split(
    inputs: np.ndarray,
    targets: np.ndarray,
    share: float,
    seed: int,
    *,
    standardize: bool = False,
    standardize_targets: bool = False,
) -> Data:
    """Shuffle, split, and standardize by the training cases alone; a constant column becomes zero.

    Whole numbers (N,) stay class indices; everything else becomes (N, K) float64.
    """
    order = np.random.default_rng(seed).permutation(len(inputs))
    held = held_out(len(inputs), share)
    validation, training = order[:held], order[held:]
    if standardize:
        inputs = _standardized(inputs, training)
    if standardize_targets:
        targets = _standardized(targets, training)
    indices = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)

    def tensors(chosen: np.ndarray) -> tuple[Tensor, Tensor]:
        y = targets[chosen]
        y = y.astype(np.int64) if indices else y.astype(np.float64).reshape(len(chosen), -1)
        return torch.tensor(inputs[chosen], dtype=torch.float64), torch.tensor(y)

    return Data(*tensors(training), tensors(validation) if held else None)


def _standardized(values: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and variance 1 over the training cases."""
    mean, deviation = values[training].mean(0), values[training].std(0)
    return (values - mean) / np.where(deviation > 0, deviation, 1.0)

"""Classification with wrong labels among the training cases."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import numpy as np
import torch
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data
from ngexplorer.objectives.datasets.blobs import Blobs


class NoisyLabels(Blobs, frozen=True, tag="noisy-labels"):
    """Blobs with a share of the training labels replaced by another class; validation labels stay right."""

    title: ClassVar[str] = "Noisy labels"

    wrong: Annotated[float, Meta(ge=0, le=1, description="Share of the training labels that are wrong")] = 0.2

    def load(self) -> Data:
        data = super().load()
        # A stream apart from that of the cases, which are the same for every share of wrong labels.
        rng = np.random.default_rng((self.split_seed, 2))
        size = len(data.targets)
        chosen = rng.permutation(size)[: round(self.wrong * size)]
        targets = data.targets.clone()
        shift = torch.tensor(rng.integers(1, self.classes, len(chosen)))
        targets[chosen] = (targets[chosen] + shift) % self.classes
        return dataclasses.replace(data, targets=targets)

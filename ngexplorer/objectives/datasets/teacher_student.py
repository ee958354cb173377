"""Regression on what another network says."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, generator, split
from ngexplorer.objectives.datasets.generated import Generated, Noise, Size
from ngexplorer.objectives.traits import Traits


class TeacherStudent(Generated, frozen=True, tag="teacher-student"):
    """y = V tanh(Wx + b) + noise, x and the teacher's W, b and V Gaussian: a network as wide can learn it exactly."""

    title: ClassVar[str] = "Teacher and student"

    size: Size = 500
    noise: Noise = 0.0
    features: Annotated[int, Meta(ge=1, le=1000, description="Inputs")] = 10
    hidden: Annotated[int, Meta(ge=1, le=1000, description="Hidden units of the teacher")] = 5
    outputs: Annotated[int, Meta(ge=1, le=100, description="Outputs of the teacher, each a target")] = 1

    @property
    def traits(self) -> Traits:
        return Traits(self.features, "real", columns=self.outputs)

    def load(self) -> Data:
        rng = generator(self.split_seed)
        # Scaled so that what enters tanh has variance 2, where it bends, and each output has a variance below 1.
        first = rng.standard_normal((self.features, self.hidden)) / np.sqrt(self.features)
        bias = rng.standard_normal(self.hidden)
        second = rng.standard_normal((self.hidden, self.outputs)) / np.sqrt(self.hidden)
        inputs = rng.standard_normal((self.size, self.features))
        targets = np.tanh(inputs @ first + bias) @ second
        targets += self.noise * rng.standard_normal(targets.shape)
        return split(inputs, targets, self.validation, self.split_seed, standardize=self.standardize)

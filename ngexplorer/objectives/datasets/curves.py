"""Images of smooth curves, for deep autoencoders as in the literature on Hessian-free optimization."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from ngexplorer.objectives.datasets.base import Data, SplitDataSet, generator, split
from ngexplorer.objectives.traits import Traits

SIDE = 28
_MARGIN = 2.0
# Close enough together for the thinnest stroke to have no beads.
_SAMPLES = 64
_BLOCK = 1000


class Curves(SplitDataSet, frozen=True, tag="curves"):
    """28×28 images, pixels from 0 to 1, of curves through the plane, each also its own target.

    Each is a quadratic Bézier curve by three points drawn at random, so six numbers say all there is to an image: after
    the curves of Hinton and Salakhutdinov (2006) and Martens (2010).
    """

    title: ClassVar[str] = "Curves"

    size: Annotated[int, Meta(ge=10, le=20_000, description="Images, those kept for validation included")] = 2000
    thickness: Annotated[float, Meta(ge=1.5, le=5, description="Width of the stroke in pixels")] = 2.0

    @property
    def traits(self) -> Traits:
        return Traits(SIDE**2, "unit", columns=SIDE**2, image=(SIDE, SIDE), unit_inputs=True)

    def load(self) -> Data:
        points = _points(generator(self.split_seed), self.size)
        # By blocks, as the samples of all curves at once would take many times the memory of the images.
        blocks = [drawn(points[i : i + _BLOCK], self.thickness) for i in range(0, self.size, _BLOCK)]
        images = np.concatenate(blocks)
        return split(images, images, self.validation, self.split_seed)


def _points(rng: np.random.Generator, size: int) -> np.ndarray:
    """Three points for each curve (N, 3, 2): of four draws that whose ends lie farthest apart, so that few are dots."""
    draws = rng.uniform(_MARGIN, SIDE - _MARGIN, (size, 4, 3, 2))
    widest = np.linalg.norm(draws[:, :, 2] - draws[:, :, 0], axis=-1).argmax(1)
    return draws[np.arange(size), widest]


def drawn(points: np.ndarray, thickness: float) -> np.ndarray:
    """The curves of control points (N, 3, 2) as rows of pixels (N, 784).

    A pixel is the line integral of a Gaussian about its centre along the curve, which is 1 in the middle of a straight
    stroke and half that half a thickness away; at most 1 where a curve turns back on itself.
    """
    t = (np.arange(_SAMPLES)[:, None] + 0.5) / _SAMPLES
    start, middle, end = (points[:, i, None] for i in range(3))
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    velocity = 2 * (1 - t) * (middle - start) + 2 * t * (end - middle)
    width = thickness / np.sqrt(8 * np.log(2))
    length = np.linalg.norm(velocity, axis=-1, keepdims=True) / _SAMPLES
    centres = np.arange(SIDE) + 0.5
    # (N, samples, pixels): a Gaussian in the plane is the product of one along each axis.
    across, down = (np.exp(-(((curve[..., i, None] - centres) / width) ** 2) / 2) for i in range(2))
    ink = np.swapaxes(down * length, 1, 2) @ across / (width * np.sqrt(2 * np.pi))
    # In 256 steps as image files have them, so that paper is 0.
    return (np.round(255 * np.minimum(ink, 1)) / 255).reshape(len(points), -1)

"""Maximum likelihood of a Gaussian's mean and variance, in any of its five parametrizations."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from msgspec import Meta
from torch import Tensor

from ngexplorer.objectives.datasets import Data
from ngexplorer.objectives.landscapes.base import Coordinate, Landscape, LandscapeNetwork, Place, Window
from ngexplorer.objectives.losses import GaussianNLL, Loss
from ngexplorer.objectives.losses.gaussian import Parametrization
from ngexplorer.objectives.reparametrizations.gaussian import gaussian_map
from ngexplorer.objectives.traits import Traits

# Their mean is 1 and their variance ¼: the optimum.
_ANSWERS = (0.5, 1.5)
_OPTIMUM = (1.0, 0.25)

NAMES: dict[Parametrization, str] = {
    "variance": "(μ, v)",
    "log-variance": "(μ, log v)",
    "precision": "(μ, 1/v)",
    "natural": "(μ/v, −1/(2v))",
    "mean": "(E y, E y²)",
}
"""How the two coordinates are called."""

# Each holds the usual start N(0, 1), the optimum, and what one natural-gradient step makes of that start.
_WINDOWS: dict[Parametrization, Window] = {
    "variance": (-0.5, 2.0, 0.05, 1.6),
    "log-variance": (-0.5, 2.0, -2.2, 1.0),
    "precision": (-0.5, 2.0, 0.25, 6.0),
    "natural": (-1.0, 5.5, -3.0, -0.15),
    "mean": (-0.75, 1.75, 0.05, 3.2),
}


class GaussianLikelihood(Landscape, frozen=True, kw_only=True, tag="gaussian-likelihood"):
    """Two answers ½ and 1½, explained by a Gaussian: θ = z, in the order and the parametrization of the loss.

    h has the same values in every parametrization, but the steps differ: one natural-gradient step from N(0, 1) ends
    at the optimum in mean parameters and nowhere near it in the others. Outside v > 0, h is NaN.
    """

    title: ClassVar[str] = "Gaussian likelihood"
    loss: ClassVar[Loss] = GaussianNLL()
    start: ClassVar[tuple[str, str]] = ("mean", "variance")

    mean: Annotated[Coordinate, Meta(title="Start μ", description="Mean of the Gaussian at the start")] = 0.0
    variance: Annotated[
        float, Meta(title="Start v", gt=0, le=1e6, description="Variance of the Gaussian at the start")
    ] = 1.0

    @property
    def traits(self) -> Traits:
        return Traits(1, "real")

    def load(self) -> Data:
        answers = torch.tensor(_ANSWERS, dtype=torch.float64)[:, None]
        return Data(torch.zeros_like(answers), answers, None)

    def outputs(self, position: Tensor, inputs: Tensor) -> Tensor:
        return position.expand(len(inputs), 2)

    def start_settings(self, place: Place, loss: Loss) -> Place:
        """The mean and variance of the Gaussian whose coordinates in the loss's parametrization are those."""
        return _mapped(_parametrization(loss), "variance", place)

    def network(self, loss: Loss) -> LandscapeNetwork:
        parametrization = _parametrization(loss)

        def place(mean: float, variance: float) -> Place:
            return _mapped("variance", parametrization, (mean, variance))

        window, minimum = _WINDOWS[parametrization], place(*_OPTIMUM)
        network = LandscapeNetwork(self, place(self.mean, self.variance), window, (minimum,))
        network.title = f"{self.title} in {NAMES[parametrization]}"
        return network


def _parametrization(loss: Loss) -> Parametrization:
    if not isinstance(loss, GaussianNLL):
        raise ValueError(f"loss: {loss.title}; {GaussianLikelihood.title} is made for {GaussianLikelihood.loss.title}")
    return loss.parametrization


def _mapped(source: Parametrization, target: Parametrization, place: Place) -> Place:
    """A Gaussian's coordinates in another parametrization."""
    x, y = gaussian_map(source, target).forward(torch.tensor(place, dtype=torch.float64)).tolist()
    return (x, y)

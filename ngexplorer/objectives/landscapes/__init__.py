"""The landscapes: test functions of two parameters."""

from ngexplorer.objectives.landscapes.base import Landscape, LandscapeNetwork
from ngexplorer.objectives.landscapes.bowl import QuadraticBowl
from ngexplorer.objectives.landscapes.dose_response import LogisticLandscape, ProbitLandscape
from ngexplorer.objectives.landscapes.gaussian import GaussianLikelihood
from ngexplorer.objectives.landscapes.saddle import Saddle
from ngexplorer.objectives.landscapes.textbook import Beale, Booth, Himmelblau, Rosenbrock
from ngexplorer.objectives.landscapes.two_weights import TwoWeightNetwork

AnyLandscape = (
    QuadraticBowl
    | Saddle
    | Rosenbrock
    | Beale
    | Himmelblau
    | Booth
    | TwoWeightNetwork
    | LogisticLandscape
    | ProbitLandscape
    | GaussianLikelihood
)

__all__ = [
    "AnyLandscape",
    "Beale",
    "Booth",
    "GaussianLikelihood",
    "Himmelblau",
    "Landscape",
    "LandscapeNetwork",
    "LogisticLandscape",
    "ProbitLandscape",
    "QuadraticBowl",
    "Rosenbrock",
    "Saddle",
    "TwoWeightNetwork",
]

"""The landscapes: test functions of two parameters."""

from ngexplorer.objectives.landscapes.base import Landscape, LandscapeNetwork
from ngexplorer.objectives.landscapes.textbook import Rosenbrock

AnyLandscape = Rosenbrock

__all__ = ["AnyLandscape", "Landscape", "LandscapeNetwork", "Rosenbrock"]

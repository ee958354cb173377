"""The models."""

from ngexplorer.objectives.models.base import LandscapeModel, Model
from ngexplorer.objectives.models.layers import MLP, Linear

AnyModel = MLP | Linear | LandscapeModel

__all__ = ["MLP", "AnyModel", "LandscapeModel", "Linear", "Model"]

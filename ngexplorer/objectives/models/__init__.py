"""The models."""

from ngexplorer.objectives.models.autoencoder import Autoencoder
from ngexplorer.objectives.models.base import LandscapeModel, Model
from ngexplorer.objectives.models.convolutional import Convolutional
from ngexplorer.objectives.models.layers import MLP, DeepLinear, Linear
from ngexplorer.objectives.models.recurrent import Recurrent
from ngexplorer.objectives.models.residual import ResidualMLP
from ngexplorer.objectives.models.transformer import Transformer

AnyModel = (
    MLP | Linear | DeepLinear | ResidualMLP | Autoencoder | Convolutional | Recurrent | Transformer | LandscapeModel
)

__all__ = [
    "MLP",
    "AnyModel",
    "Autoencoder",
    "Convolutional",
    "DeepLinear",
    "LandscapeModel",
    "Linear",
    "Model",
    "Recurrent",
    "ResidualMLP",
    "Transformer",
]

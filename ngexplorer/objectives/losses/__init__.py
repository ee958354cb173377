"""The losses, each the negative log-density of a model's label distribution: `ngexplorer.losses`."""

from ngexplorer.objectives.losses.base import Loss
from ngexplorer.objectives.losses.bernoulli import BernoulliLogits
from ngexplorer.objectives.losses.softmax import SoftmaxCrossEntropy
from ngexplorer.objectives.losses.squared_error import SquaredError

AnyLoss = SquaredError | BernoulliLogits | SoftmaxCrossEntropy

__all__ = ["AnyLoss", "BernoulliLogits", "Loss", "SoftmaxCrossEntropy", "SquaredError"]

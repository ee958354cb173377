"""The losses, each the negative log-density of a model's label distribution: `ngexplorer.losses`."""

from ngexplorer.objectives.losses.base import Loss
from ngexplorer.objectives.losses.bernoulli import BernoulliLogits, BernoulliProbability
from ngexplorer.objectives.losses.gaussian import GaussianNLL
from ngexplorer.objectives.losses.location import Cauchy, Huber, Laplace, Logistic, StudentT
from ngexplorer.objectives.losses.poisson import PoissonLogRate, PoissonRate
from ngexplorer.objectives.losses.probit import Probit
from ngexplorer.objectives.losses.quadratic import Quadratic
from ngexplorer.objectives.losses.softmax import SoftmaxCrossEntropy, SoftmaxLogProbabilities, SoftmaxProbabilities
from ngexplorer.objectives.losses.squared_error import SquaredError

AnyLoss = (
    SquaredError
    | GaussianNLL
    | BernoulliLogits
    | BernoulliProbability
    | Probit
    | SoftmaxCrossEntropy
    | SoftmaxProbabilities
    | SoftmaxLogProbabilities
    | PoissonLogRate
    | PoissonRate
    | Laplace
    | StudentT
    | Cauchy
    | Huber
    | Logistic
    | Quadratic
)

__all__ = [
    "AnyLoss",
    "BernoulliLogits",
    "BernoulliProbability",
    "Cauchy",
    "GaussianNLL",
    "Huber",
    "Laplace",
    "Logistic",
    "Loss",
    "PoissonLogRate",
    "PoissonRate",
    "Probit",
    "Quadratic",
    "SoftmaxCrossEntropy",
    "SoftmaxLogProbabilities",
    "SoftmaxProbabilities",
    "SquaredError",
    "StudentT",
]

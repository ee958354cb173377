"""The data sets: real ones that ship in packages, and generated ones with their knobs."""

from ngexplorer.objectives.datasets.base import Data, DataSet
from ngexplorer.objectives.datasets.blobs import Blobs
from ngexplorer.objectives.datasets.curves import Curves
from ngexplorer.objectives.datasets.linear_regression import LinearRegression
from ngexplorer.objectives.datasets.mnist import MNIST
from ngexplorer.objectives.datasets.noisy_labels import NoisyLabels
from ngexplorer.objectives.datasets.packaged import BreastCancer, Diabetes, Digits, Iris, Wine
from ngexplorer.objectives.datasets.planar import XOR, Circles, Spirals, TwoMoons
from ngexplorer.objectives.datasets.teacher_student import TeacherStudent
from ngexplorer.objectives.datasets.univariate import Counts, Heteroscedastic, Sine

AnyDataSet = (
    Digits
    | MNIST
    | Iris
    | Wine
    | BreastCancer
    | Diabetes
    | TwoMoons
    | Circles
    | Spirals
    | XOR
    | Blobs
    | NoisyLabels
    | Sine
    | Heteroscedastic
    | Counts
    | LinearRegression
    | TeacherStudent
    | Curves
)

__all__ = [
    "MNIST",
    "XOR",
    "AnyDataSet",
    "Blobs",
    "BreastCancer",
    "Circles",
    "Counts",
    "Curves",
    "Data",
    "DataSet",
    "Diabetes",
    "Digits",
    "Heteroscedastic",
    "Iris",
    "LinearRegression",
    "NoisyLabels",
    "Sine",
    "Spirals",
    "TeacherStudent",
    "TwoMoons",
    "Wine",
]

"""The data sets: real ones that ship in packages, and generated ones with their knobs."""

from ngexplorer.objectives.datasets.base import Data, DataSet
from ngexplorer.objectives.datasets.generated import TwoMoons
from ngexplorer.objectives.datasets.packaged import BreastCancer, Digits

AnyDataSet = Digits | BreastCancer | TwoMoons

__all__ = ["AnyDataSet", "BreastCancer", "Data", "DataSet", "Digits", "TwoMoons"]

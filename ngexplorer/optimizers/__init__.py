"""Which step to take: compositions of curvature, solver, damping, step rule, momentum and averaging, and a catalog."""

from ngexplorer.optimizers import parts
from ngexplorer.optimizers.catalog import RECIPES, make
from ngexplorer.optimizers.geodesic import christoffel
from ngexplorer.optimizers.optimizer import Optimizer
from ngexplorer.optimizers.step import Rejection, Step
from ngexplorer.optimizers.stepper import Stepper

__all__ = ["RECIPES", "Optimizer", "Rejection", "Step", "Stepper", "christoffel", "make", "parts"]

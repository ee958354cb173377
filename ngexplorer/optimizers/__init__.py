"""Which step to take: compositions of curvature, solver, damping and momentum, and a catalog of the named ones."""

from ngexplorer.optimizers.catalog import RECIPES, make
from ngexplorer.optimizers.optimizer import Optimizer, Stepper
from ngexplorer.optimizers.step import Step

__all__ = ["RECIPES", "Optimizer", "Step", "Stepper", "make"]

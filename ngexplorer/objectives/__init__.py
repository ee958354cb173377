"""What is minimised: losses, data sets, models, landscapes, and the objective that joins them."""

from ngexplorer.objectives import landscapes, losses, reparametrizations
from ngexplorer.objectives.objective import Objective
from ngexplorer.objectives.point import Point

__all__ = ["Objective", "Point", "landscapes", "losses", "reparametrizations"]

"""The tour: the findings of Martens (JMLR 2020), a stop each, with the numbers that must come out."""

from ngexplorer.tour.checks import Check
from ngexplorer.tour.stop import Stop
from ngexplorer.tour.stops import STOPS

__all__ = ["STOPS", "Check", "Stop"]

"""How the objective bends: the curvature matrices, one a file."""

from ngexplorer.curvature.base import Curvature, IndefiniteError
from ngexplorer.curvature.fisher import Fisher
from ngexplorer.curvature.gauss_newton import GaussNewton
from ngexplorer.curvature.hessian import Hessian

__all__ = ["Curvature", "Fisher", "GaussNewton", "Hessian", "IndefiniteError"]

"""How the objective bends: the curvature matrices, one a file."""

from ngexplorer.curvature.base import Curvature, IndefiniteError, TooLargeError
from ngexplorer.curvature.diagonal import Diagonal, LayerDiagonal
from ngexplorer.curvature.ekfac import EKFAC
from ngexplorer.curvature.empirical_fisher import EmpiricalFisher
from ngexplorer.curvature.fisher import Fisher
from ngexplorer.curvature.gauss_newton import GaussNewton
from ngexplorer.curvature.hessian import Hessian
from ngexplorer.curvature.kfac import KFAC
from ngexplorer.curvature.lanczos import Eigenpairs, SpectralDensity
from ngexplorer.curvature.monte_carlo_fisher import MonteCarloFisher

__all__ = [
    "EKFAC",
    "KFAC",
    "Curvature",
    "Diagonal",
    "Eigenpairs",
    "EmpiricalFisher",
    "Fisher",
    "GaussNewton",
    "Hessian",
    "IndefiniteError",
    "LayerDiagonal",
    "MonteCarloFisher",
    "SpectralDensity",
    "TooLargeError",
]

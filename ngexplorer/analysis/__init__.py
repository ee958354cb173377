"""What can be asked of a run afterwards: of an objective, a θ and a record, without a window.

Functions of one point are watched by its `watch`; iterators answer coarsely first and then better, and take a cancel
function where they go through many points.
"""

from ngexplorer.analysis.attraction import Basins, basins
from ngexplorer.analysis.cases import Misclassified, Reconstructions, misclassified, reconstructions
from ngexplorer.analysis.cg_iterations import Iterations, conjugate_gradient
from ngexplorer.analysis.damping import DampingPath, damping_path
from ngexplorer.analysis.damping_filter import Filtering, filtering
from ngexplorer.analysis.decision_regions import Decisions, decisions
from ngexplorer.analysis.dense_matrices import Matrices, Parameter, matrices, parameters_of
from ngexplorer.analysis.distribution_space import Distances, distances
from ngexplorer.analysis.filter_normalised import filter_normalised_plane
from ngexplorer.analysis.kullback_leibler import Divergence, divergence
from ngexplorer.analysis.local_model import Quadratic, quadratic_model, square_norm
from ngexplorer.analysis.local_planes import Eigenplane, eigenvector_plane, step_plane
from ngexplorer.analysis.method_steps import Arrows, arrows
from ngexplorer.analysis.momentum_part import momentum_part
from ngexplorer.analysis.neighbourhood import Neighbourhood, Standpoint, landing, look_around, standpoint
from ngexplorer.analysis.other_parameters import Elsewhere, elsewhere
from ngexplorer.analysis.own_damping import own_damping
from ngexplorer.analysis.planes import (
    Plane,
    Surface,
    coordinate_plane,
    plane_through,
    principal_plane,
    spanned_plane,
    surface,
)
from ngexplorer.analysis.profiles import Profile, profile
from ngexplorer.analysis.regression import Fit, regression_fit
from ngexplorer.analysis.relief import Relief, contour_levels, relief
from ngexplorer.analysis.shifted_solutions import Shifted, shifted
from ngexplorer.analysis.step_anatomy import Anatomy, anatomy, record
from ngexplorer.analysis.step_iterations import step_iterations
from ngexplorer.curvature.kinds import Curvatures, curvatures
from ngexplorer.curvature.noise_scale import GradientNoise, gradient_noise
from ngexplorer.curvature.spectrum_measures import SpectrumMeasures, spectrum_measures
from ngexplorer.curvature.subspaces import Overlap, overlap, top_eigenspace
from ngexplorer.objectives.by_layers import LayerNorms, layer_norms
from ngexplorer.optimizers.fishers import FisherGap, fisher_gap

__all__ = [
    "Anatomy",
    "Arrows",
    "Basins",
    "Curvatures",
    "DampingPath",
    "Decisions",
    "Distances",
    "Divergence",
    "Eigenplane",
    "Elsewhere",
    "Filtering",
    "FisherGap",
    "Fit",
    "GradientNoise",
    "Iterations",
    "LayerNorms",
    "Matrices",
    "Misclassified",
    "Neighbourhood",
    "Overlap",
    "Parameter",
    "Plane",
    "Profile",
    "Quadratic",
    "Reconstructions",
    "Relief",
    "Shifted",
    "SpectrumMeasures",
    "Standpoint",
    "Surface",
    "anatomy",
    "arrows",
    "basins",
    "conjugate_gradient",
    "contour_levels",
    "coordinate_plane",
    "curvatures",
    "damping_path",
    "decisions",
    "distances",
    "divergence",
    "eigenvector_plane",
    "elsewhere",
    "filter_normalised_plane",
    "filtering",
    "fisher_gap",
    "gradient_noise",
    "landing",
    "layer_norms",
    "look_around",
    "matrices",
    "misclassified",
    "momentum_part",
    "overlap",
    "own_damping",
    "parameters_of",
    "plane_through",
    "principal_plane",
    "profile",
    "quadratic_model",
    "reconstructions",
    "record",
    "regression_fit",
    "relief",
    "shifted",
    "spanned_plane",
    "spectrum_measures",
    "square_norm",
    "standpoint",
    "step_iterations",
    "step_plane",
    "surface",
    "top_eigenspace",
]

"""Reparametrizations θ(γ) of any objective, which compose and map trajectories back to θ."""

from ngexplorer.objectives.reparametrizations.affine import AffineMap, Scaling, whitening
from ngexplorer.objectives.reparametrizations.base import Composed, LinearReparametrization, Reparametrization
from ngexplorer.objectives.reparametrizations.elementwise import CUBIC, LOGARITHMIC, SINH, Elementwise
from ngexplorer.objectives.reparametrizations.gaussian import gaussian_map
from ngexplorer.objectives.reparametrizations.layers import (
    LayerMap,
    sigmoid_as_tanh,
    tanh_as_sigmoid,
    with_affine_inputs,
)
from ngexplorer.objectives.reparametrizations.objective import ReparametrizedObjective, reparametrized

__all__ = [
    "CUBIC",
    "LOGARITHMIC",
    "SINH",
    "AffineMap",
    "Composed",
    "Elementwise",
    "LayerMap",
    "LinearReparametrization",
    "Reparametrization",
    "ReparametrizedObjective",
    "Scaling",
    "gaussian_map",
    "reparametrized",
    "sigmoid_as_tanh",
    "tanh_as_sigmoid",
    "whitening",
    "with_affine_inputs",
]

"""The stops of the tour, one a file, in their order."""

from ngexplorer.tour.stop import Stop
from ngexplorer.tour.stops import (
    asymptotics,
    curvature_pays,
    damping,
    diagonal,
    distribution_space,
    empirical_fisher,
    equality,
    fisher,
    gauss_newton,
    interpretation,
    invariance,
    kronecker,
    newton,
    own_model,
    quadratic_model,
    saddles,
    twins,
)

STOPS: tuple[Stop, ...] = tuple(
    module.stop
    for module in (
        distribution_space,
        fisher,
        gauss_newton,
        equality,
        newton,
        damping,
        quadratic_model,
        empirical_fisher,
        diagonal,
        invariance,
        twins,
        interpretation,
        asymptotics,
        kronecker,
        saddles,
        curvature_pays,
        own_model,
    )
)
"""In the order of the tour: stop N is STOPS[N − 1]."""

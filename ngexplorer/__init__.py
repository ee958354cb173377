"""NG Explorer: natural gradient, generalized Gauss-Newton and Newton, raced and looked into.

import ngexplorer as ngx

objective = ngx.Objective(model, ngx.losses.SoftmaxCrossEntropy(), inputs, targets)
G = ngx.curvature.GaussNewton(objective, objective.initial_parameters)
optimizer = ngx.optimizers.make("natural-gradient", damping="levenberg-marquardt")
history = ngx.run(objective, optimizer, steps=100, seed=0)
history.to_csv("run.csv")
"""

from ngexplorer import curvature, optimizers
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.objectives import Objective, Point, landscapes, losses, reparametrizations
from ngexplorer.runs import History, run

__version__ = "0.1.0"

__all__ = [
    "Cancelled",
    "History",
    "Objective",
    "Point",
    "Watch",
    "curvature",
    "landscapes",
    "losses",
    "optimizers",
    "reparametrizations",
    "run",
]

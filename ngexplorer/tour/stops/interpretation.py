"""The new interpretation: a natural-gradient step is a weighted fit of the changes that the outputs should make."""

from __future__ import annotations

import torch
from torch import Tensor

import ngexplorer as ngx
from ngexplorer.curvature import Fisher
from ngexplorer.tour.checks import Outcome, at_least, near
from ngexplorer.tour.problems import classifier, drawn, gap, regression, walk
from ngexplorer.tour.stop import Stop

stop = Stop("interpretation", "A weighted fit of output changes")


def _fit(objective: ngx.Objective, scale: float) -> float:
    """M(δ) over ½E‖Jδ + F_R⁺∇L‖² − ½E‖∇L‖² + h, in the norms of F_R and F_R⁺, for a δ of that size."""
    point = objective.at(objective.initial_parameters)
    middle = objective.loss.fisher(point.outputs)
    inverse = torch.linalg.pinv(middle, hermitian=True)
    wanted = (inverse @ point.output_gradient[:, :, None])[:, :, 0]

    def weighted(u: Tensor) -> Tensor:
        return 0.5 * torch.einsum("nc,ncd,nd->n", u, middle, u).mean()

    delta = scale * drawn(len(point.theta), seed=4)
    model = point.value + point.gradient.dot(delta) + 0.5 * delta.dot(Fisher(objective, point) @ delta)
    return float(model / (weighted(point.jvp(delta) + wanted) - weighted(wanted) + point.value))


@stop.claim("Softmax: M(δ) over the weighted fit of output changes, for ‖δ‖ small, as it comes, and large", "§13")
def softmax_fit() -> Outcome:
    return near([_fit(classifier(3, 4, 3), scale) for scale in (0.01, 1.0, 30.0)], (1, 1, 1), 1e-10)


@stop.claim("Squared error: M(δ) over the weighted fit, for three sizes of δ", "§13")
def squared_error_fit() -> Outcome:
    return near([_fit(regression(3, 4, 2, variance=0.3), scale) for scale in (0.01, 1.0, 30.0)], (1, 1, 1), 1e-10)


@stop.claim("Student's t, whose F is not its G: M(δ) with F over the weighted fit, for three sizes of δ", "§13")
def student_fit() -> Outcome:
    plain = regression(3, 4, 2)
    objective = ngx.Objective(plain.model, ngx.losses.StudentT(), plain.inputs, plain.targets)
    return near([_fit(objective, scale) for scale in (0.01, 1.0, 30.0)], (1, 1, 1), 1e-10)


def _wide() -> ngx.Objective:
    """26 parameters and 10 outputs in all: more than one δ fits every output change."""
    return regression(3, 4, 2, cases=5)


def _shortest(objective: ngx.Objective) -> Tensor:
    """−F⁺∇h."""
    point = objective.at(objective.initial_parameters)
    dense = Fisher(objective, point).dense()
    return -torch.linalg.pinv(dense, rtol=1e-9, hermitian=True) @ point.gradient


@stop.claim("More parameters than outputs: Jδ of δ = −F⁺∇h, against the residuals y − z; largest difference", "§13")
def every_output_gets_there() -> Outcome:
    objective = _wide()
    point = objective.at(objective.initial_parameters)
    return near(gap(point.jvp(_shortest(objective)), objective.targets - point.outputs), 0, 1e-8)


@stop.claim("−F⁺∇h is the shortest such δ: its part along the null space of F, over its length", "§13")
def shortest() -> Outcome:
    objective = _wide()
    values, vectors = torch.linalg.eigh(Fisher(objective, objective.initial_parameters).dense())
    null, delta = vectors[:, values < 1e-9 * values[-1]], _shortest(objective)
    return near(torch.linalg.vector_norm(null.T @ delta) / torch.linalg.vector_norm(delta), 0, 1e-8)


@stop.claim("Directions in the null space of F: 26 parameters less 10 outputs", "§13")
def null_space() -> Outcome:
    objective = _wide()
    eigenvalues = Fisher(objective, objective.initial_parameters).eigenvalues()
    return near(int((eigenvalues < 1e-9 * eigenvalues[-1]).sum()), 16, 0)


@stop.claim("The minimum-norm optimizer's direction is −F⁺∇h; largest difference", "§13")
def minimum_norm_optimizer() -> Outcome:
    objective = _wide()
    optimizer = ngx.optimizers.make("natural-gradient-minimum-norm", learning_rate=1e-3, step="fixed")
    moved = walk(optimizer, objective, 1)[0] - objective.initial_parameters
    return near(gap(moved / 1e-3, _shortest(objective)), 0, 1e-6)


@stop.claim("λ → 0 leads to the shortest: −(F + λI)⁻¹∇h at λ = 10⁻⁹ from −F⁺∇h; largest difference", "§13")
def damping_to_zero() -> Outcome:
    objective = _wide()
    point = objective.at(objective.initial_parameters)
    return near(gap(-Fisher(objective, point).solve(point.gradient, 1e-9), _shortest(objective)), 0, 1e-5)


@stop.claim("Softmax: the fit with every output weighed alike is another step; largest difference", "§13")
def weights_matter() -> Outcome:
    objective = classifier(3, 4, 3)
    point = objective.at(objective.initial_parameters)
    rows = torch.stack([point.jvp(e).reshape(-1) for e in torch.eye(len(point.theta)).double()], 1)
    inverse = torch.linalg.pinv(objective.loss.fisher(point.outputs), hermitian=True)
    wanted = (inverse @ point.output_gradient[:, :, None]).reshape(-1)
    plain = -torch.linalg.lstsq(rows, wanted[:, None], driver="gelsd").solution[:, 0]
    return at_least(gap(plain, -Fisher(objective, point).solve(point.gradient, 1e-8)), 0.01)

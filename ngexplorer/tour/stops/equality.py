"""Fisher = Gauss-Newton, and when not: the losses row by row, and the split between network and loss moved by hand."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import ngexplorer as ngx
from ngexplorer.curvature import EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.tour.checks import Outcome, near
from ngexplorer.tour.problems import Output, drawn, gap, mlp, tensor
from ngexplorer.tour.stop import Stop

stop = Stop("equality", "Fisher = Gauss-Newton, and when not")

losses = ngx.losses
_ROUNDING = 1e-10


def _both(loss: Any, z: tuple[float, ...], y: Tensor) -> tuple[Tensor, Tensor]:
    """F_R and H_L at outputs z and target y, (C, C) each: F and G of a network that is nothing but its outputs."""
    objective = ngx.Objective(Output(*z), loss, torch.zeros(1, 1).double(), y)
    theta = objective.initial_parameters
    return Fisher(objective, theta).dense(), GaussNewton(objective, theta).dense()


def _scalars(loss: Any, z: float, y: float) -> tuple[float, float]:
    fisher, hessian = _both(loss, (z,), tensor(y)[:, None])
    return float(fisher), float(hessian)


def _row(name: str, loss: Any, z: float, y: float, fisher: float, hessian: float, tolerance: float = 1e-8) -> None:
    """The claim of one row with one output."""

    @stop.claim(f"{name}: F_R and H_L at z = {z:g}, y = {y:g}", "§9.2")
    def measured() -> Outcome:
        return near(_scalars(loss, z, y), (fisher, hessian), tolerance)


def _phi(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


_P = _sigmoid(0.6)
_M = _phi(0.4) / _below(0.4)
_row("Gaussian, σ² = 0.3 (equal)", losses.SquaredError(variance=0.3), 0.4, 1.1, 1 / 0.3, 1 / 0.3)
_row("Bernoulli logit (equal)", losses.BernoulliLogits(), 0.6, 1.0, _P * (1 - _P), _P * (1 - _P))
_row("Bernoulli, z = p (not equal)", losses.BernoulliProbability(), 0.3, 1.0, 1 / (0.3 * 0.7), 1 / 0.3**2)
_row("Probit (not equal)", losses.Probit(), 0.4, 1.0, _phi(0.4) ** 2 / (_below(0.4) * _below(-0.4)), _M * (_M + 0.4))
_row("Poisson log-rate (equal)", losses.PoissonLogRate(), 0.3, 2.0, math.exp(0.3), math.exp(0.3))
_row("Poisson, z = rate (not equal)", losses.PoissonRate(), 1.5, 4.0, 1 / 1.5, 4 / 1.5**2)
_row("Laplace, b = 2 (G = 0)", losses.Laplace(scale=2.0), 0.0, 1.0, 1 / 4, 0.0)
_row(
    "Student's t, ν = 4, s = 1.3 (not equal)",
    losses.StudentT(degrees=4.0, scale=1.3),
    0.0,
    3.0,
    5 / (7 * 1.69),
    5 * (4 * 1.69 - 9) / (4 * 1.69 + 9) ** 2,
)
_row("Cauchy, s = 1 (not equal)", losses.Cauchy(), 0.0, 2.0, 1 / 2, 2 * (1 - 4) / (1 + 4) ** 2)
_row("Huber as a density, δ = 1 (not equal)", losses.Huber(threshold=1.0), 0.0, 0.5, 0.58518, 1.0, 5e-6)
_row("Huber as a density, δ = 1.345 (not equal)", losses.Huber(threshold=1.345), 0.0, 2.0, 0.77380, 0.0, 5e-6)
_row("Logistic, unit scale (not equal)", losses.Logistic(), 0.0, 1.0, 1 / 3, 2 * _sigmoid(1.0) * _sigmoid(-1.0))


def _gaussian(parametrization: Any, a: float, b: float, y: float) -> tuple[Tensor, Tensor]:
    return _both(losses.GaussianNLL(parametrization=parametrization), (a, b), tensor(y)[:, None])


@stop.claim("Gaussian (μ, v), v = 2, r = 3: F_R = diag(1/v, 1/(2v²))", "§9.2")
def variance_fisher() -> Outcome:
    return near(_gaussian("variance", 0.0, 2.0, 3.0)[0], (0.5, 0, 0, 0.125), _ROUNDING)


@stop.claim("Gaussian (μ, v), v = 2, r = 3: H_L = [[1/v, r/v²], [·, r²/v³ − 1/(2v²)]]", "§9.2")
def variance_hessian() -> Outcome:
    return near(_gaussian("variance", 0.0, 2.0, 3.0)[1], (0.5, 0.75, 0.75, 1.0), _ROUNDING)


@stop.claim("Gaussian (μ, v), v = 2: det H_L = −1/(2v³), always indefinite", "§9.2")
def variance_determinant() -> Outcome:
    return near(torch.linalg.det(_gaussian("variance", 0.0, 2.0, 3.0)[1]), -1 / 16, _ROUNDING)


@stop.claim("Gaussian (μ, s = log v), s = 0.5, r = 1: F_R = diag(e^−s, ½)", "§9.2")
def log_variance_fisher() -> Outcome:
    return near(_gaussian("log-variance", 0.0, 0.5, 1.0)[0], (math.exp(-0.5), 0, 0, 0.5), _ROUNDING)


@stop.claim("Gaussian (μ, s = log v), s = 0.5, r = 1: det H_L = −½ r² e^(−2s)", "§9.2")
def log_variance_determinant() -> Outcome:
    hessian = _gaussian("log-variance", 0.0, 0.5, 1.0)[1]
    return near(torch.linalg.det(hessian), -0.5 * math.exp(-1.0), _ROUNDING)


@stop.claim("Gaussian, natural parameters, μ = 1, v = 2: F_R = [[v, 2μv], [·, 4μ²v + 2v²]]", "§9.2")
def natural_fisher() -> Outcome:
    return near(_gaussian("natural", 0.5, -0.25, 3.0)[0], (2, 4, 4, 16), _ROUNDING)


@stop.claim("Gaussian, natural parameters: H_L is F_R, whatever y; largest difference", "§9.2")
def natural_hessian() -> Outcome:
    fisher, hessian = _gaussian("natural", 0.5, -0.25, 3.0)
    return near(gap(hessian, fisher), 0, _ROUNDING)


_PROBABILITIES = (0.2, 0.3, 0.5)
_LOGITS = tuple(math.log(p) for p in _PROBABILITIES)
_LABEL = torch.tensor([1])


@stop.claim("Softmax logits, p = (.2, .3, .5): F_R = H_L = diag(p) − ppᵀ; largest difference of both", "§9.2")
def softmax_logits() -> Outcome:
    p = tensor(*_PROBABILITIES)
    expected = torch.diag(p) - torch.outer(p, p)
    both = _both(losses.SoftmaxCrossEntropy(), _LOGITS, _LABEL)
    return near(max(gap(matrix, expected) for matrix in both), 0, _ROUNDING)


@stop.claim("Softmax, z = p: the diagonals of F_R = diag(1/p) and of H_L = e_y e_yᵀ/p_y²", "§9.2")
def softmax_probabilities() -> Outcome:
    fisher, hessian = _both(losses.SoftmaxProbabilities(), _PROBABILITIES, _LABEL)
    measured = torch.cat((fisher.diagonal(), hessian.diagonal()))
    return near(measured, (5, 1 / 0.3, 2, 0, 1 / 0.09, 0), _ROUNDING)


@stop.claim("Softmax, z = log p: the diagonals of F_R = diag(p) and of H_L = 0", "§9.2")
def softmax_log_probabilities() -> Outcome:
    fisher, hessian = _both(losses.SoftmaxLogProbabilities(), _LOGITS, _LABEL)
    return near(torch.cat((fisher.diagonal(), hessian.diagonal())), (*_PROBABILITIES, 0, 0, 0), _ROUNDING)


# What is left where H_L depends on y: F_R is its mean over the model's labels.


def _mean_over_labels(loss: Any, z: float, labels: Tensor, weights: Tensor | None = None) -> float:
    """E[H_L] under r(· | z) ∝ e^(−L), by a sum over labels (n,) or by quadrature with these weights; over F_R."""
    outputs, y = torch.full_like(labels, z)[:, None], labels[:, None]
    density = (-loss.per_case(outputs, y)).exp() * (1 if weights is None else weights)
    mean = (density * loss.hessian(outputs, y)[:, 0, 0]).sum() / density.sum()
    return float(mean / _both(loss, (z,), y[:1])[0])


@stop.claim("Bernoulli with z = p, probit: H_L averaged over the model's labels, over F_R", "§9.2")
def mean_over_yes_and_no() -> Outcome:
    labels = tensor(0.0, 1.0)
    rows = ((losses.BernoulliProbability(), 0.3), (losses.Probit(), 0.4))
    return near([_mean_over_labels(loss, z, labels) for loss, z in rows], (1, 1), 1e-8)


@stop.claim("Student's t, Cauchy, logistic: H_L averaged over the model's labels by quadrature, over F_R", "§9.2")
def mean_over_real_labels() -> Outcome:
    """The trapezoid rule in s of y = sinh s, whose errors vanish exponentially."""
    s = torch.linspace(-20, 20, 4001).double()
    rows = (losses.StudentT(degrees=4.0, scale=1.3), losses.Cauchy(), losses.Logistic())
    return near([_mean_over_labels(loss, 0.0, s.sinh(), s.cosh()) for loss in rows], (1, 1, 1), 1e-6)


@stop.claim(
    "torch's MSELoss over C = 4 outputs: its value over that of squared error with σ² = C/2, and F of each output",
    "§9.2",
)
def mean_squared_error_of_torch() -> Outcome:
    z, y = torch.zeros(1, 4).double(), drawn(1, 4)
    loss = losses.SquaredError(variance=2.0)
    same = float(nn.functional.mse_loss(z, y)) / float(loss.per_case(z, y))
    return near((same, float(_both(loss, (0.0,), y[:, :1])[0])), (1, 0.5), 1e-10)


# The split between network and loss, moved by hand.


def _split(link: list[nn.Module], loss: Any) -> ngx.Objective:
    """The same classifier each time: what `link` does is moved from the loss into the network."""
    return ngx.Objective(nn.Sequential(*mlp(3, 4, 3), *link), loss, drawn(7, 3, seed=2), torch.arange(7) % 3)


def _dense(kind: type[ngx.curvature.Curvature], objective: ngx.Objective) -> Tensor:
    return kind(objective, objective.initial_parameters).dense()


@stop.claim("A classifier split at its logits: G is the Fisher; largest difference", "§9.2")
def split_at_logits() -> Outcome:
    objective = _split([], losses.SoftmaxCrossEntropy())
    return near(gap(_dense(GaussNewton, objective), _dense(Fisher, objective)), 0, 1e-10)


@stop.claim("A classifier split at its probabilities: G is the empirical Fisher; largest difference", "§9.2")
def split_at_probabilities() -> Outcome:
    objective = _split([nn.Softmax(1)], losses.SoftmaxProbabilities())
    return near(gap(_dense(GaussNewton, objective), _dense(EmpiricalFisher, objective)), 0, 1e-10)


@stop.claim("A classifier split at its log-probabilities: G is 0; its largest entry", "§9.2")
def split_at_log_probabilities() -> Outcome:
    objective = _split([nn.LogSoftmax(1)], losses.SoftmaxLogProbabilities())
    return near(_dense(GaussNewton, objective).abs().max(), 0, 1e-14)


@stop.claim("A classifier split at any of the three: F is the same; largest difference", "§9.2")
def fisher_does_not_see_the_split() -> Outcome:
    one = _dense(Fisher, _split([], losses.SoftmaxCrossEntropy()))
    others = (
        _split([nn.Softmax(1)], losses.SoftmaxProbabilities()),
        _split([nn.LogSoftmax(1)], losses.SoftmaxLogProbabilities()),
    )
    return near(max(gap(_dense(Fisher, objective), one) for objective in others), 0, 1e-10)


class WholeNetwork(losses.Loss, frozen=True, kw_only=True, tag="whole-network"):
    """A softmax classifier with all of its network in the loss: its "outputs" are θ, its "targets" cases and labels."""

    title: ClassVar[str] = "Whole network"
    natural: ClassVar[bool] = False
    convex: ClassVar[bool] = False
    module: ClassVar[nn.Module] = mlp(3, 4, 3)

    def check(self, y: Tensor, z: Tensor) -> None:
        """Anything that the network takes."""

    def _one(self, theta: Tensor, y: Tensor) -> Tensor:
        named = [(name, p.shape, p.numel()) for name, p in self.module.named_parameters()]
        parts = theta.split([size for *_, size in named])
        views = {name: part.view(shape) for (name, shape, _), part in zip(named, parts, strict=True)}
        logits = torch.func.functional_call(self.module, views, (y[None, :-1],))[0]
        return torch.logsumexp(logits, 0) - logits.gather(0, y[-1:].long())[0]

    def per_case(self, z: Tensor, y: Tensor) -> Tensor:
        values: Tensor = torch.func.vmap(self._one)(z, y)
        return values

    def gradient(self, z: Tensor, y: Tensor) -> Tensor:
        slopes: Tensor = torch.func.vmap(torch.func.grad(self._one))(z, y)
        return slopes

    def hessian(self, z: Tensor, y: Tensor) -> Tensor:
        bends: Tensor = torch.func.vmap(torch.func.jacrev(torch.func.grad(self._one)))(z, y)
        return bends


@stop.claim("A classifier with all of its network in the loss: G is the Hessian; largest difference", "§9.2")
def split_before_the_network() -> Outcome:
    usual = _split([], losses.SoftmaxCrossEntropy())
    inputs: Any = usual.inputs
    cases = torch.cat((inputs, usual.targets[:, None].double()), 1)
    whole = ngx.Objective(Output(*usual.initial_parameters.tolist()), WholeNetwork(), inputs, cases)
    return near(gap(_dense(GaussNewton, whole), _dense(Hessian, usual)), 0, 1e-10)

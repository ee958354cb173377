"""What is refused, and that the message names what came and what is accepted."""

import copy

import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.curvature import (
    EKFAC,
    KFAC,
    Diagonal,
    EmpiricalFisher,
    Fisher,
    Hessian,
    LayerDiagonal,
    MonteCarloFisher,
)
from ngexplorer.objectives.losses import Quadratic, SquaredError


@pytest.fixture
def matrix(matrix_of, problem):
    case = problem("softmax logits", "mlp")
    return matrix_of(case.objective, case.theta)


def test_vectors_of_another_shape(matrix):
    size = len(matrix.point.theta)
    for shape in ((size + 1,), (1,)):
        with pytest.raises(ValueError, match=rf"v: shape \({shape[0]},\); .* takes \({size},\)"):
            matrix.matvec(torch.zeros(shape, dtype=torch.float64))
        with pytest.raises(ValueError, match=rf"v: shape \({shape[0]},\)"):
            matrix @ torch.zeros(shape, dtype=torch.float64)
        with pytest.raises(ValueError, match=rf"b: shape \({shape[0]},\); .* takes \({size},\)"):
            matrix.solve(torch.zeros(shape, dtype=torch.float64), 1.0)
    with pytest.raises(ValueError, match=rf"v: shape \({size}, 1\)"):
        matrix.matvec(torch.zeros(size, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match=rf"b: shape \({size}, 1\)"):
        matrix.solve(torch.zeros(size, 1, dtype=torch.float64), 1.0)
    for wrong in ((3, size), (size,), (size, 2, 2)):
        with pytest.raises(ValueError, match=rf"vectors: shape .*; .* takes \({size}, K\)"):
            matrix.matmat(torch.zeros(wrong, dtype=torch.float64))
    with pytest.raises(ValueError, match="vectors: shape"):
        matrix @ torch.zeros(3, size, dtype=torch.float64)


def test_settings_out_of_range(matrix):
    with pytest.raises(ValueError, match="probes: 0; a whole number ≥ 1, or None for the exact trace, is accepted"):
        matrix.trace(probes=0)
    with pytest.raises(ValueError, match="k: 0; a whole number from 1 to"):
        matrix.top_eigenpairs(0)
    with pytest.raises(ValueError, match="probes, steps: 0, 30; whole numbers ≥ 1 are accepted"):
        matrix.spectral_density(probes=0)


def test_a_theta_of_another_shape_or_dtype(exact, problem):
    case = problem("softmax logits", "mlp")
    for wrong in (case.theta[1:], case.theta.float()):
        with pytest.raises(ValueError, match=r"theta: shape .* this objective takes"):
            exact(case.objective, wrong)


@pytest.mark.parametrize("samples", [0, -3])
def test_no_samples(samples, problem):
    case = problem("softmax logits", "mlp")
    with pytest.raises(ValueError, match=rf"samples: {samples}; a whole number ≥ 1 of labels a case is accepted"):
        MonteCarloFisher(case.objective, case.theta, samples=samples)


@pytest.mark.parametrize(
    ("kind", "setting", "accepted"),
    [
        (KFAC, {"labels": "x"}, "labels: 'x'; one of sampled, exact, training is accepted"),
        (KFAC, {"sharing": "x"}, "sharing: 'x'; one of expand, reduce is accepted"),
        (KFAC, {"tikhonov": "x"}, "tikhonov: 'x'; one of factored, exact is accepted"),
        (EKFAC, {"labels": "x"}, "labels: 'x'; one of sampled, exact, training is accepted"),
        (EKFAC, {"sharing": "x"}, "sharing: 'x'; one of expand, reduce is accepted"),
    ],
)
def test_settings_that_k_fac_does_not_know(kind, setting, accepted, problem):
    case = problem("softmax logits", "mlp")
    with pytest.raises(ValueError, match=accepted):
        kind(case.objective, case.theta, **setting)


def frozen(part):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    getattr(model[0], part).requires_grad_(False)
    return model


class Reused(nn.Module):
    """A layer that is used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.inner = nn.Linear(3, 2).double(), nn.Linear(2, 2).double()

    def forward(self, x):
        return self.inner(torch.tanh(self.inner(self.first(x))))


class Scaled(nn.Module):
    """A parameter of its own beside a layer."""

    def __init__(self):
        super().__init__()
        self.gain, self.layer = nn.Parameter(torch.ones(2).double()), nn.Linear(3, 2).double()

    def forward(self, x):
        return self.gain * self.layer(x)


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Linear(3, 2)).double()
    model[2].weight = model[0].weight
    return model


UNFIT = {
    "layer norm": (lambda: nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2)).double(), "'1' is a LayerNorm"),
    "tied": (tied, "Linear"),
    "used twice": (Reused, "layer 'inner' is used twice"),
    "frozen weight": (lambda: frozen("weight"), "Linear"),
    "frozen bias": (lambda: frozen("bias"), "Linear"),
    "a parameter of its own": (Scaled, "Scaled"),
    "groups": (
        lambda: nn.Sequential(nn.Unflatten(1, (3, 1, 1)), nn.Conv2d(3, 3, 1, groups=3), nn.Flatten()).double(),
        "Conv2d",
    ),
}


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
@pytest.mark.parametrize("name", UNFIT)
def test_networks_that_k_fac_does_not_take(kind, name, vectors):
    make, text = UNFIT[name]
    model, x = make(), vectors(4, 3)
    with torch.no_grad():
        outputs = model(x).shape[1]
    objective = ngx.Objective(model, SquaredError(), x, vectors(4, outputs, seed=1))
    with pytest.raises(ValueError, match=text) as caught:
        kind(objective, objective.initial_parameters)
    message = str(caught.value)
    assert message.startswith(f"{kind.title}: model: ")
    assert "accepted" in message
    assert "\n" not in message
    # The others are there all the same.
    assert torch.isfinite(Fisher(objective, objective.initial_parameters)._diagonal()).all()
    assert torch.isfinite(EmpiricalFisher(objective, objective.initial_parameters)._diagonal()).all()


def saddle():
    model, x = nn.Linear(2, 2).double(), torch.ones(3, 2, dtype=torch.float64)
    return ngx.Objective(model, Quadratic(), x, torch.zeros(3, 2, dtype=torch.float64))


@pytest.mark.parametrize("kind", [Fisher, MonteCarloFisher, KFAC, EKFAC])
def test_matrices_that_need_labels_where_no_density_has_any(kind):
    """E26: at once, when they are made."""
    objective = saddle()
    with pytest.raises(ValueError, match="is not the negative log of a density") as caught:
        kind(objective, objective.initial_parameters)
    message = str(caught.value)
    assert message.startswith(f"{kind.title}: Quadratic (no density)")
    assert "Hessian, GaussNewton and EmpiricalFisher are accepted" in message
    assert "\n" not in message


def test_exact_labels_are_no_way_round():
    objective = saddle()
    with pytest.raises(ValueError, match="density"):
        KFAC(objective, objective.initial_parameters, labels="exact")


def test_a_model_whose_second_derivatives_are_wrong_has_no_hessian(problem):
    case = problem("softmax logits", "mlp")
    objective = copy.copy(case.objective)
    objective.hessian_refusal = "its second derivatives are wrong"
    with pytest.raises(ValueError, match="Hessian: its second derivatives are wrong"):
        Hessian(objective, case.theta)
    assert Fisher(objective, case.theta).dense().shape == (len(case.theta),) * 2


def test_parts_name_the_matrix_they_are_of(given, vectors):
    matrix = given(-torch.eye(3).double())
    for form in (LayerDiagonal(matrix), Diagonal(matrix)):
        with pytest.raises(ArithmeticError, match=f"{form.title} of the given"):
            form.solve(vectors(3), 0.5)


def test_a_layer_that_is_never_used(vectors):
    """Its gradients are zero, and no K-FAC has a block for it."""

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 2).double(), nn.Linear(2, 2).double()

        def forward(self, x):
            return self.used(x)

    objective = ngx.Objective(Idle(), SquaredError(), vectors(4, 3), vectors(4, 2))
    assert Fisher(objective, objective.initial_parameters).dense().shape == (14, 14)
    with pytest.raises(
        ValueError, match="K-FAC matrix: model: layer 'idle' is not used; layers used once are accepted"
    ):
        KFAC(objective, objective.initial_parameters)

"""Long work can be stopped, leaves nothing half done, and tells how far it is."""

import pytest
import torch

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled, Watch
from ngexplorer.curvature import Fisher, GaussNewton, Hessian, LayerDiagonal
from ngexplorer.objectives.losses import SoftmaxCrossEntropy

# What is long, by name: each takes a matrix of more parameters than go at once.
LONG = {
    "dense": lambda m: m.dense(),
    "diagonal": lambda m: m._diagonal(),
    "exact trace": lambda m: m.trace(),
    "stochastic trace": lambda m: m.trace(probes=40),
    "top eigenpairs": lambda m: m.top_eigenpairs(4).values,
    "spectral density": lambda m: m.spectral_density(probes=2, steps=6).nodes,
    "conjugate gradient": lambda m: m._solve_by_products(m.point.gradient, 3.0),
    "eigenvalues": lambda m: m.eigenvalues(),
    "solve": lambda m: m.solve(m.point.gradient, 3.0),
}
every_long = pytest.mark.parametrize("work", LONG)


class Countdown:
    """Cancels from the n-th question on; None: never."""

    def __init__(self, left=None):
        self.left, self.asked = left, 0

    def __call__(self):
        self.asked += 1
        return self.left is not None and self.asked > self.left


@pytest.fixture(params=[None, 4], ids=["whole", "chunks"])
def objective(request, mlp, wrapped, vectors):
    """A network that no one can look into, so that its dense matrix takes P = 107 products."""
    y = torch.arange(7) % 3
    return ngx.Objective(wrapped(mlp(9, 8, 3)), SoftmaxCrossEntropy(), vectors(7, 9), y, chunk=request.param)


@every_long
def test_it_stops_where_it_is_told_to(work, objective, close):
    """At the first question, in the middle, and at the last; what is asked again afterwards is computed anew."""
    theta = objective.initial_parameters
    point, asks = objective.at(theta), Countdown()
    point.watch = Watch(cancel=asks)
    expected = LONG[work](Hessian(objective, point))
    assert asks.asked >= 3
    for left in (0, asks.asked // 2, asks.asked - 1):
        point = objective.at(theta)
        point.watch = Watch(cancel=Countdown(left))
        with pytest.raises(Cancelled):
            LONG[work](Hessian(objective, point))
        point.watch = Watch()
        close(LONG[work](Hessian(objective, point)), expected, rtol=1e-12)


@every_long
def test_it_tells_how_far_it_is(work, problem):
    """From above 0 to 1, never back."""
    case = problem("softmax logits", "mlp", cases=7, wrapped=True)
    seen = []
    LONG[work](Hessian(case.objective, case.objective.at(case.theta, Watch(progress=seen.append))))
    assert seen
    assert seen == sorted(seen)
    assert all(0 <= share <= 1 for share in seen)
    assert seen[-1] == 1


@every_long
def test_it_tells_how_far_it_is_where_cases_go_through_in_chunks(work, problem):
    """Of loops inside each other the outermost tells."""
    case = problem("softmax logits", "mlp", cases=7, wrapped=True, chunk=2)
    seen = []
    point = case.objective.at(case.theta, Watch(progress=seen.append))
    assert seen == sorted(seen)  # the first look, by chunks, is work of its own
    assert seen[-1] == 1
    seen.clear()
    assert torch.isfinite(point.gradient).all()
    seen.clear()
    LONG[work](Hessian(case.objective, point))
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_dense_matrix_by_layers_stops_too(problem):
    case = problem("softmax logits", "mlp")
    point = case.objective.at(case.theta, Watch(cancel=lambda: True))
    for kind in (Hessian, GaussNewton, Fisher):
        with pytest.raises(Cancelled):
            kind(case.objective, point).dense()
    point.watch = Watch()
    assert torch.isfinite(Hessian(case.objective, point).dense()).all()


def test_every_matrix_stops(matrix_of, problem):
    case = problem("softmax logits", "convolutional")
    for work in ("top eigenpairs", "spectral density", "stochastic trace"):
        matrix = matrix_of(case.objective, case.objective.at(case.theta, Watch(cancel=lambda: True)))
        with pytest.raises(Cancelled):
            LONG[work](matrix)


@pytest.mark.parametrize("work", ["top eigenpairs", "spectral density", "stochastic trace", "conjugate gradient"])
def test_loops_ask_by_themselves_where_a_product_does_not(work, given):
    """As with K-FAC, whose products go through no network."""
    asks = Countdown(1)
    matrix = given(torch.diag(torch.arange(1.0, 41.0).double()), Watch(cancel=asks))
    matrix.point.gradient = torch.ones(40, dtype=torch.float64)
    with pytest.raises(Cancelled):
        LONG[work](matrix)
    assert asks.asked == 2


def test_blocks_of_layers_stop(problem, as_large):
    case = problem("softmax logits", "mlp")
    matrix = LayerDiagonal(Hessian(case.objective, case.objective.at(case.theta, Watch(cancel=Countdown(2)))))
    with pytest.raises(Cancelled):
        matrix.blocks()


def test_one_look_in_chunks_stops_as_well(problem):
    case = problem("softmax logits", "mlp", cases=7, chunk=2)
    with pytest.raises(Cancelled):
        case.objective.at(case.theta, Watch(cancel=Countdown(2)))

"""Device and dtype follow the objective: no tensor is made without naming them.

With the meta device as torch's default, a tensor that names no device has no numbers, and meets others with an error.
"""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from ngexplorer.curvature import Fisher, GaussNewton, LayerDiagonal
from ngexplorer.optimizers.catalog import RECIPES


@contextmanager
def nowhere():
    """The default device is meta, and what it was before afterwards."""
    before = torch.get_default_device()
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(before)


METHODS = {
    "matvec": lambda m, v, columns, grid: m @ v,
    "matmat": lambda m, v, columns, grid: m @ columns,
    "diagonal": lambda m, v, columns, grid: m.diagonal(),
    "diagonal without dense": lambda m, v, columns, grid: m._diagonal(),
    "dense": lambda m, v, columns, grid: m.dense(),
    "trace": lambda m, v, columns, grid: m.trace(),
    "stochastic trace": lambda m, v, columns, grid: m.trace(probes=2),
    "eigenvalues": lambda m, v, columns, grid: m.eigenvalues(),
    "eigenpairs": lambda m, v, columns, grid: m.top_eigenpairs(1, tolerance=0.1).vectors,
    "density": lambda m, v, columns, grid: m.spectral_density(2, 2).smoothed(grid, 0.1),
    "solve": lambda m, v, columns, grid: m.solve(v, 100.0),
    "conjugate gradient": lambda m, v, columns, grid: m._solve_by_products(v, 100.0),
    "solve for the gradient": lambda m, v, columns, grid: m.solve_gradient(100.0),
    "scipy": lambda m, v, columns, grid: torch.as_tensor(m.as_scipy() @ v.numpy(), device="cpu"),
    "scipy columns": lambda m, v, columns, grid: torch.as_tensor(m.as_scipy() @ columns.numpy(), device="cpu"),
}


def here(found, dtype):
    return found.device.type == "cpu" and bool(torch.isfinite(found).all()) and found.dtype in (dtype, torch.float64)


def test_nothing_comes_from_the_default_device():
    with nowhere():
        assert torch.ones(1).device.type == "meta"
    assert torch.ones(1).device.type == "cpu"


WAYS = {
    **{name: (name, {}) for name in ("mlp", "convolutional", "residual", "tied", "layer norm")},
    "mlp, float32": ("mlp", {"dtype": torch.float32}),
    "layer norm, float32, chunks": ("layer norm", {"dtype": torch.float32, "chunk": 2}),
    "convolutional, chunks": ("convolutional", {"chunk": 2}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_method_of_every_matrix(way, problem, every_matrix, vectors):
    name, settings = WAYS[way]
    case = problem("softmax logits", name, weight_decay=0.1, **settings)
    objective, theta, dtype = case.objective, case.theta, case.theta.dtype
    v, columns = vectors(len(theta), dtype=dtype), vectors(len(theta), 3, dtype=dtype)
    grid = torch.linspace(0, 1, 4, dtype=dtype)
    takes_all = objective.affine_refusal is None
    with nowhere():
        for name, make in every_matrix.items():
            if "kfac" in name and not takes_all:
                continue
            matrix = make(objective, objective.at(theta))
            for method, run in METHODS.items():
                assert here(run(matrix, v, columns, grid), dtype), (name, method)


def test_every_loss(density_name, problem, every_matrix, vectors):
    case = problem(density_name, "mlp")
    v = vectors(len(case.theta))
    with nowhere():
        point = case.objective.at(case.theta)
        for name, make in every_matrix.items():
            matrix = make(case.objective, point)
            for found in (
                matrix @ v,
                matrix.dense(),
                matrix._diagonal(),
                case.objective.loss.metric(point.outputs, case.objective.targets),
            ):
                assert found.device.type == "cpu", name
            assert torch.isfinite(matrix @ v).all()


def test_sample_space_and_blocks_of_layers(network_name, problem, as_large):
    case = problem("softmax logits", network_name, cases=2, weight_decay=0.1)
    with nowhere():
        for kind in (Fisher, GaussNewton):
            matrix = kind(case.objective, case.theta)
            assert here(matrix.solve_gradient(0.1), torch.float64)
            assert here(LayerDiagonal(matrix).blocks()[0], torch.float64)
            assert here(matrix.solve(case.theta, 0.1), torch.float64)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_step_of_every_recipe(recipe, network_name, problem):
    case = problem("softmax logits", network_name)
    if recipe in ("kfac", "ekfac") and case.objective.affine_refusal:
        with pytest.raises(ValueError, match="accepted here"):
            RECIPES[recipe].start(case.objective).step()
        return
    with nowhere():
        stepper = RECIPES[recipe].start(case.objective)
        stepper.step()
        step = stepper.step()
        assert here(stepper.point.theta, torch.float64)
    assert step.loss_after < step.loss_before or step.outcome.startswith("no step")


def test_a_new_objective_is_where_its_model_is(problem):
    """Built there, too: only the model's and the data's own device count."""
    import ngexplorer as ngx

    case = problem("softmax logits", "layer norm")
    with nowhere():
        objective = ngx.Objective(case.module, case.objective.loss, case.objective.inputs, case.objective.targets)
        assert objective.hessian_refusal is None
        assert here(objective.gradient(objective.initial_parameters), torch.float64)
    assert isinstance(objective.model, nn.Module)

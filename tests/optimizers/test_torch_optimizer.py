"""Optimizers of torch race as they are: the same iterates as alone, imported only when a run starts."""

import numpy as np
import pytest
import torch
from torch import nn

import ngexplorer as ngx
from ngexplorer.cancellation import Cancelled
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.optimizers import make
from ngexplorer.optimizers.torch_optimizer import found, settings_of
from ngexplorer.settings import SettingError


def of(path, settings="", rate=0.05):
    return make("torch-optimizer", learning_rate=rate, curvature={"path": path, "settings": settings})


@pytest.fixture
def objective(mlp, objective_of):
    return objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=20)


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("torch.optim.SGD", "momentum=0.9, nesterov=True"),
        ("torch.optim.AdamW", "weight_decay=0.1"),
        ("torch.optim.RMSprop", ""),
        ("torch.optim.Adagrad", ""),
    ],
)
def test_the_iterates_are_those_of_torch_alone(path, settings, objective):
    module = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    nn.utils.vector_to_parameters(objective.initial_parameters.clone(), module.parameters())
    alone = found(path)(module.parameters(), lr=0.05, **settings_of(settings))
    stepper = of(path, settings).start(objective)
    for _ in range(10):
        alone.zero_grad()
        nn.functional.cross_entropy(module(objective.inputs), objective.targets).backward()
        alone.step()
        record = stepper.step()
        theirs = nn.utils.parameters_to_vector(module.parameters()).detach()
        torch.testing.assert_close(stepper.point.theta, theirs, rtol=1e-12, atol=1e-14)
    assert record.step_gradient_equivalents == pytest.approx(1.0)
    assert np.isnan(record.predicted_change)


@pytest.mark.parametrize(("theirs", "ours"), [("torch.optim.Adam", "adam"), ("torch.optim.SGD", "gradient-descent")])
def test_ours_and_theirs_are_the_same_method(theirs, ours, objective):
    losses = [ngx.run(objective, o, steps=20)["loss"] for o in (of(theirs), make(ours, learning_rate=0.05))]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_a_method_for_matrices_leaves_the_vectors_to_adamw(objective):
    history = ngx.run(objective, of("torch.optim.Muon"), steps=20)
    assert history["solver"][-1] == "torch.optim.Muon for matrices, AdamW for the rest"
    assert history["loss"][-1] < history["loss"][0]


def test_a_method_that_asks_for_the_loss_gets_it_and_pays_for_it(objective):
    history = ngx.run(objective, of("torch.optim.LBFGS", "max_iter=4", rate=1.0), steps=10)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["gradient_equivalents"][-1] > 30


def test_a_scheduled_learning_rate_reaches_it(objective):
    optimizer = make(
        "torch-optimizer",
        learning_rate=0.1,
        curvature={"path": "torch.optim.SGD"},
        step={"name": "schedule", "shape": "cosine", "steps": 4},
    )
    history = ngx.run(objective, optimizer, steps=5)
    steps = history["step_norm"][1:] / history["gradient_norm"][1:]
    np.testing.assert_allclose(steps, 0.05 * (1 + np.cos(np.pi * np.arange(5) / 4)), atol=1e-12)


def test_a_cancelled_step_is_taken_once(objective):
    whole, broken = (of("torch.optim.Adam").start(objective) for _ in range(2))
    for k in range(6):
        whole.step()
        if k % 2:
            with pytest.raises(Cancelled):
                broken.step(lambda: True)
        broken.step()
    assert torch.equal(whole.point.theta, broken.point.theta)


def test_nothing_is_imported_before_a_run_starts(objective):
    optimizer = of("no_such_package.Optimizer")
    with pytest.raises(SettingError, match=r"curvature.path: 'no_such_package.Optimizer' cannot be imported"):
        optimizer.start(objective).step()


@pytest.mark.parametrize(
    ("path", "settings", "message"),
    [
        ("torch.optim.Nope", "", "there is no 'Nope' in torch.optim"),
        ("torch.nn.Linear", "", "'torch.nn.Linear' is no torch.optim.Optimizer"),
        ("torch.optim.SGD", "foo=1", "unexpected keyword argument 'foo'"),
        ("torch.optim.SGD", "momentum=-1.0", "Invalid momentum value"),
        ("torch.optim.SGD", "momentum", "names and values such as"),
        ("torch.optim.SGD", "momentum=__import__('os')", "names and values such as"),
        ("torch.optim.SGD", "**{}", "names and values such as"),
        ("torch.optim.SGD", "momentum=0.9) or (1", "names and values such as"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(path, settings, message, objective):
    with pytest.raises(SettingError) as caught:
        of(path, settings).start(objective).step()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"curvature": {"path": "no dots"}},
        {"momentum": "heavy-ball"},
        {"step": "wolfe"},
        {"damping": "constant"},
        {"solver": "cholesky"},
        {"correction": "midpoint"},
    ],
)
def test_parts_that_it_has_no_use_for_are_refused(settings):
    with pytest.raises(SettingError):
        make("torch-optimizer", **settings)

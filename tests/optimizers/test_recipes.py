"""Every recipe of the catalog on a table of problems: what all of them promise, in one test."""

import math

import msgspec
import pytest
import torch

from ngexplorer.cancellation import Cancelled
from ngexplorer.optimizers import RECIPES, make, parts
from ngexplorer.optimizers.step import PROBED

# Steps to the minimum of a convex problem, and the gap in h left then: (quadratic of condition 100, logistic).
CONVERGED = {
    "gradient-descent": ((400, 1e-5), (400, 1e-8)),
    "heavy-ball": ((170, 1e-8), (190, 1e-8)),
    "nesterov": ((130, 1e-8), (130, 1e-8)),
    "adagrad": ((400, 1e-2), (400, 1e-2)),
    "rmsprop": ((400, 1e-2), (250, 1e-8)),
    "adam": ((400, 1e-2), (400, 1e-6)),
    "l-bfgs": ((18, 1e-8), (8, 1e-8)),
    "newton": ((12, 1e-8), (11, 1e-8)),
    "saddle-free-newton": ((7, 1e-8), (6, 1e-8)),
    "trust-region-newton": ((3, 1e-8), (4, 1e-8)),
    "cubic-newton": ((5, 1e-8), (5, 1e-8)),
    "gauss-newton": ((12, 1e-8), (11, 1e-8)),
    "hessian-free": ((12, 1e-8), (11, 1e-8)),
    "natural-gradient": ((12, 1e-8), (11, 1e-8)),
    "natural-gradient-sampled": ((60, 1e-8), (15, 1e-8)),
    "natural-gradient-empirical": ((90, 1e-8), (15, 1e-8)),
    "natural-gradient-minimum-norm": ((15, 1e-8), (14, 1e-8)),
    "natural-gradient-geodesic": ((95, 1e-8), (90, 1e-8)),
    "natural-gradient-midpoint": ((100, 1e-8), (90, 1e-8)),
    "kfac": ((12, 1e-8), (11, 1e-8)),
    "ekfac": ((12, 1e-8), (11, 1e-8)),
    "torch-optimizer": ((400, 1e-1), (400, 1e-2)),  # AdamW, whose weight decay moves the minimum
}
STEPS = {"rosenbrock": 25, "beale": 25, "two moons": 25, "saddle": 8}
PROBLEMS = ["quadratic", "logistic", *STEPS]

MODEL = {"predicted_change", "predicted_change_damped", "damping", "step_norm_curvature", "curvature_along_step"}
ALWAYS = {"loss_before", "loss_after", "learning_rate", "step_norm", "gradient_norm", "step_gradient_equivalents"}
ROUNDING = 16 * torch.finfo(torch.float64).eps


@pytest.fixture(scope="module")
def minima(problems):
    found = {}
    for name in ("quadratic", "logistic"):
        stepper = make("newton").start(problems[name])
        for _ in range(40):
            stepper.step()
        found[name] = float(stepper.point.value)
    return found


def never_rises(optimizer):
    """Whether the rules reject or search, so that no step raises the loss."""
    rejects = isinstance(optimizer.damping, parts.LevenbergMarquardt | parts.TrustRegion | parts.Cubic)
    return rejects or isinstance(optimizer.step, parts.Armijo | parts.Wolfe)


def refused(name, problem):
    """What the one line says where a method cannot be used with a problem."""
    if name in ("kfac", "ekfac") and problem in ("rosenbrock", "beale", "saddle"):
        return "Linear and Conv2d layers are accepted"
    fisher = name.startswith("natural") and name != "natural-gradient-empirical"
    return "is not the negative log of a density" if fisher and problem == "saddle" else ""


def absent(optimizer, step, first):
    """The columns that must be NaN, and those that may be."""
    must, may = set(PROBED), {"reduction_ratio", "lowest_eigenvalue"}  # ρ is not said within rounding
    if not optimizer.second_order:
        must |= {"solver_iterations", "solver_residual", "lowest_eigenvalue", "damping", "predicted_change_damped"}
        if not isinstance(optimizer.curvature, parts.LimitedMemory):
            must |= MODEL | {"reduction_ratio"}
    elif not isinstance(optimizer.solver, parts.ConjugateGradient):
        must |= {"solver_iterations", "solver_residual"}
    if isinstance(optimizer.momentum, parts.NoMomentum) or (first and isinstance(optimizer.step, parts.ModelMinimum)):
        must.add("momentum")
    if not isinstance(optimizer.damping, parts.TrustRegion | parts.Cubic) and not step.rejected_trials:
        must.add("lowest_eigenvalue")
    if step.step_norm == 0:
        must |= {"angle", "curvature_along_step"}
    if step.gradient_norm == 0:
        may.add("solver_residual")
    if step.curvature_along_step < 0:
        must.add("step_norm_curvature")
    return must, may


def check_record(optimizer, step, first):
    """A number in every column that there is for this method, NaN in every other."""
    assert step.step_gradient_equivalents > 0
    assert step.step_seconds > 0
    columns = {key: value for key, value in msgspec.structs.asdict(step).items() if isinstance(value, float)}
    missing = {key for key, value in columns.items() if value != value}
    if step.outcome.startswith("no step"):
        assert step.rejected_trials > 0
        assert step.loss_after == step.loss_before
        assert {"step_norm", "angle", "predicted_change", "learning_rate"} <= missing
        return
    must, may = absent(optimizer, step, first)
    assert must <= missing <= must | may
    assert not missing & ALWAYS


def numbers(step):
    """All columns but the seconds, NaN as text so that equal is equal."""
    columns = msgspec.structs.asdict(step)
    del columns["step_seconds"]
    return {name: repr(value) for name, value in columns.items()}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_keeps_its_promises_on_every_problem(name, problem, problems, minima, cancel_after):
    optimizer, objective = RECIPES[name], problems[problem]
    stepper, twin = (optimizer.start(objective, seed=7) for _ in range(2))
    message = refused(name, problem)
    if message:
        with pytest.raises(ValueError, match=message) as caught:
            stepper.step()
        assert "\n" not in str(caught.value)
        assert torch.equal(stepper.point.theta, objective.initial_parameters)
        return
    convex = problem in minima
    steps, allowed = CONVERGED[name][problem == "logistic"] if convex else (STEPS[problem], math.inf)
    before = float(stepper.point.value)
    for k in range(steps):
        step = stepper.step()
        if not math.isfinite(step.loss_after):
            assert step.outcome.startswith("diverged")
            assert not never_rises(optimizer)
            break

        assert step.loss_before == before
        before = step.loss_after
        assert before == float(stepper.point.value)
        check_record(optimizer, step, first=k == 0)
        if never_rises(optimizer):
            assert step.loss_after <= step.loss_before + ROUNDING * abs(step.loss_before)

        # The same seed, cancelled on the way: the same numbers bit for bit
        if k < 12:
            memory, control, point = twin._memory, twin.control, twin.point
            try:
                again = twin.step(cancel_after(k % 4))
            except Cancelled:
                assert twin._memory is memory
                assert (twin.control, twin.point) == (control, point)
                again = twin.step()
            assert numbers(again) == numbers(step)
            assert torch.equal(twin.point.theta, stepper.point.theta)
            assert twin.control == stepper.control
    if convex:
        assert before - minima[problem] < allowed


def test_another_seed_draws_other_labels(problems):
    """Where labels are drawn, and only there, the seed matters."""
    sampled = {"natural-gradient-sampled", "kfac", "ekfac"}
    for name, optimizer in RECIPES.items():
        ends = []
        for seed in (0, 1):
            stepper = optimizer.start(problems["two moons"], seed=seed)
            for _ in range(2):
                stepper.step()
            ends.append(stepper.point.theta)
        assert torch.equal(*ends) == (name not in sampled), name

"""The solver of a recorded step, gone through once more: it ends where the record says that it did."""

import pytest

import ngexplorer as ngx
from ngexplorer.analysis.step_anatomy import record
from ngexplorer.analysis.step_iterations import step_iterations, used
from ngexplorer.optimizers import make

CG = {"name": "conjugate-gradient", "tolerance": 1e-3}


@pytest.mark.parametrize(
    "optimizer",
    [
        make("natural-gradient", solver=CG),
        make("hessian-free"),
        make("natural-gradient-sampled", solver=CG),
        make("gauss-newton", solver=CG, momentum={"name": "heavy-ball", "coefficient": 0.5}),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_it_ends_where_the_record_says(digits, finest, optimizer):
    history = ngx.run(digits, optimizer, steps=4, seed=3)
    for number in range(1, 5):
        step = record(history, number)
        assert used(step)
        found = finest(step_iterations(digits, optimizer, history, number))
        assert found.stop == step.solver_iterations
        assert step.solver == f"conjugate gradient: {found.reason}"
        if not getattr(optimizer.solver, "backtrack", False):
            assert found.residuals[-1] == pytest.approx(step.solver_residual, rel=1e-5)
            if optimizer.name == "natural-gradient":  # δ = d
                assert found.undamped[-1] == pytest.approx(step.predicted_change, rel=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (make("newton"), "not solved for"),
        (make("natural-gradient", solver=CG, batches={"name": "mini-batch", "size": 100}), "batch"),
        (make("natural-gradient", solver=CG, curvature={"refresh": 2}), "earlier step"),
        (make("natural-gradient", solver=CG, curvature={"decay": 0.9}), "running average"),
        (make("natural-gradient", solver=CG, averaging={"name": "polyak"}), "average of the iterates"),
    ],
    ids=["dense", "batches", "refresh", "decay", "averaging"],
)
def test_what_the_record_does_not_hold_is_said(digits, optimizer, reason):
    history = ngx.run(digits, optimizer, steps=2)
    with pytest.raises(ValueError, match=reason):
        list(step_iterations(digits, optimizer, history, 2))


def test_of_a_theta_that_is_no_longer_kept_there_is_nothing_to_see(digits):
    optimizer = make("natural-gradient", solver=CG)
    history = ngx.run(digits, optimizer, steps=4)
    history.snapshots._kept = history.snapshots._kept[::2]
    with pytest.raises(ValueError, match="θ of step 3 is no longer kept"):
        list(step_iterations(digits, optimizer, history, 4))
    assert list(step_iterations(digits, optimizer, history, 3))

"""Running averages of curvature matrices: the recursion by hand, in every form, with every solver there is for them."""

import pytest
import torch

from ngexplorer import curvature
from ngexplorer.cancellation import Cancelled
from ngexplorer.objectives.losses import SoftmaxCrossEntropy
from ngexplorer.optimizers import make, parts
from ngexplorer.settings import SettingError

SOME = {"name": "mini-batch", "size": 8, "curvature": 6}
DAMPING = {"name": "constant", "value": 0.5}
MATRICES = {
    "hessian": curvature.Hessian,
    "gauss-newton": curvature.GaussNewton,
    "fisher": curvature.Fisher,
    "empirical-fisher": curvature.EmpiricalFisher,
    "monte-carlo-fisher": curvature.MonteCarloFisher,
}


@pytest.fixture
def objective(mlp, objective_of):
    return objective_of(mlp(3, 5, 3), SoftmaxCrossEntropy(), cases=24, weight_decay=0.01)


def masked(dense, form, objective):
    """What a form keeps of a dense matrix."""
    if form == "whole":
        return dense
    if form == "diagonal":
        return torch.diag(dense.diagonal())
    kept = torch.zeros_like(dense)
    for layer in objective.layers:
        kept[layer, layer] = dense[layer, layer]
    return kept


def dense_at(kind, stepper, theta, count, seed=3):
    """The matrix of the step of that count, of its own cases and with its own labels."""
    part = stepper.objective.batch(stepper._cases(6, 2 * count + 1))
    drawn = {"seed": seed * 1_000_003 + count} if kind is curvature.MonteCarloFisher else {}
    return kind(part, theta, **drawn).dense()


def averaging(name, form="whole", decay=0.9, **settings):
    return make(
        "natural-gradient",
        curvature={"name": name, "form": form, "decay": decay, "refresh": settings.pop("refresh", 1)},
        **({"damping": DAMPING, "batches": SOME} | settings),
    )


@pytest.mark.parametrize("decay", [0.3, 0.9])
@pytest.mark.parametrize("form", ["whole", "layers", "diagonal"])
@pytest.mark.parametrize("name", MATRICES)
def test_steps_are_solved_with_the_average_of_the_matrices_seen(name, form, decay, objective):
    """B̄_k = εB̄_{k−1} + (1 − ε)B_k with ε = min(1 − 1/k, decay): at first the plain mean, without a bias to correct."""
    damping = DAMPING if name != "hessian" else DAMPING | {"value": 2.0}
    eye = torch.eye(objective.parameters).double() * damping["value"]
    stepper, average = averaging(name, form, decay, damping=damping).start(objective, seed=3), None
    for k in range(1, 6):
        theta = stepper.point.theta
        fresh = masked(dense_at(MATRICES[name], stepper, theta, k), form, objective)
        share = min(1 - 1 / k, decay)
        average = fresh if average is None else share * average + (1 - share) * fresh
        gradient = objective.batch(stepper._cases(8, 2 * k)).gradient(theta)
        step = stepper.step()
        delta = stepper.point.theta - theta
        torch.testing.assert_close(delta, -torch.linalg.solve(average + eye, gradient), rtol=1e-9, atol=1e-12)
        bend = float(delta @ average @ delta)
        assert step.predicted_change == pytest.approx(float(gradient @ delta) + 0.5 * bend, rel=1e-8)
        assert step.curvature_along_step == pytest.approx(bend / float(delta @ delta), rel=1e-7)


def test_an_average_of_equal_matrices_is_that_matrix(least_squares):
    """A quadratic's Hessian is the same everywhere, so that the average changes no step, whatever its weights."""
    objective = least_squares([0.5, 1.0, 2.0, 4.0])
    ends = []
    for decay in (0.0, 0.6, 0.99):
        stepper = make("newton", damping=DAMPING, curvature={"decay": decay}).start(objective)
        for _ in range(5):
            stepper.step()
        ends.append(stepper.point.theta)
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ends[2], ends[0], rtol=1e-12, atol=1e-14)


def test_only_matrices_that_are_looked_at_are_averaged(objective):
    """Every third step looks; in between the average serves as it is."""
    stepper, average = averaging("fisher", refresh=3).start(objective, seed=3), None
    for k in range(1, 8):
        theta = stepper.point.theta
        if k % 3 == 1:
            fresh, looks = dense_at(curvature.Fisher, stepper, theta, k), (k + 2) // 3
            share = min(1 - 1 / looks, 0.9)
            average = fresh if average is None else share * average + (1 - share) * fresh
        gradient = objective.batch(stepper._cases(8, 2 * k)).gradient(theta)
        stepper.step()
        expected = -torch.linalg.solve(average + 0.5 * torch.eye(len(theta)).double(), gradient)
        torch.testing.assert_close(stepper.point.theta - theta, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", ["whole", "layers", "diagonal"])
@pytest.mark.parametrize("solver", ["cholesky", "eigendecomposition", "conjugate-gradient", "auto"])
def test_every_solver_solves_with_the_average(solver, form, objective):
    settings = {"name": solver, "tolerance": 1e-12} if solver == "conjugate-gradient" else solver
    found = []
    for one in ("cholesky", settings):
        stepper = averaging("fisher", form, solver=one).start(objective, seed=3)
        for _ in range(4):
            step = stepper.step()
        found.append(stepper.point.theta)
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-10)
    if (solver, form) == ("auto", "whole"):
        assert step.solver == "cholesky (automatic: a running average is a dense matrix)"


@pytest.mark.parametrize("damping", ["trust-region", "cubic", "levenberg-marquardt"])
def test_rules_that_try_again_try_with_the_same_average(damping, objective):
    stepper = averaging("fisher", damping=damping, batches="all").start(objective, seed=3)
    before = float(stepper.point.value)
    for k in range(1, 7):
        stepper.step()
        assert stepper._memory.looks == k
    assert float(stepper.point.value) < before


def test_a_cancelled_step_is_in_no_average(objective):
    whole, broken = (averaging("monte-carlo-fisher", refresh=2).start(objective, seed=1) for _ in range(2))
    for _ in range(5):
        record = whole.step()
        with pytest.raises(Cancelled):
            broken.step(lambda: True)
        assert broken.step().step_gradient_equivalents == pytest.approx(record.step_gradient_equivalents)
        assert torch.equal(whole.point.theta, broken.point.theta)


def test_an_edit_of_the_curvature_begins_another_average(objective):
    stepper = averaging("fisher").start(objective)
    stepper.step()
    stepper.edit("curvature.form", "diagonal")
    assert stepper.step().outcome == "accepted"
    assert stepper._memory.looks == 1


def test_blocks_of_a_large_model_are_averaged_without_its_dense_matrix(objective, monkeypatch):
    """Where P is too large for P × P numbers, its layers' blocks and its diagonal are still small."""
    expected = []
    for large in (False, True):
        if large:
            for module in (curvature.base, parts.Auto):
                attribute = "LARGEST_FACTORIZED" if module is curvature.base else "largest_dense"
                monkeypatch.setattr(module, attribute, 25)
        for form in ("layers", "diagonal"):
            stepper = averaging("fisher", form).start(objective, seed=3)
            for _ in range(3):
                stepper.step()
            expected.append(stepper.point.theta)
    for small, found in zip(expected[:2], expected[2:], strict=True):
        torch.testing.assert_close(found, small, rtol=1e-10, atol=1e-12)
    with pytest.raises(SettingError, match=r"curvature.decay: the running average of the whole matrix .* n ≤ 25; here"):
        averaging("fisher").start(objective).step()
    monkeypatch.setattr(parts.Auto, "largest_dense", 10)
    with pytest.raises(
        SettingError, match=r"of a layer's block .*here n is 20: form = diagonal, or decay = 0"
    ) as caught:
        averaging("fisher", "layers").start(objective).step()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "sample-space"}, "^solver: a running average is of the cases of many points"),
        ({"correction": "geodesic"}, "^correction: the geodesics are those of the Fisher metric, not of its running"),
        ({"decay": 1.0}, "^curvature.decay: 1.0 is not accepted; a number < 1 is needed"),
    ],
)
def test_what_does_not_go_with_an_average_is_said(settings, message):
    with pytest.raises(SettingError, match=message):
        averaging("fisher", **settings)

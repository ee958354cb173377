"""A step in words: what the sentence says is what the record says."""

import math

import pytest

import ngexplorer as ngx
from ngexplorer.analysis.step_anatomy import anatomy, next_damping, record
from ngexplorer.optimizers import Step, make, parts


def a_step(**changed):
    settings = {
        "loss_before": 0.5,
        "loss_after": 0.379,
        "predicted_change": -0.143,
        "reduction_ratio": 0.121 / 0.143,
        "damping": 0.198,
        "step_norm": 1.234,
        "angle": 41.6,
        "outcome": "accepted",
        **changed,
    }
    return Step(**settings)


def test_the_sentence_of_a_trusted_step():
    step = a_step(
        solver_iterations=23.0,
        solver="conjugate gradient: relative progress",
        rejected_trials=1,
        outcome="accepted after: loss rose",
    )
    assert anatomy(step, make("hessian-free")).words == (
        "promised −0.143, got −0.121, ρ = 0.85",
        "model trusted, λ 0.198 → 0.132",
        "23 CG iterations, stopped by relative progress",
        "one trial rejected: loss rose",
        "‖δ‖ = 1.23, 42° from −∇h",
    )


@pytest.mark.parametrize(
    ("ratio", "said", "factor"),
    [
        (0.76, "model trusted", 2 / 3),
        (0.5, "neither", 1.0),
        (0.2, "model not trusted", 1.5),
        (math.nan, "within rounding", 1.0),
    ],
)
def test_the_verdict_follows_the_ratio_as_the_rule_does(ratio, said, factor):
    found = anatomy(a_step(reduction_ratio=ratio), make("newton"))
    assert said in found.words[1]
    assert found.next_damping == pytest.approx(0.198 * factor)
    assert ("λ stays" in found.words[1]) == (factor == 1)


def test_the_damping_changes_every_so_many_steps_only():
    optimizer = make("newton", damping={"every": 5})
    step = a_step(reduction_ratio=0.9)
    assert next_damping(step, optimizer, number=4) == 0.198
    assert next_damping(step, optimizer, number=5) == pytest.approx(0.198 * 2 / 3)


def test_what_was_promised_is_what_the_ratio_compares_with(classifier):
    """ρ · promised = got, whichever model the rule has."""
    import re

    for optimizer in (make("newton"), make("newton", damping={"model": "damped"}), make("cubic-newton")):
        step = record(ngx.run(classifier, optimizer, steps=2), 1)
        said = anatomy(step, optimizer).words[0].replace("−", "-")
        promised, got, ratio = (float(number) for number in re.findall(r"[-+]?\d[\d.e-]*", said))
        assert promised * ratio == pytest.approx(got, rel=0.02)


def test_a_method_without_a_model_promises_nothing():
    step = a_step(predicted_change=math.nan, reduction_ratio=math.nan, damping=math.nan)
    found = anatomy(step, make("adam"))
    assert found.words[0] == "no model, got −0.121" and math.isnan(found.next_damping)
    assert "ρ" not in found.sentence and "λ" not in found.sentence


def test_no_step_and_a_diverged_one_say_why():
    none = a_step(outcome="no step: loss rose", rejected_trials=11, step_norm=math.nan)
    assert anatomy(none, make("newton")).words == ("no step: loss rose",)
    assert next_damping(none, make("newton")) == 0.198
    gone = anatomy(a_step(loss_after=math.inf), make("gradient-descent"))
    assert gone.words[0] == "the loss is not finite: diverged"


def test_each_number_has_its_formula_and_the_section_it_is_from():
    facts = {fact.name: fact for fact in anatomy(a_step(), make("newton")).facts}
    assert facts["reduction_ratio"].formula == "ρ = (h(θ + δ) − h(θ)) / (M(δ) − M(0))"
    assert facts["reduction_ratio"].source == "Martens 2020, §10"
    assert facts["damping"].value == 0.198 and "learning_rate" not in facts, "what is NaN is no fact"


def test_formulas_are_those_of_the_rule_that_filled_them():
    def formula(optimizer, name):
        step = a_step(momentum=0.9, learning_rate=1.0)
        return {fact.name: fact for fact in anatomy(step, optimizer).facts}[name].formula

    assert "½λ‖δ‖²" in formula(make("newton", damping={"model": "damped"}), "reduction_ratio")
    assert "w/6 ‖δ‖³" in formula(make("cubic-newton"), "reduction_ratio")
    assert "Δ" in formula(make("trust-region-newton"), "damping")
    assert "γ² = λ + η" in formula(make("kfac"), "damping")
    assert "β₁" in formula(make("adam"), "momentum")
    assert "lowest" in formula(make("kfac"), "momentum") and "lowest" in formula(make("kfac"), "learning_rate")
    assert formula(make("heavy-ball"), "momentum") == "μ of δ = αd + μδ₀"


@pytest.mark.parametrize("name", ["newton", "hessian-free", "kfac", "trust-region-newton", "cubic-newton", "adam"])
def test_every_step_of_a_run_has_its_anatomy_and_the_next_damping_comes_true(classifier, name):
    optimizer = make(name)
    history = ngx.run(classifier, optimizer, steps=8)
    for number in range(1, 8):
        step, after = record(history, number), record(history, number + 1)
        found = anatomy(step, optimizer, number)
        assert found.sentence and f"{step.loss_after - step.loss_before:+.3g}".lstrip("+-") in found.words[0]
        if isinstance(optimizer.damping, parts.LevenbergMarquardt):
            assert after.damping == pytest.approx(found.next_damping * 4**after.rejected_trials)
    with pytest.raises(IndexError, match="1 to 8"):
        record(history, 0)

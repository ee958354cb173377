"""What the set-up says of optimizers: a person's own, parts in words, and a matrix that may be indefinite."""

from ngexplorer.gui.panels.setup import OptimizerCard


def recipes(window):
    menu = window.setup.add.menu()
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions() if not action.isSeparator()}


def test_own_optimizers_are_in_the_menu_and_race(sit_at, two_moons, tmp_path, monkeypatch):
    person = sit_at(two_moons())
    monkeypatch.setenv("NGEXPLORER_OPTIMIZERS", str(tmp_path))
    (tmp_path / "careful.toml").write_text('title = "Careful Newton"\nrecipe = "newton"\ndamping = {initial = 7.0}\n')
    (tmp_path / "broken.py").write_text("class A(:\n")
    entries = recipes(person.window)
    broken = entries["broken.py: line 1: invalid syntax"]
    assert not broken.isEnabled()
    before = len(person.session.experiment.runs)
    entries["Careful Newton"].trigger()
    assert person.session.experiment.labels()[before] == "Careful Newton"
    (tmp_path / "careful.toml").unlink()
    assert "Careful Newton" not in recipes(person.window)


def cards(window):
    return window.setup.findChildren(OptimizerCard)


def test_parts_are_said_in_words(sit_at, two_moons):
    person = sit_at(two_moons())
    for name in ("trust-region-newton", "cubic-newton", "hessian-free", "natural-gradient-midpoint"):
        person.window.setup.add_optimizer(name)
    said = [card.parts.text() for card in cards(person.window)][-4:]
    assert said[0] == "hessian · Δ 1"
    assert said[1] == "hessian · M 1"
    assert said[2] == "gauss-newton · λ LM 1 · armijo"
    assert said[3] == "fisher · λ constant 0.001 · α 0.1 · midpoint"


def test_a_loss_that_is_not_convex_casts_doubt_on_gauss_newton_alone(sit_at, two_moons):
    person = sit_at(two_moons())
    person.window.setup._changed("data", {"name": "diabetes"})
    for name in ("gauss-newton", "natural-gradient"):
        person.window.setup.add_optimizer(name)
    gauss_newton, natural = cards(person.window)[-2:]
    assert gauss_newton.doubt.isHidden()
    person.window.setup._changed("loss", {"name": "student-t"})
    gauss_newton, natural = cards(person.window)[-2:]
    assert not gauss_newton.doubt.isHidden()
    assert gauss_newton.doubt.text().endswith(
        "is not convex in the outputs, so this matrix may be indefinite; the Fisher never is"
    )
    assert natural.doubt.isHidden()

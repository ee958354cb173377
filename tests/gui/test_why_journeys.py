"""Five journeys to a reason, each by what a person does and then reads: why did this method go that way?"""

import math
import re

import msgspec
import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTabBar, QToolButton

from ngexplorer import resource_files
from ngexplorer.curvature import Fisher, GaussNewton, Hessian
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.local_model import LocalModelView
from ngexplorer.gui.plots.spectrum import COLOURS
from ngexplorer.optimizers import make
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.experiment import Contender

Key, LEFT = Qt.Key, Qt.MouseButton.LeftButton
WIDE = (1600, 1000)


def shipped(name, **changes):
    folder = resource_files.EXPERIMENTS if name != "invariance" else resource_files.EXPERIMENTS.parent / "tour"
    return msgspec.structs.replace(experiments.read(folder / f"{name}.toml"), **changes)


def brings_forward(person, title):
    """Click on the tab of that name."""
    for tabs in person.window.findChildren(QTabBar):
        for i in range(tabs.count()):
            if tabs.tabText(i) == title and tabs.isVisible():
                QTest.mouseClick(tabs, LEFT, pos=tabs.tabRect(i).center())
                QCoreApplication.processEvents()
                return
    raise AssertionError(f"no tab {title}")


def view_of(person, kind):
    return next(view for view in person.window.views if isinstance(view, kind))


def settles(person, view):
    for _ in range(3):
        person.until(lambda: (view.pull(), view.settled)[1])
        QCoreApplication.processEvents()


def pixel(frame, x, y):
    return frame.mapFromScene(frame.view.mapViewToScene(QPointF(x, y)))


def drags(person, widget, start, end):
    """Press, move in a few steps, and let go."""
    none = Qt.MouseButton.NoButton
    between = [start + QPoint(*(round(share * d) for d in (end - start).toTuple())) for share in np.linspace(0.2, 1, 8)]
    for kind, at, button, buttons in (
        (QEvent.Type.MouseMove, start, none, none),
        (QEvent.Type.MouseButtonPress, start, LEFT, LEFT),
        *((QEvent.Type.MouseMove, place, none, LEFT) for place in between),
        (QEvent.Type.MouseButtonRelease, end, LEFT, none),
    ):
        places = QPointF(at), QPointF(widget.mapToGlobal(at))
        QCoreApplication.sendEvent(widget, QMouseEvent(kind, *places, button, buttons, Qt.KeyboardModifier.NoModifier))
        person.qtbot.wait(20)  # a plot leaves out what follows within a hundredth of a second


def races(person):
    person.presses(Key.Key_Space)
    person.sees("finished")
    person.window.settle()


def scrubs_to(person, step):
    """Click on the timeline, and go on by keys."""
    slider, session = person.window.timeline.slider, person.session
    person.window.timeline.pull()
    QTest.mouseClick(slider, LEFT, pos=QPoint(round(slider.place(step)), slider.height() // 2))
    for _ in range(5):
        if session.time is not None and session.time != step:
            QTest.keyClick(slider, Key.Key_Left if session.time > step else Key.Key_Right)
    assert session.step_of(session.runs[-1]) == step


def read(label):
    return re.sub("<[^>]+>", "\n", label.text()).replace("\n\n", "\n").replace("\u00a0", " ")


def angle(one, other):
    return math.degrees(math.acos(float(one @ other) / float(np.linalg.norm(one) * np.linalg.norm(other))))


def test_on_rosenbrock_the_methods_part_and_a_run_forks_from_another_damping(sit_at):
    person = sit_at(shipped("rosenbrock", steps=25), size=WIDE)
    person.draws_all()
    view, session = person.window.trajectory, person.session
    QTest.mouseClick(view.frame.viewport(), LEFT, pos=pixel(view.frame, -0.5, 1.8))
    person.until(lambda: session.generation == 2)
    person.sees("ready")
    races(person)
    person.draws_all()
    assert [line.x[0] for line in view.lines.shown] == pytest.approx(4 * [-0.5], abs=0.02)

    brings_forward(person, "Local model")
    local = view_of(person, LocalModelView)
    scrubs_to(person, 17)
    settles(person, local)
    assert local.run.currentText() == "Newton" and local.subtitle.text().startswith("step 17")
    local.grab()  # names are placed as they are drawn
    arrows = {arrow.name: np.array([arrow.x, arrow.y]) for arrow in local.plane.arrows.arrows}
    assert angle(arrows["Newton"], arrows["GGN"]) > 3 and angle(arrows["GGN"], arrows["−∇h"]) > 20
    np.testing.assert_allclose(arrows["GGN"], arrows["Natural"], rtol=1e-9, err_msg="of squared error they are one")
    assert any("GGN" in label.text and "Natural" in label.text for label in local.plane.arrows.labels)

    frame, here, before = local.frame, local.found, local.damping
    start, end = (pixel(frame, *here.places(np.array([at]))[0]) for at in (before, 30 * before))
    drags(person, frame.viewport(), start, end)
    settles(person, local)
    assert local.damping == pytest.approx(30 * before, rel=0.5)
    ratio = (local.looking.loss - here.path.loss) / here.promise(local.damping)
    assert local.numbers.text().startswith(f"ρ {compact(ratio)} · ")

    newton = session.runs[2]
    person.clicks(local.take)
    person.until(lambda: len(session.runs) == 5)
    fork = session.runs[4]
    delta = fork.history.parameters(18)[0] - newton.history.parameters(17)[0]
    np.testing.assert_allclose(delta, here.step(local.damping).numpy(), rtol=1e-9)
    races(person)
    person.window.table.pull()
    assert person.window.table.runs.texts[4][0] == fork.label and fork.run.step == 25


def test_on_two_moons_the_hessian_has_negative_eigenvalues_and_the_steps_say_what_they_do_about_it(sit_at, two_moons):
    person = sit_at(two_moons("newton", "gauss-newton", steps=8, size=80), size=WIDE)
    races(person)
    scrubs_to(person, 2)
    spectrum = person.window.spectrum
    person.chooses(spectrum.run, "Newton")
    brings_forward(person, "Local model")
    local = view_of(person, LocalModelView)
    settles(person, local)
    person.until(lambda: (spectrum.pull(), person.session.analyst.idle)[1])
    person.window.settle()

    # Where: triangles for the Hessian, none for the Gauss-Newton matrix.
    objective = person.session.runs[0].run.objective
    theta = torch.tensor(person.session.runs[0].history.parameters(2)[0])
    low = {kind: float(kind(objective, theta).eigenvalues()[0]) for kind in (Hessian, GaussNewton)}
    assert low[Hessian] < -1e-3 and low[GaussNewton] > -1e-12
    marked = {
        line.pen.color().name(): len(line.triangles) for line in spectrum.lines.shown if line.triangles is not None
    }
    colours = {name: themes.line_colour(COLOURS[name], themes.DARK).name() for name in ("hessian", "gauss-newton")}
    negative = int((Hessian(objective, theta).eigenvalues() < 0).sum())
    assert 0 < marked[colours["hessian"]] <= negative and marked[colours["gauss-newton"]] == 0

    # What each step does about it: Newton's path begins above −λmin, that of Gauss-Newton at 0.
    floor = compact(-low[Hessian])
    assert f"no minimum below λ = −λmin = {floor}" in local.hindrances.text()
    assert local.hindrances.isVisible()
    person.chooses(local.matrix, "Path of G")
    settles(person, local)
    assert "no minimum" not in local.hindrances.text() and local.found.path.dampings[0] < -low[Hessian]
    person.window.anatomy.run.pick(0)
    person.window.anatomy.pull()
    assert "λ = " in read(person.window.anatomy.words) or "λ " in read(person.window.anatomy.words)


def test_on_digits_it_is_told_how_much_of_the_gradient_the_damping_cuts(sit_at):
    digits = shipped("digits", steps=3)
    model = msgspec.structs.replace(digits.model, hidden=(4,))
    digits = msgspec.structs.replace(digits, model=model, runs=digits.runs[-1:])  # 310 parameters: in seconds
    person = sit_at(digits, size=WIDE)
    races(person)
    brings_forward(person, "Local model")
    local = view_of(person, LocalModelView)
    scrubs_to(person, 2)
    settles(person, local)
    shown = person.session.runs[0]
    point = shown.run.objective.at(torch.tensor(shown.history.parameters(2)[0]))
    values, vectors = torch.linalg.eigh(Fisher(point.objective, point).dense())
    energy = (vectors.T @ point.gradient).square() / point.gradient.square().sum()

    def cut(damping):
        return float(energy[values <= damping].sum())

    own = shown.history.row(3)["damping"]
    assert local.damping == own
    assert cut(own) > 0.99 and local.cut.text() == f"λ cuts {100 * cut(own):.2g} % of ∇h, where λᵢ < λ"
    local.slider.setFocus()
    told = []
    for key in (Key.Key_End, Key.Key_Home, *6 * [Key.Key_PageUp]):
        person.presses(key)
        local.pull()
        told.append(float(local.cut.text().split()[2]))
        assert told[-1] == pytest.approx(100 * cut(local.damping), abs=0.51)
    assert told[0] == 100 and told[1] < 1 and told[1:] == sorted(told[1:]) and 0 < told[-2] < 99
    # The same λ over the whole spectrum, and the energy of the gradient below it.
    spectrum = person.window.spectrum
    person.chooses(spectrum.run, "Natural gradient")
    person.until(lambda: (spectrum.pull(), person.session.analyst.idle)[1])
    person.window.settle()
    assert spectrum.lower.isVisible() and spectrum.tags.tags[0].text.endswith(compact(own))


def test_of_a_gaussian_in_five_parametrizations_it_is_seen_whether_a_step_is_the_same(sit_at):
    whole = make("natural-gradient", damping="none", learning_rate=1.0)
    likelihood = shipped("invariance", steps=6, runs=(Contender(optimizer=whole, label="Whole steps"),))
    person = sit_at(likelihood, size=WIDE)
    races(person)
    person.draws_all()
    view = person.window.trajectory
    button = next(b for b in person.window.findChildren(QToolButton) if b.text() == "Other parameters")
    assert button.isVisible()
    person.clicks(button)
    person.draws_all()
    scrubs_to(person, 1)
    person.draws_all()
    assert view.others.table.isVisible()
    texts = view.others.table.texts()
    assert texts[:3] == ["Step 1 in", "(μ, v)", "KL, nats"]
    told = {texts[i]: texts[i + 1 : i + 3] for i in range(3, len(texts), 3)}
    assert told["(μ/v, −1/(2v))"] == ["(1.333, 1.333)", "the run"]
    ends = {"(μ, v)": (1, 1.25), "(μ, log v)": (1, 1.284), "(μ, 1/v)": (1, 1.333), "(E y, E y²)": (1, 0.25)}
    for names, (mean, variance) in ends.items():
        (m, v), place = (4 / 3, 4 / 3), told[names][0]
        exact = (
            (1, math.exp(0.25)) if names == "(μ, log v)" else (1, 4 / 3) if names == "(μ, 1/v)" else (mean, variance)
        )
        assert place == f"({mean:g}, {variance:g})"
        apart = 0.5 * (v / exact[1] - 1 - math.log(v / exact[1]) + (m - exact[0]) ** 2 / exact[1])
        assert told[names][1] == compact(apart), names
    # The paths stand where that is in the run's own parameters.
    assert len(view.others.lines.shown) == 4
    places = sorted((line.x[-1], line.y[-1]) for line in view.others.lines.shown)
    expected = sorted((m / v, -1 / (2 * v)) for m, v in [(1, 1.25), (1, math.exp(0.25)), (1, 4 / 3), (1, 0.25)])
    np.testing.assert_allclose(places, expected, atol=1e-9)
    # Small steps are the same in all, to the square of their size.
    person.opens_card(0)
    person.types(person.field("Learning rate", card=0).editor, "0.001")
    person.presses(Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    races(person)
    scrubs_to(person, 1)
    person.draws_all()
    person.until(lambda: (view.pull(), view.others.finished)[1])
    view.pull()
    texts = view.others.table.texts()
    told = [texts[i + 2] for i in range(3, len(texts), 3) if texts[i + 2] != "the run"]
    assert len(told) == 4 and "the same" in told
    assert all(words == "the same" or float(words.replace("−", "-")) < 1e-9 for words in told)
    person.clicks(button)
    view.pull()
    assert not view.others.table.isVisible() and view.others.lines.shown == []


def test_only_a_gaussian_offers_other_parameters(sit_at, valley):
    person = sit_at(valley("newton", steps=2), size=WIDE)
    person.draws_all()
    view = person.window.trajectory
    button = next(b for b in person.window.findChildren(QToolButton) if b.text() == "Other parameters")
    assert not button.isVisible() and not view.elsewhere.isEnabled()
    assert "gaussian likelihood" in view.elsewhere.property("why_not")


def test_why_a_step_was_bad_is_read_in_the_anatomy_and_seen_in_the_local_model(sit_at, two_moons):
    bold = make("newton", damping={"initial": 1e-6, "factor": 0.1})
    person = sit_at(two_moons(bold, "adam", steps=30), size=WIDE)
    races(person)
    anatomy, session = person.window.anatomy, person.session
    shown = session.runs[0]
    anatomy.pull()
    while anatomy.earlier.isEnabled():
        person.clicks(anatomy.earlier)
        anatomy.pull()
    number = session.time
    trials = shown.history.rejections[number]
    assert "rejected" in read(anatomy.words) and trials[0].reason in read(anatomy.words)

    # Where it was taken from: the rejected λ on the axis, and what the model promised there.
    person.clicks(anatomy.origin)
    brings_forward(person, "Local model")
    local = view_of(person, LocalModelView)
    settles(person, local)
    assert session.time == number - 1 and local.found.stand.step == number - 1
    tried = [trial.damping for trial in trials]
    assert local.found.stand.rejected == tuple(tried)
    ends = f"{compact(tried[0])} … {compact(tried[-1])}"
    assert len(tried) > 2 and f"rejected λ = {ends}" in local.hindrances.text()
    assert ", ".join(map(compact, tried)) in local.hindrances.toolTip()
    assert local.damping == shown.history.row(number)["damping"], "the λ with which it was taken at last"
    warning = QColor(themes.DARK.warning).name()
    for strip in (local.along.curves, local.along.ratios):
        marks = [line.x[0] for line in strip.shown if line.pen.color().name() == warning]
        floor, first = local.found.path.solution.floor, local.found.path.dampings[0]
        assert marks == pytest.approx([math.log10(max(at - floor, first - floor)) for at in tried])
    lowest = float(Hessian(shown.run.objective, torch.tensor(shown.history.parameters(number - 1)[0])).eigenvalues()[0])
    assert max(tried) < -lowest or any(trial.reduction_ratio < 0.25 for trial in trials)

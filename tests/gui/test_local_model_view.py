"""The local model, by what a person does: λ by keys and mouse, matrices and steps on and off, scrubbing, and forks."""

import csv

import msgspec
import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTabBar

from ngexplorer.curvature.kinds import curvatures
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots import looking_around
from ngexplorer.gui.plots.local_model import LocalModelView
from ngexplorer.gui.plots.spectrum import COLOURS
from ngexplorer.gui.plots.view import LEAST
from ngexplorer.objectives.landscapes import Rosenbrock
from ngexplorer.runs import experiment as experiments

RIGHT, LEFT, PAGE_UP, HOME, END = (
    getattr(Qt.Key, f"Key_{name}") for name in ("Right", "Left", "PageUp", "Home", "End")
)


@pytest.fixture
def around(sit_at, two_moons):
    """Someone who has raced, put the local model in front, and looks from a step of one run."""

    def look(experiment=None, *, number=0, of="", time=None, **how):
        person = sit_at(experiment or two_moons("gauss-newton", "heavy-ball", "newton", steps=6), **how)
        person.session.toggle()
        person.sees("finished")
        in_front(person)
        view_of(person).choose(number, of)
        person.session.set_time(time)
        settled(person)
        return person, view_of(person)

    return look


def view_of(person):
    return next(view for view in person.window.views if isinstance(view, LocalModelView))


def in_front(person):
    """Click on the panel's tab."""
    for tabs in person.window.arrangement.plots.findChildren(QTabBar):
        for i in range(tabs.count()):
            if tabs.tabText(i) == "Local model":
                QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(i).center())
    QCoreApplication.processEvents()
    assert view_of(person).seen


def settled(person):
    view = view_of(person)
    person.until(lambda: (view.pull(), view.settled)[1])
    QCoreApplication.processEvents()
    person.until(lambda: (view.pull(), view.settled)[1])


def dense_at(shown, step, kind):
    """A matrix and the gradient of a run at a step."""
    point = shown.run.objective.at(torch.tensor(shown.history.parameters(step)[0]))
    return curvatures(point).found[kind].dense(), point


def is_the_step(view, shown, step, kind):
    """Whether the point on the path is at (B + λI)⁻¹g of dense algebra, on the plane and off it."""
    dense, point = dense_at(shown, step, kind)
    delta = -torch.linalg.solve(dense + view.damping * torch.eye(len(dense)).double(), point.gradient)
    here = view.found
    torch.testing.assert_close(here.step(view.damping), delta, rtol=1e-6, atol=1e-9)
    at = here.plane.project((point.theta + delta).numpy()[None])[0][0]
    place = view.plane.point.pos()
    np.testing.assert_allclose((place.x(), place.y()), at, rtol=1e-6, atol=1e-9)
    return delta


# λ


def test_the_slider_moves_the_point_along_the_damping_path_by_keys(around):
    person, view = around(time=2)
    shown = person.session.runs[0]
    is_the_step(view, shown, 2, "gauss-newton")
    view.slider.setFocus()
    lengths = [view.found.length(view.damping)]
    for key in (RIGHT, PAGE_UP, PAGE_UP):
        before = view.damping
        person.presses(key)
        view.pull()
        assert view.damping > before
        is_the_step(view, shown, 2, "gauss-newton")
        lengths.append(view.found.length(view.damping))
    assert lengths == sorted(lengths, reverse=True), "‖δ(λ)‖ falls in λ"
    person.presses(LEFT)
    view.pull()
    is_the_step(view, shown, 2, "gauss-newton")
    assert view.value.text().startswith("λ ")


def test_the_ends_of_the_path_are_newton_s_step_and_one_down_the_gradient(around):
    person, view = around(time=2, number=2, of="gauss-newton")
    shown = person.session.runs[2]
    dense, point = dense_at(shown, 2, "gauss-newton")
    view.slider.setFocus()
    person.presses(HOME)
    values, vectors = torch.linalg.eigh(dense)
    firm = values > 1e-3 * values[-1]  # what is flatter than λ at this end is not Newton's yet
    newton = -(vectors.T @ point.gradient / values)[firm]
    torch.testing.assert_close((vectors.T @ view.found.step(view.damping))[firm], newton, rtol=2e-3, atol=1e-6)
    person.presses(END)
    last = view.found.step(view.damping)
    cosine = float(-last.dot(point.gradient) / last.norm() / point.gradient.norm())
    assert cosine > 1 - 1e-6
    assert float((last * view.damping + point.gradient).norm()) < 2e-3 * float(point.gradient.norm())


def test_the_strips_show_what_came_and_what_was_promised_and_the_ratio_is_that_of_the_record(around):
    person, view = around(time=2)
    person.window.settle()
    path, floor = view.found.path, view.found.path.solution.floor
    _, promised, came, *_ = view.along.curves.shown
    np.testing.assert_allclose(came.x, np.log10(path.dampings - floor))
    theta = torch.tensor(person.session.runs[0].history.parameters(2)[0])
    objective = person.session.runs[0].run.objective
    for i in (0, 20, -1):
        moved = theta + view.found.step(float(path.dampings[i]))
        assert came.y[i] == pytest.approx(float(objective.value(moved)), rel=1e-9)
    np.testing.assert_allclose(promised.y - path.loss, path.promised)
    ratio = view.along.ratios.shown[4]
    np.testing.assert_allclose(ratio.y, (came.y - path.loss) / path.promised, rtol=1e-6)
    own = [line for line in view.along.curves.shown if len(line.x) == 2 and line.x[0] == line.x[1]]
    assert own[0].x[0] == pytest.approx(np.log10(person.session.runs[0].history.row(3)["damping"] - floor))
    person.session.set_time(3)
    settled(person)
    row = person.session.runs[0].history.row(4)
    assert view.damping == row["damping"], "it begins there"
    ratio = (view.looking.loss - view.found.path.loss) / view.found.promise(view.damping)
    assert ratio == pytest.approx(row["reduction_ratio"], rel=1e-7)
    assert f"ρ {row['reduction_ratio']:.4g}" in view.numbers.text()
    view.slider.setFocus()
    person.presses(END)
    assert view.damping != row["damping"]
    person.clicks(view.back)
    settled(person)
    assert view.damping == row["damping"]
    assert f"ρ {row['reduction_ratio']:.4g}" in view.numbers.text()


def test_a_drag_of_the_point_and_a_click_beside_the_plane_move_damping_too(around):
    person, view = around(time=2)
    person.window.settle()
    shown, frame = person.session.runs[0], view.frame
    share = view.found.share_of(view.damping) + 0.08
    wanted = view.found.damping_at(share)

    def pixel(damping):
        x, y = view.found.places(np.array([damping]))[0]
        return frame.mapFromScene(frame.view.mapViewToScene(QPointF(x, y)))

    start, end = pixel(view.damping), pixel(wanted)
    assert all(frame.viewport().rect().contains(place) for place in (start, end))
    assert (end - start).manhattanLength() > 15
    drag(person, frame.viewport(), start, end)
    view.pull()
    assert abs(view.found.share_of(view.damping) - share) < 0.02
    is_the_step(view, shown, 2, "gauss-newton")
    upper = view.along.upper
    x = np.log10(view.found.damping_at(0.7))
    at = upper.mapFromScene(upper.view.mapViewToScene(QPointF(x, np.mean(upper.view.viewRange()[1]))))
    QTest.mouseClick(upper.viewport(), Qt.MouseButton.LeftButton, pos=at)
    QCoreApplication.processEvents()
    view.pull()
    assert abs(view.found.share_of(view.damping) - 0.7) < 0.03
    is_the_step(view, shown, 2, "gauss-newton")


def drag(person, widget, start, end):
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    between = [start + QPoint(*(round(share * d) for d in (end - start).toTuple())) for share in np.linspace(0.2, 1, 8)]
    for kind, at, button, buttons in (
        (QEvent.Type.MouseMove, start, none, none),
        (QEvent.Type.MouseButtonPress, start, left, left),
        *((QEvent.Type.MouseMove, place, none, left) for place in between),
        (QEvent.Type.MouseButtonRelease, end, left, none),
    ):
        place = QPointF(at), QPointF(widget.mapToGlobal(at))
        event = QMouseEvent(kind, *place, button, buttons, Qt.KeyboardModifier.NoModifier)
        QCoreApplication.sendEvent(widget, event)
        person.qtbot.wait(20)  # pyqtgraph leaves out what follows within a hundredth of a second


# What is drawn


def test_the_models_are_toggled_and_are_those_of_the_dense_matrices(around):
    person, view = around(time=2)
    for name in COLOURS:
        view.chips.chips[f"model {name}"].setChecked(False)
    person.clicks(view.chips.chips["model fisher"])
    view.pull()
    (line,) = view.plane.models.shown
    assert line.pen.color().name() == themes.line_colour(COLOURS["fisher"], themes.DARK).name()
    dense, point = dense_at(person.session.runs[0], 2, "fisher")
    here = view.found
    heights = []
    for x, y in zip(line.x[::97], line.y[::97], strict=True):
        if np.isfinite(x):
            delta = torch.tensor(here.plane.points(np.array([[x, y]]))[0]) - point.theta
            heights.append(float(point.value + point.gradient.dot(delta) + 0.5 * delta.dot(dense @ delta)))
    known = np.array(sorted({round(height, 3) for height in heights}))
    assert len(heights) > 5 and len(known) < len(heights), "few heights, each of many points"
    person.clicks(view.chips.chips["model fisher"])
    view.pull()
    assert view.plane.models.shown == []


def test_arrows_are_the_steps_of_the_methods_and_their_names_do_not_collide(around):
    person, view = around(time=2, number=1)
    person.window.settle()
    view.grab()
    here = view.found
    shown = person.session.runs[1]
    drawn = {arrow.name: (arrow.x, arrow.y) for arrow in view.plane.arrows.arrows}
    _, point = dense_at(shown, 2, "hessian")
    np.testing.assert_allclose(drawn["−∇h"], here.plane.axes @ -point.gradient.numpy(), rtol=1e-9)
    for name, kind in (("GGN", "gauss-newton"), ("Natural", "fisher")):
        dense, _ = dense_at(shown, 2, kind)
        step = -torch.linalg.solve(dense + here.damped * torch.eye(len(dense)).double(), point.gradient)
        np.testing.assert_allclose(drawn[name], here.plane.axes @ step.numpy(), rtol=1e-6)
    thetas = [shown.history.parameters(k)[0] for k in (1, 2, 3)]
    np.testing.assert_allclose(drawn["Momentum"], here.plane.axes @ (0.9 * (thetas[1] - thetas[0])), rtol=1e-9)
    np.testing.assert_allclose(drawn["Its step"], here.plane.axes @ (thetas[2] - thetas[1]), rtol=1e-9)
    labels = view.plane.arrows.labels
    assert {part.split(" ×")[0] for label in labels for part in label.text.replace("≈", "=").split(" = ")} == set(drawn)
    area = view.frame.view.sceneBoundingRect()
    for i, label in enumerate(labels):
        assert area.contains(label.box)
        assert not any(label.box.intersects(other.box) for other in labels[i + 1 :])
    person.clicks(view.chips.chips["step momentum"])
    view.pull()
    assert "Momentum" not in [arrow.name for arrow in view.plane.arrows.arrows]


def test_what_does_not_exist_is_grey_and_says_why(around, valley):
    person, view = around(valley("newton", steps=4), time=1)
    chip = view.chips.chips["model kfac"]
    assert not chip.isEnabled() and "Linear and Conv2d" in chip.toolTip()
    assert not view.chips.chips["step momentum"].isEnabled()
    assert view.chips.chips["model hessian"].isEnabled()
    person.session.set_time(None)
    settled(person)
    assert "not been taken yet" in view.chips.chips["step taken"].toolTip()


def test_two_parameters_are_the_plane_themselves(around, valley):
    person, view = around(valley("newton", steps=4), time=1)
    theta = person.session.runs[0].history.parameters(1)[0]
    np.testing.assert_array_equal(view.found.centre, theta)
    surface = view.found.surface
    objective = person.session.runs[0].run.objective
    value = float(objective.value(torch.tensor([surface.xs[7], surface.ys[40]]).double()))
    assert surface.values[40, 7] == pytest.approx(value, rel=1e-12)
    assert "its two parameters" in view.subtitle.text()


def test_the_trust_region_is_a_circle_where_the_rule_damps_and_an_ellipse_of_its_matrix_where_not(around, two_moons):
    experiment = two_moons("trust-region-newton", "natural-gradient-minimum-norm", steps=4)
    person, view = around(experiment, time=1)
    here, row = view.found, person.session.runs[0].history.row(2)
    region = here.region(view.damping)
    radii = np.linalg.norm(region - here.centre, axis=1)
    np.testing.assert_allclose(radii, radii[0], rtol=1e-9)
    if row["damping"] > 0:
        assert radii[0] == pytest.approx(row["step_norm"], rel=1e-6)
    view.choose(1)
    settled(person)
    here = view.found
    dense, point = dense_at(person.session.runs[1], 1, "gauss-newton")
    length = here.length(view.damping)
    step = here.step(view.damping)
    assert length == pytest.approx(float(step.dot(dense @ step)) ** 0.5, rel=1e-6)
    for x, y in here.region(view.damping)[::16]:
        delta = torch.tensor(here.plane.points(np.array([[x, y]]))[0]) - point.theta
        assert float(delta.dot(dense @ delta)) ** 0.5 == pytest.approx(length, rel=1e-6)
    assert "‖δ‖_B" in view.numbers.text()


@pytest.mark.parametrize(("theme", "size"), [(themes.LIGHT, (1024, 640)), (themes.DARK, (1600, 1000))])
def test_nothing_is_cut_off_and_a_picture_can_be_made(around, theme, size, tmp_path):
    person, view = around(time=2, theme=theme, size=size)
    person.window.settle()
    assert view.height() >= view.minimumSizeHint().height() and view.frame.height() >= LEAST.height()
    for button in (view.take, view.back, view.value):
        assert button.width() >= button.sizeHint().width() - 1
        assert view.rect().contains(button.geometry())
    assert view.save(tmp_path / "local.png") and view.save(tmp_path / "local.svg")
    assert [entry.label for entry in view.entries][:2] == ["δ(λ)", "trust region"]
    assert person.session.theme is theme


# When it looks


def test_scrubbing_looks_from_another_step_and_says_which(around):
    person, view = around(time=2)
    person.window.timeline.slider.setFocus()
    for key, step in ((RIGHT, 3), (LEFT, 2), (LEFT, 1)):
        person.presses(key)
        settled(person)
        assert view.found.stand.step == step
        assert view.subtitle.text().startswith(f"step {step} · ")
        assert view.damping == person.session.runs[0].history.row(step + 1)["damping"]


def test_while_the_race_is_on_nothing_is_asked_and_a_pause_looks_again(sit_at, two_moons):
    person = sit_at(two_moons("gauss-newton", steps=100_000))
    in_front(person)
    view = view_of(person)
    settled(person)
    asked = []
    ask = person.session.analyst.ask
    person.session.analyst.ask = lambda key, work: (asked.append(key), ask(key, work))[1]
    person.presses(Qt.Key.Key_Space)
    person.sees("running")
    person.until(lambda: person.session.latest > 20)
    view.pull()
    view.pull()
    drawn = []
    draw = view.draw
    view.draw = lambda: (drawn.append(person.session.latest), draw())
    before = person.session.latest
    person.until(lambda: (view.pull(), person.session.latest > before + 20)[1])
    assert drawn == [], "a race that is on costs it nothing"
    assert [key for key in asked if key.startswith("local")] == []
    assert "pause to look from the present one" in view.subtitle.text()
    person.presses(Qt.Key.Key_Space)
    person.sees("paused")
    settled(person)
    assert view.found.stand.step == person.session.latest
    assert view.damping == pytest.approx(person.session.runs[0].run.damping), "the λ of the step to come"


def test_behind_its_tab_it_asks_nothing(sit_at, two_moons):
    person = sit_at(two_moons(steps=3))
    person.session.toggle()
    person.sees("finished")
    person.window.settle()
    assert view_of(person).found is None and view_of(person).looking._generation == 0


def test_answers_about_the_race_before_are_dropped(around):
    person, view = around(time=2)
    old = (view.looking._generation, view.found)
    person.session.reset()
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    view.looking._answered("local model", *old)
    assert view.found is not old[1]
    settled(person)
    assert view.found.stand.step == 0


def test_a_large_model_is_looked_around_only_when_asked(sit_at, two_moons, monkeypatch):
    monkeypatch.setattr(looking_around, "PATIENCE", 0.0)
    person = sit_at(two_moons("gauss-newton", steps=3))
    in_front(person)
    view = view_of(person)
    person.until(lambda: (view.pull(), view.look.isVisible())[1])
    assert view.found is None and "takes about" in view.empty.text() and not view.take.isEnabled()
    person.clicks(view.look)
    settled(person)
    assert view.found is not None and not view.look.isVisible()


def test_a_point_without_a_gradient_is_told(around, valley):
    experiment = msgspec.structs.replace(valley("gradient-descent", steps=2), data=Rosenbrock(x=1.0, y=1.0))
    _, view = around(experiment)
    assert view.found is None and not view.take.isEnabled()
    assert "No local model here: gradient: it is zero" in view.empty.text()


# Forks


def test_take_this_step_instead_puts_a_run_into_the_race_that_every_view_shows(around, tmp_path):
    person, view = around(time=2)
    session, shown = person.session, person.session.runs[0]
    view.slider.setFocus()
    person.presses(PAGE_UP)
    damping = view.damping
    view.pull()
    delta = is_the_step(view, shown, 2, "gauss-newton")
    person.clicks(view.take)
    person.until(lambda: len(session.runs) == 4)
    fork = session.runs[3]
    assert fork.label == f"Gauss-Newton ↳ 2, λ {damping:.3g}"
    assert session.state == "paused", "the others have ended"
    np.testing.assert_allclose(
        fork.history.parameters(3)[0], shown.history.parameters(2)[0] + delta.numpy(), rtol=0, atol=1e-9
    )
    assert fork.run.optimizer.damping.initial == damping
    assert fork.colour not in [one.colour for one in session.runs[:3]]
    assert f"New run “{fork.label}”" in person.notices[-1].message
    window = person.window
    window.settle()
    assert window.table.runs.texts[3][0] == fork.label
    window.timeline.look()
    assert [(mark.step, mark.kind, mark.colour) for mark in window.timeline.slider.marks] == [(2, "fork", fork.colour)]
    assert fork.label in [chip.text() for chip in window.curves.legend.chips]
    assert fork.label in [view.run.itemText(i) for i in range(view.run.count())]
    session.set_time(None)
    person.presses(Qt.Key.Key_Space)
    person.sees("finished")
    assert fork.run.step == 6 and np.isfinite(fork.history["loss"]).all()
    window.settle()
    view.choose(3)
    session.set_time(4)
    settled(person)
    assert view.found.stand.step == 4 and view.damping == fork.history.row(5)["damping"]
    assert session.export_csv(tmp_path / "runs.csv", session.runs, ("step", "loss"))
    with open(tmp_path / "runs.csv", newline="", encoding="utf-8") as file:
        assert [row["step"] for row in csv.DictReader(file) if row["run"] == fork.label] == list("0123456")


def test_a_fork_is_no_part_of_the_set_up_and_ends_with_a_reset(around):
    person, view = around(time=2)
    session, window = person.session, person.window
    before = experiments.to_toml(session.experiment)
    person.clicks(view.take)
    person.until(lambda: len(session.runs) == 4)
    assert experiments.to_toml(session.experiment) == before and not session.stale
    assert not window.document.modified and window.setup.cards.count() >= 3
    person.presses(Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    person.until(lambda: session.generation == 2)
    person.sees("ready")
    assert [shown.label for shown in session.runs] == ["Gauss-Newton", "Heavy ball", "Newton"]


def test_a_running_race_is_forked_between_two_steps(sit_at, two_moons, change_optimizer):
    person = sit_at(two_moons("gauss-newton", steps=100_000))
    in_front(person)
    view, session = view_of(person), person.session
    settled(person)
    person.presses(Qt.Key.Key_Space)
    person.sees("running")
    person.until(lambda: session.latest > 5)
    person.clicks(view.take)
    person.until(lambda: len(session.runs) == 2)
    fork = session.runs[1].run
    assert session.state == "running"
    person.until(lambda: fork.step > 5)
    assert fork.origin.step == 0 and fork.label.startswith("Gauss-Newton ↳ 0, λ ")
    person.presses(Qt.Key.Key_Space)
    person.sees("paused")
    # An edit of the optimizer is one of the set-up's run; the fork keeps what it began with.
    session.change(change_optimizer(session.experiment, 0, learning_rate=0.5))
    person.until(lambda: session.runs[0].run.optimizer.learning_rate == 0.5)
    assert fork.optimizer.learning_rate == 1.0

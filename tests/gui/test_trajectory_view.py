"""The trajectory as a person uses it: the plane they choose, where they start the runs, and what the picture shows."""

import re

import numpy as np
import pytest
import torch
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from ngexplorer.analysis import (
    attraction,
    eigenvector_plane,
    filter_normalised_plane,
    plane_through,
    profile,
    step_plane,
)
from ngexplorer.analysis.attraction import basins
from ngexplorer.analysis.planes import principal_plane, window_around
from ngexplorer.analysis.relief import relief
from ngexplorer.cancellation import never
from ngexplorer.curvature import Fisher, Hessian
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots import chosen_plane
from ngexplorer.gui.plots.remaining import Remaining
from ngexplorer.gui.plots.shading import relief_colours
from ngexplorer.objectives.landscapes import Himmelblau
from ngexplorer.objectives.losses import SquaredError
from ngexplorer.objectives.models import LandscapeModel
from ngexplorer.optimizers import make
from ngexplorer.runs.experiment import Contender, Experiment

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def raced(sit_at, two_moons):
    """Three runs on a small network, at their end, and the trajectory of them."""
    person = sit_at(two_moons("heavy-ball", "newton", "natural-gradient", steps=8))
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    return person, person.window.trajectory


def on(person, name):
    """Choose a plane in the list, and wait for the finest picture."""
    view = person.window.trajectory
    person.chooses(view.plane.list, chosen_plane.BY_NAME[name].title)
    person.until(lambda: (view.pull(), view.unseen is not None or view.pictured is not None)[1])
    if view.unseen is None:
        person.until(lambda: (view.pull(), view.settled and view.pictured.kind == name)[1])
    person.window.settle()
    return view.pictured


def is_the_objective(objective, surface):
    """Whether what is plotted is h on the plane, at some nodes of every part."""
    for j in range(0, len(surface.ys), 16):
        for i in range(0, len(surface.xs), 16):
            theta = torch.as_tensor(surface.plane.points(np.array([[surface.xs[i], surface.ys[j]]]))[0])
            assert surface.values[j, i] == pytest.approx(float(objective.value(theta)), rel=1e-10, abs=1e-10)


def thetas_of(shown):
    return np.stack([theta for _, theta in shown.history.snapshots.since(0)])


def place_of(person, x, y):
    """Where a place of the plane is on the screen."""
    frame = person.window.trajectory.frame
    return frame.mapFromScene(frame.view.mapViewToScene(QPointF(x, y)))


def clicks_at(person, x, y, modifier=Qt.KeyboardModifier.NoModifier, button=LEFT):
    QTest.mouseClick(person.window.trajectory.frame.viewport(), button, modifier, place_of(person, x, y))


def drags(person, begin, end):
    """Drag with the left button from one place of the plane to another."""
    viewport = person.window.trajectory.frame.viewport()
    start, stop = place_of(person, *begin), place_of(person, *end)

    def sends(kind, at, button, buttons):
        point = QPointF(at)
        event = QMouseEvent(kind, point, QPointF(viewport.mapToGlobal(at)), button, buttons, Qt.KeyboardModifier(0))
        QApplication.sendEvent(viewport, event)
        QTest.qWait(15)  # the plot hears of a moving mouse a hundred times a second at most

    none = Qt.MouseButton.NoButton
    sends(QEvent.Type.MouseMove, start, none, none)
    sends(QEvent.Type.MouseButtonPress, start, LEFT, LEFT)
    for share in (0.25, 0.5, 0.75, 1.0):
        at = QPoint(*(round(a + share * (b - a)) for a, b in zip(start.toTuple(), stop.toTuple(), strict=True)))
        sends(QEvent.Type.MouseMove, at, none, LEFT)
    sends(QEvent.Type.MouseButtonRelease, stop, LEFT, none)


def starts_at(person, x, y, within=0.02):
    """Wait until the race starts there, as exactly as a mouse points."""
    person.until(lambda: person.session.raced is not None and person.session.raced == person.session.experiment)
    person.until(lambda: person.session.race is not None and person.session.state in ("ready", "running"))
    start = person.session.race.runs[0].objective.initial_parameters.tolist()
    data = person.session.experiment.data
    assert (data.x, data.y) == pytest.approx(start) and start == pytest.approx((x, y), abs=within)


# The planes.


def test_each_plane_of_a_network_is_the_one_that_analysis_makes_and_shows_the_loss_on_it(raced):
    person, view = raced
    runs = person.session.runs
    objective = runs[0].run.objective
    view.run.pick(2)
    here, before = (torch.as_tensor(runs[2].history.parameters(k)[0]) for k in (8, 7))
    three = np.stack([thetas_of(shown)[-1] for shown in runs])
    best = int(np.argmin(runs[2].history["loss"]))
    path = thetas_of(runs[2])
    wanted = {
        "principal": (principal_plane([thetas_of(shown)[::-1] for shown in runs]), "principal plane of the paths"),
        "random": (filter_normalised_plane(objective, here.numpy()), "filter-normalised directions around Natural"),
        "step": (step_plane(objective.at(before), here - before), "Natural gradient: step 8 across, the gradient"),
        "hessian": (eigenvector_plane(Hessian(objective, here)).plane, "eigenvectors of H, Natural gradient step 8"),
        "in-use": (eigenvector_plane(Fisher(objective, here)).plane, "eigenvectors of Fisher, Natural gradient step 8"),
        "ends": (plane_through(three), "through the ends of Heavy ball, Newton and Natural gradient"),
        "checkpoints": (plane_through(path[[0, best if best < 8 else 4, 8]]), "through Natural gradient's start"),
    }
    points = np.concatenate([thetas_of(shown) for shown in runs])
    for name, (plane, words) in wanted.items():
        pictured = on(person, name)
        surface = pictured.surface
        np.testing.assert_allclose(surface.plane.origin, plane.origin, err_msg=name)
        np.testing.assert_allclose(surface.plane.axes, plane.axes, atol=1e-8, err_msg=name)
        assert words in view.subtitle.text() and surface.values.shape == (65, 65)
        is_the_objective(objective, surface)
        first, second = (f"{100 * share:.0f} %" for share in surface.plane.explains(points))
        assert f"{first} + {second}" in view.subtitle.text()
        residuals = [
            surface.plane.project(end[None])[1][0] / np.linalg.norm(end - surface.plane.origin)
            if np.linalg.norm(end - surface.plane.origin) > 0
            else 0.0
            for end in three
        ]
        assert f"off-plane residual ≤ {100 * max(residuals):.0f} %" in view.subtitle.text()
    values = eigenvector_plane(Hessian(objective, here)).eigenvalues
    on(person, "hessian")
    assert f"λ = {values[0]:.4g} across" in view.subtitle.text().replace("−", "-")


def test_the_plane_of_a_step_follows_the_timeline(raced):
    person, view = raced
    on(person, "step")
    person.session.set_time(3)
    person.until(lambda: (view.pull(), view.settled)[1])
    person.window.settle()
    assert "step 3 across" in view.subtitle.text()
    history = person.session.runs[0].history
    np.testing.assert_array_equal(view.surface.plane.origin, history.parameters(2)[0])
    person.session.set_time(0)
    person.until(lambda: (view.pull(), view.unseen is not None)[1])
    view.pull()
    assert view.empty.isVisible() and view.empty.text() == "Heavy ball has taken no step yet"
    person.session.set_time(2)
    person.until(lambda: (view.pull(), view.pictured is not None)[1])


def test_a_plane_goes_through_the_steps_that_were_kept(raced):
    person, view = raced
    runs = person.session.runs
    named = dict(person.window.actions_.listed())
    on(person, "checkpoints")
    assert not view.plane.release.isEnabled() and "start, best" in view.plane.release.property("why_not")

    def keeps(number, step):
        view.run.pick(number)
        person.session.set_time(step)
        named["Trajectory: Keep this step for the plane"].trigger()
        before = view.pictured
        person.until(lambda: (view.pull(), view.settled and view.pictured is not before)[1])
        person.window.settle()
        return view.surface.plane

    def at(number, step):
        return runs[number].history.parameters(step)[0]

    first = keeps(1, 3)
    np.testing.assert_allclose(first.origin, plane_through(np.stack((at(1, 3), at(1, 0), at(1, 8)))).origin)
    named["Trajectory: Keep this step for the plane"].trigger()  # once more: it is kept already
    second = keeps(2, 5)
    wanted = plane_through(np.stack((at(1, 3), at(2, 5), at(2, 0))))
    np.testing.assert_allclose(second.axes, wanted.axes, atol=1e-8)
    third = keeps(0, 6)
    wanted = plane_through(np.stack((at(1, 3), at(2, 5), at(0, 6))))
    np.testing.assert_allclose(third.axes, wanted.axes, atol=1e-8)
    assert "through Newton step 3, Natural gradient step 5 and Heavy ball step 6" in view.subtitle.text()
    np.testing.assert_allclose(view.lines.shown[-1].rings, third.project(np.stack((at(1, 3), at(2, 5), at(0, 6))))[0])
    fourth = keeps(0, 7)
    assert third.project(at(1, 3)[None])[1] < 1e-9 < fourth.project(at(1, 3)[None])[1], "the oldest is let go"
    person.session.set_time(None)
    named["Trajectory: Start, best and end again"].trigger()
    person.until(lambda: (view.pull(), view.settled and view.surface.plane is not fourth)[1])
    view.pull()
    assert "through Heavy ball's start" in view.subtitle.text()


def test_highlighted_runs_give_the_ends_that_a_plane_goes_through(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "newton", "natural-gradient", "adam", steps=4))
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    view = person.window.trajectory
    on(person, "ends")
    assert "through the ends of Heavy ball, Newton and Natural gradient" in view.subtitle.text()
    person.session.highlight({3, 1})
    person.until(lambda: (view.pull(), "ends of Newton, Adam and Heavy ball" in view.subtitle.text())[1])
    ends = np.stack([thetas_of(person.session.runs[number])[-1] for number in (1, 3, 0)])
    np.testing.assert_allclose(view.surface.plane.origin, plane_through(ends).origin)


def test_other_random_directions_are_other_ones(raced):
    person, view = raced
    first = on(person, "random").surface.plane
    view.plane.redraw.trigger()
    person.until(lambda: (view.pull(), view.settled and view.surface.plane is not first)[1])
    here = person.session.runs[0].history.parameters(8)[0]
    again = filter_normalised_plane(person.session.runs[0].run.objective, np.asarray(here), 1)
    np.testing.assert_allclose(view.surface.plane.axes, again.axes)


def test_what_cannot_be_shown_is_out_of_use_and_says_why(raced):
    person, view = raced
    reasons = {name: action.property("why_not") for name, action in view.plane.actions.items()}
    assert "needs two" in reasons["parameters"] and "uses none" in reasons["in-use"]
    assert not any(reasons[name] for name in ("principal", "random", "step", "hessian", "ends", "checkpoints"))
    person.session.set_hidden(1, True)
    view.pull()
    assert view.plane.actions["ends"].property("why_not") == "Three visible runs are needed; there are 2"
    assert not view.plane.actions["ends"].isEnabled() and not view.basins.isEnabled()


def test_every_plane_and_switch_is_in_the_palette(raced):
    person, view = raced
    named = dict(person.window.actions_.listed())
    for kind in chosen_plane.KINDS:
        assert f"Trajectory on: {kind.title}" in named
    for words in (
        "Relief",
        "Profile",
        "Basins",
        "Other random directions",
        "Keep this step for the plane",
        "Move the start left",
    ):
        assert f"Trajectory: {words}" in named
    named["Trajectory on: Eigenvectors of H"].trigger()
    person.until(lambda: (view.pull(), view.settled and view.pictured.kind == "hessian")[1])
    assert view.plane.list.currentText() == "Eigenvectors of H"


# Refinement, relief, profile.


def test_a_first_picture_comes_coarse_then_finer_ones_on_the_same_plane(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", steps=3))
    view = person.window.trajectory
    seen = []
    person.session.analyst.answered.connect(lambda key, _, answer: key == "trajectory" and seen.append(answer))
    person.draws_all()
    view.choose("hessian")
    seen.clear()
    person.draws_all()
    answers = [one for one in seen if one.kind == "hessian"]
    assert [len(one.surface.xs) for one in answers[-3:]] == [17, 33, 65]
    assert len({id(one.surface.plane) for one in answers[-3:]}) == 1
    assert [one.surface.done for one in answers[-3:]] == [289 / 4225, 1089 / 4225, 1.0]


def test_how_long_it_will_still_take_is_told_by_the_share_that_is_done(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("ngexplorer.gui.plots.remaining.monotonic", lambda: now[0])
    remaining = Remaining()
    assert remaining.seconds is None and remaining.words == ""
    now[0] = 102.0
    remaining.tell(0.25)
    assert remaining.seconds == pytest.approx(6) and remaining.words == "finer in 6 s"
    now[0] = 104.5
    assert remaining.words == "finer in 4 s"
    remaining.tell(0.02)
    assert remaining.words == "finer in 4 min"
    remaining.tell(1.0)
    assert remaining.words == ""


def test_while_it_refines_the_subtitle_says_for_how_long(raced, monkeypatch):
    _, view = raced
    monkeypatch.setattr(Remaining, "seconds", property(lambda self: 7.2))
    view.pull()
    assert view.subtitle.text().startswith("finer in 8 s · ")
    monkeypatch.undo()
    view.pull()
    assert "finer" not in view.subtitle.text()


@pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT], ids=["dark", "light"])
def test_shaded_relief_takes_the_place_of_the_contours(sit_at, valley, theme):
    person = sit_at(valley("newton", steps=3), theme=theme)
    person.draws_all()
    view = person.window.trajectory
    assert view.ground.contours.levels > 5 and not view.ground.shading.isVisible()
    button = next(b for b in view._switches if b.defaultAction() is view.relief)
    person.clicks(button)
    person.until(lambda: (view.pull(), view.settled)[1])
    view.pull()
    assert view.ground.shading.isVisible() and view.ground.contours.levels == 0
    shaded = relief(view.surface.values)
    np.testing.assert_array_equal(view.ground.shading.image, relief_colours(shaded, theme))
    box = view.ground.shading.mapRectToParent(view.ground.shading.boundingRect())
    left, right, low, high = view.surface.window
    pixel = (right - left) / 256
    assert (box.left() + pixel / 2, box.right() - pixel / 2) == pytest.approx((left, right))
    assert (box.top() + box.bottom()) / 2 == pytest.approx((low + high) / 2)
    # Where the ground falls to the lower right it lies in the shade, where it rises there in the light.
    lit = view.ground.shading.image[..., :3].sum(-1)[shaded.light > 0.9].mean()
    dim = view.ground.shading.image[..., :3].sum(-1)[shaded.light < 0.3].mean()
    assert lit > dim
    person.clicks(button)
    view.pull()
    assert view.ground.contours.levels > 5 and not view.ground.shading.isVisible()


def test_the_profile_is_the_true_loss_and_that_under_the_path(raced):
    person, view = raced
    view.run.pick(1)
    view.profile.trigger()
    person.until(lambda: (view.pull(), view.settled)[1])
    person.window.settle()
    shown = person.session.runs[1]
    wanted = list(profile(shown.run.objective, view.surface.plane, thetas_of(shown), never))[-1]
    plane_line, true_line = view.path_profile.lines.shown
    log = view.path_profile.frame.item.getAxis("left").logMode
    true, beside = (10**line.y if log else line.y for line in (true_line, plane_line))
    np.testing.assert_allclose(true, wanted.loss, rtol=1e-10)
    np.testing.assert_allclose(beside, wanted.plane_loss, rtol=1e-10)
    np.testing.assert_allclose(true, shown.history["loss"], rtol=1e-8)
    gaps = np.abs(wanted.plane_loss - wanted.loss)
    assert f"(step {int(gaps.argmax())})" in view.path_profile.words.text()
    assert view.path_profile.isVisible() and len(view.frames) == 2
    assert view.entries[-1].label == "Newton on the plane", "a picture's legend tells the two apart"
    person.session.set_time(4)
    view.pull()
    assert true_line.dots[0, 0] == 8 and view.path_profile.lines.shown[1].dots[0, 0] == 4
    view.profile.trigger()
    assert not view.path_profile.isVisible() and len(view.frames) == 1


def test_on_the_two_parameters_the_plane_has_all_of_the_loss(sit_at, valley):
    person = sit_at(valley("newton", steps=6))
    person.session.toggle()
    person.sees("finished")
    view = person.window.trajectory
    view.profile.trigger()
    person.draws_all()
    assert view.path_profile.words.text() == "— true ┄ plane: the same"


# Where the runs start.


def test_a_click_starts_the_runs_there_and_is_undone(sit_at, valley):
    person = sit_at(valley("newton", "gauss-newton", make("gradient-descent", learning_rate=1e-3), steps=5))
    person.draws_all()
    view = person.window.trajectory
    assert view.subtitle.text().endswith("click to start elsewhere")
    assert view.frame.viewport().cursor().shape() == Qt.CursorShape.CrossCursor and "Click" in view.frame.toolTip()
    surface = view.surface
    clicks_at(person, 0.5, 1.5)
    starts_at(person, 0.5, 1.5)
    assert view.surface is not None, "the landscape stays in sight"
    person.draws_all()
    np.testing.assert_array_equal(view.surface.values, surface.values)
    data = person.session.experiment.data
    assert view.start.handle.pos().x() == pytest.approx(data.x) and str(data.x) == f"{data.x:.4g}", "few digits"
    assert [line.x[0] for line in view.lines.shown] == pytest.approx(3 * [data.x])
    person.session.step()
    person.until(lambda: person.session.latest == 1 and person.session.state == "paused")
    person.draws_all()
    ends = {(round(line.x[-1], 6), round(line.y[-1], 6)) for line in view.lines.shown}
    assert len(ends) == 3, "Newton, Gauss-Newton and gradient descent part"
    person.presses(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    person.presses(Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    person.rests()
    starts_at(person, -1.2, 1.0, within=1e-12)


def test_once_a_race_has_been_run_a_click_offers_and_enter_takes_it(sit_at, valley):
    person = sit_at(valley("newton", steps=5))
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    view = person.window.trajectory
    clicks_at(person, 1.0, 0.5)
    offer = view.start.offer
    assert (
        offer.isVisible() and person.session.state == "finished" and re.match(r"Start here: \((1|0.99)", offer.text())
    )
    QTest.keyClick(offer, Qt.Key.Key_Escape)
    assert not offer.isVisible() and person.session.experiment.data.x == -1.2
    clicks_at(person, 1.0, 0.5)
    QTest.keyClick(offer, Qt.Key.Key_Return)
    assert not offer.isVisible()
    starts_at(person, 1.0, 0.5)
    person.sees("ready")
    # With Shift at once, whatever has been raced.
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    clicks_at(person, 0.0, 1.0, Qt.KeyboardModifier.ShiftModifier)
    starts_at(person, 0.0, 1.0)


def test_a_right_click_has_the_start_in_its_menu(sit_at, valley):
    person = sit_at(valley("newton", steps=5))
    person.draws_all()
    clicks_at(person, -0.5, 0.5, button=Qt.MouseButton.RightButton)
    menu = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMenu) and w.isVisible())
    (action,) = menu.actions()
    assert re.match(r"Start here: \(−0\.(5|49)", action.text())
    action.trigger()
    menu.close()
    starts_at(person, -0.5, 0.5)


def test_the_start_is_dragged_and_a_race_that_is_on_goes_on_from_there(sit_at, valley):
    person = sit_at(valley("newton", steps=1_000_000))
    person.draws_all()
    view = person.window.trajectory
    generation = person.session.generation
    drags(person, (-1.2, 1.0), (0.4, 1.6))
    starts_at(person, 0.4, 1.6)
    assert person.session.generation == generation + 1, "once, as it is dropped"
    person.session.toggle()
    person.until(lambda: person.session.latest > 5)
    person.until(lambda: (view.pull(), view.pictured is not None)[1])
    drags(person, (person.session.experiment.data.x, person.session.experiment.data.y), (-0.5, 0.8))
    person.until(lambda: person.session.generation == generation + 2 and person.session.latest > 5)
    starts_at(person, -0.5, 0.8)
    assert person.session.state == "running"
    person.session.racer.stop()
    person.sees("stopped")


def test_the_start_moves_by_keys(sit_at, valley):
    person = sit_at(valley("newton", steps=5))
    person.draws_all()
    both = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier
    person.presses(Qt.Key.Key_Right, both)
    starts_at(person, -1.2 + 0.02 * 3.4, 1.0, within=1e-3)
    person.presses(Qt.Key.Key_Down, both)
    starts_at(person, -1.2 + 0.02 * 3.4, 1.0 - 0.02 * 2.8, within=2e-3)


def test_on_a_network_there_is_no_start_to_move(raced):
    person, view = raced
    assert not view.start.on and not view.start.handle.isVisible()
    assert not any(action.isEnabled() for action in view.start.actions.values())
    before = person.session.experiment
    clicks_at(person, 0.0, 0.0)
    assert person.session.experiment == before and not view.start.offer.isVisible()


def test_a_landscape_on_another_plane_has_no_start_to_click(sit_at, valley):
    person = sit_at(valley("newton", steps=2))
    person.draws_all()
    on(person, "hessian")
    assert not person.window.trajectory.start.on


# Basins.


def hills(*optimizers, steps=20):
    runs = tuple(Contender(optimizer=one) for one in optimizers)
    return Experiment(
        title="Hills", data=Himmelblau(), model=LandscapeModel(), loss=SquaredError(), steps=steps, runs=runs
    )


def test_basins_are_where_the_method_ends_with_a_legend_of_the_minima(sit_at, monkeypatch):
    monkeypatch.setattr("ngexplorer.gui.plots.basins._SIZES", (3, 5))
    person = sit_at(hills(make("gradient-descent", learning_rate=0.01), make("newton")))
    person.draws_all()
    view = person.window.trajectory
    view.basins.trigger()
    person.until(lambda: (view.pull(), view.settled)[1])
    person.window.settle()
    found = view.attraction.found
    wanted = list(
        basins(
            person.session.runs[0].run.objective,
            make("gradient-descent", learning_rate=0.01),
            view.surface.window,
            never,
            (3, 5),
        )
    )[-1]
    np.testing.assert_array_equal(found.basin, wanted.basin)
    assert len(found.places) == 4 and "basins from 5 × 5 starts" in view.subtitle.text()
    texts = view.attraction.legend.texts()
    assert texts[0] == "Gradient descent ends" and sum("h = 0" in text for text in texts) == 4
    assert any(text.startswith("(3, 2)") for text in texts) and view.attraction.legend.isVisible()
    image = view.attraction.image.image
    assert len(np.unique(image.reshape(-1, 4), axis=0)) == 4, "a colour for each minimum"
    corner = image[(found.basin == found.basin[-1, -1])]
    assert (corner == corner[0]).all()
    # Of another run.
    view.run.pick(1)
    person.until(lambda: (view.pull(), view.settled and view.attraction.finished)[1])
    view.pull()
    assert view.attraction.legend.texts()[0] == "Newton ends"
    view.basins.trigger()
    view.pull()
    assert not view.attraction.legend.isVisible() and not view.attraction.image.isVisible()


def test_basins_hold_no_other_question_and_wait_while_the_race_is_on(sit_at):
    person = sit_at(hills(make("gradient-descent", learning_rate=1e-4), steps=1_000_000))
    person.draws_all()
    view = person.window.trajectory
    view.basins.trigger()
    person.until(lambda: (view.pull(), view.attraction.found is not None)[1])
    view.choose("hessian")
    person.until(lambda: (view.pull(), view.pictured is not None and view.pictured.kind == "hessian")[1], timeout=5000)
    view.choose("parameters")
    person.until(lambda: (view.pull(), view.pictured is not None and view.pictured.kind == "parameters")[1])
    person.session.toggle()
    person.until(lambda: person.session.latest > 5)
    person.until(lambda: (view.pull(), view.session.analyst.idle)[1])
    done = view.attraction.found.done if view.attraction.found else 0.0
    at = person.session.latest
    person.until(lambda: (view.pull(), person.session.latest > at + 200)[1])
    assert (view.attraction.found.done if view.attraction.found else 0.0) == done < 1
    person.session.racer.stop()
    person.sees("stopped")


def test_basins_go_on_where_they_were_halted(sit_at, monkeypatch):
    """By a race that goes on, by the switch, and by a look at another run's."""
    monkeypatch.setattr("ngexplorer.gui.plots.basins._SIZES", (3, 5))
    started = []
    original = attraction._run

    def run(objective, optimizer, start, width, still, steps, *others):
        started.append((optimizer, start))
        return original(objective, optimizer, start, width, still, 60, *others)

    monkeypatch.setattr(attraction, "_run", run)
    slow, slower = (make("gradient-descent", learning_rate=rate) for rate in (1e-4, 1e-5))
    person = sit_at(hills(slow, slower, steps=1_000_000))
    person.draws_all()
    view = person.window.trajectory

    def known():
        return 0.0 if view.attraction.found is None else view.attraction.found.done

    def knows_more():
        before = known()
        person.until(
            lambda: (view.pull(), view.attraction.found is not None and view.attraction.found.done > before)[1]
        )
        assert view.attraction.found.done < 1
        return view.attraction.found.done

    view.basins.trigger()
    first = knows_more()
    person.session.toggle()
    person.until(lambda: person.session.latest > 5)
    person.session.toggle()
    person.sees("paused")
    second = knows_more()
    assert second > first
    view.basins.trigger()
    view.pull()
    view.basins.trigger()
    third = knows_more()
    assert third > second
    view.run.pick(1)
    assert view.attraction.found is None
    knows_more()
    view.run.pick(0)
    view.pull()
    assert view.attraction.found.done >= third
    person.until(lambda: (view.pull(), view.attraction.finished)[1])
    of_first = [start for method, start in started if method == slow]
    # What was halted within its moment is run again: a start or two each time.
    assert len(set(of_first)) == 25 and len(of_first) < 25 + 10


# The race before.


def test_an_answer_about_the_race_before_is_dropped(sit_at, two_moons, valley):
    person = sit_at(two_moons("newton", "heavy-ball", steps=4))
    person.draws_all()
    view = person.window.trajectory
    on(person, "hessian")
    stale = view._generation
    old = view.pictured
    person.session.open_experiment(valley("newton", steps=3))
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    view._answered("trajectory", stale, old)
    assert view.pictured is not old
    person.draws_all()
    assert view.pictured.surface.plane.axes.shape == (2, 2)


def test_the_window_of_a_plane_through_a_point_is_around_it(raced):
    person, view = raced
    surface = on(person, "random").surface
    aspect = view._aspect()
    half = surface.plane.unit / max(aspect**0.5, aspect**-0.5)
    assert surface.window == pytest.approx(window_around(np.zeros((1, 2)), aspect, 0.0, half), rel=0.15)

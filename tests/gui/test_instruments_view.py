"""The instruments' view, by what a person does: choose one, scrub, read off, click a cell, save; and how it looks."""

import csv

import msgspec
import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from ngexplorer.curvature import Hessian
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import compact
from ngexplorer.runs import Probes
from ngexplorer.runs.instruments import INSTRUMENTS
from ngexplorer.runs.schedule import Every
from tests.gui.test_reference import FOLDER, TOLERANCE, WRITE, difference


@pytest.fixture
def looking(sit_at, two_moons):
    """A finished race, and the instruments in front."""

    def look(*optimizers, instrument="noise_scale", experiment=None, steps=8, size=(1600, 1000), **changes):
        person = sit_at(
            experiment or two_moons(*(optimizers or ("heavy-ball", "newton")), steps=steps, **changes), size=size
        )
        person.session.toggle()
        person.sees("finished")
        view = person.window.instruments
        person.opens(view)
        person.chooses(view.what, INSTRUMENTS[instrument].title)
        person.gets_answers(view)
        return person, view

    return look


def theta(shown, step):
    return torch.tensor(shown.history.parameters(step)[0])


def texts(choice):
    return [choice.itemText(i) for i in range(choice.count())]


def hovers(view, step):
    """The pointer is moved to a step, at half the height of the picture."""
    area = view.frame.view.sceneBoundingRect()
    x = view.frame.view.mapViewToScene(QPointF(step, 0)).x()
    place = view.frame.mapFromScene(QPointF(x, area.center().y()))
    QTest.mouseMove(view.frame.viewport(), place)
    view.frame.scene().sigMouseMoved.emit(QPointF(x, area.center().y()))


def test_without_a_probe_it_is_looked_at_here_and_along_every_run(looking):
    person, view = looking(instrument="largest_rate")
    assert [trace.label for trace in view.traces] == [shown.label for shown in person.session.runs]
    for trace, shown in zip(view.traces, person.session.runs, strict=True):
        assert trace.steps.tolist() == list(range(9))
        for step in (0, 4, 8):
            values = Hessian(shown.run.objective, theta(shown, step)).eigenvalues()
            assert trace.at(step) == pytest.approx(2 / float(values[-1]))
    assert "Looked at now" in view.subtitle.toolTip() and view.subtitle.text().startswith("2/λmax(H)")
    assert view.frame.item.getAxis("left").logMode


def test_every_instrument_shows_lines_its_formula_and_its_source(looking):
    person, view = looking("gradient-descent", "natural-gradient")
    for name, instrument in INSTRUMENTS.items():
        person.chooses(view.what, instrument.title)
        person.gets_answers(view)
        assert not view.empty.isVisible() or not view.empty.text(), name
        assert instrument.formula in view.subtitle.text() and instrument.source in view.subtitle.text()
        offered = [(number, title) for number, title in instrument.numbers.items() if title in texts(view.number)]
        assert offered, name
        for number, title in offered[:2]:
            person.chooses(view.number, title)
            person.gets_answers(view)
            assert view.number_name == number and view.traces, (name, number)
            assert all(np.isfinite(trace.values).any() for trace in view.traces)


def test_a_recorded_probe_is_used_where_there_is_one(looking):
    probes = Probes(effective_rank=Every(interval=4))
    person, view = looking(instrument="effective_rank", probes=probes)
    recorded = person.session.runs[0].history.readings.series("effective_rank", "hessian")
    assert view.traces[0].steps.tolist() == recorded[0].tolist() == [0, 4]
    np.testing.assert_array_equal(view.traces[0].values, recorded[1])
    assert not view._known and "Recorded by its probe" in view.subtitle.toolTip()


def test_the_schedules_are_in_the_set_up_and_what_they_record_is_seen_while_the_race_goes_on(sit_at, two_moons):
    person = sit_at(two_moons("newton", steps=4000), size=(1600, 1000))
    fields = {field.editor.accessibleName() for field in person.window.setup.probes._fields.values()}
    assert {"Noise scale", "Step cosines", "F̄ against F", "Effective rank", "Stable rate"} <= fields
    changed = msgspec.structs.replace(person.session.experiment, probes=Probes(noise_scale=Every(interval=2)))
    person.session.open_experiment(changed)
    person.until(lambda: person.session.generation == 2 and person.session.state == "ready")
    person.opens(person.window.instruments)
    person.session.toggle()
    view = person.window.instruments
    person.until(lambda: (view.pull(), person.session.state == "running" and bool(view.traces))[1])
    assert set(np.diff(view.traces[0].steps).tolist()) <= {2.0}
    person.session.toggle()
    person.sees("paused")


def test_a_scrub_marks_the_step_and_the_dot_stands_at_its_look(looking):
    person, view = looking(instrument="effective_rank")
    person.session.set_time(3)
    person.gets_answers(view)
    upright = [line for line in view.lines.shown if len(line.x) == 2 and line.x[0] == line.x[1] == 3]
    assert len(upright) == 1
    dots = [line.dots for line in view.lines.shown if line.dots is not None and len(line.dots) == 1 and not len(line.x)]
    places = [place for place in np.concatenate(dots) if place[0] == 3]
    heights = sorted(np.log10(trace.at(3)) for trace in view.traces)
    assert sorted(height for _, height in places) == pytest.approx(heights)
    assert all(line.until == 3 for line in view.lines.shown if len(line.x) > 2)


def test_the_cross_hair_reads_every_run_and_what_it_is_held_against(looking):
    _, view = looking()
    hovers(view, 5)
    assert view.readout.isVisible() and view.hair.isVisible()
    told = view.readout.texts()
    assert told[:3] == ["step 5", "B_simple", "Batch in use"]
    for trace in view.traces:
        place = told.index(trace.label)
        assert told[place + 1 : place + 3] == [compact(trace.at(5)), "32"]
    view.frame.setFocus()
    QTest.keyClick(view.frame, Qt.Key.Key_Right)
    assert view.readout.texts()[0] == "step 6"
    view.frame.scene().sigMouseMoved.emit(QPointF(-5, -5))
    assert not view.readout.isVisible()


def test_the_cosines_are_a_table_of_the_step_that_is_shown_and_a_click_draws_a_pair(looking):
    person, view = looking("natural-gradient", "newton", instrument="cosines")
    person.session.set_time(2)
    person.gets_answers(view)
    shown = person.session.runs[0]
    delta = theta(shown, 3) - theta(shown, 2)
    gradient = shown.run.objective.gradient(theta(shown, 2))
    cosine = float(torch.cosine_similarity(delta, -gradient, dim=0))
    assert view.table.values[0, 1] == pytest.approx(cosine) and view.table.values[1, 1] == 1
    assert view.subtitle.text().startswith("step 2 · ")
    centre = view.frame.mapFromScene(view.table.cell(1, 0).center())
    QTest.mouseClick(view.frame.viewport(), Qt.MouseButton.LeftButton, pos=centre)
    person.gets_answers(view)
    assert view.number_name == "own / gradient-descent" and not view.run.isVisible()
    assert view.traces[0].at(2) == pytest.approx(cosine) and len(view.traces) == 2
    assert not len(view.table.values)


def test_layers_of_a_chosen_run_are_named_lines(looking):
    person, view = looking(instrument="layer_norms")
    person.clicks(view.run)
    person.leaves_list(view.run)
    person.chooses(view.run, "Newton")
    person.chooses(view.number, "Gradient ‖∇h‖")
    person.gets_answers(view)
    shown = person.session.runs[1]
    objective = shown.run.objective
    assert [entry.label for entry in view.entries] == ["layer 0", "layer 2"] and "layer 2" in view.names.text()
    for trace, layer in zip(view.traces, objective.layers, strict=True):
        expected = float(torch.linalg.vector_norm(objective.gradient(theta(shown, 6))[layer]))
        assert trace.at(6) == pytest.approx(expected)


def test_a_rate_above_the_largest_stable_one_is_shaded(looking, two_moons, change_optimizer):
    experiment = change_optimizer(two_moons("gradient-descent", "newton", steps=6), 0, learning_rate=40.0)
    person, view = looking(experiment=experiment, instrument="largest_rate")
    bands = [line for line in view.lines.shown if line.band is not None]
    assert bands and all((line.band[1] >= line.band[0]).all() for line in bands)
    assert max(line.band[1].max() for line in bands) == pytest.approx(np.log10(40.0))
    person.session.set_hidden(0, True)
    person.gets_answers(view)
    assert not [line for line in view.lines.shown if line.band is not None], "no bound on Newton's"


def test_what_does_not_apply_is_a_sentence(looking, valley):
    _, view = looking(experiment=valley("newton", steps=3), instrument="block_errors")
    assert view.empty.isVisible() and view.empty.text().startswith("K-FAC matrix: ")
    assert not view.frame.item.getAxis("left").isVisible()


def test_while_runs_go_on_no_more_than_here_is_asked_and_another_race_forgets(sit_at, two_moons):
    person = sit_at(two_moons("newton", steps=100_000), size=(1600, 1000))
    view = person.window.instruments
    person.opens(view)
    person.session.toggle()
    person.until(lambda: (view.pull(), bool(view._known))[1])
    assert person.session.state == "running"
    asked = view.inquiry._asked
    view.pull()
    assert view.inquiry._asked == asked, "not at once again"
    person.session.open_experiment(two_moons("adam", steps=2))
    person.until(lambda: person.session.generation == 2)
    person.sees("ready")
    person.gets_answers(view)
    assert {number for number, _ in view._known} == {0} and len(view.traces) == 1
    assert view.traces[0].label == "Adam" and view.traces[0].steps.tolist() == [0]


def test_a_hidden_view_asks_nothing(sit_at, two_moons):
    person = sit_at(two_moons("newton", steps=3))
    person.session.toggle()
    person.sees("finished")
    view = person.window.instruments
    assert not view.seen
    for _ in range(3):
        view.pull()
    assert view.inquiry._asked is None and not view._known


def test_readings_are_saved_as_a_table(looking, tmp_path, monkeypatch):
    person, view = looking(probes=Probes(effective_rank=Every()))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "readings.csv"), ""))
    person.picks(view.more, "Save readings as CSV…")
    with open(tmp_path / "readings.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert {row["instrument"] for row in table} == {"noise_scale", "effective_rank"}
    found = [float(row["value"]) for row in table if (row["run"], row["name"]) == ("Newton", "simple")]
    assert found == view.traces[1].values.tolist()
    assert "Saved" in person.notices[-1].message
    assert not view.export(tmp_path / "nowhere" / "readings.csv") and "cannot write" in person.notices[-1].message


def test_a_picture_has_the_formula_and_the_legend(looking, tmp_path):
    _, view = looking()
    assert "eqs. 2.8 and 2.9" in view.caption and "B_simple" in view.caption
    assert [entry.label for entry in view.entries] == ["Heavy ball", "Newton", "batch in use"]
    assert view.save(tmp_path / "noise.svg") and "McCandlish" in (tmp_path / "noise.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT], ids=lambda theme: theme.name)
def test_the_instruments_look_as_they_should(looking, theme):
    """Pictures are written anew as those of `test_reference` are."""
    person, view = looking("gradient-descent", "newton")
    person.session.set_theme(theme)
    themes.apply(theme, QApplication.instance())
    wrong = []
    try:
        view.frame.setFixedSize(420, 260)
        for name in ("noise_scale", "cosines", "block_errors", "largest_rate"):
            view.choose(name)
            person.gets_answers(view)
            QCoreApplication.processEvents()
            person.gets_answers(view)
            taken, path = view.frame.grab().toImage(), FOLDER / f"instruments-{name}-{theme.name}.png"
            if WRITE:
                assert taken.save(str(path))
            found = difference(taken, QImage(str(path)))
            if found > TOLERANCE:
                taken.save(str(path.with_name(f"wrong-{path.name}")))
                wrong.append(f"{name} differs by {found:.2f}; as it is now: reference/wrong-{path.name}")
        assert not wrong, "\n".join(wrong)
        if theme is themes.DARK:  # that the tolerance lets nothing through
            view.choose("noise_scale")
            person.session.set_hidden(1, True)
            person.gets_answers(view)
            without = view.frame.grab().toImage()
            assert difference(without, QImage(str(FOLDER / "instruments-noise_scale-dark.png"))) > 2 * TOLERANCE
    finally:
        themes.apply(themes.DARK, QApplication.instance())

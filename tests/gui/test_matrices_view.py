"""The matrices as images: what is under the cursor is the dense matrix's entry, and the distances are numpy's."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication, QPointF
from PySide6.QtGui import QFontMetrics
from PySide6.QtTest import QTest

from ngexplorer.analysis.block_means import block_means
from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots import matrices
from ngexplorer.gui.plots.axes import compact
from ngexplorer.gui.plots.colour_scale import placed, shades
from ngexplorer.gui.plots.matrix_distances import TITLES

ENGINES = {
    "hessian": Hessian,
    "gauss-newton": GaussNewton,
    "fisher": Fisher,
    "empirical-fisher": EmpiricalFisher,
    "kfac": lambda objective, theta: KFAC(objective, theta, labels="exact"),
}


@pytest.fixture
def looking(sit_at, two_moons):
    """A finished race, and its matrices in front."""

    def look(experiment=None, number=0, size=(1600, 1000)):
        person = sit_at(experiment or two_moons("natural-gradient", "newton", steps=6), size=size)
        person.session.toggle()
        person.sees("finished")
        person.opens(person.window.matrices)
        person.window.matrices.run.pick(number)
        person.gets_answers(person.window.matrices)
        return person, person.window.matrices

    return look


def dense(person, number, step):
    """Each matrix by the engine itself."""
    run = person.session.runs[number].run
    theta = torch.tensor(run.history.parameters(step)[0])
    return {name: kind(run.objective, theta).dense().numpy() for name, kind in ENGINES.items()}


def pointed_at(view, tile, row, column):
    """The pointer is moved to the middle of an entry; what is read there."""
    scene = view.frame.view.mapViewToScene(QPointF(tile.x + column + 0.5, tile.y + row + 0.5))
    QTest.mouseMove(view.frame.viewport(), view.frame.mapFromScene(scene))
    view.frame.scene().sigMouseMoved.emit(scene)
    return view.readout.text()


def test_the_value_under_the_cursor_is_the_dense_matrix_s_entry(looking):
    person, view = looking()
    person.session.set_time(4)
    person.gets_answers(person.window.matrices)
    exact = dense(person, 0, 4)
    assert [tile.name for tile in view.tiles] == [TITLES[name] for name in ENGINES]
    objective = person.session.runs[0].run.objective
    names = [name for name, _ in objective.model.named_parameters()]
    for tile, (name, matrix) in zip(view.tiles, exact.items(), strict=True):
        for row, column in ((0, 0), (3, 10), (len(matrix) - 1, 1)):
            told = pointed_at(view, tile, row, column)
            assert view.readout.isVisible()
            assert told.startswith(f"{TITLES[name]} = {compact(float(matrix[row, column]))}\n"), name
            assert f"row {row}: " in told and f"column {column}: " in told
    assert f"column 1: {names[0]}[0, 1]" in told and f"{names[-1]}[0]" in told
    view.frame.scene().sigMouseMoved.emit(QPointF(1, 1))
    assert not view.readout.isVisible()


def test_relative_distances_are_numpy_s(looking):
    person, view = looking()
    exact = dense(person, 0, 6)
    for row, a in enumerate(exact.values()):
        for column, b in enumerate(exact.values()):
            expected = np.linalg.norm(a - b) / np.linalg.norm(b)
            told = float(view.table.item(row, column).text().replace("−", "-"))
            assert told == pytest.approx(expected, rel=0.06, abs=1e-14)
            assert f"= {compact(float(expected))}:" in view.table.item(row, column).toolTip() or expected < 1e-12


def test_a_click_on_a_distance_shows_the_difference(looking):
    person, view = looking(number=1)
    exact = dense(person, 1, 6)
    view.table.cellClicked.emit(0, 2)
    person.gets_answers(person.window.matrices)
    (tile,) = view.tiles
    assert (view.what.currentText(), view.minus.currentText()) == ("Hessian", "− Fisher")
    np.testing.assert_allclose(tile.entries, exact["hessian"] - exact["fisher"], atol=1e-15)
    assert "Hessian − Fisher = " in pointed_at(view, tile, 2, 2)
    largest = np.abs(exact["hessian"] - exact["fisher"]).max()
    assert f"above {compact(float(largest))}" in view.subtitle.text()
    view.table.cellClicked.emit(4, 4)
    person.gets_answers(person.window.matrices)
    assert [tile.name for tile in view.tiles] == ["K-FAC"] and view.minus.currentText() == "alone"


def test_all_images_have_one_scale_with_zero_in_its_middle(looking):
    person, view = looking()
    extent = max(np.abs(matrix).max() for matrix in dense(person, 0, 6).values())
    assert view.scale._extent == pytest.approx(extent)
    for log in (True, False):
        view.log.setChecked(log)
        view.pull()
        for image, tile in zip(view.images, view.tiles, strict=True):
            assert tuple(image.levels) == (-1, 1)
            np.testing.assert_array_equal(image.image, placed(tile.entries, extent, log=log))
    values = np.array([[0.0, 1.0], [-1.0, 1e-2]])
    np.testing.assert_allclose(placed(values, 1.0, log=True), [[0, 1], [-1, 0.5]])
    np.testing.assert_allclose(placed(values, 2.0, log=False), values / 2)
    for theme in (themes.DARK, themes.LIGHT):
        colours = shades(theme).astype(int)
        middle, ends = colours[127:129].mean(0), colours[[0, -1]]
        assert (np.abs(ends - middle).max(1) > 80).all(), "both ends stand off from zero"
        assert abs(ends[0] - ends[1]).max() > 80, "and from each other"


def test_names_above_small_images_do_not_meet(looking):
    _, view = looking()
    metrics = QFontMetrics(themes.font(11))
    said = set()
    for size in ((380, 250), (480, 360), (900, 600)):
        view.setFixedSize(*size)
        QCoreApplication.processEvents()
        view.invalidate()
        view.pull()
        side = view.frame.view.mapViewToScene(QPointF(len(view.tiles[0].entries) * 1.08, 0)).x()
        side -= view.frame.view.mapViewToScene(QPointF(0, 0)).x()
        assert len(view.tiles) == 5 and all(metrics.horizontalAdvance(tile.name) <= side for tile in view.tiles)
        said.add(view.tiles[3].name)
    assert said == {"F̄", "Empirical Fisher"}


def test_layers_are_bounded_and_parameters_named_at_the_edges(looking):
    person, view = looking()
    view.compare(2, 2)
    person.gets_answers(person.window.matrices)
    assert len(view.tiles) == 1
    layers = person.session.runs[0].run.objective.layers
    upright = [line.x[0] for line in view.lines.shown[1:] if line.x[0] == line.x[-1]]
    assert upright == [layer.start for layer in layers[1:]]
    names = [name for name, _ in person.session.runs[0].run.objective.model.named_parameters()]
    ticks = dict(view.frame.item.getAxis("left")._tickLevels[0])
    assert set(ticks.values()) <= set(names) and names[0] in ticks.values()


def test_of_a_large_model_a_layer_is_shown_and_said_to_be(looking, monkeypatch):
    monkeypatch.setattr(matrices, "LARGEST", 10)
    person, view = looking()
    objective = person.session.runs[0].run.objective
    assert objective.parameters > 10
    smallest = min(objective.layers, key=lambda layer: layer.stop - layer.start)
    view.compare(0, 0)
    person.gets_answers(person.window.matrices)
    (tile,) = view.tiles
    np.testing.assert_allclose(tile.entries, dense(person, 0, 6)["hessian"][smallest, smallest], atol=1e-12)
    assert "alone (θ has" in view.subtitle.text()
    assert f"row {smallest.start + 1}: " in pointed_at(view, tile, 1, 0)
    view.layers.actions()[1].trigger()
    person.gets_answers(person.window.matrices)
    assert re.search(r"the first 10 of \d+ parameters of layer", view.subtitle.text())


def test_of_a_large_model_all_of_it_is_seen_in_means_over_blocks(looking, monkeypatch):
    monkeypatch.setattr(matrices, "LARGEST", 10)
    monkeypatch.setattr(matrices, "block_means", partial(block_means, sizes=(4, 8)))
    person, view = looking()
    whole = view.layers.actions()[0]
    total = person.session.runs[0].run.objective.parameters
    assert whole.text() == f"All of θ · means over blocks of its {total:,} parameters"
    whole.trigger()
    view.compare(0, 1)
    person.gets_answers(person.window.matrices)
    (tile,) = view.tiles
    exact = dense(person, 0, 6)
    edges = view.answer.matrices.edges
    means = np.add.reduceat(np.add.reduceat(exact["hessian"] - exact["gauss-newton"], edges[:-1], 0), edges[:-1], 1)
    lengths = np.diff(edges)
    np.testing.assert_allclose(tile.entries, means / np.outer(lengths, lengths), atol=1e-12)
    words = (
        f"means over {len(lengths)} × {len(lengths)} blocks of θ's {total:,} parameters, which are not their entries"
    )
    assert words in view.subtitle.text()
    names = [name for name, _ in person.session.runs[0].run.objective.model.named_parameters()]
    told = pointed_at(view, tile, 1, 0)
    assert told.startswith("mean of ") and f"rows {edges[1]}–{edges[2] - 1}: {names[0]}" in told.splitlines()
    assert set(dict(view.frame.item.getAxis("left")._tickLevels[0]).values()) <= set(names)
    upright = [line.x[0] for line in view.lines.shown[1:] if line.x[0] == line.x[-1]]
    layers = person.session.runs[0].run.objective.layers
    assert [edges[int(at)] for at in upright] == [layer.start for layer in layers[1:]]


def test_a_matrix_that_does_not_exist_is_a_sentence(looking, valley):
    person, view = looking(valley("newton", steps=3))
    kinds = list(ENGINES)
    view.compare(kinds.index("kfac"), kinds.index("kfac"))
    person.gets_answers(person.window.matrices)
    refused = view.answer.matrices.refused["kfac"]
    assert not view.tiles and view.empty.text() == refused
    assert view.table.item(0, 4).text() == "–" and view.table.item(0, 4).toolTip() == refused


def test_another_race_has_its_own_matrices(looking, valley):
    person, view = looking()
    person.session.open_experiment(valley("newton", steps=3))
    person.until(lambda: person.session.generation == 2)
    assert view.answer is None or view.answer.step == 0
    person.sees("ready")
    person.gets_answers(person.window.matrices)
    assert [tile.entries.shape for tile in view.tiles] == [(2, 2)] * 4, "K-FAC needs layers"


def test_behind_its_tab_it_asks_nothing(looking):
    person, view = looking()
    asked = view.inquiry._asked
    person.window.arrangement.plots.panels[2].raise_()
    person.until(lambda: not view.seen)
    person.session.set_time(2)
    person.window.settle()
    QCoreApplication.processEvents()
    assert view.inquiry._asked == asked
    person.opens(person.window.matrices)
    person.gets_answers(person.window.matrices)
    assert view.answer.step == 2


def test_while_a_race_goes_on_it_rests_between_two_looks(sit_at, two_moons):
    person = sit_at(two_moons("newton", steps=5000), size=(1600, 1000))
    person.opens(person.window.matrices)
    view = person.window.matrices
    person.session.toggle()
    steps = set()
    person.until(lambda: (view.pull(), view.answer and steps.add(view.answer.step), len(steps) > 1)[2])
    assert person.session.state == "running"
    asked = view.inquiry._asked
    view.pull()
    assert view.inquiry._asked == asked, "not at once again"

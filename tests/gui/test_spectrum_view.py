"""The spectra of one run: matrices over each other, the gradient's energy and the filter, layers, and through time."""

import msgspec
import numpy as np
import pytest
import torch
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QColor

from ngexplorer.curvature import KFAC, EmpiricalFisher, Fisher, GaussNewton, Hessian, exactness
from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.axes import BrokenAxis, compact
from ngexplorer.gui.plots.spectrum import COLOURS
from ngexplorer.gui.plots.spectrum_time import SpectrumTimeView
from ngexplorer.runs import Probes
from ngexplorer.runs.schedule import Every


@pytest.fixture
def looking(sit_at, two_moons):
    """A finished race, and its spectra of one run."""

    def look(*optimizers, number=0, steps=6, **how):
        person = sit_at(two_moons(*optimizers, steps=steps, **how))
        person.session.toggle()
        person.sees("finished")
        person.window.spectrum.choose(number)
        settled(person)
        return person

    return look


def settled(person):
    view = person.window.spectrum
    person.until(lambda: (view.pull(), person.session.analyst.idle)[1])
    QCoreApplication.processEvents()
    view.pull()
    person.until(lambda: (view.pull(), person.session.analyst.idle)[1])
    QCoreApplication.processEvents()
    person.window.settle()


def heights(view, lines):
    """Eigenvalues that a view's lines stand for, ascending."""
    found = np.concatenate([line.y for line in lines])
    return np.sort(np.sign(found) * 10 ** (np.abs(found) - view.axis.gap + view.axis.floor))


def of(view, matrix):
    """The lines in a matrix's colour."""
    colour = themes.line_colour(COLOURS[matrix], themes.DARK)
    return [line for line in view.lines.shown if line.pen.color().name() == colour.name() and len(line.x)]


def test_five_matrices_of_one_run_at_the_step_that_is_shown(looking):
    person = looking("natural-gradient", "newton")
    view, shown = person.window.spectrum, person.session.runs[0]
    for action in view.matrices.values():
        action.setChecked(True)
    person.session.set_time(4)
    settled(person)
    objective = shown.run.objective
    theta = torch.tensor(shown.history.parameters(4)[0])
    for kind in (Hessian, GaussNewton, Fisher, EmpiricalFisher, KFAC):
        values = kind(objective, theta).eigenvalues().numpy()
        kept = values[np.abs(values) > max(len(values) * 2.3e-16 * np.abs(values).max(), 10.0**view.axis.floor)]
        drawn = heights(view, of(view, kind.name))
        assert len(drawn) == len(kept)
        assert drawn == pytest.approx(kept, rel=1e-6)
    assert view.subtitle.text().startswith("step 4 · Fisher · tr ")
    assert "effective dimension" in view.subtitle.text()


@pytest.mark.parametrize("optimizer", ["natural-gradient", "newton"])
def test_the_numbers_are_those_of_the_dense_matrix(looking, optimizer):
    person = looking(optimizer)
    view, shown = person.window.spectrum, person.session.runs[0]
    person.session.set_time(2)
    settled(person)
    kind = Fisher if optimizer == "natural-gradient" else Hessian
    theta, damping = torch.tensor(shown.history.parameters(2)[0]), shown.history["damping"][3]
    dense = kind(shown.run.objective, theta).dense().numpy()
    values, damped = np.linalg.eigvalsh(dense), dense + damping * np.eye(len(dense))
    kept = values[values > len(values) * np.finfo(float).eps * np.abs(values).max()]
    dimension = (kept / (kept + damping)).sum()
    for words in (
        f"tr {compact(np.trace(dense))}",
        f"effective dimension {compact(dimension)}",
        f"κ {compact(np.linalg.cond(dense))} ({compact(np.linalg.cond(damped))} damped)",
    ):
        assert words in view.subtitle.text()
    negative = int((values < -1e-12).sum())
    assert (f"▽ {negative} negative" in view.subtitle.text()) == (negative > 0) == (optimizer == "newton")


def test_a_run_of_first_order_is_looked_at_too(looking):
    person = looking("adam")
    view = person.window.spectrum
    assert not view.empty.isVisible() and len(of(view, "hessian"))


def test_the_filter_over_the_gradient_s_energy_is_that_of_the_step_s_damping(looking):
    person = looking("natural-gradient")
    view, history = person.window.spectrum, person.session.runs[0].history
    person.session.set_time(3)
    settled(person)
    assert view.lower.isVisible()
    objective = person.session.runs[0].run.objective
    point = objective.at(torch.tensor(history.parameters(3)[0]))
    values, vectors = torch.linalg.eigh(Fisher(objective, point).dense())
    damping = history["damping"][4]
    (filtered,) = [line for line in view.shares.shown if line.pen.color() == QColor(themes.DARK.marker)]
    expected = (values / (values + damping)).flip(0).numpy()
    assert 10 ** filtered.y[:5] == pytest.approx(expected[:5])
    gradient = point.gradient
    energy = ((gradient @ vectors) ** 2 / gradient.dot(gradient)).flip(0).numpy()
    colour = themes.line_colour(COLOURS["fisher"], themes.DARK).name()
    (dots,) = [line.dots for line in view.shares.shown if line.dots is not None and line.pen.color().name() == colour]
    told = dict(dots)
    for rank in (1, 2, 3):
        assert 10 ** told[float(rank)] == pytest.approx(energy[rank - 1], rel=1e-6)


def test_layer_by_layer_each_block_has_its_line(looking):
    person = looking("natural-gradient")
    view = person.window.spectrum
    view.by_layers.setChecked(True)
    settled(person)
    objective = person.session.runs[0].run.objective
    theta = torch.tensor(person.session.runs[0].history.parameters(6)[0])
    dense = Fisher(objective, theta).dense()
    blocks = [torch.linalg.eigvalsh(dense[layer, layer]).numpy() for layer in objective.layers]
    assert [entry.label for entry in view.entries] == ["layer 1", "layer 2"]
    for entry, block in zip(view.entries, blocks, strict=True):
        lines = [line for line in view.lines.shown if line.pen.color() == entry.colour]
        assert heights(view, lines)[-1] == pytest.approx(block[-1])
    assert not view.lower.isVisible()


def test_what_is_looked_at_is_recorded_while_the_race_goes_on(sit_at, two_moons):
    person = sit_at(two_moons("natural-gradient", steps=400))
    person.window.spectrum.choose(0)
    person.window.spectrum.matrices["kfac"].setChecked(True)
    person.until(lambda: "kfac" in person.session.race.spectra.watched)
    person.session.racer.step()
    person.until(lambda: any(s.matrix == "kfac" for s in person.session.runs[0].history.spectra))
    person.window.spectrum.choose(None)
    person.until(lambda: not person.session.race.spectra.watched)


def test_of_a_large_model_one_run_shows_the_density(looking, monkeypatch):
    monkeypatch.setattr(exactness, "LARGEST_EXACT", 5)
    person = looking("natural-gradient")
    view = person.window.spectrum
    assert "Fisher by its density" in view.subtitle.text() and of(view, "fisher")
    assert "filter" in view.names.text() and "energy" not in view.names.text(), "it has no eigenvectors"
    assert view.axes_named[1] == ("rank", "filter λᵢ/(λᵢ+λ)")
    view.by_layers.setChecked(True)
    settled(person)
    assert view.empty.text().startswith("17 parameters: layers are told apart up to 5.") and not view.lines.shown
    view.by_layers.setChecked(False)
    settled(person)
    assert not view.empty.isVisible() and of(view, "fisher")
    person.window.spectrum.choose(None)
    person.window.settle()
    assert "Choose one run above" in view.empty.text()


def test_through_time_every_eigenvalue_is_in_its_bin(sit_at, two_moons, qtbot):
    person = sit_at(two_moons("newton", steps=5))
    person.session.race.spectra.share = 1e9
    view = SpectrumTimeView(person.session)
    qtbot.addWidget(view)
    view._fill()
    person.session.toggle()
    person.sees("finished")
    view.pull()
    spectra = [s for s in person.session.runs[0].history.spectra if s.matrix == "hessian"]
    assert len(spectra) == 5
    bins = view.image.image.shape[1]
    for spectrum in spectra:
        row = view.image.image[int((spectrum.step + 0.5) / 5 * view.image.image.shape[0])]
        values = spectrum.eigenvalues
        large = np.abs(values) > max(spectrum.rounding, 1e-8)
        assert np.expm1(row).sum() == pytest.approx(large.sum())
        assert np.expm1(row[: bins // 2]).sum() == pytest.approx((values[large] < 0).sum())


def through_time(person):
    return next(view for view in person.window.views if isinstance(view, SpectrumTimeView))


def test_between_the_recorded_ones_spectra_are_looked_for_while_the_race_rests(sit_at, two_moons):
    person = sit_at(two_moons("newton", steps=8, probes=Probes(spectra=Every(interval=5))))
    view, shown = through_time(person), person.session.runs[0]
    person.opens(view)
    person.session.toggle()
    person.sees("finished")
    person.gets_answers(view)
    assert {s.step for s in shown.history.spectra} == {0, 5}, "what a race records is its own"
    spectra = view._spectra(shown)
    assert [s.step for s in spectra] == list(range(9)) and "Hessian · 9 spectra" in view.subtitle.text()
    for step in (3, 8):
        values = Hessian(shown.run.objective, torch.tensor(shown.history.parameters(step)[0])).eigenvalues()
        assert spectra[step].eigenvalues == pytest.approx(values.numpy())
    person.chooses(view.matrix, "Hessian")
    person.gets_answers(view)
    assert len(view._spectra(shown)) == 9


def test_the_run_that_is_looked_at_stays_when_others_come_and_go(sit_at, valley, two_moons):
    person = sit_at(valley("newton", "gauss-newton", "natural-gradient", steps=9))
    person.session.toggle()
    person.sees("finished")
    window, view, later = person.window, person.window.spectrum, through_time(person)
    person.opens(later)
    person.chooses(later.run, "Gauss-Newton")
    person.opens(view)
    person.chooses(view.run, "Natural gradient")
    person.chooses(window.anatomy.run, "Natural gradient")
    window.anatomy.run.pick(window.anatomy.run.currentIndex())
    shown = person.session.runs[2]
    person.session.fork(shown, 3, torch.full((2,), 1e-3, dtype=torch.float64), 0.1, "fisher")
    person.until(lambda: len(person.session.runs) == 4)
    assert view.chosen.run is shown.run and window.anatomy.run.chosen.run is shown.run
    assert later.chosen.run is person.session.runs[1].run
    assert view.run.count() == 5 and not view.run.itemIcon(4).isNull()

    # In another race the one of that name is looked at, where there is one.
    person.session.open_experiment(two_moons("natural-gradient", "adam"))
    person.until(lambda: person.session.generation == 2)
    assert view.run.currentText() == window.anatomy.run.currentText() == "Natural gradient"
    person.session.open_experiment(two_moons("adam", "newton"))
    person.until(lambda: person.session.generation == 3)
    assert view.chosen is None and window.anatomy.run.chosen is not None


def test_places_of_a_broken_axis_rise_with_the_numbers_and_small_ones_have_none():
    axis = BrokenAxis("left")
    axis.floor = -4.0
    values = np.array([-10.0, -1.0, -1e-4, 1e-4, 1.0, 10.0])
    places = axis.place(values)
    assert (np.diff(places) > 0).all() and places == pytest.approx(-places[::-1])
    assert np.isnan(axis.place(np.array([1e-5, 0.0, -1e-5]))).all()
    for _, ticks in axis.tickValues(-6, 6, 300):
        assert 0.0 in ticks and len(ticks) > 4


def test_another_race_forgets_what_was_looked_at(looking, two_moons):
    person = looking("natural-gradient")
    assert person.window.spectrum._looked
    person.session.open_experiment(msgspec.structs.replace(two_moons("newton"), seed=5))
    person.until(lambda: person.session.generation == 2)
    assert not person.window.spectrum._looked

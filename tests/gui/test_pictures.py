"""Pictures of plots: on white, at print size, with a legend, whole or not at all; and the frames they are drawn in."""

import html
import re

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QRect
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from ngexplorer.gui import theme as themes
from ngexplorer.gui.plots.stage import BUDGET, Stage
from ngexplorer.optimizers import make
from tests.gui.test_reference import difference, pixels


@pytest.fixture
def person(sit_at, two_moons):
    person = sit_at(two_moons("heavy-ball", "natural-gradient", steps=6))
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    return person


@pytest.mark.parametrize("name", ["curves", "spectrum", "trajectory"])
def test_a_picture_is_three_dots_for_each_of_the_screen_on_white(person, tmp_path, name):
    view, path = getattr(person.window, name), tmp_path / "plot.png"
    before = view.frame.backgroundBrush().color()
    assert view.save(path)
    image = QImage(str(path))
    assert image.width() == pytest.approx((view.frame.width() + 24) * 300 / 96, abs=2)
    assert image.dotsPerMeterX() == pytest.approx(300 / 0.0254, rel=1e-3)
    assert image.pixelColor(2, 2) == image.pixelColor(image.width() - 3, 2) == QColor("#ffffff")
    colours = {
        image.pixelColor(x, y).name()
        for x in range(0, image.width(), 2)
        for y in range(image.height() - 100, image.height(), 2)
    }
    assert themes.line_colour(themes.SKY, themes.LIGHT).name() in colours, "the legend names the natural gradient"
    assert person.session.theme is themes.DARK and view.frame.backgroundBrush().color() == before
    assert person.notices[-1].message == f"Saved {path}"


def drawn_again(path, size):
    """An SVG as Qt reads it."""
    image = QImage(size, QImage.Format.Format_RGB32)
    image.fill(QColor("#ffffff"))
    painter = QPainter(image)
    QSvgRenderer(str(path)).render(painter)
    painter.end()
    return image


def groups(text):
    """What is drawn in one state: its transform, and its elements."""
    found = re.findall(r'<g [^>]*?transform="matrix\(([^)]*)\)"[^>]*>(.*?)</g>', text, re.DOTALL)
    return [(tuple(map(float, matrix.split(","))), inside) for matrix, inside in found]


def test_an_svg_is_a_drawing_that_needs_no_typeface_and_looks_as_the_picture_does(person, tmp_path):
    path, curves = tmp_path / "plot.svg", person.window.curves
    with curves.on_paper() as picture:
        picture.write(path)
        image = picture.image()
    assert [file.name for file in tmp_path.iterdir()] == ["plot.svg"]
    text = path.read_text(encoding="utf-8")
    assert "<text" not in text and "<image" not in text and text.count("<polyline") > 4
    labels = re.findall(r'aria-label="([^"]*)"', text)
    assert {"Loss by step", "Loss", "step", "0", "Heavy ball", "Natural gradient"} <= set(labels)
    again = drawn_again(path, image.size())
    assert difference(image, again) < 1.0
    words = QRect(0, 0, image.width(), 100)
    ink = [np.abs(pixels(one.copy(words)) - 255).sum() for one in (image, again)]
    assert ink[1] == pytest.approx(ink[0], rel=0.05) and ink[0] > 0, "the title"
    assert path.stat().st_size < 200_000


def test_an_svg_ends_at_the_edges_of_its_plots_whatever_reads_it(person, tmp_path):
    curves = person.window.curves
    panel = curves.add_panel("step_norm")
    QCoreApplication.processEvents()  # the panels find their sizes
    person.window.settle()
    curves.frame.view.setRange(xRange=(2, 3), padding=0)
    curves.frame.view.sigRangeChangedManually.emit([True, False])
    curves.compare(True)
    person.window.settle()
    assert curves.save(tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    edges = re.findall(
        r'<clipPath id="(.*?)"><rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"/></clipPath></defs>', text
    )
    assert len(edges) == 2
    for (name, left, _, width, height), frame in zip(edges, (curves.frame, panel.frame), strict=True):
        area = frame.view.sceneBoundingRect()
        assert (float(width), float(height)) == pytest.approx((area.width(), area.height()), abs=0.01)
        assert float(left) == pytest.approx(area.left() + 12, abs=0.01)
        (inside,) = re.findall(rf'<g clip-path="url\(#{name}\)">(.*?)(?=<defs>|\Z)', text, re.DOTALL)
        assert themes.line_colour(themes.SKY, themes.LIGHT).name() in inside
    assert "cut" not in text and text.count("<g") == text.count("</g>")
    for matrix, inside in groups(text):
        assert matrix[:4] == (1, 0, 0, 1) or "non-scaling-stroke" not in inside, "a line is as wide as it says"


def test_a_place_that_cannot_be_written_is_told_and_leaves_nothing(person, tmp_path):
    for path in (tmp_path / "nowhere" / "plot.png", tmp_path / "nowhere" / "plot.svg", tmp_path / "plot.txt"):
        assert not person.window.curves.save(path)
        assert str(path) in person.notices[-1].message and person.notices[-1].error
    assert not list(tmp_path.iterdir())


def test_a_copy_is_on_the_clipboard(person):
    curves = person.window.curves
    next(a for a in curves.more.menu().actions() if a.text() == "Copy as a picture").trigger()
    image = QGuiApplication.clipboard().image()
    assert image.width() > 3 * curves.frame.width() and image.pixelColor(2, 2) == QColor("#ffffff")


# The order in which views are drawn.


class Drawn:
    """A view that costs what it is told to, and counts."""

    can_wait = False

    def __init__(self, cost, under=False, seen=True):
        self.cost, self.under, self.seen, self.pictures, self.looks = cost, under, seen, 0, 0

    def underMouse(self):
        return self.under

    def pull(self):
        self.looks += 1
        self.pictures += 1
        return True


@pytest.fixture
def stage_of(monkeypatch):
    """A stage of these views whose turns are taken when the test says so, and what was put off."""

    def made(views):
        turns = []
        monkeypatch.setattr(Stage, "_later", lambda self: turns.append(self._turn))
        return Stage(views), turns

    return made


def whole(stage, turns):
    """One frame with all its turns."""
    stage.frame()
    while turns:
        turns.pop()()


def test_the_plot_under_the_pointer_is_drawn_at_every_frame_and_the_others_in_turns(stage_of):
    views = [Drawn(0.4 * BUDGET, under=i == 2) for i in range(6)]
    stage, turns = stage_of(views)
    for _ in range(50):
        whole(stage, turns)
    assert views[2].pictures == 50
    assert [view.pictures for i, view in enumerate(views) if i != 2] == [10] * 5, "two fit in a frame, a third does not"


def test_what_costs_more_than_a_frame_is_drawn_in_its_turn_nevertheless(stage_of):
    views = [Drawn(0.001, under=True), Drawn(1.5 * BUDGET), Drawn(0.001), Drawn(0.001)]
    stage, turns = stage_of(views)
    for _ in range(20):
        whole(stage, turns)
    assert views[1].pictures >= 9 and views[2].pictures == views[3].pictures >= 9


def test_each_picture_has_a_turn_of_the_event_loop_to_itself(stage_of):
    """What a person does meanwhile is answered between two of them."""
    views = [Drawn(0.001, under=i == 1) for i in range(3)]
    stage, turns = stage_of(views)
    stage.frame()
    assert [view.pictures for view in views] == [0, 1, 0] and len(turns) == 1
    turns.pop()()
    assert [view.pictures for view in views] == [1, 1, 0]
    stage.frame()  # a frame that comes before this one is over
    assert [view.pictures for view in views] == [1, 1, 0]
    turns.pop()()
    assert [view.pictures for view in views] == [1, 1, 1]
    turns.pop()()
    assert [view.pictures for view in views] == [1, 1, 1] and len(turns) == 1, "it begins once this one is over"
    while turns:
        turns.pop()()
    assert [view.pictures for view in views] == [2, 2, 2]


def test_a_picture_that_cannot_be_drawn_ends_its_frame_alone(stage_of):
    views = [Drawn(0.001, under=True), Drawn(0.001), Drawn(0.001)]
    stage, turns = stage_of(views)
    broken, views[1].pull = views[1].pull, lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        whole(stage, turns)
    assert stage.idle
    views[1].pull = broken
    whole(stage, turns)
    assert [view.pictures for view in views] == [2, 1, 1]


def test_a_view_that_is_not_seen_is_not_even_asked(stage_of):
    views = [Drawn(0.001), Drawn(0.001, seen=False), Drawn(0.001, under=True, seen=False)]
    stage, turns = stage_of(views)
    for _ in range(5):
        whole(stage, turns)
    assert [view.looks for view in views] == [5, 0, 0]


# What stands along the axes.


def said(svg):
    """Its words, which label their outlines: a word of two typefaces stands in two pieces."""
    return "".join(html.unescape(words) for words in re.findall(r'aria-label="([^"]*)"', svg))


def test_a_picture_of_every_analysis_says_what_stands_along_its_axes(sit_at, two_moons, tmp_path):
    cg = make("natural-gradient", solver={"name": "conjugate-gradient", "tolerance": 1e-6})
    person = sit_at(two_moons(cg, "newton", steps=5), size=(1600, 1000))
    person.session.toggle()
    person.sees("finished")
    person.draws_all()
    window = person.window
    views = {type(view).__name__: view for view in window.views}
    window.trajectory.profile.trigger()
    wanted = {
        "TrajectoryView": ("first principal component", "second principal component", "loss along the path"),
        "LocalModelView": ("along the best step of the path", "loss at θ + δ(λ), and as the model promises it (– –)"),
        "FunctionView": ("x₁", "x₂"),
        "InstrumentsView": ("step", "Gradient noise scale: B_simple"),
    }
    for name, words in wanted.items():
        view = views[name]
        person.opens(view)
        person.until(lambda view=view: (view.pull(), getattr(view, "settled", True) and not view.empty.isVisible())[1])
        view.pull()
        path = tmp_path / f"{name}.svg"
        assert view.save(path)
        text = path.read_text(encoding="utf-8")
        for word in words:
            assert word in said(text), (name, word)

    text = (tmp_path / "LocalModelView.svg").read_text(encoding="utf-8")
    assert said(text).count("damping λ") == 1, "below the lowest strip"

    iterations = window.anatomy.iterations
    window.anatomy.run.pick(0)
    window.anatomy.pull()
    person.until(lambda: iterations.iterations is not None and iterations.iterations.done)
    path = tmp_path / "iterations.svg"
    assert iterations.save(path)
    text = path.read_text(encoding="utf-8")
    assert text.count('aria-label="iteration"') == 2
    assert "Conjugate gradient in step 5" in said(text) and "with damping" in said(text)
    assert QSvgRenderer(str(path)).isValid()
    next(a for a in iterations.more.menu().actions() if a.text() == "Copy as a picture").trigger()
    assert QGuiApplication.clipboard().image().pixelColor(2, 2) == QColor("#ffffff")
    assert iterations.frames[0].backgroundBrush().color() == QColor(themes.DARK.panel)

"""The tour in the window: stops opened, read, measured, gone on from; the start page."""

import sys
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QColor, QTextCursor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton

from ngexplorer import resource_files
from ngexplorer.gui import application, typeset
from ngexplorer.gui import theme as themes
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.palette import Palette
from ngexplorer.gui.panels.tour import TourPanel, with_scripts
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.session import Session
from ngexplorer.runs import experiment as experiments
from ngexplorer.tour import STOPS, page
from ngexplorer.tour.checks import WATCH, at_most, near, unchecked
from ngexplorer.tour.stop import Layout


@pytest.fixture
def claims(monkeypatch):
    """A first stop with these claims, by name."""

    def put(**measures):
        monkeypatch.setattr(STOPS[0], "claims", [])
        for name, measure in measures.items():
            STOPS[0].claim(name, "§6")(measure)

    return put


@pytest.fixture
def answers(monkeypatch):
    """What a person answers when asked about changes, and how often they were asked."""

    def answer(button):
        asked = []
        monkeypatch.setattr(QMessageBox, "exec", lambda box: (asked.append(box.text()), button)[1])
        return asked

    return answer


def does(person, key):
    """Carry an action out, as its menu does."""
    person.window.actions_[key].trigger()
    QCoreApplication.processEvents()


def turns_to(tour, part):
    """Click on the tab of a part of the stop."""
    (number,) = (n for n in range(tour.tabs.count()) if tour.tabs.tabText(n).startswith(part))
    QTest.mouseClick(tour.tabs, Qt.MouseButton.LeftButton, pos=tour.tabs.tabRect(number).center())
    QCoreApplication.processEvents()


def stands_at(person, number):
    """Wait until the stop's experiment stands ready to race."""
    person.until(lambda: person.session.raced == STOPS[number - 1].experiment() and person.session.state == "ready")
    QCoreApplication.processEvents()


def test_a_person_takes_the_tour_from_the_help_menu_and_goes_on(sit_at, two_moons):
    person = sit_at(two_moons(), size=(1600, 1000))
    tour, window = person.window.tour, person.window
    assert not tour.isVisible(), "it is not in the way of who has not asked"
    does(person, "tour")
    stands_at(person, 1)
    assert tour.isVisible()
    assert window.arrangement.panel(tour).x() > window.arrangement.plots.x()
    assert tour.title.text() == STOPS[0].title
    assert tour.source.text().startswith("Martens 2020, §5 and §6")
    assert "gradient descent" in tour.page.toPlainText().lower()
    assert not tour.previous.isEnabled() and "first" in window.actions_["previous-stop"].property("why_not")
    person.clicks(tour.next)
    stands_at(person, 2)
    assert tour.title.text() == STOPS[1].title
    assert tour.choice.currentText().startswith("2  ")
    person.clicks(tour.forward)
    stands_at(person, 3)
    does(person, "previous-stop")
    stands_at(person, 2)
    tour.choice.setCurrentIndex(6)
    tour.choice.activated.emit(6)
    stands_at(person, 7)
    QTest.mouseClick(tour.dots, Qt.MouseButton.LeftButton, pos=tour.dots.place(15).toPoint())
    stands_at(person, 15)
    assert tour.seen == [STOPS[n - 1].name for n in (1, 2, 3, 7, 15)]
    assert [n + 1 for n in range(len(STOPS)) if tour.choice.itemText(n).endswith("✓")] == [1, 2, 3, 7, 15]
    assert tour.dots.accessibleName() == "Stop 15 of 17, 5 seen"
    tour.show_stop(17)
    assert not tour.next.isEnabled() and not tour.forward.isVisible()
    assert person.notices == []
    middle = QPointF(tour.page.viewport().rect().center())
    turn = (QPoint(0, 0), QPoint(0, -120), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier)
    wheel = QWheelEvent(middle, tour.page.mapToGlobal(middle), *turn, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(tour.page.viewport(), wheel)
    assert not wheel.isAccepted(), "the text leaves the wheel to the panel, which scrolls"


def test_the_palette_opens_a_stop(sit_at, two_moons):
    person = sit_at(two_moons())
    person.window.find_action()
    found = person.window.findChild(Palette)
    QTest.keyClicks(found.line, "tour falls saddle")
    assert found.names()[0] == "Tour: 15  Who falls into a saddle"
    QTest.keyClick(found.line, Qt.Key.Key_Return)
    stands_at(person, 15)
    assert person.window.tour.isVisible()


def test_a_stop_brings_its_views_to_the_front_and_its_columns_into_the_curves(sit_at, two_moons):
    person = sit_at(two_moons(), size=(1600, 1000))
    window = person.window
    plots = {panel.objectName(): panel for panel in window.arrangement.plots.panels}
    plots["spectrum through time"].raise_()
    plots["trajectory"].close()
    person.until(lambda: plots["spectrum"].visibleRegion().isEmpty())
    window.guide.open(3)
    person.until(lambda: not plots["spectrum"].visibleRegion().isEmpty() and plots["trajectory"].isVisible())
    assert [panel.column for panel in window.curves.panels] == ["loss", "reduction_ratio"]
    assert [panel.log.isChecked() for panel in window.curves.panels] == [True, False]
    window.guide.open(16)
    assert [panel.column for panel in window.curves.panels] == ["loss"]
    assert window.curves.axis.currentText() == "by seconds of compute"
    window.guide.open(1)
    assert not window.curves.panels[0].log.isChecked(), "its loss goes below zero"
    stands_at(person, 1)


def test_every_layout_names_views_that_there_are(sit_at, two_moons):
    person = sit_at(two_moons())
    for stop in STOPS:
        person.window.guide.arrange(stop.layout)


def test_a_view_that_there_is_not_is_one_notice_and_the_stop_opens(sit_at, two_moons, monkeypatch):
    person = sit_at(two_moons())
    monkeypatch.setattr(type(STOPS[0]), "layout", Layout(front=("spectra",)))
    person.window.guide.open(1)
    stands_at(person, 1)
    (notice,) = person.notices
    assert notice.message.startswith("layout.front: there is no view named 'spectra'; did you mean 'spectrum'?")


def test_what_would_be_lost_is_asked_about_first(sit_at, two_moons, answers):
    person = sit_at(two_moons())
    asked = answers(QMessageBox.StandardButton.Cancel)
    person.types(person.field("Steps").editor, "31")
    person.rests()
    does(person, "tour-saddles")
    assert len(asked) == 1
    assert person.session.experiment.steps == 31 and not person.window.tour.isVisible()
    does(person, "tour")
    assert person.window.tour.number == 1 and person.window.tour.seen == []
    asked = answers(QMessageBox.StandardButton.Discard)
    does(person, "tour-saddles")
    stands_at(person, 15)
    person.types(person.field("Steps").editor, "31")
    person.rests()
    person.clicks(person.window.tour.again)
    stands_at(person, 15)
    assert len(asked) == 2


def test_a_stops_file_is_not_written_to(sit_at, two_moons):
    person = sit_at(two_moons())
    person.window.guide.open(8)
    stands_at(person, 8)
    assert person.window.document.path is None
    assert not person.window.document.modified
    assert person.window.preferences.recent == []
    person.window.open_experiment(STOPS[7].path)
    assert person.window.document.path is None, "opened as a file, it is still the program's"
    stands_at(person, 8)


def test_claims_are_measured_one_after_another_with_their_verdicts(sit_at, two_moons, claims):
    claims(
        right=lambda: near(2.001, 2, 0.01),
        wrong=lambda: near((1.0, 2.5), (1, 2), 0.1),
        far=lambda: unchecked("no telescope"),
        small=lambda: at_most(0.25, 1),
    )
    person = sit_at(two_moons(), size=(1600, 1000))
    person.window.guide.open(1)
    stands_at(person, 1)
    tour = person.window.tour
    assert [row.numbers.text() for row in tour.rows] == ["§6"] * 4
    assert tour.verdict.text() == "4 claims"
    turns_to(tour, "Checks")
    person.clicks(tour.measure)
    person.until(lambda: not tour.measuring)
    assert tour.verdict.text() == "2 of 4 pass, 1 fail, 1 cannot be checked"
    assert tour.tabs.tabText(2).split() == ["Checks", "2/4"]
    assert [row.numbers.text() for row in tour.rows] == [
        "expected 2 · measured 2.001 · off by 0.001 · tolerance 0.01",
        "expected (1, 2) · measured (1, 2.5) · off by 0.5 · tolerance 0.1",
        "cannot be checked here: no telescope",
        "expected ≤ 1 · measured 0.25",
    ]
    assert [row.accessibleName().partition(": ")[2].partition(".")[0] for row in tour.rows] == [
        "passes",
        "fails",
        "cannot be checked here",
        "passes",
    ]
    assert tour.progress.value() == tour.progress.maximum() == 4
    checks = tour.parts.currentWidget()
    person.until(lambda: checks.widget().width() <= checks.viewport().width())
    wrong = tour.rows[1].numbers
    assert wrong.palette().color(wrong.foregroundRole()) == QColor(themes.DARK.error)
    person.window.guide.open(2)
    person.window.guide.open(1)
    assert tour.verdict.text() == "2 of 4 pass, 1 fail, 1 cannot be checked", "what was measured is kept"
    assert tour.measure.text() == "Measure again"
    stands_at(person, 1)


def test_the_checks_of_a_stop_pass_in_this_very_window_while_it_races(sit_at, two_moons):
    person = sit_at(two_moons(), size=(1600, 1000))
    person.window.guide.open(1)
    stands_at(person, 1)
    tour = person.window.tour
    person.session.toggle()
    turns_to(tour, "Checks")
    person.clicks(tour.measure)
    person.until(lambda: not tour.measuring)
    assert tour.verdict.text() == f"{len(STOPS[0].claims)} of {len(STOPS[0].claims)} pass"
    person.sees("finished")


def test_measuring_stops_when_asked_and_when_another_stop_opens(sit_at, two_moons, claims):
    going, may_go = threading.Event(), threading.Event()

    def slow():
        going.set()
        assert may_go.wait(30)
        return near(1.0, 1, 0)

    def after():
        raise AssertionError("it is not measured")

    claims(slow=slow, after=after)
    person = sit_at(two_moons(), size=(1600, 1000))
    person.window.guide.open(1)
    stands_at(person, 1)
    tour = person.window.tour
    turns_to(tour, "Checks")
    person.clicks(tour.measure)
    person.until(going.is_set)
    assert tour.measure.text() == "Stop" and tour.rows[0].numbers.text() == "measuring…"
    person.clicks(tour.measure)
    assert not tour.measuring and tour.measure.text() == "Measure"
    assert tour.rows[0].numbers.text() == "§6"
    may_go.set()
    person.until(lambda: person.session.analyst.idle)
    QCoreApplication.processEvents()
    assert tour.checks == {}, "an answer that no one waits for is dropped"
    person.clicks(tour.measure)
    person.window.guide.open(2)
    assert not tour.measuring
    stands_at(person, 2)
    assert tour.checks.keys() <= {"slow"}


def test_stop_abandons_the_claim_under_way_and_the_next_measuring_wins(sit_at, two_moons, claims):
    """It would never end by itself."""
    going, begun = threading.Event(), []

    def endless():
        begun.append(1)
        going.set()
        while len(begun) == 1:
            WATCH.check()
        return near(1.0, 1, 0)

    claims(endless=endless)
    person = sit_at(two_moons(), size=(1600, 1000))
    person.window.guide.open(1)
    stands_at(person, 1)
    tour = person.window.tour
    turns_to(tour, "Checks")
    person.clicks(tour.measure)
    person.until(going.is_set)
    person.clicks(tour.measure)
    person.clicks(tour.measure)
    person.until(lambda: not tour.measuring)
    assert len(begun) == 2 and tour.verdict.text() == "1 of 1 pass"
    person.until(lambda: person.session.analyst.idle)


def test_progress_is_remembered(qapp, tmp_path):
    path = tmp_path / "window.ini"
    session = Session(STOPS[0].experiment(), themes.DARK)
    first = TourPanel(session, Preferences(path))
    for number in (4, 5, 4):
        first.show_stop(number)
    again = TourPanel(session, Preferences(path))
    again.show()
    assert again.number == 4
    assert again.seen == ["equality", "newton"]
    assert again.title.text() == STOPS[3].title
    for text in ("99", "-1", "four"):
        preferences = Preferences()
        preferences._kept["tour/stop"] = text
        assert TourPanel(session, preferences).number in (1, 17)
    again.close()
    for made in (first, again):
        made.deleteLater()


# The page.


def test_text_of_a_page_is_copied_with_its_formulas_as_they_are_written(sit_at, two_moons):
    person = sit_at(two_moons(), size=(1600, 1000))
    person.window.guide.open(3)
    text = person.window.tour.page
    text.selectAll()
    copied = text.createMimeDataFromSelection().text()
    assert "A network z = f(x, θ) followed by a loss L(y, z) has the Hessian" in copied
    assert "H = E[ Jᵀ H_L J ] + E[ ∑_j ∂L/∂z_j ∇²f_j ]" in copied
    assert "\ufffc" not in copied
    assert text.textCursor().selectionEnd() == text.document().characterCount() - 1
    text.moveCursor(QTextCursor.MoveOperation.Start)
    stands_at(person, 3)


def test_a_page_fits_its_width_in_every_stop_and_theme(qapp):
    session = Session(STOPS[0].experiment(), themes.DARK)
    panel = TourPanel(session, Preferences())
    panel.resize(320, 700)
    panel.show()
    for theme in (themes.DARK, themes.LIGHT):
        session.set_theme(theme)
        for number in range(1, len(STOPS) + 1):
            panel.show_stop(number)
            QCoreApplication.processEvents()
            document, view = panel.page.document(), panel.page.viewport()
            assert document.idealWidth() <= view.width() <= panel.width()
            assert panel.page.height() >= document.size().height()
            assert panel.area.widget().width() <= panel.area.viewport().width()
    panel.close()
    panel.deleteLater()


def scrolls(area):
    return area.verticalScrollBar().maximum() > 0


@pytest.mark.parametrize("first", [1, 8, 12])
def test_no_page_has_to_be_scrolled_whichever_stop_comes_first(sit_at, first):
    """The names of some stops' runs are long, and the plots want room for them."""
    person = sit_at(STOPS[first - 1].experiment(), size=(1600, 1000))
    tour = person.window.tour
    for number in [first, *range(1, len(STOPS) + 1)]:
        person.window.guide.open(number)
        stands_at(person, number)
        person.window.settle()
        person.until(lambda: tour.page.visibleRegion().boundingRect().height() == tour.page.height())
        assert not scrolls(tour.area), STOPS[number - 1].name
        assert tour.forward.isVisible() == (number < len(STOPS))


def test_in_the_smallest_window_the_keyboard_comes_to_the_end_of_page_figure_and_checks(sit_at, two_moons):
    person = sit_at(two_moons(), size=(1024, 640))
    person.window.guide.open(8)
    stands_at(person, 8)
    tour = person.window.tour
    tour.tabs.setFocus()
    ends = []
    for area in map(tour.parts.widget, range(3)):
        assert area.isVisible() and tour.tabs.hasFocus()
        person.until(lambda area=area: tour.settled and scrolls(area))
        for _ in range(40):
            QTest.keyClick(tour.tabs, Qt.Key.Key_PageDown)
        bar = area.verticalScrollBar()
        ends.append(bar.value() == bar.maximum())
        QTest.keyClick(tour.tabs, Qt.Key.Key_Right)
    assert ends == [True] * 3
    assert tour.again.isVisible() and tour.forward.isVisible() and tour.measure.isVisible()


def test_a_fraction_is_higher_than_a_line_and_a_formula_in_a_text_is_not():
    line, tall = typeset.display("a + b", 15), typeset.display("a/b", 15)
    assert tall.ascent + tall.descent > 1.5 * (line.ascent + line.descent)
    assert tall.width < line.width
    (whole,) = typeset.inline("a/b", 13)
    assert whole.ascent < 13
    assert len(typeset.inline("θ₊ = θ − αg", 13)) == 3, "a line may break after = and −"


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ("F_R and H_L at z < 1", "F<sub>R</sub> and H<sub>L</sub> at z &lt; 1"),
        ("size (α/2)^(1/(2ξ))", "size (α/2)<sup>1/(2ξ)</sup>"),
        ("diag(e^−s, v^½), e_y e_yᵀ", "diag(e<sup>−s</sup>, v<sup>½</sup>), e<sub>y</sub> e<sub>y</sub>ᵀ"),
        ("weight_norm's", "weight_norm&#x27;s"),
    ],
)
def test_a_claim_has_its_letters_above_and_below(claim, shown):
    assert with_scripts(claim) == shown


# The start page.


@pytest.fixture
def first_time(sit_at, two_moons):
    """A window as a person finds it the first time, recent files apart."""

    def open_window(*recent: Path):
        person = sit_at(two_moons(steps=400), size=(1280, 800))
        for path in recent:
            person.window.preferences.remember(path)
        person.window.document.changed.emit()
        application._welcome(person.window)
        QCoreApplication.processEvents()
        return person, person.window.guide.start

    return open_window


def entries(start):
    return {one.accessibleName().split(". ")[0]: one for one in start.findChildren(QPushButton) if one.isVisible()}


def test_the_first_time_one_click_starts_the_race(first_time):
    person, start = first_time()
    plots = person.window.arrangement.plots
    assert start.isVisible()
    assert start.mapTo(person.window, QPoint(0, 0)) == plots.mapTo(person.window, QPoint(0, 0))
    assert start.size() == plots.size()
    person.clicks(start.race)
    person.until(lambda: person.session.latest > 0)
    person.until(lambda: not start.isVisible())
    person.session.racer.stop()
    person.window.preferences.remember_start()
    application._welcome(person.window)
    assert not start.isVisible(), "who comes again finds the plots"
    does(person, "start")
    assert start.isVisible()
    person.window.resize(1100, 700)
    person.until(lambda: start.size() == plots.size())
    person.clicks(start.close_button)
    assert not start.isVisible()


def test_the_start_page_leads_to_examples_the_tour_and_recent_files(first_time, two_moons, tmp_path):
    path = tmp_path / "mine.toml"
    experiments.write(two_moons("adam"), path)
    person, start = first_time(path, tmp_path / "gone.toml")
    found = entries(start)
    titles = [experiments.read(one).title for one in resource_files.EXPERIMENTS.glob("*.toml")]
    assert set(titles) <= set(found)
    assert "mine.toml" in found and "gone.toml" not in found
    person.clicks(found["mine.toml"])
    person.until(lambda: person.window.document.path == path)
    assert not start.isVisible()
    does(person, "start")
    person.clicks(entries(start)["Rosenbrock: damping bends the step"])
    person.until(lambda: person.session.experiment.title.startswith("Rosenbrock"))
    does(person, "start")
    person.clicks(start.tour)
    stands_at(person, 1)
    assert not start.isVisible() and person.window.tour.isVisible()
    does(person, "start")
    assert any("1 of its 17 stops seen" in label.text() for label in start.findChildren(QLabel))


@pytest.fixture
def launched(monkeypatch, tmp_path, qapp, qtbot):
    """Open the program as a command does, look at its window once it is ready, and close it."""
    monkeypatch.setattr(application, "usual_path", lambda: tmp_path / "window.ini")
    for hook in (sys, threading):
        monkeypatch.setattr(hook, "excepthook", hook.excepthook)

    def launch(start, look):
        seen = []

        def ready():
            windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, MainWindow)]
            if windows and windows[0].session.state == "ready" and windows[0].session.runs:
                seen.append(look(windows[0]))
                timer.stop()
                windows[0].close()

        timer = QTimer(interval=20)
        timer.timeout.connect(ready)
        timer.start()
        assert start() == 0
        return seen[0]

    return launch


def test_the_command_opens_the_window_at_a_stop(launched):
    def look(window):
        seen = [view.title.text() for view in window.views if not view.visibleRegion().isEmpty()]
        return seen, window.tour.isVisible(), window.tour.number, window.session.experiment, window.preferences.started

    seen, *found = launched(lambda: application.take_tour(12, STOPS[11]), look)
    assert found == [True, 12, STOPS[11].experiment(), True]
    assert "Function" in seen and "Spectrum" not in seen, "its layout is kept"


def test_the_start_page_greets_the_first_time_only_and_not_who_names_an_experiment(launched, two_moons, tmp_path):
    path = tmp_path / "small.toml"
    experiments.write(two_moons(), path)

    def greeted(window):
        return window.guide.start.isVisible()

    assert not launched(lambda: application.explore(path), greeted)
    (tmp_path / "window.ini").unlink()
    assert launched(lambda: application.explore(path, chosen=False), greeted)
    assert not launched(lambda: application.explore(path, chosen=False), greeted)


def test_a_page_has_what_the_terminal_prints_as_its_name(sit_at, two_moons):
    person = sit_at(two_moons())
    person.window.guide.open(2)
    assert person.window.tour.page.accessibleName() == page.plain(STOPS[1].body)
    stands_at(person, 2)

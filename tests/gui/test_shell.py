"""The shell: actions and their palette, panels that move, files, undo, appearance, presenter mode, keys and names."""

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QCoreApplication, QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QComboBox,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QTabBar,
    QWidget,
)

from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.actions import MENUS
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.gui.palette import Palette, score
from ngexplorer.gui.preferences import Preferences, usual_path
from ngexplorer.gui.session import Session
from ngexplorer.optimizers import make
from ngexplorer.runs import experiment as experiments

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
Key = Qt.Key


# Actions and the palette.


def test_every_action_has_a_name_a_tip_and_keys_of_its_own(sit_at, two_moons):
    person = sit_at(two_moons())
    keys = [action.shortcut().toString() for _, action in person.window.actions_.listed()]
    keys = [one for one in keys if one]
    assert len(keys) == len(set(keys)) > 20
    for name, action in person.window.actions_.listed():
        assert action.text() and action.toolTip(), name
    declared = [one for menu in MENUS.values() for one in menu if one is not None]
    assert len({one.key for one in declared}) == len(declared)


def test_whatever_stands_in_a_menu_of_the_window_or_of_a_plot_is_in_the_palette(sit_at, two_moons):
    person = sit_at(two_moons())
    window = person.window
    listed = {action for _, action in window.actions_.listed()}
    menus = [*window.menus.findChildren(QMenu), *(view.menu for view in window.views)]
    leaves = [a for menu in menus for a in menu.actions() if not a.isSeparator() and a.menu() is None]
    assert len(leaves) > 100
    assert not [action.text() for action in leaves if action not in listed]
    names = [name for name, _ in window.actions_.listed()]
    assert len(set(names)) == len(names), "and no two are called the same"


def test_a_plot_is_copied_from_the_palette(sit_at, two_moons):
    person = sit_at(two_moons())
    found = palette(person)
    QTest.keyClicks(found.line, "spectrum copy")
    assert found.names()[0] == "Spectrum: Copy as a picture"
    QTest.keyClick(found.line, Key.Key_Return)
    person.until(lambda: not QGuiApplication.clipboard().image().isNull())


def palette(person):
    person.presses(Key.Key_P, CONTROL | SHIFT)
    (found,) = person.window.findChildren(Palette)
    person.until(lambda: found.line.hasFocus())
    return found


def test_the_palette_finds_an_action_by_some_of_its_letters_and_carries_it_out(sit_at, two_moons):
    person = sit_at(two_moons(steps=50))
    found = palette(person)
    QTest.keyClicks(found.line, "rstep")
    assert found.names()[0] == "Race: Step"
    QTest.keyClick(found.line, Key.Key_Return)
    person.until(lambda: person.session.latest == 1)
    person.sees("paused")


def test_the_palette_says_why_an_action_is_out_of_use_and_does_not_carry_it_out(sit_at, two_moons):
    person = sit_at(two_moons())
    found = palette(person)
    QTest.keyClicks(found.line, "race stop")
    assert found.names()[0] == "Race: Stop" and "Nothing is running" in found.chosen().toolTip()
    QTest.keyClick(found.line, Key.Key_Return)
    assert found.isVisible() and person.session.state == "ready"
    found.line.selectAll()
    QTest.keyClicks(found.line, "qqq")
    assert not found.names() and found.nothing.isVisible()
    QTest.keyClick(found, Key.Key_Escape)
    assert not found.isVisible()


def test_the_palette_adds_an_optimizer_with_the_keyboard_alone(sit_at, two_moons):
    person = sit_at(two_moons("adam"))
    found = palette(person)
    QTest.keyClicks(found.line, "add optimizer k-fac")
    assert found.names()[0] == "Add optimizer: K-FAC"
    QTest.keyClick(found.line, Key.Key_Down)
    QTest.keyClick(found.line, Key.Key_Up)
    QTest.keyClick(found.line, Key.Key_Return)
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Adam", "K-FAC"]


def test_letters_fit_in_their_order_and_beginnings_of_words_count_for_more():
    assert score("zx", "Race: Step") is None and score("petS", "Race: Step") is None
    assert score("rs", "Race: Step") > score("rs", "Panel: Curves")
    assert score("reset", "Race: Reset") > score("reset", "View: Reset layout")


# Undo.


def test_changes_of_the_set_up_are_taken_back_and_made_again(sit_at, two_moons):
    person = sit_at(two_moons("adam"))
    start = person.session.experiment
    person.types(person.field("Weight decay").editor, "0.5")
    person.picks(person.window.setup.add, "Newton")
    after = person.session.experiment
    assert person.window.actions_["undo"].text() == "&Undo: optimizers"
    person.presses(Key.Key_Z, CONTROL)
    assert len(person.session.experiment.runs) == 1 and person.session.experiment.weight_decay == 0.5
    assert person.window.actions_["undo"].text() == "&Undo: weight decay"
    person.presses(Key.Key_Z, CONTROL)
    assert person.session.experiment == start and person.field("Weight decay").editor.text() == "0"
    assert not person.window.actions_["undo"].isEnabled()
    for _ in range(2):
        person.presses(Key.Key_Z, CONTROL | SHIFT)
    assert person.session.experiment == after
    assert not person.window.actions_["redo"].isEnabled()
    person.rests()
    assert [shown.label for shown in person.session.runs] == ["Adam", "Newton"]


def more(person, entry):
    """Choose an entry of the first card's menu."""
    person.picks(person.card(0).more, entry)


CHANGES = {
    "a number": lambda person: person.types(person.field("Weight decay").editor, "0.5"),
    "seeds": lambda person: person.types(person.field("Seeds").editor, "3"),
    "data": lambda person: person.chooses(person.field("Data").editor.choice, "Rosenbrock"),
    "a setting of the data": lambda person: person.types(person.field("Noise").editor, "0.4"),
    "the model": lambda person: person.types(person.field("Hidden").editor, "7"),
    "an optimizer more": lambda person: person.picks(person.window.setup.add, "Newton"),
    "a copy": lambda person: more(person, "Duplicate"),
    "an optimizer less": lambda person: more(person, "Remove"),
    "another name": lambda person: more(person, "Rename"),
    "another colour": lambda person: person.picks(person.card(0).colour, "Green"),
    "switched off": lambda person: person.clicks(person.card(0).switch),
    "a learning rate": lambda person: person.types(person.field("Learning rate", card=1).editor, "0.25"),
    "another part": lambda person: person.chooses(person.field("Damping", card=1).editor.choice, "Constant"),
}


def test_every_kind_of_change_is_taken_back_and_made_again(sit_at, two_moons, monkeypatch):
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("Mine", True))
    person = sit_at(two_moons("adam", "natural-gradient"))
    for kind, change in CHANGES.items():
        if kind in ("a learning rate", "another part") and person.card(1).form is None:
            person.opens_card(1)
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)  # forms that others took the place of
        before = person.session.experiment
        change(person)
        QCoreApplication.processEvents()
        after = person.session.experiment
        assert after != before, kind
        person.window.setFocus()
        for keys, wanted in ((CONTROL, before), (CONTROL | SHIFT, after), (CONTROL, before)):
            person.presses(Key.Key_Z, keys)
            QCoreApplication.processEvents()
            assert person.session.experiment == wanted, kind
    person.rests()


def test_a_new_change_forgets_what_was_taken_back_and_another_experiment_all(sit_at, two_moons):
    person = sit_at(two_moons("adam"))
    editor = person.field("Weight decay").editor
    person.types(editor, "0.5")
    person.presses(Key.Key_Z, CONTROL)
    person.types(editor, "0.25")
    assert not person.window.actions_["redo"].isEnabled() and person.window.actions_["undo"].isEnabled()
    person.session.open_experiment(two_moons("newton"))
    assert not person.window.actions_["undo"].isEnabled()
    person.until(lambda: person.session.generation >= 2)
    person.rests()


def test_in_an_editor_the_typing_is_taken_back_first(sit_at, two_moons):
    person = sit_at(two_moons("adam"))
    editor = person.field("Weight decay").editor
    person.types(editor, "0.5")
    person.types(editor, "0.25", enter=False)
    person.presses(Key.Key_Z, CONTROL)
    assert person.session.experiment.weight_decay == 0.5 and editor.text() != "0.25"
    person.rests()


# Files.


@pytest.fixture
def answers(monkeypatch):
    """What a person answers when asked about changes, and how often they were asked."""
    asked = []

    def answer(button):
        monkeypatch.setattr(QMessageBox, "exec", lambda box: (asked.append(box.text()), button)[1])
        return asked

    return answer


def drop(person, *paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons = Qt.MouseButton.LeftButton
    how = (Qt.DropAction.CopyAction, data, buttons, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(50, 50), *how)
    QCoreApplication.sendEvent(person.window, enter)
    assert enter.isAccepted()
    QCoreApplication.sendEvent(person.window, QDropEvent(QPointF(50, 50), *how))


def test_a_dropped_experiment_is_opened_and_is_first_among_the_recent_ones(sit_at, two_moons, tmp_path):
    person = sit_at(two_moons())
    path = tmp_path / "dropped.toml"
    experiments.write(two_moons("adam", steps=77), path)
    drop(person, path)
    person.until(lambda: person.session.generation == 2)
    assert person.session.experiment.steps == 77 and person.window.document.path == path
    assert [action.text() for action in person.window.recent.actions()] == ["dropped.toml"]
    path.unlink()
    person.window.recent.actions()[0].trigger()
    assert len(person.strips) == 1 and not person.window.recent.actions(), "what is gone is no longer offered"
    assert person.session.experiment.steps == 77


@pytest.mark.parametrize("text", ["", "steps = 'many'", "not toml at all [", "[data]\nname='digits'"], ids=range(4))
def test_a_bad_file_is_answered_by_one_notice_and_loses_nothing(sit_at, two_moons, tmp_path, answers, text):
    person = sit_at(two_moons())
    asked = answers(QMessageBox.StandardButton.Discard)
    person.types(person.field("Weight decay").editor, "0.5")
    person.rests()
    (tmp_path / "bad.toml").write_text(text)
    drop(person, tmp_path / "bad.toml")
    assert len(person.strips) == 1 and str(tmp_path / "bad.toml") in person.strips[0].notice.message
    assert person.session.experiment.weight_decay == 0.5 and person.window.actions_["undo"].isEnabled()
    assert not asked, "nothing is asked for a file that cannot be opened"


def test_what_is_no_experiment_is_said_in_words(sit_at, two_moons, tmp_path):
    person = sit_at(two_moons())
    drop(person, tmp_path / "picture.png")
    drop(person, tmp_path / "a.toml", tmp_path / "b.toml")
    assert ["toml is needed" in s.notice.message or "2 files" in s.notice.message for s in person.strips] == [True] * 2


def test_closing_asks_only_where_a_change_would_be_lost(sit_at, two_moons, answers, tmp_path):
    person = sit_at(two_moons())
    asked = answers(QMessageBox.StandardButton.Cancel)
    person.types(person.field("Weight decay").editor, "0.5")
    person.rests()
    person.presses(Key.Key_Q, CONTROL)
    assert len(asked) == 1 and person.window.isVisible() and not person.racer.isFinished()
    person.presses(Key.Key_Z, CONTROL)
    person.rests()
    assert person.window.close() and len(asked) == 1, "what was taken back is not lost"


def test_saving_on_the_way_out_writes_the_file(sit_at, two_moons, answers, tmp_path):
    person = sit_at(two_moons())
    path = tmp_path / "mine.toml"
    experiments.write(two_moons(), path)
    drop(person, path)
    person.until(lambda: person.session.generation == 2)
    person.types(person.field("Weight decay").editor, "0.5")
    person.rests()
    answers(QMessageBox.StandardButton.Save)
    assert person.window.close()
    assert experiments.read(path).weight_decay == 0.5


def test_a_folder_that_cannot_be_written_keeps_the_window_open(sit_at, two_moons, answers, tmp_path):
    person = sit_at(two_moons())
    person.window.document.path = tmp_path / "nowhere" / "mine.toml"
    person.types(person.field("Weight decay").editor, "0.5")
    person.rests()
    answers(QMessageBox.StandardButton.Save)
    assert not person.window.close()
    assert "nowhere" in person.strips[0].notice.message and person.window.document.modified


# Layout.


@pytest.fixture
def reopened(qapp, two_moons, tmp_path):
    """Open a window again and again by one file of preferences; each is closed before the next."""
    opened = []

    def leave(window):
        window.close()
        window.session.wait(30_000)
        application._take_down(window)

    def open_window():
        while opened:
            leave(opened.pop())
        window = MainWindow(Session(two_moons(), themes.DARK), Preferences(tmp_path / "window.ini"))
        opened.append(window)
        window.show()
        for _ in range(3):
            QCoreApplication.processEvents()
        return window

    yield open_window
    while opened:
        leave(opened.pop())


def test_what_was_arranged_is_found_again(reopened):
    first = reopened()
    first.resize(1024, 700)  # off-screen Qt has room for no more
    first.actions_["row"].trigger()
    first.arrangement.plots.panels[2].close_button.click()
    first.choose_appearance("light")
    QCoreApplication.processEvents()
    size = first.size()
    again = reopened()
    assert again.size() == size and not again.arrangement.plots.panels[2].isVisible()
    one, two = again.arrangement.plots.panels[:2]
    assert abs(one.y() - two.y()) < 40 and one.x() < two.x(), "side by side, but for the tabs over the second"
    assert again.actions_["light"].isChecked()
    QCoreApplication.processEvents()
    bars = [bar for bar in again.arrangement.plots.findChildren(QTabBar) if bar.isVisible()]
    assert bars and all(bar.count() > 1 for bar in bars), "no bar is left over from the usual layout"
    assert len({bar.pos().toTuple() for bar in bars}) == len(bars)
    again.actions_["panel-spectrum"].trigger()
    assert again.spectrum.isVisible()


def test_a_panel_that_was_detached_off_the_screen_comes_back_onto_it(reopened):
    first = reopened()
    panel = first.arrangement.plots.panels[1]
    panel.setFloating(True)
    panel.move(9000, 9000)
    QCoreApplication.processEvents()
    again = reopened()
    panel = again.arrangement.plots.panels[1]
    assert panel.isFloating()
    assert again.screen().availableGeometry().contains(panel.geometry().topLeft())


def test_a_damaged_layout_is_the_first_one(reopened, tmp_path):
    reopened()
    first = reopened()
    usual = [panel.geometry() for panel in first.arrangement.panels]
    first.preferences.keep_state("layout/panels", QByteArray(b"nonsense"))
    first.arrangement.save = lambda preferences: None
    again = reopened()
    closed = again.arrangement.explanations  # where the window is narrow
    assert [panel for panel in again.arrangement.panels if not panel.isVisible()] == closed
    assert abs(again.arrangement.panels[1].height() - usual[1].height()) < 60


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("@ByteArray(", "@ByteArray(x"),
        lambda text: "".join(chr(33 + (7 * i) % 90) for i in range(4000)),
        lambda text: "[layout]\nwindow=7\npanels=@Invalid()\nplots=1, 2\nrows_chosen=perhaps\n[tour]\nstop=many\n",
    ],
    ids=["empty", "half", "foreign states", "noise", "other kinds"],
)
def test_damaged_preferences_open_a_window_that_is_whole(reopened, tmp_path, damage):
    first = reopened()
    shown = {panel.objectName() for panel in first.arrangement.panels if panel.isVisible()}
    first.close()
    first.session.wait(30_000)
    first.preferences._file.sync()
    path = tmp_path / "window.ini"
    path.write_text(damage(path.read_text()))
    first.arrangement.save = lambda preferences: None
    again = reopened()
    assert {panel.objectName() for panel in again.arrangement.panels if panel.isVisible()} == shown
    assert again.screen().availableGeometry().contains(again.geometry().topLeft())
    assert not again.notices.strips()
    assert again.preferences.tour_stop(17) == 1


def test_reset_layout_brings_every_panel_back(sit_at, two_moons):
    person = sit_at(two_moons(), size=(1280, 800))
    panels = [p for p in person.window.arrangement.panels if p not in person.window.arrangement.explanations]
    before = [panel.geometry() for panel in panels]
    panels[0].close()
    panels[2].setFloating(True)
    person.window.actions_["tabs"].trigger()
    QCoreApplication.processEvents()
    person.window.activateWindow()
    person.until(person.window.isActiveWindow)
    person.presses(Key.Key_0, CONTROL | Qt.KeyboardModifier.AltModifier)
    for _ in range(3):
        QCoreApplication.processEvents()
    assert {(panel.isVisible(), panel.isFloating()) for panel in panels} == {(True, False)}
    for panel, rect in zip(panels, before, strict=True):
        if panel.visibleRegion().isEmpty():  # behind a tab
            continue
        assert (panel.geometry().topLeft() - rect.topLeft()).manhattanLength() <= 24, panel.objectName()


def test_tests_and_pictures_leave_a_person_s_preferences_alone(sit_at, two_moons):
    person = sit_at(two_moons())
    path = usual_path()
    before = path.stat().st_mtime_ns if path.exists() else None
    person.window.choose_appearance("light")
    person.window.close()
    assert (path.stat().st_mtime_ns if path.exists() else None) == before


# Appearance and presenter mode.


def test_the_appearance_follows_the_system_until_one_is_chosen(sit_at, two_moons, monkeypatch):
    person = sit_at(two_moons())
    window = person.window
    monkeypatch.setattr(themes, "system_theme", lambda: themes.LIGHT)
    window.follow_system()
    assert person.session.theme is themes.LIGHT
    window.actions_["dark"].trigger()
    window.follow_system()
    assert person.session.theme is themes.DARK and window.actions_["dark"].isChecked()
    window.actions_["system"].trigger()
    assert person.session.theme is themes.LIGHT


def test_presenter_mode_shows_one_plot_in_large_type_and_puts_all_back(sit_at, two_moons):
    person = sit_at(two_moons("adam", steps=4), size=(1280, 800))
    window = person.window
    open_ones = [panel for panel in window.arrangement.panels if panel not in window.arrangement.explanations]
    before = [panel.geometry() for panel in open_ones]
    usual = window.trajectory.subtitle.fontMetrics().height()
    window.trajectory.frame.setFocus()
    person.presses(Key.Key_F5)
    QCoreApplication.processEvents()
    assert [panel for panel in window.arrangement.panels if panel.isVisible()] == window.arrangement.plots.panels[:1]
    assert not window.statusBar().isVisible()
    assert window.trajectory.subtitle.fontMetrics().height() > 1.3 * usual
    assert window.trajectory.frame.height() > 600
    assert window.trajectory.lines.scale_of_pens == 2
    person.presses(Key.Key_PageDown)
    QCoreApplication.processEvents()
    assert window.curves.isVisible() and not window.trajectory.isVisible()
    person.presses(Key.Key_Space)
    person.sees("finished")
    person.presses(Key.Key_F5)
    for _ in range(3):
        QCoreApplication.processEvents()
    assert window.trajectory.subtitle.fontMetrics().height() == usual
    assert window.trajectory.lines.scale_of_pens == window.curves.lines.scale_of_pens == 1
    assert [panel for panel in window.arrangement.panels if panel.isVisible()] == open_ones
    for panel, rect in zip(open_ones, before, strict=True):
        if panel.visibleRegion().isEmpty():  # behind a tab
            continue
        assert (panel.geometry().topLeft() - rect.topLeft()).manhattanLength() <= 24, panel.objectName()


# The data, reports, and the keyboard.


def test_in_presenter_mode_every_plot_of_a_view_is_in_large_type(sit_at, two_moons):
    person = sit_at(two_moons("adam", steps=4), size=(1280, 800))
    view = person.window.trajectory
    view.profile.trigger()
    person.presses(Key.Key_Space)
    person.sees("finished")
    QCoreApplication.processEvents()
    assert len(view.frames) == 2

    def sizes():
        axes = [frame.item.getAxis(side) for frame in view.frames for side in ("left", "bottom")]
        return {axis.style["tickFont"].pixelSize() for axis in axes}

    assert sizes() == {11}
    view.frame.setFocus()
    person.presses(Key.Key_F5)
    assert sizes() == {20}
    person.presses(Key.Key_F5)
    assert sizes() == {11}


def test_a_small_picture_shows_the_data_and_says_how_many_there_are(sit_at, two_moons, valley):
    person = sit_at(two_moons(size=40))
    preview = person.window.setup.preview
    assert preview.words.text() == "32 cases, 8 more to validate · 2 inputs · 2 classes"
    picture = preview.picture.grab().toImage()
    seen = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}
    for colour in themes.PALETTE[:2]:
        assert themes.line_colour(colour, themes.DARK).name() in seen, "a colour for each class"
    person.session.open_experiment(valley())
    person.until(lambda: person.session.generation == 2)
    assert not preview.isVisible()
    person.rests()


def test_the_report_holds_versions_machine_screens_and_set_up(sit_at, two_moons):
    person = sit_at(two_moons(make("newton", learning_rate=0.5)))
    person.window.actions_["report"].trigger()
    text = QGuiApplication.clipboard().text()
    for part in ("Python 3", "torch ", "PySide6-Essentials", "processors", "Screens", "learning_rate = 0.5"):
        assert part in text
    assert experiments.parse(text.partition("Set-up\n")[2], "the report") == person.session.experiment


CONTROLS = (QAbstractButton, QComboBox, QLineEdit, QAbstractSlider, QAbstractItemView)


def controls(window):
    """What a person can press, type in or move, but for the parts that Qt puts into its own widgets."""
    found = [c for kind in CONTROLS for c in window.findChildren(kind)]
    inner = ("qt_", "QComboBox", "QTableCornerButton")
    own = [c for c in found if not c.objectName().startswith(inner) and c.isVisible()]
    return [c for c in own if type(c).__name__ not in ("QScrollBar", "QHeaderView", "QComboBoxListView")]


def test_every_control_has_a_name_for_who_cannot_see_it(sit_at, two_moons):
    person = sit_at(two_moons("newton", "adam"))
    person.opens_card(0)
    person.window.settle()
    found = controls(person.window)
    nameless = [c for c in found if not c.accessibleName() and not getattr(c, "text", str)()]
    assert len(found) > 40 and not nameless, [(type(c).__name__, c.toolTip()) for c in nameless]


def name_of(widget):
    """What a screen reader says of a widget."""
    return widget.accessibleName() or str(getattr(widget, "text", str)())


def test_whatever_takes_the_keyboard_or_a_click_has_a_name_in_every_panel(sit_at, two_moons):
    """In each panel, those too that are behind others or closed at first, with all that unfolds in it."""
    person = sit_at(two_moons("newton", "adam", steps=5), size=(1600, 1000))
    window = person.window
    person.presses(Key.Key_Space)
    person.sees("finished")
    window.actions_["tour"].trigger()
    for view in window.views:
        for action in view.findChildren(QAction):
            if action.isCheckable() and action.isEnabled() and not action.actionGroup():
                action.setChecked(True)
    seen = set()
    for number in range(2):
        person.opens_card(number)
    for panel in window.arrangement.panels:
        panel.show()
        panel.raise_()
        QCoreApplication.processEvents()
        window.settle()
        seen |= {w for w in panel.findChildren(QWidget) if w.isVisible()}
    inner = ("qt_", "QComboBox", "QTableCornerButton")
    mute = ("QScrollBar", "QHeaderView", "QComboBoxListView", "QScrollArea", "QTabBar")
    taking = [
        w
        for w in seen
        if (w.focusPolicy() != Qt.FocusPolicy.NoFocus or isinstance(w, CONTROLS))
        and not w.objectName().startswith(inner)
        and type(w).__name__ not in mute
        and not (isinstance(w.parent(), QAbstractScrollArea) and w is w.parent().viewport())
    ]
    assert len(taking) > 100
    assert not [(type(w).__name__, type(w.parent()).__name__, w.toolTip()) for w in taking if not name_of(w)]
    person.rests()


def test_the_tab_key_comes_to_every_control(sit_at, two_moons):
    person = sit_at(two_moons("newton"), size=(1280, 800))
    person.opens_card(0)
    person.sees("ready")
    wanted = {c for c in controls(person.window) if c.isEnabled() and c.focusPolicy() != Qt.FocusPolicy.NoFocus}
    person.window.setFocus()
    reached = set()
    for _ in range(400):
        QTest.keyClick(person.window.focusWidget() or person.window, Key.Key_Tab)
        reached.add(person.window.focusWidget())
    missed = [c.accessibleName() or c.text() for c in wanted - reached]
    assert not missed
    without = [c for c in controls(person.window) if c.focusPolicy() == Qt.FocusPolicy.NoFocus]
    assert not without, [c.accessibleName() for c in without]


def test_f6_goes_from_panel_to_panel(sit_at, two_moons):
    person = sit_at(two_moons("newton"))
    window = person.window
    seen = []
    for _ in range(5):  # not to the one behind a tab
        person.presses(Key.Key_F6)
        seen += [p.objectName() for p in window.arrangement.panels if p.isAncestorOf(window.focusWidget())]
    assert seen == ["setup", "trajectory", "curves", "spectrum", "runs"]
    person.presses(Key.Key_F6, SHIFT)
    assert window.arrangement.plots.panels[2].isAncestorOf(window.focusWidget())


def test_parts_that_do_not_go_together_cannot_be_chosen_and_say_why(sit_at, two_moons):
    person = sit_at(two_moons("adam"))
    person.opens_card(0)
    damping = person.field("Damping", card=0).editor.choice
    item = damping.model().item(damping.findText("Levenberg-Marquardt"))
    assert not item.isEnabled() and "no matrix to damp" in item.toolTip()
    person.chooses(person.field("Curvature", card=0).editor.choice, "Hessian")
    assert damping.model().item(damping.findText("Levenberg-Marquardt")).isEnabled()
    person.rests()


def test_where_qt_cannot_open_a_window_one_line_says_so():
    command = [sys.executable, "-m", "ngexplorer"]
    environment = {"QT_QPA_PLATFORM": "nowhere", "PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("ngexplorer: the window cannot be opened: ")
    assert "nowhere" in done.stderr


def test_the_status_bar_says_where_it_is_computed_and_how_much_is_recorded(sit_at, two_moons):
    person = sit_at(two_moons("newton", "adam", steps=6))
    person.presses(Key.Key_Space)
    person.sees("finished")
    person.window.settle()
    said = [label.text() for label in person.window.statusBar().findChildren(QLabel)]
    assert said[0] == "cpu · float64" and said[3] == "12 steps recorded"
    assert said[1] == "", "nothing is under way"
    assert said[2].startswith("frame ") and float(said[4].removesuffix(" MB").replace(",", "")) > 50

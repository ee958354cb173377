"""The parts of a form: lists that can be long, and lines to type in."""

from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QToolTip, QVBoxLayout, QWidget

from ngexplorer.gui.declared import unwrapped
from ngexplorer.gui.forms import Choice, Entry, RecordForm

LONG = [(i, f"A data set with quite a long name, number {i}") for i in range(24)]


@pytest.fixture
def narrow(qapp, qtbot, nothing_left_behind):
    """A combo box of two dozen long names that is 150 pixels wide."""
    window = QWidget()
    choice = Choice(LONG, [f"What {i} is" for i, _ in LONG])
    QVBoxLayout(window).addWidget(choice)
    choice.setFixedWidth(150)
    choice.setToolTip("Which data")
    window.show()
    window.activateWindow()
    qtbot.waitExposed(window)
    yield choice
    choice.hidePopup()
    window.close()
    window.deleteLater()


def tip_at(widget, where):
    """The tool tip there."""
    QToolTip.hideText()
    QCoreApplication.sendEvent(widget, QHelpEvent(QEvent.Type.ToolTip, where, widget.mapToGlobal(where)))
    return QToolTip.text()


def test_a_long_list_shows_whole_names_and_scrolls(narrow):
    narrow.showPopup()
    QCoreApplication.processEvents()
    view = narrow.view()
    widest = max(view.fontMetrics().horizontalAdvance(title) for _, title in LONG)
    assert view.viewport().width() > widest > narrow.width()
    rows = view.viewport().height() // view.sizeHintForRow(0)
    assert 8 <= rows < len(LONG), "it is no longer than a part of the screen"
    bar = view.verticalScrollBar()
    assert bar.maximum() > 0
    narrow.setCurrentIndex(23)
    view.scrollTo(narrow.model().index(23, 0))
    assert bar.value() == bar.maximum() and view.visualRect(narrow.model().index(23, 0)).bottom() <= view.height()


def test_a_chosen_name_that_does_not_fit_is_told_by_the_tool_tip(narrow):
    assert narrow.shown.endswith("…")
    assert tip_at(narrow, QPoint(5, 5)) == f"{LONG[0][1]}\nWhich data"
    narrow.setFixedWidth(600)
    QCoreApplication.processEvents()
    assert narrow.shown == LONG[0][1]
    QToolTip.hideText()


def test_items_say_what_they_are_or_why_they_cannot_be_chosen(narrow, qtbot):
    narrow.refuse(["it has no classes" if i == 2 else None for i, _ in LONG])
    narrow.showPopup()
    QCoreApplication.processEvents()
    view = narrow.view()
    tips = [tip_at(view.viewport(), view.visualRect(narrow.model().index(i, 0)).center()) for i in (1, 2, 3)]
    assert tips == ["What 1 is", "it has no classes", "What 3 is"]
    assert not narrow.model().item(2).isEnabled()
    narrow.refuse([None] * len(LONG))
    assert tip_at(view.viewport(), view.visualRect(narrow.model().index(2, 0)).center()) == "What 2 is"
    QToolTip.hideText()
    qtbot.waitUntil(lambda: not QToolTip.isVisible())


def test_a_click_on_what_cannot_be_chosen_does_nothing(narrow, qtbot):
    narrow.refuse(["it has no classes" if i == 2 else None for i, _ in LONG])
    picked = []
    narrow.picked.connect(picked.append)
    narrow.showPopup()
    QCoreApplication.processEvents()
    view = narrow.view()
    qtbot.wait(QApplication.doubleClickInterval() + 50)  # a list that has just been opened takes no click at all

    def click(i):
        QTest.mouseMove(view.viewport(), view.visualRect(narrow.model().index(i, 0)).center())
        QTest.mouseClick(
            view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(narrow.model().index(i, 0)).center()
        )

    view.setCurrentIndex(narrow.model().index(1, 0))  # the pointer came by
    click(2)
    assert view.isVisible() and not picked and narrow.currentIndex() == 0
    click(3)
    assert not view.isVisible() and picked == [3]


def test_the_keys_pass_over_what_cannot_be_chosen(narrow):
    narrow.refuse(["it has no classes" if i in (1, 2) else None for i, _ in LONG])
    picked = []
    narrow.picked.connect(picked.append)
    QTest.keyClick(narrow, Qt.Key.Key_Down)
    assert narrow.currentIndex() == 3
    narrow.showPopup()
    QCoreApplication.processEvents()
    QTest.keyClick(narrow.view(), Qt.Key.Key_Up)
    QTest.keyClick(narrow.view(), Qt.Key.Key_Return)
    assert narrow.currentIndex() == 0 and set(picked) <= {0, 3}


def test_the_wheel_over_a_combo_box_changes_nothing(narrow):
    from PySide6.QtCore import QPointF
    from PySide6.QtGui import QWheelEvent

    at = QPointF(20, 10)
    turn = QWheelEvent(
        at, narrow.mapToGlobal(at), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QCoreApplication.sendEvent(narrow, turn)
    assert narrow.currentIndex() == 0


class Cooling(msgspec.Struct, frozen=True, kw_only=True, tag_field="name", tag="cooling"):
    """Slower and slower."""

    title = "Cooling"
    rate: Annotated[float, Meta(gt=0, le=1e12, description="Degrees a second")] = 1.0


class Still(msgspec.Struct, frozen=True, kw_only=True, tag_field="name", tag="still"):
    """As it is."""

    title = "Still"


class Kettle(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that no form has heard of."""

    litres: Annotated[int, Meta(ge=1, le=10_000, description="Litres of water")] = 1
    whistles: Annotated[bool, Meta(description="Whether it is heard")] = True
    metal: Annotated[Literal["steel", "copper"], Meta(description="What it is made of")] = "steel"
    layers: Annotated[tuple[Annotated[int, Meta(ge=1, le=9)], ...], Meta(max_length=3)] = (1, 2)
    cups: Annotated[
        Annotated[int, Meta(ge=1)] | Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(min_length=1)],
        Meta(description="How many, or which"),
    ] = 4
    afterwards: Annotated[Cooling | Still, Meta(title="After the fire")] = Cooling()


def test_a_new_setting_appears_as_the_right_control_with_its_bounds_unit_and_help(qapp, qtbot, nothing_left_behind):
    form = RecordForm(Kettle, "kettle")
    form.show_values(msgspec.to_builtins(Kettle()))
    form.show()
    heard = []
    form.changed.connect(lambda *what: heard.append(what))
    by_name = {w.accessibleName(): w for w in form.findChildren(QWidget) if w.accessibleName() and w.isVisible()}
    litres, whistles = by_name["Litres"], by_name["Whistles"]
    assert litres.toolTip() == litres.accessibleDescription() == "Litres of water\nFrom 1, at most 10,000"
    (label,) = [label for label in form.findChildren(QLabel) if label.text() == "Litres"]
    assert label.toolTip() == litres.toolTip(), "it is told where one points at its name, too"
    assert isinstance(whistles, QCheckBox) and whistles.isChecked()
    assert [by_name["Metal"].itemText(i) for i in range(2)] == ["steel", "copper"]
    assert by_name["Layers"].text() == "1, 2"
    assert by_name["Layers"].toolTip() == "At most 3 of them, each from 1, at most 9"
    assert by_name["Cups"].toolTip() == "How many, or which\nFrom 1; or a list, at least 1 of them, each from 0"
    assert by_name["Rate"].toolTip() == "Degrees a second\nAbove 0, at most 1e12"
    afterwards = next(w for w in form.findChildren(Choice) if w.accessibleName() == "After the fire")
    assert afterwards.toolTip() == "Slower and slower."
    QTest.keyClicks(by_name["Rate"], "5")
    QTest.keyClick(by_name["Rate"], Qt.Key.Key_Return)
    QTest.keyClick(whistles, Qt.Key.Key_Space)
    assert heard == [("kettle.afterwards.rate", 51.0), ("kettle.whistles", False)]
    form.close()
    form.deleteLater()


def test_a_setting_without_bounds_or_help_has_nothing_to_tell():
    assert unwrapped("split_seed", int) == (int, "Split seed", "")


def test_a_number_or_a_list_of_them_is_typed_in_one_line(qapp, qtbot, nothing_left_behind):
    form = RecordForm(Kettle, "kettle")
    form.show()
    (line,) = [w for w in form.findChildren(Entry) if w.accessibleName() == "Cups"]
    heard = []
    form.changed.connect(lambda _, value: heard.append(value))

    def typed(text):
        line.selectAll()
        QTest.keyClicks(line, text)
        QTest.keyClick(line, Qt.Key.Key_Return)
        return heard[-1]

    assert [typed(text) for text in ("5", "3, 5, 8", "3;5", "7,", "3, x", "many")] == [
        5, [3, 5, 8], [3, 5], [7], [3, "x"], "many",
    ]  # fmt: skip
    for value in (5, [3, 5, 8], [7]):
        form.show_values({"cups": value})
        assert typed(line.text()) == value, "what is shown means what it stands for"
    form.close()
    form.deleteLater()

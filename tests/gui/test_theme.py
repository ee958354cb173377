"""Colours: text in every one of them can be read on both themes, and no two runs look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFileDialog, QToolButton

from ngexplorer.gui import theme as themes

BOTH = pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT], ids=lambda theme: theme.name)


def test_contrast_is_that_of_wcag():
    black, white = QColor("#000000"), QColor("#ffffff")
    assert themes.contrast(black, white) == pytest.approx(21)
    assert themes.contrast(white, white) == 1
    assert themes.contrast(QColor("#777777"), white) == pytest.approx(4.48, abs=0.01)


@BOTH
@pytest.mark.parametrize("colour", themes.PALETTE)
def test_text_in_the_colour_of_a_run_can_be_read(theme, colour):
    assert themes.contrast(themes.readable(colour, theme), QColor(theme.panel)) >= 4.5


@BOTH
@given(st.integers(0, 0xFFFFFF))
def test_text_in_any_colour_can_be_read(theme, colour):
    assert themes.contrast(themes.readable(f"#{colour:06x}", theme), QColor(theme.panel)) >= 4.5


@BOTH
@given(st.integers(0, 0xFFFFFF))
def test_lines_in_any_colour_can_be_seen(theme, colour):
    assert themes.contrast(themes.line_colour(f"#{colour:06x}", theme), QColor(theme.panel)) >= 3


def test_a_colour_is_changed_no_more_than_it_takes():
    black, white = themes.readable("#000000", themes.DARK), themes.readable("#ffffff", themes.LIGHT)
    assert themes.contrast(black, QColor(themes.DARK.panel)) == pytest.approx(4.5, abs=0.1)
    assert themes.contrast(white, QColor(themes.LIGHT.panel)) == pytest.approx(4.5, abs=0.1)
    assert themes.readable(themes.SKY, themes.DARK) == QColor(themes.SKY)


@BOTH
@pytest.mark.parametrize("pair", [("text", "panel"), ("text", "window"), ("muted", "panel"), ("muted", "window"),
                                  ("error", "panel"), ("warning", "panel"), ("on_accent", "accent"),
                                  ("text", "raised"), ("muted", "raised")])  # fmt: skip
def test_the_words_of_the_window_can_be_read(theme, pair):
    words, ground = (QColor(getattr(theme, name)) for name in pair)
    assert themes.contrast(words, ground) >= 4.5


@given(st.lists(st.sampled_from(["newton", "adam", "heavy-ball", "gradient-descent", "l-bfgs"]), max_size=8))
def test_up_to_eight_runs_have_eight_colours(names):
    found = themes.colours(names, [None] * len(names))
    assert len(set(found)) == len(names)


def test_a_chosen_colour_is_kept_and_taken_from_the_others():
    assert themes.colours(["newton", "adam"], [None, themes.ORANGE.lower()]) != [themes.ORANGE] * 2
    assert themes.colours(["newton", "adam"], [None, themes.ORANGE.lower()])[1] == themes.ORANGE


@pytest.mark.usefixtures("qapp")
@BOTH
def test_icons_are_drawn_in_the_colour_asked_for(theme):
    image = themes.icon("stop", theme.accent).pixmap(16, 16).toImage()
    assert image.pixelColor(image.width() // 2, image.height() // 2) == QColor(theme.accent)


@BOTH
def test_the_icons_of_qt_s_own_file_dialog_have_room(qapp, theme):
    themes.apply(theme, qapp)
    dialog = QFileDialog(options=QFileDialog.Option.DontUseNativeDialog)
    dialog.show()
    for button in dialog.findChildren(QToolButton):
        picture = button.grab().toImage()
        middle, size = button.rect().center(), button.iconSize().width() // 2 - 1
        seen = {picture.pixel(middle.x() + x, middle.y() + y) for x in range(-size, size) for y in range(-size, size)}
        assert len(seen) > 2, f"{button.toolTip()}: nothing is drawn"
    dialog.close()
    dialog.deleteLater()
    themes.apply(themes.DARK, qapp)


@pytest.mark.usefixtures("qapp")
def test_a_dot_is_as_large_as_asked_for_on_every_screen():
    dot = themes.dot(QColor(themes.SKY), 10)
    for ratio in (1.0, 2.0):
        image = dot.pixmap(QSize(10, 10), ratio).toImage()
        assert (image.width(), image.height()) == (10 * ratio, 10 * ratio)
        assert image.pixelColor(image.rect().center()) == QColor(themes.SKY)


@pytest.mark.usefixtures("qapp")
def test_the_shipped_typeface_is_used():
    from PySide6.QtGui import QFontInfo

    assert QFontInfo(themes.font()).family().startswith("Inter")


def test_of_thirty_runs_of_one_optimizer_hardly_two_are_drawn_alike():
    found = themes.colours(["adam"] * 30, [None] * 30)
    looks = {(colour, i % len(themes.STYLES)) for i, colour in enumerate(found)}
    assert len(set(found)) == len(themes.PALETTE) and len(looks) >= 28

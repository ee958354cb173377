"""The tour's pages as pictures, held against those in `pages/`; run as a program, it draws those anew."""

import dataclasses
import os
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.panels.tour import TourPanel
from ngexplorer.gui.preferences import Preferences
from ngexplorer.gui.session import Session
from ngexplorer.tour import STOPS

FOLDER = Path(__file__).parent / "pages"
WIDTH = 440
"""What a window of 1600 pixels gives the tour."""
BLOCK = 8
"""Pixels of the small picture: in each block the mean is compared, not each pixel, which fonts' smoothing moves."""


def panel():
    application.prepare()
    themes.apply(themes.LIGHT, QApplication.instance())
    made = TourPanel(Session(STOPS[0].experiment(), themes.LIGHT), Preferences())
    made.resize(WIDTH, 900)
    made.show()
    return made


def picture(shown, number):
    """A stop from its head to the end of its text."""
    shown.show_stop(number)
    QApplication.processEvents()
    shown.resize(WIDTH, end_of_text(shown) + 120)
    QApplication.processEvents()
    return grabbed(shown)


def end_of_text(shown):
    return shown.page.mapTo(shown, QPoint(0, shown.page.height())).y()


def grabbed(shown):
    """What there is to be seen of it, half as large, grey."""
    whole = shown.grab(QRect(0, 0, WIDTH, end_of_text(shown))).toImage()
    small = whole.scaledToWidth(WIDTH // 2, Qt.TransformationMode.SmoothTransformation)
    return small.convertToFormat(QImage.Format.Format_Grayscale8)


def numbers(image):
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return data[:, : image.width()].astype(float)


def blocks(data, height):
    rows, columns = height // BLOCK, data.shape[1] // BLOCK
    return data[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).mean((1, 3))


@pytest.fixture(scope="module")
def shown():
    made = panel()
    yield made
    made.close()
    made.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.mark.parametrize("number", range(1, len(STOPS) + 1), ids=[stop.name for stop in STOPS])
def test_a_page_looks_as_it_did(number, shown):
    found, before = picture(shown, number), QImage(str(FOLDER / f"{STOPS[number - 1].name}.png"))
    assert not before.isNull(), "there is no picture of it"
    before = before.convertToFormat(QImage.Format.Format_Grayscale8)
    assert (found.width(), found.height()) == (before.width(), pytest.approx(before.height(), abs=2))
    height = min(found.height(), before.height())
    apart = np.abs(blocks(numbers(found), height) - blocks(numbers(before), height))
    assert apart.mean() < 2, "a line has moved, or its type is another"
    assert apart.max() < 40, "something is missing, or was not there"


def test_a_picture_tells_a_missing_formula(shown):
    """The test above can fail."""
    whole = numbers(picture(shown, 3))
    found = shown.page.formulas
    blank = [dataclasses.replace(one.box, draw=lambda *_: None) for one in found]
    shown.page.formulas = [dataclasses.replace(one, box=box) for one, box in zip(found, blank, strict=True)]
    apart = np.abs(blocks(numbers(grabbed(shown)), len(whole)) - blocks(whole, len(whole)))
    shown.page.formulas = found
    assert apart.max() > 40


def renew():
    FOLDER.mkdir(exist_ok=True)
    shown = panel()
    for number, stop in enumerate(STOPS, 1):
        picture(shown, number).save(str(FOLDER / f"{stop.name}.png"))


if __name__ == "__main__":
    renew()

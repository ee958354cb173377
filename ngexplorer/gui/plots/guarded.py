"""Painting that may fail: an item of a plot whose `paint` raises is left out and tells of it; the program goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPainter

Paint = Callable[..., None]


def guarded(paint: Paint) -> Paint:
    """The `paint` of an item, from which no exception comes: Qt, in the middle of its scene, would not survive one.

    What goes wrong is told to `sys.excepthook` once the painting is over, since a notice moves what is being painted;
    and once only, until the item has been painted well or fails otherwise.
    """

    @wraps(paint)
    def painted(item: Any, painter: QPainter, *arguments: Any) -> None:
        painter.save()
        try:
            paint(item, painter, *arguments)
            item.not_painted = ""
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            if what != getattr(item, "not_painted", ""):
                item.not_painted = what
                QTimer.singleShot(0, lambda error=error: sys.excepthook(type(error), error, error.__traceback__))
        finally:
            painter.restore()

    return painted

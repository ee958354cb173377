"""Python's search for garbage in cycles, kept to the window's thread.

By itself it runs in whichever thread allocates next. What it frees of Qt in another one leaves its timers behind in the
window's thread, and the process dies when the next of them is due.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from PySide6.QtCore import Qt, QTimer

_LOOK = 50
"""Milliseconds between two looks at whether there is enough to search through."""
_WHOLE, _WHOLE_BUSY = 20.0, 600.0
"""Seconds between two searches through everything, at rest and while runs go on: it takes longer than a frame."""


@contextmanager
def collected_here(busy: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Search in this thread only, whose events are being dealt with meanwhile; `busy` says whether runs go on, and a
    person looks."""
    searched = monotonic()

    def look() -> None:
        nonlocal searched
        # Of each generation how many searches of the one before it (of the youngest: how many objects) have come since.
        young, middle, old = (count > most for count, most in zip(gc.get_count(), gc.get_threshold(), strict=True))
        if old and monotonic() - searched > (_WHOLE_BUSY if busy() else _WHOLE):
            gc.collect(2)
            searched = monotonic()
        elif middle:
            gc.collect(1)
        elif young:
            gc.collect(0)

    timer = QTimer(interval=_LOOK, timerType=Qt.TimerType.CoarseTimer)
    timer.timeout.connect(look)
    gc.disable()
    timer.start()
    try:
        yield
    finally:
        timer.stop()
        gc.enable()

"""Garbage of Qt's is freed where its timers are."""

import gc
import threading
import weakref

from PySide6.QtCore import QObject


class Tied(QObject):
    """In a cycle with itself, a timer running: what a dialog with its lambdas is once it is closed."""

    def __init__(self):
        super().__init__()
        self.itself = self
        self.startTimer(1)


def allocate():
    """So much that a search through all garbage is due several times."""
    kept = []
    for _ in range(300_000):
        kept.append([kept])


def test_garbage_of_qt_is_freed_in_the_windows_thread_whoever_allocates(qtbot, patience):
    gc.collect()
    freed = []
    weakref.finalize(Tied(), lambda: freed.append(threading.get_ident()))
    worker = threading.Thread(target=allocate)
    worker.start()
    worker.join()
    assert not freed, "the worker has freed it"
    qtbot.waitUntil(lambda: bool(freed), timeout=patience)
    assert freed == [threading.get_ident()]

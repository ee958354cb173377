"""The watch itself: what is left behind is found, with the line where it began."""

import threading
from inspect import currentframe
from pathlib import Path

import pytest
from PySide6.QtCore import QThread, QTimer, qWarning
from PySide6.QtWidgets import QWidget

pytest_plugins = ["pytester"]


@pytest.fixture
def watched(watch_class):
    with watch_class().watching() as watch:
        yield watch


def the_line_above():
    return f"test_watch.py:{currentframe().f_back.f_lineno - 1}"


def test_a_thread_of_qt_left_running_is_named(watched):
    thread = QThread()
    thread.setObjectName("forgotten")
    thread.start()
    line = the_line_above()
    (leak,) = watched.leaks()
    thread.quit()
    thread.wait()
    assert "'forgotten'" in leak and line in leak
    assert not watched.leaks()


def test_a_thread_of_python_left_running_is_named(watched):
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="forgotten")
    thread.start()
    line = the_line_above()
    (leak,) = watched.leaks()
    done.set()
    thread.join()
    assert "'forgotten'" in leak and line in leak
    assert not watched.leaks()


def test_a_timer_left_active_is_named(watched):
    timer = QTimer(interval=12345)
    timer.start()
    line = the_line_above()
    (leak,) = watched.leaks()
    timer.stop()
    assert "12345 ms" in leak and line in leak
    assert not watched.leaks()


def test_a_window_left_open_is_named(watched):
    window = QWidget()
    window.setWindowTitle("forgotten")
    window.show()
    line = the_line_above()
    (leak,) = watched.leaks()
    window.close()
    assert "'forgotten'" in leak and line in leak
    assert not watched.leaks()


def test_a_warning_of_qt_is_heard(watch_class, nothing_left_behind):
    with watch_class().watching() as watch:
        qWarning("something is amiss")
        qWarning("This plugin does not support propagateSizeHints()")
    assert watch.warnings == ["something is amiss"]
    nothing_left_behind.warnings.clear()


def test_a_test_that_leaves_something_behind_fails(pytester):
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(
        test_it="""
        from PySide6.QtCore import QTimer, qWarning

        def test_leaves_a_timer():
            global timer
            timer = QTimer(interval=54321)
            timer.start()

        def test_warns():
            qWarning("something is amiss")

        def test_is_clean():
            pass
        """
    )
    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*QTimer of 54321 ms is active, started at test_it.py:6*", "*something is amiss*"])

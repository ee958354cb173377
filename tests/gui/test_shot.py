"""`ngexplorer shot`: the window as a picture, with no display."""

import os
import subprocess
import sys

import pytest
from PySide6.QtGui import QColor, QImage

from ngexplorer import cli
from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.main_window import MainWindow
from ngexplorer.runs import experiment as experiments
from ngexplorer.tour import STOPS


@pytest.fixture
def shoot(tmp_path, two_moons):
    """Run the command on a tiny experiment in a process of its own."""
    experiments.write(two_moons(steps=3), tmp_path / "tiny.toml")

    def run(*arguments):
        environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"} | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "ngexplorer", "shot", str(tmp_path / "tiny.toml"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)

    return run


def assert_looks(path, theme, width, height):
    image = QImage(str(path))
    assert (image.width(), image.height()) == (width, height)
    assert image.pixelColor(2, height // 2) == QColor(theme.window)
    colours = {image.pixel(x, y) for x in range(0, width, 3) for y in range(0, height, 3)}
    assert len(colours) > 50, "something is drawn"


def test_a_picture_has_the_size_and_the_colours_asked_for(shoot, tmp_path):
    path = tmp_path / "window.png"
    done = shoot("--out", path, "--size", "1100x700", "--theme", "light", "--steps", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(path)
    assert_looks(path, themes.LIGHT, 1100, 700)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tiny.toml", "window.png"]


@pytest.mark.parametrize("theme", [themes.DARK, themes.LIGHT], ids=lambda theme: theme.name)
def test_a_picture_shows_all_steps_and_replaces_an_older_one(qapp, two_moons, tmp_path, monkeypatch, theme):
    path, seen = tmp_path / "window.png", []
    path.write_bytes(b"old")
    settle = MainWindow.settle
    monkeypatch.setattr(MainWindow, "settle", lambda self: (settle(self), seen.append(self.table.runs.texts)))
    application.shot(two_moons("adam", "newton", steps=7), path, size=(1024, 640), theme=theme.name)
    assert_looks(path, theme, 1024, 640)
    assert [(texts[0], texts[1], texts[2]) for texts in seen[-1]] == [
        ("Adam", "finished", "7"),
        ("Newton", "finished", "7"),
    ]


def test_a_picture_of_a_stop_has_its_page(qapp, tmp_path, monkeypatch):
    path, seen = tmp_path / "stop.png", []
    settle = MainWindow.settle
    monkeypatch.setattr(MainWindow, "settle", lambda self: (settle(self), seen.append(self.tour.title.text())))
    arguments = ("shot", "--tour", "1", "--steps", "3", "--size", "1440x800", "--theme", "light", "--out", str(path))
    assert cli.main(list(arguments)) == 0
    assert_looks(path, themes.LIGHT, 1440, 800)
    assert seen[-1] == STOPS[0].title


def test_a_name_that_is_no_picture_s_leaves_no_file(qapp, two_moons, tmp_path):
    with pytest.raises(OSError, match=r"\.png"):
        application.shot(two_moons(steps=1), tmp_path / "window.txt", size=(1024, 640), theme="dark")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_one_line_and_status_2(shoot, tmp_path):
    done = shoot("--out", tmp_path / "nowhere" / "window.png")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "nowhere" in done.stderr and "Traceback" not in done.stderr

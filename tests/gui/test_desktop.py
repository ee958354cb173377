"""One smoke test on a screen: Xvfb with a window manager."""

import ctypes
import os
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QLibraryInfo


def missing():
    """What a screen with a window manager and a hand needs and is not here; `packaging/dev.py test` brings it where it
    can."""
    programs = [name for name in ("Xvfb", "openbox", "xdotool") if shutil.which(name) is None]
    plugin = Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.PluginsPath), "platforms", "libqxcb.so")
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return [*programs, str(error)]
    return programs


@contextmanager
def screen(width, height):
    """A display of its own with a window manager on it; its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    manager = None
    try:
        assert select.select([read], [], [], 20)[0], "Xvfb does not come up"
        display = f":{os.read(read, 16).decode().strip()}"
        environment = os.environ | {"DISPLAY": display}
        manager = subprocess.Popen(["openbox", "--sm-disable"], env=environment, stderr=subprocess.DEVNULL)
        yield display
    finally:
        os.close(read)
        for process in (manager, server):
            if process is not None:
                process.terminate()
                process.wait(10)


@pytest.mark.parametrize("ratio", [1, 2], ids=["a dot a pixel", "two dots a pixel"])
def test_on_a_screen_the_window_is_framed_resized_docked_and_shares_with_other_programs(ratio, tmp_path):
    if missing():
        pytest.skip(f"not installed: {', '.join(missing())}")
    root = Path(__file__).parents[2]
    with screen(ratio * 1760, ratio * 960) as display:
        environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"} | {
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": str(ratio),
            "PYTHONPATH": str(root),
        }
        command = [sys.executable, str(Path(__file__).with_name("desktop.py")), str(ratio), str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["framed", "sharp", "resized", "docked", "pasted", "dropped"]

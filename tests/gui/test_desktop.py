"""One smoke test on a screen: Xvfb with a window manager."""

import os
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

MISSING = [name for name in ("Xvfb", "openbox") if shutil.which(name) is None]


@contextmanager
def screen():
    """A display of its own with a window manager on it; its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
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


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed")
def test_on_a_screen_the_window_is_framed_resized_docked_and_its_table_pasted_elsewhere():
    root = Path(__file__).parents[2]
    with screen() as display:
        environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"} | {
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "PYTHONPATH": str(root),
        }
        command = [sys.executable, str(Path(__file__).with_name("desktop.py"))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["framed", "resized", "docked", "pasted"]

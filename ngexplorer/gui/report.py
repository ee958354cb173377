"""What a person sends with a question: versions, device, screens and the set-up."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil
import torch
from PySide6.QtGui import QGuiApplication

from ngexplorer.gui.session import Session
from ngexplorer.runs import experiment as experiments

_PACKAGES = ("ngexplorer", "torch", "numpy", "scipy", "PySide6-Essentials", "pyqtgraph", "msgspec")


def report(session: Session, what_happened: str = "") -> str:
    """The report as text, what happened first."""
    parts = [what_happened] if what_happened else []
    parts += [
        "Versions\n" + "\n".join(f"  {name} {number}" for name, number in _versions()),
        "Machine\n" + "\n".join(f"  {line}" for line in _machine()),
        "Screens\n" + "\n".join(f"  {line}" for line in _screens()),
        f"Race\n  {session.state}, step {session.latest}",
        "Set-up\n" + experiments.to_toml(session.experiment),
    ]
    return "\n\n".join(parts)


def _versions() -> list[tuple[str, str]]:
    found = [("Python", sys.version.split()[0])]
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def _machine() -> list[str]:
    cuda = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    memory = psutil.virtual_memory()
    gigabytes = f"{memory.total / 2**30:.1f} GB memory, {memory.available / 2**30:.1f} GB free"
    return [
        f"{platform.system()} {platform.release()} on {platform.machine()}",
        f"{psutil.cpu_count()} processors, {gigabytes}",
        f"torch uses {torch.get_num_threads()} threads; graphics processors: {', '.join(cuda) or 'none'}",
    ]


def _screens() -> list[str]:
    platform_name = QGuiApplication.platformName()
    return [
        f"{screen.name() or 'screen'}: {screen.size().width()}×{screen.size().height()} "
        f"at {screen.devicePixelRatio():g}, {screen.logicalDotsPerInch():.0f} dots an inch, {platform_name}"
        for screen in QGuiApplication.screens()
    ]

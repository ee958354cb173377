"""The process in which a race's steps are taken, so that they never wait for the window nor the window for them.

It can be started before anything that takes long is imported: it imports that for itself, and no Qt.
"""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.connection import Connection
from typing import Any

_PATIENCE = 5.0
"""Seconds in which it has to end once its line is closed."""


class Process:
    """A process of this program in which races are driven; see `ngexplorer.runs.remote`."""

    def __init__(self) -> None:
        # "spawn": a copy of a process with threads, as "fork" makes it, may never come to itself.
        context = multiprocessing.get_context("spawn")
        self.line, there = context.Pipe()
        self.called: Any = context.RawValue("Q")
        self.obeyed: Any = context.RawValue("Q")
        work = (there, self.called, self.obeyed)
        self._process = context.Process(target=_drive, args=work, name="ngexplorer racer", daemon=True)
        self._process.start()
        there.close()

    @property
    def pid(self) -> int:
        """The system's number of it."""
        return self._process.pid or 0

    def another(self) -> Process:
        """One like it."""
        return Process()

    def end(self) -> str:
        """Bring about its end; returns how it ended."""
        self._process.join(_PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self.line.close()
        code = self._process.exitcode or 0
        return f"status {code}" if code >= 0 else f"{signal.Signals(-code).name}, {signal.strsignal(-code)}"


def _drive(line: Connection, called: Any, obeyed: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is the window's to answer
    from ngexplorer.runs.remote import serve

    serve(line, called, obeyed)

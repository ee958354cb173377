"""What the window remembers of a person from one time to the next: layout, appearance, recent files, last
folder, and how far they have come in the tour."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

_RECENT = 8
"""At most so many files are remembered."""


def usual_path() -> Path:
    """Where a person's preferences are kept on this system."""
    return Path(platformdirs.user_config_dir("ngexplorer", appauthor=False)) / "window.ini"


class Preferences:
    """An ini file; without a path all is forgotten at the end."""

    def __init__(self, path: Path | None = None) -> None:
        self._kept: dict[str, object] = {}
        self._file = QSettings(str(path), QSettings.Format.IniFormat) if path is not None else None

    def _read(self, key: str, usual: object) -> object:
        if self._file is None:
            return self._kept.get(key, usual)
        return self._file.value(key, usual)

    def _write(self, key: str, value: object) -> None:
        if self._file is None:
            self._kept[key] = value
        else:
            self._file.setValue(key, value)

    def state(self, key: str) -> QByteArray:
        """A saved state of Qt's; empty where there is none."""
        found = self._read(key, QByteArray())
        return found if isinstance(found, QByteArray) else QByteArray()

    def keep_state(self, key: str, state: QByteArray) -> None:
        self._write(key, state)

    @property
    def rows_chosen(self) -> bool:
        """Whether the height of the runs table is a person's choice."""
        return str(self._read("layout/rows_chosen", "false")) == "true"

    @rows_chosen.setter
    def rows_chosen(self, chosen: bool) -> None:
        self._write("layout/rows_chosen", str(chosen).lower())

    @property
    def appearance(self) -> str:
        """ "system", "dark" or "light"."""
        found = str(self._read("appearance", "system"))
        return found if found in ("system", "dark", "light") else "system"

    @appearance.setter
    def appearance(self, name: str) -> None:
        self._write("appearance", name)

    @property
    def recent(self) -> list[Path]:
        """The files that were opened or saved last, the latest first."""
        found = self._read("recent", [])
        names = found if isinstance(found, list) else [found] if found else []
        return [Path(str(name)) for name in names]

    def remember(self, path: Path) -> None:
        """Put a file first among the recent ones."""
        others = [other for other in self.recent if other != path]
        self._write("recent", [str(one) for one in [path, *others][:_RECENT]])

    def forget(self, path: Path) -> None:
        """Take a file that is no longer there from the recent ones."""
        self._write("recent", [str(other) for other in self.recent if other != path])

    @property
    def folder(self) -> Path:
        """Where a file was last opened or written."""
        return Path(str(self._read("folder", "")))

    @folder.setter
    def folder(self, path: Path) -> None:
        self._write("folder", str(path))

    @property
    def started(self) -> bool:
        """Whether the window was open before."""
        return str(self._read("started", "false")) == "true"

    def remember_start(self) -> None:
        self._write("started", "true")

    @property
    def tour_seen(self) -> list[str]:
        """The names of the tour's stops that were opened."""
        found = self._read("tour/seen", [])
        return [str(name) for name in found] if isinstance(found, list) else [str(found)] if found else []

    def tour_stop(self, last: int) -> int:
        """The number of the stop that was opened last; 1 where there was none."""
        found = str(self._read("tour/stop", "1"))
        return min(max(int(found), 1), last) if found.isdecimal() else 1

    def see_stop(self, number: int, name: str) -> None:
        """Remember that a stop was opened, by its number and name."""
        self._write("tour/stop", str(number))
        if name not in self.tour_seen:
            self._write("tour/seen", [*self.tour_seen, name])

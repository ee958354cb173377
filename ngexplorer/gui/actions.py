"""Every action of the window, declared once: its name, what it does in words, its keys and its icon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from ngexplorer.gui import theme as themes


@dataclass(frozen=True)
class Declared:
    """An action as it is declared. `text` has the menu's mnemonic; actions with the same `choice` exclude each other,
    and those with one stay ticked."""

    key: str
    text: str
    tip: str
    shortcut: str = ""
    icon: str = ""
    choice: str = ""


MENUS: dict[str, tuple[Declared | None, ...]] = {
    "&File": (
        Declared("open", "&Open experiment…", "Open an experiment from a TOML file", "Ctrl+O", "open"),
        None,
        Declared("save", "&Save experiment", "Write the set-up to its TOML file", "Ctrl+S", "save"),
        Declared("save-as", "Save experiment &as…", "Write the set-up to another TOML file", "Ctrl+Shift+S"),
        None,
        Declared("export", "&Export CSV…", "Write every run and step to one CSV file", "Ctrl+E", "export"),
        None,
        Declared("quit", "&Quit", "Stop the runs and close the window", "Ctrl+Q"),
    ),
    "&Edit": (
        Declared("undo", "&Undo", "Take back the last change of the set-up", "Ctrl+Z", "undo"),
        Declared("redo", "&Redo", "Make the change again that was taken back", "Ctrl+Shift+Z", "redo"),
        None,
        Declared("add", "&Add optimizer…", "Put another optimizer into the race", "Ctrl+Shift+A", "add"),
        None,
        Declared("palette", "&Find an action…", "Search everything the window can do", "Ctrl+Shift+P", "search"),
    ),
    "&Race": (
        Declared("race", "&Race", "Start, go on or pause", "Space", "play"),
        Declared("step", "&Step", "One step of every run", ".", "step"),
        Declared("stop", "S&top", "Stop now; Space goes on", "Esc", "stop"),
        Declared("reset", "R&eset", "Start over with the set-up as it is now", "Ctrl+R", "reset"),
        None,
        Declared("live", "&Follow the latest step", "Leave the past", "Ctrl+L", "live"),
        Declared("play-back", "&Play back", "Play the steps taken from the current one on, or pause", "P"),
        Declared("previous-event", "To the e&vent before", "The edit or failure before", "Alt+Left", "previous"),
        Declared("next-event", "To the &next event", "The next edit or failure", "Alt+Right", "next"),
    ),
    "&Compare": (
        Declared(
            "duplicate", "&Duplicate with a change", "A copy of the highlighted run, open to be changed", "Ctrl+D"
        ),
        Declared("settings", "Compare &settings…", "In what two highlighted runs differ", "Ctrl+Shift+D"),
        Declared("alike", "All runs &alike", "Highlight no run", "Ctrl+Shift+L"),
        None,
        Declared("target", "&Target loss", "Type the loss that every run is timed to", "Ctrl+G"),
        Declared("copy-table", "&Copy the table", "The runs table to the clipboard", "Ctrl+Shift+C"),
    ),
    "&View": (
        Declared("grid", "Plots as a &grid", "One plot above, the others below it", "Ctrl+Alt+1"),
        Declared("row", "Plots side by &side", "All plots in one row", "Ctrl+Alt+2"),
        Declared("tabs", "Plots as &tabs", "One plot at a time", "Ctrl+Alt+3"),
        Declared("reset-layout", "Reset &layout", "Every panel back to where it was at first", "Ctrl+Alt+0"),
        None,
        Declared("next-panel", "&Next panel", "Take the keyboard to the next panel", "F6"),
        Declared("previous-panel", "&Previous panel", "Take the keyboard to the panel before", "Shift+F6"),
        Declared(
            "presenter", "Presente&r mode", "One plot in large type, for a projector", "F5", "present", "presenter"
        ),
        Declared("next-plot", "Ne&xt plot", "The next plot of presenter mode", "PgDown"),
        None,
        Declared("system", "Appearance of the s&ystem", "Dark or light as the desktop is", "", "", "appearance"),
        Declared("dark", "&Dark appearance", "Light on dark", "", "moon", "appearance"),
        Declared("light", "L&ight appearance", "Dark on light", "", "sun", "appearance"),
        Declared("switch-theme", "S&witch dark and light", "Change the appearance", "Ctrl+T"),
    ),
    "&Help": (
        Declared("start", "&Start page", "Examples, the tour, files"),
        Declared("tour", "&Take the tour", "The paper's findings, a stop each: the one that was opened last", "F1"),
        Declared("next-stop", "&Next stop", "The next stop of the tour", "Ctrl+PgDown"),
        Declared("previous-stop", "Pre&vious stop", "The stop of the tour before", "Ctrl+PgUp"),
        None,
        Declared("report", "&Copy report", "Versions, device, screens and set-up, to the clipboard"),
        Declared("about", "&About NG Explorer", "What this is", "", "info"),
    ),
}


class Actions:
    """The window's actions by key. What is out of use says why, in its tool tip and in the palette."""

    def __init__(self, window: QWidget, carried_out: Mapping[str, Callable[[], object]]) -> None:
        self._window = window
        self._found: dict[str, QAction] = {}
        self._tips: dict[str, str] = {}
        self._icons: dict[str, str] = {}
        self._named: dict[str, str] = {}
        self.menus = QMenuBar()
        self.menu: dict[str, QMenu] = {}
        """The menus by their titles, without mnemonics."""
        choices: dict[str, QActionGroup] = {}
        for title, declared in MENUS.items():
            menu = self.menus.addMenu(title)
            self.menu[plain(title)] = menu
            for one in declared:
                if one is None:
                    menu.addSeparator()
                    continue
                action = self._made(one, plain(title), carried_out[one.key])
                menu.addAction(action)
                if one.choice:
                    action.setCheckable(True)
                if one.choice == "appearance":
                    choices.setdefault(one.choice, QActionGroup(window)).addAction(action)

    def _made(self, declared: Declared, group: str, carry_out: Callable[[], object]) -> QAction:
        action = QAction(declared.text, self._window)
        if declared.shortcut:
            action.setShortcut(QKeySequence(declared.shortcut))
        action.triggered.connect(lambda _=False: carry_out())
        self.take(declared.key, action, group, declared.tip)
        self._icons[declared.key] = declared.icon
        return action

    def take(self, key: str, action: QAction, group: str, tip: str) -> None:
        """Count an action that was made elsewhere among these."""
        action.setToolTip(tip)
        action.setStatusTip(tip)
        self._window.addAction(action)
        self._found[key] = action
        self._tips[key] = tip
        self._named[key] = group

    def drop(self, key: str) -> None:
        """Forget an action whose thing is gone."""
        for kept in (self._tips, self._named, self._icons):
            kept.pop(key, None)
        self._window.removeAction(self._found.pop(key))

    def __getitem__(self, key: str) -> QAction:
        return self._found[key]

    @property
    def keys(self) -> list[str]:
        """The keys of all actions."""
        return list(self._found)

    def allow(self, key: str, why_not: str = "") -> None:
        """Put an action in use, or out of use with a reason."""
        action = self._found[key]
        action.setEnabled(not why_not)
        action.setToolTip(f"{self._tips[key]}\n{why_not}" if why_not else self._tips[key])
        action.setProperty("why_not", why_not)

    def listed(self) -> Iterator[tuple[str, QAction]]:
        """Every action with what it is called in the palette: "Race: Step"."""
        for key, action in self._found.items():
            yield f"{self._named[key]}: {plain(action.text())}", action

    def dress(self, theme: themes.Theme) -> None:
        """Draw the icons in a theme's colour."""
        for key, name in self._icons.items():
            if name:
                self._found[key].setIcon(themes.icon(name, theme.muted))


def plain(text: str) -> str:
    """A text without its mnemonic and ellipsis."""
    return text.replace("&", "").removesuffix("…")

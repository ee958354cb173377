"""An optimizer in the set-up: its colour, name and parts in few words, its settings when opened; and the recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QToolButton, QVBoxLayout

from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.forms import RecordForm
from ngexplorer.optimizers import RECIPES, Optimizer, catalog, parts
from ngexplorer.settings import SettingError, convert


class OptimizerCard(QFrame):
    """One optimizer: colour, name and parts in a line or two; its settings when opened."""

    changed = Signal(str, object)
    asked = Signal(str, int)
    started_over = Signal(int, str)

    def __init__(
        self,
        number: int,
        raw: dict[str, Any],
        label: str,
        colour: str,
        theme: themes.Theme,
        *,
        opened: bool,
        unfolded: set[str],
        doubt: str,
    ) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setProperty("open", opened)
        self.number = number
        enabled = raw["enabled"]

        self.colour = QToolButton()
        self.colour.setObjectName("quiet")
        self.colour.setIcon(themes.dot(themes.line_colour(colour, theme), 12, filled=enabled))
        self.colour.setToolTip("Colour")
        self.colour.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.colour.setMenu(self._palette())
        self.name = Elided()
        self.name.setFont(themes.font(13, themes.font().weight().Medium))
        self.name.setEnabled(enabled)
        self.parts = Elided()
        self.parts.setObjectName("muted")
        self.parts.setFont(themes.font(11))
        self.parts.setEnabled(enabled)
        titles = QVBoxLayout()
        titles.setSpacing(0)
        titles.addWidget(self.name)
        titles.addWidget(self.parts)
        self.doubt = QLabel()
        self.doubt.setObjectName("muted")
        self.doubt.setWordWrap(True)
        self.doubt.setFont(themes.font(11))

        self.switch = _quiet("eye" if enabled else "eye-off", "Switch off" if enabled else "Switch on", theme)
        self.switch.clicked.connect(lambda: self.changed.emit(f"runs[{number}].enabled", not enabled))
        more = self.more = _quiet("more", "Duplicate, rename or remove", theme)
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(more)
        for what in ("duplicate", "rename", "remove"):
            menu.addAction(what.capitalize(), lambda what=what: self.asked.emit(what, number))
        over = menu.addMenu("Start over from")
        over.setToolTip("Another recipe in its place")
        list_recipes(over, lambda name: self.started_over.emit(number, name))
        more.setMenu(menu)
        self.fold = _quiet("chevron-down" if opened else "chevron-right", "Settings", theme)
        self.fold.clicked.connect(lambda: self.asked.emit("open", number))

        head = QHBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.colour)
        head.addLayout(titles, 1)
        for button in (self.switch, more, self.fold):
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 5, 6, 5)
        layout.addLayout(head)
        layout.addWidget(self.doubt)
        self.form: RecordForm | None = None
        if opened:
            path = f"runs[{number}].optimizer"
            self._raw = raw["optimizer"]
            self.form = RecordForm(Optimizer, path, refusal=self._refusal, skip=("name",), unfolded=unfolded)
            self.form.changed.connect(self.changed)
            layout.addWidget(self.form)
        self.show_values(raw["optimizer"], label, doubt)

    def show_values(self, optimizer: dict[str, Any], label: str, doubt: str) -> None:
        """Show the optimizer's name and settings, and under them what may be wrong with its matrix here."""
        self.name.setText(label)
        self.colour.setAccessibleName(f"Colour of {label}")
        for button, what in ((self.more, "Duplicate, rename or remove"), (self.fold, "Settings of")):
            button.setToolTip(f"{what} {label}")
            button.setAccessibleName(f"{what} {label}")
        self.parts.setText(_parts_line(optimizer))
        doubtful = optimizer["curvature"]["name"] == "gauss-newton"
        self.doubt.setText(doubt)
        self.doubt.setVisible(bool(doubt) and doubtful)
        self._raw = optimizer
        if self.form is not None:
            self.form.show_values(optimizer)

    def _refusal(self, path: str, option: Any) -> str | None:
        """Why a part cannot be chosen beside the present ones; what would have to change elsewhere is no reason."""
        part = path.rpartition(".")[2]
        if part not in self._raw:
            return None
        try:
            convert(self._raw | {part: {"name": option.__struct_config__.tag}}, Optimizer)
        except SettingError as error:
            named, _, reason = error.reason.partition(": ")
            return reason if named == part and not error.path else None
        return None

    def mouseReleaseEvent(self, event: Any) -> None:
        self.asked.emit("open", self.number)

    def mark(self, faults: dict[str, str]) -> set[str]:
        """Mark what is wrong, reasons by path; a closed card has no place for it. Returns the paths that have one."""
        if self.form is None:
            return set()
        whole = f"runs[{self.number}].optimizer"
        if whole not in faults:
            return self.form.mark(faults)
        # What is wrong with the composition as a whole names the part first: "damping: …".
        part, _, reason = faults[whole].partition(": ")
        found = self.form.mark(faults | {f"{whole}.{part}": reason})
        return found | {whole} if f"{whole}.{part}" in found else found

    def _palette(self) -> QMenu:
        menu = QMenu(self)
        names = ("Sky blue", "Orange", "Purple", "Green", "Vermilion", "Blue", "Yellow", "Grey")
        for title, colour in zip(names, themes.PALETTE, strict=True):
            action = menu.addAction(themes.dot(QColor(colour)), title)
            action.triggered.connect(
                lambda _=False, colour=colour: self.changed.emit(f"runs[{self.number}].colour", colour)
            )
        return menu


def list_recipes(menu: QMenu, choose: Callable[[str], None]) -> None:
    """Every recipe of the catalog as an action, under its family."""
    known = catalog.recipes()
    family = ""
    for name in sorted(known, key=lambda name: _FAMILIES.index(_family(name, known[name][1]))):
        title, optimizer = known[name]
        if not menu.actions() or family != _family(name, optimizer):
            family = _family(name, optimizer)
            menu.addSection(family)
        menu.addAction(title, lambda name=name: choose(name))


def _quiet(name: str, help_text: str, theme: themes.Theme) -> QToolButton:
    button = QToolButton()
    button.setObjectName("quiet")
    button.setIcon(themes.icon(name, theme.muted))
    button.setToolTip(help_text)
    button.setAccessibleName(help_text)
    return button


_FAMILIES = ("Gradients alone", "Hessian and Gauss-Newton", "Fisher matrices", "Kronecker factors", "Your own")


def _family(name: str, optimizer: Optimizer) -> str:
    """Under which heading a recipe is listed: by its curvature, a person's own last."""
    if name not in RECIPES:
        return _FAMILIES[4]
    curvature = optimizer.curvature
    if isinstance(curvature, parts.Kronecker):
        return _FAMILIES[3]
    if isinstance(curvature, parts.Fisher | parts.MonteCarloFisher | parts.EmpiricalFisher):
        return _FAMILIES[2]
    return _FAMILIES[1] if optimizer.second_order else _FAMILIES[0]


def _parts_line(optimizer: dict[str, Any]) -> str:
    """The parts in few words: "fisher · λ levenberg-marquardt 1"."""
    words = [optimizer["curvature"]["name"].replace("diagonal-empirical-fisher", "diag F̄")]
    damping = optimizer["damping"]
    match damping["name"]:
        case "none":
            pass
        case "trust-region":
            words.append(f"Δ {_number(damping.get('radius'))}")
        case "cubic":
            words.append(f"M {_number(damping.get('weight'))}")
        case name:
            short = {"levenberg-marquardt": "LM"}.get(name, name)
            words.append(f"λ {short} {_number(damping.get('initial', damping.get('value')))}")
    if optimizer["learning_rate"] != 1:
        words.append(f"α {_number(optimizer['learning_rate'])}")
    momentum = optimizer["momentum"]
    if momentum["name"] != "none":
        words.append(f"μ {_number(momentum.get('coefficient', momentum.get('decay')))}")
    usual = {"step": "fixed", "correction": "euler", "averaging": "none"}
    words += [
        optimizer[part]["name"].replace("-", " ") for part, name in usual.items() if optimizer[part]["name"] != name
    ]
    if optimizer["batches"]["name"] != "all":
        words.append(f"batches of {_number(optimizer['batches'].get('size'))}")
    return " · ".join(words)


def _number(value: Any) -> str:
    """A setting's number, or a question mark for what was typed there and is none."""
    return f"{value:g}" if isinstance(value, int | float) else "?"

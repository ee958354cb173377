"""The set-up panel: the data, model and loss, and the optimizers to race."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.elided import Elided
from ngexplorer.gui.forms import Choice, Entry, RecordForm, caption, titles
from ngexplorer.gui.panels.preview import Preview
from ngexplorer.gui.session import Session
from ngexplorer.objectives import assembly
from ngexplorer.objectives.losses import AnyLoss
from ngexplorer.optimizers import RECIPES, Optimizer, catalog, parts
from ngexplorer.runs import Probes
from ngexplorer.runs.experiment import Experiment
from ngexplorer.settings import SettingError, convert, members


class SetupPanel(QFrame):
    """Edits the session's experiment. What is typed is kept as it is until it can be; then the session takes it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.session = session
        self.raw: dict[str, Any] = {}
        self._faults: dict[str, str] = {}
        """What is wrong with what is typed, reasons by path: each stays until it is put right."""
        self._not_loaded: dict[str, str] = {}
        """What kept the session from loading a set-up that looked well."""
        self._labels: list[str] = []
        self._opened = ("", "")
        """The title and the data with which the experiment was opened."""
        self._own: Experiment | None = None
        """The last experiment that comes from here."""
        self._open: int | None = None
        self._unfolded = {"damping"}
        """The parts of an optimizer whose settings are seen."""
        self._dressed: object = None
        """What the cards were made for; while it stays the same they are kept, and the keyboard focus with them."""

        self.form = RecordForm(Experiment, "", refusal=self._refusal, skip=("title", "device", "runs", "probes"))
        self.form.changed.connect(self._changed)
        self.device = Choice([(name, name) for name in assembly.devices()])
        self.device.picked.connect(lambda value: self._changed("device", value))
        self.device.setAccessibleName("Device")
        self.device.setToolTip("Where it is computed")
        self.form.add_row("Device", self.device)

        self.probes = RecordForm(Probes, "probes")
        self.probes.changed.connect(self._changed)
        self.preview = Preview(session)
        self.hint = QLabel("The set-up has changed. Reset (Ctrl+R) starts a race with it.")
        self.hint.setObjectName("hint")
        self.hint.setWordWrap(True)
        self.hint.hide()
        self.message = QLabel()
        self.message.setObjectName("error")
        self.message.setWordWrap(True)
        self.message.hide()
        self.cards = QVBoxLayout()
        self.cards.setSpacing(themes.GRID // 2)
        self.add = QPushButton("Add optimizer")
        self.add.setMenu(self._recipes())
        self.add.setFocusPolicy(Qt.FocusPolicy.TabFocus)

        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(12, 4, 8, 4)
        column.setSpacing(themes.GRID)
        column.addWidget(self.hint)
        column.addWidget(self.preview)
        column.addWidget(self.form)
        column.addSpacing(themes.GRID)
        column.addWidget(caption("Optimizers"))
        column.addLayout(self.cards)
        column.addWidget(self.message)
        column.addWidget(self.add)
        column.addSpacing(themes.GRID)
        column.addWidget(caption("Probes"))
        column.addWidget(self.probes)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 4, 2, 4)
        outer.addWidget(scroll)

        session.experiment_changed.connect(self._show)
        session.race_changed.connect(self._show_hint)
        session.setting_refused.connect(self._refused)
        session.theme_changed.connect(self._show_cards)
        self._show()

    # Showing.

    def _show(self) -> None:
        raw = msgspec.to_builtins(self.session.experiment)
        self.raw = raw | {"runs": list(raw["runs"])}
        if self.session.experiment is not self._own:
            self._opened = (raw["title"], raw["data"]["name"])
            for entry in self.findChildren(Entry):
                entry.setModified(False)  # what was being typed belonged to the other experiment
        self._faults, self._not_loaded = {}, {}
        self.form.show_values(self.raw)
        self.probes.show_values(self.raw["probes"])
        self.device.show_value(self.raw["device"])
        self._show_cards()
        self._show_hint()

    def _show_hint(self) -> None:
        self.hint.setVisible(self.session.stale)

    def _show_cards(self) -> None:
        runs = self.raw["runs"]
        names = [run["optimizer"]["name"] for run in runs]
        colours = _colours(runs)
        labels = self.session.experiment.labels() if len(self.session.experiment.runs) == len(runs) else names
        self._labels = labels
        switches = [run["enabled"] for run in runs]
        loss = self._chosen("loss", AnyLoss)
        doubt = (
            ""
            if loss.convex
            else f"{loss.title} is not convex in the outputs, so this matrix may be indefinite; the Fisher never is"
        )
        dressed = (names, colours, labels, switches, self._open, self.session.theme)
        if dressed == self._dressed:
            for i, run in enumerate(runs):
                self._card(i).show_values(run["optimizer"], doubt)
            self._mark()
            return
        self._dressed = dressed
        while self.cards.count():
            self.cards.takeAt(0).widget().deleteLater()
        for i, run in enumerate(runs):
            card = OptimizerCard(
                i,
                run,
                labels[i],
                colours[i],
                self.session.theme,
                opened=i == self._open,
                unfolded=self._unfolded,
                doubt=doubt,
            )
            card.changed.connect(self._changed)
            card.asked.connect(self._card_asked)
            self.cards.addWidget(card)
        self._mark()

    def _card(self, i: int) -> OptimizerCard:
        card = self.cards.itemAt(i).widget()
        assert isinstance(card, OptimizerCard)
        return card

    def _refused(self, path: str, reason: str) -> None:
        """Hear what keeps a set-up from being loaded; all empty where it was."""
        self._not_loaded = {path: reason} if path or reason else {}
        self._mark()

    def _mark(self) -> None:
        """Mark the fields that cannot be; what has none here is said below the optimizers."""
        faults = self._not_loaded | self._faults
        found = self.form.mark(faults) | self.probes.mark(faults)
        for i in range(self.cards.count()):
            found |= self._card(i).mark(faults)
        homeless = [": ".join((*self._named(path), why)) for path, why in faults.items() if path not in found]
        self.message.setText("\n".join(homeless))
        self.message.setVisible(bool(homeless))

    def _named(self, path: str) -> list[str]:
        """What a person calls the setting at a path: "Newton, Damping, Initial"; nothing for the list of runs."""
        words = titles(Experiment, self.raw, path)
        run = re.match(r"runs\[(\d+)\]", path)
        if run:
            words = [self._labels[int(run[1])], *words[2:]]
        return [", ".join(words)] if words and path != "runs" else []

    def _refusal(self, path: str, option: Any) -> str | None:
        """Why a model or loss cannot go with the data that is chosen."""
        data = self._chosen("data", assembly.AnyData)
        if path == "model":
            return assembly.model_refusal(data, option())
        model = self._chosen("model", assembly.AnyModel)
        return assembly.loss_refusal(data, model, option()) if path == "loss" else None

    def _chosen(self, path: str, union: Any) -> Any:
        """The data set, model or loss that is chosen; by its usual settings while what is typed cannot be."""
        try:
            return convert(self.raw[path], union)
        except SettingError:
            return next(k for k in members(union) if k.__struct_config__.tag == self.raw[path]["name"])()

    # Changing.

    def _changed(self, path: str, value: Any) -> None:
        before = self.raw["data"]["name"]
        _put(self.raw, path, value)
        if path in ("data", "model"):
            self._make_legal()
        if self.raw["data"]["name"] != before:
            title, data = self._opened
            kinds = {kind.__struct_config__.tag: kind.title for kind in members(assembly.AnyData)}
            self.raw["title"] = title if self.raw["data"]["name"] == data else kinds[self.raw["data"]["name"]]
        self._try()

    def _make_legal(self) -> None:
        """After another data set was chosen: a model and loss that go with it, where the present ones do not."""
        for path, kinds in (("model", members(assembly.AnyModel)), ("loss", members(AnyLoss))):
            current = next(k for k in kinds if k.__struct_config__.tag == self.raw[path]["name"])
            legal = [kind for kind in kinds if self._refusal(path, kind) is None]
            if current not in legal:
                preferred = "softmax-cross-entropy" if path == "loss" else ""
                chosen = next((k for k in legal if k.__struct_config__.tag == preferred), legal[0])
                self.raw[path] = {"name": chosen.__struct_config__.tag}

    def _try(self) -> None:
        """Have the session take what is typed; nothing of it while anything in it cannot be."""
        experiment, self._faults = self._checked()
        self._not_loaded = {}
        if self._faults:
            self._show_cards()
            return
        self._mark()
        self._own = experiment
        self.session.change(experiment)

    def _checked(self) -> tuple[Experiment, dict[str, str]]:
        """The experiment that is typed, with what was there before for all that cannot be; and why that cannot."""
        raw, faults = copy.deepcopy(self.raw), {}
        before = msgspec.to_builtins(self.session.experiment)
        while True:
            try:
                experiment: Experiment = convert(raw, Experiment)
                experiment.check()
            except SettingError as error:
                again = error.path in faults
                faults[error.path] = error.reason
                if again or not _put_back(raw, before, error.path):
                    return self.session.experiment, faults
            else:
                return experiment, faults

    def _recipes(self) -> QMenu:
        menu = QMenu(self)
        menu.aboutToShow.connect(lambda: self._list_recipes(menu))  # own ones may have come
        self._list_recipes(menu)
        return menu

    def _list_recipes(self, menu: QMenu) -> None:
        menu.clear()
        known = catalog.recipes()
        family = ""
        for name in sorted(known, key=lambda name: _FAMILIES.index(_family(name, known[name][1]))):
            title, optimizer = known[name]
            if not menu.actions() or family != _family(name, optimizer):
                family = _family(name, optimizer)
                menu.addSection(family)
            menu.addAction(title, lambda name=name: self.add_optimizer(name))
        faulty = [one for one in catalog.own_optimizers().values() if one.fault]
        if faulty:
            menu.addSection("Cannot be used")
        for one in faulty:
            action = menu.addAction(f"{one.path.name}: {one.fault}")
            action.setEnabled(False)

    def add_optimizer(self, name: str) -> None:
        """Put a recipe from the catalog at the end of the list."""
        with self._colours_kept():
            self.raw["runs"].append(_contender(catalog.recipe(name)))
        self._open = len(self.raw["runs"]) - 1
        self._try()

    @contextmanager
    def _colours_kept(self) -> Iterator[None]:
        """No run that stays changes its colour because another one comes or goes."""
        runs = self.raw["runs"]
        worn = {id(run): colour for run, colour in zip(runs, _colours(runs), strict=True)}
        yield
        changed = True
        while changed:  # what one run keeps another may have taken
            changed = False
            for run, colour in zip(runs, _colours(runs), strict=True):
                if colour != worn.get(id(run), colour):
                    run["colour"] = worn[id(run)]
                    changed = True

    def _card_asked(self, what: str, i: int) -> None:
        runs = self.raw["runs"]
        match what:
            case "duplicate":
                with self._colours_kept():
                    runs.insert(i + 1, copy.deepcopy(runs[i]) | {"colour": None})
            case "remove":
                with self._colours_kept():
                    del runs[i]
                self._open = None
            case "rename":
                label, done = QInputDialog.getText(
                    self, "Rename", "Name of this run (empty: its optimizer's):", text=runs[i]["label"]
                )
                if not done:
                    return
                runs[i]["label"] = label.strip()
            case "open":
                self._open = None if self._open == i else i
                self._show_cards()
                return
        self._try()


class OptimizerCard(QFrame):
    """One optimizer: colour, name and parts in a line or two; its settings when opened."""

    changed = Signal(str, object)
    asked = Signal(str, int)

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
        self.colour.setAccessibleName(f"Colour of {label}")
        self.colour.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.colour.setMenu(self._palette())
        name = Elided(label)
        name.setFont(themes.font(13, themes.font().weight().Medium))
        name.setEnabled(enabled)
        self.parts = Elided()
        self.parts.setObjectName("muted")
        self.parts.setFont(themes.font(11))
        self.parts.setEnabled(enabled)
        titles = QVBoxLayout()
        titles.setSpacing(0)
        titles.addWidget(name)
        titles.addWidget(self.parts)
        self.doubt = QLabel()
        self.doubt.setObjectName("muted")
        self.doubt.setWordWrap(True)
        self.doubt.setFont(themes.font(11))

        self.switch = _quiet("eye" if enabled else "eye-off", "Switch off" if enabled else "Switch on", theme)
        self.switch.clicked.connect(lambda: self.changed.emit(f"runs[{number}].enabled", not enabled))
        more = _quiet("more", f"Duplicate, rename or remove {label}", theme)
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(more)
        for what in ("duplicate", "rename", "remove"):
            menu.addAction(what.capitalize(), lambda what=what: self.asked.emit(what, number))
        more.setMenu(menu)
        self.fold = _quiet("chevron-down" if opened else "chevron-right", f"Settings of {label}", theme)
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
        self.show_values(raw["optimizer"], doubt)

    def show_values(self, optimizer: dict[str, Any], doubt: str) -> None:
        """Show the optimizer's settings, and under its name what may be wrong with its matrix here."""
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


def _colours(runs: list[dict[str, Any]]) -> list[str]:
    return themes.colours([run["optimizer"]["name"] for run in runs], [run["colour"] for run in runs])


def _contender(optimizer: Optimizer) -> dict[str, Any]:
    return {"optimizer": msgspec.to_builtins(optimizer), "label": "", "colour": None, "enabled": True}


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


def _put_back(raw: dict[str, Any], before: dict[str, Any], path: str) -> bool:
    """Put the value at a path back to what it was before; whether there was one."""
    value: Any = before
    try:
        for step in re.findall(r"[^.\[\]]+", path):
            value = value[int(step) if step.isdigit() else step]
        _put(raw, path, copy.deepcopy(value))
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _put(raw: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path such as "runs[1].optimizer.damping.initial"."""
    at: Any = raw
    *parents, last = path.replace("[", ".").replace("]", "").split(".")
    for step in parents:
        at = at[int(step)] if step.isdigit() else at[step]
    at[int(last) if last.isdigit() else last] = value

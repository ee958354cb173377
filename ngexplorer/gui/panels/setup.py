"""The set-up panel: the data, model and loss, and the optimizers to race."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import (
    QFrame,
    QInputDialog,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ngexplorer.gui import theme as themes
from ngexplorer.gui.declared import titles
from ngexplorer.gui.forms import Choice, Entry, RecordForm, caption
from ngexplorer.gui.panels.optimizer_card import OptimizerCard, list_recipes
from ngexplorer.gui.panels.preview import Preview
from ngexplorer.gui.session import Session
from ngexplorer.objectives import assembly
from ngexplorer.objectives.losses import AnyLoss
from ngexplorer.optimizers import Optimizer, catalog
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
        scroll = self._scroll = QScrollArea()
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
        dressed = (names, colours, switches, self._open, self.session.theme)
        if dressed == self._dressed:
            for i, run in enumerate(runs):
                self._card(i).show_values(run["optimizer"], labels[i], doubt)
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
            card.started_over.connect(self.start_over)
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
        list_recipes(menu, self.add_optimizer)
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

    def duplicate(self, i: int) -> None:
        """Put a copy of an optimizer below it, open to be changed; it is named by what is changed then."""
        with self._colours_kept():
            self.raw["runs"].insert(i + 1, copy.deepcopy(self.raw["runs"][i]) | {"colour": None, "label": ""})
        self._open = i + 1
        self._try()
        QTimer.singleShot(0, self, lambda: self._show_card(i + 1))

    def _show_card(self, i: int) -> None:
        """Bring a card into sight, and the keyboard to its first setting."""
        if i >= self.cards.count():
            return
        card = self._card(i)
        if card.form is not None:
            card.form.take_focus()
        inside, bar = self._scroll.widget(), self._scroll.verticalScrollBar()
        bar.setValue(card.mapTo(inside, QPoint(0, -themes.GRID)).y())

    def start_over(self, i: int, name: str) -> None:
        """Give an optimizer's place, colour and switch to a recipe from the catalog."""
        with self._colours_kept():
            run = self.raw["runs"][i]
            run["optimizer"] = msgspec.to_builtins(catalog.recipe(name))
        self._open = i
        self._try()

    def _card_asked(self, what: str, i: int) -> None:
        runs = self.raw["runs"]
        match what:
            case "duplicate":
                self.duplicate(i)
                return
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


def _colours(runs: list[dict[str, Any]]) -> list[str]:
    return themes.colours([run["optimizer"]["name"] for run in runs], [run["colour"] for run in runs])


def _contender(optimizer: Optimizer) -> dict[str, Any]:
    return {"optimizer": msgspec.to_builtins(optimizer), "label": "", "colour": None, "enabled": True}


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

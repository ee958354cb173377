"""An experiment as typed settings ⇄ TOML: the data, model and loss, and the optimizers that race on them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomlkit
from msgspec import Meta

from ngexplorer.objectives import Objective
from ngexplorer.objectives.assembly import AnyData, AnyModel, assemble_each, check
from ngexplorer.objectives.losses import AnyLoss
from ngexplorer.optimizers import Optimizer, catalog, parts
from ngexplorer.runs.compare import differences, said
from ngexplorer.runs.files import replacing
from ngexplorer.runs.history import History
from ngexplorer.runs.probes import Probes
from ngexplorer.runs.race import Race, Run, distinct
from ngexplorer.runs.record import Known, Lineup, Record
from ngexplorer.settings import SettingError, convert

_TOLD = 2
"""A name tells at most so many differences."""

Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Colour = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$")]


class Contender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One optimizer in the race, with what a person sees of it."""

    optimizer: Optimizer
    label: str = ""
    colour: Colour | None = None
    enabled: bool = True


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides what a race does. Raises ValueError for parts that do not go together."""

    title: str = "Untitled"
    data: AnyData
    model: AnyModel
    loss: AnyLoss
    weight_decay: Annotated[float, Meta(ge=0, le=1e6, description="η of ½η‖θ‖², in the loss and every matrix")] = 0.0
    seed: Annotated[
        Seed, Meta(description="Draws the initial weights; of several seeds that are counted, the first")
    ] = 0
    seeds: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | Annotated[tuple[Seed, ...], Meta(min_length=1, max_length=64)],
        Meta(
            description="With how many seeds each optimizer runs, counted on from the first one; or with which: 3, 5, 8"
        ),
    ] = 1
    steps: Annotated[int, Meta(ge=1, le=10_000_000, description="Steps of each run")] = 100
    turns: Annotated[
        Literal["steps", "seconds"],
        Meta(title="Take turns by", description="Who is next: fewest steps taken, or least seconds of compute"),
    ] = "steps"
    device: Annotated[str, Meta(description="Where it is computed")] = "cpu"
    dtype: Annotated[Literal["float32", "float64"], Meta(title="Precision", description="Type of every number")] = (
        "float64"
    )
    probes: Probes = Probes()
    runs: Annotated[tuple[Contender, ...], Meta(max_length=64)] = ()

    def labels(self) -> list[str]:
        """What each optimizer is called: its label, else its title and, after another one of that title, in what the
        two differ; numbered where the same would stand twice."""
        labels: list[str] = []
        for i, run in enumerate(self.runs):
            title = catalog.title(run.optimizer.name)
            same = (r.optimizer for r in self.runs[:i] if catalog.title(r.optimizer.name) == title)
            first = next(same, run.optimizer)
            paths = [path for path, *_ in differences(first, run.optimizer)[:_TOLD]]
            name = run.label or ", ".join((title, *(said(path, run.optimizer) for path in paths)))
            labels.append(distinct(name, labels))
        return labels

    def check(self) -> None:
        """Raise SettingError unless all goes together on this machine; nothing is loaded."""
        check(self.data, self.model, self.loss, self.device)
        if not any(run.enabled for run in self.runs):
            raise SettingError("runs", "no optimizer is switched on; a race needs at least one")
        for i, seed in enumerate(self.all_seeds):
            if seed in self.all_seeds[:i]:
                raise SettingError(f"seeds[{i}]", f"{seed} stands there twice; each seed is needed once")
        for i, run in enumerate(self.runs):
            if run.enabled and isinstance(run.optimizer.curvature, parts.Fisher) and not self.loss.density:
                reason = f"{self.loss.title} is not the negative log of a density, so there is no Fisher matrix"
                raise SettingError(f"runs[{i}].optimizer.curvature", reason)

    def objective(self) -> Objective:
        """The objective of the first seed, loaded. Raises SettingError."""
        return self._objectives(self.all_seeds[:1])[0]

    def _objectives(self, seeds: Sequence[int]) -> list[Objective]:
        return assemble_each(
            self.data,
            self.model,
            self.loss,
            seeds,
            weight_decay=self.weight_decay,
            device=self.device,
            dtype=self.dtype,
        )

    @property
    def all_seeds(self) -> Sequence[int]:
        """The seeds that every optimizer runs with: those that are listed, or as many as are counted."""
        return range(self.seed, self.seed + self.seeds) if isinstance(self.seeds, int) else self.seeds

    @property
    def entries(self) -> list[tuple[int, int]]:
        """The runs of the race, in its order: the place of the optimizer among `runs`, and the seed."""
        return [(i, seed) for i, run in enumerate(self.runs) if run.enabled for seed in self.all_seeds]

    def race(self, history: type[History] = History) -> Race:
        """The race of the optimizers that are switched on, with each seed from one start, and histories of that kind.
        Raises SettingError."""
        return Race(self._entered(Run, history), self.turns)

    def lineup(self) -> Lineup[Record]:
        """The same runs, whose steps are taken elsewhere. Raises SettingError."""
        return Lineup(self._entered(Record, History), self.turns)

    def _entered(self, kind: type[Known], history: type[History]) -> list[Known]:
        self.check()
        starts = dict(zip(self.all_seeds, self._objectives(self.all_seeds), strict=True))
        labels = self.labels()
        return [
            kind(
                starts[seed],
                self.runs[i].optimizer,
                label=labels[i],
                seed=seed,
                steps=self.steps,
                probes=self.probes,
                history=history(labels[i], self.runs[i].optimizer.name, seed),
            )
            for i, seed in self.entries
        ]


def parse(text: str, where: str) -> Experiment:
    """An experiment from TOML text; raises SettingError, whose message begins with `where`."""
    if not text.strip():
        raise SettingError(where, "the file is empty; an experiment has [data], [model], [loss] and [[runs]]")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(where, f"not TOML: {error}") from None
    try:
        return _from_raw(raw)
    except SettingError as error:
        raise SettingError(where, str(error)) from None


def read(path: str | Path) -> Experiment:
    """An experiment from a TOML file; raises SettingError with one line that says what is wrong where."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a UTF-8 text"
        raise SettingError(str(path), f"cannot be read: {reason}") from None
    return parse(text, str(path))


def write(experiment: Experiment, path: str | Path) -> None:
    """Write an experiment to a TOML file, whole or not at all; `read` gives back an equal one."""
    with replacing(path) as file:
        file.write(to_toml(experiment))


def to_toml(experiment: Experiment) -> str:
    """The experiment as TOML: of each optimizer only what differs from its recipe."""
    raw: dict[str, Any] = msgspec.to_builtins(experiment)
    runs = []
    for contender in experiment.runs:
        entry: dict[str, Any] = {"optimizer": contender.optimizer.name}
        if contender.label:
            entry["label"] = contender.label
        if contender.colour:
            entry["colour"] = contender.colour
        if not contender.enabled:
            entry["enabled"] = False
        runs.append(entry | catalog.settings_of(contender.optimizer))
    document = tomlkit.document()
    raw.pop("runs")
    for key in sorted(raw, key=lambda key: isinstance(raw[key], dict)):  # TOML has tables after plain values
        document[key] = raw[key]
    tables = tomlkit.aot()
    for entry in runs:
        table = tomlkit.table()
        for key, value in entry.items():
            if isinstance(value, dict):
                inline = tomlkit.inline_table()
                inline.update(value)
                value = inline
            table[key] = value
        tables.append(table)
    if runs:
        document["runs"] = tables
    return tomlkit.dumps(document)


def _from_raw(raw: dict[str, Any]) -> Experiment:
    """A run's own keys beside its optimizer's name, label, colour and switch are that optimizer's settings."""
    raw = dict(raw)
    raw.pop("layout", None)  # of the window that shows it, no part of the experiment
    runs = raw.pop("runs", [])
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise SettingError("runs", "a list of tables is needed: [[runs]], each with an optimizer")
    contenders = tuple(_contender(dict(run), f"runs[{i}]") for i, run in enumerate(runs))
    if not contenders:
        raise SettingError("runs", "there are none; an experiment has at least one [[runs]] with an optimizer")
    experiment: Experiment = convert(raw | {"runs": msgspec.to_builtins(contenders)}, Experiment)
    return experiment


_OWN = ("label", "colour", "enabled")
"""What a run has beside its optimizer's settings."""


def _contender(raw: dict[str, Any], where: str) -> Contender:
    own = {key: raw.pop(key) for key in _OWN if key in raw}
    if "optimizer" not in raw:
        raise SettingError(where, "'optimizer' is missing")
    name = raw.pop("optimizer")
    if not isinstance(name, str):
        given = name.get("name") if isinstance(name, dict) else None
        example = given if isinstance(given, str) else "newton"
        reason = f'a name in quotes is needed (optimizer = "{example}"), its settings as keys of [[runs]] beside it'
        raise SettingError(f"{where}.optimizer", reason)
    if "name" in raw:
        raise SettingError(f"{where}.name", "a run is named by its label, an optimizer by 'optimizer'")
    accepted = ["optimizer", *_OWN, *(f.encode_name for f in msgspec.structs.fields(Optimizer) if f.name != "name")]
    for key in raw:
        if key not in accepted:
            raise SettingError(where, f"there is no setting named '{key}' here (there are: {', '.join(accepted)})")
    try:
        optimizer = catalog.make(name, **raw)
    except SettingError as error:
        raise SettingError(f"{where}.{error.path}".rstrip("."), error.reason) from None
    contender: Contender = convert(own | {"optimizer": msgspec.to_builtins(optimizer)}, Contender, where)
    return contender

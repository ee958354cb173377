"""The command line: `ngexplorer` opens the window; run, verify, list and shot work with no display."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ngexplorer import resource_files
from ngexplorer.settings import SettingError, unknown_name

if TYPE_CHECKING:
    from rich.progress import Progress

    from ngexplorer.runs.experiment import Experiment
    from ngexplorer.tour import Check, Stop

DEFAULT = "digits"
_LARGEST = 8192
"""Pixels of a picture, each way."""
LISTS = ("datasets", "models", "losses", "landscapes", "optimizers", "experiments")


def _version() -> str:
    from importlib.metadata import version

    return version("ngexplorer")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 where a run or a check failed, 2 for a wrong name or value."""
    parser = _arguments()
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        status: int = options.command(options)
    except SettingError as error:
        print(f"ngexplorer: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"ngexplorer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ngexplorer: interrupted", file=sys.stderr)
        return 130
    return status


def _arguments() -> _Parser:
    parser = _Parser(prog="ngexplorer", description=__doc__)
    parser.set_defaults(command=_explore, experiment=None)
    parser.add_argument("--version", action="version", version=f"NG Explorer {_version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    explore = commands.add_parser("explore", help="open the window (also what no command does)")
    explore.add_argument("experiment", nargs="?", help="a shipped experiment or a TOML file")
    explore.set_defaults(command=_explore)

    run = commands.add_parser("run", help="run an experiment headless and write its CSV")
    run.add_argument("experiment", help="a shipped experiment or a TOML file")
    run.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the CSV (default: here)")
    _overrides(run)
    run.set_defaults(command=_run)

    tour = commands.add_parser("tour", help="the paper's findings: a list of stops, or one of them opened")
    tour.add_argument("stop", nargs="?", help="a stop by its number or name (default: list them)")
    tour.add_argument("--text", action="store_true", help="print the stop's page, with no window")
    tour.set_defaults(command=_tour)

    verify = commands.add_parser("verify", help="check the paper's claims, and print what was expected and measured")
    verify.add_argument("stop", nargs="?", help="a stop of the tour by its number or name (default: all)")
    verify.add_argument("--json", action="store_true", help="a list of objects with a name, and whether they passed")
    verify.set_defaults(command=_verify)

    listing = commands.add_parser("list", help="what there is to choose from")
    listing.add_argument("what", choices=LISTS)
    listing.add_argument("--json", action="store_true", help="a list of objects with a name")
    listing.set_defaults(command=_list)

    shot = commands.add_parser("shot", help="render the window after some steps to a PNG, with no display")
    shot.add_argument("experiment", nargs="?", help="a shipped experiment or a TOML file")
    shot.add_argument("--tour", metavar="STOP", help="a stop of the tour instead, with its page, by number or name")
    shot.add_argument("--out", type=_picture, required=True, metavar="FILE.png")
    shot.add_argument("--size", type=_size, default=(1600, 1000), metavar="WIDTHxHEIGHT")
    shot.add_argument("--theme", choices=("dark", "light"), default="dark")
    _overrides(shot)
    shot.set_defaults(command=_shot)
    return parser


def _overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=_whole, metavar="N", help="steps of each run")
    parser.add_argument("--device", metavar="D", help="cpu, or cuda where there is one")
    parser.add_argument("--seed", type=_whole, metavar="S", help="draws the initial weights; of several, the first")
    parser.add_argument("--seeds", type=_seeds, metavar="N", help="with how many seeds, or with which: 3,5,8")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not accepted; a whole number is needed") from None


def _seeds(text: str) -> int | list[int]:
    parts = text.split(",")
    return [_whole(part) for part in parts if part.strip()] if len(parts) > 1 else _whole(text)


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"'{text}' is not accepted; a name that ends in .png is needed")
    return path


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{3,5})x(\d{3,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; two numbers such as 1600x1000 are needed")
    if max(int(match[1]), int(match[2])) > _LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is too large; up to {_LARGEST}x{_LARGEST} is accepted")
    return int(match[1]), int(match[2])


def find_experiment(name: str) -> Path:
    """The file of a shipped experiment, or the file of that name. Raises SettingError."""
    shipped = resource_files.experiment_names()
    if name in shipped:
        return resource_files.EXPERIMENTS / f"{name}.toml"
    if name.endswith(".toml") or os.sep in name:
        return Path(name)
    raise SettingError("experiment", unknown_name("experiment", name, shipped) + ", or give the path of a TOML file")


def _experiment(options: argparse.Namespace) -> Experiment:
    import msgspec

    from ngexplorer.runs import experiment as experiments
    from ngexplorer.settings import convert

    found = experiments.read(find_experiment(options.experiment))
    given = {name: getattr(options, name) for name in ("steps", "device", "seed", "seeds")}
    changed = {name: value for name, value in given.items() if value is not None}
    experiment: Experiment = convert(msgspec.to_builtins(found) | changed, experiments.Experiment)
    if "seed" in changed and not isinstance(experiment.seeds, int):
        listed = ", ".join(map(str, experiment.seeds))
        raise SettingError("seed", f"the seeds are listed ({listed}), so there is no first one to count from")
    experiment.check()
    return experiment


def _explore(options: argparse.Namespace) -> int:
    try:
        from ngexplorer.gui.application import explore
    except ImportError as error:  # Qt without the system's libraries
        raise OSError(f"the window cannot be opened: {error}") from None

    return explore(find_experiment(options.experiment or DEFAULT), chosen=options.experiment is not None)


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from ngexplorer.runs.export import write_csv, write_readings
    from ngexplorer.runs.files import make_folder, require_writable

    experiment = _experiment(options)
    path = options.out / f"{Path(options.experiment).stem}.csv"
    make_folder(options.out)
    require_writable(path)  # before the work, so that an unwritable folder does not cost a run
    race = experiment.race()
    with _progress() as progress:
        task = progress.add_task(experiment.title, total=sum(run.steps for run in race.runs))
        race.begin()
        while race.advance() is not None:
            progress.update(task, completed=sum(run.step if run.live else run.steps for run in race.runs))
    histories = [run.history for run in race.runs]
    write_csv(histories, path)
    if any(len(history.readings) for history in histories):
        write_readings(
            [(history, history.readings) for history in histories], path.with_name(f"{path.stem}-instruments.csv")
        )
    several = len(experiment.all_seeds) > 1
    table = Table("Run", *(["Seed"] if several else []), "State")
    for name in ("Step", "Loss", "Best", "Metric", "Seconds"):
        table.add_column(name, justify="right")
    for run in race.runs:
        loss, metric = run.history["loss"], run.history["metric"]
        numbers = (f"{loss[-1]:.6g}", f"{loss.min():.6g}", f"{metric[-1]:.4f}") if len(loss) else ("–",) * 3
        seed = [str(run.history.seed)] if several else []
        table.add_row(run.label, *seed, run.state, str(run.step), *numbers, f"{run.seconds:.2f}")
    Console().print(table)
    for run in race.runs:
        for event in run.history.events:
            label = f"{run.label}, seed {run.history.seed}" if several else run.label
            print(f"{label}: {event.message}", file=sys.stderr)
    print(path.resolve())
    return 1 if any(run.state == "failed" for run in race.runs) else 0


def _progress() -> Progress:
    """A bar on the terminal, with the time that is left; nothing where errors go elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def find_stop(name: str) -> Stop:
    """The tour's stop of that number or name. Raises SettingError."""
    from ngexplorer.tour import STOPS

    if name.isdecimal() and 1 <= int(name) <= len(STOPS):
        return STOPS[int(name) - 1]
    for stop in STOPS:
        if stop.name == name:
            return stop
    names = [stop.name for stop in STOPS]
    raise SettingError("stop", unknown_name("stop", name, names) + f", or give its number, 1 to {len(STOPS)}")


def _tour(options: argparse.Namespace) -> int:
    from ngexplorer.tour import STOPS, page

    if options.stop is None:
        width = max(len(stop.name) for stop in STOPS)
        for number, stop in enumerate(STOPS, 1):
            print(f"{number:>2}  {stop.name:<{width}}  {stop.title}")
        return 0
    stop = find_stop(options.stop)
    if options.text:
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(page.plain(stop.text)))
        return 0
    try:
        from ngexplorer.gui.application import take_tour
    except ImportError as error:  # Qt without the system's libraries
        raise OSError(f"the window cannot be opened: {error}; --text prints the page") from None

    return take_tour(STOPS.index(stop) + 1, stop)


def _verify(options: argparse.Namespace) -> int:
    from time import perf_counter

    import torch

    from ngexplorer.tour import STOPS

    stops = STOPS if options.stop is None else (find_stop(options.stop),)
    torch.set_num_threads(1)  # the matrices are small, and threads that wait for each other cost more than they bring
    began = perf_counter()
    checks: list[Check] = []
    with _progress() as progress:
        task = progress.add_task("", total=sum(len(stop.claims) for stop in stops))
        for stop in stops:
            progress.update(task, description=stop.title)
            for check in stop.checks():
                checks.append(check)
                progress.advance(task)
    if options.json:
        print(json.dumps([check.as_json() for check in checks], indent=2, ensure_ascii=False))
    else:
        _print_checks(stops, checks, perf_counter() - began)
    return 1 if any(check.passed is False for check in checks) else 0


_VERDICTS = {True: "passed", False: "FAILED", None: "not here"}


def _print_checks(stops: tuple[Stop, ...], checks: list[Check], seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ngexplorer.tour.checks import written

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = Table("Claim")
    table.add_column("Section", max_width=18)
    for name in ("Expected", "Measured"):
        table.add_column(name, justify="right", max_width=26)
    table.add_column("Tolerance", justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    for stop in stops:
        table.add_section()
        table.add_row(Text(stop.title, style="bold"))
        for check in (check for check in checks if check.stop == stop.name):
            sign = "" if check.relation == "=" else f"{check.relation} "
            style = "bold red" if check.passed is False else ""
            table.add_row(
                Text(check.name),  # not markup: brackets are matrices here
                Text(check.section),
                Text(sign + written(check.expected)),
                Text(written(check.measured)),
                Text(written(check.tolerance)),
                Text(_VERDICTS[check.passed], style=style),
            )
    console.print(table)
    for check in checks:
        why = check.why or (f"off by {written(check.difference)}" if check.passed is False else "")
        if why:
            console.print(Text(f"{_VERDICTS[check.passed]}: {check.name}: {why}"))
    passed, failed, left = (sum(check.passed is verdict for check in checks) for verdict in (True, False, None))
    print(f"{len(checks)} checks in {seconds:.0f} s: {passed} passed, {failed} failed, {left} cannot be checked here")


def _list(options: argparse.Namespace) -> int:
    rows = _rows(options.what)
    if options.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        print(f"{row['name']:<{width}}  {row['title']}")
    if options.what == "optimizers":
        _tell_of_own_optimizers()
    return 0


def _tell_of_own_optimizers() -> None:
    """Where a person's own are looked for, and what keeps some of them out of the list."""
    from ngexplorer.optimizers import own
    from ngexplorer.optimizers.catalog import own_optimizers

    print(f"\nYour own stand here too: a .py or .toml file in {own.folder()}", file=sys.stderr)
    for one in own_optimizers().values():
        if one.fault:
            print(f"{one.path}: {one.fault}", file=sys.stderr)


def _rows(what: str) -> list[dict[str, Any]]:
    from ngexplorer.objectives.assembly import AnyData, AnyModel
    from ngexplorer.objectives.losses import AnyLoss
    from ngexplorer.optimizers import catalog
    from ngexplorer.runs import experiment as experiments
    from ngexplorer.settings import members

    def described(kinds: Any) -> list[dict[str, Any]]:
        return [
            {"name": kind.__struct_config__.tag, "title": kind.title, "description": _first_line(kind.__doc__)}
            for kind in kinds
        ]

    match what:
        case "datasets":
            return described(kind for kind in members(AnyData) if not kind.landscape)
        case "landscapes":
            return described(kind for kind in members(AnyData) if kind.landscape)
        case "models":
            return described(members(AnyModel))
        case "losses":
            return described(members(AnyLoss))
        case "optimizers":
            return [{"name": name, "title": title} for name, (title, _) in catalog.recipes().items()]
        case _:
            paths = {name: find_experiment(name) for name in resource_files.experiment_names()}
            return [{"name": name, "title": experiments.read(path).title} for name, path in paths.items()]


def _first_line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _shot(options: argparse.Namespace) -> int:
    from ngexplorer.gui.application import shot
    from ngexplorer.tour import STOPS

    stop = 0
    if options.tour is not None:
        if options.experiment is not None:
            raise SettingError("shot", f"'{options.experiment}' and --tour are two; one of them is needed")
        found = find_stop(options.tour)
        options.experiment, stop = str(found.path), STOPS.index(found) + 1
    elif options.experiment is None:
        raise SettingError("shot", "an experiment is needed, or --tour with a stop")
    experiment = _experiment(options)
    shot(experiment, options.out, size=options.size, theme=options.theme, stop=stop)
    print(options.out.resolve())
    return 0

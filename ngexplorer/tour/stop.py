"""A stop of the tour: an experiment, a page of text, and claims that can be checked."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ngexplorer import resource_files
from ngexplorer.runs.history import NUMBERS
from ngexplorer.settings import convert, unknown_name
from ngexplorer.tour.checks import Check, Claim, Outcome
from ngexplorer.tour.figure import Dial, Drawing, Figure

if TYPE_CHECKING:
    from ngexplorer.runs.experiment import Experiment

Measure = Callable[[float], tuple[Drawing, ...]]

FOLDER = resource_files.ROOT / "tour"
_SOURCE = "**In the paper:**"


class Layout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the window a stop brings to the front: the `[layout]` of its file."""

    front: tuple[str, ...] = ()
    """The views that have to be seen, by name; which there are is the window's to say"""
    columns: tuple[str, ...] = ("loss",)
    """What the curves draw, a plot each"""
    linear: tuple[str, ...] = ()
    """Those of the columns that an axis of logarithms would not show"""
    axis: Literal["step", "seconds", "gradient_equivalents"] = "step"
    """Against what they draw it"""

    def __post_init__(self) -> None:
        for column in (*self.columns, *self.linear):
            if column not in NUMBERS:
                raise ValueError(unknown_name("column", column, list(NUMBERS)))


class Stop:
    """One stop, by its name: its page is `resources/tour/NAME.md`, its experiment `NAME.toml` beside it."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.claims: list[Claim] = []
        self.figure: Figure | None = None
        """What is drawn beside its text, of what no view of the window shows"""

    def claim(self, name: str, section: str) -> Callable[[Callable[[], Outcome]], Callable[[], Outcome]]:
        """Make a function that measures something the measurement of this claim; `section` is where it is made."""

        def added(measure: Callable[[], Outcome]) -> Callable[[], Outcome]:
            self.claims.append(Claim(name, self.name, section, measure))
            return measure

        return added

    def draws(self, caption: str, dial: Dial | None = None) -> Callable[[Measure], Measure]:
        """Make a function of the dial's value what measures this stop's figure."""

        def added(measure: Measure) -> Measure:
            self.figure = Figure(caption, dial, measure)
            return measure

        return added

    @property
    def path(self) -> Path:
        """The experiment's file."""
        return FOLDER / f"{self.name}.toml"

    @property
    def text(self) -> str:
        """The page, in Markdown with formulas; it begins with the title and ends with the section of the paper."""
        return (FOLDER / f"{self.name}.md").read_text(encoding="utf-8")

    @property
    def source(self) -> str:
        """Where the paper says so, in Markdown: the end of the page."""
        return self.text.partition(_SOURCE)[2].strip()

    @property
    def body(self) -> str:
        """The page between its title and its source."""
        return self.text.partition("\n")[2].partition(_SOURCE)[0].strip()

    @property
    def layout(self) -> Layout:
        """What of the window it brings to the front. Raises SettingError."""
        raw = tomllib.loads(self.path.read_text(encoding="utf-8"))
        found: Layout = convert(raw.get("layout", {}), Layout, f"{self.path.name}: layout")
        return found

    def experiment(self) -> Experiment:
        """The experiment. Raises SettingError."""
        from ngexplorer.runs import experiment

        return experiment.read(self.path)

    def checks(self) -> Iterator[Check]:
        """Check one claim after another."""
        for claim in self.claims:
            yield claim.check()

"""A stop of the tour: an experiment, a page of text, and claims that can be checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ngexplorer import resource_files
from ngexplorer.tour.checks import Check, Claim, Outcome

if TYPE_CHECKING:
    from ngexplorer.runs.experiment import Experiment

FOLDER = resource_files.ROOT / "tour"


class Stop:
    """One stop, by its name: its page is `resources/tour/NAME.md`, its experiment `NAME.toml` beside it."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        self.claims: list[Claim] = []

    def claim(self, name: str, section: str) -> Callable[[Callable[[], Outcome]], Callable[[], Outcome]]:
        """Make a function that measures something the measurement of this claim; `section` is where it is made."""

        def added(measure: Callable[[], Outcome]) -> Callable[[], Outcome]:
            self.claims.append(Claim(name, self.name, section, measure))
            return measure

        return added

    @property
    def path(self) -> Path:
        """The experiment's file."""
        return FOLDER / f"{self.name}.toml"

    @property
    def text(self) -> str:
        """The page, in Markdown."""
        return (FOLDER / f"{self.name}.md").read_text(encoding="utf-8")

    def experiment(self) -> Experiment:
        """The experiment. Raises SettingError."""
        from ngexplorer.runs import experiment

        return experiment.read(self.path)

    def checks(self) -> Iterator[Check]:
        """Check one claim after another."""
        for claim in self.claims:
            yield claim.check()

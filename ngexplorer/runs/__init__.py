"""What happened: experiments, the race and its probes, histories and their export."""

from ngexplorer.runs.history import Event, History, Spectrum
from ngexplorer.runs.race import Race, Run, run

__all__ = ["Event", "History", "Race", "Run", "Spectrum", "run"]

"""What happened: experiments, the race and its probes, histories and their export."""

from ngexplorer.runs.history import Event, History
from ngexplorer.runs.probes import Probes
from ngexplorer.runs.race import Race, Run, run
from ngexplorer.runs.readings import Reading, Readings
from ngexplorer.runs.spectrum import Spectrum

__all__ = ["Event", "History", "Probes", "Race", "Reading", "Readings", "Run", "Spectrum", "run"]

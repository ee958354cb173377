"""How long a person waits for the first picture of each analysis: `python tests/benchmarks/first_pictures.py [digits]`.

Each row is one question put to a view of its own size in the window, in milliseconds from the choice to the first
answer on the screen: the runs at rest, and going on. Basins and the local model wait for a rest. Run it off-screen
(`QT_QPA_PLATFORM=offscreen`); nothing is asserted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from msgspec.structs import replace
from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ngexplorer import resource_files
from ngexplorer.gui import application
from ngexplorer.gui import theme as themes
from ngexplorer.gui.cycles import collected_here
from ngexplorer.gui.plots.chosen_plane import KINDS as PLANES
from ngexplorer.gui.plots.function import FunctionView
from ngexplorer.gui.plots.instruments import InstrumentsView
from ngexplorer.gui.plots.local_model import LocalModelView
from ngexplorer.gui.plots.matrices import MatricesView
from ngexplorer.gui.plots.trajectory import TrajectoryView
from ngexplorer.gui.plots.view import View
from ngexplorer.gui.session import Session
from ngexplorer.runs import experiment as experiments
from ngexplorer.runs.instruments import INSTRUMENTS

_REACH = 300
"""Milliseconds within which a first picture is to be there."""
_FRAME = 33
_PATIENCE = 5.0
"""Seconds after which a question counts as unanswered."""
_STEPS = 12
"""Of each run, before the first question."""


@dataclass(frozen=True)
class Question:
    """What a person chooses in a view, and how it is seen that there is something of it."""

    title: str
    kind: Callable[[Session], View]
    choose: Callable[[Any], Any]
    drawn: Callable[[Any], bool]
    at_rest: bool = False
    """Whether it is answered only while the runs rest."""


def of_plane(name: str) -> Question:
    def drawn(view: Any) -> bool:
        return view.unseen is not None or (view.pictured is not None and view.pictured.kind == name)

    return Question(f"loss on the plane: {name}", TrajectoryView, lambda view: view.choose(name), drawn)


def over_plane(title: str, switch: str, drawn: Callable[[Any], bool], *, at_rest: bool = False) -> Question:
    return Question(title, TrajectoryView, lambda view: getattr(view, switch).trigger(), drawn, at_rest)


def profile_drawn(view: Any) -> bool:
    known = view.pictured and view.path_profile.knows(view.run.chosen, view.pictured.surface.plane)
    return bool(known)


QUESTIONS = (
    *(of_plane(kind.name) for kind in PLANES),
    over_plane("relief", "relief", lambda v: bool(v.surface and v.ground.relief_of(v.surface))),
    over_plane("profile along the path", "profile", profile_drawn),
    over_plane("basins", "basins", lambda view: view.attraction.found is not None, at_rest=True),
    Question("local model", LocalModelView, lambda view: None, lambda view: view.found is not None, at_rest=True),
    Question("matrices: all five", MatricesView, lambda view: None, lambda view: bool(view.tiles)),
    Question(
        "function: what fits first", FunctionView, lambda view: None, lambda view: view.answer is not None
    ),
    Question(
        "function: steps in KL",
        FunctionView,
        lambda view: (view.mode.setCurrentIndex(view.mode.count() - 1), view._refit()),
        lambda view: view.answer is not None,
    ),
    *(
        Question(
            f"instrument: {one.title.lower()}",
            InstrumentsView,
            lambda view, name=one.name: view.choose(name),
            lambda view: bool(view.traces) or bool(len(view.table.values)),
        )
        for one in INSTRUMENTS.values()
    ),
)  # fmt: skip


def wait(done: Callable[[], bool], seconds: float = _PATIENCE) -> bool:
    """Let events happen until `done`, asked at every frame, for so long at most; whether it came to that."""
    loop, until = QEventLoop(), perf_counter() + seconds
    timer = QTimer(interval=_FRAME)
    timer.timeout.connect(lambda: (done() or perf_counter() > until) and loop.quit())
    timer.start()
    loop.exec()
    return perf_counter() <= until


@contextmanager
def opened(name: str) -> Iterator[Session]:
    """An experiment some steps on, and at rest."""
    found = experiments.read(resource_files.EXPERIMENTS / f"{name}.toml")
    session = Session(replace(found, steps=_STEPS), themes.DARK)
    session.open()
    wait(lambda: session.state == "ready")
    session.toggle()
    wait(lambda: session.state == "finished", 60)
    with collected_here():
        yield session
    session.close()
    session.wait()


@contextmanager
def beside(session: Session, kind: Callable[[Session], View]) -> Iterator[View]:
    """A fresh view in a window, a picture of its own size."""
    holder = QWidget()
    view = kind(session)
    QVBoxLayout(holder).addWidget(view)
    holder.resize(760, 460)
    session.race_changed.emit()  # it came after the race
    if hasattr(view, "run") and hasattr(view.run, "changed"):
        view.run.changed.emit()
    holder.show()
    QCoreApplication.processEvents()
    try:
        yield view
    finally:
        holder.close()
        application._take_down(holder)  # type: ignore[arg-type]


def waited(session: Session, question: Question) -> float | str:
    """Milliseconds from the choice to its first picture, or why there is none."""
    with beside(session, question.kind) as view:
        reason = _refusal(view, question)
        if reason:
            return reason
        if question.title in ("relief", "profile along the path", "basins"):  # these lie over a plane that is there
            wait(lambda: (view.pull(), view.surface is not None and view.surface.done == 1)[1])
        if session.state != "running":
            wait(lambda: session.analyst.idle, 60)  # from what was asked before it
        began = perf_counter()
        question.choose(view)

        def seen() -> bool:
            view.pull()
            return question.drawn(view)

        if not wait(seen):
            return view.empty.text() or f"> {1000 * _PATIENCE:.0f}"
        for frame in view.frames:
            frame.viewport().repaint()
        return 1000 * (perf_counter() - began)


def _refusal(view: Any, question: Question) -> str:
    view.pull()
    if isinstance(view, TrajectoryView):
        name = question.title.rpartition(": ")[2]
        if name in view.plane.actions:
            return view.plane.refusal(name) or ""
        switch = {"basins": view.basins, "relief": view.relief}.get(name)
        return (switch.property("why_not") or "") if switch is not None else ""
    if isinstance(view, FunctionView):
        return "" if any(not reason for reason in view._refusals) else view._nothing_fits()
    return ""


def told(answer: float | str) -> str:
    if isinstance(answer, str):
        return answer.splitlines()[0].rstrip(".")
    return f"{answer:.0f}" + (" **late**" if answer > _REACH else "")


def table(name: str) -> None:
    """All questions to one experiment."""
    print(f"\n{name}: milliseconds to the first picture, of which {_REACH} are allowed\n")
    print("| asked | at rest | while the runs go on |\n|---|---|---|")
    with opened(name) as session:
        at_rest = [waited(session, question) for question in QUESTIONS]
        session.change(replace(session.experiment, steps=1_000_000))
        wait(lambda: session.state == "paused", 5)
        session.toggle()
        wait(lambda: session.state == "running", 5)
        for question, rest in zip(QUESTIONS, at_rest, strict=True):
            going = "when they rest" if question.at_rest else "" if isinstance(rest, str) else waited(session, question)
            print(f"| {question.title} | {told(rest)} | {told(going) if going else ''} |", flush=True)


def main() -> None:
    names = ["two-moons", "digits", "rosenbrock"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="*", default=names, help=f"among {', '.join(names)}")
    application.prepare()
    for name in parser.parse_args().experiments:
        table(name)


if __name__ == "__main__":
    main()

"""How long work is watched: by a function that asks it to stop, polled in its loops, and one told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

Cancel = Callable[[], bool]
"""Returns True once the work should be abandoned; cheap enough for an inner loop."""

Progress = Callable[[float], None]
"""Is told which share of the work at hand is done, from 0 to 1."""


class Cancelled(Exception):
    """Work was abandoned because its cancel function said so; nothing it was to change has changed."""


def never() -> bool:
    """The cancel function of work that nobody stops."""
    return False


def unseen(share: float) -> None:
    """The progress function of work that nobody watches."""


class Watch:
    """Who may stop the work, and who is told how far it is: of loops inside each other the outermost tells."""

    def __init__(self, cancel: Cancel = never, progress: Progress = unseen) -> None:
        self.cancel = cancel
        self._tell = progress
        self._inside = False

    def check(self) -> None:
        """Raise Cancelled if the work should be abandoned."""
        if self.cancel():
            raise Cancelled

    def over(self, steps: Sequence[T]) -> Iterator[T]:
        """The steps of a loop, watched."""
        with self.telling() as tell:
            for i, step in enumerate(steps):
                self.check()
                yield step
                tell((i + 1) / len(steps))

    @contextmanager
    def telling(self) -> Iterator[Progress]:
        """What to tell how far a loop is: nothing listens inside another that tells already."""
        if self._inside:
            yield unseen
            return
        self._inside = True
        try:
            yield self._tell
        finally:
            self._inside = False


UNWATCHED = Watch()

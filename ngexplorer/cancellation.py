"""How long work is asked to stop: a function polled inside its loops."""

from __future__ import annotations

from collections.abc import Callable

Cancel = Callable[[], bool]
"""Returns True once the work should be abandoned; cheap enough for an inner loop."""


class Cancelled(Exception):
    """Work was abandoned because its cancel function said so; nothing it was to change has changed."""


def never() -> bool:
    """The cancel function of work that nobody stops."""
    return False

"""Torch's plain kernels in place of its fused ones, which lack second derivatives, while any thread asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


class _Shared:
    """A context that changes switches of the whole process, entered by the first thread that asks for it and left by
    the last: two that each put back what they found would leave it changed."""

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._users = 0
        self._stack = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._stack.enter_context(self._make())
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._stack.close()


@contextmanager
def _plain_attention() -> Iterator[None]:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


plain_attention = _Shared(_plain_attention)
"""Attention written out. The transformer's fast path goes too: without a graph it leaves out what is padded, and would
give other outputs than with one."""

plain_recurrence = _Shared(lambda: torch.backends.cudnn.flags(enabled=False))
"""Recurrent cells without cuDNN."""

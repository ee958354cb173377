"""Counting the floating-point operations of a computation, by what torch knows of each of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCount(TorchDispatchMode):
    """Counts those of products and convolutions while it is entered; elementwise work counts nothing.

    torch.utils.flop_counter.FlopCounterMode counts the same and imports torch's compiler first, which takes longer than
    all else that happens before a first step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # what imports the compiler would otherwise be its being switched off

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        flops: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        if flops is not None:
            self.total += flops(*args, **(kwargs or {}), out_val=out)
        return out

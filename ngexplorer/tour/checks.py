"""A check: a claim of the paper, the number it says must come out, the one that came out, and the verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from ngexplorer.cancellation import Cancel, Cancelled, Watch, never

Number = float | tuple[float, ...]
"""What is claimed and measured: a number, or several that belong together."""

Relation = Literal["=", "≥", "≤"]


_CANCEL: ContextVar[Cancel] = ContextVar("cancel", default=never)


def stopped() -> bool:
    """The cancel function of whatever is being measured: whether nobody waits for it any more."""
    return _CANCEL.get()()


@contextmanager
def asking(cancel: Cancel) -> Iterator[None]:
    """Measure with this cancel function."""
    before = _CANCEL.set(cancel)
    try:
        yield
    finally:
        _CANCEL.reset(before)


WATCH = Watch(stopped)
"""Raises Cancelled in the midst of a measurement that nobody waits for any more."""


@dataclass(frozen=True)
class Outcome:
    """What a claim's measurement gave. `passed` is None where it cannot be checked here, for the reason in `why`."""

    expected: Number | None
    measured: Number | None
    tolerance: float | None
    passed: bool | None
    relation: Relation = "="
    why: str = ""


def near(measured: Any, expected: Any, tolerance: float) -> Outcome:
    """Passed where every number is within the tolerance, absolute, of the one expected."""
    found, wanted = _numbers(measured), _numbers(expected)
    if len(found) != len(wanted):
        raise ValueError(f"measured: {len(found)} numbers; {len(wanted)} are expected")
    passed = all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))
    return Outcome(_shown(wanted), _shown(found), tolerance, passed)


def at_least(measured: Any, bound: float, tolerance: float = 0.0) -> Outcome:
    """Passed where the number is no smaller than the bound."""
    value = float(measured)
    return Outcome(float(bound), value, tolerance, value >= bound - tolerance, "≥")


def at_most(measured: Any, bound: float, tolerance: float = 0.0) -> Outcome:
    """Passed where the number is no larger than the bound."""
    value = float(measured)
    return Outcome(float(bound), value, tolerance, value <= bound + tolerance, "≤")


def unchecked(why: str, expected: Number | None = None) -> Outcome:
    """A claim that cannot be checked here, and why."""
    return Outcome(expected, None, None, None, why=why)


@dataclass(frozen=True)
class Check:
    """The verdict on one claim."""

    name: str
    """The claim, in words"""
    stop: str
    """The tour's stop that makes it"""
    section: str
    """Where the paper, or the source named, says so"""
    expected: Number | None
    measured: Number | None
    relation: Relation
    """How the measured number has to stand to the expected one"""
    tolerance: float | None
    passed: bool | None
    """None: it cannot be checked here"""
    why: str = ""
    """Why it could not be checked, or what went wrong"""

    @property
    def difference(self) -> float | None:
        """The largest difference between what was measured and what was expected."""
        if self.expected is None or self.measured is None:
            return None
        pairs = zip(_numbers(self.measured), _numbers(self.expected), strict=True)
        return max(abs(measured - expected) for measured, expected in pairs)

    def as_json(self) -> dict[str, Any]:
        """Its fields as JSON has them: several numbers as a list, null for what is no finite number; `why` only where
        there is one."""
        fields = dataclasses.asdict(self) | {"expected": _plain(self.expected), "measured": _plain(self.measured)}
        return fields if self.why else {name: value for name, value in fields.items() if name != "why"}


@dataclass(frozen=True)
class Claim:
    """A claim and how it is measured; nothing is computed before `check`."""

    name: str
    stop: str
    section: str
    measure: Callable[[], Outcome]

    def check(self, cancel: Cancel = never) -> Check:
        """Measure. An exception is a failed check that says what was raised. Raises Cancelled where `cancel` says so,
        which the loops of a measurement ask by `stopped`."""
        try:
            with asking(cancel):
                found = self.measure()
        except Cancelled:
            raise
        except Exception as error:  # one measurement that breaks must not cost the others their verdict
            found = Outcome(None, None, None, False, why=f"{type(error).__name__}: {error}".splitlines()[0])
        return Check(
            name=self.name,
            stop=self.stop,
            section=self.section,
            expected=found.expected,
            measured=found.measured,
            relation=found.relation,
            tolerance=found.tolerance,
            passed=found.passed,
            why=found.why,
        )


def _numbers(value: Any) -> tuple[float, ...]:
    """Numbers, tensors and arrays of any shape as floats; NaN is no number that could pass."""
    if hasattr(value, "reshape"):
        value = value.reshape(-1).tolist()
    return tuple(float(number) for number in value) if isinstance(value, list | tuple) else (float(value),)


def _plain(number: Number | None) -> Any:
    if isinstance(number, tuple):
        return [_plain(part) for part in number]
    return number if number is not None and math.isfinite(number) else None


def _shown(numbers: tuple[float, ...]) -> Number:
    return numbers[0] if len(numbers) == 1 else numbers


def written(number: Number | None) -> str:
    """A number as the table shows it, to six digits; several in brackets, to four."""
    if number is None:
        return "–"
    if isinstance(number, tuple):
        return "(" + ", ".join(_digits(part, 4) for part in number) + ")"
    return _digits(number, 6)


def _digits(number: float, digits: int) -> str:
    if math.isnan(number):
        return "NaN"
    return f"{number:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+").replace("-", "−")

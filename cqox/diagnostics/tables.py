"""Typed access to JSON diagnostics, and helpers for the status of gates."""

from collections.abc import Mapping
from typing import Literal

from cqox.contract import Gate
from cqox.contract.messages import Message, of
from cqox.estimators import Json

__all__ = [
    "NO_PRIMARY",
    "SOME_COVARIATE",
    "Table",
    "above",
    "below",
    "number_in",
    "reason_or",
    "skip",
    "table_in",
    "text_or",
]

type Table = Mapping[str, Json]

NO_PRIMARY = Message("gates.no-primary")
SOME_COVARIATE = Message("gates.some-covariate")


def skip(rule: Message, reason: Message) -> Gate:
    """Return a gate that does not apply, with the reason."""
    return Gate(status="not_applicable", rule=rule, reason=reason)


def above(value: float, warn: float, fail: float) -> Literal["pass", "warn", "fail"]:
    """Return the status of a value that should not exceed its thresholds."""
    return "fail" if value > fail else "warn" if value > warn else "pass"


def below(value: float, warn: float, fail: float) -> Literal["pass", "warn", "fail"]:
    """Return the status of a value that should not be below its thresholds."""
    return "fail" if value < fail else "warn" if value < warn else "pass"


def table_in(tree: Table, *path: str) -> Table:
    """Return a nested object of the diagnostics; empty if it is missing."""
    for name in path:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree


def number_in(value: Json) -> float | None:
    """Return the value as a float; None if it is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def reason_or(value: Json, fallback: Message) -> Message:
    """Return the reason that a diagnostic gives if it gives one, else the fallback."""
    return of(value) if isinstance(value, str) else fallback


def text_or(value: Json, fallback: str) -> str:
    """Return the value if it is a string, else the fallback."""
    return value if isinstance(value, str) else fallback

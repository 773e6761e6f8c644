"""Reading diagnostics, which are JSON, and telling of gates that do not apply."""

from collections.abc import Mapping
from typing import Literal

from cqox.contract import Gate
from cqox.estimators import Json

__all__ = ["NO_PRIMARY", "Table", "above", "below", "number_in", "skip", "table_in", "text_or"]

type Table = Mapping[str, Json]

NO_PRIMARY = "There is no primary estimate to check."


def skip(rule: str, reason: str) -> Gate:
    """The gate that does not apply, and why."""
    return Gate(status="not_applicable", rule=rule, reason=reason)


def above(value: float, warn: float, fail: float) -> Literal["pass", "warn", "fail"]:
    """The status of a value that should be small."""
    return "fail" if value > fail else "warn" if value > warn else "pass"


def below(value: float, warn: float, fail: float) -> Literal["pass", "warn", "fail"]:
    """The status of a value that should be large."""
    return "fail" if value < fail else "warn" if value < warn else "pass"


def table_in(tree: Table, *path: str) -> Table:
    """A table within the diagnostics; empty where it is not there."""
    for name in path:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree


def number_in(value: Json) -> float | None:
    """The number, None where it is something else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_or(value: Json, otherwise: str) -> str:
    """The text, or another where it is none."""
    return value if isinstance(value, str) else otherwise

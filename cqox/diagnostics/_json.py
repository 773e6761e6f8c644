"""Numbers as JSON can hold them, and reading them back."""

import math
from collections.abc import Iterable, Mapping

from cqox.estimators import Json

__all__ = ["number", "number_at", "numbers_or_none", "reason_at"]


def number(value: float | None) -> float | None:
    """The number as a Python float; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def numbers_or_none(values: Iterable[float]) -> list[float | None]:
    """Each number, None where it is not finite."""
    return [number(float(value)) for value in values]


def number_at(tree: Json | Mapping[str, Json], *path: str) -> float | None:
    """The number at a path of keys; None where there is none."""
    found = _at(tree, path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def reason_at(tree: Json | Mapping[str, Json], *path: str) -> str | None:
    """The reason that stands at a path of keys, or at the nearest place above it."""
    for depth in range(len(path), 0, -1):
        found = _at(tree, (*path[:depth], "reason"))
        if isinstance(found, str):
            return found
    return None


def _at(tree: Json | Mapping[str, Json], path: tuple[str, ...]) -> Json | Mapping[str, Json]:
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree

"""Typed access to JSON diagnostics that tolerates missing keys."""

from collections.abc import Mapping, Sequence

from cqox.estimators import Json

__all__ = ["at", "listed", "number_in", "text_in"]


def at(tree: Json | Mapping[str, Json], *path: str) -> Json | Mapping[str, Json]:
    """Return the value at a path of keys; None if it is missing."""
    for key in path:
        # Thousands of values are read, nearly all from dicts, for which the test of an abstract class is slow.
        if type(tree) is not dict and not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def listed(tree: Json | Mapping[str, Json], *path: str) -> Sequence[Json]:
    """Return the list at a path; empty if there is none."""
    found = at(tree, *path)
    return found if isinstance(found, list) else []


def number_in(tree: Json | Mapping[str, Json], *path: str) -> float | None:
    """Return the number at a path; None if there is none."""
    found = at(tree, *path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def text_in(tree: Json | Mapping[str, Json], *path: str) -> str:
    """Return the string at a path; empty if there is none."""
    found = at(tree, *path)
    return found if isinstance(found, str) else ""

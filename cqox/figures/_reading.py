"""Reading diagnostics, which are JSON, without trusting their shape."""

from collections.abc import Mapping, Sequence

from cqox.estimators import Json

__all__ = ["at", "listed", "number_in", "text_in"]


def at(tree: Json | Mapping[str, Json], *path: str) -> Json | Mapping[str, Json]:
    """What stands at a path of keys; None where there is nothing."""
    for key in path:
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def listed(tree: Json | Mapping[str, Json], *path: str) -> Sequence[Json]:
    """The list there, empty where there is none."""
    found = at(tree, *path)
    return found if isinstance(found, list) else []


def number_in(tree: Json | Mapping[str, Json], *path: str) -> float | None:
    """The number there, None where there is none."""
    found = at(tree, *path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def text_in(tree: Json | Mapping[str, Json], *path: str) -> str:
    """The text there, empty where there is none."""
    found = at(tree, *path)
    return found if isinstance(found, str) else ""

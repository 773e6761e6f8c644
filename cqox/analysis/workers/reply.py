"""Result of a worker task, with type-checked access to its members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["Reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Result of a task: JSON values, and binary data."""

    body: Mapping[str, object]
    payload: bytes

    def object(self, name: str) -> "Mapping[str, JsonValue]":
        """Return the member of this name, an object.

        Raises:
            TypeError: it is not an object.
        """
        return _object(self.body[name])

    def array(self, name: str) -> "Sequence[JsonValue]":
        """Return the member of this name, an array.

        Raises:
            TypeError: it is not an array.
        """
        return _array(self.body[name])

    def objects(self, name: str) -> "Sequence[Mapping[str, JsonValue]]":
        """Return the member of this name, an array of objects.

        Raises:
            TypeError: it is not an array of objects.
        """
        return [_object(item) for item in self.array(name)]


def _object(value: object) -> "Mapping[str, JsonValue]":
    if not isinstance(value, dict):
        raise TypeError(f"a worker returned {type(value).__name__} instead of an object")
    return value


def _array(value: object) -> "Sequence[JsonValue]":
    if not isinstance(value, list):
        raise TypeError(f"a worker returned {type(value).__name__} instead of an array")
    return value

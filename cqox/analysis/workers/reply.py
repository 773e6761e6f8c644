"""What a task of a worker returned, and its members with the types that they are due to have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

__all__ = ["Reply", "member_objects"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a task returned: JSON values, and bytes beside them."""

    body: Mapping[str, object]
    payload: bytes

    def object(self, name: str) -> Mapping[str, JsonValue]:
        """The member of this name, an object.

        Raises:
            TypeError: it is something else.
        """
        return _object(self.body[name])

    def array(self, name: str) -> Sequence[JsonValue]:
        """The member of this name, an array.

        Raises:
            TypeError: it is something else.
        """
        return _array(self.body[name])

    def objects(self, name: str) -> Sequence[Mapping[str, JsonValue]]:
        """The member of this name, an array of objects.

        Raises:
            TypeError: it is something else.
        """
        return [_object(item) for item in self.array(name)]


def member_objects(value: JsonValue) -> Sequence[Mapping[str, JsonValue]]:
    """A member of a member, an array of objects.

    Raises:
        TypeError: it is something else.
    """
    return [_object(item) for item in _array(value)]


def _object(value: object) -> Mapping[str, JsonValue]:
    if not isinstance(value, dict):
        raise TypeError(f"a worker answered {type(value).__name__} where an object was due")
    return value


def _array(value: object) -> Sequence[JsonValue]:
    if not isinstance(value, list):
        raise TypeError(f"a worker answered {type(value).__name__} where an array was due")
    return value

"""A response whose body is complete, without Quart's classes; it is sent, decorated and logged like theirs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from quart.typing import ResponseTypes

__all__ = ["AnyResponse", "PlainResponse", "ResponseFields", "encoded_fields"]

type AnyResponse = ResponseTypes | PlainResponse
"""A response, whichever way it was made."""


class ResponseFields:
    """The header fields of a response, in order, with the methods of werkzeug's `Headers` that every response needs.

    Args:
        fields: names in lower case with their values.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = list(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __contains__(self, name: str) -> bool:
        return name.lower() in [field for field, _ in self._fields]

    def __setitem__(self, name: str, value: str) -> None:
        """Set the only value of a field, at the place of its first one."""
        wanted, places = name.lower(), self._fields
        found = [place for place, field in enumerate(places) if field[0] == wanted]
        if not found:
            places.append((wanted, value))
            return
        places[found[0]] = wanted, value
        for place in reversed(found[1:]):
            del places[place]

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a field, the default where it is absent."""
        wanted = name.lower()
        return next((value for field, value in self._fields if field == wanted), default)

    def add(self, name: str, value: str) -> None:
        """Add a value to those of a field."""
        self._fields.append((name.lower(), value))

    def setdefault(self, name: str, value: str) -> None:
        """Set a field that is absent."""
        if name not in self:
            self.add(name, value)

    def update(self, fields: Mapping[str, str]) -> None:
        """Set the only value of each of these fields."""
        for name, value in fields.items():
            self[name] = value


def encoded_fields(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return header fields as ASGI has them.

    Those of an engine are read as Latin-1, so that they leave with the bytes that they came with.
    """
    return [(name.lower().encode(), _value(value)) for name, value in fields]


def _value(text: str) -> bytes:
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        return text.encode()


class PlainResponse:
    """A complete response.

    Args:
        body: its body.
        status: the HTTP status.
        fields: the header fields without `Content-Length`, names in lower case.
        sized: whether `Content-Length` is that of the body; False for a response without content.
    """

    __slots__ = ("body", "headers", "status_code")

    def __init__(self, body: bytes, status: int, fields: Iterable[tuple[str, str]], *, sized: bool = True) -> None:
        self.body = body
        self.status_code = status
        length = (("content-length", str(len(body))),) if sized else ()
        self.headers = ResponseFields((*length, *fields))

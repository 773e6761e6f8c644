"""A request to an engine and its response, as they go through the transport.

httpx's own would be built, copied and parsed for each attempt, which costs more than the policies around it. Its
exceptions are used all the same, because the policies determine from them whether a request was sent.
"""

from collections.abc import AsyncIterable, Iterator, MutableMapping
from dataclasses import dataclass, field

import httpx

from services.http.request.propagation import EXCHANGE

__all__ = ["EngineRequest", "OutgoingFields", "Target"]

_EXCHANGE = EXCHANGE.lower().encode()
_LENGTH, _ENCODING = b"content-length", b"transfer-encoding"
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A path and query at an engine.

    Attributes:
        raw: path and query as they are sent.
        path: the path, decoded.
        url: the URL without the query, for traces.
    """

    raw: bytes
    path: str
    url: str

    @classmethod
    def of(cls, url: httpx.URL) -> "Target":
        """Return the target of a URL, whose form httpx has normalised."""
        return cls(raw=url.raw_path, path=url.path, url=str(url.copy_with(userinfo=b"", query=None, fragment=None)))


class OutgoingFields(MutableMapping[str, str]):
    """The header fields of a request; a name may come more than once until it is set.

    Args:
        raw: names in lower case with their values, in order.

    Attributes:
        raw: the same.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode()
        found = [value for field, value in self.raw if field == wanted]
        if not found:
            raise KeyError(name)
        return b", ".join(found).decode("latin1")

    def __contains__(self, name: object) -> bool:
        return str(name).lower().encode() in [field for field, _ in self.raw]

    def __setitem__(self, name: str, value: str) -> None:
        wanted = name.lower().encode()
        self.raw = [each for each in self.raw if each[0] != wanted]
        self.raw.append((wanted, value.encode("latin1")))

    def __delitem__(self, name: str) -> None:
        wanted = name.lower().encode()
        kept = [each for each in self.raw if each[0] != wanted]
        if len(kept) == len(self.raw):
            raise KeyError(name)
        self.raw = kept

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin1") for name, _ in self.raw))

    def __len__(self) -> int:
        return len({name for name, _ in self.raw})


@dataclass(slots=True, kw_only=True)
class EngineRequest:
    """One attempt of a request.

    Attributes:
        method: the HTTP method.
        target: path and query.
        headers: the header fields without those of the connection, which `head_fields` adds.
        content: the body; a stream can be sent once.
        extensions: what the policies note about the attempt.
    """

    method: str
    target: Target
    headers: OutgoingFields
    content: bytes | AsyncIterable[bytes] = b""
    extensions: MutableMapping[str, object] = field(default_factory=dict)

    @property
    def exchange(self) -> bytes:
        """The exchange id; empty where there is none."""
        return next((value for name, value in self.headers.raw if name == _EXCHANGE), b"")

    def head_fields(self, host: bytes) -> list[tuple[bytes, bytes]]:
        """Return the header fields that are sent, with those that delimit the body.

        Args:
            host: name and port of the engine.
        """
        fields = [(b"Host", host), *self.headers.raw]
        if [name for name, _ in self.headers.raw if name in (_LENGTH, _ENCODING)]:
            return fields
        if not isinstance(self.content, bytes):
            fields.append((b"Transfer-Encoding", b"chunked"))
        elif self.content or self.method in _WITH_BODY:
            fields.append((b"Content-Length", str(len(self.content)).encode()))
        return fields

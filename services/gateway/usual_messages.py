"""Usual requests and heads of responses, written and parsed without h11, whose states cost more than the policies.

Both take less than h11 does: what is unusual is None here, and is left to h11, which raises its errors.
"""

import re
from dataclasses import dataclass

from services.gateway.engine_request import EngineRequest
from services.http.statuses import WITHOUT_CONTENT
from services.http.wire_fields import are_usual

__all__ = ["ResponseHead", "read_usual_head", "written_usual"]

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_TARGET = re.compile(rb"/[!-~]*")
_OF_CONNECTION = frozenset({b"connection", b"transfer-encoding", b"upgrade", b"expect"})
"""Fields that change what follows the head, or whether another message may follow."""
_LENGTH = b"content-length"
_JUDGED = _OF_CONNECTION | {_LENGTH, b"host"}
"""Fields of a request that h11 has to judge: a second one of some of them is an error."""
_DIGITS = re.compile(rb"[0-9]{1,15}")
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [ -~]*+)?+\r\n((?:[A-Za-z0-9-]++: ?+(?:[!-~](?:[ -~]*[!-~])?)?+\r\n)++)\r\n"
)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response.

    Attributes:
        status_code: the HTTP status.
        headers: names in lower case with their values.
    """

    status_code: int
    headers: list[tuple[bytes, bytes]]


def written_usual(request: EngineRequest, authority: bytes) -> bytes | None:
    """Return a complete request as it is sent; None where it is for h11 to judge.

    Args:
        request: the request.
        authority: name and port of the engine.
    """
    content, raw = request.content, request.target.raw
    if not isinstance(content, bytes) or request.method not in _METHODS or _TARGET.fullmatch(raw) is None:
        return None
    for name, _ in request.headers.raw:
        if name in _JUDGED:
            return None
    fields = request.head_fields(authority)
    if not are_usual(fields):
        return None
    lines = [b"%s: %s\r\n" % field for field in fields]
    return b"".join((request.method.encode(), b" ", raw, b" HTTP/1.1\r\n", *lines, b"\r\n", content))


def read_usual_head(data: bytes) -> tuple[ResponseHead, int, int] | None:
    """Parse the head of a response whose length it states once, on a connection that stays open.

    Args:
        data: what was received, from the first byte of the response.

    Returns:
        The head, the number of its bytes and the length of the body; None for anything else, and where the head is
        incomplete.
    """
    found = _HEAD.match(data)
    if found is None or (status := int(found[1])) in WITHOUT_CONTENT:
        return None
    length: int | None = None
    headers: list[tuple[bytes, bytes]] = []
    for line in found[2][:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" ")
        headers.append((name, value))
        if name == _LENGTH:
            if length is not None or _DIGITS.fullmatch(value) is None:
                return None
            length = int(value)
        elif name in _OF_CONNECTION:
            return None
    return None if length is None else (ResponseHead(status, headers), found.end(), length)

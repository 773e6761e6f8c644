"""Validation of request heads before dispatch, and error details for malformed ones."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

import h11

from cqox.contract.messages import Message
from services.http.request.targets import InvalidTarget, Target, parse_target, why_unsupported

__all__ = ["RefusedRequest", "RequestLine", "body_bytes", "check_head", "fields_of"]

_REQUEST_LINE = re.compile(rb"([!-~]{1,20}) ([!-~]{1,2000})")
_REQUEST_ID = re.compile(rb"\r?\nx-request-id:[ \t]*([!-~]{1,128})", re.IGNORECASE)


class RefusedRequest(Exception):
    """The request is rejected with a problem, and the connection closed.

    Attributes:
        status: the HTTP status.
        detail: the change that the client has to make.
    """

    def __init__(self, status: int, detail: Message) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    @classmethod
    def of(cls, error: h11.RemoteProtocolError, *, max_head_bytes: int) -> Self:
        """Translate an error of h11, whose messages describe its own states and quote the input."""
        return cls(error.error_status_hint, _explain(error.error_status_hint, str(error), max_head_bytes))


@dataclass(frozen=True, slots=True)
class RequestLine:
    """The parsed parts of a malformed request.

    Attributes:
        method: its method; "-" where it has none.
        path: its target without the query; empty where it has none.
        request_id: the client's request id; None where it has none.
    """

    method: str
    path: str
    request_id: str | None

    @classmethod
    def of(cls, head: bytes) -> Self:
        """Parse the available part of a head."""
        line, named = _REQUEST_LINE.match(head), _REQUEST_ID.search(head)
        method, target = (part.decode() for part in line.groups()) if line else ("-", "")
        return cls(method, target.partition("?")[0] or target, named[1].decode() if named else None)

    def __str__(self) -> str:
        return f"{self.method} {self.path or '-'}"


def check_head(request: h11.Request, *, probes_only: bool, peer_allowed: bool = True) -> Target:
    """Reject what h11 accepts and the service does not, and parse the target.

    Args:
        request: the request.
        probes_only: whether the connection may request only the health paths.
        peer_allowed: whether the client's certificate gives access to more than the health paths.

    Raises:
        RefusedRequest: the request is rejected with a problem, and the connection closed.
    """
    if not request.http_version.startswith(b"1."):
        raise RefusedRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, Message("request.other-http-version"))
    names = [name for name, _ in fields_of(request)]
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version < b"1.1"):
        raise RefusedRequest(HTTPStatus.BAD_REQUEST, Message("request.two-lengths"))
    if unsupported := why_unsupported(request.method):
        raise RefusedRequest(HTTPStatus.NOT_IMPLEMENTED, unsupported)
    try:
        target = parse_target(request.method.decode("ascii"), request.target)
    except InvalidTarget as error:
        raise RefusedRequest(HTTPStatus.BAD_REQUEST, error.detail) from None
    if (peer_allowed and not probes_only) or target.path.startswith((b"/health/", b"/api/health")):
        return target
    if not peer_allowed:
        raise RefusedRequest(HTTPStatus.FORBIDDEN, Message("problems.peer-not-allowed"))
    raise RefusedRequest(HTTPStatus.SERVICE_UNAVAILABLE, Message("problems.no-free-connection"))


def body_bytes(request: h11.Request) -> int | None:
    """Return the size of the body that follows the head; None where it is sent in chunks."""
    size = 0
    for name, value in fields_of(request):
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            size = int(value)
    return size


def fields_of(request: h11.Request) -> list[tuple[bytes, bytes]]:
    """Return the header fields, names in lower case; iterating over those of h11 costs several times as much."""
    return [(name.lower(), value) for name, value in request.headers.raw_items()]


def _explain(status: int, said: str, max_head_bytes: int) -> Message:
    if status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return Message("request.head-too-large", most=max_head_bytes)
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return Message("request.other-transfer-encoding")
    if "Host: header" in said:
        return Message("request.no-single-host")
    if "chunk" in said:
        return Message("request.malformed-chunk")
    if "Content-Length" in said:
        return Message("request.malformed-content-length")
    if "closed" in said:
        return Message("request.incomplete-request")
    return Message("request.no-http-request")

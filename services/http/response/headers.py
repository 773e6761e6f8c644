"""What every answer carries whatever made it, and the one log line that every request leaves."""

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import structlog
from quart.wrappers.response import DataBody

from services.http.observability.tracing import PROBES, trace_members
from services.http.request.digests import CONTENT_DIGEST, content_digest
from services.http.request.propagation import EXCHANGE, RECEIVED
from services.http.response.checksums import CHECKSUM, BodyChecksum

if TYPE_CHECKING:
    from quart.typing import ResponseTypes

    from services.http.request.request import IncomingRequest

__all__ = ["decorate", "headers_of_refusal", "log_access", "log_refusal"]

_log = structlog.stdlib.get_logger("cqox.access")

_EXCHANGE_FIELD = re.compile(rb"\n" + EXCHANGE.encode() + rb":[ \t]*([0-9a-f]{32})[ \t]*\r?\n", re.IGNORECASE)
_CLIENT_CLOSED_REQUEST = 499
_TRACE_HEADERS = {"trace_id": "X-Trace-Id", "trace_url": "X-Trace-Url"}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing that the API answers needs to load anything, an SVG that somebody opens as a page included.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    # What is not of one client alone says so itself.
    "Cache-Control": "no-store",
}
_HEADERS_OF_TLS = {"Strict-Transport-Security": "max-age=31536000"}


def decorate(request: "IncomingRequest", response: "ResponseTypes") -> None:
    """Put the ids of request and trace and the security headers on an answer; a header that is there already stays.

    A gateway compares what it called the exchange, what it sent, and the checksum of a body that is whole.
    """
    headers = response.headers
    if request.exchange is not None:
        headers[EXCHANGE] = request.exchange
        if request.received is not None:
            headers[RECEIVED] = str(request.received)
        _add_checks(request.exchange, request.method, response)
    headers["X-Request-Id"] = request.request_id
    if not request.is_foreign:
        for name, value in trace_members().items():
            headers[_TRACE_HEADERS[name]] = value
    for name, value in _security_headers(secure=request.scope["scheme"] == "https").items():
        headers.setdefault(name, value)


def _add_checks(exchange: str, method: str, response: "ResponseTypes") -> None:
    body = response.response
    if not isinstance(body, DataBody) or not body.data or method == "HEAD":
        return
    data = body.data[body.begin : body.end]
    digest = response.headers.get(CONTENT_DIGEST)
    if digest is None:
        digest = response.headers[CONTENT_DIGEST] = content_digest(data)
    checksum = BodyChecksum(exchange, digest)
    checksum.take(data)
    response.headers[CHECKSUM] = str(checksum)


def _security_headers(*, secure: bool) -> dict[str, str]:
    # A browser must not keep to TLS a host that serves without it, and ignores the header there.
    return _HEADERS | _HEADERS_OF_TLS if secure else _HEADERS


def log_access(request: "IncomingRequest", status: int | None, complete: bool, size_bytes: int, seconds: float) -> None:
    """Log one request with its query, if it has one; probes only at the debug level.

    Args:
        request: the request.
        status: the status sent, None where the client had gone before there was one.
        complete: whether the whole body was handed to the connection.
        size_bytes: how much of the body was.
        seconds: from the request's head to the end of its answer.
    """
    log = _log.debug if request.path.startswith(PROBES) else _log.info
    # The path is decoded, and a blank in it is not the one before the status.
    path = request.path.replace(" ", "%20")
    query = _shown_query(request.scope["query_string"])
    log(
        f"{request.method} {path} {status or _CLIENT_CLOSED_REQUEST}",
        **({"query": query} if query else {}),
        request_id=request.request_id,
        client=request.remote_addr,
        size_bytes=size_bytes,
        milliseconds=round(seconds * 1e3, 1),
        **({} if complete else {"incomplete": True}),
    )


def _shown_query(query: bytes) -> str:
    """Return the query in the form in which the log finds the names of secrets and masks what they stand for.

    That is with its question mark and with decoded names. Values stay encoded: a blank would end a secret.
    """
    pairs = query.decode("ascii", "backslashreplace").split("&") if query else ()
    named = (f"{unquote_plus(name)}{sign}{value}" for name, sign, value in (pair.partition("=") for pair in pairs))
    return f"?{'&'.join(named)}" if query else ""


def headers_of_refusal(
    request_id: str, size_bytes: int, head: bytes = b"", *, secure: bool = False
) -> list[tuple[bytes, bytes]]:
    """The headers of the problem that answers what is no request; the connection ends with it.

    Args:
        request_id: what the log calls it.
        size_bytes: the length of the problem.
        head: what there is of the request's, in which a gateway may have named the exchange.
        secure: whether the connection is encrypted.
    """
    named = _EXCHANGE_FIELD.search(head)
    exchange = {EXCHANGE: named[1].decode()} if named else {}
    own = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(size_bytes),
        "Connection": "close",
        "X-Request-Id": request_id,
    }
    # Where the body of a request could not be read, that request is being answered, and has a trace.
    trace = {_TRACE_HEADERS[name]: value for name, value in trace_members().items()}
    fields = own | exchange | trace | _security_headers(secure=secure)
    return [(name.lower().encode(), value.encode()) for name, value in fields.items()]


def log_refusal(what: str, status: int, detail: str, *, request_id: str, client: tuple[str, int] | None) -> None:
    """Log what was answered without ever having become a request.

    Args:
        what: method and path, as far as they could be read.
        status: the status sent.
        detail: what was wrong.
        request_id: what the answer calls it.
        client: address and port of the client.
    """
    _log.info(f"{what} {status}", request_id=request_id, client=client[0] if client else None, detail=detail)

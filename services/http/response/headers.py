"""Common response headers, and the access log."""

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import structlog
from quart.wrappers.response import DataBody

from services.http.observability.tracing import PROBES, trace_members
from services.http.request.digests import CONTENT_DIGEST, content_digest
from services.http.request.propagation import EXCHANGE, RECEIVED
from services.http.response.checksums import CHECKSUM, BodyChecksum
from services.http.response.plain import AnyResponse, PlainResponse
from services.http.statuses import CLIENT_CLOSED_REQUEST

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["decorate", "headers_of_refusal", "log_access", "log_refusal"]

_log = structlog.stdlib.get_logger("cqox.access")

_EXCHANGE_FIELD = re.compile(rb"\n" + EXCHANGE.encode() + rb":[ \t]*([0-9a-f]{32})[ \t]*\r?\n", re.IGNORECASE)
_TRACE_HEADERS = {"trace_id": "X-Trace-Id", "trace_url": "X-Trace-Url"}

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # No response needs to load anything, including an SVG that is opened as a page.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    # The default; responses that may be shared or cached set their own.
    "Cache-Control": "no-store",
}
_HEADERS_OF_TLS = {"Strict-Transport-Security": "max-age=31536000"}
# The gateway drops the others and sets its own, for the hop to its client.
_HEADERS_FOR_GATEWAYS = {"Cache-Control": _HEADERS["Cache-Control"]}


def decorate(request: "AnyRequest", response: AnyResponse) -> None:
    """Add request id, trace id and security headers to a response, without replacing existing security headers.

    For a gateway add the exchange id, the checksum of the received body, and the checksum of a complete response, and
    no headers for browsers, which it sets itself.
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
    # Each `setdefault` would compare every name twice.
    present = {name.lower() for name, _ in headers}
    for name, value in _security_headers_for(request).items():
        if name.lower() not in present:
            headers.add(name, value)


def _add_checks(exchange: str, method: str, response: AnyResponse) -> None:
    data = _complete_body(response)
    if not data or method == "HEAD":
        return
    digest = response.headers.get(CONTENT_DIGEST)
    if digest is None:
        digest = response.headers[CONTENT_DIGEST] = content_digest(data)
    checksum = BodyChecksum(exchange, digest)
    checksum.take(data)
    response.headers[CHECKSUM] = str(checksum)


def _complete_body(response: AnyResponse) -> bytes:
    if isinstance(response, PlainResponse):
        return response.body
    body = response.response
    return body.data[body.begin : body.end] if isinstance(body, DataBody) and body.data else b""


_PERSONAL = frozenset({"name", "search", "title", "sheet"})


def _security_headers_for(request: "AnyRequest") -> dict[str, str]:
    if request.exchange is not None:
        return _HEADERS_FOR_GATEWAYS
    return _security_headers(secure=request.scope["scheme"] == "https")


def _security_headers(*, secure: bool) -> dict[str, str]:
    # Strict-Transport-Security is only for TLS: without it, browsers ignore the header.
    return _HEADERS | _HEADERS_OF_TLS if secure else _HEADERS


def log_access(request: "AnyRequest", status: int | None, complete: bool, size_bytes: int, seconds: float) -> None:
    """Log one request with its query; probes only at the debug level.

    Args:
        request: the request.
        status: the status sent; None where the client disconnected before the response.
        complete: whether the complete body was passed to the connection.
        size_bytes: number of body bytes passed.
        seconds: from the request's head to the end of its response.
    """
    log = _log.debug if request.path.startswith(PROBES) else _log.info
    # Encode spaces of the decoded path, so that they cannot be read as the separator before the status.
    path = request.path.replace(" ", "%20")
    query = _shown_query(request.scope["query_string"])
    log(
        f"{request.method} {path} {status or CLIENT_CLOSED_REQUEST}",
        **({"query": query} if query else {}),
        request_id=request.request_id,
        client=request.remote_addr,
        size_bytes=size_bytes,
        milliseconds=round(seconds * 1e3, 1),
        **({} if complete else {"incomplete": True}),
    )


def _shown_query(query: bytes) -> str:
    """Return the query in the form in which the log recognizes names of secrets and masks their values.

    It has a question mark and decoded names. Values stay encoded, because a space would end a masked value. What people
    search for and how they call their files is no business of a log.
    """
    pairs = query.decode("ascii", "backslashreplace").split("&") if query else ()
    parts = ((unquote_plus(name), sign, value) for name, sign, value in (pair.partition("=") for pair in pairs))
    named = (f"{name}{sign}{'...' if value and name in _PERSONAL else value}" for name, sign, value in parts)
    return f"?{'&'.join(named)}" if query else ""


def headers_of_refusal(
    request_id: str, size_bytes: int, head: bytes = b"", *, secure: bool = False
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a problem that rejects a malformed request; the connection is closed after it.

    Args:
        request_id: its request id in the log.
        size_bytes: the length of the problem.
        head: the available part of the request's head, which may hold a gateway's exchange id.
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
    # Where only the body is malformed, the request is being handled and has a trace.
    trace = {_TRACE_HEADERS[name]: value for name, value in trace_members().items()}
    fields = own | exchange | trace | _security_headers(secure=secure)
    return [(name.lower().encode(), value.encode()) for name, value in fields.items()]


def log_refusal(what: str, status: int, detail: str, *, request_id: str, client: tuple[str, int] | None) -> None:
    """Log the rejection of a malformed request.

    Args:
        what: method and path, as far as they could be parsed.
        status: the status sent.
        detail: the reason.
        request_id: the request id in the response.
        client: address and port of the client.
    """
    _log.info(f"{what} {status}", request_id=request_id, client=client[0] if client else None, detail=detail)

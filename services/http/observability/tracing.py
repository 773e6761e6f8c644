"""One request as a span, as a measure, and as an id that its answer names.

What lives here: what HTTP calls things. What does not: spans and measures themselves (`cqox.telemetry`).
"""

import re
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cqox import telemetry
from cqox.telemetry import Attributes, metric_definitions, metrics
from cqox.telemetry.safe_text import safe_text

if TYPE_CHECKING:
    from services.http.request.request import IncomingRequest

__all__ = ["PROBES", "Exchange", "link_traces", "route_of", "trace_members"]

PROBES = ("/health", "/api/health", "/metrics")
"""Paths that are asked so often, and say so little, that nobody wants to see each."""

_CONVERTER = re.compile(r"<(?:[^<>]*:)?([^<>:]+)>")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
_CLIENT_CLOSED_REQUEST = 499

_trace_url = ""


class Exchange:
    """One request and its answer; a context manager around all that happens for it.

    Args:
        request: the request.
    """

    def __init__(self, request: "IncomingRequest") -> None:
        self._request = request
        self._began = time.perf_counter()
        # A method that nobody knows must not become a series of its own.
        self._method = request.method if request.method in _METHODS else "_OTHER"
        probe = request.path.startswith(PROBES)
        self._span = telemetry.server_span(
            "HTTP" if self._method == "_OTHER" else self._method,
            _described(request, self._method) if telemetry.is_recording() and not probe else None,
            parent=telemetry.from_headers(request.headers.to_wsgi_list()),
            request_id=request.request_id,
            probe=probe,
        )

    def __enter__(self) -> Self:
        self._span.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._span.__exit__(exc_type, exc, traceback)

    def answered(self, status: int | None, *, complete: bool, size_bytes: int) -> None:
        """Say how the request ended.

        Args:
            status: the status sent; None where the client left before there was one.
            complete: whether the whole answer was handed to the connection.
            size_bytes: how much of its body was.
        """
        seen = status or _CLIENT_CLOSED_REQUEST
        labels: dict[str, str | int] = {"http.request.method": self._method, "http.response.status_code": seen}
        route = route_of(self._request)
        if route:
            labels["http.route"] = route
        if seen >= 500:
            labels["error.type"] = str(seen)
        metrics.record(metric_definitions.HTTP_SERVER_DURATION, time.perf_counter() - self._began, labels)
        if seen == 504:
            metrics.count(metric_definitions.TIMEOUTS, {"policy": "request"})
        span = self._span
        if not span.recording:
            return
        if route:
            span.rename(f"{self._method} {route}")
            span.add({"http.route": route})
        span.add({"http.response.body.size": size_bytes})
        if status is None:
            span.cancel()
            return
        span.add({"http.response.status_code": status})
        if not complete:
            span.add({"cqox.incomplete": True})
        if status >= 500:
            span.fail(str(status))


def route_of(request: "IncomingRequest") -> str:
    """The route as the contract writes it, such as `/api/jobs/{job_id}`; empty where none matched."""
    rule = request.url_rule
    return "" if rule is None else _CONVERTER.sub(r"{\1}", rule.rule)


def trace_members() -> dict[str, str]:
    """The trace of the running request, and where to look at it if that is known, for an answer."""
    context = telemetry.current()
    if context is None:
        return {}
    members = {"trace_id": context.trace_id}
    if _trace_url:
        members["trace_url"] = _trace_url.replace("{trace_id}", context.trace_id)
    return members


def link_traces(url: str) -> None:
    """Name this address in every answer from now on; `{trace_id}` stands for the trace. Empty for none."""
    global _trace_url
    _trace_url = url


def _described(request: "IncomingRequest", method: str) -> Attributes:
    scope = request.scope
    described: dict[str, str | int] = {
        "http.request.method": method,
        "url.path": safe_text(request.path),
        "url.scheme": scope["scheme"],
        "network.protocol.version": request.http_version,
    }
    if method == "_OTHER":
        described["http.request.method_original"] = request.method
    server = scope.get("server")
    if server is not None:
        described["server.address"] = server[0]
        if server[1] is not None:
            described["server.port"] = server[1]
    if request.remote_addr:
        described["client.address"] = request.remote_addr
    agent = request.headers.get("User-Agent")
    if agent:
        described["user_agent.original"] = safe_text(agent)
    return described

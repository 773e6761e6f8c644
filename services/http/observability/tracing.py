"""The span, the metrics and the trace id of a request.

It applies the semantic conventions of HTTP; spans and metrics themselves are in `cqox.telemetry`.
"""

import re
import time
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cqox import telemetry
from cqox.telemetry import Attributes, metric_definitions, metrics
from cqox.telemetry.safe_text import safe_text
from services.http.statuses import CLIENT_CLOSED_REQUEST, is_server_error

if TYPE_CHECKING:
    from services.http.request.proxied import AnyRequest

__all__ = ["CLIENT_DEADLINE", "PROBES", "Exchange", "link_traces", "route_of", "trace_members"]

PROBES = ("/health", "/api/health", "/metrics")
"""Paths that are requested too often to trace or log each request."""

CLIENT_DEADLINE = "ClientDeadline"
"""`error.type` of a 504 whose deadline the client chose: no failure of the service."""

_CONVERTER = re.compile(r"<(?:[^<>]*:)?([^<>:]+)>")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})

_trace_url = ""


class Exchange:
    """The server span of one request; a context manager around its handling.

    Args:
        request: the request.
    """

    def __init__(self, request: "AnyRequest") -> None:
        self._request = request
        self._began = time.perf_counter()
        # An unknown method must not become a time series of its own.
        self._method = request.method if request.method in _METHODS else "_OTHER"
        probe = request.path.startswith(PROBES)
        self._span = telemetry.server_span(
            "HTTP" if self._method == "_OTHER" else self._method,
            _described(request, self._method) if telemetry.is_recording() and not probe else None,
            parent=telemetry.extract(request.text_fields()),
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
        """Record the end of the request.

        Args:
            status: the status sent; None where the client disconnected before the response.
            complete: whether the complete response was passed to the connection.
            size_bytes: number of body bytes passed.
        """
        seen = status or CLIENT_CLOSED_REQUEST
        labels: dict[str, str | int] = {"http.request.method": self._method, "http.response.status_code": seen}
        route = route_of(self._request)
        if route:
            labels["http.route"] = route
        failure = CLIENT_DEADLINE if self._request.client_deadline_passed else str(seen)
        if is_server_error(seen):
            labels["error.type"] = failure
        metrics.record(metric_definitions.HTTP_SERVER_DURATION, time.perf_counter() - self._began, labels)
        if seen == HTTPStatus.GATEWAY_TIMEOUT:
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
        if is_server_error(status):
            span.fail(failure)


def route_of(request: "AnyRequest") -> str:
    """Return the route in the contract's form, such as `/api/jobs/{job_id}`; empty where none matched."""
    rule = request.url_rule
    return "" if rule is None else _CONVERTER.sub(r"{\1}", rule.rule)


def trace_members() -> dict[str, str]:
    """Return the trace id of the current request, and the trace's URL if configured, as response members."""
    context = telemetry.current()
    if context is None:
        return {}
    members = {"trace_id": context.trace_id}
    if _trace_url:
        members["trace_url"] = _trace_url.replace("{trace_id}", context.trace_id)
    return members


def link_traces(url: str) -> None:
    """Set the URL template that links responses to traces, with `{trace_id}` for the id; empty for none."""
    global _trace_url
    _trace_url = url


def _described(request: "AnyRequest", method: str) -> Attributes:
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
    agents = request.values_of("User-Agent")
    if agents and agents[0]:
        described["user_agent.original"] = safe_text(agents[0])
    return described

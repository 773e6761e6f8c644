"""Spans, metrics and trace context propagation for outgoing HTTP requests."""

import time
from collections.abc import Callable, Mapping, MutableMapping

from cqox.telemetry import metric_definitions, metrics, propagation
from cqox.telemetry.outcome import Outcome, error_type, outcome_of
from cqox.telemetry.spans import Attributes, Span, current, is_recording, span

__all__ = ["ClientExchange", "is_probe"]

_PROBES = ("/health", "/api/health")
_RETRY_ATTEMPT = "x-retry-attempt"


class ClientExchange:
    """The CLIENT span and the duration of one request, from its first byte to the end of the response body.

    Args:
        method: the HTTP method.
        host: name or address of the server.
        port: its port.
        url: returns the URL without credentials and query; called only where spans are recorded.
        headers: the fields of the request; the context of the span is written to them.
    """

    __slots__ = ("_began", "_ended", "_labels", "_span")

    def __init__(
        self, method: str, *, host: str, port: int, url: Callable[[], str], headers: MutableMapping[str, str]
    ) -> None:
        self._began = time.perf_counter()
        self._ended = False
        self._labels: dict[str, str | int] = {
            "http.request.method": method,
            "server.address": host,
            "server.port": port,
        }
        recording = is_recording()
        self._span: Span = span(method, self._described(url(), headers) if recording else None, kind="client")
        propagation.inject(headers, (self._span.context or current()) if recording else None)

    def _described(self, url: str, headers: Mapping[str, str]) -> Attributes:
        described: dict[str, str | int] = {**self._labels, "url.full": url}
        attempt = headers.get(_RETRY_ATTEMPT, "")
        if attempt.isdecimal() and int(attempt):
            described["http.request.resend_count"] = int(attempt)
        return described

    def answered(self, status: int) -> None:
        """Record the status of the response."""
        self._labels["http.response.status_code"] = status
        self._span.add({"http.response.status_code": status})
        if status >= 400:
            self._labels["error.type"] = str(status)
            self._span.fail(str(status))

    def end(self, error: BaseException | None = None) -> None:
        """Record the end of the response, or what ended it early; a second call has no effect."""
        if self._ended:
            return
        self._ended = True
        if error is not None:
            self._labels["error.type"] = error_type(error)
        metrics.record(metric_definitions.HTTP_CLIENT_DURATION, time.perf_counter() - self._began, self._labels)
        if error is not None and outcome_of(error) is Outcome.CANCELLED:
            # The caller left, or a time limit passed: no failure of the engine, and no success either.
            self._span.cancel()
            self._span.fail(error_type(error), "cut off before the end of the answer")
        self._span.__exit__(None if error is None else type(error), error, None)


def is_probe(path: str) -> bool:
    """Return whether a path is requested too often to record each request."""
    return path.startswith(_PROBES)

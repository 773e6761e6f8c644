"""Spans, metrics and trace context propagation for outgoing httpx requests."""

import time
from collections.abc import AsyncIterator
from typing import Self

import httpx

from cqox.telemetry import metric_definitions, metrics, propagation
from cqox.telemetry.outcome import Outcome, error_type, outcome_of
from cqox.telemetry.spans import Attributes, Span, current, is_recording, span

__all__ = ["TracedTransport"]

_PROBES = ("/health", "/api/health")
_RETRY_ATTEMPT = "x-retry-attempt"


class TracedTransport(httpx.AsyncBaseTransport):
    """Transport that records each request as a CLIENT span, from its first byte to the end of the response body.

    Args:
        inner: transport that sends the requests.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; a cancellation propagates and marks the span."""
        if request.url.path.startswith(_PROBES):
            return await self._inner.handle_async_request(request)
        exchange = _Exchange(request)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            exchange.end(error)
            raise
        exchange.answered(response.status_code)
        if response.is_closed:
            exchange.end()
            return response
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, exchange)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class _Exchange:
    __slots__ = ("_began", "_ended", "_labels", "_span")

    def __init__(self, request: httpx.Request) -> None:
        url = request.url
        self._began = time.perf_counter()
        self._ended = False
        port = url.port or (443 if url.scheme == "https" else 80)
        self._labels: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": url.host,
            "server.port": port,
        }
        self._span: Span = span(request.method, self._described(request) if is_recording() else None, kind="client")
        context = self._span.context or current()
        propagation.inject(request.headers, context if is_recording() else None)

    def _described(self, request: httpx.Request) -> Attributes:
        described: dict[str, str | int] = {
            **self._labels,
            "url.full": str(request.url.copy_with(userinfo=b"", query=None, fragment=None)),
        }
        attempt = request.headers.get(_RETRY_ATTEMPT, "")
        if attempt.isdecimal() and int(attempt):
            described["http.request.resend_count"] = int(attempt)
        return described

    def answered(self, status: int) -> None:
        self._labels["http.response.status_code"] = status
        self._span.add({"http.response.status_code": status})
        if status >= 400:
            self._labels["error.type"] = str(status)
            self._span.fail(str(status))

    def end(self, error: BaseException | None = None) -> None:
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


class _Body(httpx.AsyncByteStream):
    # Not a generator: an abandoned one would be finalised by the garbage collector, which Trio warns about.
    def __init__(self, inner: httpx.AsyncByteStream, exchange: _Exchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self._chunks: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        self._chunks = aiter(self._inner)
        return self

    async def __anext__(self) -> bytes:
        assert self._chunks is not None
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._exchange.end(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.end()

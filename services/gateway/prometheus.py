"""Client of the Prometheus that scrapes the services, behind a circuit and a deadline."""

import json
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

import httpx

from cqox.dashboards import Match, MetricQuery
from cqox.dashboards.answering import labels_of
from cqox.dashboards.interpreter import Values
from cqox.dashboards.promql import OURS, expression
from cqox.errors import CqoxError, ResilienceError
from cqox.resilience import CircuitBreaker, Policy, deadline

__all__ = ["Prometheus", "PrometheusAway"]

_SECONDS = 3.0
_FAILURES = 3
_RECOVERY_SECONDS = 15.0
_MOST_BYTES = 8 * 2**20


class PrometheusAway(CqoxError):
    """It does not answer, or with an error."""


class Prometheus:
    """One Prometheus. Nothing is asked before the first panel.

    Args:
        url: its address, without `/api/v1`.
        transport: of the requests; that of httpx if None.
    """

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query_range"
        self._transport = transport
        breaker = CircuitBreaker(
            "prometheus", _FAILURES, _RECOVERY_SECONDS, failures=(PrometheusAway,), key="prometheus breaker"
        )
        self._policy = Policy("prometheus", breaker)
        self._ask = self._policy(self._attempt)

    async def values(
        self, query: MetricQuery, times: Sequence[float], *, window: float, where: Sequence[Match] = ()
    ) -> Values:
        """Return the values of a query at the times.

        Raises:
            PrometheusAway: it does not answer within three seconds, or its circuit is open.
        """
        step = times[1] - times[0] if len(times) > 1 else 1.0
        text = expression(query, window=f"{round(window)}s", where=(OURS, *where))
        given = {"query": text, "start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}", "step": f"{step:.3f}"}
        try:
            with deadline(_SECONDS):
                result = await self._ask(given)
        except ResilienceError as error:
            raise PrometheusAway(str(error)) from error
        return _values(result, labels_of(query), times)

    async def _attempt(self, given: dict[str, str]) -> Sequence[dict[str, object]]:
        try:
            async with (
                httpx.AsyncClient(transport=self._transport, timeout=_SECONDS) as client,
                client.stream("POST", self._url, data=given) as response,
            ):
                body = b""
                async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_bytes())) as chunks:
                    async for chunk in chunks:
                        body += chunk
                        if len(body) > _MOST_BYTES:
                            raise PrometheusAway("its answer is too large")
            answer = json.loads(body)
            result = answer["data"]["result"] if answer["status"] == "success" else None
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
            raise PrometheusAway(str(error) or type(error).__name__) from error
        if not isinstance(result, list):
            raise PrometheusAway(f"it answers with {response.status_code}")
        return result


def _values(result: Sequence[dict[str, object]], labels: Sequence[str], times: Sequence[float]) -> Values:
    place = {round(at * 1000): number for number, at in enumerate(times)}
    found: dict[tuple[str, ...], list[float]] = {}
    for one in result:
        metric, values = one["metric"], one["values"]
        assert isinstance(metric, dict)
        assert isinstance(values, list)
        line = found.setdefault(tuple(str(metric.get(label, "")) for label in labels), [math.nan] * len(times))
        for at, value in values:
            number = place.get(round(float(at) * 1000))
            if number is not None:
                line[number] = float(value)
    return found

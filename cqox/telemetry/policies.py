"""Events of the policies of `cqox.resilience` as metrics and as events of the current span.

What an event counts and what a part shows is known to `cqox.resilience.observability`. Only waits between attempts and
rejections get a span of their own.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

from cqox.resilience import AttemptStarted, CallRejected, Event, Registry, RetryScheduled, registry, subscribe
from cqox.resilience.observability.events import SpanEvent, counted, span_event
from cqox.resilience.observability.metrics import METRICS
from cqox.resilience.observability.state import births, read
from cqox.telemetry import metric_definitions, metrics
from cqox.telemetry.spans import Attributes, current_span, span, span_since

__all__ = ["PolicyListener", "watch_policies"]

_SERIES = {
    series.name: series
    for series in (
        metric_definitions.CIRCUIT_STATE,
        metric_definitions.CIRCUIT_TRANSITIONS,
        metric_definitions.RETRIES,
        metric_definitions.GIVEN_UP,
        metric_definitions.RETRY_BUDGET,
        metric_definitions.TIMEOUTS,
        metric_definitions.REJECTIONS,
        metric_definitions.BULKHEAD_RUNNING,
        metric_definitions.BULKHEAD_QUEUED,
        metric_definitions.BULKHEAD_LIMIT,
    )
}
_waiting_since: ContextVar[int] = ContextVar("cqox_retry_waiting_since", default=0)


class PolicyListener:
    """Listener for `cqox.resilience.subscribe`; runs in the task that emitted the event.

    Args:
        now_ns: nanoseconds since the epoch.
    """

    def __init__(self, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns

    def __call__(self, event: Event) -> None:
        """Record the event as metrics and on the current span."""
        for metric, labels in counted(event):
            metrics.count(_SERIES[metric.name], labels)
        match event:
            case AttemptStarted(attempt=attempt, max_attempts=most):
                if attempt > 1:
                    self._waited(event.name, attempt, most)
                return
            case RetryScheduled():
                _waiting_since.set(self._now_ns())
            case _:
                pass
        around = current_span()
        if around.recording and (seen := span_event(event)) is not None:
            if isinstance(event, CallRejected):
                _refused(seen, event)
            else:
                around.event(seen.name, seen.attributes)

    def _waited(self, policy: str, attempt: int, most: int) -> None:
        since = _waiting_since.get()
        if since:
            _waiting_since.set(0)
            attributes: Attributes = {"cqox.policy": policy, "cqox.attempt": attempt, "cqox.max_attempts": most}
            span_since(f"wait before attempt {attempt}", since, attributes)


def watch_policies(policies: Registry = registry) -> Callable[[], None]:
    """Record every policy event and observe the state of the registered policies.

    Returns:
        A function that stops it.
    """
    ends = [subscribe(PolicyListener())]
    for metric in METRICS:
        series = _SERIES.get(metric.name)
        if series is None:
            continue
        if metric.kind == "counter":
            ends.append(metrics.born(series, partial(births, metric, policies)))
        else:
            ends.append(metrics.watch(series, partial(read, metric, policies)))

    def end() -> None:
        for each in ends:
            each()

    return end


def _refused(seen: SpanEvent, event: CallRejected) -> None:
    with span(seen.name, seen.attributes) as refusal:
        if event.enforced:
            refusal.fail(event.kind)

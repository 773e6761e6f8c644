"""Policies as metrics and span events of OpenTelemetry; needs its API alone (the extra `opentelemetry`).

The metrics are defined in `cqox.resilience.observability.metrics`.
"""

import logging
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
from opentelemetry.trace import get_current_span

from cqox.resilience.observability.event_counts import EventCounts
from cqox.resilience.observability.events import span_event
from cqox.resilience.observability.metrics import METRICS, Metric
from cqox.resilience.observability.state import read
from cqox.resilience.pipeline.events import Event, subscribe
from cqox.resilience.pipeline.registry import Registry, registry

__all__ = ["add_span_event", "watch_policies"]

_log = logging.getLogger("cqox.resilience")


def watch_policies(
    policies: Registry = registry, *, meter_provider: MeterProvider | None = None, span_events: bool = True
) -> Callable[[], None]:
    """Report events of all policies of the process, and the state of the registered ones.

    Values are read when metrics are collected. An event costs one increment, and where a span is recording an event of
    that span.

    Args:
        policies: registry whose parts are observed.
        meter_provider: provider of the meter `cqox.resilience`; the global one by default.
        span_events: whether events are added to the current span.

    Returns:
        A function that stops it.
    """
    counts = EventCounts()
    listening = [subscribe(counts)]
    if span_events:
        listening.append(subscribe(add_span_event))
    meter = get_meter("cqox.resilience", meter_provider=meter_provider)

    def observed(metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            if not listening:
                return []
            try:
                values = counts.read(metric, policies) if metric.kind == "counter" else read(metric, policies)
            except Exception:  # noqa: BLE001 - a metric that cannot be read must not hide the others
                _log.exception("the metric %s could not be read", metric.name)
                return []
            return [Observation(value, labels) for value, labels in values]

        return observe

    for metric in METRICS:
        create = meter.create_observable_gauge if metric.kind == "gauge" else meter.create_observable_counter
        create(metric.name, [observed(metric)], unit=metric.unit, description=metric.meaning)

    def end() -> None:
        # The API has no way to remove an instrument: from now on it yields nothing.
        while listening:
            listening.pop()()

    return end


def add_span_event(event: Event) -> None:
    """Add the event of a policy to the current span, if that is recording; a listener for `subscribe`."""
    span = get_current_span()
    if span.is_recording():
        described = span_event(event)
        if described is not None:
            span.add_event(described.name, described.attributes)

"""Definitions of the metrics of policies. `docs/resilience/observability.md` lists them, and a test compares the two.

Labels are bounded: names of policies and parts, kinds of parts, states and outcomes; never keys or messages.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["METRICS", "Metric", "MetricKind"]

type MetricKind = Literal["counter", "gauge", "total"]
"""`counter` counts events; `gauge` and `total` are read from the state of parts: a level, and a count kept there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Definition of one metric.

    Attributes:
        name: OpenTelemetry name.
        kind: where its values come from.
        unit: UCUM unit, as in OpenTelemetry.
        meaning: help text, one sentence.
        labels: label names.
    """

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ("policy",)

    @property
    def prometheus_name(self) -> str:
        """Name at Prometheus, without the suffix `_total`."""
        return self.name.replace(".", "_")


CIRCUIT_STATE = Metric(
    name="cqox.circuit.state",
    kind="gauge",
    unit="1",
    meaning="1 for the state that a circuit is in, 0 for the others.",
    labels=("policy", "state"),
)
CIRCUIT_CALLS = Metric(
    name="cqox.circuit.calls",
    kind="total",
    unit="{call}",
    meaning="Calls that a circuit has seen end, by outcome.",
    labels=("policy", "outcome"),
)
CIRCUIT_TRANSITIONS = Metric(
    name="cqox.circuit.transitions",
    kind="counter",
    unit="{transition}",
    meaning="Changes of a circuit into a state.",
    labels=("policy", "state"),
)
RETRIES = Metric(
    name="cqox.retry.attempts",
    kind="counter",
    unit="{attempt}",
    meaning="Attempts after the first.",
)
GIVEN_UP = Metric(
    name="cqox.retry.given_up",
    kind="counter",
    unit="{call}",
    meaning="Calls whose last attempt failed.",
)
RETRY_BUDGET = Metric(
    name="cqox.retry.budget",
    kind="gauge",
    unit="{retry}",
    meaning="Retries that a budget would allow now.",
)
RETRY_BUDGET_REQUESTS = Metric(
    name="cqox.retry.budget.requests",
    kind="total",
    unit="{retry}",
    meaning="Retries that a budget was asked for, by outcome.",
    labels=("policy", "outcome"),
)
TIMEOUTS = Metric(
    name="cqox.timeouts",
    kind="counter",
    unit="{timeout}",
    meaning="Attempts that a timeout ended.",
)
REJECTIONS = Metric(
    name="cqox.rejections",
    kind="counter",
    unit="{call}",
    meaning="Calls that a policy did not let through, by the kind of policy.",
    labels=("policy", "reason"),
)
LIMIT_CALLS = Metric(
    name="cqox.limit.calls",
    kind="total",
    unit="{call}",
    meaning="Calls that asked a bulkhead, an adaptive limit, a rate limit or a shed for admission, by outcome.",
    labels=("policy", "outcome"),
)
BULKHEAD_RUNNING = Metric(
    name="cqox.bulkhead.running",
    kind="gauge",
    unit="{call}",
    meaning="Calls inside a bulkhead.",
)
BULKHEAD_QUEUED = Metric(
    name="cqox.bulkhead.queued",
    kind="gauge",
    unit="{call}",
    meaning="Calls that wait at a bulkhead.",
)
BULKHEAD_LIMIT = Metric(
    name="cqox.bulkhead.limit",
    kind="gauge",
    unit="{call}",
    meaning="How many calls may be inside a bulkhead at once.",
)
RATE_LIMIT_AVAILABLE = Metric(
    name="cqox.rate_limit.available",
    kind="gauge",
    unit="{call}",
    meaning="Calls that a rate limit would admit now; below 0 where calls wait.",
)
SHED_LOAD = Metric(
    name="cqox.shed.load",
    kind="gauge",
    unit="1",
    meaning="Load of a shed, 1 being its capacity.",
)
DRAIN_RUNNING = Metric(
    name="cqox.drain.running",
    kind="gauge",
    unit="{call}",
    meaning="Calls that a drain would wait for.",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All definitions, in the order above."""

"""Rows of the view: one for each part, from two readings of the metrics of an app."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cqox.resilience.observability import metrics
from cqox.resilience.observability.metrics import Metric
from cqox.resilience.top.exposition import Sample

__all__ = ["PREFIX", "PartRow", "Reading", "reading", "rows"]

PREFIX = "cqox_"
"""Beginning of the names that are read."""

# The Prometheus exporter of OpenTelemetry appends it to gauges of unit 1.
_RATIO = "_ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Metrics of policies at one time.

    Attributes:
        at: seconds of a monotonic clock.
        values: by name of the part, metric and value of the second label, which is empty where there is none.
    """

    at: float
    values: Mapping[str, Mapping[str, Mapping[str, float]]]

    @property
    def names(self) -> list[str]:
        """Names of all parts, sorted."""
        return sorted(self.values)

    def of(self, metric: Metric, name: str) -> Mapping[str, float]:
        """Return the values of a part by the second label."""
        return self.values.get(name, {}).get(metric.name, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One part; NaN is what its app does not say, or what takes a second reading.

    Attributes:
        name: name of the part.
        state: number of circuits of that name by state, without states that none is in; empty where it is no circuit.
        calls: calls per second.
        failed: share of failures among successes and failures, from 0 to 1.
        rejected: rejections per second.
        retries: retries per second.
        timeouts: timeouts per second.
        running: calls in flight.
        limit: the most calls in flight.
        queued: waiting calls.
        budget: retries that a budget would allow.
    """

    name: str
    state: Mapping[str, int]
    calls: float
    failed: float
    rejected: float
    retries: float
    timeouts: float
    running: float
    limit: float
    queued: float
    budget: float


def reading(samples: Iterable[Sample], at: float) -> Reading:
    """Collect the metrics of policies, summed over all labels but those of the library.

    Args:
        samples: samples of one text.
        at: seconds of a monotonic clock.
    """
    known = {_shown(metric): metric for metric in metrics.METRICS}
    values: dict[str, dict[str, dict[str, float]]] = {}
    for sample in samples:
        metric = known.get(sample.name) or known.get(sample.name.removesuffix(_RATIO))
        if metric is not None and "policy" in sample.labels and not math.isnan(sample.value):
            second = sample.labels.get(metric.labels[1], "") if len(metric.labels) > 1 else ""
            of_metric = values.setdefault(sample.labels["policy"], {}).setdefault(metric.name, {})
            of_metric[second] = of_metric.get(second, 0.0) + sample.value
    return Reading(at=at, values=values)


def rows(before: Reading | None, now: Reading) -> list[PartRow]:
    """Return a row for each part of `now`, by name.

    Args:
        before: an earlier reading of the same app, for what is counted; None where there is none.
        now: the present reading.
    """
    return [_row(name, before, now) for name in now.names]


def _shown(metric: Metric) -> str:
    return metric.prometheus_name + ("" if metric.kind == "gauge" else "_total")


def _row(name: str, before: Reading | None, now: Reading) -> PartRow:
    outcomes = _rates(metrics.CIRCUIT_CALLS, name, before, now)
    admissions = _rates(metrics.LIMIT_CALLS, name, before, now)
    granted = _rates(metrics.RETRY_BUDGET_REQUESTS, name, before, now).get("granted", math.nan)
    retries = _sum(_rates(metrics.RETRIES, name, before, now))
    judged = outcomes.get("success", 0.0) + outcomes.get("failure", 0.0)
    return PartRow(
        name=name,
        state={
            state: round(count) for state, count in now.of(metrics.CIRCUIT_STATE, name).items() if 0 < count < math.inf
        },
        calls=_sum(outcomes or admissions),
        failed=outcomes.get("failure", 0.0) / judged if judged > 0 else math.nan,
        rejected=_sum(_rates(metrics.REJECTIONS, name, before, now)),
        retries=granted if math.isnan(retries) else retries,
        timeouts=_sum(_rates(metrics.TIMEOUTS, name, before, now)),
        running=_running(name, now),
        limit=_sum(now.of(metrics.BULKHEAD_LIMIT, name)),
        queued=_sum(now.of(metrics.BULKHEAD_QUEUED, name)),
        budget=_sum(now.of(metrics.RETRY_BUDGET, name)),
    )


def _running(name: str, now: Reading) -> float:
    inside = _sum(now.of(metrics.BULKHEAD_RUNNING, name))
    return _sum(now.of(metrics.DRAIN_RUNNING, name)) if math.isnan(inside) else inside


def _rates(metric: Metric, name: str, before: Reading | None, now: Reading) -> dict[str, float]:
    """Return increments per second by the second label; NaN without an earlier reading."""
    values = now.of(metric, name)
    if before is None or now.at <= before.at:
        return dict.fromkeys(values, math.nan)
    earlier = before.of(metric, name)
    return {label: _increment(earlier.get(label, 0.0), value) / (now.at - before.at) for label, value in values.items()}


def _increment(before: float, now: float) -> float:
    # A counter that has fallen began again at 0, with the process.
    return now - before if now >= before else now


def _sum(values: Mapping[str, float]) -> float:
    return sum(values.values()) if values else math.nan

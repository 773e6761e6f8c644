"""The definition of one metric: its name, unit, labels and help text. The metrics are in `metric_definitions`."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["UNITS", "Kind", "Series", "prometheus_name"]

type Kind = Literal["counter", "histogram", "gauge", "total"]
"""`gauge` and `total` are observed at collection: a level, and a count that is kept elsewhere."""

UNITS = {"s": "seconds", "By": "bytes"}
"""Units that are part of a name at Prometheus, by their UCUM codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Definition of one metric.

    Attributes:
        name: OpenTelemetry name; Prometheus replaces dots by underscores and appends the unit.
        kind: kind of instrument.
        unit: UCUM unit, as in OpenTelemetry.
        meaning: help text, one sentence.
        labels: label names.
        service: service that records it: `both`, `gateway` or `engine`.
        buckets: upper bounds of a histogram.
        born: values of the labels that are known from the start, and shown at 0 until there is more to show; see
            `cqox.telemetry.metrics.born` for those that a process knows only once it runs.
        shown: name at Prometheus without unit and suffix, where that of OpenTelemetry would be misread there.
        exemplars: whether a histogram links to a trace in each of its buckets.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    service: Literal["both", "gateway", "engine"] = "both"
    buckets: tuple[float, ...] = ()
    born: tuple[tuple[str, ...], ...] = ()
    shown: str = ""
    exemplars: bool = False

    @property
    def prometheus_name(self) -> str:
        """Name at `/metrics`, without the suffixes of a histogram."""
        return prometheus_name(self.shown or self.name, self.unit) + (
            "_total" if self.kind in ("counter", "total") else ""
        )


def prometheus_name(name: str, unit: str) -> str:
    """Return the name of a metric at Prometheus, which ends in its unit, but not in the suffix of its kind."""
    shown = name.replace(".", "_")
    return f"{shown}_{UNITS[unit]}" if unit in UNITS else shown

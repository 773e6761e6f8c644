"""The definition of one metric: its name, unit, labels and help text. The metrics are in `metric_definitions`."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Series"]

type Kind = Literal["counter", "histogram", "gauge", "total"]
"""`gauge` and `total` are observed at collection: a level, and a count that is kept elsewhere."""

_UNITS = {"s": "_seconds", "By": "_bytes"}


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
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    service: Literal["both", "gateway", "engine"] = "both"
    buckets: tuple[float, ...] = ()

    @property
    def prometheus_name(self) -> str:
        """Name at `/metrics`, without the suffixes of a histogram."""
        name = self.name.replace(".", "_")
        unit = _UNITS.get(self.unit, "")
        return name + unit + ("_total" if self.kind in ("counter", "total") else "")

"""OpenTelemetry instruments of the defined metrics. Imported only if the SDK is used."""

import logging
from collections.abc import Callable, Iterable, Sequence

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from cqox.telemetry import metrics
from cqox.telemetry.metric_definitions import SERIES, Series
from cqox.telemetry.metrics import Labels

__all__ = ["Instruments"]

_log = logging.getLogger("cqox.telemetry")

type _Take = Callable[[float, Labels], None]


class Instruments:
    """Sink that records into an OpenTelemetry meter.

    Args:
        meter: meter that creates the instruments.
        series: metrics to create instruments for.
    """

    def __init__(self, meter: Meter, series: Sequence[Series] = SERIES) -> None:
        self._takers: dict[str, _Take] = {}
        self._series = tuple(series)
        self._born = set[tuple[object, ...]]()
        for each in series:
            self._make(meter, each)

    def take(self, series: Series, value: float, labels: Labels) -> None:
        """Add to a counter, or record in a histogram."""
        self._takers[series.name](value, labels)

    def bear(self, service: str) -> None:
        """Show the counters of a service at 0 with every value of their labels that is known by now."""
        for series in self._series:
            if series.kind != "counter" or series.service not in ("both", service):
                continue
            for labels in metrics.births(series):
                key = (series.name, *sorted(labels.items()))
                if key not in self._born:
                    self._born.add(key)
                    self._takers[series.name](0, labels)

    def _make(self, meter: Meter, series: Series) -> None:
        about = {"unit": series.unit, "description": series.meaning}
        match series.kind:
            case "counter":
                self._takers[series.name] = meter.create_counter(series.name, **about).add
            case "histogram":
                histogram = meter.create_histogram(
                    series.name, **about, explicit_bucket_boundaries_advisory=series.buckets
                )
                self._takers[series.name] = histogram.record
            case "gauge":
                meter.create_observable_gauge(series.name, [_observed(series)], **about)
            case "total":
                meter.create_observable_counter(series.name, [_observed(series)], **about)


def _observed(series: Series) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        try:
            return [Observation(value, labels) for value, labels in metrics.read(series)]
        except Exception:  # noqa: BLE001 - a failing gauge must not hide the others
            _log.exception("the series %s could not be read", series.name)
            return []

    return observe

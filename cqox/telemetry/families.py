"""Metrics as families of the Prometheus client. Imported only if metrics are recorded.

OpenTelemetry's own exporter shows no exemplars, and nothing of a histogram before its first value.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, MetricsData, Sum
from opentelemetry.sdk.metrics.export import Metric as Measured
from opentelemetry.util.types import AnyValue
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.samples import Exemplar

from cqox.telemetry import metrics
from cqox.telemetry.series import UNITS, Series, prometheus_name

__all__ = ["families"]

type _Bucket = tuple[str, float] | tuple[str, float, Exemplar]


def families(data: MetricsData, series: Sequence[Series] = ()) -> Iterator[Metric]:
    """Return the families of collected metrics.

    Args:
        data: what a reader has collected.
        series: definitions; their histograms are shown with the labels that are known, and counts of 0.
    """
    known = {each.name: each for each in series}
    missing = {each.name: each for each in series if each.kind == "histogram"}
    for resource in data.resource_metrics:
        target = {_label(name): str(value) for name, value in resource.resource.attributes.items()}
        yield InfoMetricFamily("target", "Target metadata", value=target)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                missing.pop(metric.name, None)
                yield _family(metric, known.get(metric.name))
    yield from (_unrecorded(each) for each in missing.values() if metrics.births(each))


def _family(metric: Measured, series: Series | None) -> Metric:
    name = metric.name if series is None else series.shown or series.name
    about = (prometheus_name(name, metric.unit or ""), metric.description or "")
    unit = UNITS.get(metric.unit or "", "")
    points = metric.data.data_points
    born = [] if series is None else [_texts(labels) for labels in metrics.births(series)]
    rows = [_texts(point.attributes or {}) for point in points]
    # Every sample of a family has the same labels here; Prometheus treats an empty one as none.
    names = sorted({name for row in (*rows, *born) for name in row})
    if isinstance(metric.data, Histogram):
        histogram = HistogramMetricFamily(*about, labels=names, unit=unit)
        for row, point in zip(rows, points, strict=True):
            assert isinstance(point, HistogramDataPoint)
            histogram.add_metric(_values(row, names), _buckets(point), point.sum)
        for row in born:
            if row not in rows and series is not None:
                histogram.add_metric(_values(row, names), _empty(series), 0.0)
        return histogram
    counts = isinstance(metric.data, Sum) and metric.data.is_monotonic
    family = (CounterMetricFamily if counts else GaugeMetricFamily)(*about, labels=names, unit=unit)
    for row, point in zip(rows, points, strict=True):
        assert not isinstance(point, HistogramDataPoint)
        family.add_metric(_values(row, names), float(getattr(point, "value", 0.0)))
    return family


def _unrecorded(series: Series) -> Metric:
    rows = [_texts(labels) for labels in metrics.births(series)]
    names = sorted({name for row in rows for name in row})
    name, unit = prometheus_name(series.name, series.unit), UNITS.get(series.unit, "")
    family = HistogramMetricFamily(name, series.meaning, labels=names, unit=unit)
    for row in rows:
        family.add_metric(_values(row, names), _empty(series), 0.0)
    return family


def _buckets(point: HistogramDataPoint) -> list[_Bucket]:
    bounds = [*point.explicit_bounds, float("inf")]
    found = dict(_exemplars(point, bounds))
    buckets: list[_Bucket] = []
    total = 0
    for bound, count in zip(bounds, point.bucket_counts, strict=True):
        total += count
        buckets.append((_bound(bound), total, found[bound]) if bound in found else (_bound(bound), total))
    return buckets


def _exemplars(point: HistogramDataPoint, bounds: Sequence[float]) -> Iterator[tuple[float, Exemplar]]:
    for exemplar in point.exemplars:
        if exemplar.trace_id:
            labels = {"trace_id": f"{exemplar.trace_id:032x}", "span_id": f"{exemplar.span_id or 0:016x}"}
            bound = next(bound for bound in bounds if exemplar.value <= bound)
            yield bound, Exemplar(labels, float(exemplar.value), exemplar.time_unix_nano / 1e9)


def _empty(series: Series) -> list[_Bucket]:
    return [(_bound(bound), 0) for bound in (*series.buckets, float("inf"))]


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _texts(labels: Mapping[str, AnyValue] | Mapping[str, str | int]) -> dict[str, str]:
    return {_label(name): str(value) for name, value in labels.items()}


def _values(row: Mapping[str, str], names: Iterable[str]) -> list[str]:
    return [row.get(name, "") for name in names]


def _label(name: str) -> str:
    return name.replace(".", "_")
